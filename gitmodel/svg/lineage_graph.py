"""Draws the lineage of a version, run or artifact as a graph: its sources above it, its products below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gitmodel.domain.views.cell_text import count
from gitmodel.domain.views.lineage import ARTIFACT, RUN, VERSION, Lineage, Node, held_places, nearest
from gitmodel.domain.views.lineage_drawing import SHORT_DIGEST, in_stages
from gitmodel.frozen import Frozen
from gitmodel.svg.layers import layers
from gitmodel.svg.markup import SMALL, Attributes, cut, drawing, element, linked, short, text, titled

MOST_NODES = 200
_BOX = (154, 42)
_ACROSS = 12
_DOWN = 40
_WITHIN = 14  # pixels between two rows of boxes in one layer
_SPREAD = 3  # pixels between two curves in the space between two boxes


class _Place(Frozen):
    """The position of a box: its upper left corner (*x*, *y*), and the number of its row from the top."""

    x: float
    y: float
    row: int


class _Row(Frozen):
    """A row of boxes: *y* of its upper edge, and x of the middle of the *spaces* beside and between the boxes."""

    y: float
    spaces: tuple[float, ...]


def lineage_graph(
    lineage: Lineage, *, links: Mapping[str, str] | None = None, most: int = MOST_NODES, width: int = 720
) -> str:
    """Return a drawing of *lineage* as a graph. *links* maps the ids of nodes to the addresses of their pages.

    If the lineage has more than *most* nodes, shows at most *most* of them: first versions in a stage or with an alias,
    and the nodes on the way to them, then the nodes nearest to the version, run or artifact whose lineage it is. If the
    boxes of a layer do not fit into *width*, they are in several rows.
    """
    part = nearest(lineage, most)
    nodes = {node.id: node for node in part.nodes}
    edges = [(edge.source, edge.target) for edge in part.edges]
    places, rows, height = _places(layers(list(nodes), edges), width)
    links = links or {}
    labels: dict[tuple[str, str], list[str]] = {}
    for edge in part.edges:
        labels.setdefault((edge.source, edge.target), []).append(edge.label)
    names = {id: edge.label.rpartition(".")[2] for edge in part.edges[::-1] for id in (edge.source, edge.target)}
    parts = [
        *(_edge(places[source], places[target], rows, labels[source, target]) for source, target in labels),
        *(_box(node, places[id], lineage.root, names.get(id, ""), links.get(id)) for id, node in nodes.items()),
    ]
    title = f"Lineage of {lineage.root}"
    return drawing("lineage", title, _description(lineage, part), (width, height), *parts)


def _description(lineage: Lineage, part: Lineage) -> str:
    kinds = [node.kind for node in part.nodes]
    left = len(lineage.nodes) - len(part.nodes)
    held = in_stages(lineage)
    return "".join(
        [
            ", ".join(count(kinds.count(kind), kind) for kind in (VERSION, RUN, ARTIFACT)),
            ", from the sources above to the products below.",
            f" In use: {'; '.join(held)}." if held else "",
            f" {left} more nodes are not shown." if left else "",
        ]
    )


def _places(by_layer: list[list[str]], width: int) -> tuple[dict[str, _Place], list[_Row], float]:
    """Return the position of each box by the id of its node, the rows from the top, and the height of the drawing.

    *by_layer* are the ids of the nodes in each layer. Each row is centred.
    """
    most = max((width - 4 + _ACROSS) // (_BOX[0] + _ACROSS), 1)
    places: dict[str, _Place] = {}
    rows: list[_Row] = []
    y = 2
    for layer in by_layer:
        size = -(-len(layer) // -(-len(layer) // most))
        for first in range(0, len(layer), size):
            row = layer[first : first + size]
            left = (width - len(row) * (_BOX[0] + _ACROSS) + _ACROSS) / 2
            lefts = [left + place * (_BOX[0] + _ACROSS) for place in range(len(row))]
            places.update({id: _Place(x, y, len(rows)) for id, x in zip(row, lefts, strict=True)})
            beside = (left - _ACROSS / 2, *(x + _BOX[0] + _ACROSS / 2 for x in lefts))
            rows.append(_Row(y, tuple(x for x in beside if _SPREAD < x < width - _SPREAD) or (_SPREAD,)))
            y += _BOX[1] + _WITHIN
        y += _DOWN - _WITHIN
    return places, rows, y - _DOWN + 2


def _edge(source: _Place, target: _Place, rows: Sequence[_Row], labels: list[str]) -> str:
    """Return a curve from the lower edge of the box *source* to the upper edge of the box *target*, with an arrowhead.

    In each row between the two boxes, the curve passes through a space beside a box. Curves from neighbouring boxes are
    some pixels apart in such a space. *labels* are the labels of all edges from *source* to *target*.
    """
    x, y = source.x + _BOX[0] / 2, source.y + _BOX[1]
    to_x, to_y = target.x + _BOX[0] / 2, target.y
    apart = (round(source.x / (_BOX[0] + _ACROSS)) % 3 - 1) * _SPREAD
    curve = f"M{short(x)} {short(y)}"
    for number in range(source.row + 1, target.row):
        row = rows[number]
        aim = x + (to_x - x) / (target.row - number + 1)
        through = min(row.spaces, key=lambda space: abs(space - aim)) + apart
        curve += f"{_bend(x, y, through, row.y)}V{short(row.y + _BOX[1])}"
        x, y = through, row.y + _BOX[1]
    head = f"M{short(to_x - 3)} {short(to_y - 7)}l3 7l3-7"
    line = element("path", d=f"{curve}{_bend(x, y, to_x, to_y)}{head}", **_EDGE)
    label = ", ".join(dict.fromkeys(filter(None, labels)))
    return titled(label, line, class_="edge") if label else line


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return a curve from (*x*, *y*) to (*to_x*, *to_y*) that begins and ends vertically.

    It leads upwards only if the records of a damaged registry form a cycle.
    """
    bend = (to_y - y) / 2 if to_y > y else 16
    return f"C{short(x)} {short(y + bend)} {short(to_x)} {short(to_y - bend)} {short(to_x)} {short(to_y)}"


