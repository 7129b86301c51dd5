"""Columns of versions: those that a person chose, and those of the metadata that most versions have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
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
_MOST_KEYS = 16  # of one version that may become columns
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


def measured_table(columns: Sequence[_Column], views: Iterable[VersionView]) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of *columns* and of the keys of the metadata that most of *views* have and that fit.

    Only cells and values are kept of each version, because there may be many.
    """
    rows: list[list[str]] = []
    measured: list[dict[str, Any]] = []
    for view in views:
        rows.append([read(view) for _, read in columns])
        measured.append(dict(islice(flat_values(view.record.metadata), _MOST_KEYS)))
    heads = [head for head, _ in columns]
    place = heads.index("CREATED (UTC)")
    room = terminal_width() - sum(_room(heads, rows))
    counts = Counter(chain.from_iterable(measured))
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count * 2 <= len(rows):
            break
        cells = [measurement(values.get(key)) for values in measured]
        widest = _widest([key, *cells])
        if widest <= _WIDEST and widest + 2 <= room:
            room -= widest + 2
            heads.insert(place, key)
            for row, cell in zip(rows, cells, strict=True):
                row.insert(place, cell)
            place += 1
    return heads, rows


def _widest(texts: Iterable[str]) -> int:
    return max(width(escape(text)) for text in set(texts))


def _column(head: str, field: Field) -> _Column:
    return head, lambda view: measurement(_value(view, field))


def _value(view: VersionView, field: Field) -> Any:
    """Return the value of *field*; the other fields of a version take longer than its metadata."""
    return field.value({"metadata": view.record.metadata} if field.steps[0] == "metadata" else view.fields())


def _room(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """Yield the width of each column that has a value, with the space after it."""
    for place, head in enumerate(heads):
        widest = _widest(["", *(row[place] for row in rows)])
        if widest:
            yield max(width(head), widest if head != heads[-1] else min(widest, _WIDEST_LAST)) + 2
