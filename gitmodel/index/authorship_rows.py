"""The authors and last changes of models and versions, which the index caches as of one commit of the branch."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.views.authorship import AuthorshipRow
from gitmodel.index.index_file import IndexFile


class AuthorshipRows:
    """The rows about authors and last changes in the index in *folder*.

    The key of a row is the name of a model and the number of a version, or 0 for the model itself. *tip* is the last
    commit of the branch whose changes are in the rows. It is None if there are no rows, or if the index is unusable.
    """

    def __init__(self, folder: Path) -> None:
        self._file = IndexFile(folder)
        self.tip: Oid | None = None

    def read(self) -> dict[Numbered, AuthorshipRow]:
        """Return the rows of all models, and set `tip` to the last commit whose changes are in the rows."""
        tip, rows = self._file.fetch(
            "SELECT tip FROM authors_at",
            "SELECT model, number, author.text, updated, by.text FROM authorship "
            "LEFT JOIN person AS author ON author.id = authorship.author "
            "JOIN person AS by ON by.id = authorship.updated_by",
        )
        self.tip = Oid(bytes(tip[0][0]).hex()) if tip else None
        return {(model, number): AuthorshipRow(*row) for model, number, *row in rows} if tip else {}

    def write(self, tip: Oid, rows: Mapping[Numbered, AuthorshipRow]) -> None:
        """Replace all rows by *rows*, which include the changes up to the commit *tip*.

        Does nothing if another process has written rows since `read`.
        """

        def change(database: sqlite3.Connection) -> None:
            now = database.execute("SELECT tip FROM authors_at").fetchone()
            if (Oid(bytes(now[0]).hex()) if now else None) != self.tip:
                return
            for table in ("authors_at", "authorship", "person"):
                database.execute(f"DELETE FROM {table}")
            people = {person for row in rows.values() for person in (row.author, row.updated_by)} - {None}
            ids = {person: id for id, person in enumerate(sorted(map(str, people)))}
            database.executemany("INSERT INTO person VALUES(?, ?)", [(id, person) for person, id in ids.items()])
            database.executemany(
                "INSERT INTO authorship VALUES(?, ?, ?, ?, ?)",
                [
                    (*key, ids.get(row.author or ""), row.updated, ids[row.updated_by])
                    for key, row in sorted(rows.items())
                ],
            )
            database.execute("INSERT INTO authors_at VALUES(?)", (bytes.fromhex(tip),))

        self._file.change(change)
