"""Lists of versions: their columns, those that a person chose, and the keys of the metadata that most of them have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gitmodel.cli import cell_text, shapes
from gitmodel.cli.cell_text import escape, measurement, width
from gitmodel.cli.invocation import Invocation
from gitmodel.cli.output import Column, Output, terminal_width
from gitmodel.cli.shapes import Shape
from gitmodel.cli.version_view import note_pending
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.views.comparison import flat_values
from gitmodel.domain.views.record_views import VERSION_NAMES, VersionView
from gitmodel.errors import Invalid, UsageError

if TYPE_CHECKING:
    from gitmodel.domain.views.filter_names import Names
    from gitmodel.expressions.fields import Field

T = TypeVar("T")

_Column = Column[VersionView]
_WIDEST = 20  # of a column that is shown without being asked for
_MOST_KEYS = 16  # of one version that may become columns
_MOST_ONCE = 2_000  # cells that are compared with later ones
_WIDEST_LAST = len("DESCRIPTION")  # of the last column, which is cut


COLUMNS: tuple[_Column, ...] = (
    ("VERSION", lambda view: cell_text.number(view.record.number, view.local)),
    ("NAME", lambda view: view.record.name or ""),
    ("STAGE", lambda view: cell_text.stage_of_version(view)),
    ("ALIASES", lambda view: cell_text.aliases_of_version(view)),
    ("CREATED (UTC)", lambda view: cell_text.utc_time(view.record.created)),
    ("TAGS", lambda view: cell_text.commas(view.record.tags)),
    ("DESCRIPTION", lambda view: view.record.description + (" (from a failed run)" if view.record.failed else "")),
)
_MODEL: _Column = ("MODEL", lambda view: view.model)


def print_versions(
    invocation: Invocation,
    found: Iterable[VersionView | Invalid],
    *,
    with_model: bool,
    columns: str,
    empty: str,
    sort: str = "",
) -> None:
    """Print a list of versions with the chosen *columns*, "": the usual ones; then notes and warnings about them.

    The usual columns include the key of the metadata of *sort*. *empty* is the line that is printed if there are none.
    """
    damaged: list[Invalid] = []
    pending: dict[tuple[str, StageState], None] = {}

    def views() -> Iterator[VersionView]:
        for view in found:
            if isinstance(view, Invalid):
                damaged.append(view)
            else:
                pending.update(dict.fromkeys((view.model, state) for state in view.pending))
                yield view

    output = invocation.output
    if columns:
        chosen = Chosen(columns, VERSION_NAMES, _fields_of, COLUMNS[0], _key_of, ("model", "number"))
        head = (_MODEL, *chosen.columns) if with_model else chosen.columns
        output.listing(chosen.noted(views()), chosen.shape, fields=chosen.fields, name=str, columns=head, empty=empty)
        chosen.warn_of_missing(output, "version")
    elif output.is_table:
        head = (_MODEL, *COLUMNS) if with_model else COLUMNS
        heads, rows = measured_table(head, views(), values_of=_metadata_of, before="CREATED (UTC)", sort=sort)
        output.table(heads, rows, empty)
    else:
        output.listing(views(), shapes.VERSION, fields=VersionView.fields, name=str, columns=COLUMNS, empty=empty)
    for error in damaged:
        output.warn(error.message, error.hint)
    note_pending(invocation, pending)


class Chosen(Generic[T]):
    """The columns that *text* names, with commas: fields and keys of the metadata of records. Raises UsageError.

    *known* are the names of fields; *read* returns the fields of a row with one of them. *first* is the column of the
    name, and *same* returns what JSON and TSV have of each row besides the chosen columns, under *same_keys*.
    """

    def __init__(
        self,
        text: str,
        known: Mapping[str, Names],
        read: Callable[[T, Field], Mapping[str, Any]],
        first: Column[T],
        same: Callable[[T], Mapping[str, Any]],
        same_keys: Sequence[str],
    ) -> None:
        from gitmodel.expressions.fields import read_field  # imported here: few lists need it

        names = [name.strip() for name in text.split(",")]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UsageError(f"--columns names {twice[0]} twice", hint="name each column once")
        self._fields = {name: read_field(name, known) for name in names}
        self._read, self._same = read, same
        self._missing = dict(self._fields)
        self._beside: dict[str, None] = {}
        self.columns = (first, *(self._column(name, field) for name, field in self._fields.items()))
        self.shape = Shape("row", "A row with the chosen columns.", dict.fromkeys((*same_keys, *names), ""))

    def _column(self, head: str, field: Field) -> Column[T]:
        return head, lambda row: measurement(field.value(self._read(row, field)))

    def fields(self, row: T) -> Mapping[str, Any]:
        """Return *row* for JSON and TSV, with exact values; None without a value."""
        chosen = {name: field.value(self._read(row, field)) for name, field in self._fields.items()}
        return {**self._same(row), **chosen}

    def noted(self, rows: Iterable[T]) -> Iterator[T]:
        """Yield *rows*, and remember the columns that none of them has."""
        for row in rows:
            for name, field in [*self._missing.items()]:
                fields = self._read(row, field)
                if field.steps[0] not in ("metadata", "parameters") or field.value(fields) is not None:
                    del self._missing[name]
                else:
                    self._beside.update(dict.fromkeys(field.beside(fields)))
            yield row

    def warn_of_missing(self, output: Output, noun: str) -> None:
        """Warn about each column that no row has, if there are rows. *noun* is what a row is, such as "version"."""
        from gitmodel.expressions.fields import missing_field

        for field in self._missing.values() if self._beside else ():
            error = missing_field(field, self._beside, f"no {noun} here")
            output.warn(error.message, error.hint)


def measured_table(
    columns: Sequence[Column[T]],
    items: Iterable[T],
    *,
    values_of: Callable[[T], Mapping[str, Any]],
    before: str,
    sort: str = "",
) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of *columns* and, *before* one of them, of the values that most of *items* have.

    *values_of* returns a table of them, such as the metadata. As many as fit on the terminal become columns. The key by
    which *sort* sorts comes first, even if few have it. Only cells are kept of each item, because there may be many.
    """
    rows: list[list[str]] = []
    keys: list[tuple[str, ...]] = []  # of each version; most versions share them
    values: list[tuple[str, ...]] = []
    once: dict[Any, Any] = {}  # equal keys and cells, of which there are few, are one object
    counts: Counter[str] = Counter()
    for item in items:
        row = [read(item) for _, read in columns]
        rows.append([once.setdefault(cell, cell) if len(once) < _MOST_ONCE else cell for cell in row])
        found = dict(islice(flat_values(values_of(item)), _MOST_KEYS))
        counts.update(found.keys())
        names, texts = tuple(found), tuple(map(measurement, found.values()))
        keys.append(once.setdefault(names, names))
        values.append(tuple([once.setdefault(text, text) if len(once) < _MOST_ONCE else text for text in texts]))
    heads = [head for head, _ in columns]
    place = heads.index(before)
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


def _key_of(view: VersionView) -> Mapping[str, Any]:
    return {"model": view.model, "number": view.record.number}


def _metadata_of(view: VersionView) -> Mapping[str, Any]:
    return view.record.metadata


def _fields_of(view: VersionView, field: Field) -> Mapping[str, Any]:
    """Return the fields of *view* with *field*; those besides the metadata take longer."""
    return {"metadata": view.record.metadata} if field.steps[0] == "metadata" else view.fields()


def _room(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """Yield the width of each column that has a value, with the space after it."""
    for place, head in enumerate(heads):
        widest = _widest(["", *(row[place] for row in rows)])
        if widest:
            yield max(width(head), widest if head != heads[-1] else min(widest, _WIDEST_LAST)) + 2
