"""A simple layered layout of a graph: sources above, products below, few crossings. Pure and deterministic."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

_SWEEPS = 4

Edges = Sequence[tuple[str, str]]


def layers(ids: Sequence[str], edges: Edges) -> list[list[str]]:
    """Return *ids* in layers: every edge that closes no cycle goes from a higher layer to a lower one.

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
    """Return the number of each id's layer: one below its lowest source, or just above its targets without a source."""
    waiting = {id: len(sources[id]) for id in ids}
    depth: dict[str, int] = {}
    ready = deque(id for id in ids if not waiting[id])
    while len(depth) < len(ids):
        # A damaged registry may have a cycle, whose first node is then treated as one without sources.
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
    """Sort each layer by the mean place of each node's neighbours in the layers before."""
    place: dict[str, float] = {}
    for layer in layers:
        means: dict[str, float] = {}
        for index, id in enumerate(layer):
            known = [place[other] for other in neighbours[id] if other in place]
            means[id] = sum(known) / len(known) if known else (index + 0.5) / len(layer)
        layer.sort(key=means.__getitem__)
        place.update({id: (index + 0.5) / len(layer) for index, id in enumerate(layer)})
