"""Deciding if a recorded change of a stage may be in force: by its gates, signatures, reviews and earlier holders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gitmodel.branch.repository import Repository
from gitmodel.branch.stages.stage_tags import target_of
from gitmodel.domain.rules import gates
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import REMOTES, StageRef, vouched_ref
from gitmodel.domain.snapshots.commit_records import MOST_RENAMES, place_files
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Refusal
from gitmodel.errors import GitModelError, Invalid, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import list_refs

if TYPE_CHECKING:
    from gitmodel.expressions.expression import Verdict

# A part of the error for an expression that this machine cannot evaluate.
NEEDS_CEL = "needs the CEL library"
_MOST_CHANGES = 1_000


def judge(expression: str, record: Mapping[str, object]) -> Verdict:
    """Evaluate a gate's *expression* on *record*. If it is malformed or needs a missing library, the gate fails."""
    from gitmodel.expressions.expression import Verdict, parse  # imported here: only gates need it

    try:
        return parse(expression).judge(record)
    except UsageError as error:
        malformed = NEEDS_CEL not in error.message  # without the library, the gate may still be correct
        return Verdict(False, expression, error.message, unreadable=malformed)


def expression_fault(text: str) -> str:
    """Return the fault of the gate expression *text*, such as a name that no record has; "" if there is none."""
    from gitmodel.expressions.expression import parse  # imported here because few commands check expressions
    from gitmodel.expressions.filter import check_names

    try:
        parse(text)
    except UsageError as error:
        if NEEDS_CEL not in error.message:  # a missing library says nothing about the expression
            return error.message
    try:
        check_names(text, gates.GATE_NAMES)
    except UsageError as error:
        return f"{error.message}; {error.hint}"
    return ""


def entry_refusal(
    repository: Repository, snapshot: Snapshot, ref: StageRef, reviewed: Collection[str] = ()
) -> Refusal | None:
    """Return the reason why the recorded change of the stage *ref* must not be in force, or None if it may.

    Judges the newest commit that changed the stage, by the rules in its first parent and those that were in force at
    that time. *reviewed* are commits that the caller knows to be reviewed. If a signature is required and the commit is
    not in *reviewed*, the signature must also be valid now. Raises Invalid if a shallow clone lacks the commit.
    """
    found = changed_by(repository, snapshot.commit, ref)
    if found is None:
        return None
    unsigned = _signature_fault(repository, found.written_by, ref, reviewed)
    if unsigned:
        return Refusal(unsigned)
    is_first = not repository.commits.read(found.commit).parents
    return None if is_first else change_refusal(repository, found.commit, found.ref, reviewed)


def alias_refusal(repository: Repository, snapshot: Snapshot, ref: StageRef) -> Refusal | None:
    """Return a reason if the rules at the time of the recorded change of the alias *ref* forbade its name, or None."""
    if snapshot.commit is None:
        return None
    commit = repository.commits.changed_by(snapshot.commit, *place_files(snapshot.registry(), ref))
    parents = repository.commits.read(commit).parents if commit else ()
    if commit is None or not parents:
        return None
    try:
        faults = [record.alias_fault(ref.stage) for record in repository.snapshot_at(parents[0]).registries]
    except GitModelError as error:
        return Refusal(error.message)
    fault = next(filter(None, faults), "")
    said = f"{ref.stage} {fault} by the rules that were in force when {commit[:10]} came in"
    return Refusal(said) if fault else None


class StageChange(Frozen):
    """A commit that changed a stage's file to *record* (None: empty). *ref* has the name of the model at that time."""

    ref: StageRef
    commit: Oid
    record: StageRecord | None


def refusal(repository: Repository, snapshot: Snapshot, ref: StageRef) -> Refusal | None:
    """Return the reason why a rule keeps the change of *ref* out of force; None if no rule does, or after an error."""
    try:
        return entry_refusal(repository, snapshot, ref) if is_guarded(snapshot) else None
    except GitModelError:
        return None


def is_guarded(snapshot: Snapshot) -> bool:
    """Return True if a rule of any stage can keep a recorded change out of force."""
    rules = snapshot.registry().stages
    if any(rule.signed or not rule.is_open for rule in rules):
        return True
    try:
        return bool(snapshot.other_rules())
    except Invalid:
        return True


def change_refusal(
    repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str] = ()
) -> Refusal | None:
    """Return the reason why the change of the stage *ref* by *commit* does not count, or None if it counts.

    Judges by the rules at the time of *commit*. If the version left or entered other stages in the same commit, the
    changes of those stages must count, too.
    """
    for tied in (ref, *_tied(repository, commit, ref)):
        found = _own_refusal(repository, commit, tied, reviewed)
        if found is None or _takes_back(repository, commit, tied, reviewed):
            continue
        if tied == ref:
            return found
        return replace(
            found, reason=f"it was changed together with {tied.stage}, whose change does not count: {found.reason}"
        )
    return None


