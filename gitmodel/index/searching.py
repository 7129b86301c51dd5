"""Searching the index for all versions that a filter may match. The caller then checks the records of the versions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import MODELS, version_file
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.views.version_summaries import VersionSummary
from gitmodel.errors import Invalid
from gitmodel.expressions.compared_literals import Literal
from gitmodel.expressions.fields import Order
from gitmodel.expressions.filter_terms import Term, type_of
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.index.facts import CONTAINERS, TYPES, Range, Value, key_of, ranges_of, type_bounds
from gitmodel.index.index_file import IndexFile, new_database
from gitmodel.index.model_lists import ModelLists
from gitmodel.index.updating import DAMAGED, DELETED, NUMBER_BITS, PRESENT, NotIndexable, Update, mark, row_of

if TYPE_CHECKING:
    from gitmodel.expressions.filter import Filter

T = TypeVar("T")

# gitmodel reads this many summaries together.
_PIECE = 500

# The fields of a version whose values all have one type, each with an example of that type.
_FIXED: dict[tuple[str | int, ...], Literal] = {
    **dict.fromkeys((("model",), ("name",), ("stage",), ("description",), ("reason",)), ""),
    **dict.fromkeys((("code", "commit"), ("code", "snapshot"), ("code", "repository")), ""),
    **dict.fromkeys((("failed",), ("local",), ("code", "dirty"), ("code", "outside")), True),
    ("number",): 1,
}


class Candidate(NamedTuple):
    """A version that may match, so its record must be read. *blob* is the record's object id; None if it is damaged."""

    model: str
    number: int
    blob: Oid | None


class Candidates(NamedTuple):
    """The versions that may match, and the damaged versions.

    *complete* is False if the search stopped early, because the caller asked only for the first versions. Then more
    versions may match, which follow after *versions* in the order that the caller asked for.
    """

    versions: list[Candidate]
    damaged: list[Candidate]
    complete: bool


