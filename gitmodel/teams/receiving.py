"""What a push may do to a registry, judged where it arrives, before any ref moves: the branch, then the stage tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gitmodel.domain import paths
from gitmodel.domain.codec import Problem
from gitmodel.domain.refs import STAGE_TAGS, StageRef
from gitmodel.domain.stages import leftovers
from gitmodel.errors import GitModelError, UsageError
from gitmodel.registry import admission
from gitmodel.registry.checking import check
from gitmodel.storage.git import ZERO, is_id
from gitmodel.storage.objects import parse_tag
from gitmodel.storage.repository import Repository
from gitmodel.teams.between import Between, check_between

# What a push may not do, beside what a change may not do; as `docs/reference/format.md` names it.
RULES: Mapping[str, str] = {
    "push.gone": "the metadata branch is not deleted",
    "push.chain": "the old tip of the metadata branch is on the chain of first parents of the new one",
    "push.tag": "a stage tag is the one that the metadata branch stands for",
}
# By this push option (`git help push`) a person decides what `check --force` does.
FORCE_OPTION = "gitmodel.force"


class Update(NamedTuple):
    """A ref that a push moves, as git tells its hooks: full name, old and new id (40 zeros: none)."""

    ref: str
    old: str
    new: str


class _Anything(frozenset[str]):
    """Every commit: who may move a tag without signatures is for the server to say; whoever may, vouches."""

    def __contains__(self, _: object) -> bool:
        return True


def concerns(update: Update, branch: str) -> bool:
    """Whether *update* moves the metadata *branch* or a ref where stage tags are."""
    return update.ref == branch or update.ref.startswith(STAGE_TAGS)


def read_received(text: str) -> list[Update]:
    """The lines that git gives to `pre-receive`. Raises UsageError.

    >>> read_received("0" * 40 + " " + "9" * 40 + " refs/heads/gitmodel\\n")[0].ref
    'refs/heads/gitmodel'
    """
    return [_update(line, *line.split(" ", 2)) for line in text.splitlines()]


def read_pushed(text: str) -> list[Update]:
    """The lines that git gives to `pre-push`, as the updates of the other side's refs. Raises UsageError."""
    parted = [(line, line.rsplit(" ", 3)) for line in text.splitlines()]
    return [_update(line, *(words[3:] + words[1:2] + words[2:3])) for line, words in parted]


def judge_push(repository: Repository, updates: Iterable[Update], *, force: bool = False) -> Between:
    """What is wrong with moving refs as *updates* say: records, rules between old and new, tags that disagree.

    *force* passes what a person may decide to pass (see `between.DECIDED`). Refs of others are not looked at.
    """
    mine = [update for update in updates if concerns(update, repository.branch)]
    moved = next((update for update in mine if update.ref == repository.branch), None)
    found = Between(()) if moved is None else _judge_branch(repository, moved, force)
    if found.problems:
        return found
    tip = repository.tip() if moved is None else moved.new
    problems = []
    for update in mine:
        ref = StageRef.parse(update.ref)
        if ref is not None:
            problems += [
                Problem(ref.full, "", "push.tag", fault) for fault in _tag_faults(repository, tip, ref, update)
            ]
    return Between(tuple(problems), found.rules)


def _judge_branch(repository: Repository, update: Update, force: bool) -> Between:
    if update.new == ZERO:
        return Between((Problem(update.ref, "", "push.gone", "would be deleted, with all that is recorded"),))
    if update.old == ZERO:
        return Between(tuple(check(repository, update.new)))
    if not repository.tags.is_on_chain(update.new, update.old):
        message = f"goes to {update.new[:10]}, whose first parents do not lead to {update.old[:10]}"
        return Between((Problem(update.ref, "", "push.chain", message),))
    return check_between(repository, update.old, update.new, force=force)


def _tag_faults(repository: Repository, tip: str, ref: StageRef, update: Update) -> Iterator[str]:
    """Why the stage tag *ref* must not go where *update* says, with the branch at *tip*."""
    snapshot = repository.snapshot(tip)
    leftover = paths.stage_file(ref.model, ref.stage) in leftovers(snapshot, ref.model)
    wanted = None if leftover else repository.tags.recorded_at(tip, ref)
    if update.new == ZERO:
        if wanted is not None:
            yield "would be deleted, and the branch has a version there"
        return
    if wanted is None:
        yield "is set, and the branch has no version there"
        return
    found = repository.reader.get(update.new)
    judged = repository.tags.judge(ref, found, tip)
    if judged.forged:
        yield judged.forged
    elif judged.target != (due := parse_tag(wanted.id, wanted.data).target):
        yield f"is at {judged.target[:10]}, and the branch changed {ref.stage} last at {due[:10]}"
    elif not repository.tags.agrees(ref, found.id, wanted):
        yield f"is not {wanted.id[:10]}, the tag that the branch stands for, and has no signature that counts"
    else:
        try:
            signed = snapshot.registry().rule(ref.stage).signed
            why = admission.why_not(repository, snapshot, ref, () if signed else _Anything())
        except GitModelError as error:
            why = error.message
        if why:
            yield f"may not follow the branch: {why}"


def _update(line: str, *words: str) -> Update:
    if len(words) != 3 or not (is_id(words[0]) and is_id(words[1]) and words[2].startswith("refs/")):
        raise UsageError(f"{line!a} is no line that git gives to this hook", hint="let git call it")
    return Update(words[2], words[0], words[1])
