"""A commit by plain git that changes a proposal_only stage without a review is recorded, but never in force.

`rollback` reverts it. The tests call such a commit a direct change.
"""

import json

import editing
import pytest
from hosting import merge_commit
from stage_rules import PROPOSAL_ONLY, STAGE, stage_text
from teamwork import refs, states

from gitmodel.domain.schema.records import ARCHIVED_MARKER, links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.registry.health import doctor
from gitmodel.registry.health.checking import check

STAGING = "models/iris/stages/staging.toml"
PRODUCTION = StageRef("iris", "production")

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture
def client(proposal_only):
    return proposal_only


def promote_by_hand(iris, repo, number=2):
    """Commit by hand what `git model promote` would write to replace version 3 in production by version *number*.

    Version 3 is archived. If *number* is 2, version 2 leaves staging.
    """
    files = {STAGE: stage_text(iris, number), "models/iris/stages/archived/3.toml": ARCHIVED_MARKER}
    if number == 2:
        files[STAGING] = None
    return editing.edit(repo, files, "Promote it directly")


def merge(repo, client, *wanted, squashed=False, **more):
    """Propose the promotions *wanted*, and merge them as the merge button of a host does. Return the new commit.

    If *squashed* is True, merge as the squash button does. *more* are arguments of `propose`.
    """
    proposal = client.propose(*wanted, **more)
    message = "Squash a proposal (#7)" if squashed else "Merge a proposal"
    commit = merge_commit(repo, proposal.commit, message, squash=squashed)
    editing.run(repo, "update-ref", "-d", f"refs/heads/{proposal.branch}")
    return commit


class TestDirectChangeIsNotInForce:
    def test_a_direct_change_does_not_change_other_stages(self, client, iris, code_repo):
        commit = promote_by_hand(iris, code_repo)
        before = refs(code_repo)
        done = client.apply()
        assert done.moved == ()
        assert {ref.stage: why.split(";")[0] for ref, why in done.refused} == {
            "staging": "it was changed together with production, whose change does not count: recorded, not reviewed: "
            f"{commit[:10]} changed it directly, and production accepts only reviewed changes",
            "production": f"recorded, not reviewed: {commit[:10]} changed it directly, and production accepts only "
            "reviewed changes",
        }
        assert refs(code_repo) == before
        assert client.get_version("iris@production").number == 3
        assert client.get_version("iris@staging").number == 2

    def test_promoting_a_directly_recorded_version_is_refused_and_the_error_names_the_rollback(
        self, client, iris, main, code_repo
    ):
        commit = promote_by_hand(iris, code_repo)
        code, _, err = main("promote", "iris@2", "production")
        assert code == 6
        assert f"recorded, not reviewed: {commit[:10]} changed it directly" in err
        assert "`git model rollback iris production`" in err
        assert "git model apply" not in err
        assert main("rollback", "iris", "production")[0] == 0
        code, _, err = main("promote", "iris@2", "production")
        assert (code, "git model propose iris@2 production" in err) == (6, True)

    def test_a_direct_change_does_not_block_other_stages_and_later_proposals(self, client, iris, code_repo):
        promote_by_hand(iris, code_repo)
        iris.get_version(5).set_stage("staging")
        assert states(iris) == {"staging": (5, 5), "production": (2, 3)}
        assert merge(code_repo, client, ("iris@4", "production"))
        assert client.apply().moved == (PRODUCTION,)
        assert states(iris) == {"staging": (5, 5), "production": (4, 4)}

    def test_apply_puts_a_reviewed_change_in_force_despite_a_later_direct_change(self, client, iris, code_repo):
        merge(code_repo, client, ("iris@4", "production"))
        editing.edit(code_repo, {STAGE: stage_text(iris, 5)})
        done = client.apply()
        assert [(change.ref, change.version) for change in done.changes] == [(PRODUCTION, 4)]
        assert [ref for ref, _ in done.refused] == [PRODUCTION]
        assert client.get_version("iris@production").number == 4
        assert client.apply().moved == ()


