"""Columns of versions: those that a person chose, and those of the metadata that most versions have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gitmodel.cli import cell_text
from gitmodel.cli.cell_text import escape, measurement, width
from gitmodel.cli.output import Column, Output, terminal_width
from gitmodel.cli.shapes import Shape
from gitmodel.domain.views.comparison import flat_values
from gitmodel.domain.views.record_views import VERSION_NAMES, VersionView
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.expressions.fields import Field

_Column = Column[VersionView]
_WIDEST = 20  # of a column that is shown without being asked for
_WIDEST_LAST = 20  # of the last column, which is cut or printed below the row


class Chosen:
    """The columns that *text* names, with commas: fields of versions and keys of their metadata. Raises UsageError."""

    def __init__(self, text: str) -> None:
        from gitmodel.expressions.fields import read_field  # imported here: few lists need it

        names = [name.strip() for name in text.split(",")]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UsageError(f"--columns names {twice[0]} twice", hint="name each column once")
        self._fields = {name: read_field(name, VERSION_NAMES) for name in names}
        self._missing = dict(self._fields)
        self._beside: dict[str, None] = {}
        number: _Column = ("VERSION", lambda view: cell_text.number(view.record.number, view.local))
        self.columns = (number, *(_column(name, field) for name, field in self._fields.items()))
        self.shape = Shape("row", "A version with the chosen columns.", dict.fromkeys(("model", "number", *names), ""))

    def fields(self, view: VersionView) -> Mapping[str, Any]:
        """Return the row of *view* for JSON and TSV, with exact values; None without a value."""
        chosen = {name: _value(view, field) for name, field in self._fields.items()}
        return {"model": view.model, "number": view.record.number, **chosen}

    def noted(self, views: Iterable[VersionView]) -> Iterator[VersionView]:
        """Yield *views*, and remember the columns that none of them has."""
        for view in views:
            for name, field in [*self._missing.items()]:
                if field.steps[0] != "metadata" or _value(view, field) is not None:
                    del self._missing[name]
                else:
                    self._beside.update(dict.fromkeys(field.beside({"metadata": view.record.metadata})))
            yield view

    def warn_of_missing(self, output: Output) -> None:
        """Warn about each column that no version has, if there are versions."""
        from gitmodel.domain.snapshots.snapshot import near

        for field in self._missing.values() if self._beside else ():
            meant = near(str(field), self._beside)
            known = ", ".join(sorted(self._beside)[:12])
            output.warn(f"no version here has {field}", f"did you mean {meant[0]}?" if meant else f"known: {known}")


def with_measurements(columns: Sequence[_Column], views: Sequence[VersionView]) -> Sequence[_Column]:
    """Return *columns* and, after the stages, those keys of the metadata that most of *views* have and that fit."""
    counts: Counter[str] = Counter()
    widths: dict[str, int] = {}
    for view in views:
        for key, value in flat_values(view.record.metadata):
            if not isinstance(value, list):
                counts[key] += 1
                widths[key] = max(widths.get(key, width(escape(key))), width(escape(measurement(value))))
    room = terminal_width() - sum(_room(columns, views))
    place = [head for head, _ in columns].index("CREATED (UTC)")
    found: list[_Column] = []
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count * 2 > len(views) and widths[key] <= _WIDEST and widths[key] + 2 <= room:
            found.append(_measured(key))
            room -= widths[key] + 2
    return (*columns[:place], *found, *columns[place:])


def _measured(key: str) -> _Column:
    return key, lambda view: measurement(dict(flat_values(view.record.metadata)).get(key))


def _column(head: str, field: Field) -> _Column:
    return head, lambda view: measurement(_value(view, field))


def _value(view: VersionView, field: Field) -> Any:
    """Return the value of *field*; the other fields of a version take longer than its metadata."""
    return field.value({"metadata": view.record.metadata} if field.steps[0] == "metadata" else view.fields())


def _room(columns: Sequence[_Column], views: Sequence[VersionView]) -> Iterator[int]:
    """Yield the width of each of *columns* that has a value, with the space after it."""
    for head, read in columns:
        widest = max((width(escape(read(view))) for view in views), default=0)
        if widest:
            yield max(width(head), widest if head != columns[-1][0] else min(widest, _WIDEST_LAST)) + 2
