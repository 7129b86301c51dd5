"""Converting a lineage to a tree for a terminal, to Mermaid, to DOT, and to fields for JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gitmodel.domain.views.lineage import ARTIFACT, DOWN, RUN, UP, VERSION, Lineage, Node, held_places, nearest

SHORT_DIGEST = len("sha256:") + 12
_SHORT_COMMIT = 10

# By id of a node, its children by id, each with the labels of the edges between the two.
_Below = Mapping[str, Mapping[str, list[str]]]


def fields(lineage: Lineage) -> dict[str, Any]:
    """Return the lineage as JSON shows it; `docs/reference/json.md` describes each field."""
    return {
        "root": lineage.root,
        "up": lineage.up is not None,
        "down": lineage.down is not None,
        "nodes": [
            {"id": node.id, "kind": node.kind, **node.facts, "missing": node.missing, "more": bool(node.more)}
            for node in lineage.nodes
        ],
        "edges": [{"source": edge.source, "target": edge.target, "label": edge.label} for edge in lineage.edges],
        "in_stages": in_stages(lineage),
        "unread": [path for path, _ in lineage.unread],
    }


def in_stages(lineage: Lineage) -> list[str]:
    """Return a text for each version that has a stage or alias, such as `iris@4 production, champion`.

    These are versions that were made from the root, and the root. Ignores the stage "archived".
    """
    if lineage.down is None:
        return []
    made = {edge.target for edge in lineage.down} | {lineage.root}
    held = [node for node in lineage.nodes if node.kind == VERSION and node.id in made and held_places(node)]
    return [f"{node.id} {', '.join(held_places(node))}" for node in held]


def tree(lineage: Lineage) -> Iterator[str]:
    """Return the lines of a tree, not escaped for a terminal; a repeated node is not expanded again."""
    upward = {node.id: replace(node, more=node.more & {UP}) for node in lineage.nodes}
    both = lineage.up is not None and lineage.down is not None
    if lineage.up is not None:
        yield from ["made from:"] if both else []
        yield from _branches(lineage.root, upward, _below((e.target, e.source, e.label) for e in lineage.up))
    if lineage.down is not None:
        yield from ["went into:"] if both else []
        # The versions that have an artifact are its children in this tree, so its label need not list them.
        downward = {
            node.id: replace(node, more=node.more & {DOWN}, facts={**node.facts, "versions": (), "more_versions": 0})
            for node in lineage.nodes
        }
        # A version at the root is above its artifacts in the tree, although the edges lead from them to it.
        turned = lineage.root if "@" in lineage.root else None
        steps = [
            (e.target, e.source, e.label) if e.target == turned else (e.source, e.target, e.label) for e in lineage.down
        ]
        yield from _branches(lineage.root, downward, _below(steps))


def mermaid(lineage: Lineage, most: int | None = None) -> str:
    """Return the graph as [Mermaid](https://mermaid.js.org/syntax/flowchart.html), which git hosts draw in Markdown.

    If *most* is given, shows the *most* nodes that are nearest to the root, and the number of the others.
    """
    part = lineage if most is None else nearest(lineage, most)
    ids = {node.id: f"n{number}" for number, node in enumerate(part.nodes)}
    shapes = {VERSION: '[["{}"]]', RUN: '(["{}"])', ARTIFACT: '["{}"]'}
    lines = [f"    {ids[node.id]}{shapes[node.kind].format(mermaid_label(_told(node)))}" for node in part.nodes]
    for edge in part.edges:
        label = f'|"{mermaid_label(edge.label)}"| ' if edge.label else " "
        lines.append(f"    {ids[edge.source]} -->{label}{ids[edge.target]}")
    left = len(lineage.nodes) - len(part.nodes)
    lines += [f'    more["and {left} more"]'] if left else []
    return "\n".join(["flowchart TD", *lines]) + "\n"


def mermaid_label(text: str) -> str:
    """Return *text* for a quoted label of Mermaid, with "_" in place of characters that could end or break the label.

    >>> mermaid_label('iris@2 "; click n0 <b>')
    'iris@2 __ click n0 _b_'
    """
    return re.sub(r"[^A-Za-z0-9 ._@:/-]", "_", text)


def dot(lineage: Lineage) -> str:
    """Return the graph in the language of [Graphviz](https://graphviz.org/doc/info/lang.html)."""
    shapes = {VERSION: "box3d", RUN: "ellipse", ARTIFACT: "note"}
    lines = [f"    {_quoted(n.id)} [label={_quoted(_told(n))}, shape={shapes[n.kind]}];" for n in lineage.nodes]
    for edge in lineage.edges:
        label = f" [label={_quoted(edge.label)}]" if edge.label else ""
        lines.append(f"    {_quoted(edge.source)} -> {_quoted(edge.target)}{label};")
    return "\n".join(["digraph lineage {", *lines, "}"]) + "\n"


def _below(steps: Iterable[tuple[str, str, str]]) -> _Below:
    """Return the tree of *steps*, each from a node to its child, with the label of the edge."""
    found: dict[str, dict[str, list[str]]] = {}
    for here, there, label in steps:
        found.setdefault(here, {}).setdefault(there, []).append(label)
    return found


def _branches(root: str, nodes: Mapping[str, Node], below: _Below) -> Iterator[str]:
    yield _line(nodes[root])
    shown = {root}
    left = _children(root, below, "")
    while left:
        id, labels, before, is_last = left.pop()
        again = id in shown and id in below
        label = ", ".join(dict.fromkeys(filter(None, labels)))
        text = f"{label}: {_line(nodes[id])}" if label else _line(nodes[id])
        yield f"{before}{'└─' if is_last else '├─'} {text}{'  (shown above)' if again else ''}"
        if not again:
            shown.add(id)
            left += _children(id, below, before + ("   " if is_last else "│  "))


def _children(id: str, below: _Below, before: str) -> list[tuple[str, list[str], str, bool]]:
    found = list(below.get(id, {}).items())
    return [(child, labels, before, place == len(found) - 1) for place, (child, labels) in enumerate(found)][::-1]


def _line(node: Node) -> str:
    return f"{_told(node)}{'  ...' if node.more else ''}"


def _told(node: Node) -> str:
    facts = node.facts
    if node.kind == VERSION:
        parts = [node.id, ", ".join(held_places(node)) or ("archived" if facts.get("stage") else "")]
    elif node.kind == RUN:
        code = facts.get("code") or {}
        commit = f"code {code['commit'][:_SHORT_COMMIT]}" if code.get("commit") else ""
        changed = " with changes" if commit and code.get("dirty") else ""
        parts = [f"run {node.id}", str(facts.get("status", "")), commit + changed]
    else:
        more = [f"and {facts['more_versions']} more"] if facts.get("more_versions") else []
        links = ", ".join([*facts.get("versions", ()), *more])
        parts = [node.id[:SHORT_DIGEST], str(facts.get("kind_of_artifact", "")), links]
    return "  ".join([*filter(None, parts), *([f"({node.missing})"] if node.missing else [])])


def _quoted(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