class Index:
    """The index in *folder*. Each search first updates the index from *files*, the files of a commit.

    The index can be deleted at any time. If it cannot be used, searches return None. *newer* is True if records may
    have unknown keys.
    """

    def __init__(self, folder: Path, files: CommitFiles, *, newer: bool) -> None:
        self._file = IndexFile(folder)
        self._files = files
        self._newer = newer

    def find_versions(
        self,
        models: str | Collection[str],
        filter: Filter | None,
        *,
        order: Order | None = None,
        most: int | None = None,
    ) -> Candidates | None:
        """Return the versions of *models* (a name or several) that may match *filter*, without deleted versions.

        The versions are sorted by *order*. If *order* is None, they are sorted by model, and from the newest version of
        a model to the oldest. If *most* is given, returns only the first versions: at least *most*, and all further
        versions that have the same value of *order* as the last one.

        Returns None if the index cannot be used, or if *filter* or *order* uses a name that the index does not know.
        The index knows a name if a version, even a deleted one, has a value under this name, of the type with which the
        filter compares it. Also returns None if the index could not leave out any version.
        """
        conditions = filter.expression.conditions if filter is not None else ()
        ranges = [found for condition in conditions if (found := ranges_of(condition))]
        terms = [term for term in filter.terms if not _is_fixed(term)] if filter is not None else []
        terms += [Term(order.field.steps, 0)] if order is not None else []
        if not (ranges or most is not None) or not all(map(_is_known, terms)):
            return None
        folder = f"{MODELS}/{models}/versions" if isinstance(models, str) else MODELS

        def question(database: sqlite3.Connection) -> Candidates | None:
            search = _Search(database, models, ranges)
            if not all(map(search.has_value, terms)):
                return None
            key = None if order is None else key_of(str(step) for step in order.field.steps)
            return search.run(key, descending=order is not None and order.descending, most=most)

        return self._ask(folder, question)

    def list_versions(self, model: str) -> Iterator[VersionSummary | VersionRecord | Invalid] | None:
        """Return a summary of each version of *model* that is not deleted, newest first; None if the index is unusable.

        If the index has no summary of a version, yields its record instead, or the error if its record is damaged.
        """

        def question(database: sqlite3.Connection) -> list[tuple[int, str | None, bytes | None]]:
            return database.execute(
                f"SELECT version.id % (1 << {NUMBER_BITS}), text, CASE WHEN state = {PRESENT} THEN blob END "
                "FROM version LEFT JOIN summary ON summary.version = version.id JOIN model ON model.name = ? "
                f"WHERE version.id >= model.id << {NUMBER_BITS} AND version.id < (model.id + 1) << {NUMBER_BITS} "
                f"AND state != {DELETED} ORDER BY version.id DESC",
                (model,),
            ).fetchall()

        rows = self._ask(f"{MODELS}/{model}/versions", question)
        return None if rows is None else self._summaries(model, rows)

    def _summaries(
        self, model: str, rows: Iterable[tuple[int, str | None, bytes | None]]
    ) -> Iterator[VersionSummary | VersionRecord | Invalid]:
        from gitmodel.index.summaries import read_summaries  # imported here: only tables need it

        left = iter(rows)
        while piece := list(islice(left, _PIECE)):
            stored = [(number, text) for number, text, _ in piece if text is not None]
            known = {one.number: one for one in read_summaries(stored)}
            unread = [
                Candidate(model, number, None if blob is None else _oid(blob))
                for number, _, blob in piece if number not in known
            ]  # fmt: skip
            records = self.read(unread)
            for number, _, _ in piece:
                yield known[number] if number in known else next(records)

    def read(self, candidates: Iterable[Candidate]) -> Iterator[VersionRecord | Invalid]:
        """Read the record of each of *candidates*, in this order. Yields the error in place of a damaged record."""
        blobs = ((version_file(model, number), blob) for model, number, blob in candidates)
        return self._files.load_blobs(blobs, VersionRecord, newer=self._newer)

    def count_versions(self, model: str) -> int | None:
        """Return the number of versions of *model* that are not deleted; None if the index cannot be used.

        Also returns None if a record is damaged, because the record may be readable the next time.
        """

        def question(database: sqlite3.Connection) -> int | None:
            search = _Search(database, model, ())
            return None if search.damaged() else search.count()

        return self._ask(f"{MODELS}/{model}/versions", question)

    @property
    def lists(self) -> ModelLists:
        """The summaries of models and the stage tags in the index."""
        return ModelLists(self._file, self._files, newer=self._newer)

    def find_wrong(self) -> list[str]:
        """Return the names of the models whose rows in the index do not agree with the records of the versions, sorted.

        Leaves out models whose files have changed since the index was updated, because the next search updates their
        rows. Raises Invalid if the file of the index is damaged.
        """
        self._file.content()
        with (
            suppress(NotIndexable, UnicodeError),
            closing(self._file.read()) as database,
            closing(new_database()) as fresh,
        ):
            fresh.execute("BEGIN")
            update = Update(fresh, self._files, newer=self._newer, save=lambda _: None)
            described = []
            for model in self._files.names(MODELS):
                tree = self._files.id(folder := f"{MODELS}/{model}/versions")
                if tree is not None and _describes(database, folder, mark(tree, self._newer)):
                    update.folder(folder, tree)
                    described.append(model)
            theirs, ours = _digests(database), _digests(fresh)
            return [model for model in described if theirs.get(model) != ours.get(model)]
        return []

    def delete(self) -> None:
        """Delete the file of the index, unless another process is changing it. The next search creates another file."""
        self._file.delete()

    def _ask(self, folder: str, question: Callable[[sqlite3.Connection], T]) -> T | None:
        """Update the rows of *folder*, and return the result of *question* on the database; None without an index."""
        tree = self._files.id(folder)
        if tree is None:
            return None
        # A damaged registry can have a folder whose name is not text, which SQLite refuses.
        with (
            suppress(OSError, sqlite3.Error, NotIndexable, Invalid, UnicodeError),
            closing(self._file.read()) as database,
        ):
            if not _describes(database, folder, mark(tree, self._newer)):
                # *database* was read before the lock, so saving it can undo an update that another process has just
                # made. The next search repeats that update.
                with self._file.locked() as is_locked:
                    if not is_locked:
                        return None
                    database.execute("BEGIN")
                    Update(database, self._files, newer=self._newer, save=self._file.save).folder(folder, tree)
                    self._file.save(database)
            return question(database)
        return None


def _oid(marked: bytes) -> Oid:
    """Return the object id in *marked*, a result of `mark`."""
    return Oid(marked[1:].hex())


def _describes(database: sqlite3.Connection, folder: str, tree: bytes) -> bool:
    said = database.execute("SELECT tree FROM folder WHERE parent=? AND name=?", row_of(folder)).fetchone()
    return bool(said == (tree,))


def _digests(database: sqlite3.Connection) -> dict[str, int]:
    """Return, for each model, a checksum of the rows about its versions. The order and ids of rows do not matter."""
    names = dict(database.execute("SELECT id, name FROM model"))
    found: dict[str, int] = {}
    for query in (
        "SELECT id, blob, state FROM version",
        "SELECT version, path, value FROM fact JOIN key ON key.id = fact.key",
        "SELECT version, text FROM summary",
    ):
        for id, *row in database.execute(query):
            name = names.get(id >> NUMBER_BITS, "")
            found[name] = found.get(name, 0) ^ hash((id % (1 << NUMBER_BITS), *row))
    return found


def _is_known(term: Term) -> bool:
    """Return True if the facts in the index can tell if a version has the name of *term*, a key of its metadata."""
    return not term.known and term.name[0] == "metadata" and all(isinstance(step, str) for step in term.name)


def _is_fixed(term: Term) -> bool:
    """Return True if *term* has a field in `_FIXED`, and a value of the type that this field has in each version."""
    if term.known or term.value is None or term.name not in _FIXED:
        return False
    return type_of(_FIXED[term.name]) == type_of(term.value)


