"""Immutable rows that a client returns, as a data frame and as a table for notebooks."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gitmodel.domain.views.comparison import Compared
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.runs import RunView

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Self

    from gitmodel.lineage.comparing import CodeRange, ComparedVersion, Comparison

T = TypeVar("T")


class Table(tuple[T, ...]):
    """Immutable rows, which `rows` returns as mappings. *damaged* has an error for each unreadable record."""

    noun: ClassVar[str]
    damaged: tuple[Invalid, ...]

    def __new__(cls, rows: Iterable[T] = (), *, damaged: Iterable[Invalid] = ()) -> Self:
        made = super().__new__(cls, rows)
        made.damaged = tuple(damaged)
        return made

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each row, with exact values."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the `rows` as a data frame of pandas. Raises UsageError if pandas is not installed.

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
        return f"{type(self).__name__}({len(self)} {self.noun}{'s' if len(self) != 1 else ''})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        rows = self.rows()
        head = list(dict.fromkeys(key for row in rows for key in row))
        return html.table(head, ([row.get(key) for key in head] for row in rows))


class RunTable(Table[RunView]):
    """Runs as immutable values, with a table for notebooks.

    >>> RunTable()
    RunTable(0 runs)
    """

    noun = "run"

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each run: id, pipeline, status, started, seconds, versions, parameters, metadata.

        Parameters and keys of the metadata are written as in filters: `parameters.lr`, `metadata.accuracy`.
        """
        found: list[dict[str, Any]] = []
        for view in self:
            row = {"id": view.id, "pipeline": view.pipeline, "status": view.status, "started": view.started}
            row |= {"seconds": view.seconds, "versions": list(view.versions)}
            row |= flat_fields("parameters", view.parameters) | flat_fields("metadata", view.metadata)
            found.append(row)
        return found


class VersionDiff(Table[Compared]):
    """The fields of several versions side by side: those that differ first.

    *versions* are the compared versions, *code* the commits from each to the next, and *gaps* the items that could not
    be compared, each with advice.
    """

    noun = "field"
    versions: tuple[ComparedVersion, ...]
    code: tuple[CodeRange, ...]
    gaps: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, found: Comparison) -> VersionDiff:
        """Return a comparison as a table."""
        made = cls(found.fields)
        made.versions, made.code, made.gaps = found.versions, found.code, found.gaps
        return made

    @property
    def differing(self) -> list[Compared]:
        """The fields that are not the same in all versions."""
        return [row for row in self if not row.same]

    @property
    def heads(self) -> tuple[str, ...]:
        """The name of each version; the reference that asked for it if several references name one version."""
        names = Counter(version.reference for version in self.versions)
        return tuple(version.reference if names[version.reference] == 1 else version.asked for version in self.versions)

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each field: key, same, change, and the value in each version by its name."""
        heads = self.heads
        return [
            {"key": row.name, "same": row.same, "change": row.change, **dict(zip(heads, row.values, strict=True))}
            for row in self
        ]


def flat_fields(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* of the field *name* by the names that filters use, such as `metadata.accuracy`."""
    from gitmodel.expressions.fields import metadata_values  # imported here: few callers need the rows of a table

    return {str(field): value for field, value in metadata_values(values, (name,))}
