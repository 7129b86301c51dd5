"""The only module that prints: results on stdout as a table, JSON or TSV; warnings, errors and progress on stderr.

Text of records is escaped here for people and for TSV.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice, repeat, takewhile
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from gitmodel.domain.views.cell_text import escape, tsv_cell, width
from gitmodel.errors import GateRefused, GitModelError

if TYPE_CHECKING:
    from gitmodel.cli.shapes.shape import Shape

FORMATS = ("table", "json", "tsv")
# Seconds before a progress line appears, and between its updates. `_PLAIN_TICK` is for both if stderr is no terminal,
# because each update is a new line then.
_PATIENCE, _TICK = 0.5, 0.1
_PLAIN_TICK = 10.0
_SPAN = 10.0  # the last seconds over which a progress line measures the speed
_NARROWEST = 8
# On a narrow terminal, a row with a wider cell is printed below the table, each cell in at most `_MOST_LINES` lines.
_WIDEST_CELL = 20
_MOST_LINES = 5
# If the terminal is too narrow, the last columns with these heads are printed below each row instead of being cut.
PROSE = "REASON"
_WHOLE = (PROSE, "DIGEST", "WHAT", "WHAT TO DO")
_INDENT = "    "
# Ends of the heads of columns whose values are cut only if cutting all other columns does not save enough space.
_FIRM = ("(UTC)", "COMMIT", "FIELD")

# The number of items that `cells_of` reads together. Also the number of different cells of a column up to which it
# remembers them, so that equal cells share memory.
_PIECE = 1_000

T = TypeVar("T")
Column = tuple[str, Callable[[T], str]]


class Output:
    """The output of a command in one format. Each method prints a result or a message."""

    def __init__(self, format: str = "table", *, quiet: bool = False) -> None:
        self.format = format
        self.quiet = quiet
        # The commit of the metadata branch that --at selects; None if --at is not given.
        self.at: str | None = None

    @property
    def is_table(self) -> bool:
        """True if a list is printed as a table for people."""
        return self.format == "table" and not self.quiet

    def listing(
        self,
        items: Iterable[T],
        shape: Shape,
        *,
        fields: Callable[[T], Mapping[str, Any]] | None = None,
        name: Callable[[T], str],
        columns: Sequence[Column[T]],
        empty: str,
    ) -> None:
        """Print a list of *items*: a table with *columns* for people, all fields as JSON or TSV, or only names.

        *fields* returns the fields of an item (None: its attributes named in *shape*), and *name* its name. *empty* is
        the line for people if the list is empty.
        """
        fields = fields or shape.of
        if self.quiet:
            _write_all(f"{escape(name(item))}\n" for item in items)
        elif self.format == "json":
            _write_all(_json_list(self._dated(shape, fields(item)) for item in items))
        elif self.format == "tsv":
            _write_all(_tsv(shape, (self._dated(shape, fields(item)) for item in items)))
        else:
            self.table([head for head, _ in columns], cells_of([read for _, read in columns], items), empty)

    def table(self, heads: Sequence[str], columns: Sequence[list[str]], empty: str) -> None:
        """Print a table for people with *heads* and the cells in *columns*, without empty columns.

        If there are no rows, prints *empty*. Escapes the cells in the lists of *columns*, without a copy of these
        lists, because there may be very many cells.
        """
        if not any(columns):
            return self.note(empty)
        for column in columns:
            if not "".join(column).isprintable():
                column[:] = map(escape, column)
        filled = [(head, column) for head, column in zip(heads, columns, strict=True) if any(column)]
        _write_all(_table([head for head, _ in filled], [column for _, column in filled], sys.stdout))

    def wide_table(self, heads: Sequence[str], columns: Sequence[list[str]], empty: str) -> None:
        """Print a table as `table` does, but divide it if the terminal is too narrow.

        Then it becomes several tables with the same first column. Rows with a wide cell are printed after these tables,
        with a line for each cell. So only cells of the first column are cut.
        """
        filled = [(head, column) for head, column in zip(heads, columns, strict=True) if any(column)]
        room = terminal_width()
        if not (filled and sys.stdout.isatty()) or _length([_widest_of(*part) for part in filled]) <= room:
            return self.table(heads, columns, empty)
        heads = [head for head, _ in filled]
        rows = list(zip(*(column for _, column in filled), strict=True))
        short = [row for row in rows if _widest_of("", row[1:]) <= _WIDEST_CELL]
        printed = False
        for part in _parts(list(zip(heads, zip(*short, strict=True), strict=True)), room) if short else ():
            _write(sys.stdout, "\n" if printed else "")
            self.table([head for head, _ in part], [[*column] for _, column in part], empty)
            printed = True
        for row in rows:
            if row not in short:
                _write(sys.stdout, "\n" if printed else "")
                _write(sys.stdout, _listed(row[0], list(zip(heads[1:], row[1:], strict=True)), room))
                printed = True
        return None

    def single(self, shape: Shape, fields: Mapping[str, Any], *, name: str, lines: Sequence[tuple[str, str]]) -> None:
        """Print one object: *lines*, pairs of a label and a text, for people; *fields* as JSON or TSV; or *name*."""
        if not self._for_machines(shape, fields, name):
            _write(sys.stdout, _labelled([(label, text) for label, text in lines if text], sys.stdout))

    def outcome(self, said: str, shape: Shape, fields: Mapping[str, Any], *, name: str) -> None:
        """Print the result of a change: *said* for people, *fields* as JSON or TSV, or only the object's *name*."""
        if not self._for_machines(shape, fields, name):
            _write(sys.stdout, "".join(f"{escape(line)}\n" for line in said.split("\n")))

    def json(self, value: Any) -> None:
        """Print a value as JSON."""
        _write(sys.stdout, _json(value))

    def text(self, text: str) -> None:
        """Print a text that gitmodel wrote itself, such as a script, without escaping it."""
        _write(sys.stdout, text if text.endswith("\n") else f"{text}\n")

    def source(self, text: str) -> None:
        """Print *text*, source code of a person. Escapes control characters except tabs and line breaks."""
        lines = ("\t".join(map(escape, line.split("\t"))) for line in text.split("\n"))
        _write_all(f"{line}\n" for line in lines)

    def note(self, message: str) -> None:
        """Print *message* on stderr, but only in the format for people."""
        if self.is_table:
            _write(sys.stderr, f"{escape(message)}\n")

    def warn(self, message: str, hint: str = "") -> None:
        """Print a warning on stderr, with *hint* as the advice, and return."""
        self._complain("warning", "33", message, hint, {"message": message, "hint": hint})

    def error(self, error: GitModelError, *, kind: str) -> None:
        """Print *error*, which ends the command, on stderr. *kind* is the name of its class in JSON."""
        gates = [gate._asdict() for gate in error.gates] if isinstance(error, GateRefused) else []
        fields = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code, "kind": kind}
        fields["gates"] = gates
        self._complain("error", "31", error.message, error.hint, fields)

    def confirm(self, question: str) -> bool | None:
        """Ask *question* at the terminal, and return True if the answer is yes. Return None if there is no terminal."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return None
        _write(sys.stderr, f"{escape(question)} [y/N] ")
        answer = sys.stdin.readline()
        if not answer:
            _write(sys.stderr, "\n")
        return answer.strip().lower() in ("y", "yes")

    @contextmanager
    def late_warnings(self) -> Iterator[Callable[[str], None]]:
        """Yield a function that collects warnings, to print them after the progress line at the end of the block."""
        found: list[str] = []
        yield found.append
        for warning in found:
            self.warn(warning)

    @contextmanager
    def progress(self, label: str, *, unit: str = "") -> Iterator[Callable[[int, int], None] | None]:
        """Yield a function that shows the progress of slow work on stderr, after the text *label*.

        Its arguments are the number of bytes that are done and the total number of bytes. *unit* names what is counted
        instead of bytes, such as "pages". If stderr is no terminal, each update is a new line. Yields None, to
        show no progress, if the output is quiet, or if it is JSON or TSV and stderr is no terminal.
        """
        with self.progress_of_each(label, unit=unit) as show:
            yield partial(show, "") if show is not None else None

    @contextmanager
    def progress_of_each(self, verb: str, *, unit: str = "") -> Iterator[Callable[[str, int, int], None] | None]:
        """Yield a function like that of `progress`, but for several objects, each with its own progress line.

        The first argument of the function is the name of an object, which follows *verb* in the line.
        """
        terminal = sys.stderr.isatty()
        if self.quiet or not (terminal or self.format == "table"):
            yield None
            return
        bars = {"": _Progress(escape(verb), terminal=terminal, unit=unit)}

        def show(name: str, done: int, total: int) -> None:
            if name not in bars:
                for bar in bars.values():
                    bar.clear()
                bars[name] = _Progress(escape(f"{verb} {name}"), terminal=terminal)
            bars[name].show(done, total)

        try:
            yield show
        finally:
            for bar in bars.values():
                bar.clear()

    def _for_machines(self, shape: Shape, fields: Mapping[str, Any], name: str) -> bool:
        """Print *fields* as JSON or TSV, or *name* if quiet, and return True. For people, only return False."""
        if self.quiet:
            _write(sys.stdout, f"{escape(name)}\n")
        elif self.format == "json":
            _write(sys.stdout, _json(self._dated(shape, fields)))
        elif self.format == "tsv":
            _write_all(_tsv(shape, [self._dated(shape, fields)]))
        else:
            return False
        return True

    def _dated(self, shape: Shape, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return *fields*, with the field `at` if *shape* has it: the commit that --at selected."""
        return {**fields, "at": self.at} if "at" in shape.fields else fields

    def _complain(self, word: str, colour: str, message: str, hint: str, fields: Mapping[str, Any]) -> None:
        sys.stdout.flush()
        if self.format == "json":
            _write(sys.stderr, _json({word: fields}))
            return
        said = f"{_coloured(f'{word}:', f'1;{colour}', sys.stderr)} {escape(message)}\n"
        if hint:
            said += f"{_coloured('hint:', '1', sys.stderr)} {escape(hint)}\n"
        _write(sys.stderr, said)


