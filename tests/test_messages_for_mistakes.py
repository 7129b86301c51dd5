"""Messages for typical mistakes in the first days of a team: artifacts that only one clone has, records edited by hand,
a checked-out metadata branch, missing arguments. Each message names the cause and the command that helps.
"""

import json
import subprocess

import pytest
from editing import edit, read
from transcripts import ask, end_with, fail, on_terminal, said, succeed

from gitmodel.client import administration
from gitmodel.errors import Unreachable, UsageError
from gitmodel.git.running.failures import translate
from gitmodel.registry.health.doctor import Finding

STAGES = '\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\n'
HAND_MADE = "created = 2026-11-23T10:12:13Z\n"


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    """A registry with iris@1, whose artifact `train` is only in the default store, a folder of this clone."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a,b\n")
    succeed(capsys, "register", "iris")
    succeed(capsys, "version", "create", "iris", "--data", "train=train.csv")
    return code_repo


@pytest.fixture
def bob(iris, tmp_path, monkeypatch):
    """Bob's clone of the repository of `iris`, which does not have the artifact."""
    clone = tmp_path / "bob"
    subprocess.run(["git", "clone", "--quiet", str(iris), str(clone)], check=True)
    monkeypatch.chdir(clone)
    return clone


def test_the_error_in_a_clone_without_the_artifacts_says_how_to_share_the_artifacts(bob, capsys):
    how = (
        "only this clone has this store; where the artifact is, type "
        "`git model init --store URL` and `git model store copy --from clone --to default`"
    )
    code, _, err = ask(capsys, "get", "iris@1", "train")
    assert (code, err.splitlines()[1]) == (3, f"hint: {how}")
    code, out, err = ask(capsys, "doctor", "--format", "json")
    assert how in out
    assert "in a clone that has it, run `git model store copy --from clone --to default" in ask(capsys, "verify")[2]


def test_the_hint_for_an_object_that_the_shared_store_lacks_shows_the_command_that_copies_it(iris, tmp_path, capsys):
    succeed(capsys, "init", "--store", tmp_path / "store")
    err = fail(capsys, 3, "get", "iris@1", "train", "-o", "got")
    assert err.splitlines()[1] == (
        f"hint: this store is {(tmp_path / 'store').as_uri()}; if a clone still has the artifact, type there "
        "`git model store copy --from clone --to default`"
    )


def test_init_with_a_new_store_shows_the_command_that_copies_the_artifacts_into_it(iris, tmp_path, capsys):
    out = ask(capsys, "init", "--store", tmp_path / "store")[1]
    assert out.splitlines()[-1] == "next: git model store copy --from clone --to default"
    succeed(capsys, "store", "copy", "--from", "clone", "--to", "default")
    assert ask(capsys, "init", "--store", tmp_path / "store")[1].splitlines()[-1] == "next: git model list"


def test_messages_of_doctor_and_verify_are_not_cut_on_a_narrow_terminal(bob, capsys):
    for command, keys in (("doctor", ("message", "hint")), ("verify", ("digest", "error"))):
        rows = said(capsys, command)[1]
        _, shown = on_terminal(command, env={"NO_COLOR": "1"})
        assert "…" not in shown
        words = " ".join(shown.split())
        assert all(row[key] in words for row in rows for key in keys)


def test_store_trust_says_that_a_store_in_a_folder_needs_no_trust(iris, transcript):
    transcript(f"""
        $ git model store trust
        file://{iris}/.git/gitmodel/store is a folder, which needs no credentials: nothing was changed
    """)


def test_the_error_for_a_model_without_model_toml_names_the_folder_of_the_model(iris, transcript):
    edit(iris, {"models/iris/model.toml": None})
    transcript("""
        $ git model show iris
        ! error: there is no model iris
        ! hint: models/iris has no model.toml; run `git model check`
        [3]
        $ git model list
        ! no model that can be read
        ! warning: models/iris: has no model.toml [model.record]
        ! hint: run `git model check`
    """)


