"""The file of the index: gitmodel reads it whole, compares it with its checksum, and replaces it whole.

gitmodel runs queries on a copy of the database in memory, so a concurrent change of the file does not affect them.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from gitmodel.domain.schema import record_values
from gitmodel.errors import Invalid
from gitmodel.files.locks import open_locked
from gitmodel.files.permissions import open_file, open_regular, user_id

# The format of the index. Increase it when you change the tables, the facts or the rules for a valid record.
FORMAT = 6
# The file is an SQLite database, followed by its CRC-32 in this number of bytes, big-endian.
_CHECKSUM_BYTES = 4

# The id of a version combines the id of its model with the number of the version. The columns `tree` and `blob` begin
# with a byte that says if a record may have unknown keys, because this decides if the record is valid or damaged.
_TABLES = """
CREATE TABLE folder(parent TEXT, name TEXT, tree BLOB NOT NULL, PRIMARY KEY(parent, name)) WITHOUT ROWID;
CREATE TABLE model(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE version(id INTEGER PRIMARY KEY, blob BLOB NOT NULL, state INTEGER NOT NULL);
CREATE INDEX damaged ON version(id) WHERE state = 2;
CREATE TABLE key(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE summary(version INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE fact(key INTEGER, value, version INTEGER, PRIMARY KEY(key, value, version)) WITHOUT ROWID;
CREATE TABLE listed(model TEXT PRIMARY KEY, mark BLOB NOT NULL, record BLOB NOT NULL, latest INTEGER, count INTEGER);
CREATE TABLE place(model TEXT, is_alias INTEGER, name TEXT, version INTEGER, PRIMARY KEY(model, is_alias, name));
CREATE TABLE digests(trees TEXT NOT NULL, lines BLOB NOT NULL);
CREATE TABLE judged(tip BLOB NOT NULL, rules BLOB);
CREATE TABLE stage_tag(
    model TEXT, stage TEXT, tag BLOB, version INTEGER, merged BLOB, PRIMARY KEY(model, stage)) WITHOUT ROWID;
CREATE TABLE authors_at(tip BLOB NOT NULL);
CREATE TABLE person(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE authorship(
    model TEXT, number INTEGER, author INTEGER, updated INTEGER NOT NULL, updated_by INTEGER NOT NULL,
    PRIMARY KEY(model, number)) WITHOUT ROWID;
"""

# The path, inode, time and size of the file that this process read last, and its verified content: a process that
# searches several times reads the file once.
_latest: tuple[tuple[Path, int, int, int], memoryview] | None = None


def _host_name() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket  # imported here: it costs 2 ms, and only Windows needs it

    return socket.gethostname()


class IndexFile:
    """The index in *folder* for this format, user and host: a database in one file, and its lock file."""

    def __init__(self, folder: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "_", _host_name())
        formats = ".".join(map(str, (FORMAT, *record_values.FORMAT)))
        self.path = folder / f"index-{formats}-{user_id()}-{host}.sqlite"
        self._lock = self.path.with_suffix(".lock")

    def read(self) -> sqlite3.Connection:
        """Return a copy of the database in memory; an empty database if there is no valid file."""
        content = None
        with suppress(Invalid):
            content = self.content()
        return new_database() if content is None else _load(content)

    def fetch(self, *queries: str, **values: str) -> list[list[Any]]:
        """Return the rows of each of the SQL *queries*, all from the same state of the database.

        Each `:name` in a query stands for one of *values*. Returns no rows if the index cannot be used.
        """
        with suppress(sqlite3.Error), closing(self.read()) as database:
            return [database.execute(query, values).fetchall() for query in queries]
        return [[] for _ in queries]

    def change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Call *change* with a copy of the database, and replace the file with the changed copy.

        Leaves the file unchanged if another process is changing it, if *change* fails, or if writing fails.
        """
        # UnicodeError: a damaged registry can have a folder whose name is not text, which SQLite refuses.
        with suppress(OSError, sqlite3.Error, UnicodeError), self.locked() as is_locked:
            if is_locked:
                with closing(self.read()) as database:
                    database.execute("BEGIN")
                    change(database)
                    self.save(database)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Lock the index for a change. Yield False if another process has locked it, or if it cannot be locked."""
        descriptor = open_locked(self._lock)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def save(self, database: sqlite3.Connection) -> None:
        """Commit the transaction of *database*, replace the file with *database* atomically, and begin a transaction.

        The caller must hold the lock.
        """
        database.execute("COMMIT")
        content = _dump(database)
        database.execute("BEGIN")
        temporary = self.path.with_suffix(".new")
        temporary.unlink(missing_ok=True)  # a killed process can have left this file
        descriptor = open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                for part in (content, zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big")):
                    if file.write(part) != len(part):
                        raise OSError(f"{temporary}: not written completely")
            os.replace(temporary, self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def delete(self) -> None:
        """Delete the file of the index, unless another process is changing the file."""
        with suppress(OSError), self.locked() as is_locked:
            if is_locked:
                self.path.unlink(missing_ok=True)

    def content(self) -> memoryview | None:
        """Return the content of the file without its checksum; None if there is no file.

        Raises Invalid if the content does not match the checksum or cannot be read.
        """
        global _latest
        try:
            with open(open_regular(self.path), "rb", buffering=0) as file:
                state = os.fstat(file.fileno())
                now = self.path, state.st_ino, state.st_mtime_ns, state.st_size
                kept = _latest
                if kept is not None and kept[0] == now:
                    return kept[1]
                data = memoryview(file.readall())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Invalid(f"{self.path} cannot be read: {error.strerror}") from error
        content = data[:-_CHECKSUM_BYTES]
        if not content or zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big") != data[-_CHECKSUM_BYTES:]:
            raise Invalid(f"{self.path} does not match its checksum")
        _latest = now, content
        return content


def new_database() -> sqlite3.Connection:
    """Return an empty database in memory with the tables of the index."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    for statement in _TABLES.split(";"):
        database.execute(statement)
    return database


def _load(content: memoryview) -> sqlite3.Connection:
    """Return a database in memory with *content*, the bytes of a file of SQLite."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("PRAGMA trusted_schema=OFF")
    if sys.version_info >= (3, 11):
        database.deserialize(content)
        return database
    with _temporary_file() as path:
        path.write_bytes(content)
        with closing(sqlite3.connect(path)) as copy:
            copy.backup(database)
    return database


def _dump(database: sqlite3.Connection) -> bytes:
    """Return *database* as the bytes of a file of SQLite."""
    if sys.version_info >= (3, 11):
        return database.serialize()
    with _temporary_file() as path:
        with closing(sqlite3.connect(path)) as copy:
            database.backup(copy)
        return path.read_bytes()


@contextmanager
def _temporary_file() -> Iterator[Path]:
    import tempfile  # imported here: only Python 3.10 needs it

    with tempfile.TemporaryDirectory(prefix="gitmodel-index-") as folder:
        yield Path(folder, "database")
