"""A layered layout of a graph: sources above, products below, few crossings of edges. Pure and deterministic."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

_SWEEPS = 4

Edges = Sequence[tuple[str, str]]


def layers(ids: Sequence[str], edges: Edges) -> list[list[str]]:
    """Return the *ids* of nodes in layers, from the top. *edges* are pairs of a source and a target.

    Each edge leads from a higher to a lower layer, unless it is part of a cycle.

    >>> layers(["iris@1", "run", "train"], [("train", "run"), ("run", "iris@1")])
    [['train'], ['run'], ['iris@1']]
    """
    sources: dict[str, list[str]] = {id: [] for id in ids}
    targets: dict[str, list[str]] = {id: [] for id in ids}
    for source, target in dict.fromkeys(edges):
        if source != target:
            sources[target].append(source)
            targets[source].append(target)
    depth = _depths(ids, sources, targets)
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for id in ids:
        found[depth[id]].append(id)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        _sort_by_neighbours(found if downward else found[::-1], sources if downward else targets)
    return found


def _depths(ids: Sequence[str], sources: Mapping[str, list[str]], targets: Mapping[str, list[str]]) -> dict[str, int]:
    """Return the number of each node's layer, by the node's id; 0 is the top layer.

    A node is one layer below the lowest of its sources. A node without a source is just above the highest of its
    targets. *sources* and *targets* map each id to the ids at the other ends of its edges.
    """
    waiting = {id: len(sources[id]) for id in ids}
    depth: dict[str, int] = {}
    ready = deque(id for id in ids if not waiting[id])
    while len(depth) < len(ids):
        # Only a cycle of edges, as in a damaged registry, leaves `ready` empty. Then the first node without a depth is
        # placed although its sources have no depth yet.
        id = ready.popleft() if ready else next(id for id in ids if id not in depth)
        if id in depth:
            continue
        depth[id] = max((depth[source] + 1 for source in sources[id] if source in depth), default=0)
        for target in targets[id]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for id in ids:
        if not sources[id] and targets[id]:
            depth[id] = max(min(depth[target] for target in targets[id]) - 1, 0)
    return depth


def _sort_by_neighbours(layers: list[list[str]], neighbours: Mapping[str, list[str]]) -> None:
    """Sort the nodes of each layer by the mean position of their *neighbours* in the layers before it in *layers*."""
    place: dict[str, float] = {}
    for layer in layers:
        means: dict[str, float] = {}
        for index, id in enumerate(layer):
            known = [place[other] for other in neighbours[id] if other in place]
            means[id] = sum(known) / len(known) if known else (index + 0.5) / len(layer)
        layer.sort(key=means.__getitem__)
        place.update({id: (index + 0.5) / len(layer) for index, id in enumerate(layer)})
