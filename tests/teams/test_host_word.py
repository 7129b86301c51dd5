"""CI jobs that use the API of the host: `plan --comment` posts the plan, and `apply --ask-host` asks about reviews.

With `--ask-host`, a change of a proposal_only stage counts only if the host knows an approved and merged pull request
with its commit.
"""

from contextlib import contextmanager

import editing
import pytest
from editing import BRANCH, edit
from fake_host import fake_host, review
from stage_rules import PROPOSAL_ONLY, STAGE, register_iris, stage_text
from transcripts import ask

from gitmodel import Client
from gitmodel.errors import Refused, Unreachable, UsageError
from gitmodel.hosts import api
from gitmodel.hosts.api import read_job

KINDS = ("github", "forgejo", "gitlab")


@contextmanager
def job_at(kind, monkeypatch, tmp_path):
    """Start the fake API of a host, and set the environment variables that a CI job of this host has."""
    with fake_host(kind) as host:
        for name, value in host.variables(tmp_path / "event.json").items():
            monkeypatch.setenv(name, value)
        yield host


@pytest.fixture(params=KINDS)
def host(request, monkeypatch, tmp_path):
    with job_at(request.param, monkeypatch, tmp_path) as host:
        yield host


@pytest.fixture
def github(monkeypatch, tmp_path):
    with job_at("github", monkeypatch, tmp_path) as host:
        yield host


@pytest.fixture
def client(code_repo):
    """A registry in which version 1 entered production before this stage accepted only reviewed changes."""
    with Client(code_repo) as client:
        register_iris(client, None, None, None, production=1)
        edit(code_repo, {"gitmodel.toml": PROPOSAL_ONLY})
        yield client


def tip(repo):
    return editing.run(repo, "rev-parse", BRANCH)


def record(client, number):
    """Commit that version *number* is in production, and move no tag, as a squash merge or a direct commit does."""
    edit(client.repository.common_dir, {STAGE: stage_text(client.get_model("iris"), number)})


def merge(repo):
    """Replace the newest commit by a merge that looks like a merged proposal. Anybody who may push can do this."""
    new, old = editing.run(repo, "rev-parse", BRANCH, f"{BRANCH}~1").split()
    tree = editing.run(repo, "rev-parse", f"{new}^{{tree}}")
    made = editing.run(repo, "commit-tree", tree, "-p", old, "-p", new, "-m", "Merge")
    editing.run(repo, "update-ref", BRANCH, made)


def refused(client):
    return {ref.stage: why for ref, why in client.apply(ask_host=True).refused}


def test_apply_with_ask_host_puts_only_an_approved_commit_in_force(host, client, repo):
    record(client, 2)
    assert refused(client) == {
        "production": f"the host knows of no approved pull request that brought {tip(repo)[:10]}"
    }
    host.approve(tip(repo))
    done = client.apply(ask_host=True)
    assert ([str(ref.stage) for ref in done.moved], done.refused) == (["production"], ())
    assert client.get_version("iris@production").number == 2


def test_apply_with_ask_host_refuses_a_merge_that_was_made_by_hand(host, client, repo):
    record(client, 2)
    merge(repo)
    assert "the host knows of no" in refused(client)["production"]
    assert client.apply().moved  # a merge commit counts as a review if the host is not asked


@pytest.mark.parametrize("how", [{"by": ()}, {"by": ("ada",)}, {"base": "main"}])
def test_apply_with_ask_host_refuses_a_pull_request_without_approval_or_to_another_branch(host, client, repo, how):
    record(client, 2)
    host.approve(tip(repo), **how)
    assert "the host knows of no" in refused(client)["production"]


def test_apply_with_ask_host_refuses_a_pull_request_that_is_not_merged(host, client, repo):
    record(client, 2)
    host.approve(tip(repo), state="opened", merged=False, merged_at=None)
    assert "the host knows of no" in refused(client)["production"]


@pytest.mark.parametrize(
    ("reviews", "counts"),
    [
        ([review("bob", "old")], False),
        ([review("bob", "head"), review("bob", "head", "CHANGES_REQUESTED")], False),
        ([review("bob", "head", "CHANGES_REQUESTED"), review("bob", "head")], True),
        ([review("bob", "head"), review("bob", "head", "COMMENTED")], True),
        ([review("bob", "head"), review("eve", "head", "CHANGES_REQUESTED")], False),
        ([review("bob", "head"), review("bob", "head", "DISMISSED")], False),
        ([review("bob", "head", official=False)], False),
        ([review("bob", "head", stale=True)], False),
        ([review("x", "h", "COMMENTED"), review("y", "h", "COMMENTED"), review("bob", "head")], True),
    ],
)
def test_only_the_last_review_of_each_person_on_the_last_commit_counts(github, reviews, counts):
    github.approve("c" * 40, head="head")
    github.answers["/pulls/5/reviews"] = reviews
    assert api.is_approved(read_job(environ(github)), "c" * 40, "gitmodel") is counts


def environ(host):
    import os

    return dict(os.environ)


