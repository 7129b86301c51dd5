"""SVG elements as text: with escaped content, short numbers, and attributes in the order of the arguments."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as escape_markup

from gitmodel.domain.views.cell_text import escape, width

FONT_SIZE = 12
SMALL = 11

Attributes = dict[str, str | float | None]
THIN: Attributes = {"stroke": "currentColor", "stroke_opacity": "0.35", "fill": "none"}


def element(name: str, *content: str, **attributes: str | float | None) -> str:
    """Return the element *name* that contains *content*, which is markup already.

    Attributes that are None are left out.

    >>> element("text", words("a < b"), x=1.26, text_anchor="end", class_=None)
    '<text x="1.3" text-anchor="end">a &lt; b</text>'
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if type(value) is int else _attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{given}>{''.join(content)}</{name}>" if content else f"<{name}{given}/>"


def words(text: str) -> str:
    """Return *text* as markup: on one line, with control characters and direction marks replaced by escapes."""
    return escape_markup(escape(text))


def short(value: float) -> str:
    """Return a coordinate as text, with at most one decimal place.

    >>> short(12.04), short(-0.04), short(3.25)
    ('12', '0', '3.2')
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """Return SVG path data for a line through *points*.

    Each point is written relative to the previous one, which makes the text a third shorter.

    >>> polyline([(1.5, 10), (2, 9.8), (12.04, 9.8)])
    'M1.5 10l.5-.2 10 0'
    """
    tenths = [(round(x * 10), round(y * 10)) for x, y in points]
    (x, y), *others = tenths
    moves = " ".join(
        f"{_tenths(to_x - from_x)} {_tenths(to_y - from_y)}"
        for (from_x, from_y), (to_x, to_y) in zip(tenths, others, strict=False)
    ).replace(" -", "-")
    return f"M{short(x / 10)} {short(y / 10)}l{moves}"


def _tenths(value: int) -> str:
    """Return the number *value* / 10 as text, without a zero before the decimal point."""
    text = f"{value / 10:g}"
    return text.replace("0.", ".", 1) if -10 < value < 10 else text


def text(content: str, x: float, y: float, **attributes: str | float | None) -> str:
    """Return a text element with *content* on the baseline *y*, which begins at *x* if there is no *text_anchor*."""
    return element("text", words(content), x=x, y=y, **attributes)


def titled(title: str, *content: str, **attributes: str | float | None) -> str:
    """Return a group of the elements *content* with the tooltip *title*."""
    return element("g", element("title", words(title)), *content, **attributes)


def linked(href: str | None, content: str) -> str:
    """Return the markup *content* as a link to *href*; unchanged if *href* is None."""
    return content if href is None else element("a", content, href=href)


def text_width(content: str, size: int = FONT_SIZE) -> float:
    """Return an estimate of the width of the text *content* in pixels. It is more often too large than too small."""
    return width(escape(content)) * size * 0.64


def cut(content: str, room: float, size: int = FONT_SIZE) -> str:
    """Return the text *content*, shortened with an ellipsis if it is wider than *room* pixels.

    >>> cut("classifier", 200), cut("classifier", 50)
    ('classifier', 'class…')
    """
    shown = escape(content)
    if text_width(shown, size) <= room:
        return shown
    while shown and text_width(shown + "…", size) > room:
        shown = shown[:-1]
    return shown + "…"


def drawing(kind: str, title: str, description: str, size: tuple[float, float], *content: str) -> str:
    """Return a drawing of the elements *content*. *size* is its width and height in pixels, and *kind* its class.

    A screen reader reads only *title* and *description*. If the drawing has links, it also reads the elements, so that
    a user can follow the links.
    """
    across, down = size
    has_links = any("<a " in part for part in content)
    return element(
        "svg",
        element("title", words(title)),
        element("desc", words(description)),
        *content,
        xmlns="http://www.w3.org/2000/svg",
        class_=f"drawing {kind}",
        viewBox=f"0 0 {short(across)} {short(down)}",
        width=across,
        height=down,
        role="group" if has_links else "img",
        font_family="system-ui, sans-serif",
        font_size=FONT_SIZE,
        fill="currentColor",
    )


def _attribute(value: str | float) -> str:
    return short(value) if isinstance(value, float) else escape_markup(escape(str(value)))
