"""Versions that a search found, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import Invalid, UsageError
from gitmodel.expressions.fields import metadata_values

if TYPE_CHECKING:
    import pandas


class VersionTable(tuple[VersionView, ...]):
    """Versions as immutable values, with a table for notebooks. *damaged* has an error for each unreadable record.

    >>> VersionTable()
    VersionTable(0 versions)
    """

    damaged: tuple[Invalid, ...]

    def __new__(cls, versions: Iterable[VersionView] = (), *, damaged: Iterable[Invalid] = ()) -> VersionTable:
        made = super().__new__(cls, versions)
        made.damaged = tuple(damaged)
        return made

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each version: model, number, name, stage, aliases, created, tags, description, metadata.

        Keys of the metadata are written as in filters: `metadata.accuracy`; a version without a key does not have it.
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
                **{str(field): value for field, value in metadata_values(view.record.metadata)},
            }
            for view in self
        ]

    def to_pandas(self) -> pandas.DataFrame:
        """Return the `rows` as a data frame of pandas, with a column for each key of the metadata.

        Raises UsageError if pandas is not installed.

        >>> client.find_versions("iris").to_pandas()["metadata.accuracy"].max()      # doctest: +SKIP
        0.97
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas", hint="run `pip install pandas`, or use rows()") from error
        frame: pandas.DataFrame = pandas.DataFrame(self.rows())
        return frame

    def __repr__(self) -> str:
        return f"VersionTable({len(self)} version{'s' if len(self) != 1 else ''})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        rows = self.rows()
        head = list(dict.fromkeys(key for row in rows for key in row))
        return html.table(head, ([row.get(key) for key in head] for row in rows))
