"""Searching the index: it names all versions that a filter may match, and their records in git decide."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from gitmodel.domain.schema.paths import MODELS
from gitmodel.errors import Invalid
from gitmodel.expressions.clauses import Condition
from gitmodel.expressions.names import Asked, type_of
from gitmodel.expressions.operands import Literal
from gitmodel.git.trees import CommitFiles
from gitmodel.index.facts import Range, Value, key_of, ranges_of, type_bounds
from gitmodel.index.index_file import FORMAT, IndexFile, changing, create_tables, is_damage, reading
from gitmodel.index.updating import DAMAGED, NUMBER_BITS, PRESENT, NotIndexable, Update, mark, row_of

T = TypeVar("T")

# Fixed names of a version whose values, if there are any, have one type; with a literal of that type.
_FIXED: dict[tuple[str | int, ...], Literal] = {
    **dict.fromkeys((("model",), ("name",), ("stage",), ("description",), ("reason",)), ""),
    **dict.fromkeys((("code", "commit"), ("code", "snapshot"), ("code", "repository")), ""),
    **dict.fromkeys((("failed",), ("local",), ("code", "dirty"), ("code", "outside")), True),
    ("number",): 1,
}


class Index:
    """The index in *folder*. It can be deleted at any time; if it cannot be used, there is no answer.

    Every answer is about one folder of one tree: the index is brought up to date with it first.
    """

    def __init__(self, folder: Path) -> None:
        self._file = IndexFile(folder)

    def find_versions(
        self, files: CommitFiles, folder: str, conditions: Iterable[Condition], asked: Iterable[Asked], *, newer: bool
    ) -> list[int] | None:
        """Return the numbers of the versions in *folder* that may fulfil *conditions*, newest first.

        All damaged versions are among them, and no deleted one. *newer* is True if the records may have unknown keys.
        Returns None if the index cannot be used, or if it does not know that for each of *asked* a version, even a
        deleted one, has the name, and a value that can be compared with the literal.
        """
        ranges = [found for condition in conditions if (found := ranges_of(condition))]
        if not ranges or not all(map(_is_known, wanted := [one for one in asked if not _is_fixed(one)])):
            return None
        model = row_of(row_of(folder)[0])[1]

        def question(database: sqlite3.Connection) -> list[int] | None:
            of_model = database.execute("SELECT id FROM model WHERE name=?", (model,)).fetchone()
            if of_model is None:
                return []
            first = of_model[0] << NUMBER_BITS
            versions = (first, first + (1 << NUMBER_BITS))
            if not all(_has_value(database, one, versions) for one in wanted):
                return None
            return [id - first for id in _search(database, ranges, versions)]

        return self._ask(files, folder, question, newer=newer)

    def find_wrong(self, files: CommitFiles, *, newer: bool) -> list[str]:
        """Return the models that the index describes as they are in *files*, but not as a new index would, sorted.

        Raises Invalid if the database is damaged.
        """
        path = self._file.current()
        if path is None:
            return []
        try:
            with reading(path) as database, closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
                create_tables(fresh)
                fresh.execute("BEGIN")
                update = Update(fresh, files, newer=newer)
                described = []
                for model in files.names(MODELS):
                    tree = files.id(folder := f"{MODELS}/{model}/versions")
                    if tree is not None and _describes(database, folder, mark(tree, newer)):
                        update.folder(folder, tree)
                        described.append(model)
                theirs, ours = _digests(database), _digests(fresh)
                return [model for model in described if theirs.get(model) != ours.get(model)]
        except sqlite3.Error as error:
            if is_damage(error):
                raise Invalid(f"{path}: {error}") from error
        except (OSError, NotIndexable):
            pass
        return []

    def delete(self) -> None:
        """Delete the database, unless another process is changing it. The next search creates another."""
        with suppress(OSError), self._file.locked(unless=self._file.current()):
            pass

    def _ask(
        self, files: CommitFiles, folder: str, question: Callable[[sqlite3.Connection], T], *, newer: bool
    ) -> T | None:
        """Return the answer to *question*, from an index that describes *folder* in *files*; None if it cannot be used.

        The index is updated at most once, and created again at most once.
        """
        tree = files.id(folder)
        if tree is None:
            return None
        damaged: Path | None = None
        for attempt in range(4):  # read, update, read that it is damaged, create, read
            path = self._file.current()
            try:
                if path is not None and path != damaged:
                    with reading(path) as database:
                        if _describes(database, folder, mark(tree, newer)):
                            return question(database)
                if attempt == 3:
                    return None
                with self._file.locked(unless=damaged) as path:
                    if path is None:
                        return None
                    with changing(path) as database:
                        Update(database, files, newer=newer).folder(folder, tree)
            except sqlite3.Error as error:
                if damaged is not None or not is_damage(error):
                    return None
                damaged = path
            except (OSError, NotIndexable, Invalid):
                return None
        return None


def _describes(database: sqlite3.Connection, folder: str, tree: bytes) -> bool:
    if database.execute("PRAGMA user_version").fetchone() != (FORMAT,):
        return False  # another process is about to write the tables
    said = database.execute("SELECT tree FROM folder WHERE parent=? AND name=?", row_of(folder)).fetchone()
    return bool(said == (tree,))


def _digests(database: sqlite3.Connection) -> dict[str, int]:
    """Return a number for each model that depends on its versions and their facts, not on their order and ids."""
    names = dict(database.execute("SELECT id, name FROM model"))
    found: dict[str, int] = {}
    for query in (
        "SELECT id, blob, state FROM version",
        "SELECT version, path, value FROM fact JOIN key ON key.id = fact.key",
    ):
        for id, *row in database.execute(query):
            name = names.get(id >> NUMBER_BITS, "")
            found[name] = found.get(name, 0) ^ hash((id % (1 << NUMBER_BITS), *row))
    return found


def _is_known(asked: Asked) -> bool:
    """Return True if the index has facts about the name of *asked*, and its value is one that records may have."""
    return not asked.known and asked.name[0] == "metadata" and all(isinstance(step, str) for step in asked.name)


def _is_fixed(asked: Asked) -> bool:
    """Return True if each value at the name of *asked* can be compared with its literal."""
    if asked.known or asked.value is None or asked.name not in _FIXED:
        return False
    return type_of(_FIXED[asked.name]) == type_of(asked.value)


def _has_value(database: sqlite3.Connection, asked: Asked, versions: tuple[int, int]) -> bool:
    """Return True if one of *versions* has the name of *asked*, and a value of the type of its literal."""
    key = key_of(str(step) for step in asked.name)
    wanted = Range(key) if asked.value is None else Range(key, *type_bounds(asked.value))
    sql, values = _versions_in([wanted], versions)
    return database.execute(f"{sql} LIMIT 1", values).fetchone() is not None


def _search(database: sqlite3.Connection, ranges: list[tuple[Range, ...]], versions: tuple[int, int]) -> list[int]:
    clauses, values = [f"state={PRESENT}"], []
    for either in ranges:
        sql, given = _versions_in(either, versions)
        clauses.append(f"id IN ({sql})")
        values += given
    within = "id >= ? AND id < ?"
    found = database.execute(
        f"SELECT id FROM version WHERE {' AND '.join(clauses)} "
        f"UNION ALL SELECT id FROM version WHERE state={DAMAGED} AND {within} ORDER BY 1 DESC",
        [*values, *versions],
    )
    return [id for (id,) in found]


def _versions_in(either: Iterable[Range], versions: tuple[int, int]) -> tuple[str, list[str | Value]]:
    """Return the query for those of *versions* that have a fact in one of the ranges *either*, and its values."""
    one = "SELECT version FROM fact WHERE key=(SELECT id FROM key WHERE path=?) AND {} AND version >= ? AND version < ?"
    queries: list[str] = []
    values: list[str | Value] = []
    for key, low, high in either:
        # With an equal value, SQLite finds the versions of one model without those of others.
        queries.append(one.format("value = ?" if low == high else "value BETWEEN ? AND ?"))
        values += [key, *([low] if low == high else [low, high]), *versions]
    return " UNION ALL ".join(queries), values
