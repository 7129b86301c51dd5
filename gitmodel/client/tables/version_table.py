"""Versions that a search found, as a table."""

from __future__ import annotations

from typing import Any

from gitmodel.client.tables.table import Table, flat_fields
from gitmodel.domain.views.record_views import VersionView


class VersionTable(Table[VersionView]):
    """Versions as immutable values. A notebook shows them as a table.

    >>> VersionTable()
    VersionTable(0 versions)
    """

    noun = "version"

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each version: model, number, name, stage, aliases, created, tags, description.

        The dictionary also has an item for each key of the version's own metadata, named as in filters, such as
        `metadata.accuracy`.
        """
        return [
            {
                "model": view.model,
                "number": view.record.number,
                "name": view.record.name,
                "stage": view.stage,
                "aliases": list(view.aliases),
                "created": view.record.created,
                "tags": list(view.record.tags),
                "description": view.record.description,
                **flat_fields("metadata", view.record.metadata),
            }
            for view in self
        ]
