"""Updating the index from the records of a commit: only folders whose ids differ from those in the index are read.

An interrupted update keeps the records and folders that it completed, and the next update continues.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.snapshots.version_numbers import hundred_of, number_of
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import FILE_MODES, FOLDER, Entry
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.index.facts import facts_of

PRESENT, DELETED, DAMAGED = 0, 1, 2
# The id of a version is the id of its model, shifted by this number of bits, plus its number.
NUMBER_BITS = 30
# gitmodel reads this many records together, then saves the index.
_PIECE = 4_000


class NotIndexable(Exception):
    """The tree has files that the index cannot describe. These files must be read from git."""


class _Change(NamedTuple):
    """A version whose file *path* changed.

    *old* and *new* are the marks (see `mark`) of the previous and the new content. *old* is None if there was no file,
    and *new* is None if there is no file now. *blob* is the object id of the new content; None if there is no file at
    *path*, or a folder in its place.
    """

    id: int
    path: str
    old: bytes | None
    new: bytes | None
    blob: Oid | None = None


class _Done(NamedTuple):
    """The last item about the folder *name* of *parent*, after its changes.

    *tree* is the object id of the folder; None if it does not exist.
    """

    parent: str
    name: str
    tree: Oid | None


def row_of(folder: str) -> tuple[str, str]:
    """Return the parent and the name of the path *folder*, as the table `folder` of the database stores them."""
    parent, _, name = folder.rpartition("/")
    return parent, name


def mark(id: Oid, newer: bool) -> bytes:
    """Return *id* as the index stores it: one byte, 1 if records may have unknown keys (*newer*), then the id."""
    return bytes([newer]) + bytes.fromhex(id)


class Update:
    """An update of *database*, which is in a transaction, from *files*, the files of a commit; see `folder`.

    *newer* is True if records may have unknown keys. *save* writes the incomplete database to the file of the index, so
    that the update after a killed update need not start from the beginning.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        files: CommitFiles,
        *,
        newer: bool,
        save: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._database = database
        self._save = save
        self._files = files
        self._newer = newer
        self._keys: dict[str, int] = dict(database.execute("SELECT path, id FROM key"))
        self._models: dict[str, int] = {}

    def folder(self, path: str, tree: Oid | None) -> None:
        """Update the rows about the folder *path*, whose object id is *tree*. Save the database after each piece.

        First removes the rows of this folder and of the folders that contain it, and writes the row of this folder
        last, so that no interrupted update looks complete. Raises NotIndexable if the folder has files that the index
        cannot describe.
        """
        parent, name = row_of(path)
        above = parent
        while above:
            self._database.execute("DELETE FROM folder WHERE parent=? AND name=?", row_of(above))
            above = row_of(above)[0]
        steps: list[_Change | _Done] = []
        for step in self._walk(parent, name, tree):
            steps.append(step)
            if len(steps) >= _PIECE:
                self._write(steps)
                steps.clear()
                self._files.trees.cached_records.clear()  # all records of a large registry would not fit into memory
                self._save(self._database)
        self._write(steps)

    def _walk(self, parent: str, name: str, tree: Oid | None) -> Iterator[_Change | _Done]:
        """Yield the changes of versions below the folder *name* of *parent*, and a `_Done` after each folder."""
        # The row says that the index agrees with this folder, which is false until all changes are written.
        self._database.execute("DELETE FROM folder WHERE parent=? AND name=?", (parent, name))
        path = f"{parent}/{name}" if parent else name
        entries = self._files.trees.tree(tree) if tree else {}
        known = dict(self._database.execute("SELECT name, tree FROM folder WHERE parent=?", (path,)).fetchall())
        for inner, entry in entries.items():
            is_described = entry.mode == FOLDER and _is_described(path, inner)
            if is_described and known.pop(inner, None) != mark(entry.id, self._newer):
                yield from self._walk(path, inner, entry.id)
        for inner in known:
            yield from self._walk(path, inner, None)
        if name == "versions":
            yield from self._versions(path, row_of(parent)[1], 0, entries)
        elif row_of(parent)[1] == "versions":
            yield from self._versions(path, parent.split("/")[1], hundred_of(name), entries)
        yield _Done(parent, name, tree)

    def _versions(self, path: str, model: str, hundred: int, entries: Mapping[str, Entry]) -> Iterator[_Change]:
        """Yield the changes of the 100 versions of *model* from 100 * *hundred* on.

        *entries* are the files in the folder *path*, where these versions have their files.
        """
        first = (self._model(model) << NUMBER_BITS) + hundred * 100
        said = self._database.execute("SELECT id, blob FROM version WHERE id>=? AND id<?", (first, first + 100))
        known: dict[int, bytes] = dict(said.fetchall())
        for name, entry in entries.items():
            number = number_of(name)
            if not number or (hundred and number // 100 != hundred):
                continue
            if name != f"{number}.toml" or number // 100 != hundred or number > paths.HIGHEST_NUMBER:
                raise NotIndexable(f"{path}/{name}")
            new, id = mark(entry.id, self._newer), first + number % 100
            old = known.pop(id, None)
            if old != new:
                yield _Change(id, f"{path}/{name}", old, new, entry.id if entry.mode in FILE_MODES else None)
        for id, old in known.items():
            yield _Change(id, "", old, None)

    def _write(self, steps: list[_Change | _Done]) -> None:
        changes = [step for step in steps if isinstance(step, _Change)]
        self._remove([change for change in changes if change.old])
        self._add([change for change in changes if change.new])
        done = [step for step in steps if isinstance(step, _Done) and step.tree]
        rows = [(step.parent, step.name, mark(step.tree, self._newer)) for step in done if step.tree]
        self._database.executemany("INSERT OR REPLACE INTO folder VALUES(?, ?, ?)", rows)

    def _remove(self, changes: list[_Change]) -> None:
        """Remove the rows of the versions in *changes*. Reads their old records to find the facts to remove."""
        ids = [Oid(change.old[1:].hex()) for change in changes if change.old]
        facts, unknown = [], []
        for change, found in zip(changes, self._files.trees.reader.get_many(ids, limit=codec.MAX_BYTES), strict=True):
            if isinstance(found, Invalid):
                unknown.append((change.id,))
                continue
            try:
                record = codec.decode(VersionRecord, found.data, "", newer=True)
            except Invalid:
                continue  # a damaged record had no facts
            facts += [(self._key(key), value, change.id) for key, value in facts_of(record)]
        self._database.executemany("DELETE FROM fact WHERE key=? AND value=? AND version=?", facts)
        self._database.executemany("DELETE FROM fact WHERE version=?", unknown)
        for statement in ("DELETE FROM version WHERE id=?", "DELETE FROM summary WHERE version=?"):
            self._database.executemany(statement, [(change.id,) for change in changes])

    def _add(self, changes: list[_Change]) -> None:
        from gitmodel.index.summaries import summary_text  # imported here: most searches have no record to add

        blobs = ((change.path, change.blob) for change in changes)
        read = self._files.load_blobs(blobs, VersionRecord, newer=self._newer)
        versions, facts, summaries = [], [], []
        for change, record in zip(changes, read, strict=True):
            if isinstance(record, Invalid):
                versions.append((change.id, change.new, DAMAGED))
                continue
            versions.append((change.id, change.new, PRESENT if record.deleted is None else DELETED))
            facts += [(self._key(key), value, change.id) for key, value in facts_of(record)]
            is_listed = record.deleted is None and record.number == change.id % (1 << NUMBER_BITS)
            if is_listed and (text := summary_text(record)) is not None:
                summaries.append((change.id, text))
        self._database.executemany("INSERT OR REPLACE INTO version VALUES(?, ?, ?)", versions)
        self._database.executemany("INSERT OR REPLACE INTO summary VALUES(?, ?)", summaries)
        # Sorted, because rows that follow each other are written several times as fast.
        facts.sort(key=lambda fact: fact[0])
        self._database.executemany("INSERT OR IGNORE INTO fact VALUES(?, ?, ?)", facts)

    def _key(self, path: str) -> int:
        if path not in self._keys:
            self._keys[path] = self._insert("INSERT INTO key(path) VALUES(?)", path)
        return self._keys[path]

    def _model(self, name: str) -> int:
        if name not in self._models:
            known = self._database.execute("SELECT id FROM model WHERE name=?", (name,)).fetchone()
            self._models[name] = known[0] if known else self._insert("INSERT INTO model(name) VALUES(?)", name)
        return self._models[name]

    def _insert(self, statement: str, name: str) -> int:
        id = self._database.execute(statement, (name,)).lastrowid
        assert id is not None
        return id


def _is_described(path: str, name: str) -> bool:
    """Return True if the index describes the folder *name* in the folder *path*, because it can contain versions."""
    depth = path.count("/")
    if depth == 0:  # the name of a model
        return path == paths.MODELS
    return name == "versions" if depth == 1 else depth == 2 and name == f"{hundred_of(name)}xx"
