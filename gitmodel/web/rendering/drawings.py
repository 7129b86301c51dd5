"""The drawings of `svg` for templates, each in two widths: the style sheet shows the one that fits the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from gitmodel.domain.views.lineage import RUN, VERSION, Lineage, Node
from gitmodel.svg.line_chart import Mark, line_chart, sparkline
from gitmodel.svg.lineage_graph import MOST_NODES, lineage_graph
from gitmodel.svg.swim_lanes import HELD, PENDING, REFUSED, Span, swim_lanes
from gitmodel.web.pages.of_model.history import HistoryEvent

# The two widths in pixels: for a screen and paper, and for a phone.
WIDE = 1152
NARROW = 328

# A function that gets the name of a kind of page, and the parameters of a page as keywords. It returns the relative
# address of this page; "" if there is no such page.
Link = Callable[..., str]


def draw_history(events: Iterable[HistoryEvent], lanes: Sequence[str], model: str, link: Link) -> Markup:
    """Return *events* as swim lanes, without events in lanes that are not in *lanes*.

    A lane has the name of a stage or alias. If *model* is "", the name of the model is before it.
    """
    spans = [_span(event, bool(model), link) for event in events if event.version is not None]
    spans = [span for span in spans if span.lane in lanes]
    title = f"Stages of {model or 'all models'} over time"
    return _in_both_widths(lambda width: swim_lanes(spans, title=title, lanes=lanes, width=width))


def draw_lineage(lineage: Lineage, link: Link, most: int = MOST_NODES) -> Markup:
    """Return the graph of *lineage* with links to versions and runs, and from artifacts to their first versions.

    `lineage_graph` says which nodes are shown if there are more than *most*.
    """
    return _in_both_widths(lambda width: lineage_graph(lineage, links=_links(lineage, link), most=most, width=width))


def draw_line_chart(
    points: Sequence[tuple[int, float]],
    name: str,
    marks: Sequence[tuple[int, str]],
    limits: Sequence[tuple[str, float]] = (),
) -> Markup:
    """Return a line through *points*, which are pairs of a version and a number. *name* is the label of the numbers.

    *marks* has versions with the names of their stages. *limits* has labels with numbers that gates require.
    """
    named = [Mark(number, mark) for number, mark in marks]
    return _in_both_widths(lambda width: line_chart(points, name=name, marks=named, limits=limits, width=width))


def draw_sparkline(values: Sequence[float], name: str) -> Markup:
    """Return a small line through *values*. Its title has *name*, the key of the values."""
    return Markup(sparkline(values, name=name, width=104, height=22))


def _in_both_widths(draw: Callable[[int], str]) -> Markup:
    # safe as `Markup`, because the drawings escape all text of the registry: see `svg/markup.py`
    wide, narrow = Markup(draw(WIDE)), Markup(draw(NARROW))
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow)


_STATES = {"pending": PENDING, "never in force": REFUSED}


def _span(event: HistoryEvent, of_model: bool, link: Link) -> Span:
    lane = event.stage if of_model else f"{event.model} {event.stage}"
    address = link("version", model=event.model, number=event.version) or None
    return Span(lane, str(event.version), event.when, event.until, _STATES.get(event.state, HELD), address)


def _links(lineage: Lineage, link: Link) -> dict[str, str]:
    """Return the address of the page of each node of *lineage* that has one, by the id of the node."""
    found = {node.id: _address(node, link) for node in lineage.nodes}
    return {id: address for id, address in found.items() if address}


def _address(node: Node, link: Link) -> str:
    if node.kind == RUN:
        return link("run", id=node.id)
    version = node.id if node.kind == VERSION else next(iter(node.facts.get("versions", ())), "").partition(":")[0]
    model, _, number = version.partition("@")
    return link("version", model=model, number=number) if number else ""
