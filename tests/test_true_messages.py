"""Messages are true: if a filter or page hides all rows, the message says so. Hints fit the command and the registry.

For example, no hint recommends `git model pull` in a registry without a remote.
"""

import pickle
import re

import editing
import pytest
from transcripts import ask, end_with, fail, succeed

from gitmodel import Client, Conflict, NotFound, Refused
from gitmodel.pipelines.reproduction.rerun_process import find_pipeline

RULES = 'format = "1.2"\n\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\nproposal_only = true\n'
STAGE = "models/iris/stages/production.toml"


@pytest.fixture
def repo(code_repo, monkeypatch):
    """The current folder: a repository with a registry, in which iris@1 has an artifact and an alias."""
    monkeypatch.chdir(code_repo)
    (code_repo / "train.csv").write_text("a,b\n1,2\n")
    with Client(code_repo) as client:
        version = client.register_model("iris").create_version(data={"train": code_repo / "train.csv"})
        version.add_alias("champion")
    return code_repo


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("version", "artifacts", "iris@1", "--filter", 'kind == "deployment"'), "no artifact matches"),
        (("version", "artifacts", "iris@1", "--offset", "1"), "no artifact in this part of the list"),
        (("version", "artifacts", "iris@1", "--limit", "0"), "no artifact in this part of the list"),
        (("version", "list", "iris", "--offset", "1"), "no version in this part of the list"),
        (("version", "runs", "iris@1", "--filter", 'status == "failed"'), "no run matches"),
        (("alias", "list", "iris", "--filter", 'alias == "chmpion"'), "no alias matches"),
        (("list", "--offset", "1"), "no model in this part of the list"),
        (("history", "iris", "--offset", "99"), "no event in this part of the list"),
        (("version", "model_objects", "iris@1"), "iris@1 has no model objects"),
    ],
)
def test_the_message_for_an_empty_list_says_if_a_filter_or_page_is_the_reason(repo, capsys, words, said):
    code, out, err = ask(capsys, *words)
    assert (code, f"{out}{err}".strip()) == (0, said)


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_check_and_doctor_with_a_filter_that_hides_every_fault_still_report_faults(repo, capsys, git, command):
    editing.edit(repo, {"models/iris/versions/1.toml": "number = 'no'\n"})
    git(repo, "update-ref", "refs/tags/model/iris/production", "HEAD")
    assert ask(capsys, command)[0] == 5
    _, out, err = ask(capsys, command, "--filter", 'message == "nothing says this"')
    noun = {"check": "problem", "doctor": "finding"}[command]
    assert f"no {noun} matches" in out + err
    assert "every record is" not in out + err
    assert "no problems found" not in out + err


def test_the_error_for_an_artifact_that_is_loaded_only_with_trust_names_the_artifact_and_no_file(repo, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([1]))
    with Client(repo) as client:
        version = client.get_model("iris").create_version(model_objects={"classifier": tmp_path / "model.pkl"})
        with pytest.raises(Refused, match=r"^classifier of iris@2 is a pickle file: ") as caught:
            version.get_artifact("classifier").load()
    assert "/artifact" not in str(caught.value)


@pytest.mark.parametrize("command", ["plan", "check"])
def test_the_hint_for_an_invalid_range_shows_a_valid_range(repo, capsys, command):
    err = fail(capsys, 2, command, "..")
    assert err == "error: '..' is not BASE..HEAD\nhint: name two commits, for example gitmodel..HEAD\n"


@pytest.mark.parametrize("command", ["pull", "push", "propose"])
def test_commands_on_a_bundle_advise_to_clone_it_and_not_to_add_a_remote(repo, capsys, git, tmp_path, command):
    git(repo, "bundle", "create", "-q", str(tmp_path / "iris.bundle"), "gitmodel", "--tags")
    words = ("iris@1", "production", "--push") if command == "propose" else ()
    code, _, err = ask(capsys, "--repo", str(tmp_path / "iris.bundle"), command, *words)
    assert (code, "git clone --mirror" in err, "remote add" in err) == (2 if command == "propose" else 3, True, False)
    succeed(capsys, "--repo", str(tmp_path / "iris.bundle"), "config")


