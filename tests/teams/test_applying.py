"""`apply` puts merged changes in force by moving their stage tags.

`apply --push` moves the tags at the remote, too. Both move all tags in one transaction, and refuse a branch that was
reset to an older commit.
"""

import json
import sys
from functools import partial

import editing
import pytest
from hosting import merge_commit, merge_within, write_hook
from stage_rules import TWO_STAGES
from teamwork import BRANCH, assert_sound, refs
from transcripts import ask

from gitmodel import Client, Conflict, Refused
from gitmodel.branch import remote_pushes
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.refs import StageRef
from gitmodel.registry.promotion.put_in_force import InForce

TAG, TOPIC = "refs/tags/model/iris/production", "refs/heads/topic"
PRODUCTION, STAGING = StageRef("iris", "production"), StageRef("iris", "staging")
GATED = '\n[[stages.gates]]\nname = "good"\nexpression = "metadata.accuracy >= 0.3"\n'


@pytest.fixture
def merge(bare):
    """A function that merges proposals as a host does: it moves the branch of the remote, but no tag."""

    return partial(merge_within, bare)


def state_of(bare):
    return editing.run(bare, "for-each-ref")


@pytest.mark.parametrize("pulled", [False, True])
def test_apply_with_push_puts_a_merged_change_in_force_and_a_second_apply_changes_nothing(
    ada, bob, bare, merge, pulled
):
    merge(bob.propose(("iris@3", "production"), ("iris@1", "staging"), push=True))
    if pulled:  # both clones fetch the old tag, so the push of the second clone expects the old tag at the remote
        ada.pull()
        bob.pull()
    before = refs(bare)
    done = ada.apply(push=True)
    assert done.changes == (InForce(PRODUCTION, 3, 2, pushed=True), InForce(STAGING, 1, None, pushed=True))
    assert refs(bare)[BRANCH] == before[BRANCH]
    assert refs(bare) == refs(ada.repository.common_dir)
    now = state_of(bare)
    assert ada.apply(push=True).changes == ()
    assert bob.apply(push=True).changes == ()
    assert state_of(bare) == now
    assert refs(bob.repository.common_dir) == refs(bare)
    assert_sound(bare)


@pytest.mark.parametrize("branch", ["as it was cloned", "made by git", "written to"])
def test_a_push_sends_stage_tags_that_apply_moved_in_a_clone_made_by_git(team, bob, bare, git, merge, branch):
    merge(bob.propose(("iris@3", "production"), push=True))
    git(team.folder, "clone", "-q", str(bare), "plain")
    carol = team.open("plain")
    if branch == "made by git":
        git(team.folder / "plain", "branch", "gitmodel", "origin/gitmodel")
    elif branch == "written to":
        carol.register_model("other")
    assert carol.apply().moved == (PRODUCTION,)
    done = carol.push()
    assert (done.moved, done.pulled) == ([PRODUCTION], [])
    assert carol.get_version("iris@production").number == 3
    assert refs(bare) == refs(carol.repository.common_dir)
    assert_sound(bare)


def test_a_push_from_a_clone_made_by_git_does_not_move_a_stage_tag_that_was_set_back_at_the_remote(
    team, ada, bob, bare, git, merge
):
    old = refs(bare)[TAG]
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    git(team.folder, "clone", "-q", str(bare), "plain")
    git(bare, "update-ref", TAG, old)
    carol = team.open("plain")
    carol.register_model("other")
    carol.push()
    assert refs(bare)[TAG] == old
    assert carol.get_model("iris").stages[0].pending


def test_apply_with_push_pushes_stage_tags_but_no_local_commits(ada, bob, bare, merge):
    merge(bob.propose(("iris@3", "production"), push=True))
    ada.pull()
    ada.get_model("iris").create_version().set_stage("staging")
    before = refs(bare)
    done = ada.apply(push=True)
    assert done.changes == (InForce(PRODUCTION, 3, 2, pushed=True),)
    assert refs(bare)[BRANCH] == before[BRANCH]
    assert "refs/tags/model/iris/staging" not in refs(bare)


