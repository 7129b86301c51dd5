"""Commands in a repository without a registry: a command that reads creates none, and the first change creates one."""

from itertools import count

import pytest
from transcripts import fail, succeed

from gitmodel import Client, NotFound


def test_the_error_for_a_model_in_a_repository_without_a_registry_says_that_there_is_no_model(code_repo, git):
    with Client(code_repo) as client, pytest.raises(NotFound, match="there is no model iris"):
        client.get_model("iris")
    assert git(code_repo, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_without_a_registry_the_list_of_models_is_empty(code_repo):
    with Client(code_repo) as client:
        assert client.list_models() == ()


def test_apply_check_and_plan_without_a_registry_fail(code_repo, git, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    for command in (["apply"], ["apply", "--format", "json"], ["check"], ["plan"]):
        assert "there is no registry yet" in fail(capsys, 3, *command)
    with Client(code_repo) as client, pytest.raises(NotFound, match="there is no registry yet"):
        client.apply()
    assert git(code_repo, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_push_and_pull_report_that_neither_side_has_a_registry(code_repo, monkeypatch, capsys, origin):
    monkeypatch.chdir(code_repo)
    for command in ("push", "pull"):
        assert succeed(capsys, command) == "there is no registry yet, neither here nor at origin\n"


def test_a_transaction_creates_the_registry_although_its_commits_have_different_dates(code_repo, monkeypatch):
    """Without a registry, the ref that reserves a version number points at a first commit made for the reservation.

    If the transaction takes longer than a second, the first commit of the branch has another date than this commit.
    """
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.delenv(name)
    seconds = count(1_790_000_000)
    monkeypatch.setattr("time.time", lambda: next(seconds))
    with Client(code_repo) as client:
        with client.transaction("the first version") as change:
            change.register_model("iris").create_version().set_stage("production")
        assert client.get_version("iris@production").number == 1


def test_a_transaction_can_create_the_registry_with_an_external_artifact(code_repo, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("a\n1\n")
    with Client(code_repo) as client:
        with client.transaction("the first version") as change:
            version = change.register_model("iris").create_version()
            version.link_external("data", data)
            version.set_stage("production")
        assert client.get_version("iris@production").get_artifact("data").uri
        assert not client.check()