def test_push_counts_the_tag_of_an_alias_as_a_tag_and_not_as_a_stage(repo, capsys, git, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "hub.git")
    git(tmp_path, "init", "-q", "--bare", "store")
    git(repo, "remote", "add", "origin", str(tmp_path / "hub.git"))
    ask(capsys, "init", "--store", (tmp_path / "store").as_uri())
    assert ", 1 tag to origin" in succeed(capsys, "push")


def test_the_hint_for_a_registry_without_stages_names_the_key_of_gitmodel_toml(repo, capsys):
    editing.edit(repo, {"gitmodel.toml": 'format = "1.2"\nstages = []\n'})
    err = fail(capsys, 2, "promote", "iris@1", "production")
    assert err == (
        "error: there is no stage 'production'\n"
        "hint: gitmodel.toml lists no stages; list them as [[stages]] tables, each with a name\n"
    )


def test_apply_advises_a_proposal_for_a_stage_that_accepts_only_proposals(repo, capsys):
    ask(capsys, "version", "create", "iris")
    ask(capsys, "promote", "iris@1", "production")
    editing.edit(repo, {"gitmodel.toml": RULES})
    ask(capsys, "apply")
    stage = editing.read(repo, STAGE)
    editing.edit(repo, {STAGE: stage.replace("version = 1", "version = 2")})
    _, err = end_with(capsys, 6, "apply")
    assert "`git model propose MODEL@VERSION STAGE` to record something else" in err
    assert "promote or demote again" not in err


@pytest.mark.parametrize("remote", [False, True])
def test_a_hint_recommends_git_model_pull_only_if_there_is_a_remote(repo, capsys, git, tmp_path, remote):
    editing.edit(repo, {"gitmodel.toml": RULES})
    git(repo, "for-each-ref", "refs/tags/gitmodel-rules")
    for ref in git(repo, "for-each-ref", "--format=%(refname)", "refs/tags/gitmodel-rules", "refs/gitmodel").split():
        git(repo, "update-ref", "-d", ref)
    if remote:
        git(tmp_path, "init", "-q", "--bare", "remote.git")
        git(repo, "remote", "add", "origin", str(tmp_path / "remote.git"))
    code, _, err = ask(capsys, "apply", "iris")
    assert (code, "did not know which rules are in force" in err) == (0, True)
    assert ("git model pull" in err, "hint: `git model apply` without MODELS" in err) == (remote, not remote)
    # The command that the hint recommends must not print the same hint again.
    code, _, err = ask(capsys, "apply", *(["--push"] if remote else []))
    assert (code, "did not know which rules are in force" in err) == (0, True)
    assert "hint: the rules on the branch are now in force for later changes" in err


def test_plan_in_a_shallow_clone_warns_that_the_clone_is_shallow(repo, capsys, git, tmp_path, monkeypatch):
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", repo.as_uri(), "shallow")
    git(tmp_path / "shallow", "branch", "gitmodel", "origin/gitmodel")
    monkeypatch.chdir(tmp_path / "shallow")
    code, out, err = ask(capsys, "plan")
    assert (code, "no stage and no alias changes" in out) == (0, True)
    assert "this clone is shallow" in err
    assert "git fetch --unshallow" in err
    monkeypatch.chdir(repo)
    assert "shallow" not in ask(capsys, "plan")[2]


def test_errors_for_an_existing_model_and_a_missing_repository_have_a_hint_for_python(repo, tmp_path, monkeypatch):
    with Client(repo) as client, pytest.raises(Conflict) as caught:
        client.register_model("iris")
    assert "in Python: exist_ok=True" in caught.value.hint
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(NotFound, match=re.escape(str(elsewhere))):
        Client(elsewhere).list_models()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(NotFound) as missing:
        Client().list_models()
    assert "in Python: Client(repo=PATH)" in missing.value.hint


def test_the_error_for_a_pipeline_that_the_recorded_commit_lacks_says_that_it_was_not_committed(tmp_path):
    with pytest.raises(NotFound, match=r"train\.py, which has the pipeline, is not in the recorded commit") as caught:
        find_pipeline(tmp_path / "train.py", None, "train")
    assert caught.value.hint.startswith("it was not committed when the run began")
