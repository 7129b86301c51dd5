"""The record of a run of a pipeline, and the change that writes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change, record_files
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.records import RunRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, Invalid, NotFound, UsageError

T = TypeVar("T")
_SHORTEST = 4
_MOST_SHOWN = 5


def run_id(pipeline: str, started: datetime, unique: str) -> str:
    """Return the id of a run: start time, pipeline, and the part *unique*, which distinguishes runs of the same second.

    >>> from datetime import timezone
    >>> run_id("train", datetime(2026, 11, 23, 10, 11, 12, tzinfo=timezone.utc), "7f3a")
    '20261123T101112Z-train-7f3a'
    """
    return f"{started:%Y%m%dT%H%M%SZ}-{pipeline}-{unique}"


def plan_run(snapshot: Snapshot, record: RunRecord) -> Change[str]:
    """Write the record of a run. Raises Conflict if another run has the same id."""
    path = paths.run_file(record.id)
    if snapshot.load(path, records.RunRecord) not in (None, record):
        raise Conflict(f"there is a run {record.id} already", hint="run the pipeline again")
    subject = f"Run {record.pipeline}" + ("" if record.status == "succeeded" else f" ({record.status})")
    return Change(
        record.id, subject=subject, files=record_files(snapshot, path, record), trailers=(("Run", record.id),)
    )


def with_runs(snapshot: Snapshot, change: Change[T], runs: Iterable[RunRecord]) -> Change[T]:
    """Return *change* extended by the records of those *runs* that the registry does not have yet.

    A run counts as the same if its record differs only in the versions that the run created. Then the record in the
    registry stays, because the record of a run never changes. Raises Conflict if another run has the same id.
    """
    files = dict(change.files)
    for record in runs:
        there = snapshot.load(paths.run_file(record.id), records.RunRecord)
        if there is None or replace(there, versions=()) != replace(record, versions=()):
            changed = replace(snapshot, files=ChangedFiles(snapshot.files, files))
            files.update(plan_run(changed, record).files)
    return replace(change, files=files)


def with_versions(record: RunRecord, now: Callable[[str], str | None]) -> RunRecord:
    """Return *record* with each reference to a version replaced by the result of *now* for it (None: removed)."""
    versions = sorted(found for found in map(now, record.versions) if found is not None)
    steps = (replace(step, version=now(step.version)) if step.version else step for step in record.steps)
    return replace(record, versions=tuple(versions), steps=tuple(steps))


def named_run(text: str, run_ids: Iterable[str]) -> str | None:
    """Return the id that *text* is or abbreviates, among the ids *run_ids*; None if there is no such id.

    An abbreviation is the beginning or the end of an id, and has at least 4 characters. Raises UsageError if *text*
    abbreviates several ids.

    >>> named_run("7f3a", ["20261123T101112Z-train-7f3a", "20261123T101113Z-train-04b2"])
    '20261123T101112Z-train-7f3a'
    """
    ids = set(run_ids)
    if text in ids:
        return text
    found = sorted((id for id in ids if id.startswith(text) or id.endswith(text)), reverse=True)
    if not found or len(text) < _SHORTEST:
        return None
    if len(found) > 1:
        more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
        raise UsageError(
            f"{text!a} names {len(found)} runs", hint=f"write more of the id: {', '.join(found[:_MOST_SHOWN])}{more}"
        )
    return found[0]


def check_run(record: RunRecord) -> RunRecord:
    """Return *record* as gitmodel would read it from its file. Raises UsageError if a value is invalid."""
    try:
        if not paths.run_file(record.id):
            raise Invalid(f"{record.id!a} is not the id of a run")
        return codec.decode(RunRecord, codec.encode(record), f"the run {record.id}")
    except Invalid as error:
        raise UsageError(
            f"the record of a run is not valid: {error.message}", hint="`help(RunRecord)` in Python describes its keys"
        ) from None


def find_run(snapshot: Snapshot, id: str) -> RunRecord:
    """Return the record of the run *id*. Raises NotFound."""
    path = paths.run_file(id)
    record = snapshot.load(path, records.RunRecord) if path else None
    if record is None:
        raise NotFound(f"there is no run {id!a}", hint="run `git model runs list` to see the runs")
    return record
