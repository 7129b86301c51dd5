"""The check of a push on the server, before any ref moves: first the metadata branch, then the stage tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.stages import leftovers
from gitmodel.domain.pushed_refs import Update, concerns
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_rules.rules_tag import extends
from gitmodel.domain.snapshots.snapshot_sources import Refusal
from gitmodel.errors import GitModelError
from gitmodel.git.objects.object_formats import parse_tag
from gitmodel.registry.health.checking import check
from gitmodel.registry.promotion import judging
from gitmodel.teams.checks.range_checks import RangeCheck, check_between

# The rules for a push, which apply in addition to those for a change (`docs/reference/format.md`).
RULES: Mapping[str, str] = {
    "push.gone": "the metadata branch is not deleted",
    "push.chain": "the old tip of the metadata branch is on the chain of first parents of the new tip",
    "push.tag": "a stage tag points at the commit that put the version into the stage, and the commit meets the rules",
    "push.rules": "the rules tag keeps the commits that it lists, gets only commits of the branch, and is not deleted",
}


class _Anything(frozenset[str]):
    """A set that contains every commit: all count as reviewed, because the host decides who may move stage tags."""

    def __contains__(self, _: object) -> bool:
        return True


def judge_push(repository: Repository, updates: Iterable[Update], *, force: bool = False) -> RangeCheck:
    """Find the problems of the ref moves *updates*: wrong records, broken rules for changes, and wrong tags.

    Ignores moves of refs other than the metadata branch, the rules tag and stage tags. If *force*, leaves out the
    problems that a person may override (see `Problem.overridable`).
    """
    mine = [update for update in updates if concerns(update, repository.branch)]
    moved = next((update for update in mine if update.ref == repository.branch), None)
    found = RangeCheck(()) if moved is None else _judge_branch(repository, moved, force)
    if found.problems:
        return found
    tip = repository.tip() if moved is None else moved.new
    rules = next((update for update in mine if update.ref == repository.rules.ref), None)
    fault = _rules_fault(repository, tip, rules) if rules is not None else ""
    if rules is None or rules.new is None or fault:
        problems = (Problem(repository.rules.ref, "", "push.rules", fault),) if fault else ()
        return RangeCheck((*problems, *_tags_problems(repository, tip, mine)), found.rules)
    with repository.rules.assume(rules.new):
        return RangeCheck(tuple(_tags_problems(repository, tip, mine)), found.rules)


def _tags_problems(repository: Repository, tip: Oid | None, updates: Iterable[Update]) -> Iterator[Problem]:
    """Yield the problems of the moves of stage tags in *updates*, if the metadata branch is at the commit *tip*."""
    for update in updates:
        ref = StageRef.parse(update.ref)
        for fault in _tag_faults(repository, tip, ref, update) if ref is not None else ():
            yield Problem(update.ref, "", "push.tag", fault)


def _judge_branch(repository: Repository, update: Update, force: bool) -> RangeCheck:
    if update.new is None:
        return RangeCheck((Problem(update.ref, "", "push.gone", "would be deleted, with all that is recorded"),))
    if update.old is None:
        return RangeCheck(tuple(check(repository, update.new)))
    if not repository.commits.is_on_chain(update.new, update.old):
        message = f"goes to {update.new[:10]}, whose first parents do not lead to {update.old[:10]}"
        return RangeCheck((Problem(update.ref, "", "push.chain", message),))
    return check_between(repository, update.old, update.new, force=force)


def _rules_fault(repository: Repository, tip: Oid | None, update: Update) -> str:
    """Return the reason why *update* must not move the rules tag, if the metadata branch is at *tip*; "" if it may."""
    if update.new is None:
        return "would be deleted, and says which rules are in force"
    try:
        new = repository.rules.read(update.new)
        old = repository.rules.read(update.old)
    except GitModelError as error:
        return error.message
    if not extends(new, old):
        return f"goes to {new[0][:10]} and does not name {old[0][:10]}, up to which rules are in force"
    lost = next((commit for commit in new if tip is None or not repository.commits.reaches(tip, commit)), None)
    return f"names {lost[:10]}, which is not on the branch" if lost else ""


def _tag_faults(repository: Repository, tip: Oid | None, ref: StageRef, update: Update) -> Iterator[str]:
    """Yield the reasons why *update* must not move the stage tag *ref*, if the metadata branch is at *tip*."""
    snapshot = repository.snapshot_at(tip)
    leftover = paths.stage_file(ref.model, ref.stage) in leftovers(snapshot, ref.model)
    wanted = None if leftover else repository.tags.recorded_at(tip, ref)
    if update.new is None:
        if wanted is not None:
            yield "would be deleted, and the branch has a version there"
        return
    found = repository.reader.get(update.new)
    judged = repository.tags.judge(ref, found, tip)
    if not judged.forged and _is_newest_counting(repository, tip, ref, judged.target):
        return
    if wanted is None:
        yield "is set, and the branch has no version there"
    elif judged.forged:
        yield judged.forged
    elif judged.target != (due := parse_tag(wanted.data).target):
        yield f"is at {judged.target[:10]}, and the branch changed {ref.stage} last at {due[:10]}"
    elif not repository.tags.agrees(ref, found.id, wanted):
        yield f"is not the tag {wanted.id[:10]} that gitmodel makes from the branch, and has no signature that counts"
    else:
        try:
            signed = snapshot.registry().rule(ref.stage).signed
            refusal = judging.entry_refusal(repository, snapshot, ref, () if signed else _Anything())
        except GitModelError as error:
            refusal = Refusal(error.message)
        if refusal is not None:
            yield f"may not follow the branch: {refusal}"


def _is_newest_counting(repository: Repository, tip: Oid | None, ref: StageRef, commit: Oid) -> bool:
    """Return True if *commit* is the newest change of *ref* that counts, and later changes up to *tip* do not count."""
    try:
        found, later = judging.newest_counting(repository, tip, ref)
    except GitModelError:
        return False
    return bool(later) and found is not None and found.commit == commit