def test_a_stage_whose_gate_fails_keeps_its_version_and_does_not_block_other_stages(ada, bob, bare, merge, capsys):
    editing.edit(bare, {"gitmodel.toml": TWO_STAGES + GATED})
    bob.pull()
    forced = bob.propose(("iris@1", "production"), ("iris@3", "staging"), force=True, reason="x", push=True)
    merge(forced)
    # acts as a person who removes the key `forced` from the stage file when they merge the proposal
    stage = editing.read(bare, paths.stage_file("iris", "production"))
    editing.run(bare, "update-ref", BRANCH, f"{BRANCH}^1")
    editing.run(bare, "update-ref", TOPIC, forced.commit)
    editing.edit(bare, {paths.stage_file("iris", "production"): stage.partition("reason")[0]}, onto=TOPIC)
    merge_commit(bare, TOPIC, "Squashed", squash=True)
    before = refs(bare)
    code, out, err = ask(capsys, "-C", ada.repository.git.top, "apply", "--push", "--format", "json")
    rows = json.loads(out)
    told = {(row["stage"], row["applied"], row["version"], row["previous"], row["pushed"]) for row in rows}
    assert told == {("staging", True, 3, None, True), ("production", False, None, None, False)}
    assert "good" in next(row["reason"] for row in rows if not row["applied"])
    assert refs(bare)[TAG] == before[TAG]
    assert (code, "1 pending change was not put in force" in err) == (6, True)


def test_apply_with_push_completes_an_interrupted_push(ada, bob, bare, merge):
    merge(bob.propose(("iris@3", "production"), push=True))
    ada.pull()
    ada.apply()  # without `push=True`, as if the push had failed
    assert refs(bare)[TAG] != refs(ada.repository.common_dir)[TAG]
    assert ada.apply(push=True).changes == (InForce(PRODUCTION, 3, 2, pushed=True),)
    assert refs(bare) == refs(ada.repository.common_dir)


def test_apply_with_push_moves_all_tags_or_none(ada, bob, bare, merge):
    merge(bob.propose(("iris@3", "production"), ("iris@1", "staging"), push=True))
    write_hook(bare, "update", "case $1 in */production) echo 'not you' >&2; exit 1;; esac")
    before = state_of(bare)
    with pytest.raises(Refused, match="not you"):
        ada.apply(push=True)
    assert state_of(bare) == before


class TestTwoConcurrentApplies:
    """If two applies run at the same time, only one reports a moved tag, so that a deployment runs only once."""

    @pytest.fixture(params=["promotion", "demotion"])
    def change(self, request, bob, merge):
        """Merge a proposal. Return the change that `apply` must report."""
        if request.param == "promotion":
            merge(bob.propose(("iris@3", "production"), push=True))
            return InForce(PRODUCTION, 3, 2, pushed=True)
        merge(bob.propose(demote=[("iris", "production")], push=True))
        return InForce(PRODUCTION, None, 2, pushed=True)

    @staticmethod
    def before_push(monkeypatch, work):
        """Call *work* just before the next push."""
        push, todo = remote_pushes.push, [work]

        def pushed(*arguments, **options):
            while todo:
                todo.pop()()
            return push(*arguments, **options)

        monkeypatch.setattr(remote_pushes, "push", pushed)

    def test_the_second_of_two_applies_reports_no_change(self, ada, bob, bare, change, monkeypatch):
        first = []
        self.before_push(monkeypatch, lambda: first.append(bob.apply(push=True)))
        second = ada.apply(push=True)
        assert first[0].changes == (change,)
        assert second.changes == ()
        assert refs(ada.repository.common_dir) == refs(bob.repository.common_dir) == refs(bare)

    def test_an_apply_that_another_apply_overtakes_changes_nothing(self, team, ada, bob, bare, change, tmp_path):
        said, flag = tmp_path / "said", tmp_path / "flag"
        other = f"{sys.executable} -m gitmodel -C {bob.repository.git.top} apply --push --format json"
        environ = " ".join(f"{name}='{value}'" for name, value in team.environ("bob").items() if name.isidentifier())
        script = f"test -e {flag} && exit 0\ntouch {flag}\nenv -i {environ} {other} > {said} 2>&1"
        write_hook(bare, "pre-receive", script)
        second = ada.apply(push=True)
        (row,) = json.loads(said.read_text())
        assert (row["version"], row["applied"], row["pushed"]) == (change.version, True, True)
        assert second.changes == ()
        assert refs(ada.repository.common_dir) == refs(bob.repository.common_dir) == refs(bare)

    def test_by_url_the_second_of_two_applies_reports_no_change(self, ada, bare, change, monkeypatch):
        url = bare.as_uri()
        with Client(repo=url) as one:
            first = []
            self.before_push(monkeypatch, lambda: first.append(ada.apply(push=True)))
            second = one.apply()
        assert first[0].changes == (change,)
        assert second.changes == ()