def test_paths_in_a_command_of_a_hint_are_quoted(iris, capsys):
    code, _, err = ask(capsys, "get", "iris@1", "train", "-o", "my folder/train.csv")
    assert (code, err.splitlines()[1]) == (3, f"hint: create it with `mkdir -p '{iris}/my folder'`")
    edit(iris, {"models/My Model/model.toml": HAND_MADE})
    assert ask(capsys, "check")[2].splitlines()[-1].endswith("git log -p gitmodel -- 'models/My Model'")


def test_the_refusal_of_a_name_shows_the_name_as_typed(iris, capsys):
    err = ask(capsys, "register", "größe")[2]
    assert err.startswith("error: 'größe' cannot be the name of a model, because it holds 'ö' (U+00F6)\n")
    assert ask(capsys, "register", "a\u202eb")[2].startswith("error: 'a\\u202eb' cannot be")


def test_the_error_for_a_missing_argument_of_a_command_names_the_argument(iris, transcript):
    transcript("""
        $ git model promote iris@1
        ! error: STAGE is missing
        ! hint: write `git model promote MODEL@VERSION STAGE`
        [2]
        $ git model checkout iris@1
        ! error: DIR is missing
        ! hint: write `git model checkout MODEL@VERSION DIR`
        [2]
    """)


def test_show_says_no_commit_yet_for_a_version_created_before_the_first_code_commit(tmp_path, monkeypatch, capsys):
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "new")], check=True)
    monkeypatch.chdir(tmp_path / "new")
    (tmp_path / "new/train.csv").write_text("a\n")
    for words in (["register", "iris"], ["version", "create", "iris", "--data", "train=train.csv"]):
        succeed(capsys, *words)
    assert "code       no commit yet\n" in ask(capsys, "show", "iris@1")[1]


CHECKED_OUT = """\
warning: the branch gitmodel is checked out here with files of an earlier commit: a commit now would revert what \
was recorded since
hint: if `git status` shows none of your changes, type: git reset --hard
"""


def test_a_command_that_moves_the_metadata_branch_warns_if_the_branch_is_checked_out(iris, capsys, git):
    git(iris, "checkout", "--quiet", "gitmodel")
    assert ask(capsys, "list")[2] == ""
    assert ask(capsys, "promote", "iris@1", "production") == (0, "iris@1 is in production now\n", CHECKED_OUT)
    git(iris, "reset", "--quiet", "--hard")
    assert ask(capsys, "list")[2] == ""


def test_doctor_reports_a_work_tree_of_the_metadata_branch_that_is_behind_the_branch(
    iris, tmp_path, capsys, transcript, git
):
    git(iris, "worktree", "add", "--quiet", str(tmp_path / "the records"), "gitmodel")
    transcript("$ git model doctor\n! no problems found in this clone")
    assert ask(capsys, "promote", "iris@1", "production")[2] == ""
    assert succeed(capsys, "doctor", "-q") == "checkout\n"
    _, out, _ = ask(capsys, "doctor", "--format", "tsv")
    assert f"type: git -C '{tmp_path}/the records' reset --hard" in out
    git(tmp_path / "the records", "reset", "--quiet", "--hard")
    transcript("$ git model doctor\n! no problems found in this clone")


def test_doctor_still_makes_other_checks_if_a_store_cannot_be_used(iris, capsys, git):
    edit(iris, {"gitmodel.toml": f'format = "1.2"\nstore = "s3://of-others/models"\n{STAGES}'})
    git(iris, "update-ref", "refs/gitmodel/reserved/iris/1", "gitmodel")
    code, out, _ = ask(capsys, "doctor", "-q")
    assert (code, out) == (5, "reservation\nstore\n")
    assert ask(capsys, "doctor", "--fix")[0] == 5
    assert ask(capsys, "doctor", "-q")[1] == "store\n"