class TestRevertingADirectChange:
    def test_the_rollback_named_in_the_error_restores_all_stages(self, client, iris, main, code_repo):
        before = {path: editing.read(code_repo, path) for path in (STAGE, STAGING)}
        promote_by_hand(iris, code_repo)
        code, out, _ = main("apply")
        assert code == 6
        assert "`git model rollback iris production` reverts it" in out
        code, out, err = main("rollback", "iris", "production")
        assert (code, err) == (0, "")
        assert "iris@3 is in production now" in out
        assert {path: editing.read(code_repo, path) for path in (STAGE, STAGING)} == before
        assert states(iris) == {"staging": (2, 2), "production": (3, 3)}
        assert [v.stage for v in reversed(iris.versions)] == [None, None, "production", "staging", None]
        assert client.apply().refused == ()
        assert check(client.repository) == []
        assert [found for found in doctor.examine(client.repository, None) if found.about == "tag"] == []

    def test_every_clone_sees_that_the_direct_change_was_reverted(self, client, iris, code_repo):
        promote_by_hand(iris, code_repo)
        iris.rollback("production")
        tags = refs(code_repo)
        for ref in tags:
            if ref.startswith("refs/tags"):
                editing.run(code_repo, "update-ref", "-d", ref)
        assert client.apply().refused == ()
        assert refs(code_repo) == tags

    def test_a_plain_git_revert_reverts_a_direct_change(self, client, iris, code_repo):
        text = editing.read(code_repo, STAGE)
        editing.edit(code_repo, {STAGE: stage_text(iris, 4)})
        editing.edit(code_repo, {STAGE: text})
        assert states(iris)["production"] == (3, 3)
        editing.run(code_repo, "update-ref", "-d", "refs/tags/model/iris/production")
        assert client.apply().moved == (PRODUCTION,)

    def test_one_rollback_reverts_several_direct_changes_in_a_row(self, client, iris, code_repo):
        promote_by_hand(iris, code_repo)
        editing.edit(code_repo, {STAGE: stage_text(iris, 4)})
        editing.edit(code_repo, {STAGE: None})
        iris.rollback("production")
        assert states(iris) == {"staging": (2, 2), "production": (3, 3)}

    def test_the_rollback_of_a_direct_change_keeps_later_changes(self, client, iris, code_repo):
        promote_by_hand(iris, code_repo)
        iris.get_version(5).set_stage("staging")
        iris.rollback("production")
        assert states(iris) == {"staging": (5, 5), "production": (3, 3)}
        assert check(client.repository) == []

    def test_the_rollback_of_a_direct_change_leaves_a_stage_empty_that_was_empty_before(self, client, iris, code_repo):
        other = client.register_model("other")
        other.create_version()
        text = f'version = 1\nartifacts = "{links_digest(())}"\n'
        editing.edit(code_repo, {"models/other/stages/production.toml": text})
        other.rollback("production")
        assert states(other) == {}
        assert client.apply().refused == ()

    def test_a_rollback_reverts_a_direct_removal_of_the_stage_file(self, client, iris, code_repo):
        editing.edit(code_repo, {STAGE: None})
        assert states(iris)["production"] == (None, 3)
        iris.rollback("production")
        assert states(iris)["production"] == (3, 3)

    def test_the_rollback_of_a_direct_change_puts_the_reviewed_change_before_it_in_force(self, client, iris, code_repo):
        """The rollback reverts only the direct change. The pending reviewed change before it comes into force."""
        merge(code_repo, client, ("iris@4", "production"))
        editing.edit(code_repo, {STAGE: stage_text(iris, 5)})
        iris.rollback("production")
        assert states(iris)["production"] == (4, 4)