def test_apply_with_ask_host_refuses_rules_that_were_loosened_by_hand(github, client, repo):
    """Anybody who may push can change the rules, so `apply` also asks the host whether rule changes were reviewed."""
    edit(repo, {"gitmodel.toml": PROPOSAL_ONLY.replace("proposal_only = true\n", "")})
    loosened = tip(repo)
    edit(repo, {"gitmodel.toml": PROPOSAL_ONLY.replace("proposal_only = true\n", 'rollback = "direct"\n')})
    record(client, 2)
    editing.run(repo, "update-ref", "-d", "refs/tags/model/iris/production")
    assert refused(client) == {
        "production": f"{loosened[:10]} changed the rules of production, and the host knows of no approved pull request"
    }
    github.approve(loosened)
    assert client.apply(ask_host=True).moved


def test_stages_without_proposal_only_are_applied_without_asking_the_host(github, client, repo):
    client.get_version("iris@2").set_stage("staging")
    editing.run(repo, "update-ref", "-d", "refs/tags/model/iris/staging")
    assert [ref.stage for ref in client.apply(ask_host=True).moved] == ["staging"]
    assert github.seen == []


def test_apply_with_ask_host_accepts_a_direct_rollback_to_a_reviewed_version(github, client, repo):
    edit(repo, {"gitmodel.toml": PROPOSAL_ONLY + 'rollback = "direct"\n'})
    github.approve(tip(repo))
    first = editing.run(repo, "log", "-1", "--format=%H", BRANCH, "--", STAGE)
    record(client, 2)
    record(client, 1)
    editing.run(repo, "update-ref", "-d", "refs/tags/model/iris/production")
    assert "the host knows of no" in refused(client)["production"]
    github.approve(first)
    assert client.apply(ask_host=True).moved


def test_apply_with_reviewed_and_ask_host_puts_the_named_commit_in_force(github, client, repo):
    record(client, 2)
    assert client.apply(ask_host=True, reviewed=[tip(repo)]).moved


def test_a_host_that_does_not_answer_blocks_only_changes_that_need_a_review(host, client, repo):
    record(client, 2)
    client.get_version("iris@3").set_stage("staging")
    editing.run(repo, "update-ref", "-d", "refs/tags/model/iris/staging")
    host.fails = (502, {"message": "Bad Gateway"})
    done = client.apply(ask_host=True)
    assert [ref.stage for ref in done.moved] == ["staging"]
    assert "answers 502: Bad Gateway" in done.refused[0][1]


def test_the_message_of_the_host_is_shown_if_it_refuses_the_token(host, client, repo, monkeypatch):
    record(client, 2)
    for name in ("GITHUB_TOKEN", "GITMODEL_HOST_TOKEN"):
        monkeypatch.setenv(name, "an0ther")
    with Client(repo) as other:
        why = refused(other)["production"]
    assert "answers 403: Resource not accessible" in why
    assert "an0ther" not in why


def test_a_request_with_the_token_follows_no_redirect(github):
    github.fails = (302, {})
    with pytest.raises(Refused, match="answers 302"):
        api.is_approved(read_job(environ(github)), "c" * 40, "gitmodel")


def test_an_invalid_address_of_the_host_is_reported_as_unreachable():
    job = read_job({"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_REPOSITORY": "org/models", "GITHUB_TOKEN": "t0ken"})
    assert "t0ken" not in repr(job)
    with pytest.raises(Unreachable, match="does not answer"):
        api.is_approved(job, "c" * 40, "gitmodel")
    with pytest.raises(UsageError, match="does not run for a pull request"):
        api.put_comment(job, "text", "text")
    with pytest.raises(UsageError, match="this is not a job"):
        read_job({})


def test_plan_posts_one_comment_and_updates_it_later(host, client, repo, capsys, monkeypatch):
    monkeypatch.chdir(repo)
    host.comments.update({1: "First!", 2: "<!-- other -->", 3: "x"})
    client.get_version("iris@2").set_stage("staging")
    for version in (2, 3):
        client.get_version(f"iris@{version}").set_stage("staging")
        code, out, err = ask(capsys, "plan", "gitmodel~1..gitmodel", "--markdown", "--comment")
        assert (code, err) == (0, "")
        assert host.comments[4] == out
    assert "staging 2 → 3" in host.comments[4]
    assert len(host.comments) == 4


def test_a_plan_comment_that_cannot_be_written_is_only_a_warning(github, client, repo, capsys, monkeypatch):
    monkeypatch.chdir(repo)
    github.fails = (403, {"message": "Resource not accessible by integration"})
    code, out, err = ask(capsys, "plan", "gitmodel~1..gitmodel", "--comment")
    assert (code, out) == (
        0, "rule of a stage: production: proposal_only false -> true\ncontrols permissions: gitmodel.toml\n"
    )  # fmt: skip
    assert err.startswith("warning: the comment is not written: ")
    assert "answers 403: Resource not accessible by integration" in err


def test_a_plan_that_is_longer_than_a_comment_is_shortened(github):
    api.put_comment(read_job(environ(github)), "<!-- x -->" + "y" * 70_000, "<!-- x -->")
    assert len(github.comments[1]) < 61_000


def test_apply_ask_host_outside_of_a_job_is_refused(client, repo, capsys, monkeypatch):
    monkeypatch.chdir(repo)
    code, _, err = ask(capsys, "apply", "--ask-host")
    assert (code, "this is not a job of GitHub, GitLab or Forgejo" in err) == (2, True)