def test_a_stage_tag_that_a_shallow_clone_cannot_check_is_not_reported_as_forged(
    iris, tmp_path, monkeypatch, capsys, transcript
):
    succeed(capsys, "promote", "iris@1", "production")
    clone = tmp_path / "clone"
    url = iris.as_uri()
    subprocess.run(["git", "clone", "-q", "--depth=1", "--branch=gitmodel", url, str(clone)], check=True)
    monkeypatch.chdir(clone)
    transcript("""
        $ git model resolve iris@production
        ! error: the tag model/iris/production does not count: this clone is too shallow to tell who set it
        ! hint: run `git fetch --unshallow`
        [5]
    """)
    for words in (["list"], ["show", "iris"], ["version", "list", "iris"], ["version", "show", "iris@1"]):
        code, out, err = ask(capsys, *words)
        assert (code, "git model apply" in out + err, "git fetch --unshallow" in err) == (0, False, True), words
    assert "production - (clone too shallow)" in ask(capsys, "list")[1]
    found = ask(capsys, "doctor", "--format", "tsv", "--filter", 'about == "tag"')[1].splitlines()[1:]
    assert [line.split("\t")[:3] for line in found] == [
        ["tag", "model/iris/production: this clone is too shallow to tell who set it", "run `git fetch --unshallow`"]
    ]
    subprocess.run(["git", "fetch", "-q", "--unshallow"], check=True)
    assert ask(capsys, "resolve", "iris@production")[:2] == (0, "iris@1\n")


def test_the_error_for_the_command_help_shows_the_option_h(iris, capsys):
    for words, command in ((["help"], "git model"), (["help", "promote"], "git model promote")):
        code, _, err = ask(capsys, *words)
        assert (code, err.splitlines()[0]) == (2, f"error: there is no command 'help'; use `{command} -h`")
    assert ask(capsys, "version", "help", "create")[2].startswith(
        "error: there is no command 'help'; use `git model version create -h`"
    )


def test_the_hint_for_a_deleted_version_shows_how_to_read_it_at_the_commit_before_the_deletion(
    iris, capsys, transcript
):
    succeed(capsys, "version", "delete", "iris@1", "--yes")
    transcript("""
        $ git model show iris@1
        ! error: version 1 of iris was deleted
        ! hint: `git model log iris@1` names the commit; read the version with `--at COMMIT~1`
        [3]
    """)
    commit = said(capsys, "log", "iris@1")[1][0]["commit"]
    succeed(capsys, "get", "iris@1", "train", "-o", "again.csv", "--at", f"{commit}~1")
    assert (iris / "again.csv").read_bytes() == (iris / "train.csv").read_bytes()


def test_doctor_fix_gives_no_advice_after_it_repaired_everything(iris, capsys, transcript, git):
    succeed(capsys, "promote", "iris@1", "production")
    git(iris, "tag", "--force", "model/iris/production", "HEAD")
    transcript("""
        $ git model doctor
        ABOUT  WHAT                                                                      WHAT TO DO
        tag    the tag model/iris/production does not count: it is not an annotated tag  run `git model doctor --fix`
        ! error: 1 serious problem
        ! hint: run `git model doctor --fix`
        [5]
        $ git model doctor --fix
                  ABOUT  WHAT
        repaired  tag    the tag model/iris/production does not count: it is not an annotated tag
    """)


def test_doctor_compares_each_of_many_findings_with_only_a_few_others(iris, capsys, monkeypatch):
    findings = [Finding("artifact", f"artifact {number} is missing", "restore it") for number in range(300)]
    monkeypatch.setattr(administration, "examine", lambda client: findings)
    compared = []
    monkeypatch.setattr(Finding, "__eq__", lambda one, other: compared.append(one) or one is other)
    out, _ = end_with(capsys, 5, "doctor")
    assert len(out.splitlines()) == 301
    assert len(compared) < 3 * len(findings)


@pytest.mark.parametrize(
    "said",
    [
        "error: unable to create leading directories of /r/.git/objects/info/commit-graphs/tmp_graph_XXXXXX",
        "fatal: sha1 file '/r/.git/objects/info/commit-graphs/tmp_graph_IAuRBn' write error. Out of diskspace",
    ],
)
def test_the_error_of_git_for_a_read_only_repository_or_full_disk_is_not_reported_as_a_bug(said):
    assert isinstance(translate(said, 1), Unreachable)


