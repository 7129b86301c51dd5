"""Whether a change of a stage that is recorded may be put in force: its gates, how it came, who was there before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from gitmodel.domain import gates, paths
from gitmodel.domain.gates import Outcome
from gitmodel.domain.records import StageRecord
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, UsageError
from gitmodel.storage.repository import Repository

if TYPE_CHECKING:
    from gitmodel.expressions import Verdict

MOST_RENAMES = 100


def judge(expression: str, record: Mapping[str, object]) -> Verdict:
    """What a gate's *expression* says of *record*; one that cannot be read, or needs a library, does not pass."""
    from gitmodel import expressions  # a registry without gates does not pay for it

    try:
        return expressions.parse(expression).judge(record)
    except UsageError as error:
        return expressions.Verdict(False, expression, error.message)


def judge_commit(repository: Repository, commit: str, ref: StageRef) -> tuple[Outcome, ...]:
    """What the rules of the first parent of *commit* say of the version that *commit* put into the stage *ref*."""
    parents = repository.tags.commit(commit).parents
    after = repository.snapshot(commit)
    record = after.recorded(ref.model, ref.stage)
    if not parents or record is None:
        return ()
    forced = record.forced if record.reason.strip() else ()
    return gates.judge_entry(repository.snapshot(parents[0]), after, ref, record.version, judge, forced=forced)


def why_not(repository: Repository, snapshot: Snapshot, ref: StageRef, reviewed: Collection[str] = ()) -> str:
    """Why the change of the stage *ref* that is recorded must not be in force, or "".

    It is judged at the newest commit that changed the stage's file, by the rules in its first parent. *reviewed* are
    commits that the caller vouches for; of others, a signature that is asked for must count by our clock as well.
    Raises Invalid where a shallow clone hides that commit.
    """
    found = _changed_by(repository, snapshot.commit, ref)
    if found is None:
        return ""
    unsigned = _seal_fault(repository, found[2], ref, reviewed)
    if unsigned:
        return unsigned
    ref, commit, _ = found
    parents = repository.tags.commit(commit).parents
    if not parents:
        return ""
    record = repository.snapshot(commit).recorded(ref.model, ref.stage)
    before = repository.snapshot(parents[0])
    if record is not None and may_return(repository, before, ref, record, reviewed):
        return ""
    return _fault(repository, commit, ref, reviewed)


def entered_by(repository: Repository, tip: str, ref: StageRef) -> tuple[StageRef, str] | None:
    """The newest commit up to *tip* that changed the stage *ref*, and the stage under the name its model had then."""
    found = _changed_by(repository, tip, ref)
    return None if found is None else (found[0], found[1])


def may_return(
    repository: Repository, before: Snapshot, ref: StageRef, record: StageRecord, reviewed: Collection[str] = ()
) -> bool:
    """Whether *record* takes the stage *ref* back to a version that was there before, and the stage lets it do so.

    It was there if its history to *before* has a commit that put this version, with these artifacts, into the stage
    as the rules of that time asked.
    """
    rule = before.registry().rule(ref.stage)
    if rule.rollback != "direct" or rule.faults:
        return False
    from gitmodel.storage.log import stage_events  # who goes back to nobody does not pay for it

    for event in stage_events(repository, before.commit, ref):
        if event.version != record.version:
            continue
        then = repository.snapshot(event.commit).recorded(event.model, ref.stage)
        if then is None or then.artifacts != record.artifacts:
            continue
        if not _fault(repository, event.commit, StageRef(event.model, ref.stage), reviewed):
            return True
    return False


def came_by_merge(repository: Repository, commit: str, path: str) -> bool:
    """Whether *commit* is a merge that took the file at *path* as it is from what it merged in."""
    found = repository.tags.commit(commit)
    if len(found.parents) < 2:
        return False
    id = repository.files(commit).id(path)
    if id == repository.files(found.parents[0]).id(path):
        return False
    return any(repository.files(parent).id(path) == id for parent in found.parents[1:])


def _fault(repository: Repository, commit: str, ref: StageRef, reviewed: Collection[str]) -> str:
    """What is wrong with the entry that *commit* records, by the rules in its first parent, or ""."""
    parents = repository.tags.commit(commit).parents
    if not parents:
        return ""
    try:
        rule = repository.snapshot(parents[0]).registry().rule(ref.stage)
        path = paths.stage_file(ref.model, ref.stage)
        unsigned = repository.tags.seals.commit_fault(commit) if rule.signed else ""
        if unsigned:
            return unsigned
        if rule.proposal_only and not rule.signed and not _came_through_review(repository, commit, path, reviewed):
            return f"{commit[:10]} changed it directly, and {ref.stage} takes only what came through review"
        return "; ".join(str(outcome) for outcome in judge_commit(repository, commit, ref) if outcome.stops)
    except GitModelError as error:
        return error.message


def _came_through_review(repository: Repository, commit: str, path: str, reviewed: Collection[str]) -> bool:
    """Whether *commit* was vouched for, is a merge, or is signed by somebody on the list before it, as hosts do."""
    if commit in reviewed or came_by_merge(repository, commit, path):
        return True
    return not repository.tags.seals.commit_fault(commit)


def _seal_fault(repository: Repository, commit: str, ref: StageRef, reviewed: Collection[str]) -> str:
    """Why the signature of *commit*, which set the file of *ref*, does not count now, if one is asked for, or ""."""
    seals = repository.tags.seals
    try:
        if not seals.demanded(repository.tags.commit(commit).parents, ref.stage):
            return ""
        now = None if commit in reviewed else int(repository.identity.moment().timestamp())
        return seals.commit_fault(commit, now=now)
    except Invalid as error:
        return error.message


def _changed_by(repository: Repository, tip: str, ref: StageRef) -> tuple[StageRef, str, str] | None:
    """The newest commit that changed the stage *ref*, and the stage under the name that its model had then.

    To rename a model carries its stages along; it does not change them. The third is the newest commit that wrote the
    file, which may be such a rename.
    """
    newest = ""
    for _ in range(MOST_RENAMES):
        commit = repository.tags.changed_by(tip, paths.stage_file(ref.model, ref.stage))
        newest = newest or commit
        if not commit:
            return None
        parents = repository.tags.commit(commit).parents
        carried = _carried_from(repository, commit, parents[0], ref) if parents else None
        if carried is None:
            return ref, commit, newest
        ref, tip = carried, parents[0]
    return None


def _carried_from(repository: Repository, commit: str, parent: str, ref: StageRef) -> StageRef | None:
    """The stage that a rename in *commit* made *ref* of, with the same bytes, if it did."""
    files, before = repository.files(commit), repository.files(parent)
    id = files.id(paths.stage_file(ref.model, ref.stage))
    if id is None or before.id(paths.model_file(ref.model)) is not None:
        return None
    for former in repository.snapshot(commit).former_names(ref.model):
        if before.id(paths.stage_file(former, ref.stage)) == id:
            return StageRef(former, ref.stage)
    return None
