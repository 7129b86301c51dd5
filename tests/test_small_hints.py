"""Hints of errors fit the registry: they do not advise a remote, stage or command that the registry does not have."""

import re

import editing
import pytest
from transcripts import ask

from gitmodel import Client, Conflict, NotFound
from gitmodel.pipelines.reproduction.rerun_process import find_pipeline

RULES = 'format = "1.2"\n\n[[stages]]\nname = "staging"\n\n[[stages]]\nname = "production"\nproposal_only = true\n'
STAGE = "models/iris/stages/production.toml"


@pytest.fixture
def repo(code_repo, monkeypatch):
    """The current folder: a repository with a registry, in which iris has two versions."""
    monkeypatch.chdir(code_repo)
    with Client(code_repo) as client:
        client.register_model("iris").create_version()
        client.get_model("iris").create_version()
    return code_repo


def test_the_hint_for_a_registry_without_stages_names_the_key_of_gitmodel_toml(repo, capsys):
    editing.edit(repo, {"gitmodel.toml": 'format = "1.2"\nstages = []\n'})
    code, _, err = ask(capsys, "promote", "iris@1", "production")
    assert code == 2
    assert err == (
        "error: there is no stage 'production'\n"
        "hint: gitmodel.toml lists no stages; list them as [[stages]] tables, each with a name\n"
    )


def test_apply_advises_a_proposal_for_a_stage_that_accepts_only_proposals(repo, capsys):
    ask(capsys, "promote", "iris@1", "production")
    editing.edit(repo, {"gitmodel.toml": RULES})
    ask(capsys, "apply")
    stage = editing.read(repo, STAGE)
    editing.edit(repo, {STAGE: stage.replace("version = 1", "version = 2")})
    code, _, err = ask(capsys, "apply")
    assert code == 6
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