class _Search:
    """A search for versions of *models* that have, for each tuple in *ranges*, a fact in one of the tuple's ranges."""

    def __init__(
        self, database: sqlite3.Connection, models: str | Collection[str], ranges: Iterable[tuple[Range, ...]]
    ) -> None:
        self._database = database
        said = database.execute("SELECT id, name FROM model")
        wanted = {models} if isinstance(models, str) else frozenset(models)
        self._names: dict[int, str] = {id: name for id, name in said if name in wanted}
        ids = sorted(self._names) or [0]
        # Bounds for the ids of versions of these models. Ids of other models can lie between.
        self._first, self._end = ids[0] << NUMBER_BITS, (ids[-1] + 1) << NUMBER_BITS
        clauses, self._values = [f"version.state = {PRESENT} AND version.id >= ? AND version.id < ?"], []
        self._values += [self._first, self._end]
        for either in ranges:
            queries, values = zip(*map(self._in_range, either), strict=True)
            clauses.append(f"version.id IN ({' UNION ALL '.join(queries)})")
            self._values += chain(*values)
        self._where = " AND ".join(clauses)

    def has_value(self, term: Term) -> bool:
        """Return True if a version, even a deleted one, has a value under the name in *term*.

        If *term* has a value, the value of the version must have the same type.
        """
        key = key_of(str(step) for step in term.name)
        if term.value is None:
            wanted = Range(key)
        else:
            wanted = Range(key, *(CONTAINERS if term.contained else type_bounds(term.value)))
        query, values = self._in_range(wanted)
        return any(id >> NUMBER_BITS in self._names for (id,) in self._database.execute(query, values))

    def run(self, key: str | None, *, descending: bool, most: int | None) -> Candidates:
        """Return the versions that may match, sorted by their values of *key*, as `Index.find_versions` describes."""
        found: list[Candidate] = []
        for query, values in self._sorted(key, descending=descending):
            if most is not None and len(found) > most:
                return Candidates(found, self.damaged(), complete=False)
            found += self._fetch(query, values, None if most is None else most - len(found) + 1)
        return Candidates(found, self.damaged(), complete=most is None or len(found) <= most)

    def _sorted(self, key: str | None, *, descending: bool) -> Iterator[tuple[str, list[str | Value]]]:
        """Yield SQL queries, each with its parameters, whose rows together are sorted by the values of *key*."""
        down = " DESC" if descending else ""
        for low, high in TYPES if key is not None else ():
            yield (
                "SELECT version.id, blob, fact.value FROM fact CROSS JOIN version ON version.id = fact.version "
                "WHERE fact.key = (SELECT id FROM key WHERE path = ?) AND fact.value BETWEEN ? AND ? "
                f"AND {self._where} ORDER BY fact.value{down}",
                [key or "", low, high, *self._values],
            )
        without = " AND version.id NOT IN (SELECT version FROM fact WHERE key = (SELECT id FROM key WHERE path = ?))"
        names = f"JOIN model ON model.id = version.id >> {NUMBER_BITS} " if len(self._names) > 1 else ""
        yield (
            f"SELECT version.id, blob, NULL FROM version {names}"
            f"WHERE {self._where}{without if key is not None else ''} "
            f"ORDER BY {'model.name, ' if names else ''}version.id DESC",
            [*self._values, *([] if key is None else [key])],
        )

    def _fetch(self, query: str, values: list[str | Value], most: int | None) -> Iterator[Candidate]:
        """Yield the versions that *query* finds; all if *most* is None.

        Otherwise, yields the first *most* versions, and all further ones with the same value as the last of these.
        """
        count, last = 0, None
        for id, blob, value in self._database.execute(query, values):
            if most is not None and count >= most and (value is None or value != last):
                return
            if id >> NUMBER_BITS in self._names:
                count, last = count + 1, value
                yield self._version(id, _oid(blob))

    def count(self) -> int:
        """Return the number of versions that may match."""
        query = f"SELECT count(*) FROM version WHERE {self._where}"
        return int(self._database.execute(query, self._values).fetchone()[0])

    def damaged(self) -> list[Candidate]:
        """Return the damaged versions, by model, the newest first."""
        query = f"SELECT id FROM version WHERE state = {DAMAGED} AND id >= ? AND id < ? ORDER BY id DESC"
        found = self._database.execute(query, (self._first, self._end))
        return [self._version(id) for (id,) in found if id >> NUMBER_BITS in self._names]

    def _version(self, id: int, blob: Oid | None = None) -> Candidate:
        return Candidate(self._names[id >> NUMBER_BITS], id % (1 << NUMBER_BITS), blob)

    def _in_range(self, wanted: Range) -> tuple[str, list[str | Value]]:
        """Return an SQL query for the versions that have a fact in the range *wanted*, and the query's parameters."""
        key, low, high = wanted
        # With `value = ?`, SQLite reads only rows between the bounds; with BETWEEN, it also reads rows of other models.
        values: list[str | Value] = [key, *([low] if low == high else [low, high]), self._first, self._end]
        return (
            "SELECT version FROM fact WHERE key = (SELECT id FROM key WHERE path = ?) "
            f"AND {'value = ?' if low == high else 'value BETWEEN ? AND ?'} AND version >= ? AND version < ?",
            values,
        )
