"""Runs that a search found, as a table."""

from __future__ import annotations

from typing import Any

from gitmodel.client.handles.run_handle import Run
from gitmodel.client.tables.table import Table, flat_fields


class RunTable(Table[Run]):
    """Runs as handles. A notebook shows them as a table.

    >>> RunTable()
    RunTable(0 runs)
    """

    noun = "run"

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each run: id, pipeline, status, started, seconds, versions, parameters, metadata.

        The dictionary also has an item for each parameter and each key of the metadata, named as in filters:
        `parameters.lr`, `metadata.accuracy`.
        """
        found: list[dict[str, Any]] = []
        for view in self:
            row = {"id": view.id, "pipeline": view.pipeline, "status": view.status, "started": view.started}
            row |= {"seconds": view.seconds, "versions": list(view.versions)}
            row |= flat_fields("parameters", view.parameters) | flat_fields("metadata", view.metadata)
            found.append(row)
        return found
