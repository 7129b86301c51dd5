"""Promotion by pull request: `propose` creates a branch, a host merges it in one of three ways, `apply` follows."""

import editing
import pytest
from hosting import Host, git
from stage_rules import BETTER, PROPOSAL_ONLY
from teamwork import BRANCH, refs, states
from transcripts import ask

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import GateRefused, NotFound, Refused
from gitmodel.hosts.addresses import find_host
from gitmodel.registry.health.checking import check
from gitmodel.teams.proposing.open_proposals import list_proposals

TAG = "refs/tags/model/iris/production"
RULED = f"{PROPOSAL_ONLY}\n{BETTER}"


@pytest.fixture
def host(ada, team, bare):
    return Host(team.folder, bare)


def promote(client, reference, stage="production", **more):
    return client.propose((reference, stage), push=True, **more)


def entry(proposal):
    """Return the change of production in the plan of the proposal. Fails unless there is exactly one."""
    (change,) = [change for change in proposal.plan.changes if change.place == "production"]
    return change


def faults(proposal):
    return [(problem.rule, problem.message) for problem in proposal.plan.problems]


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_apply_creates_the_same_stage_tag_in_each_clone_after_each_kind_of_merge(ada, bob, host, bare, how):
    proposal = promote(bob, "iris@3", reason="better on virginica")
    assert states(bob.get_model("iris")) == {"production": (2, 2)}
    assert git(bare, "diff", "--name-status", "gitmodel", proposal.branch).split() == [
        "A", "models/iris/stages/archived/2.toml", "M", "models/iris/stages/production.toml",
    ]  # fmt: skip
    # pushes another commit to the metadata branch before the merge
    ada.get_model("iris").create_version()
    ada.push()
    assert host.merge(proposal.branch, how)
    ada.pull()
    assert states(ada.get_model("iris")) == {"production": (3, 2)}
    assert ada.apply().moved == (StageRef("iris", "production"),)
    assert ada.apply().moved == ()
    ada.push()
    bob.pull()
    assert states(bob.get_model("iris")) == {"production": (3, 3)}
    tag = refs(bare)[TAG]
    editing.run(bob.repository.common_dir, "update-ref", "-d", TAG)
    bob.apply()
    assert refs(bob.repository.common_dir)[TAG] == refs(ada.repository.common_dir)[TAG] == tag
    said = git(bare, "cat-file", "tag", TAG)
    assert "iris 2 -> 3 in production\n\nbetter on virginica" in said
    assert check(bob.repository) == []
    assert list_proposals(ada.repository) == []


def test_the_second_of_two_proposals_for_one_stage_has_a_merge_conflict(ada, bob, host):
    first, second = promote(bob, "iris@3"), promote(ada, "iris@1")
    assert host.merge(first.branch)
    (found,) = list_proposals(ada.repository)
    assert ("change.conflict", "was changed on both sides") in faults(found)
    assert not host.merge(second.branch)


def test_proposals_of_different_models_merge_without_a_conflict(ada, bob, host):
    ada.register_model("wine").create_version()
    ada.push()
    bob.pull()
    for proposal in (promote(bob, "iris@3"), promote(ada, "wine@1")):
        assert host.merge(proposal.branch)
    ada.pull()
    assert {ref.model for ref in ada.apply().moved} == {"iris", "wine"}
    assert check(ada.repository) == []


def test_propose_creates_only_the_branch_of_the_proposal(bob, bare):
    before = refs(bare), refs(bob.repository.common_dir)
    proposal = bob.propose(("iris@3", "production"))
    assert (refs(bare), refs(bob.repository.common_dir)) == before
    assert not proposal.pushed
    assert git(bare, "for-each-ref", "refs/heads/propose") == ""
    assert proposal.branch.startswith(f"propose/iris/production/3-{proposal.commit[:7]}")


def test_propose_refuses_a_version_that_the_remote_does_not_have(bob):
    bob.get_model("iris").create_version()
    with pytest.raises(Refused, match="iris 4 is not on the remote") as refused:
        promote(bob, "iris@4")
    assert "git model push" in refused.value.hint
    bob.get_version("iris@3").log_metadata(accuracy=1.0)
    with pytest.raises(Refused, match="iris 3 is not the same on the remote"):
        promote(bob, "iris@3")
    bob.push()
    assert promote(bob, "iris@3").ready


def test_propose_can_propose_a_demotion_and_a_rollback(ada, bob, host):
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    back = bob.propose(rollback=[("iris", "production")], push=True)
    assert (entry(back).new, entry(back).old) == (2, 3)
    assert host.merge(back.branch)
    empty = bob.propose(demote=[("iris", "production")], push=True)
    assert (entry(empty).new, entry(empty).old) == (None, 2)
    assert host.merge(empty.branch)
    ada.pull()
    ada.apply()
    with pytest.raises(NotFound):
        ada.get_version("iris@production")


