"""The file of the index: opened for one answer at a time, changed under a lock, and deleted if it is damaged.

SQLite documents what this relies on: https://www.sqlite.org/wal.html, https://www.sqlite.org/howtocorrupt.html.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gitmodel.domain.schema import records
from gitmodel.files.locks import open_locked
from gitmodel.files.permissions import open_file

# The format of the index. Increase it when you change the tables, the facts or the rules for a valid record.
FORMAT = 4
_SECONDS_TO_WAIT = 0.1
_TOKEN = re.compile(r"[0-9a-f]{16}")
# Errors of SQLite that say nothing about the content of the file.
_PASSING = re.compile(
    r"locked|full|readonly|I/O|unable to open|locking protocol|out of memory|interrupted|too (many|big|large)|stack"
)

# The id of a version combines the id of its model and its number. `tree` and `blob` begin with a byte that says if
# unknown keys are allowed, because a record can be valid or damaged depending on that.
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
CREATE TABLE digests(trees TEXT NOT NULL, sum INTEGER NOT NULL, lines BLOB NOT NULL);
CREATE TABLE judged(tip BLOB NOT NULL, rules BLOB);
CREATE TABLE stage_tag(
    model TEXT, stage TEXT, tag BLOB, version INTEGER, merged BLOB, PRIMARY KEY(model, stage)) WITHOUT ROWID;
"""


def is_damage(error: sqlite3.Error) -> bool:
    """Return True if *error* is about the content of the file, not about its use at this moment."""
    return not _PASSING.search(str(error))


class IndexFile:
    """The files of the index in *folder*: one index for each format, user and host, and the lock file that names it.

    The name of a database is never used again. Therefore a process that has a deleted database open and the users of
    the next one cannot disturb each other.
    """

    def __init__(self, folder: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "_", os.uname().nodename)
        formats = ".".join(map(str, (FORMAT, *records.FORMAT)))
        self._name = f"index-{formats}-{os.geteuid()}-{host}"
        self._folder = folder
        self._lock = folder / f"{self._name}.lock"
        # A database that was found damaged; the next change replaces it.
        self._damaged: Path | None = None

    def current(self) -> Path | None:
        """Return the path of the database; None if there is none."""
        try:
            token = self._lock.read_text(encoding="ascii", errors="replace")
        except OSError:
            return None
        path = self._folder / f"{self._name}-{token}.sqlite"
        return path if _TOKEN.fullmatch(token) and path.exists() else None

    def fetch(self, *queries: str, **values: str) -> list[list[Any]]:
        """Return the rows that each of *queries* finds in one state of the database; none if it cannot be used.

        Each `:name` in a query stands for one of *values*.
        """
        path = self.current()
        try:
            if path is not None:
                with reading(path) as database:
                    if database.execute("PRAGMA user_version").fetchone() == (FORMAT,):
                        return [database.execute(query, values).fetchall() for query in queries]
        except sqlite3.Error as error:
            self._damaged = path if is_damage(error) else None
        except OSError:
            pass
        return [[] for _ in queries]

    def change(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Call *change* with the database, in a transaction; do nothing if it cannot be used."""
        # A folder in a damaged registry can have a name that is no text.
        with suppress(OSError, sqlite3.Error, UnicodeError), self.locked(unless=self._damaged) as path:
            if path is not None:
                with changing(path) as database:
                    change(database)

    @contextmanager
    def locked(self, *, unless: Path | None = None) -> Iterator[Path | None]:
        """Lock the index for a change and yield the path of its database; None if another process holds the lock.

        Creates an empty database if there is none, or if the current one is *unless*, which the caller found damaged.
        Deletes all other databases.
        """
        descriptor = open_locked(self._lock)
        if descriptor is None:
            yield None
            return
        try:
            path = self.current()
            yield self._create(descriptor) if path is None or path == unless else path
        finally:
            os.close(descriptor)

    def _create(self, descriptor: int) -> Path:
        token = os.urandom(8).hex()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, token.encode(), 0)
        for old in self._folder.glob(f"{self._name}-*.sqlite*"):
            old.unlink(missing_ok=True)
        path = self._folder / f"{self._name}-{token}.sqlite"
        os.close(open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        return path


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the database at *path* in a transaction that sees one state of it."""
    with closing(_open(path)) as database:
        database.execute("BEGIN")
        yield database


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the database at *path*, with its tables, in a transaction; commit it, and write the log into the file.

    The caller holds the lock: SQLite before 3.51.3 can damage a file if one process writes while another one writes the
    log into the file.
    """
    with closing(_open(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("BEGIN IMMEDIATE")
        if database.execute("PRAGMA user_version").fetchone() != (FORMAT,):
            create_tables(database)
        yield database
        database.execute("COMMIT")
        with suppress(sqlite3.OperationalError):  # a reader still uses the log
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")


def create_tables(database: sqlite3.Connection) -> None:
    """Create the tables of the index in an empty database."""
    for statement in _TABLES.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version={FORMAT}")


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(os.fspath(path))}?mode=rw"  # never creates it
    database = sqlite3.connect(uri, timeout=_SECONDS_TO_WAIT, isolation_level=None, uri=True)
    try:
        database.execute("PRAGMA trusted_schema=OFF")
        database.execute("PRAGMA cell_size_check=ON")
        database.execute("PRAGMA cache_size=-16000")
    except BaseException:
        database.close()
        raise
    return database
