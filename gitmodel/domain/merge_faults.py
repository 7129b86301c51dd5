"""Faults of records that merge cleanly as text: a stage for a deleted version, a name that leads elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitmodel.domain.invariants import broken_by_place
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import StageRecord, VersionRecord
from gitmodel.domain.snapshot import Files, Snapshot

# A record by its path, and the key of it that is meant; "" for all of it.
Place = tuple[str, str]


class Fault(NamedTuple):
    """A fault, as a *text*, and the records that the text is about."""

    text: str
    of: tuple[Place, ...] = ()


def faults(found: Snapshot, was: Files, model: str, touched: Sequence[tuple[str, RecordPath]]) -> Iterator[Fault]:
    """Yield the faults that `check` would report in *model*: in its records at the paths *touched*, and in its places.

    *was* are the files before they were touched.
    """
    record = found.files.load(paths.model_file(model), records.ModelRecord, newer=True)
    if record is None or not record.exists:
        if any(what.kind != "model" and found.files.read(path) is not None for path, what in touched):
            yield Fault(f"{model} is gone there")
        return
    stages = found.registry().stage_names
    for stage in (*stages, *(what.key for _, what in touched if what.kind == "stage" and what.key not in stages)):
        if found.recorded(model, stage) is not None and stage not in stages:
            path = paths.stage_file(model, stage)
            yield Fault(f"{stage} of {model}: there is no such stage", ((path, ""),))
        yield from _fault_in_place(found, model, paths.stage_file(model, stage), stage, found.recorded(model, stage))
    for alias in found.recorded_aliases(model):
        record_of = found.recorded_alias(model, alias)
        yield from _fault_in_place(found, model, paths.alias_file(model, alias), alias, record_of)
    for path, what in touched:
        if found.files.read(path) is not None or what.kind == "name":
            yield from _fault_in_file(found, was, model, path, what)


def _fault_in_place(found: Snapshot, model: str, path: str, place: str, record: StageRecord | None) -> Iterator[Fault]:
    if record is None:
        return
    version = _version(found, model, record.version)
    home = paths.version_file(model, record.version)
    rule = broken_by_place(record, version)
    if rule in ("stage.version", "stage.usable"):
        yield Fault(f"{place} of {model}: version {record.version} was deleted", ((path, ""), (home, "deleted")))
    elif rule:
        said = f"{place} of {model}: the artifacts of version {record.version} were changed"
        yield Fault(said, ((path, ""), (home, "artifacts")))


def _fault_in_file(found: Snapshot, was: Files, model: str, path: str, what: RecordPath) -> Iterator[Fault]:
    if what.kind == "archived":
        version, home = _version(found, model, int(what.key)), paths.version_file(model, int(what.key))
        if version is None or version.deleted is not None:
            yield Fault(f"{model} {what.key} was archived, and deleted", ((path, ""), (home, "deleted")))
    elif what.kind == "version":
        version = _version(found, model, int(what.key))
        if version is None:
            return
        if version.deleted is not None and found.is_archived(model, version.number):
            marker = paths.archived_file(model, version.number)
            yield Fault(f"{model} {what.key} was deleted, and archived", ((path, "deleted"), (marker, "")))
        home = paths.name_file(model, version.name) if version.name is not None else ""
        named = found.files.load(home, records.NameRecord, newer=True) if home else None
        if home and (named is None or named.version != version.number):
            yield Fault(f"{model} {what.key}: its name {version.name} leads elsewhere", ((path, "name"), (home, "")))
    elif what.kind == "name":
        for files in (found.files, was):
            name = files.load(path, records.NameRecord, newer=True)
            version = _version(found, model, name.version) if name is not None else None
            is_named = version is not None and version.name == what.key
            if name is not None and is_named != (found.files.read(path) is not None):
                home = paths.version_file(model, name.version)
                said = f"{model} {name.version}: it and its name {what.key} do not agree"
                yield Fault(said, ((path, ""), (home, "name")))
    elif what.kind == "alias":
        others = [other for other in found.recorded_aliases(model) if other != what.key]
        folder = found.files.names(paths.name_folder(model, what.key))
        taken = [*others, *(name.removesuffix(".toml") for name in folder)]
        if any(fold(other) == fold(what.key) for other in taken):
            yield Fault(f"the alias {what.key} of {model} is a name there", ((path, ""),))


def _version(found: Snapshot, model: str, number: int) -> VersionRecord | None:
    return found.files.load(paths.version_file(model, number), records.VersionRecord, newer=True)
