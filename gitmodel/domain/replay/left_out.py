"""Describing the changes of a local commit that its replay left out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gitmodel.domain.replay.broken_invariants import Place
from gitmodel.domain.replay.merging import lost_keys
from gitmodel.domain.schema import codec, records
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import ModelRecord, VersionRecord
from gitmodel.frozen import Frozen


class FileInReplay(Frozen):
    """The content of one file before and after a local commit, and before and after its replay (None: no file).

    *base* and *ours* are the content before and after the local commit. *theirs* and *now* are the content on the
    remote's branch, before and after the replay. *path*, *model* and *number* are those on the remote's branch.
    """

    path: str
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None
    now: bytes | None
    model: str = ""
    number: int = 0


def left_out(what: RecordPath | None, file: FileInReplay) -> Iterator[tuple[Place, str]]:
    """Yield each place in *file* where the replay left out a local change, with a sentence about this change.

    *what* is the parsed path of the file in the local commit; None if the file is not a record.
    """
    if file.ours in (file.base, file.now):
        return
    if what is None:
        changed = file.theirs != file.base
        said = "was changed on both sides; the remote's was kept" if changed else "is left out"
        yield (file.path, ""), f"{file.path} {said}"
    elif what.kind == "archived":
        verb = "left the archive" if file.ours is None else "was archived"
        yield (
            (file.path, ""),
            f"{file.model} {file.number} {verb} here and not at the remote; the remote's state was kept",
        )
    elif what.kind in ("stage", "alias"):
        yield from (((file.path, ""), said) for said in _of_holder(f"{what.key} of {file.model}", file))
    elif what.kind == "name":
        yield (file.path, ""), f"the name {what.key} of {file.model} is left out"
    else:
        yield from _of_record(what, file)


def _of_holder(place: str, file: FileInReplay) -> Iterator[str]:
    ours, now = (_read(records.StageRecord, data) for data in (file.ours, file.now))
    if ours is None or now is None or ours.version != now.version:
        here, there = (f"version {found.version}" if found is not None else "no version" for found in (ours, now))
        yield f"{place}: {here} here, {there} at the remote; the remote's was kept"
    elif ours.artifacts != now.artifacts:
        yield f"{place}: version {now.version} on both sides, with other artifacts at the remote; the remote's was kept"
    elif ours.reason not in ("", now.reason):
        yield f"{place}: version {now.version} on both sides, with another reason at the remote; the remote's was kept"


def _of_record(what: RecordPath, file: FileInReplay) -> Iterator[tuple[Place, str]]:
    kind = records.RECORDS[what.kind]
    base, ours, theirs, now = (_read(kind, data) for data in (file.base, file.ours, file.theirs, file.now))
    whole = _of_whole(what, file, base, ours, now)
    if whole is not None:
        if whole:
            deleted = isinstance(ours, VersionRecord) and ours.deleted is not None
            yield (file.path, "deleted" if deleted else ""), whole
        return
    if isinstance(ours, ModelRecord) and base is None:
        # a model registered on both sides gets the remote's creation time, which does not count as a loss
        ours = replace(ours, created=now.created)
    there = set(lost_keys(base, theirs, base)) if base is not None and theirs is not None else None
    for key in lost_keys(base, ours, now):
        both = there is None or any(f"{key}.".startswith(f"{one}.") or one.startswith(f"{key}.") for one in there)
        said = "was changed on both sides; the remote's was kept" if both else "is left out"
        yield (file.path, key), f"{file.path}, key {key}: {said}"


def _of_whole(what: RecordPath, file: FileInReplay, base: Any, ours: Any, now: Any) -> str | None:
    """Return a sentence about the local change that was left out because one side created or deleted the whole record.

    Returns "" if nothing was left out, and None if both sides have the record, so that its keys must be compared.
    """
    name = {"version": f"version {file.number} of {file.model}", "model": what.model}.get(what.kind, file.path)
    gone = now is None or (isinstance(now, ModelRecord) and not now.exists)
    if ours is None:
        return f"{file.path} was deleted on one side and changed on the other; the remote's was kept"
    if base is None and gone:
        made = {"version": ", made here,", "model": ", registered here,"}.get(what.kind, "")
        return f"{name}{made} is left out" + (": a model of that name is gone at the remote" if now is not None else "")
    keys = f" ({', '.join(lost_keys(base, ours, base))})" if base is not None else ""
    if now is None:
        return f"{name} was changed here{keys} and is gone at the remote; the remote's was kept"
    if isinstance(ours, VersionRecord) and (ours.deleted is None) != (now.deleted is None):
        here, there = ("deleted here", "changed") if ours.deleted is not None else (f"changed here{keys}", "deleted")
        return f"{file.model} {file.number} was {here} and {there} at the remote; the remote's was kept"
    if isinstance(ours, VersionRecord) and ours.deleted is not None:
        another = ours.reason not in ("", now.reason)
        said = f"{file.model} {file.number} was deleted on both sides, with another reason at the remote"
        return f"{said}; the remote's was kept" if another else ""
    return None


def _read(kind: type[codec.Record], data: bytes | None) -> Any:
    return None if data is None else codec.decode(kind, data, "", newer=True)