def newest_counting(
    repository: Repository, tip: Oid | None, ref: StageRef, reviewed: Collection[str] = ()
) -> tuple[StageChange | None, list[StageChange]]:
    """Return the newest change of the stage *ref* up to *tip* that counts (or None), and the later ones, newest first.

    Reads at most the newest thousand changes. Raises Invalid if a shallow clone lacks one of them.
    """
    later: list[StageChange] = []
    for change in _changes(repository, tip, ref):
        if change_refusal(repository, change.commit, change.ref, reviewed) is None:
            return change, later
        later.append(change)
    return None, later


def vouched_for(repository: Repository, snapshot: Snapshot, ref: StageRef, reviewed: Collection[str]) -> Oid | None:
    """Return the commit that changed *ref* if it counts only because it is in *reviewed*; None otherwise."""
    found = changed_by(repository, snapshot.commit, ref) if reviewed else None
    if found is None or found.ref != ref or found.commit not in reviewed:
        return None
    return found.commit if change_refusal(repository, found.commit, ref) else None


def was_set_by(repository: Repository, commit: Oid, ref: StageRef) -> bool:
    """Return True if the tag of the stage *ref* is at *commit*, or a tag records that a user vouched for *commit*."""
    found = repository.tags.read(ref)
    if found is not None and target_of(ref, found) == (commit, ""):
        return True
    name = vouched_ref(ref, commit).removeprefix("refs/tags/")
    return commit in list_refs(repository.git, f"refs/tags/{name}", f"{REMOTES}*/{name}").values()


def may_return(
    repository: Repository, before: Snapshot, ref: StageRef, record: StageRecord, reviewed: Collection[str] = ()
) -> bool:
    """Return True if *record* puts an earlier holder back into the stage *ref*, and the stage allows direct rollbacks.

    An earlier holder is a version that a commit in the history of *before* put into the stage with the same artifacts,
    as the rules of that time allowed.
    """
    if any(rule.rollback != "direct" or rule.faults for rule in before.rules(ref.stage)):
        return False
    from gitmodel.branch.history.stage_history import stage_events  # imported here: only a rollback needs it

    for event in stage_events(repository, before.commit, ref):
        if event.version != record.version:
            continue
        then = repository.snapshot_at(event.commit).recorded(event.model, ref.stage)
        if then is None or then.artifacts != record.artifacts:
            continue
        if _gate_refusal(repository, event.commit, StageRef(event.model, ref.stage), reviewed) is None:
            return True
    return False


def came_by_merge(repository: Repository, commit: Oid, path: str) -> bool:
    """Return True if *commit* is a merge that took the file at *path* unchanged from a merged commit."""
    found = repository.commits.read(commit)
    if len(found.parents) < 2:
        return False
    id = repository.files(commit).id(path)
    if id == repository.files(found.parents[0]).id(path):
        return False
    return any(repository.files(parent).id(path) == id for parent in found.parents[1:])


def _way_out(repository: Repository, commit: Oid, ref: StageRef) -> str:
    """Return advice for the user if *commit* changed the stage *ref* without a review."""
    advice = f"if it was reviewed, `git model apply --reviewed {commit[:10]}` puts it in force"
    if repository.snapshot_at(commit).current_name(ref.model) != ref.model:
        return advice  # *commit* renamed the model, which cannot be rolled back
    return f"`git model rollback {ref.model} {ref.stage}` reverts it; {advice}"


def _gate_refusal(repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str]) -> Refusal | None:
    """Return the reason why the rules in the first parent of *commit* refuse its change of *ref*, or None."""
    parents = repository.commits.read(commit).parents
    if not parents:
        return None
    try:
        before, after = repository.snapshot_at(parents[0]), repository.snapshot_at(commit)
        rules = before.rules(ref.stage)
        signed = any(rule.signed for rule in rules)
        unsigned = repository.tags.signatures.commit_fault(commit) if signed else ""
        if unsigned:
            return Refusal(unsigned)
        needs_review = any(rule.proposal_only for rule in rules) and not signed
        if needs_review and not _is_reviewed(repository, commit, ref, reviewed):
            return Refusal(
                f"recorded, not reviewed: {commit[:10]} changed it directly, and {ref.stage} accepts only reviewed "
                "changes",
                _way_out(repository, commit, ref),
                unreviewed=True,
            )
        record = after.recorded(ref.model, ref.stage)
        outcomes = gates.judge_recorded(before, after, ref, record, judge) if record is not None else ()
        failed = [str(outcome) for outcome in outcomes if outcome.stops]
        return Refusal("; ".join(failed)) if failed else None
    except GitModelError as error:
        return Refusal(error.message)


def _own_refusal(repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str]) -> Refusal | None:
    """Return the same as `change_refusal`, but ignore the other stages that *commit* changed."""
    parents = repository.commits.read(commit).parents
    if not parents:
        return None
    try:
        record = repository.snapshot_at(commit).recorded(ref.model, ref.stage)
        before = repository.snapshot_at(parents[0])
        if record is not None and may_return(repository, before, ref, record, reviewed):
            return None
    except GitModelError as error:
        return Refusal(error.message)
    return _gate_refusal(repository, commit, ref, reviewed)


