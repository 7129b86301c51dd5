"""Replaying a change on a branch that moved on: record by record, key by key, with new numbers where needed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gitmodel.domain import codec, paths, records
from gitmodel.domain.paths import RecordPath
from gitmodel.domain.records import ArtifactLink, NameRecord, RunRecord, StageRecord, VersionRecord
from gitmodel.domain.snapshot import Files, Snapshot
from gitmodel.domain.stages import places_of

_SCHEMAS: Mapping[str, codec.Schema[Any]] = {
    "registry": records.REGISTRY,
    "model": records.MODEL,
    "version": records.VERSION,
    "name": records.NAME,
    "stage": records.STAGE,
    "alias": records.STAGE,
    "run": records.RUN,
}
_ABSENT = object()
_MARK = "\x01"

# The number that a version made here gets where its own was taken meanwhile: (model, ours) -> theirs to be.
Renumbering = dict[tuple[str, int], int]


@dataclass
class Replayed:
    """What a commit becomes on the new tip: its *files*, and what could not be kept, in words, theirs standing."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    lost_names: list[str] = field(default_factory=list)


def replay(before: Files, after: Files, changed: Iterable[str], onto: Snapshot, renumbered: Renumbering) -> Replayed:
    """The change from *before* to *after* of the paths *changed*, made again on *onto*.

    A version whose number is taken there gets the next one, which is added to *renumbered*, and everything that names
    it follows. Where both sides changed one thing, what is there stands and ours is named in the conflicts.
    """
    found = [(path, paths.parse_path(path)) for path in changed]
    for path, what in found:
        if what is not None and what.kind == "version" and before.read(path) is None:
            _take_number(what, onto, renumbered)
    done = Replayed()
    for path, what in found:
        target = _renumbered_path(path, what, renumbered)
        base, ours, theirs = before.read(path), after.read(path), onto.files.read(target)
        if ours is not None and what is not None and what.kind in _SCHEMAS:
            ours = _renumbered_bytes(what, ours, renumbered)
        if ours == theirs:
            continue
        if theirs == base or (path != target and theirs is None):
            done.files[target] = ours
        else:
            _merge(target, what, (base, ours, theirs), done)
    _drop_lost_names(done, onto)
    _drop_what_cannot_be(done, onto)
    return done


def merged(schema: codec.Schema[Any], base: Any, ours: Any, theirs: Any) -> tuple[Any, list[str]]:
    """One record of three, key by key, and the keys that both sides changed differently (theirs stand)."""
    values, conflicts = {}, []
    for entry in fields(theirs):
        name = entry.name
        value, wrong = _merged_value(
            name, getattr(base, name) if base is not None else _ABSENT, getattr(ours, name), getattr(theirs, name)
        )
        values[name] = value
        conflicts += wrong
    return replace(theirs, **values), conflicts


def reworded(message: str, renumbered: Renumbering, lost_names: Iterable[str] = ()) -> str:
    """A commit's message with the new numbers and without lost names in its subject and trailers; prose stays.

    >>> print(reworded("Add iris 4\\n\\nModel: iris\\nVersion: 4\\nTxn: 4f\\n", {("iris", 4): 5}))
    Add iris 5
    <BLANKLINE>
    Model: iris
    Version: 5
    Txn: 4f
    <BLANKLINE>
    """
    subject, separator, rest = message.partition("\n")
    body, gap, trailers = rest.rpartition("\n\n")
    for name in lost_names:
        subject = subject.replace(f" ({name})", "")
    for (model, old), new in renumbered.items():
        # The mark keeps a number that was just written from being taken for one that is still to be replaced.
        subject = re.sub(rf"(?<![\w.+-]){re.escape(model)} {old}(?![\w.+-])", f"{model} {_MARK}{new}", subject)
        if re.search(rf"^Model: {re.escape(model)}$", trailers, re.MULTILINE):
            pattern = rf"^((?:Previous-)?Version: ){old}$"
            trailers = re.sub(pattern, rf"\g<1>{_MARK}{new}", trailers, flags=re.MULTILINE)
    return (subject + separator + body + gap + trailers).replace(_MARK, "")


