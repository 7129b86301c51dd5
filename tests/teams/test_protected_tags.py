"""A host where only a release identity may move the tag of production. The stage is not proposal_only.

Other people can still record a promotion to production and push it, but it is not in force.
"""

import editing
import pytest
from hosting import write_hook
from stage_rules import GOOD, rules
from teamwork import assert_sound, refs, states
from transcripts import ask

from gitmodel import Refused

PRODUCTION = "refs/tags/model/iris/production"
# An `update` hook that refuses pushes to one tag, as a host does that protects this tag.
PROTECTED = """\
case "$1" in
refs/tags/model/*/production) [ -e release ] || { echo "only release may move $1" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def protected(bare, bob):
    write_hook(bare, "update", PROTECTED)
    return bare


def test_a_promotion_without_the_right_to_its_tag_is_recorded_and_later_pushes_succeed(protected, bob, ada):
    before = refs(protected)[PRODUCTION]
    bob.get_version("iris@3").set_stage("production")
    with pytest.raises(
        Refused, match=r"recorded at origin, and not in force there: .*only release may move"
    ) as refused:
        bob.push()
    assert "model/iris/production must run `git model apply --push`" in refused.value.hint
    assert refs(protected)[PRODUCTION] == before
    assert states(bob.get_model("iris"))["production"] == (3, 2)
    bob.get_model("iris").create_version(metadata={"later": True})
    bob.push()
    bob.get_version("iris@4").set_stage("staging")
    bob.push()
    assert refs(protected) == refs(bob.repository.common_dir)
    (protected / "release").touch()
    ada.pull()
    assert ada.get_version("iris@4").metadata == {"later": True}
    (change,) = ada.apply(push=True).changes
    assert (change.version, change.previous, change.pushed) == (3, 2, True)
    bob.pull()
    assert states(bob.get_model("iris"))["production"] == (3, 3)
    assert_sound(protected)


def test_a_push_moves_other_tags_if_the_host_refuses_one_tag(protected, bob):
    bob.get_version("iris@3").set_stage("production")
    bob.get_version("iris@1").set_stage("staging")
    with pytest.raises(Refused):
        bob.push()
    assert "refs/tags/model/iris/staging" in refs(protected)
    assert states(bob.get_model("iris")) == {"staging": (1, 1), "production": (3, 2)}


def test_a_push_prints_the_refusal_of_a_tag_but_the_promotion_stays_recorded(protected, bob, capsys):
    here = ("-C", bob.repository.git.top)
    assert ask(capsys, *here, "promote", "iris@3", "production")[0] == 0
    code, _, err = ask(capsys, *here, "push")
    assert code == 6
    assert err.splitlines()[-1].startswith("hint: an identity that may move model/iris/production must run")
    assert ask(capsys, *here, "register", "other")[0] == 0
    assert ask(capsys, *here, "push")[0] == 0


def test_a_push_that_may_not_move_the_tag_undoes_a_local_apply(protected, bob, ada):
    """Bob may not move the tag. His first push after `apply` reports the refusal, and his second push succeeds."""
    ada.get_version("iris@3").set_stage("production")
    with pytest.raises(Refused):
        ada.push()
    bob.pull()
    bob.apply()
    assert states(bob.get_model("iris"))["production"] == (3, 3)
    with pytest.raises(Refused, match="only release may move"):
        bob.push()
    assert states(bob.get_model("iris"))["production"] == (3, 2)
    bob.register_model("other")
    bob.push()


def test_a_push_whose_branch_is_refused_keeps_the_local_promotion(bare, bob):
    write_hook(bare, "pre-receive", "echo frozen >&2\nexit 1")
    bob.get_version("iris@3").set_stage("production")
    with pytest.raises(Refused, match="refused the push: frozen"):
        bob.push()
    assert states(bob.get_model("iris"))["production"] == (3, 3)


def test_a_push_that_may_not_move_the_rules_tag_undoes_rules_applied_only_locally(protected, bob, ada):
    write_hook(protected, "update", PROTECTED.replace("refs/tags/model/*/production", "refs/tags/gitmodel-rules/*"))
    editing.edit(bob.repository.common_dir, rules(production=GOOD))
    bob.apply()
    with pytest.raises(Refused, match=r"only release may move") as refused:
        bob.push()
    assert "gitmodel-rules/gitmodel must run `git model apply --push`" in refused.value.hint
    bob.get_model("iris").create_version()
    bob.push()
    (protected / "release").touch()
    ada.apply(push=True)
    bob.pull()
    assert bob.repository.rules.id() == ada.repository.rules.id() is not None