def _takes_back(repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str]) -> bool:
    """Return True if *commit* reverts changes of the stage *ref* that do not count, to the last change that counts.

    Returns False in a stage that requires signatures, because there such a commit must be signed like any other.
    """
    parents = repository.commits.read(commit).parents
    if not parents or repository.tags.signatures.are_required(parents, ref.stage):
        return False
    record = repository.snapshot_at(commit).recorded(ref.model, ref.stage)
    for number, change in enumerate(_changes(repository, parents[0], ref)):
        if _own_refusal(repository, change.commit, change.ref, reviewed) is None:
            return number > 0 and change.record == record
    return record is None


def _tied(repository: Repository, commit: Oid, ref: StageRef) -> list[StageRef]:
    """Return the other stages that *commit* changed and that had a version of the stage *ref*, before or after it."""
    parents = repository.commits.read(commit).parents
    if not parents:
        return []
    before, after = repository.snapshot_at(parents[0]), repository.snapshot_at(commit)
    try:
        stages = dict.fromkeys((*before.registry().stage_names, *after.registry().stage_names))
        sides = {stage: tuple(snapshot.recorded(ref.model, stage) for snapshot in (before, after)) for stage in stages}
    except Invalid:
        return []
    moved = {
        stage: {record.version for record in side if record is not None}
        for stage, side in sides.items()
        if side[0] != side[1]
    }
    own = moved.get(ref.stage, set())
    return [StageRef(ref.model, stage) for stage, versions in moved.items() if stage != ref.stage and versions & own]


def _changes(repository: Repository, tip: Oid | None, ref: StageRef) -> Iterator[StageChange]:
    """Yield the newest thousand changes of the stage *ref* up to *tip*, also under former names of its model."""
    for _ in range(_MOST_CHANGES):
        if not tip:
            return
        found = changed_by(repository, tip, ref)
        if found is None:
            return
        ref, commit = found.ref, found.commit
        yield StageChange(ref, commit, repository.snapshot_at(commit).recorded(ref.model, ref.stage))
        tip = next(iter(repository.commits.read(commit).parents), None)


def _is_reviewed(repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str]) -> bool:
    """Return True if the change of the stage *ref* by *commit* was reviewed.

    It was reviewed if *commit* is in *reviewed* or a tag records this, if a merge brought the change in, or if a signer
    whom the first parent of *commit* lists signed *commit*.
    """
    path = paths.stage_file(ref.model, ref.stage)
    if commit in reviewed or came_by_merge(repository, commit, path) or was_set_by(repository, commit, ref):
        return True
    signatures, (parent, *_) = repository.tags.signatures, repository.commits.read(commit).parents
    return not signatures.commit_fault(commit) and not signatures.lists_fault(
        commit, repository.rules.other_commits(parent)
    )


def _signature_fault(repository: Repository, commit: Oid, ref: StageRef, reviewed: Collection[str]) -> str:
    """Return the fault of the signature of *commit* if the stage *ref* requires a valid one; "" if there is none."""
    signatures = repository.tags.signatures
    try:
        if not signatures.are_required(repository.commits.read(commit).parents, ref.stage):
            return ""
        now = None if commit in reviewed else int(repository.identity.moment().timestamp())
        return signatures.commit_fault(commit, now=now)
    except Invalid as error:
        return error.message


class ChangedBy(NamedTuple):
    """The newest *commit* that changed the stage *ref*. *ref* has the name of the model at that time.

    A rename of a model moves its stages and does not change them. *written_by* is the newest commit that wrote the
    stage's file, which may be a rename.
    """

    ref: StageRef
    commit: Oid
    written_by: Oid


def changed_by(repository: Repository, tip: Oid | None, ref: StageRef) -> ChangedBy | None:
    """Return the newest change of the stage *ref* up to *tip*; None if no commit changed it."""
    newest = None
    for _ in range(MOST_RENAMES):
        commit = repository.commits.changed_by(tip, paths.stage_file(ref.model, ref.stage)) if tip else None
        if commit is None:
            return None
        newest = newest or commit
        parents = repository.commits.read(commit).parents
        carried = _carried_from(repository, commit, parents[0], ref) if parents else None
        if carried is None:
            return ChangedBy(ref, commit, newest)
        ref, tip = carried, parents[0]
    return None


def _carried_from(repository: Repository, commit: Oid, parent: Oid, ref: StageRef) -> StageRef | None:
    """Return the stage *ref* under the former name of its model, if *commit* only renamed the model; None otherwise."""
    files, before = repository.files(commit), repository.files(parent)
    id = files.id(paths.stage_file(ref.model, ref.stage))
    if id is None or before.id(paths.model_file(ref.model)) is not None:
        return None
    for former in repository.snapshot_at(commit).former_names(ref.model):
        if before.id(paths.stage_file(former, ref.stage)) == id:
            return StageRef(former, ref.stage)
    return None
