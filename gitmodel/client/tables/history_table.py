"""The history of stages as a table, with the versions that entered."""

from __future__ import annotations

from typing import Any

from gitmodel.client.tables.table import Table, flat_fields
from gitmodel.lineage.history import Holding


class HistoryTable(Table[Holding]):
    """Changes of stages and aliases with the versions that entered, with swim lanes and a table for notebooks.

    >>> HistoryTable()
    HistoryTable(0 events)
    """

    noun = "event"

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each change: model, stage, version, when, until, author, reason, fault and the metadata.

        Keys of the metadata are written as in filters: `metadata.accuracy`. `fault` is the reason why a change was
        never in force.
        """
        return [
            {
                **{name: getattr(row.event, name) for name in _OF_EVENT},
                **flat_fields("metadata", row.metadata),
            }
            for row in self
        ]

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.history_drawing([row.event for row in self]) + super()._repr_html_()


_OF_EVENT = ("model", "stage", "version", "when", "until", "author", "reason", "fault")