def test_a_proposed_rollback_after_the_holder_was_deleted_returns_to_the_previous_holder(ada, bob, host):
    ada.get_version("iris@3").set_stage("production")
    ada.get_version("iris@3").delete(force=True)
    ada.push()
    bob.pull()
    back = bob.propose(rollback=[("iris", "production")], push=True)
    assert (entry(back).new, entry(back).old) == (2, None)
    assert host.merge(back.branch)


class TestRules:
    @pytest.fixture(autouse=True)
    def ruled(self, ada, bob):
        editing.edit(ada.repository.common_dir, {"gitmodel.toml": RULED})
        ada.push()
        bob.pull()

    def test_propose_refuses_a_version_that_fails_a_gate_without_force(self, bob):
        with pytest.raises(GateRefused, match="better"):
            promote(bob, "iris@1")
        forced = promote(bob, "iris@1", force=True, reason="the others are on fire")
        assert forced.ready
        assert [outcome.forced for outcome in entry(forced).outcomes] == [True]

    def test_the_list_of_proposals_shows_the_current_results_of_gates(self, ada, bob, host):
        proposal = promote(bob, "iris@3")
        assert list_proposals(ada.repository)[0].ready
        ada.get_version("iris@2").log_metadata(accuracy=0.9)
        ada.push()
        (found,) = list_proposals(ada.repository)
        assert (found.branch, found.ready, found.pushed) == (proposal.branch, False, True)
        assert next(str(outcome) for outcome in entry(found).outcomes).startswith("better: ")

    def test_a_direct_change_of_a_proposal_only_stage_is_not_put_in_force(self, ada, bob, host):
        with pytest.raises(Refused, match="a change of iris production needs a reviewed proposal"):
            ada.get_version("iris@3").set_stage("production")
        assert states(ada.get_model("iris")) == {"production": (2, 2)}
        path = paths.stage_file("iris", "production")
        text = editing.read(ada.repository.common_dir, path)
        editing.edit(ada.repository.common_dir, {path: text.replace("version = 2", "version = 3")})
        assert states(ada.get_model("iris")) == {"production": (3, 2)}
        editing.run(ada.repository.git.top, "push", "-q", "origin", "gitmodel")
        bob.pull()
        assert states(bob.get_model("iris")) == {"production": (3, 2)}
        assert [ref.stage for ref, _ in bob.apply().refused] == ["production"]

    @pytest.mark.parametrize(("how", "seen"), [("merge", True), ("squash", False), ("rebase", False)])
    def test_history_shows_if_a_change_was_merged_or_confirmed_with_reviewed(self, ada, bob, host, how, seen):
        base = refs(ada.repository.common_dir)[BRANCH]
        assert host.merge(promote(bob, "iris@3").branch, how)
        ada.pull()
        if not seen:
            assert ada.apply().moved == ()
        commits = editing.run(ada.repository.common_dir, "rev-list", "--first-parent", f"{base}..gitmodel").split()
        assert ada.apply(reviewed=() if seen else commits).moved == (StageRef("iris", "production"),)


def test_the_command_propose_prints_the_url_that_opens_the_pull_request(bob, capsys):
    here = bob.repository.git.top
    code, out, _ = ask(capsys, "-C", here, "propose", "iris@3", "production", "--push")
    assert code == 0
    assert "Promote iris 3 to production: proposed on the branch propose/iris/production/3-" in out
    assert "at your host" in out
    code, out, _ = ask(capsys, "-C", here, "proposals", "--format", "tsv")
    assert (code, "propose/iris/production/3-" in out) == (0, True)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (
            "https://ada:pw@github.com/org/models.git",
            "https://github.com/org/models/compare/gitmodel...propose/iris/production/4-1a2b3c4?expand=1&title=Promote+it",
        ),
        (
            "ssh://git@gitlab.example.org:2222/team/sub/models.git",
            "https://gitlab.example.org/team/sub/models/-/merge_requests/new?"
            "merge_request%5Bsource_branch%5D=propose%2Firis%2Fproduction%2F4-1a2b3c4&"
            "merge_request%5Btarget_branch%5D=gitmodel&merge_request%5Btitle%5D=Promote+it",
        ),
        (
            "git@codeberg.org:org/models.git",
            "https://codeberg.org/org/models/compare/gitmodel...propose/iris/production/4-1a2b3c4?title=Promote+it",
        ),
        (
            "git@bitbucket.org:org/models.git",
            "https://bitbucket.org/org/models/pull-requests/new?"
            "source=propose%2Firis%2Fproduction%2F4-1a2b3c4&dest=gitmodel&title=Promote+it",
        ),
    ],
)
def test_the_link_to_the_host_is_made_from_the_url_of_the_remote_without_its_secrets(url, address):
    host = find_host(url)
    assert host.new_pull_request("gitmodel", "propose/iris/production/4-1a2b3c4", "Promote it") == address


@pytest.mark.parametrize(
    "url", ["/srv/models.git", "../models.git", "file:///srv/models.git", "git@example.org:x/y.git"]
)
def test_no_link_is_made_from_the_url_of_an_unknown_host(url):
    assert find_host(url) is None
