"""Tombstones of artifacts that were erased permanently: reading and writing them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from gitmodel.domain.changes.planned_change import Change, record_files
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.records import PurgeRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid, UsageError


class Purge(NamedTuple):
    """The reason and the date of a purge; *when* is None if the tombstone cannot be read."""

    when: datetime | None
    reason: str

    def __str__(self) -> str:
        day = f"{self.when:%Y-%m-%d}: " if self.when else ""
        return f"purged {day}{self.reason}"


def purges(snapshot: Snapshot) -> Mapping[str, Purge]:
    """Return all tombstones by digest. A damaged tombstone counts, too, because the artifact stays erased."""
    found: dict[str, Purge] = {}
    for shard in snapshot.files.names(paths.PURGED):
        folder = f"{paths.PURGED}/{shard}"
        inside = [f"{folder}/{name}" for name in snapshot.files.names(folder)]
        places = [path for path in inside if (what := paths.parse_path(path)) is not None and what.kind == "purge"]
        read = snapshot.files.load_many(places, records.PurgeRecord, newer=snapshot.newer)
        for path, record in zip(places, read, strict=True):
            digest = f"sha256:{shard}{path.rpartition('/')[2].removesuffix('.toml')}"
            found[digest] = _purge(record)
    return found


def purge_of(snapshot: Snapshot, digest: str) -> Purge | None:
    """Return the tombstone of *digest*, or None."""
    if not snapshot.files.names(paths.PURGED):
        return None
    try:
        record = snapshot.load(paths.purge_file(digest), records.PurgeRecord)
    except Invalid as error:
        return _purge(error)
    return None if record is None else _purge(record)


def plan_purge(snapshot: Snapshot, digests: Iterable[str], reason: str, now: datetime) -> Change[list[str]]:
    """Write a tombstone for each of *digests* that has none yet. The result lists the digests of the new tombstones."""
    new = [digest for digest in digests if purge_of(snapshot, digest) is None]
    if not new:
        return Change(new)
    if not reason.strip():
        raise UsageError(
            "a purge needs a reason, because only the reason remains", hint='add --reason "request of 2026-11-20"'
        )
    files: dict[str, bytes | None] = {}
    for digest in new:
        record = PurgeRecord(digest=digest, purged=now, reason=reason.strip())
        files.update(record_files(snapshot, paths.purge_file(digest), record))
    what = f"{new[0][:19]}..." if len(new) == 1 else f"{len(new)} artifacts"
    return Change(new, subject=f"Purge {what}", reason=reason, files=files)


def _purge(record: PurgeRecord | Invalid) -> Purge:
    if isinstance(record, Invalid):
        return Purge(None, "its tombstone cannot be read")
    return Purge(record.purged, record.reason)
