"""`git pull` makes a merge whose first parent is the local branch. The versions in force must stay in force.

Such a merge breaks the chain of first parents that the stage tags are on, so gitmodel must repair it.
"""

import json

import pytest
from hosting import git
from teamwork import BRANCH, assert_sound, refs
from transcripts import ask

from gitmodel import Client, Invalid
from gitmodel.registry.health import doctor
from gitmodel.registry.promotion.put_in_force import merged_tags

PRODUCTION = "model/iris/production"


def pull_and_push_by_git(folder, *strategy):
    """Run `git pull` (with the options *strategy*) and `git push` in a work tree of the metadata branch.

    Returns the merge commit.
    """
    tree = folder.parent / f"{folder.name}-tree"
    git(folder, "worktree", "add", "-q", str(tree), "gitmodel")
    git(tree, "pull", "-q", "--no-rebase", "--no-edit", *strategy, "origin", "gitmodel")
    git(tree, "push", "-q", "origin", "gitmodel")
    git(folder, "worktree", "remove", "--force", str(tree))
    return git(folder, "rev-parse", BRANCH)


@pytest.fixture
def merge(team, ada, bob):
    """The merge commit that Bob's `git pull` made: Ada promoted and pushed, and Bob had registered a model."""
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    bob.register_model("rose").create_version()
    return pull_and_push_by_git(team.folder / "bob")


def test_after_a_merge_by_plain_git_every_reader_uses_the_version_that_was_in_force(team, ada, bare, merge):
    ada.pull()
    assert ada.get_version("iris@production").number == 3
    assert [state.in_force for state in ada.get_model("iris").stages] == [3]
    git(team.folder, "clone", "-q", str(bare), "cloned")
    carol = team.open("cloned")
    assert carol.get_version("iris@production").number == 3
    assert team.by_url("dan", bare.as_uri()).get_version("iris@production").number == 3
    assert [version.number for version in team.by_url("eve", bare.as_uri()).get_model("iris").versions] == [1, 2, 3]
    with Client(bare) as served:
        assert served.get_version("iris@production").number == 3
    assert ada.check() == []


def test_pull_and_check_name_the_merge_by_plain_git_and_apply_repairs_it(team, ada, bob, bare, merge, capsys):
    warning = (
        f"the merge {merge[:10]} was made by plain git, and the first parents of the branch no longer lead to where "
        f"{PRODUCTION} points"
    )
    for command in ("pull", "check"):
        code, _, err = ask(capsys, "-C", team.folder / "ada", command)
        assert (code, warning in err, "git model apply --push" in err) == (0, True, True)
    (finding,) = [one for one in doctor.examine(ada.repository, None) if one.about == "tag"]
    assert (finding.hint, finding.grave) == ("run `git model apply --push`", False)
    assert ask(capsys, "-C", team.folder / "ada", "apply", "--push")[0] == 0
    assert git(bare, "rev-parse", f"{PRODUCTION}^{{commit}}") == merge
    code, _, err = ask(capsys, "-C", team.folder / "ada", "check")
    assert (code, "merge" in err) == (0, False)
    bob.pull()
    assert refs(team.folder / "ada") == refs(team.folder / "bob") == refs(bare)
    assert merged_tags(ada.repository) == []
    assert_sound(bare, store=team.store)


def test_the_json_of_a_pull_names_the_merge_by_plain_git(team, ada, merge, capsys):
    code, out, _ = ask(capsys, "-C", team.folder / "ada", "pull", "--format", "json")
    assert (code, json.loads(out)["merged"]) == (0, [merge])


def test_the_next_write_of_gitmodel_repairs_a_merge_by_plain_git(team, ada, bob, bare, merge):
    bob = team.open("bob")
    pulled = bob.pull()
    assert [one.commit for one in pulled.merged] in ([], [merge])
    assert bob.get_version("iris@production").number == 3
    bob.get_version("rose@1").set_stage("staging")
    bob.push()
    bob.apply(push=True)
    ada.pull()
    assert merged_tags(ada.repository) == []
    assert refs(team.folder / "ada") == refs(team.folder / "bob") == refs(bare)


