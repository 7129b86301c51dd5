"""Versions that a search found, as a table."""

from __future__ import annotations

from typing import Any

from gitmodel.client.tables.table import Table, flat_fields
from gitmodel.domain.views.record_views import VersionView


class VersionTable(Table[VersionView]):
    """Versions as immutable values, with a table for notebooks.

    >>> VersionTable()
    VersionTable(0 versions)
    """

    noun = "version"

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each version: model, number, name, stage, aliases, created, tags, description, metadata.

        Keys of the metadata are written as in filters, such as `metadata.accuracy`. The mapping of a version has only
        its own keys.
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