def test_apply_with_a_name_of_a_model_applies_only_changes_of_this_model(ada, bob, merge):
    ada.register_model("wine").create_version()
    ada.push()
    bob.pull()
    merge(bob.propose(("iris@3", "production"), ("wine@1", "staging"), push=True))
    assert ada.apply("wine", push=True).moved == (StageRef("wine", "staging"),)
    assert ada.apply(push=True).moved == (PRODUCTION,)


def test_apply_with_push_removes_the_tag_of_an_emptied_stage_at_the_remote(ada, bob, bare, merge):
    merge(bob.propose(demote=[("iris", "production")], push=True))
    assert ada.apply(push=True).changes == (InForce(PRODUCTION, None, 2, pushed=True),)
    assert TAG not in refs(bare)


class TestRewoundBranches:
    def test_apply_moves_no_tag_if_the_branch_was_rewound(self, team, ada, capsys, monkeypatch):
        ada.get_version("iris@3").set_stage("production")
        repo = ada.repository.common_dir
        editing.run(repo, "update-ref", BRANCH, f"{BRANCH}~1")
        ada.register_model("wine").create_version().set_stage("staging")
        editing.run(repo, "update-ref", "-d", "refs/tags/model/wine/staging")
        before = editing.state(repo)
        with pytest.raises(Refused, match="does not descend from") as refused:
            ada.apply()
        assert refused.value.exit_code == 6
        assert "model/iris/production" in refused.value.message
        assert "git model doctor --fix" in refused.value.hint
        assert editing.state(repo) == before
        monkeypatch.setenv("GITMODEL_STORE", team.store)
        code, _, err = ask(capsys, "-C", repo, "apply")
        assert (code, "does not descend" in err) == (6, True)
        assert ask(capsys, "-C", repo, "doctor", "--fix")[0] == 0
        assert ada.apply().moved == ()
        assert ada.get_version("iris@production").number == 2

    def test_apply_with_push_refuses_a_remote_whose_branch_was_reset(self, ada, bob, bare):
        ada.get_version("iris@3").set_stage("production")
        ada.push()
        bob.pull()
        editing.run(bare, "update-ref", BRANCH, f"{BRANCH}~1")
        before = state_of(bare)
        with pytest.raises(Conflict, match="rewound"):
            bob.apply(push=True)
        assert state_of(bare) == before

    def test_apply_with_push_in_a_new_clone_refuses_a_remote_whose_branch_was_reset(self, team, ada, bare):
        ada.get_version("iris@3").set_stage("production")
        ada.push()
        editing.run(bare, "update-ref", BRANCH, f"{BRANCH}~1")
        eve = team.clone("eve")
        before = state_of(bare)
        with pytest.raises(Refused, match="does not descend from"):
            eve.apply(push=True)
        assert state_of(bare) == before