def _take_number(what: RecordPath, onto: Snapshot, renumbered: Renumbering) -> None:
    key = (what.model, int(what.key))
    if onto.files.read(paths.version_file(*key)) is None:
        return
    taken = [number for (model, _), number in renumbered.items() if model == what.model]
    number = max([onto.last_number(what.model), *taken]) + 1
    while onto.is_reserved(what.model, number):
        number += 1
    renumbered[key] = number


def _renumbered_path(path: str, what: RecordPath | None, renumbered: Renumbering) -> str:
    if what is None or what.kind not in ("version", "archived"):
        return path
    number = renumbered.get((what.model, int(what.key)))
    if number is None:
        return path
    home = paths.version_file if what.kind == "version" else paths.archived_file
    return home(what.model, number)


def _renumbered_bytes(what: RecordPath, data: bytes, renumbered: Renumbering) -> bytes:
    schema = _SCHEMAS[what.kind]
    record = codec.decode(schema, data, what.key, newer=True)
    changed = record
    if isinstance(record, VersionRecord):
        changed = replace(record, number=renumbered.get((what.model, record.number), record.number))
    elif isinstance(record, (StageRecord, NameRecord)):
        changed = replace(record, version=renumbered.get((what.model, record.version), record.version))
    elif isinstance(record, RunRecord):
        versions = (_renumbered_reference(reference, renumbered) for reference in record.versions)
        changed = replace(record, versions=tuple(sorted(versions)))
    return data if changed == record else codec.encode(schema, changed)


def _renumbered_reference(reference: str, renumbered: Renumbering) -> str:
    model, _, number = reference.partition("@")
    if number.isdigit() and (model, int(number)) in renumbered:
        return f"{model}@{renumbered[model, int(number)]}"
    return reference


def _merge(path: str, what: RecordPath | None, sides: tuple[bytes | None, ...], done: Replayed) -> None:
    """Merge one file that both sides changed."""
    base, ours, theirs = sides
    if what is None or what.kind == "archived":
        done.conflicts.append(f"{path} was changed on both sides; theirs stands")
        return
    if what.kind in ("stage", "alias"):
        done.conflicts.append(_two_holders(what, ours, theirs))
        return
    if what.kind == "name":
        done.conflicts.append(f"the name {what.key} of {what.model} was given to another version; theirs keeps it")
        done.lost_names.append(what.key)
        return
    if ours is None or theirs is None:
        done.conflicts.append(f"{path} was deleted on one side and changed on the other; theirs stands")
        return
    schema = _SCHEMAS[what.kind]
    read = [None if data is None else codec.decode(schema, data, path, newer=True) for data in (base, ours, theirs)]
    record, wrong = merged(schema, *read)
    done.conflicts += [f"{path}, key {key}: was changed on both sides; theirs stands" for key in wrong]
    data = codec.encode(schema, record)
    if data != theirs:
        done.files[path] = data


def _two_holders(what: RecordPath, ours: bytes | None, theirs: bytes | None) -> str:
    ours_holds, theirs_holds = _holder(ours), _holder(theirs)
    return f"{what.key} of {what.model}: here {ours_holds}, there {theirs_holds}, which stands"


def _holder(data: bytes | None) -> str:
    if data is None:
        return "nobody"
    return f"version {codec.decode(records.STAGE, data, 'stage', newer=True).version}"


def _merged_value(name: str, base: Any, ours: Any, theirs: Any) -> tuple[Any, list[str]]:
    if ours in (base, theirs):
        return theirs, []
    if theirs == base:
        return ours, []
    if isinstance(theirs, Mapping):
        return _merged_mapping(name, base if base is not _ABSENT else {}, ours, theirs)
    if name in ("tags", "owners", "forced"):
        gone = set(() if base is _ABSENT else base) - set(ours)
        return tuple(sorted((set(theirs) | set(ours)) - gone)), []
    if name == "runs":
        return (*theirs, *(run for run in ours if run not in theirs)), []
    if name == "artifacts":
        return _merged_links(() if base is _ABSENT else base, ours, theirs)
    return theirs, [name]