def _box(node: Node, place: _Place, root: str, name: str, href: str | None) -> str:
    """Return the box of *node* with two lines of text. The shape of the box shows the kind of the node.

    A click on the box opens *href*. *name* is the name under which a run read or wrote the artifact *node*. The box
    shows it for an artifact that no version has.
    """
    first, second = _texts(node, root, name)
    is_root = node.id == root
    held = node.kind == VERSION and bool(held_places(node))
    states = [node.kind, *["root"] * is_root, *["held"] * held, *["missing"] * bool(node.missing)]
    weight = 2.5 if is_root else 1
    room = _BOX[0] - 12
    x, y = place.x + _BOX[0] / 2, place.y
    drawn = titled(
        f"{first}: {second} ({node.id})" if first != node.id else f"{first}: {second}",
        *_outline(node, place, weight),
        text(cut(first, room), x, y + 17, text_anchor="middle", font_weight="bold" if held or is_root else None),
        text(cut(second, room, SMALL), x, y + 33, text_anchor="middle", font_size=SMALL),
        class_=f"node {' '.join(states)}",
    )
    return linked(href, drawn)


def _texts(node: Node, root: str, name: str) -> tuple[str, str]:
    """Return the two lines of text in the box of *node*.

    If *node* is an artifact that the version *root* does not have, the second line names a version that has it.
    """
    facts = node.facts
    beyond = " …" if node.more else ""
    if node.missing:
        return node.id + beyond, f"{node.kind}, {node.missing}"
    if node.kind == VERSION:
        return node.id + beyond, ", ".join(held_places(node)) or facts.get("stage") or "version, in no stage"
    if node.kind == RUN:
        kind = "run" if facts["status"] == "succeeded" else f"{facts['status']} run"
        return str(facts["pipeline"]) + beyond, f"{kind} of {facts['started']:%Y-%m-%d}"
    links = [link.partition(":") for link in facts.get("versions", ())]
    names = ", ".join(dict.fromkeys(name for _, _, name in links)) or name or node.id[:SHORT_DIGEST]
    versions = [version for version, _, _ in links]
    owner = f"of {versions[0]}" if versions and root not in versions else node.id[:SHORT_DIGEST]
    return names + beyond, f"{facts.get('kind_of_artifact', ARTIFACT)} {owner}"


def _outline(node: Node, place: _Place, weight: float) -> Iterator[str]:
    """Yield the shape of the box of *node*: a version has double sides, a run round ends, an artifact a bent corner.

    *weight* is the width of its lines in pixels.
    """
    wide, high = _BOX
    dashes = "4 3" if node.missing else None
    style = {**_SHAPE, "stroke_width": short(weight), "stroke_dasharray": dashes}
    if node.kind == ARTIFACT:
        d = f"M{short(place.x)} {short(place.y)}h{wide - 10}l10 10v{high - 10}h-{wide}zm{wide - 10} 0v10h10"
        yield element("path", d=d, **style)
        return
    radius = high / 2 if node.kind == RUN else 3
    yield element("rect", x=place.x, y=place.y, width=wide, height=high, rx=radius, **style)
    if node.kind == VERSION:
        d = f"M{short(place.x + 4)} {short(place.y)}v{high}m{wide - 8} 0v-{high}"
        yield element("path", d=d, stroke="currentColor", fill="none")


_SHAPE: Attributes = {"stroke": "currentColor", "fill": "currentColor", "fill_opacity": "0.08"}
_EDGE: Attributes = {"stroke": "currentColor", "stroke_opacity": "0.5", "fill": "none"}
