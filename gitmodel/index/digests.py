"""Finding the records that mention a digest. The index caches the digests of all records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import MODELS, RUNS
from gitmodel.errors import Invalid
from gitmodel.git.history.commits import list_tree
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.process import Git

if TYPE_CHECKING:
    import sqlite3

    from gitmodel.index.index_file import IndexFile

_LINE = re.compile(rb"^([0-9a-f]{40}) ([!-~]+)((?: [0-9a-f]{64})*)$", re.MULTILINE)
_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")
# An entry in the output of `git ls-tree -r -z` for the record of a version or run. gitmodel searches no other records.
_RECORD = re.compile(rb"100(?:644|755) blob ([0-9a-f]{40})\t((?:models/[!-.0-~]+/versions/|runs/)[!-~]+\.toml)\0")
# The number of calls of `paths` that search the lines as text, in 1 ms each. The next call parses all lines, in 20 ms.
_FEW = 16

# A function that returns the digests in the details of a run, by the path and content of the run's record. A run whose
# record would be too large has its details in a separate file in the store. Returns () for any other record, and None
# if the store lacks the details.
DetailsReader = Callable[[str, bytes], "Iterable[str] | None"]


class RecordsByDigest:
    """The records of one commit, found by the digests that they mention.

    *lines* are the lines that `DigestIndex` describes. *unread* has the path of each record whose digests gitmodel
    could not read, with the reason.
    """

    def __init__(self, lines: bytes, unread: Mapping[str, str]) -> None:
        self._lines = lines
        self._asked = 0
        self._sorted: dict[bytes, list[str]] = {}
        self.unread = unread

    def paths(self, digest: str) -> list[str]:
        """Return the paths of the records that mention *digest*, sorted."""
        wanted = digest.removeprefix("sha256:").encode()
        self._asked += 1
        if self._asked > _FEW:
            return sorted(self._by_digest().get(wanted, ()))
        found, at = [], self._lines.find(b" " + wanted)
        while at >= 0:
            begin, end = self._lines.rfind(b"\n", 0, at) + 1, self._lines.find(b"\n", at)
            found.append(self._lines[begin:end].split(b" ", 2)[1].decode())
            at = self._lines.find(b" " + wanted, end)
        return sorted(found)

    def beginning(self, prefix: str) -> list[str]:
        """Return the digests that start with *prefix*, such as `sha256:0a1b`, and that records mention, sorted."""
        wanted = prefix.removeprefix("sha256:").encode()
        return sorted(f"sha256:{found.decode()}" for found in self._by_digest() if found.startswith(wanted))

    def _by_digest(self) -> dict[bytes, list[str]]:
        if not self._sorted:
            for _, path, digests in _LINE.findall(self._lines):
                for digest in digests.split():
                    self._sorted.setdefault(digest, []).append(path.decode())
        return self._sorted


class DigestIndex:
    """The digests in all records of versions and runs, cached in the index that is in *folder*.

    The cache is a text. Each line has the object id of a record, its path, and the digests in it.
    """

    def __init__(self, git: Git, reader: ObjectReader, folder: Path) -> None:
        self._git = git
        self._reader = reader
        self._file: IndexFile | None = None
        with suppress(ImportError):  # Python can be built without SQLite
            from gitmodel.index import index_file  # imported here because it needs SQLite

            self._file = index_file.IndexFile(folder)

    def at(self, commit: Oid | None, trees: str, read_details: DetailsReader) -> RecordsByDigest:
        """Return the records of *commit*, to find them by digest. Reads and caches records that are not in the cache.

        *trees* is a text with the ids of the folders of models and runs in *commit*. If the cache was written for the
        same text, it is complete, and gitmodel starts no git process.
        """
        if commit is None:
            return RecordsByDigest(b"", {})
        of, lines = self._load()
        if of == trees:
            return RecordsByDigest(lines, {})
        cached = {id: digests for id, _, digests in _LINE.findall(lines)}
        records: list[tuple[bytes, bytes]] = _RECORD.findall(list_tree(self._git, commit, f"{MODELS}/", f"{RUNS}/"))
        unread = self._read(records, cached, read_details)
        lines = b"".join(b"%s %s%s\n" % (id, path, cached[id]) for id, path in records if id in cached)
        whole = [line for line in lines.splitlines(keepends=True) if line.split(b" ", 2)[1].decode() not in unread]
        self._save("-" if unread else trees, b"".join(whole) if unread else lines)
        return RecordsByDigest(lines, unread)

    def _read(
        self, records: list[tuple[bytes, bytes]], cached: dict[bytes, bytes], read_details: DetailsReader
    ) -> dict[str, str]:
        """Add to *cached*, which maps object ids to digests, the digests of those *records* that it lacks.

        *records* has the object id and path of each record. Returns, by path, the reason why gitmodel could not read
        all digests of a record.
        """
        unread: dict[str, str] = {}
        new = {id: path.decode() for id, path in records if id not in cached}
        found = self._reader.get_many([Oid(id.decode()) for id in new], limit=codec.MAX_BYTES)
        for (id, path), answer in zip(new.items(), list(found), strict=True):
            if isinstance(answer, Invalid):
                unread[path] = answer.message
                continue
            digests = dict.fromkeys(_DIGEST.findall(answer.data))
            details = read_details(path, answer.data)
            if details is None:
                unread[path] = "its inputs and outputs should be in the artifact store, which does not have them"
            digests.update(dict.fromkeys(digest.removeprefix("sha256:").encode() for digest in details or ()))
            cached[id] = b"".join(b" " + digest for digest in digests)
        return unread

    def _load(self) -> tuple[str, bytes]:
        (rows,) = self._file.fetch("SELECT trees, lines FROM digests") if self._file else [[]]
        return rows[0] if rows else ("", b"")

    def _save(self, trees: str, lines: bytes) -> None:
        def change(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM digests")
            database.execute("INSERT INTO digests VALUES(?, ?)", (trees, lines))

        if self._file is not None:
            self._file.change(change)
