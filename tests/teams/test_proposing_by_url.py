"""`propose` in a registry by URL pushes the proposal immediately. Plans use the current state of the server."""

import subprocess
from functools import partial

import editing
import pytest
from hosting import Host, merge_within, write_hook
from teamwork import BRANCH, assert_sound, refs
from transcripts import ask

from gitmodel import Conflict, GateRefused, NotFound, Refused, Unreachable, UsageError
from gitmodel.domain.schema.refs import StageRef
from gitmodel.registry import setup

PRODUCTION = StageRef("iris", "production")
GATED = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.3"\n'


def branches(bare):
    command = ["git", "-C", str(bare), "for-each-ref", "--format=%(refname:short)", "refs/heads/propose"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_a_proposal_is_created_merged_and_applied_by_url_without_a_clone(team, job, ada, host, bare, tmp_path):
    before = refs(bare)
    made = job.propose(("iris@3", "production"), reason="better")
    assert made.pushed
    assert branches(bare) == [made.branch]
    assert refs(bare) == before
    assert [(change.old, change.new, change.who) for change in made.plan.changes] == [(2, 3, "job")]
    other = team.by_url("other", host.registry)
    (found,) = other.list_proposals()
    assert (found.branch, found.commit, found.author, found.pushed) == (made.branch, made.commit, "job", True)
    assert other.plan() == other.plan(f"..{made.branch}") == other.plan(f"gitmodel..{made.branch}") == found.plan
    assert other.check_between(f"gitmodel..{made.branch}").problems == ()
    assert Host(tmp_path, bare).merge(made.branch, "squash")
    assert other.list_proposals() == job.list_proposals() == []
    assert other.get_version("iris@production").number == 2
    assert job.apply().moved == (PRODUCTION,)
    assert other.get_version("iris@production").number == 3
    ada.pull()
    assert refs(ada.repository.common_dir) == refs(bare)
    assert_sound(bare)


def test_a_proposal_is_based_on_the_servers_current_tip(team, ada, host, bare):
    job = team.by_url("job", host.registry, max_age=3600)
    assert job.get_model("iris").list_versions()
    ada.get_model("iris").create_version()
    ada.push()
    made = job.propose(("iris@4", "production"))
    assert made.base == refs(bare)[BRANCH]


def test_a_proposal_behind_its_base_is_judged_by_the_result_of_its_merge(team, job, ada, host):
    made = job.propose(("iris@3", "production"))
    ada.get_version("iris@3").delete(reason="wrong data")
    ada.push()
    (found,) = team.by_url("cold", host.registry).list_proposals()
    assert found.branch == made.branch
    assert "stage.usable" in {problem.rule for problem in found.plan.problems}


def test_a_refused_proposal_leaves_no_branch_on_the_server(team, job, ada, host, bare, git):
    for error, words in (
        (Conflict, ("iris@2", "production")),
        (NotFound, ("iris@9", "production")),
        (UsageError, ("iris@3", "nowhere")),
    ):
        with pytest.raises(error):
            job.propose(words)
    with pytest.raises(UsageError, match=r"is .* itself"):
        job.propose(("iris@3", "production"), remote="origin")
    with pytest.raises(Unreachable, match="offline"):
        team.by_url("job", host.registry, offline=True).propose(("iris@3", "production"))
    git(bare, "init", "-q", "--bare", "../empty.git")
    with pytest.raises(NotFound, match="no registry yet"):
        team.by_url("job", (bare.parent / "empty.git").as_uri()).propose(("iris@3", "production"))
    assert branches(bare) == []


def test_the_messages_of_a_failing_gate_and_of_a_server_hook_are_shown(job, ada, bare):
    rules = editing.read(bare, "gitmodel.toml")
    editing.edit(bare, {"gitmodel.toml": rules.replace('name = "production"\n', f'name = "production"\n{GATED}')})
    with pytest.raises(GateRefused):
        job.propose(("iris@2", "staging"), ("iris@1", "production"))
    write_hook(bare, "pre-receive", "echo 'no proposals on Fridays' >&2\nexit 1")
    with pytest.raises(Refused, match="no proposals on Fridays"):
        job.propose(("iris@3", "production"))
    assert branches(bare) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_connection_leaves_one_proposal_or_none_and_the_error_says_which(job, host, bare, when):
    job.list_models()
    host.cut = ("POST", "git-receive-pack", when)
    if when == "after":
        made = job.propose(("iris@3", "production"))
        assert branches(bare) == [made.branch]
    else:
        with pytest.raises(Unreachable, match="cannot be pushed to"):
            job.propose(("iris@3", "production"))
        assert branches(bare) == []


def test_the_list_of_proposals_offline_has_the_proposals_that_were_last_fetched(team, job, host):
    with pytest.raises(Unreachable, match="not in the cache"):
        team.by_url("job", host.registry, offline=True).list_proposals()
    made = job.propose(("iris@3", "production"))
    job.list_proposals()
    seen = len(host.seen)
    offline = team.by_url("job", host.registry, offline=True)
    assert [one.branch for one in offline.list_proposals()] == [made.branch]
    assert len(host.seen) == seen


def test_by_url_the_output_of_propose_shows_the_next_steps(team, ada, bare, capsys, monkeypatch, tmp_path):
    setup.begin(ada.repository, store=team.store)
    ada.push()
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    by_url = partial(ask, capsys, "--repo", bare.as_uri())
    assert by_url("proposals") == (0, "", "no proposal is open\n")
    code, out, err = by_url("propose", "iris@3", "production", "--reason", "better")
    (branch,) = branches(bare)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:2] == [
        f"Promote iris 3 to production: proposed on the branch {branch}, to be merged into gitmodel",
        f"open a pull request of {branch} to gitmodel at your host",
    ]
    assert lines[2].startswith(f"its text is in: {tmp_path / 'cache'}")
    code, out, err = by_url("proposals")
    assert (code, out.splitlines()[1].split()) == (
        0,
        [branch, "iris", "production", "2", "->", "3", "Ada", "Example", "pass"],
    )
    assert by_url("check", f"gitmodel..{branch}") == (0, "", "the change is valid\n")
    code, out, err = by_url("plan")
    assert (code, out.splitlines()[0]) == (0, "iris: production 2 -> 3")
    merge_within(bare, ada.list_proposals()[0])
    code, out, err = by_url("apply")
    assert (code, out.splitlines()[1].split()) == (0, ["iris", "production", "2", "->", "3", "in", "force"])
    assert_sound(bare)
