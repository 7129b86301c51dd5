"""A chart that compares numbers by horizontal bars."""

from __future__ import annotations

from collections.abc import Iterable

from gitmodel.domain.views.metadata_numbers import finite_number
from gitmodel.svg.markup import cut, drawing, element, text, text_width, titled
from gitmodel.svg.scales import Scale, number_text

_ROW = 24
_BAR = 14


def bars(rows: Iterable[tuple[str, object]], *, name: str, width: int = 360) -> str:
    """Return a drawing with a bar for each of *rows*, pairs of a label and a value. *name* is the title of the drawing.

    Bars start at zero, and each value is written beside its bar. If a value is not a finite number, the word "none" is
    written instead of its bar.
    """
    known = [(label, finite_number(value)) for label, value in rows]
    numbers = [value for _, value in known if value is not None]
    told = "; ".join(f"{label}: {_shown(value)}" for label, value in known) or "Nothing to show."
    labels = min(max((text_width(label) for label, _ in known), default=0), width * 0.4)
    values = max((text_width(_shown(value)) for _, value in known), default=0)
    scale = Scale(min([0.0, *numbers]), max([0.0, *numbers]), labels + 8, width - values - 8)
    zero = scale.at(0) if any(numbers) else scale.start
    parts: list[str] = []
    for row, (label, value) in enumerate(known):
        middle = row * _ROW + _ROW / 2
        end = zero if value is None or not any(numbers) else scale.at(value)
        bar = element("rect", x=min(zero, end), y=middle - _BAR / 2, width=max(abs(end - zero), 1), height=_BAR)
        shown = [
            text(cut(label, labels), 0, middle + 4),
            *([bar] if value is not None else []),
            text(_shown(value), width - values, middle + 4, class_="value"),
        ]
        parts.append(titled(f"{label}: {_shown(value)}", *shown, class_="bar"))
    return drawing("bars", name, told, (width, max(len(known), 1) * _ROW), *parts)


def _shown(value: float | None) -> str:
    return "none" if value is None else number_text(value)
