"""The history of stages and aliases as a table, with the versions that got them."""

from __future__ import annotations

from typing import Any

from gitmodel.client.tables.table import Table, flat_fields
from gitmodel.lineage.history.holdings import Holding


class HistoryTable(Table[Holding]):
    """Changes of stages and aliases, each with the record of the version that got the stage or alias.

    A notebook shows them as swim lanes and a table.

    >>> HistoryTable()
    HistoryTable(0 events)
    """

    noun = "event"

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each change: model, stage, version, when, until, author, reason, fault, metadata.

        The dictionary also has an item for each key of the version's metadata, named as in filters, such as
        `metadata.accuracy`. `fault` is the reason why a change was never in force, or "".
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
