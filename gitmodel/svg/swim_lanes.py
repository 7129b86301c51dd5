"""Swim lanes: a lane for each stage or alias, with a block for the time in which each version had it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from gitmodel.domain.views.cell_text import count, utc_time
from gitmodel.frozen import Frozen
from gitmodel.svg.markup import SMALL, THIN, Attributes, cut, drawing, element, linked, short, text, text_width, titled
from gitmodel.svg.scales import Scale, seconds, time_steps

_MOST_LANES = 50
_LABEL = 18
_BAR = 26
_GAP = 18
_NARROW = 3  # in pixels: neighbouring blocks that are narrower are drawn as one
_TARGET = 24  # in pixels: narrower blocks are no links, because they are hard to click


State = Literal["held", "pending", "refused"]
HELD: State = "held"
PENDING: State = "pending"
REFUSED: State = "refused"


class Span(Frozen):
    """The time in which the version *holder* was in the stage *lane*, or had the alias *lane*; *end* is None for now.

    If *state* is "pending", the change is recorded but not in force yet; if it is "refused", the change was never in
    force. *holder* is a short text, such as the number of the version, and *href* is the address of the version's page.
    """

    lane: str
    holder: str
    start: datetime
    end: datetime | None = None
    state: State = HELD
    href: str | None = None


def swim_lanes(spans: Iterable[Span], *, title: str, lanes: Sequence[str], width: int = 720) -> str:
    """Return a drawing of *lanes*, in this order, with their *spans*. Lanes of spans that are not in *lanes* come last.

    The lanes end at the last change and not at the current time, so that the same records always give the same drawing.
    Neighbouring blocks that are too narrow to be seen are drawn as one.
    """
    by_lane: dict[str, list[Span]] = {lane: [] for lane in lanes}
    for span in spans:
        by_lane.setdefault(span.lane, []).append(span)
    shown = dict(list(by_lane.items())[:_MOST_LANES])
    all_ = [span for found in by_lane.values() for span in found]
    told = _description(by_lane, len(shown))
    if not all_:
        return drawing("lanes", title, told, (width, 40), text("no changes", width / 2, 24, text_anchor="middle"))
    moments = [seconds(moment) for span in all_ for moment in (span.start, span.end) if moment is not None]
    scale = Scale(min(moments), _last(all_, min(moments), max(moments), width), 2, width - 10)
    parts: list[str] = []
    top = 0
    for lane, found in shown.items():
        parts.append(text(cut(lane, width), 2, top + 13, class_="lane"))
        parts.append(element("path", d=f"M2 {top + _LABEL + _BAR}H{width - 10}", class_="grid", **THIN))
        parts += _blocks(sorted(found, key=lambda span: seconds(span.start)), scale, top + _LABEL)
        top += _LABEL + _BAR + _GAP
    parts += _time_axis(scale, top, width)
    return drawing("lanes", title, told, (width, top + 24), *parts)


def _last(spans: Iterable[Span], first: float, end: float, width: int) -> float:
    """Return the end of the time axis: *end*, or later to make room for the text of the last block without an end.

    *first* is the start of the axis. All times are seconds since 1970.
    """
    opened = [(seconds(span.start), span.holder) for span in spans if span.end is None and span.state != REFUSED]
    start, holder = max(opened, default=(first, ""))
    room = min((text_width(holder) + _TARGET) / (width - 12), 0.5)
    return max(end, start + (start - first) * room / (1 - room), first + 1)


def _description(by_lane: dict[str, list[Span]], shown: int) -> str:
    """Return a description for screen readers: the version now in each lane, and the number of changes in the lane.

    Describes the first *shown* lanes, and gives the number of the other lanes.
    """
    parts = []
    for lane, found in list(by_lane.items())[:shown]:
        now = [span for span in found if span.end is None and span.state != REFUSED]
        held = "empty"
        if now:
            pending = "pending " if now[-1].state == PENDING else ""
            held = f"{now[-1].holder} {pending}since {utc_time(now[-1].start)}"
        parts.append(f"{lane}: {held}, {count(len(found), 'change')}")
    left = len(by_lane) - shown
    more = f" {count(left, 'lane')} more in the table." if left else ""
    return ("; ".join(parts) + "." if parts else "No changes.") + more


def _end_words(span: Span) -> str:
    if span.state == PENDING:
        return "not in force yet"
    return "it is still there" if span.end is None else f"until {utc_time(span.end)}"


def _blocks(spans: Sequence[Span], scale: Scale, top: float) -> Iterator[str]:
    """Yield the blocks of the lane at *top*, narrow neighbours as one block, and a cross for each refused span."""
    group: list[Span] = []
    reached = scale.start
    for span in (span for span in spans if span.state != REFUSED):
        start, end = _ends(span, scale)
        if end - start >= _NARROW:
            yield from _narrow_block(group, scale, top)
            group = []
            yield _block(span, start, end, top)
        else:
            if group and start - reached > _NARROW:
                yield from _narrow_block(group, scale, top)
                group = []
            group.append(span)
        reached = end
    yield from _narrow_block(group, scale, top)
    last = scale.start - _NARROW
    for span in (span for span in spans if span.state == REFUSED):
        x = scale.at(seconds(span.start))
        if x - last >= _NARROW:
            last = x
            yield _cross(span, min(max(x, scale.start + 5), scale.end - 5), top)


def _ends(span: Span, scale: Scale) -> tuple[float, float]:
    return scale.at(seconds(span.start)), scale.end if span.end is None else scale.at(seconds(span.end))


def _block(span: Span, start: float, end: float, top: float) -> str:
    """Return the block of *span* from the pixel *start* to *end*.

    If the span has not ended, the right side of the block has the shape of an arrowhead.
    """
    is_open = span.end is None
    is_pending = span.state == PENDING
    tip = f"l7 {_BAR / 2:g}l-7 {_BAR / 2:g}" if is_open else f"v{_BAR}"
    room = end - start
    outline = f"M{short(start)} {short(top)}H{short(end)}{tip}H{short(start)}z"
    shape = element("path", d=outline, stroke_dasharray="4 3" if is_pending else None, **_BLOCK)
    fits = text_width(span.holder) + 4 <= room
    label = [text(span.holder, (start + end) / 2, top + 17, text_anchor="middle")] if fits else []
    drawn = titled(
        f"{span.lane}: {span.holder} from {utc_time(span.start)}, {_end_words(span)}",
        shape,
        *label,
        class_=" ".join(["span", *["pending"] * is_pending, *["open"] * (is_open and not is_pending)]),
    )
    return linked(span.href if fits and room >= _TARGET else None, drawn)


def _narrow_block(spans: Sequence[Span], scale: Scale, top: float) -> Iterator[str]:
    if not spans:
        return
    start, end = _ends(spans[0], scale)[0], _ends(spans[-1], scale)[1]
    start = min(start, scale.end - _NARROW)
    if len(spans) == 1:
        yield _block(spans[0], start, max(end, start + _NARROW), top)
        return
    block = element("rect", x=start, y=top, width=max(end - start, _NARROW), height=_BAR, **_BLOCK)
    changes = count(len(spans), "change")
    told = f"{spans[0].lane}: {changes} from {utc_time(spans[0].start)} to {utc_time(spans[-1].end or spans[-1].start)}"
    fits = text_width(changes) + 4 <= end - start
    label = [text(changes, (start + end) / 2, top + 17, text_anchor="middle")] if fits else []
    yield titled(told, block, *label, class_="span many")


def _cross(span: Span, x: float, top: float) -> str:
    """Return a cross at the pixel *x*, for the refused *span*: a change that was never in force."""
    d = f"M{short(x - 4)} {short(top + _BAR + 4)}l8 8m0-8l-8 8"
    cross = element("path", d=d, stroke="currentColor", stroke_width="2", fill="none")
    return titled(f"{span.lane}: {span.holder} at {utc_time(span.start)}, never in force", cross, class_="refused")


def _time_axis(scale: Scale, top: float, width: int) -> Iterator[str]:
    for at, label in time_steps(scale.low, scale.high, max(width // 80, 1)):
        x = scale.at(at)
        half = text_width(label, SMALL) / 2
        yield element("path", d=f"M{short(x)} {short(top - 4)}v5", class_="axis", stroke="currentColor")
        centre = min(max(x, half + 1), width - half - 1)
        yield text(label, centre, top + 14, text_anchor="middle", font_size=SMALL, class_="axis")


_BLOCK: Attributes = {"stroke": "currentColor", "fill": "currentColor", "fill_opacity": "0.12"}