def _merged_mapping(name: str, base: Any, ours: Any, theirs: Any) -> tuple[dict[str, Any], list[str]]:
    values, conflicts = {}, []
    for key in sorted({*ours, *theirs}):
        value, wrong = _merged_value(
            f"{name}.{key}", base.get(key, _ABSENT), ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
        )
        conflicts += wrong
        if value is not _ABSENT:
            values[key] = value
    return values, conflicts


def _merged_links(base: Any, ours: Any, theirs: Any) -> tuple[tuple[ArtifactLink, ...], list[str]]:
    by_name = [{link.name: link for link in side} for side in (base, ours, theirs)]
    kept, conflicts = [], []
    for name in sorted({*by_name[1], *by_name[2]}):
        old, mine, other = (side.get(name) for side in by_name)
        if mine is not None and other is not None and replace(mine, metadata={}) == replace(other, metadata={}):
            values, wrong = _merged_mapping(
                f"artifacts.{name}.metadata", old.metadata if old else {}, mine.metadata, other.metadata
            )
            kept.append(replace(other, metadata=values))
            conflicts += wrong
        elif mine == old or (mine is not None and other is not None):
            kept += [other] if other is not None else []
            conflicts += [f"artifacts.{name}"] if mine != old else []
        elif other == old:
            kept += [mine] if mine is not None else []
        else:
            kept.append(mine if mine is not None else other)
    return tuple(link for link in kept if link is not None), conflicts


def _drop_lost_names(done: Replayed, onto: Snapshot) -> None:
    """A version whose name went to another keeps its number and loses the name."""
    for path, data in list(done.files.items()):
        what = paths.parse_path(path)
        if what is None or what.kind != "version" or data is None:
            continue
        record = codec.decode(records.VERSION, data, path, newer=True)
        if record.name is None:
            continue
        home = paths.name_file(what.model, record.name)
        given = done.files.get(home) or onto.files.read(home)
        if given is None or codec.decode(records.NAME, given, home, newer=True).version != record.number:
            done.files[path] = codec.encode(records.VERSION, replace(record, name=None))


def _drop_what_cannot_be(done: Replayed, onto: Snapshot) -> None:
    """Take away what is clean as text and wrong as a whole: a stage for a deleted version, a deletion of a held one."""
    for path, data in list(done.files.items()):
        what = paths.parse_path(path)
        if what is None or data is None:
            continue
        if what.kind in ("stage", "alias"):
            _check_holder(path, what, data, done, onto)
        elif what.kind == "version":
            _check_version(path, what, data, done, onto)
    models = {found.model for path in done.files if (found := paths.parse_path(path)) is not None}
    for model in models:
        if any(f" of {model}: here " in conflict for conflict in done.conflicts):
            _drop_stages(done, model)


def _check_holder(path: str, what: RecordPath, data: bytes, done: Replayed, onto: Snapshot) -> None:
    number = codec.decode(records.STAGE, data, path, newer=True).version
    home = paths.version_file(what.model, number)
    version = done.files.get(home) or onto.files.read(home)
    if version is None or not codec.decode(records.VERSION, version, home, newer=True).usable:
        done.conflicts.append(f"{what.key} of {what.model}: here version {number}, there it was deleted, which stands")


def _check_version(path: str, what: RecordPath, data: bytes, done: Replayed, onto: Snapshot) -> None:
    number = int(what.key)
    old = onto.files.read(path)
    if old is None:
        return
    mine = codec.decode(records.VERSION, data, path, newer=True)
    theirs = codec.decode(records.VERSION, old, path, newer=True)
    held = [place for place in places_of(onto, what.model, number) if place != "archived"]
    deleted = mine.deleted is not None and theirs.deleted is None
    relinked = records.links_digest(mine.artifacts) != records.links_digest(theirs.artifacts)
    if held and (deleted or relinked):
        done.files.pop(path)
        verb = "deleted" if deleted else "linked anew"
        done.conflicts.append(f"{what.model} {number} was {verb} here, and there it is in {held[0]}, which stands")


def _drop_stages(done: Replayed, model: str) -> None:
    """A promotion goes whole or not at all: with its stage go the markers that it set."""
    for path in list(done.files):
        what = paths.parse_path(path)
        if what is not None and what.model == model and what.kind in ("stage", "alias", "archived"):
            del done.files[path]