class TestSquash:
    def test_a_change_that_apply_put_in_force_counts_as_reviewed(self, client, iris, code_repo):
        editing.edit(code_repo, {"gitmodel.toml": PROPOSAL_ONLY + 'rollback = "direct"\n'})
        first = merge(code_repo, client, ("iris@4", "production"), squashed=True)
        assert [ref for ref, _ in client.apply().refused] == [PRODUCTION]
        assert client.apply(reviewed=[first]).moved == (PRODUCTION,)
        assert client.apply().refused == ()
        second = merge(code_repo, client, ("iris@5", "production"), squashed=True)
        assert client.apply(reviewed=[second]).moved == (PRODUCTION,)
        iris.rollback("production")
        assert states(iris)["production"] == (4, 4)
        iris.rollback("production")
        assert states(iris)["production"] == (5, 5)
        assert client.apply().refused == ()

    def test_a_squashed_proposal_that_nobody_confirmed_is_not_in_force(self, client, iris, code_repo):
        editing.edit(code_repo, {"gitmodel.toml": PROPOSAL_ONLY + 'rollback = "direct"\n'})
        merge(code_repo, client, ("iris@4", "production"), squashed=True)
        second = merge(code_repo, client, ("iris@5", "production"), squashed=True)
        assert client.apply(reviewed=[second]).moved == (PRODUCTION,)
        iris.rollback("production")
        assert states(iris)["production"] == (3, 3)


class TestHistory:
    def test_history_and_log_never_show_a_direct_change_as_in_force(self, client, iris, main, code_repo):
        promote_by_hand(iris, code_repo)
        merge(code_repo, client, ("iris@4", "production"))
        client.apply()
        events = list(client.history("iris", "production"))
        assert [(event.version, event.previous, event.counts) for event in events] == [
            (4, 3, True),
            (2, 3, False),
            (3, None, True),
        ]
        assert events[2].ended_by == events[0].commit
        assert (events[1].until, events[1].ended_by) == (None, "")
        code, out, _ = main("history", "iris", "production")
        assert code == 0
        assert "recorded, not reviewed" in out.splitlines()[2]
        assert json.loads(main("history", "iris", "production", "--format", "json")[1])[1]["fault"]
        told = {event.what for event in client.log("iris@2") if event.commit == events[1].commit}
        assert told == {"entered production (recorded, not reviewed)", "left staging (recorded, not reviewed)"}

    def test_list_and_show_report_a_direct_change_as_recorded_not_reviewed(self, client, iris, main, code_repo):
        promote_by_hand(iris, code_repo)
        for words in (("list",), ("show", "iris"), ("version", "list", "iris")):
            code, out, err = main(*words)
            assert code == 0
            assert "recorded, not reviewed" in out
            assert "`git model rollback iris production` reverts it" in err
        found = [one for one in doctor.examine(client.repository, None) if one.about == "tag"]
        assert any("recorded, not reviewed" in one.message for one in found)
        assert [one.hint for one in found] == [
            f"run `git model rollback iris {stage}` to undo the recorded change" for stage in ("staging", "production")
        ]

    def test_history_and_blame_ignore_direct_changes(self, client, iris, main, code_repo):
        promote_by_hand(iris, code_repo)
        then = client.at(editing.run(code_repo, "rev-parse", editing.BRANCH))
        assert then.get_version("iris@production").number == 3
        assert then.get_version("iris@staging").number == 2
        assert [one.value for one in client.blame("iris@2") if one.field == "stage"] == ["staging"]
        assert [one.value for one in client.blame("iris@3") if one.field == "stage"] == ["production"]


def test_another_clone_knows_which_commits_a_user_confirmed_with_reviewed(ada, bob):
    folder = ada.repository.common_dir
    editing.edit(folder, {"gitmodel.toml": PROPOSAL_ONLY + 'rollback = "direct"\n'})
    ada.push()
    for number in (1, 3):
        commit = merge(folder, ada, (f"iris@{number}", "production"), squashed=True)
        assert ada.apply(reviewed=[commit]).moved == (PRODUCTION,)
        ada.push()
    bob.pull()
    events = bob.history("iris", "production")
    assert [(event.version, event.counts) for event in events] == [(3, True), (1, True), (2, True)]
    bob.get_model("iris").rollback("production")
    assert states(bob.get_model("iris"))["production"] == (1, 1)
