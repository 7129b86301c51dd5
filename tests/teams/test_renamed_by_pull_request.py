"""A pull request renames a model. Between its merge and `apply`, the stage tags still have the old name.

Both names must lead to the version in force. The tests also cover the plan, and proposals made before the rename.
"""

import json

import pytest
from editing import BRANCH, edit, run
from hosting import merge_commit
from transcripts import ask

from gitmodel import Client
from gitmodel.registry.health import checking
from gitmodel.teams.checks.range_checks import check_between


@pytest.fixture
def repo(code_repo, monkeypatch):
    """A registry with iris@1, which is in production and has the alias champion, and iris@2."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        iris = client.register_model("iris")
        iris.create_version("first").set_stage("production")
        iris.get_version(1).add_alias("champion")
        iris.create_version()
        client.register_model("rose").create_version().set_stage("production")
    return code_repo


def on_a_branch(repo, name, *commands, capsys):
    """Create the branch *name* from the metadata branch, and run *commands* on it, as for a pull request.

    Restores the tags, because a pull request moves no tags.
    """
    run(repo, "branch", name, BRANCH)
    tags = run(repo, "for-each-ref", "--format=create %(refname) %(objectname)", "refs/tags")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITMODEL_BRANCH", name)
        for command in commands:
            assert ask(capsys, *command.split())[0] == 0
    now = run(repo, "for-each-ref", "--format=delete %(refname)", "refs/tags")
    run(repo, "update-ref", "--stdin", input=f"{now}\n".encode())
    run(repo, "update-ref", "--stdin", input=f"{tags}\n".encode())


@pytest.fixture
def renamed(repo, capsys):
    """The pull request that renames iris to flower was merged, and `apply` has not run."""
    on_a_branch(repo, "rename", "update iris --rename flower", capsys=capsys)
    merge_commit(repo, "rename")
    return repo


@pytest.mark.parametrize("reference", ["iris@production", "flower@production", "iris@champion", "flower@champion"])
def test_both_names_lead_to_the_version_in_force_until_apply(renamed, capsys, reference):
    assert ask(capsys, "resolve", reference) == (0, "flower@1\n", "")
    assert ask(capsys, "apply")[0] == 0
    assert ask(capsys, "resolve", reference) == (0, "flower@1\n", "")
    assert run(renamed, "for-each-ref", "--format=%(refname)", "refs/tags").split() == [
        "refs/tags/model/flower/champion",
        "refs/tags/model/flower/production",
        "refs/tags/model/rose/production",
    ]
    assert ask(capsys, "apply") == (0, "", "nothing was pending\n")


def test_lists_show_the_stage_of_a_renamed_model_as_in_force_and_not_as_pending(renamed, capsys):
    code, out, err = ask(capsys, "list", "--format", "json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert (code, err, "iris" in rows) == (0, "", False)
    assert (rows["flower"]["stages"], rows["flower"]["pending"]) == ({"production": 1}, [])
    with Client(renamed) as client:
        assert client.get_version("iris@production").reference == "flower@1"
        assert client.get_version("flower@production").stage == "production"


@pytest.mark.parametrize("reference", ["iris@production", "flower@production"])
def test_by_url_both_names_lead_to_the_version_in_force(renamed, capsys, git, tmp_path, reference):
    git(tmp_path, "clone", "-q", "--mirror", str(renamed), "bare.git")
    code, out, _ = ask(capsys, "--repo", (tmp_path / "bare.git").as_uri(), "resolve", reference)
    assert (code, out.split("@")[1]) == (0, "1\n")


def test_a_promotion_before_apply_leaves_no_tag_of_the_previous_name(renamed, capsys):
    assert ask(capsys, "promote", "flower@2", "production")[0] == 0
    assert ask(capsys, "resolve", "iris@production") == (0, "flower@2\n", "")
    assert ask(capsys, "demote", "flower", "production")[0] == 0
    assert ask(capsys, "resolve", "flower@production")[0] == 3
    assert ask(capsys, "demote", "rose", "production")[0] == 0
    assert "model/iris/production" not in run(renamed, "for-each-ref")


def test_demoting_a_renamed_model_before_apply_removes_its_old_tag(renamed, capsys):
    assert ask(capsys, "demote", "flower", "production")[0] == 0
    assert ask(capsys, "resolve", "iris@production")[0] == 3
    assert "model/iris/production" not in run(renamed, "for-each-ref")


def test_a_promotion_in_the_pull_request_that_renames_is_pending_until_apply(repo, capsys):
    on_a_branch(repo, "rename", "update iris --rename flower", "promote flower@2 production", capsys=capsys)
    code, out, _ = ask(capsys, "plan", "gitmodel..rename", "--format", "json")
    (change,) = json.loads(out)["changes"]
    assert (code, change["model"], change["previous"], change["version"]) == (0, "flower", 1, 2)
    merge_commit(repo, "rename")
    assert ask(capsys, "resolve", "iris@production") == (0, "flower@1\n", "")
    assert ask(capsys, "apply")[0] == 0
    assert ask(capsys, "resolve", "iris@production") == (0, "flower@2\n", "")


@pytest.mark.parametrize("stage", ["production", "staging"])
def test_messages_about_a_squashed_rename_in_a_reviewed_stage_name_the_command_that_applies_it(repo, capsys, stage):
    """No message may advise a rollback, because a rollback does not revert a rename."""
    guarded = f'format = "1.2"\n\n[[stages]]\nname = "{stage}"\nproposal_only = true\n'
    if stage == "staging":
        ask(capsys, "promote", "iris@2", "staging")
        guarded += '\n[[stages]]\nname = "production"\n'
    edit(repo, {"gitmodel.toml": guarded})
    assert ask(capsys, "apply")[0] == 0
    on_a_branch(repo, "rename", "propose --rename iris flower", capsys=capsys)
    proposed = run(repo, "for-each-ref", "--format=%(objectname)", "refs/heads/propose").split()[-1]
    base = run(repo, "rev-parse", BRANCH)
    squashed = run(repo, "commit-tree", f"{proposed}^{{tree}}", "-p", base, "-m", "Rename (#1)")
    run(repo, "update-ref", BRANCH, squashed, base)
    way_out = f"git model apply --reviewed {squashed[:10]}"
    for words in (["doctor"], ["apply"], ["show", "flower"]):
        _, out, err = ask(capsys, *words)
        assert "rollback" not in out + err, words
        assert way_out in out + err or words[0] == "show", words
    assert ask(capsys, *way_out.split()[2:])[0] == 0
    assert "no problems found" in "".join(ask(capsys, "doctor")[1:])
    assert ask(capsys, "resolve", f"flower@{stage}")[0] == 0


def test_after_two_renames_before_apply_all_three_names_lead_to_the_version_in_force(renamed, capsys):
    on_a_branch(renamed, "again", "update flower --rename plant", capsys=capsys)
    merge_commit(renamed, "again")
    for name in ("iris", "flower", "plant"):
        assert ask(capsys, "resolve", f"{name}@production") == (0, "plant@1\n", "")
    assert ask(capsys, "apply", "plant")[0] == 0
    assert ask(capsys, "resolve", "iris@production") == (0, "plant@1\n", "")
    tags = run(renamed, "for-each-ref", "--format=%(refname)", "refs/tags").split()
    assert [tag for tag in tags if "iris" in tag or "flower" in tag] == []


def test_a_plan_shows_a_rename_as_a_rename_and_not_as_an_emptied_stage(repo, capsys):
    on_a_branch(repo, "rename", "update iris --rename flower", capsys=capsys)
    code, out, _ = ask(capsys, "plan", "gitmodel..rename")
    assert (code, out) == (0, "iris is renamed to flower; its stages do not change\n")
    code, out, _ = ask(capsys, "plan", "gitmodel..rename", "--markdown")
    assert (code, "is renamed to" in out, "empty" in out) == (0, True, False)
    code, out, _ = ask(capsys, "plan", "gitmodel..rename", "--format", "json")
    planned = json.loads(out)
    assert (planned["changes"], planned["versions"]) == ([], [])
    assert planned["renamed"] == [{"model": "iris", "to": "flower"}]


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_doctor_repairs_the_merge_of_a_proposal_made_before_the_rename(repo, capsys, stage):
    assert ask(capsys, "propose", "iris@2", stage)[0] == 0
    proposal = run(repo, "for-each-ref", "--format=%(refname)", "refs/heads/propose")
    on_a_branch(repo, "rename", "update iris --rename flower", capsys=capsys)
    merge_commit(repo, "rename")
    with Client(repo) as client:
        found = check_between(client.repository, run(repo, "rev-parse", BRANCH), run(repo, "rev-parse", proposal))
        before = {problem.rule for problem in found.problems}
    merge_commit(repo, proposal)
    ask(capsys, "apply")
    assert ask(capsys, "doctor", "--fix")[0] == 0
    with Client(repo) as client:
        assert checking.check(client.repository) == []
    assert before <= {"model.tombstone", "change.conflict"}
    assert ask(capsys, "check")[0] == 0
    assert ask(capsys, "resolve", "iris@production")[0] == 0


def test_doctor_removes_a_file_that_a_merge_left_under_the_previous_name(renamed, capsys):
    stage = run(renamed, "cat-file", "blob", f"{BRANCH}:models/flower/stages/production.toml") + "\n"
    edit(renamed, {"models/iris/stages/staging.toml": stage, "models/iris/stages/archived/2.toml": "archived = true\n"})
    code, out, err = ask(capsys, "check")
    assert (code, "git model doctor --fix" in out + err) == (5, True)
    assert ask(capsys, "doctor", "--fix")[0] == 0
    assert ask(capsys, "check")[0] == 0
    assert ask(capsys, "resolve", "flower@production") == (0, "flower@1\n", "")