class _Progress:
    """A progress line on stderr: percentage, speed and remaining time."""

    def __init__(self, label: str, *, terminal: bool, unit: str = "") -> None:
        self._label = label
        self._unit = unit
        self._terminal = terminal
        now = time.monotonic()
        self._next = now + (_PATIENCE if terminal else _PLAIN_TICK)
        self._marks = deque([(now, 0)])
        self._shown = False

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + (_TICK if self._terminal else _PLAIN_TICK), self._terminal
        part = f"{done * 100 // total:3}% of {self._amount(total)}" if total else self._amount(done)
        part += self._pace(now, done, total)
        if not self._terminal:
            _write(sys.stderr, f"{self._label}: {part.strip()}\n")
            return
        room = terminal_width() - len(part) - 3
        _write(sys.stderr, f"\r{_cut(self._label, max(room, _NARROWEST))}: {part}\x1b[K")

    def _amount(self, count: int) -> str:
        """Return *count* with the unit as text, such as "1,200 pages" or "1.2 MB"."""
        if self._unit:
            return f"{count:,} {self._unit}"
        from gitmodel.domain.views.cell_text import size

        return size(count)

    def _pace(self, now: float, done: int, total: int) -> str:
        while len(self._marks) > 1 and now - self._marks[0][0] > _SPAN:
            self._marks.popleft()
        before, had = self._marks[0]
        self._marks.append((now, done))
        rate = (done - had) / (now - before) if now > before else 0.0
        if rate <= 0:
            return ""
        left = f", {_duration((total - done) / rate)} left" if total > done else ""
        return f", {self._amount(int(rate))}/s{left}"

    def clear(self) -> None:
        if self._shown:
            _write(sys.stderr, "\r\x1b[K")
        self._shown = False


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.999)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def terminal_width() -> int:
    """Return the width of the terminal in columns: the variable `COLUMNS`, else the terminal's own answer, else 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told):
        return int(told)
    for stream in (sys.stdout, sys.stderr):
        try:
            return os.get_terminal_size(stream.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            continue
    return 80


def _write(stream: TextIO, text: str) -> None:
    stream.write(text)
    if stream is sys.stderr:
        stream.flush()


def _write_all(texts: Iterable[str]) -> None:
    """Write *texts* to stdout one by one, so that a long list is never completely in memory."""
    for text in texts:
        sys.stdout.write(text)


def _coloured(text: str, style: str, stream: TextIO) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty()
    return text if plain else f"\x1b[{style}m{text}\x1b[0m"


def _json(value: Any) -> str:
    import json

    from gitmodel.domain.views.record_views import plain

    return json.dumps(plain(value), indent=2) + "\n"


def _json_list(items: Iterable[Any]) -> Iterator[str]:
    """Yield a JSON array with one item per line, so that it is compact and can be searched by line."""
    import json

    from gitmodel.domain.views.record_views import plain

    before = "[\n"
    for item in items:
        yield f"{before}{json.dumps(plain(item))}"
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _tsv(shape: Shape, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    lines = ("\t".join(tsv_cell(row[key]) for key in shape.keys) for row in rows)
    for line in chain(["\t".join(shape.keys)], lines):
        yield f"{line}\n"


def cells_of(columns: Sequence[Callable[[T], str]], items: Iterable[T]) -> list[list[str]]:
    """Return the cells of each of *columns* for all *items*. Keeps only the cells in memory, and not the items."""
    found: list[list[str]] = [[] for _ in columns]
    shared: list[dict[str, str]] = [{} for _ in columns]  # equal cells share one string, to save memory
    left = iter(items)
    while piece := list(islice(left, _PIECE)):
        for read, column, known in zip(columns, found, shared, strict=True):
            cells = map(read, piece)
            column += cells if len(known) > _PIECE else [known.setdefault(cell, cell) for cell in cells]
    return found


def widest(column: Iterable[str]) -> int:
    """Return the width on a terminal of the widest text in *column*."""
    column = list(column)
    return max(map(len if "".join(column).isascii() else width, column), default=0)


def _table(heads: Sequence[str], columns: Sequence[Sequence[str]], stream: TextIO) -> Iterator[str]:
    widths = [max(width(head), widest(column)) for head, column in zip(heads, columns, strict=True)]
    below: Iterable[list[str]] = repeat([])
    if stream.isatty():
        room = terminal_width()
        if _length(widths) > room:
            whole = len(list(takewhile(_WHOLE.__contains__, reversed(heads[1:]))))
            beside = len(heads) - whole
            texts = zip(*columns[beside:], strict=True) if whole else repeat(())
            left = max(room - len(_INDENT), _NARROWEST)
            below = ([line for text in row if text for line in _wrapped(text, left)] for row in texts)
            heads, columns, widths = heads[:beside], columns[:beside], widths[:beside]
        _narrow(widths, room, {place for place, head in enumerate(heads) if head.endswith(_FIRM)})
    yield f"{_coloured(_row(heads, widths), '1', stream)}\n"
    rows = zip(*(map(_pad, column, repeat(room)) for column, room in zip(columns, widths, strict=True)), strict=True)
    for row, said in zip(rows, below, strict=False):
        yield f"{'  '.join(row).rstrip()}\n"
        yield from (f"{_INDENT}{line}\n" for line in said)


def _parts(columns: Sequence[tuple[str, Sequence[str]]], room: int) -> Iterator[list[tuple[str, Sequence[str]]]]:
    """Divide *columns*, pairs of a head and cells, into tables with the same first column, not wider than *room*."""
    first, *others = columns
    begin = taken = min(_widest_of(*first), room // 2)
    part = [first]
    for head, column in others:
        needed = 2 + _widest_of(head, column)
        if len(part) > 1 and taken + needed > room:
            yield part
            part, taken = [first], begin
        part.append((head, column))
        taken += needed
    yield part


def _widest_of(head: str, column: Iterable[str]) -> int:
    return max(width(head), *(width(escape(cell)) for cell in column))


def _listed(name: str, cells: Sequence[tuple[str, str]], room: int) -> str:
    """Return *name* and, below it, a line for each cell in *cells* that is not empty, wrapped to the width *room*."""
    import textwrap

    beside = max(room - max(width(head) for head, _ in cells) - len(_INDENT) - 2, _NARROWEST)
    fold = partial(textwrap.wrap, width=beside, break_on_hyphens=False, max_lines=_MOST_LINES, placeholder=" …")
    lines = [(f"{_INDENT}{head}", "\n".join(fold(escape(cell)))) for head, cell in cells if cell]
    return f"{_coloured(escape(name), '1', sys.stdout)}\n{_labelled(lines, sys.stdout)}"


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(_pad, cells, widths)).rstrip()


def _pad(text: str, room: int) -> str:
    """Return *text* with the width *room* on a terminal: cut if it is longer, filled with spaces if it is shorter."""
    if text.isascii() and len(text) <= room:
        return text.ljust(room)
    text = _cut(text, room)
    return text + " " * (room - width(text))


def _narrow(widths: list[int], room: int, firm: Set[int] = frozenset()) -> None:
    """Reduce *widths*, the widths of columns, in place, the widest first, until a row has at most the width *room*.

    *firm* are the positions of columns that are narrowed only if narrowing all other columns is not enough.
    """
    for places in ([place for place in range(len(widths)) if place not in firm], range(len(widths))):
        while places and (excess := _length(widths) - room) > 0:
            *others, widest = sorted(places, key=lambda place: (widths[place], place))
            if widths[widest] <= _NARROWEST:
                break
            second = widths[others[-1]] if others else 0
            widths[widest] = max(widths[widest] - excess, min(second, widths[widest] - 1), _NARROWEST)


def _length(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _cut(text: str, room: int) -> str:
    if width(text) <= room:
        return text
    kept = text
    while width(kept) > room - 1:
        kept = kept[: max(room - 1, 0)] if width(kept) == len(kept) else kept[:-1]
    return f"{kept}…"


def _labelled(lines: Sequence[tuple[str, str]], stream: TextIO) -> str:
    left = max((len(label) for label, _ in lines), default=0) + 2
    room = max(terminal_width() - left, 20) if stream.isatty() else 0
    written = []
    for label, text in lines:
        parts = [part for line in text.split("\n") for part in _wrapped(escape(line), room)]
        written.append(f"{_coloured(label, '1', stream)}{' ' * (left - len(label))}{parts[0]}")
        written += [f"{' ' * left}{part}".rstrip() for part in parts[1:]]
    return "".join(f"{line}\n" for line in written)


def _wrapped(line: str, room: int) -> list[str]:
    if not room or len(line) <= room:
        return [line]
    import textwrap

    return textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) or [""]
