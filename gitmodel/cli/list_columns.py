"""Tables of rows with columns that a person chose, or the usual ones and the measurements that most rows have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitmodel.cli.cell_text import escape, measurement, width
from gitmodel.cli.output import PROSE, Column, Output, terminal_width
from gitmodel.cli.shapes import Shape
from gitmodel.domain.views.comparison import flat_values
from gitmodel.errors import Invalid, UsageError

if TYPE_CHECKING:
    from gitmodel.cli.options import Part, TableOptions
    from gitmodel.expressions.fields import Field

T = TypeVar("T")

_WIDEST = 20  # of a column that is shown without being asked for
_MOST_KEYS = 16  # of one row that may become columns
_MOST_ONCE = 2_000  # cells that are compared with later ones
_WIDEST_LAST = len("DESCRIPTION")  # of the last column, which is cut


@dataclass(frozen=True)
class RowKind(Generic[T]):
    """A kind of rows: their columns for people, and what JSON and TSV have of them.

    With chosen columns a table keeps the columns *first*, and JSON and TSV the fields *keys*. *others* are the further
    columns that are usual. Before one of them, *before*, come the values that most rows have, of the tables of values
    that *measured* returns. *fields* returns the fields of a row for JSON, or only some, the given names among them.
    """

    shape: Shape
    name: Callable[[T], str]
    keys: tuple[str, ...]
    first: tuple[Column[T], ...]
    others: tuple[Column[T], ...]
    before: str
    measured: Callable[[T], Mapping[str, Any]]
    fields: Callable[[T, Set[str]], Mapping[str, Any]]

    @property
    def usual(self) -> tuple[Column[T], ...]:
        """The columns of a table in which none were chosen."""
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
    """Print *found* with the columns that were *asked* for, then a warning for each row that could not be read.

    *otherwise* is the line for a list without rows.
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
    """The columns that *text* names, with commas: fields and keys of the metadata of rows. Raises UsageError."""

    def __init__(self, text: str, kind: RowKind[T]) -> None:
        from gitmodel.expressions.fields import read_field  # imported here: few lists need it

        names = [name.strip() for name in text.split(",")]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UsageError(f"--columns names {twice[0]} twice", hint="name each column once")
        self._kind = kind
        self._fields = {name: read_field(name, kind.shape.fields) for name in names}
        self._read = {*kind.keys, *(str(field.steps[0]) for field in self._fields.values())}
        self.columns = tuple(self._column(name, field) for name, field in self._fields.items())
        self.shape = Shape("row", "A row with the chosen columns.", dict.fromkeys((*kind.keys, *names), ""))

    def _column(self, head: str, field: Field) -> Column[T]:
        return head, lambda row: measurement(field.value(self._kind.fields(row, self._read)))

    def fields(self, row: T) -> Mapping[str, Any]:
        """Return *row* for JSON and TSV, with exact values; None without a value."""
        fields = self._kind.fields(row, self._read)
        return {key: fields[key] for key in self._kind.keys} | {
            name: field.value(fields) for name, field in self._fields.items()
        }

    def checked(self, rows: Iterator[T], output: Output, part: Part) -> Iterator[T]:
        """Return *rows* after searching a parameter or key of the metadata in them until one has it.

        Raises UsageError if no row has it. If *part* leaves out rows, which could have it, it prints a warning instead.
        """
        missing = [field for field in self._fields.values() if field.steps[0] in ("metadata", "parameters")]
        searched: list[T] = []
        beside: dict[str, None] = {}
        while missing and (row := next(rows, None)) is not None:
            searched.append(row)
            fields = self._kind.fields(row, self._read)
            missing = [field for field in missing if field.value(fields) is None]
            beside.update((name, None) for field in missing for name in field.beside(fields))
        if missing and beside:
            from gitmodel.expressions.fields import missing_field

            error = missing_field(missing[0], beside, f"no {self._kind.noun} in this list")
            if part.is_whole:
                raise error
            output.warn(error.message, error.hint)
        return chain(searched, rows)


def _measured_table(kind: RowKind[T], items: Iterable[T], sort: str) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of the usual columns and of the values that most of *items* have.

    As many as fit on the terminal become columns. The key by which *sort* sorts comes first, even if few have it. Only
    cells are kept of each item, because there may be many.
    """
    columns = kind.usual
    rows: list[list[str]] = []
    keys: list[tuple[str, ...]] = []  # of each version; most versions share them
    values: list[tuple[str, ...]] = []
    once: dict[Any, Any] = {}  # equal keys and cells, of which there are few, are one object
    counts: Counter[str] = Counter()
    for item in items:
        row = [read(item) for _, read in columns]
        rows.append([once.setdefault(cell, cell) if len(once) < _MOST_ONCE else cell for cell in row])
        found = dict(islice(flat_values(kind.measured(item)), _MOST_KEYS))
        counts.update(found.keys())
        names, texts = tuple(found), tuple(map(measurement, found.values()))
        keys.append(once.setdefault(names, names))
        values.append(tuple([once.setdefault(text, text) if len(once) < _MOST_ONCE else text for text in texts]))
    heads = [head for head, _ in columns]
    place = heads.index(kind.before)
    room = terminal_width() - sum(_room(heads, rows))
    first = sort.removeprefix("-").removeprefix("metadata.").removeprefix("parameters.")
    for key, count in sorted(counts.items(), key=lambda item: (item[0] != first, -item[1], item[0])):
        if count * 2 <= len(rows) and key != first:
            break
        cells = [dict(zip(*pair, strict=True)).get(key, "") for pair in zip(keys, values, strict=True)]
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


def _room(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """Yield the width of each column that has a value, with the space after it."""
    for place, head in enumerate(heads):
        widest = _widest(["", *(row[place] for row in rows)])
        if widest and head != PROSE:  # printed below its row if the terminal is too narrow
            yield max(width(head), widest if head != heads[-1] else min(widest, _WIDEST_LAST)) + 2
