"""Models that a search found, as a table."""

from __future__ import annotations

from typing import Any

from gitmodel.client.tables.table import Table, flat_fields
from gitmodel.domain.views.record_views import ModelView


class ModelTable(Table[ModelView]):
    """Models as immutable values. A notebook shows them as a table.

    >>> ModelTable()
    ModelTable(0 models)
    """

    noun = "model"

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each model: name, title, tags, created, latest, versions, stages, aliases, metadata.

        The dictionary also has an item for each key of the model's own metadata, named as in filters, such as
        `metadata.risk`.
        """
        found: list[dict[str, Any]] = []
        for view in self:
            fields = view.fields()
            row = {name: fields[name] for name in _SHOWN}
            found.append({**row, **flat_fields("metadata", view.record.metadata)})
        return found


_SHOWN = ("name", "title", "tags", "created", "latest", "versions", "stages", "aliases")
