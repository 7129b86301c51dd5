"""The depth of a lineage: the number of runs between its root and each node. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gitmodel.domain.views.lineage import DOWN, RUN, UP, VERSION, Edge, Lineage, Way

# A step of a walk along an edge: from a node to another node.
_Step = tuple[str, str]


def depth(lineage: Lineage) -> int:
    """Return the largest number of runs between the root and a node.

    >>> from gitmodel.domain.views.lineage import Node
    >>> nodes = Node("iris@1", "version"), Node("words", "artifact"), Node("train", "run")
    >>> depth(Lineage("iris@1", nodes, (Edge("words", "iris@1"), Edge("train", "words")), None))
    1
    """
    return max((runs for _, _, found in _walks(lineage) for runs in found.values()), default=0)


def within(lineage: Lineage, runs: int) -> Lineage:
    """Return the part of *lineage* that is at most *runs* runs from the root: the result of `trace` with this depth."""
    more: dict[str, frozenset[Way]] = {}
    kept: dict[Way, tuple[Edge, ...]] = {}
    reached = {lineage.root}
    for way, edges, found in _walks(lineage):
        near = {id for id, count in found.items() if count <= runs}
        reached |= near
        kept[way] = tuple(edge for edge in edges if edge.source in near and edge.target in near)
        for here, there in _steps(lineage, way, edges):
            if here in near and there not in near:
                more[here] = more.get(here, frozenset()) | {way}
    nodes = tuple(
        replace(node, more=node.more | more.get(node.id, frozenset())) for node in lineage.nodes if node.id in reached
    )
    return replace(lineage, nodes=nodes, up=kept.get(UP), down=kept.get(DOWN))


def _walks(lineage: Lineage) -> Iterable[tuple[Way, tuple[Edge, ...], Mapping[str, int]]]:
    """Yield each direction with its edges and, by node, the number of runs between the root and the node."""
    runs = {node.id for node in lineage.nodes if node.kind == RUN}
    for way, edges in ((UP, lineage.up), (DOWN, lineage.down)):
        if edges is not None:
            yield way, edges, _counts(lineage.root, _steps(lineage, way, edges), runs)


def _steps(lineage: Lineage, way: Way, edges: Iterable[Edge]) -> list[_Step]:
    """Return the steps of a walk from the root. A root that is a version leads to its artifacts in both directions."""
    is_version = any(node.id == lineage.root and node.kind == VERSION for node in lineage.nodes)
    return [
        (edge.target, edge.source)
        if way == UP or (is_version and edge.target == lineage.root)
        else (edge.source, edge.target)
        for edge in edges
    ]


def _counts(root: str, steps: Iterable[_Step], runs: set[str]) -> dict[str, int]:
    """Return, by node, the smallest number of nodes in *runs* on a walk from *root* to the node, included."""
    onward: dict[str, list[str]] = {}
    for here, there in steps:
        onward.setdefault(here, []).append(there)
    found = {root: 0}
    left = deque([root])
    while left:
        here = left.popleft()
        for there in onward.get(here, ()):
            count = found[here] + (there in runs)
            if count < found.get(there, count + 1):
                found[there] = count
                if there in runs:
                    left.append(there)
                else:
                    left.appendleft(there)
    return found
