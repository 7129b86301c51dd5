"""Invariants that a replay would break, although its files merge cleanly as text. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from gitmodel.domain.rules import invariants
from gitmodel.domain.rules.related_records import related
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Files

# The path of a record, and one of its keys; "": the whole record.
Place = tuple[str, str]


class Fault(NamedTuple):
    """A broken invariant, as a *text*, and the records that the text is about."""

    text: str
    of: tuple[Place, ...] = ()


def faults(snapshot: Snapshot, was: Files, model: str, touched: Collection[str]) -> Iterator[Fault]:
    """Yield the invariants that the records of *model* at the paths *touched* break, together with related records.

    *was* are the files before they were touched. A version in two places is no fault here, because the replay removes
    it from one place.
    """
    files = snapshot.files
    holds = invariants.read_records(files, related(files, touched) | related(was, touched))
    if holds.record is None or not holds.record.exists:
        if any(path in holds.files for path in touched if path != paths.model_file(model)):
            yield Fault(f"{model} is gone there")
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
    """Yield the place of *problem*, and the place of the version or name that contradicts the record."""
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
