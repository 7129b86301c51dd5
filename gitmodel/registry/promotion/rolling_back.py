"""Putting the previous holder of a stage back, or reverting changes of the stage that do not count."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.history.stage_history import stage_events
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.rules import gates
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import StageRecord, links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import check_stage
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import NotFound
from gitmodel.registry.promotion import judging


def plan_rollback(
    repository: Repository,
    snapshot: Snapshot,
    model: str,
    stage: str,
    *,
    why: Justification = Justification(),
    leave: bool = False,
) -> Change[Promotion]:
    """Plan to put the previous holder of *stage* back, or to revert the last changes of *stage* that do not count.

    *why* and *leave* are as in `stages.rollback`.
    """
    name = snapshot.current_name(model)
    undone = _plan_undoing(repository, snapshot, name, stage, why.reason)
    if undone is not None:
        return undone
    old = _previous_holder(repository, snapshot, name, stage)
    record = StageRecord(version=old, artifacts=links_digest(planning.promotable(snapshot, name, old).artifacts))
    verb = "Roll back"
    if judging.may_return(repository, snapshot.committed or snapshot, StageRef(name, stage), record):
        change = planning.plan_promotion(snapshot, name, old, to=stage, reason=why.reason, leave=leave, verb=verb)
        return gates.admit(change)
    return gates.plan_gated_promotion(snapshot, name, old, judging.judge, to=stage, why=why, leave=leave, verb=verb)


def _plan_undoing(
    repository: Repository, snapshot: Snapshot, name: str, stage: str, reason: str
) -> Change[Promotion] | None:
    """Plan to revert the newest changes of a stage that do not count, such as direct changes; None if there are none.

    Also reverts the other stages and the archived markers of the model that the same commits changed, unless a later
    commit changed them again.
    """
    ref, base = StageRef(name, stage), snapshot.committed or snapshot
    if not base.commit or not judging.is_guarded(snapshot):
        return None
    _, later = judging.newest_counting(repository, base.commit, ref)
    later = [change for change in later if change.ref == ref]
    if not later or not repository.commits.read(later[-1].commit).parents:
        return None
    files = _reverted_files(repository, snapshot, name, stage, later)
    restored = replace(snapshot, files=ChangedFiles(snapshot.files, files))
    for path in planning.leftovers(restored, name):
        if path != paths.stage_file(name, stage):
            files.pop(path, None)
    record, held = restored.recorded(name, stage), snapshot.recorded(name, stage)
    if record is not None and planning.recorded_places(restored, name).get(stage) != record.version:
        return None  # the version to restore was promoted to another stage later
    if record is not None:
        planning.promotable(snapshot, name, record.version)
    places = (what for what in map(paths.parse_path, files) if what is not None and what.kind == "stage")
    number, previous = (one.version if one else None for one in (record, held))
    trailers = (
        ("Model", name), ("Version", str(number or "")), ("Stage", stage), ("Previous-Version", str(previous or "")),
    )  # fmt: skip
    return Change(
        Promotion(name, number, stage, previous),
        subject=f"Take back what {later[0].commit[:10]} did to {name} {stage}",
        reason=reason,
        files=files,
        trailers=trailers,
        admitted=frozenset(StageRef(name, what.key) for what in places),
        may_empty=frozenset(StageRef(name, other) for other in snapshot.registry().stage_names),
    )


def _reverted_files(
    repository: Repository, snapshot: Snapshot, name: str, stage: str, later: list[judging.StageChange]
) -> dict[str, bytes | None]:
    """Return the stage files and archived markers that the changes *later* wrote, with their content before.

    *later* is ordered newest first. If another commit wrote a file again afterwards, the file keeps its present
    content, except the file of *stage*.
    """
    before = repository.files(repository.commits.read(later[-1].commit).parents[0])
    files: dict[str, bytes | None] = {}
    for change in reversed(later):
        after = repository.files(change.commit)
        for path in changed_paths(repository, repository.commits.read(change.commit).parents[0], change.commit):
            what = paths.parse_path(path)
            if what is not None and what.model == name and what.kind in ("stage", "archived"):
                same = snapshot.files.read(path) == after.read(path)
                files[path] = before.read(path) if same else snapshot.files.read(path)
    own = paths.stage_file(name, stage)
    files[own] = before.read(own)
    return files


def _previous_holder(repository: Repository, snapshot: Snapshot, name: str, stage: str) -> int:
    """Return the version that was in *stage* last before the current holder, or last before the stage became empty.

    Skips a deleted version if its deletion left the stage empty, or if the stage is empty now. If another version
    replaced the deleted version and is still in the stage, returns the deleted version, which the caller refuses.
    """
    snapshot.model(name)
    check_stage(stage, snapshot.registry())
    held = planning.recorded_places(snapshot, name).get(stage)
    passed: list[int] = [] if held is None else [held]
    newer: int | None = held  # the version that the stage had after the event
    for known_as in chain((name,), snapshot.former_names(name)):
        for event in stage_events(repository, snapshot.commit, StageRef(known_as, stage)):
            if event.version is not None and event.version not in passed:
                if judging.change_refusal(repository, event.commit, StageRef(event.model, stage)):
                    continue
                if None not in (held, newer) or planning.is_present(snapshot, name, event.version):
                    return event.version
                passed.append(event.version)
            newer = event.version
    deleted = ", ".join(str(number) for number in passed if number != held)
    that = f" that still exists (deleted: {deleted})" if deleted else ""
    verb = "was" if deleted else "was ever"
    raise NotFound(
        f"no other version of {name}{that} {verb} in {stage}", hint=f"run `git model history {name} {stage}`"
    )
