"""Line charts: a number of each version as a line, with marks at the versions that are in a stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from gitmodel.domain.views.metadata_numbers import finite_number
from gitmodel.frozen import Frozen
from gitmodel.svg.markup import (
    SMALL,
    THIN,
    Attributes,
    cut,
    drawing,
    element,
    polyline,
    short,
    text,
    text_width,
    titled,
)
from gitmodel.svg.scales import Scale, number_text, round_steps

_MOST_DOTS = 60
_MOST_MARKS = 8
_HEIGHT = 240
_ROW = 16
_COLUMN = 2  # pixels

Point = tuple[float, float]


class Mark(Frozen):
    """A named point of a line chart, such as the version in production: *x* is the number of the version."""

    x: int
    name: str


class _Label(Frozen):
    """The position of a mark's label: from *start* to *end* (in pixels) in the row *row* of labels.

    *begins* is True if the label begins at the vertical line of its mark, False if it ends there.
    """

    mark: Mark
    start: float
    end: float
    row: int
    begins: bool


def line_chart(
    points: Iterable[tuple[int, object]],
    *,
    name: str,
    marks: Sequence[Mark] = (),
    limits: Sequence[tuple[str, float]] = (),
    width: int = 720,
) -> str:
    """Return a line chart of *points*: pairs of the number of a version and a value. *name* is the name of the values.

    A value that is not a finite number leaves a gap in the line. Each of *marks* is drawn with its name and a shape,
    unless its version is before the first or after the last point. *limits* are pairs of a label and a value, such as
    (">= 0.87", 0.87), which are drawn as horizontal lines. A limit far from all values is left out, because it would
    make the line flat. If *width* is too small to show all points, some points are left out.
    """
    known = sorted(((x, finite_number(value)) for x, value in points), key=lambda point: point[0])
    numbers = [(x, y) for x, y in known if y is not None]
    marks = [mark for mark in marks if known and known[0][0] <= mark.x <= known[-1][0]]
    title = f"{name} over versions"
    limits = near_limits(limits, [y for _, y in numbers])
    told = _description(known, numbers, marks, "version") + "".join(f" Limit: {label}." for label, _ in limits)
    if not numbers:
        empty = text("no numbers", width / 2, _HEIGHT / 2, text_anchor="middle")
        return drawing("line-chart", title, told, (width, _HEIGHT), empty)
    heights = [*(y for _, y in numbers), *(y for _, y in limits)]
    low, high = min(heights), max(heights)
    steps = round_steps(low, high, 4)
    left = max(text_width(label, SMALL) for _, label in steps) + 10
    right = max(text_width(str(known[-1][0]), SMALL) / 2, 10)  # room for half of the last label
    across = Scale(known[0][0], known[-1][0], left + 6, width - right)
    labels, rows = _place_labels(marks[:_MOST_MARKS], across)
    upright = Scale(low, high, _HEIGHT - 40, 24 + rows * _ROW + 8)
    runs = line_runs(known, int(across.end - across.start) // _COLUMN)
    parts = [
        text(cut(name, width - 8), 4, 14, class_="name"),
        *_axes(steps, across, upright, width),
        *(_limit(label, upright.at(y), across.start, upright.end, width) for label, y in limits),
        *_lines(runs, across, upright),
        *(_dots(numbers, across, upright) if len(numbers) <= _MOST_DOTS else _lone_dots(runs, across, upright)),
        *_marks(labels, dict(numbers), across, upright),
    ]
    return drawing("line-chart", title, told, (width, _HEIGHT), *parts)


def sparkline(values: Iterable[object], *, name: str, width: int = 96, height: int = 24) -> str:
    """Return a small line without axes through *values*, with a dot at its end. *name* is the title of the drawing.

    A value that is not a finite number leaves a gap.
    """
    points = [(place, finite_number(value)) for place, value in enumerate(values)]
    numbers = [(x, y) for x, y in points if y is not None]
    told = _description(points, numbers, (), "value", numbered=False)
    if not numbers:
        return drawing("sparkline", name, told, (width, height))
    low, high = min(y for _, y in numbers), max(y for _, y in numbers)
    across, upright = Scale(0, len(points) - 1, 3, width - 4), Scale(low, high, height - 4, 4)
    runs = line_runs(points, (width - 7) // _COLUMN)
    last = element("circle", cx=across.at(numbers[-1][0]), cy=upright.at(numbers[-1][1]), r=2.5, class_="dot")
    return drawing("sparkline", name, told, (width, height), *_lines(runs, across, upright), last)


def _description(
    points: Sequence[tuple[int, float | None]],
    numbers: Sequence[tuple[int, float]],
    marks: Sequence[Mark],
    unit: str,
    *,
    numbered: bool = True,
) -> str:
    """Return a description of the line in words, for screen readers. *numbers* are the *points* that have a value.

    *unit* is the word for a point, such as "version". If *numbered* is True, the description names points by x, as
    in "version 3".
    """
    if not numbers:
        return f"No {unit} has a number."
    parts = []
    ends = (
        ("smallest", min(numbers, key=lambda point: point[1])),
        ("largest", max(numbers, key=lambda point: point[1])),
        ("last", numbers[-1]),
    )
    for word, (x, y) in ends:
        parts.append(f"{word} {number_text(y)}" + (f" at {unit} {x}" if numbered else ""))
    missing = len(points) - len(numbers)
    gaps = f" {missing} without a number." if missing else ""
    held = f" {'; '.join(f'{mark.name}: {unit} {mark.x}' for mark in marks)}." if marks else ""
    count = f"{len(points)} {unit}{'' if len(points) == 1 else 's'}"
    return f"{count}: {', '.join(parts)}.{gaps}{held}"


def _axes(steps: list[tuple[float, str]], across: Scale, upright: Scale, width: int) -> Iterable[str]:
    """Yield the grid lines, ticks and labels of both axes. *steps* are the values and labels of the vertical axis."""
    begin = short(across.start - 6)
    lines = "".join(f"M{begin} {short(upright.at(value))}H{width}" for value, _ in steps)
    yield element("path", d=lines, class_="grid", **THIN)
    numbers = [text(label, across.start - 10, upright.at(value) + 4) for value, label in steps]
    yield element("g", *numbers, text_anchor="end", font_size=SMALL, class_="axis")
    base = upright.start + 20
    room = max(text_width(str(int(across.high)), SMALL) + 16, 40)
    ticks = round_steps(across.low, across.high, int((across.end - across.start) / room) or 1, whole=True)
    top = short(upright.start + 4)
    lines = "".join(f"M{short(across.at(value))} {top}v4" for value, _ in ticks)
    yield element("path", d=lines, class_="axis", stroke="currentColor")
    numbers = [text(label, across.at(value), base) for value, label in ticks]
    yield element("g", *numbers, text_anchor="middle", font_size=SMALL, class_="axis")
    yield text("version", across.end, base + 16, text_anchor="end", font_size=SMALL, class_="axis")


def near_limits(limits: Sequence[tuple[str, float]], values: Sequence[float]) -> list[tuple[str, float]]:
    """Return those of *limits* that are near *values*.

    A limit may be above the largest or below the smallest value by at most the difference of these two values or a
    tenth of the largest, whichever is more.
    """
    if not values:
        return []
    low, high = min(values), max(values)
    room = max(high - low, abs(high) / 10)
    return [(label, y) for label, y in limits if low - room <= y <= high + room]


def _limit(label: str, y: float, start: float, top: float, width: int) -> str:
    """Return a dashed line at the height *y*, with *label* above it, or below it near the *top* of the chart."""
    line = element("path", d=f"M{short(start - 6)} {short(y)}H{width}", stroke="currentColor", stroke_dasharray="6 3")
    return titled(
        f"limit: {label}",
        line,
        text(label, start, y - 4 if y > top + _ROW else y + 12, font_size=SMALL),
        class_="limit",
    )


def _lines(runs: list[list[Point]], across: Scale, upright: Scale) -> Iterable[str]:
    """Yield one path that draws all *runs* (parts of the line between gaps) that have two or more points."""
    drawn = [polyline([(across.at(x), upright.at(y)) for x, y in run]) for run in runs if len(run) > 1]
    if drawn:
        yield element("path", d="".join(drawn), class_="line", **_LINE)


def line_runs(points: Sequence[tuple[float, float | None]], columns: int) -> list[list[Point]]:
    """Return the points of a line as runs: lists of points that are connected without a gap.

    *points* are pairs (x, y) in ascending order of x. A point whose y is None is a gap. The drawing has *columns*
    columns of pixels. If there are more than two points for each column, returns only the points with the smallest and
    the largest y of each column, and the first and the last point of the line; then a gap narrower than a column does
    not end a run.

    >>> line_runs([(1, 0.5), (2, None), (3, 0.7), (4, 0.6)], 10)
    [[(1, 0.5)], [(3, 0.7), (4, 0.6)]]
    """
    known = [(x, y) for x, y in points if y is not None]
    if len(known) <= 2 * columns:
        by_gap = groupby(points, lambda point: point[1] is None)
        return [[(x, y) for x, y in run if y is not None] for is_gap, run in by_gap if not is_gap]
    start = points[0][0]
    wide = (points[-1][0] - start) / columns or 1.0
    runs: list[list[Point]] = [[]]
    for _, column in groupby(points, lambda point: min(int((point[0] - start) / wide), columns - 1)):
        numbers = [(x, y) for x, y in column if y is not None]
        if numbers:
            runs[-1] += _kept(numbers, known[0], known[-1])
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _kept(numbers: list[Point], first: Point, last: Point) -> Iterator[Point]:
    """Yield the lowest and highest of *numbers*, the points of a column, and *first* and *last* if in *numbers*."""
    least = min(numbers, key=lambda point: point[1])
    most = max(numbers, key=lambda point: point[1])
    kept = {least, most} | ({first, last} & {numbers[0], numbers[-1]})
    yield from sorted(kept)


def _dots(numbers: Sequence[tuple[int, float]], across: Scale, upright: Scale) -> Iterable[str]:
    for x, y in numbers:
        dot = element("circle", cx=across.at(x), cy=upright.at(y), r=2.5)
        yield titled(f"version {x}: {number_text(y)}", dot, class_="dot")


def _lone_dots(runs: list[list[Point]], across: Scale, upright: Scale) -> Iterable[str]:
    """Yield a dot for each of *runs* with only one point, because a line would not show it."""
    for run in runs:
        if len(run) == 1:
            yield element("circle", cx=across.at(run[0][0]), cy=upright.at(run[0][1]), r=1.5, class_="dot")


def _place_labels(marks: Sequence[Mark], across: Scale) -> tuple[list[_Label], int]:
    """Return the position of a label for each mark, in the order of the versions, and the number of rows of labels.

    A label ends at the vertical line of its mark, or begins at the line if there is no room to the left. If a label
    overlaps with labels of later versions, it is in a row below these labels, so that the line of its mark crosses none
    of them.
    """
    placed: list[_Label] = []
    for mark in sorted(marks, key=lambda mark: -mark.x):
        x = across.at(mark.x)
        wide = text_width(f"{mark.name} {mark.x}", SMALL) + 4
        begins = x - wide < 0
        start, end = (x, x + wide) if begins else (x - wide, x)
        row = max((1 + other.row for other in placed if other.start < end + 2 and start < other.end + 2), default=0)
        placed.append(_Label(mark, start, end, row, begins))
    return placed[::-1], max((label.row + 1 for label in placed), default=0)


def _marks(labels: Sequence[_Label], values: dict[int, float], across: Scale, upright: Scale) -> Iterable[str]:
    """Yield each mark: a vertical line down to the axis, its label at the top, and its shape at the value of the point.

    *values* maps the numbers of versions to values.
    """
    for place, label in enumerate(labels):
        mark, x, base = label.mark, across.at(label.mark.x), 36 + label.row * _ROW
        value = values.get(mark.x)
        y = upright.start if value is None else upright.at(value)
        shown = "no number" if value is None else number_text(value)
        at, anchor = (label.start + 4, None) if label.begins else (label.end - 4, "end")
        name = cut(f"{mark.name} {mark.x}", across.end, SMALL)
        line = f"M{short(x)} {base - 10}V{short(upright.start)}"
        yield titled(
            f"{mark.name}: version {mark.x}, {shown}",
            element("path", d=line, stroke_dasharray="2 3", **THIN),
            element("path", d=_SHAPES[place % len(_SHAPES)].format(short(x), short(y)), stroke="currentColor"),
            text(name, at, base, text_anchor=anchor, font_size=SMALL),
            class_="mark",
        )


_LINE: Attributes = {"stroke": "currentColor", "stroke_width": "1.5", "fill": "none"}
# SVG paths of the shapes of marks: a diamond, a triangle, a square and a triangle that points down. The two `{}` are
# the coordinates of the point.
_SHAPES = ("M{} {}m0-6l6 6l-6 6l-6-6z", "M{} {}m0-6l6 11h-12z", "M{} {}m-5-5h10v10h-10z", "M{} {}m0 6l6-11h-12z")
