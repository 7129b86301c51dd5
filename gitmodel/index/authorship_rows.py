"""The authors and last changes of models and versions in the index, up to one commit of the branch."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.views.authorship import AuthorshipRow
from gitmodel.index.index_file import IndexFile


class AuthorshipRows:
    """The rows in the index in *folder*. The version number 0 stands for the model itself.

    *tip* is the last commit of the branch that the rows include; None if there are no rows, or no usable index.
    """

    def __init__(self, folder: Path) -> None:
        self._file = IndexFile(folder)
        self.tip: Oid | None = None

    def read(self) -> dict[Numbered, AuthorshipRow]:
        """Return the rows of all models, and set `tip`."""
        tip, rows = self._file.fetch(
            "SELECT tip FROM authors_at",
            "SELECT model, number, author.text, updated, by.text FROM authorship "
            "LEFT JOIN person AS author ON author.id = authorship.author "
            "JOIN person AS by ON by.id = authorship.updated_by",
        )
        self.tip = Oid(bytes(tip[0][0]).hex()) if tip else None
        return {(model, number): AuthorshipRow(*row) for model, number, *row in rows} if tip else {}

    def write(self, tip: Oid, rows: Mapping[Numbered, AuthorshipRow]) -> None:
        """Replace all rows by *rows*, which are true at *tip*, unless another process wrote rows after `read`."""

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
