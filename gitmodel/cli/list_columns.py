"""Tables of versions, models, runs and changes, with the columns that --columns names or with default columns.

The default columns are fixed ones, and the keys of the metadata that most rows have.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitmodel.cli.output import PROSE, Column, Output, cells_of, terminal_width, widest
from gitmodel.cli.shapes.shape import Shape
from gitmodel.domain.views.cell_text import escape, tsv_cell, utc_time, width
from gitmodel.domain.views.comparison import flat_values, rounded
from gitmodel.domain.views.filter_names import RECORDED_FIELDS
from gitmodel.domain.views.version_summaries import MOST_KEYS
from gitmodel.errors import Invalid, UsageError
from gitmodel.frozen import Frozen

if TYPE_CHECKING:
    from gitmodel.cli.options import Part, TableOptions
    from gitmodel.domain.views.filter_names import Names
    from gitmodel.expressions.fields import Field

T = TypeVar("T")

_WIDEST = 20  # the maximum width of a column for a key of the metadata, if --columns is not given
_WIDEST_LAST = len("DESCRIPTION")  # the width to reserve for the last column, whose long texts may be cut


class RowKind(Frozen, Generic[T]):
    """A kind of row: its columns for people, and its fields for JSON and TSV.

    With --columns, a table begins with the columns *first*, and JSON and TSV begin with the fields *keys*; the chosen
    columns follow. Without --columns, a table has the columns *first* and *others*. *measured* returns the metadata of
    a row by key: the keys that most rows have become columns in front of the column with the head *before*.

    *name* returns the text that --quiet prints for a row. *fields* returns the fields of a row for JSON, at least those
    in its second argument. *tables* maps each field that is a table to the names in this table. *elsewhere* is a hint
    for a chosen key of the metadata that no row has.
    """

    shape: Shape
    name: Callable[[T], str]
    keys: tuple[str, ...]
    first: tuple[Column[T], ...]
    others: tuple[Column[T], ...]
    before: str
    measured: Callable[[T], Mapping[str, Any]]
    fields: Callable[[T, Set[str]], Mapping[str, Any]]
    tables: Mapping[str, Names] = dataclasses.field(default_factory=dict)
    elsewhere: str = ""

    @property
    def usual(self) -> tuple[Column[T], ...]:
        """The fixed columns of a table if --columns is not given."""
        return (*self.first, *self.others)

    @property
    def noun(self) -> str:
        """The word for a row in messages."""
        return self.shape.name.rpartition("_")[2]

    def all_fields(self, row: T) -> Mapping[str, Any]:
        """Return the fields of *row* for JSON."""
        return self.fields(row, self.shape.fields.keys())


def print_rows(
    output: Output, kind: RowKind[T], found: Iterable[T | Invalid], asked: TableOptions, *, otherwise: str
) -> None:
    """Print the rows *found* with the columns in *asked*, then a warning for each unreadable row (an `Invalid`).

    *otherwise* is the line to print if the list is empty.
    """
    damaged: list[Invalid] = []

    def readable() -> Iterator[T]:
        for row in found:
            if isinstance(row, Invalid):
                damaged.append(row)
            else:
                yield row

    empty = asked.part.empty(otherwise, kind.noun)
    if asked.columns:
        chosen = _Chosen(asked.columns, kind)
        rows = chosen.checked(readable(), output, asked.part)
        columns = (*kind.first, *chosen.columns)
        output.listing(rows, chosen.shape, fields=chosen.fields, name=kind.name, columns=columns, empty=empty)
    elif output.is_table:
        output.table(*_measured_table(kind, readable(), asked.sort), empty)
    else:
        output.listing(readable(), kind.shape, fields=kind.all_fields, name=kind.name, columns=kind.usual, empty=empty)
    for error in damaged:
        output.warn(error.message, error.hint)


class _Chosen(Generic[T]):
    """The columns that *text*, the value of --columns, names: fields and keys of the metadata, separated by commas.

    Raises UsageError if *text* names a column twice, or a field that does not exist.
    """

    def __init__(self, text: str, kind: RowKind[T]) -> None:
        from gitmodel.expressions.fields import names_below, read_field  # imported here: only --columns needs it

        names = [name.strip() for name in text.split(",")]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UsageError(f"--columns names {twice[0]} twice", hint="name each column once")
        self._kind = kind
        self._fields = {name: read_field(name, kind.shape.fields) for name in names}
        for field in self._fields.values():
            if field.steps[0] in kind.tables:
                names_below(field, kind.tables)
        # Also read the metadata and parameters, because the error for a missing key suggests similar keys.
        self._read = {*kind.keys, *(str(field.steps[0]) for field in self._fields.values())}
        self._read |= kind.shape.fields.keys() & {*RECORDED_FIELDS}
        self.columns = tuple(self._column(name, field) for name, field in self._fields.items())
        self.shape = Shape("row", "A row with the chosen columns.", dict.fromkeys((*kind.keys, *names), ""))

    def _column(self, head: str, field: Field) -> Column[T]:
        return head, lambda row: measurement(field.value(self._kind.fields(row, self._read)))

    def fields(self, row: T) -> Mapping[str, Any]:
        """Return the chosen fields of *row* for JSON and TSV, with exact values (None: the row lacks the field)."""
        fields = self._kind.fields(row, self._read)
        return {key: fields[key] for key in self._kind.keys} | {
            name: field.value(fields) for name, field in self._fields.items()
        }

    def checked(self, rows: Iterator[T], output: Output, part: Part) -> Iterator[T]:
        """Return *rows*, after checking that each chosen key of the metadata and parameter occurs in one of them.

        Raises UsageError if one occurs in none. Only warns if *part* leaves out rows, which may have it.
        """
        missing = [field for field in self._fields.values() if field.steps[0] in RECORDED_FIELDS]
        searched: list[T] = []
        beside: dict[str, None] = {}
        while missing and (row := next(rows, None)) is not None:
            searched.append(row)
            fields = self._kind.fields(row, self._read)
            missing = [field for field in missing if field.value(fields) is None]
            beside.update((name, None) for field in missing for name in field.beside(fields))
        if missing and searched:
            from gitmodel.expressions.fields import missing_field

            elsewhere = self._kind.elsewhere if missing[0].steps[0] == "metadata" else ""
            error = missing_field(missing[0], beside, f"no {self._kind.noun} in this list", elsewhere)
            if part.is_whole:
                raise error
            output.warn(error.message, error.hint)
        return chain(searched, rows)


def _measured_table(kind: RowKind[T], items: Iterable[T], sort: str) -> tuple[list[str], list[list[str]]]:
    """Return heads and cells of the usual columns and of values that most of *items* have.

    As many values as fit on the terminal become columns. The first key is that of *sort*, even if few items have this
    key. Keeps only the cells and values of each item in memory, because there may be many items.
    """
    values = _Values()
    heads = [head for head, _ in kind.usual]
    cells = cells_of([read for _, read in kind.usual], values.noted(items, kind.measured))
    place = heads.index(kind.before)
    room = terminal_width() + 2 - sum(_room(heads, cells))  # no space follows the last column
    first = sort.removeprefix("-").removeprefix("metadata.").removeprefix("parameters.")
    for key in values.most_common(first):
        if room < 3:
            break
        column = values.cells(key)
        taken = _widest([key, *column])
        if taken <= _WIDEST and taken + 2 <= room:
            room -= taken + 2
            heads.insert(place, key)
            cells.insert(place, column)
            place += 1
    return heads, cells


def measurement(value: Any) -> str:
    """Return *value*, a value of the metadata, as text for people. Rounds numbers, and converts times to UTC.

    >>> measurement(0.972222), measurement(1500), measurement(None), measurement(["a", "b"])
    ('0.9722', '1500', '', 'a,b')
    """
    if isinstance(value, str):
        return value
    if type(value) is int or isinstance(value, float):
        return rounded(value)
    return utc_time(value) if isinstance(value, datetime) else tsv_cell(value)


class _Values:
    """The metadata of all items of a list, by key. Items with the same keys share one tuple of keys, to save memory."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, ...]] = []
        self._values: list[tuple[Any, ...]] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()

    def noted(self, items: Iterable[T], values_of: Callable[[T], Mapping[str, Any]]) -> Iterator[T]:
        """Yield *items*, and remember the values that *values_of* returns for each item."""
        for item in items:
            found = dict(islice(flat_values(values_of(item)), MOST_KEYS))
            keys = tuple(found)
            self._counts[keys] += 1
            self._keys.append(self._known.setdefault(keys, keys))
            self._values.append(tuple(found.values()))
            yield item

    def most_common(self, first: str) -> Iterator[str]:
        """Yield the key *first* if an item has it, then the keys that most items have, the most common first."""
        counts: Counter[str] = Counter()
        for keys, count in self._counts.items():
            counts.update(dict.fromkeys(keys, count))
        for key, count in sorted(counts.items(), key=lambda item: (item[0] != first, -item[1], item[0])):
            if key == first or count * 2 > len(self._keys):
                yield key

    def cells(self, key: str) -> list[str]:
        """Return the text for the value of *key* in each item; "" if the item does not have the key."""
        places = {keys: keys.index(key) if key in keys else None for keys in self._known}
        found = zip(self._values, map(places.__getitem__, self._keys), strict=True)
        return ["" if place is None else measurement(values[place]) for values, place in found]


def _widest(column: Iterable[str]) -> int:
    """Return the width of the widest cell in *column*, as printed with its control characters escaped."""
    column = set(column)
    return widest(column if "".join(column).isprintable() else map(escape, column))


def _room(heads: Sequence[str], columns: Sequence[Sequence[str]]) -> Iterator[int]:
    """Yield the width of each column that is not empty, including the space after the column."""
    for head, column in zip(heads, columns, strict=True):
        taken = _widest(column)
        # The column PROSE needs no room: if the terminal is too narrow, its cells move below the rows.
        if taken and head != PROSE:
            yield max(width(head), taken if head != heads[-1] else min(taken, _WIDEST_LAST)) + 2
