"""Lists of versions: their columns, those that a person chose, and the keys of the metadata that most of them have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

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
    from gitmodel.expressions.fields import Field

_Column = Column[VersionView]
_WIDEST = 20  # of a column that is shown without being asked for
_MOST_KEYS = 16  # of one version that may become columns
_MOST_ONCE = 2_000  # cells that are compared with later ones
_WIDEST_LAST = len("DESCRIPTION")  # of the last column, which is cut


COLUMNS = (
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
    chosen = Chosen(columns) if columns else None
    head: Sequence[_Column] = COLUMNS if chosen is None else chosen.columns
    head = (_MODEL, *head) if with_model else head
    listing = partial(output.listing, name=str, columns=head, empty=empty)
    if chosen is not None:
        listing(chosen.noted(views()), chosen.shape, fields=chosen.fields)
        chosen.warn_of_missing(output)
    elif output.is_table:
        key = sort.removeprefix("-").removeprefix("metadata.")
        output.table(*measured_table(head, views(), key), empty)
    else:
        listing(views(), shapes.VERSION, fields=VersionView.fields)
    for error in damaged:
        output.warn(error.message, error.hint)
    note_pending(invocation, pending)


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


def measured_table(
    columns: Sequence[_Column], views: Iterable[VersionView], first: str = ""
) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows of *columns* and of the keys of the metadata that most of *views* have and that fit.

    The key *first* comes first, even if few have it. Only cells and values are kept of each version, because there may
    be many.
    """
    rows: list[list[str]] = []
    keys: list[tuple[str, ...]] = []  # of each version; most versions share them
    values: list[tuple[str, ...]] = []
    once: dict[Any, Any] = {}  # equal keys and cells, of which there are few, are one object
    counts: Counter[str] = Counter()
    for view in views:
        row = [read(view) for _, read in columns]
        rows.append([once.setdefault(cell, cell) if len(once) < _MOST_ONCE else cell for cell in row])
        found = dict(islice(flat_values(view.record.metadata), _MOST_KEYS))
        counts.update(found.keys())
        names, texts = tuple(found), tuple(map(measurement, found.values()))
        keys.append(once.setdefault(names, names))
        values.append(tuple([once.setdefault(text, text) if len(once) < _MOST_ONCE else text for text in texts]))
    heads = [head for head, _ in columns]
    place = heads.index("CREATED (UTC)")
    room = terminal_width() - sum(_room(heads, rows))
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
