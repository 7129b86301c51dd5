"""Reduces a line to the points that a drawing of some width can show, without losing minima and maxima."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

Point = tuple[float, float]


def line_runs(points: Sequence[tuple[float, float | None]], columns: int) -> list[list[Point]]:
    """Return the points of a line as runs: lists of points that are connected without a gap.

    *points* are pairs (x, y) in ascending order of x. A point whose y is None is a gap. The drawing has *columns*
    columns of pixels. If there are more than two points for each column, only those with the smallest and the largest y
    of each column are returned, and the first and the last point of the line; gaps that are narrower than a column are
    closed.

    >>> line_runs([(1, 0.5), (2, None), (3, 0.7), (4, 0.6)], 10)
    [[(1, 0.5)], [(3, 0.7), (4, 0.6)]]
    """
    known = [(x, y) for x, y in points if y is not None]
    if len(known) <= 2 * columns:
        return [[(x, y) for x, y in run if y is not None] for is_gap, run in groupby(points, _is_gap) if not is_gap]
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


def _is_gap(point: tuple[float, float | None]) -> bool:
    return point[1] is None


def _kept(numbers: list[Point], first: Point, last: Point) -> Iterator[Point]:
    """Yield the points of a column that are not left out, in ascending order.

    *numbers* are the points of the column, *first* and *last* those of the whole line.
    """
    least = min(numbers, key=lambda point: point[1])
    most = max(numbers, key=lambda point: point[1])
    kept = {least, most} | ({first, last} & {numbers[0], numbers[-1]})
    yield from sorted(kept)