def test_the_hint_for_a_missing_store_is_a_complete_command_that_creates_the_store(iris, capsys):
    code, _, err = ask(capsys, "init", "--store", "our stores/new")
    assert (code, err.splitlines()[1]) == (
        7,
        f"hint: check that its disk is mounted; if the store is new, create its folder: "
        f"mkdir -p '{iris}/our stores/new'",
    )


def test_the_error_for_an_argument_says_that_the_pipeline_has_no_parameters():
    from gitmodel import pipeline

    @pipeline
    def train():
        pass

    with pytest.raises(UsageError) as caught:
        train.run(rate=3)
    assert caught.value.hint == "it has no parameters"


RULES = (
    'format = "1.2"\n\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\nafter = [\n    "staging",\n]\n'
)


def test_staged_changes_cause_no_warning_that_the_branch_is_checked_out(iris, tmp_path, capsys, git, monkeypatch):
    rules = tmp_path / "rules"
    git(iris, "worktree", "add", "--quiet", str(rules), "gitmodel")
    monkeypatch.chdir(rules)
    (rules / "gitmodel.toml").write_text(RULES)
    git(rules, "add", "gitmodel.toml")
    code, out, err = ask(capsys, "check", "--staged")
    assert (code, out, "the change is valid" in err, "checked out" in err) == (0, "", True, False)
    git(rules, "commit", "--quiet", "-m", "Rules")
    git(rules, "reset", "--quiet", "--soft", "HEAD~1")
    (rules / "gitmodel.toml").write_text(RULES.replace("staging", "other"))
    git(rules, "add", "gitmodel.toml")
    assert "checked out" not in ask(capsys, "list")[2]
    git(rules, "reset", "--quiet", "--hard")
    succeed(capsys, "-C", str(iris), "promote", "iris@1", "staging")
    (rules / "gitmodel.toml").write_text(RULES)
    git(rules, "add", "gitmodel.toml")
    # `list` warns, because a commit of the index of this old work tree would delete the stage file
    assert ask(capsys, "list")[2] == CHECKED_OUT


def test_check_accepts_any_toml_layout_of_the_rules_and_shows_the_expected_layout_of_other_records(iris, capsys):
    edit(iris, {"gitmodel.toml": RULES.replace('[\n    "staging",\n]', '["staging"] # reviewed\n')})
    succeed(capsys, "check")
    path = "models/iris/model.toml"
    text = read(iris, path)
    edit(iris, {path: text + 'license  = "MIT"\n'})
    out, _ = end_with(capsys, 5, "check", "--format", "json")
    assert r"""found 'license  = "MIT"\n', expected 'license = "MIT"\n'""" in json.loads(out)[0]["message"]
    for changed, difference in ((text + "\n", r"found '\n', expected nothing"), (text[:-1], "found 'created = ")):
        edit(iris, {path: changed})
        assert difference in ask(capsys, "check")[1]


def test_get_and_export_refuse_to_write_to_stdout_and_create_no_file_named_dash(iris, transcript):
    transcript("""
        $ git model get iris@1 train -o -
        ! error: get writes a file or folder, and cannot write to stdout
        ! hint: write ./- for a file of this name
        [2]
        $ git model export iris@1 -
        ! error: export writes a file, and cannot write to stdout
        ! hint: write ./- for a file of this name
        [2]
    """)
    assert not (iris / "-").exists()


def test_a_parameter_of_a_pipeline_without_the_option_param_is_refused_with_the_option(iris, transcript):
    transcript("""
        $ git model run train.py seed=3
        ! error: got unexpected extra argument (seed=3)
        ! hint: write `--param KEY=VALUE` for each value; `git model run -h` has an example
        [2]
    """)


def test_apply_in_a_registry_without_a_remote_puts_edited_rules_in_force(iris, capsys):
    edit(iris, {"gitmodel.toml": RULES})
    code, out, err = ask(capsys, "apply")
    assert (code, out) == (0, "")
    assert "the rules on the branch are now in force for later changes" in err
    assert "without MODELS" not in err
