"""The immutable tables that a client returns, which notebooks show and pandas can read."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from gitmodel.errors import Invalid, UsageError

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Self

    # ruff does not see the names in the strings in `Table["..."]`
    from gitmodel.client.handles.run_handle import Run  # noqa: F401
    from gitmodel.domain.views.comparison import Compared
    from gitmodel.domain.views.record_views import ModelView, VersionView  # noqa: F401
    from gitmodel.lineage.comparing import CodeRange, ComparedVersion, Comparison
    from gitmodel.lineage.history.holdings import Holding  # noqa: F401

T = TypeVar("T")


class Table(tuple[T, ...]):
    """An immutable sequence of values. *damaged* has an error for each record that could not be read."""

    noun: ClassVar[str]
    damaged: tuple[Invalid, ...]

    def __new__(cls, rows: Iterable[T] = (), *, damaged: Iterable[Invalid] = ()) -> Self:
        made = super().__new__(cls, rows)
        made.damaged = tuple(damaged)
        return made

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each value of the table, with exact values (not rounded or shortened for display)."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the result of `rows` as a data frame of pandas. Raises UsageError if pandas is not installed.

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


class ModelTable(Table["ModelView"]):
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
        names = ("name", "title", "tags", "created", "latest", "versions", "stages", "aliases")
        found = ((view.record.metadata, view.fields()) for view in self)
        return [
            {**{name: fields[name] for name in names}, **_flat_fields("metadata", metadata)}
            for metadata, fields in found
        ]


class VersionTable(Table["VersionView"]):
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
                **_flat_fields("metadata", view.record.metadata),
            }
            for view in self
        ]


class RunTable(Table["Run"]):
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
        return [
            {
                "id": run.id,
                "pipeline": run.pipeline,
                "status": run.status,
                "started": run.started,
                "seconds": run.seconds,
                "versions": list(run.versions),
                **_flat_fields("parameters", run.parameters),
                **_flat_fields("metadata", run.metadata),
            }
            for run in self
        ]


class HistoryTable(Table["Holding"]):
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
        names = ("model", "stage", "version", "when", "until", "author", "reason", "fault")
        return [
            {**{name: getattr(row.event, name) for name in names}, **_flat_fields("metadata", row.metadata)}
            for row in self
        ]

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.history_drawing([row.event for row in self]) + super()._repr_html_()


class VersionDiff(Table["Compared"]):
    """The fields of several versions side by side. The fields that differ come first.

    *versions* are the compared versions, and *code* has the code commits between each version and the next. *gaps* are
    pairs of two texts: what could not be compared and why, and advice.
    """

    noun = "field"
    versions: tuple[ComparedVersion, ...]
    code: tuple[CodeRange, ...]
    gaps: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, found: Comparison) -> VersionDiff:
        """Return the comparison *found* as a table."""
        made = cls(found.fields)
        made.versions, made.code, made.gaps = found.versions, found.code, found.gaps
        return made

    @property
    def differing(self) -> list[Compared]:
        """The fields that are not the same in all versions."""
        return [row for row in self if not row.same]

    @property
    def heads(self) -> tuple[str, ...]:
        """A heading for each version: its reference such as `iris@3`.

        If the caller gave several references that name the same version, their headings are these references instead.
        """
        names = Counter(version.reference for version in self.versions)
        return tuple(version.reference if names[version.reference] == 1 else version.asked for version in self.versions)

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each field: key, same, change, and the value in each version under its heading.

        `same` is True if all versions have the same value. `change` is the last number minus the first, or None.
        """
        heads = self.heads
        return [
            {"key": row.name, "same": row.same, "change": row.change, **dict(zip(heads, row.values, strict=True))}
            for row in self
        ]


def _flat_fields(field: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items of *values*, the table in *field* of a record, under names like `metadata.accuracy`."""
    from gitmodel.expressions.fields import metadata_values  # imported here: few callers need the rows of a table

    return {str(name): value for name, value in metadata_values(values, (field,))}