def test_doctor_fix_repairs_the_tags_after_a_merge_by_plain_git(team, ada, merge):
    ada.pull()
    doctor.repair(ada.repository, None)
    assert git(team.folder / "ada", "rev-parse", f"{PRODUCTION}^{{commit}}") == merge
    ada.push()
    assert merged_tags(ada.repository) == []


def test_a_promotion_recorded_after_a_merge_by_plain_git_is_pending(team, ada, bob, merge):
    """The tag still agrees with the stage file in the merge commit, so a newer stage file does not make it invalid."""
    ada.pull()
    old = git(team.folder / "ada", "rev-parse", PRODUCTION)
    ada.get_version("iris@1").set_stage("production")
    git(team.folder / "ada", "update-ref", f"refs/tags/{PRODUCTION}", old)
    ada = team.open("ada")
    assert ada.get_version("iris@production").number == 3
    (state,) = [state for state in ada.get_model("iris").stages if state.name == "production"]
    assert (state.recorded, state.in_force, state.pending) == (1, 3, True)
    ada.apply()
    assert ada.get_version("iris@production").number == 1


def test_a_merge_by_plain_git_that_changed_a_stage_is_refused_and_apply_repairs_it(team, ada, bob):
    ada.get_version("iris@3").set_stage("production")
    ada.push()
    bob.get_version("iris@1").set_stage("production")
    pull_and_push_by_git(team.folder / "bob", "-X", "ours")
    ada.pull()
    with pytest.raises(Invalid, match=r"merged its commit \w+ and changed production of iris"):
        ada.get_version("iris@production")
    ada.apply(push=True)
    assert ada.get_version("iris@production").number == 1


def test_a_stage_tag_on_a_commit_that_was_never_merged_is_refused(team, ada, bob):
    ada.pull()
    there = git(team.folder / "bob", "rev-parse", BRANCH)
    bob.get_version("iris@3").set_stage("production")
    tag = git(team.folder / "bob", "rev-parse", PRODUCTION)
    git(team.folder / "bob", "update-ref", BRANCH, there)
    git(team.folder / "bob", "update-ref", f"refs/tags/{PRODUCTION}", tag)
    with pytest.raises(Invalid, match="its commit is not on the metadata branch"):
        team.open("bob").get_version("iris@production")


def test_a_fast_forward_of_a_proposal_updated_by_a_merge_keeps_the_stages_in_force(team, ada, bob, bare, capsys):
    """The button "Update branch" of a host merges the branch into the proposal. Then the branch is fast-forwarded."""
    proposal = ada.propose(("iris@1", "staging"))
    git(team.folder / "ada", "push", "-q", "origin", f"{proposal.commit}:refs/heads/{proposal.branch}")
    bob.get_version("iris@3").set_stage("production")
    bob.push()
    ada.pull()
    tree = team.folder / "tree"
    git(team.folder / "ada", "worktree", "add", "-q", str(tree), proposal.branch)
    git(tree, "merge", "-q", "--no-edit", "gitmodel")
    merge = git(tree, "rev-parse", "HEAD")
    code, _, err = ask(capsys, "-C", team.folder / "ada", "check", f"gitmodel..{merge}")
    assert code == 0
    assert (
        f"the change contains a merge of the branch, {merge[:10]}: if the branch is fast-forwarded to the change" in err
    )
    git(tree, "push", "-q", "origin", "HEAD:gitmodel")
    bob.pull()
    assert bob.get_version("iris@production").number == 3
    assert [one.commit for one in merged_tags(bob.repository)] == [merge]
    bob.apply(push=True)
    assert merged_tags(bob.repository) == []
    assert bob.get_version("iris@staging").number == 1
    assert bob.get_version("iris@production").number == 3
    assert_sound(bare, store=team.store)
