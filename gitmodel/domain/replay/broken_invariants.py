"""Finding invariants that a replay broke, although no file was changed on both sides. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from gitmodel.domain.rules import invariants
from gitmodel.domain.rules.related_records import related
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Files

# A place in the registry: the path of a record, and one of its keys, or "" for the whole record.
Place = tuple[str, str]


class Fault(NamedTuple):
    """A broken invariant: *text* describes it, and *of* are the places in records that contradict each other."""

    text: str
    of: tuple[Place, ...] = ()


def faults(snapshot: Snapshot, old_files: Files, model: str, touched: Collection[str]) -> Iterator[Fault]:
    """Yield the invariants of *model* that *snapshot* breaks after a replay changed the files at the paths *touched*.

    Checks these records, and the records that refer to them or to which they refer. *old_files* are the files on the
    remote's branch before the replay. A version in two stages is not reported, because the replay corrects this later.
    """
    files = snapshot.files
    holds = invariants.read_records(files, related(files, touched) | related(old_files, touched))
    if holds.record is None or not holds.record.exists:
        if any(path in holds.files for path in touched if path != paths.model_file(model)):
            yield Fault(f"{model} is gone at the remote")
        return
    for problem in invariants.model_faults(snapshot.registry(), model, holds):
        if problem.rule != "stage.single":
            yield Fault(_text(problem), tuple(_places(files, problem)))


def _text(problem: Problem) -> str:
    what = paths.parse_path(problem.path)
    if what is None or what.kind not in ("stage", "alias", "name", "version"):
        return f"{problem.path}: {problem.message}"
    noun = {"name": "the name ", "version": "version "}.get(what.kind, "")
    return f"{noun}{what.key} of {what.model}: {problem.message}"


def _places(files: Files, problem: Problem) -> Iterator[Place]:
    """Yield the place that *problem* names, and the place in the other record that contradicts it, if any."""
    what = paths.parse_path(problem.path)
    yield problem.path, problem.key if what is not None and what.kind in ("model", "version") else ""
    if what is None:
        return
    if problem.rule in ("stage.version", "stage.usable", "stage.artifacts"):
        held = files.load(problem.path, records.StageRecord, newer=True)
        key = "artifacts" if problem.rule == "stage.artifacts" else "deleted"
        yield from () if held is None else ((paths.version_file(what.model, held.version), key),)
    elif problem.rule == "archived.version":
        yield paths.version_file(what.model, int(what.key)), "deleted"
    elif problem.rule == "name.version":
        name = files.load(problem.path, records.NameRecord, newer=True)
        yield from () if name is None else ((paths.version_file(what.model, name.version), "name"),)
    elif problem.rule == "version.name" and what.kind == "version":
        version = files.load(problem.path, records.VersionRecord, newer=True)
        yield from () if version is None or version.name is None else ((paths.name_file(what.model, version.name), ""),)
