"""Lineage: versions, runs and artifacts joined by digests. Pure: the records are passed in as `Known`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, ClassVar, Literal, Protocol

from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.views.record_views import code_fields
from gitmodel.frozen import Frozen

Kind = Literal["version", "run", "artifact"]
VERSION: Kind = "version"
RUN: Kind = "run"
ARTIFACT: Kind = "artifact"
Way = Literal["up", "down"]
UP: Way = "up"
DOWN: Way = "down"
# The maximum number of versions that the node of an artifact lists in the result of `nearest`.
MOST_VERSIONS = 20


class Node(Frozen):
    """A version (`iris@4`), run (its id) or artifact (its digest), with its known facts.

    *missing* is the reason why facts are missing. *more* are the directions, UP or DOWN, in which the lineage continues
    beyond this node, but was not followed because of the limit for the depth.
    """

    id: str
    kind: Kind
    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""
    more: frozenset[Way] = frozenset()


class Edge(Frozen):
    """*target* was made from *source*. *label* is the name of the artifact in a version, or `step.name` in a run."""

    source: str
    target: str
    label: str = ""


class Lineage(Frozen):
    """The lineage of *root*: the edges *up* to its sources, and *down* to what was made from it.

    All edges go from source to product. *up* or *down* is None if this direction was not requested. *unread* are the
    paths of records that could not be read and are missing in the graph, with the reasons.
    """

    root: str
    nodes: tuple[Node, ...]
    up: tuple[Edge, ...] | None
    down: tuple[Edge, ...] | None
    unread: tuple[tuple[str, str], ...] = ()

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, each once."""
        return tuple(dict.fromkeys((*(self.up or ()), *(self.down or ()))))


class Known(Protocol):
    """The records that `trace` reads, by reference, id or digest."""

    def version(self, reference: str) -> VersionRecord | None:
        """Return the record of a version such as `iris@4`; None if it does not exist."""

    def run(self, id: str) -> RunRecord | None:
        """Return the record of a run; None if it does not exist."""

    def versions_with(self, digest: str) -> Iterable[tuple[str, VersionRecord]]:
        """Return the versions that have an artifact with this digest, with their references."""

    def runs_with(self, digest: str) -> Iterable[RunRecord]:
        """Return the runs with a step that has this digest as an input or output."""

    def artifact_facts(self, digest: str) -> Mapping[str, Any]:
        """Return the facts of an artifact: the result of the function `artifact_facts`, possibly cached."""

    def places(self, reference: str) -> tuple[str | None, tuple[str, ...]]:
        """Return the stage in which a version is in force (None: in no stage), and the aliases in force for it."""

    def why_missing(self, id: str) -> str:
        """Return the reason why a run or version is unknown or incomplete; "" if no reason is known."""


def inputs_of(run: RunRecord) -> dict[str, list[str]]:
    """Return the digests that *run* took as inputs, each with `step.parameter` for every use.

    Leaves out uses of a digest after a step of the run made it.
    """
    given: set[str] = set()
    found: dict[str, list[str]] = {}
    for step in run.steps:
        for name, digest in step.inputs.items():
            if digest not in given:
                found.setdefault(digest, []).append(f"{step.name}.{name}")
        given.update(step.outputs.values())
    return found


def outputs_of(run: RunRecord) -> dict[str, list[str]]:
    """Return the outputs of *run* by digest, each with `step.output` for every step that has this output."""
    found: dict[str, list[str]] = {}
    for step in run.steps:
        for name, digest in step.outputs.items():
            found.setdefault(digest, []).append(f"{step.name}.{name}")
    return found


def makers(digest: str, runs: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the *runs* in which a step made *digest*.

    If all runs with this output took it from the cache, returns all of them.
    """
    all_ = [run for run in runs if digest in outputs_of(run)]
    ran = [run for run in all_ if any(s.status != "cached" and digest in s.outputs.values() for s in run.steps)]
    return ran or all_


def made_version(run: RunRecord, record: VersionRecord) -> bool:
    """Return True if *run* created the version, or made one of its artifacts."""
    return bool(_links_of(run, record)) or record.runs[:1] == (run.id,)


def trace(known: Known, root: str, kind: Kind, *, up: bool, down: bool, depth: int | None = None) -> Lineage:
    """Return the lineage of *root*, a node of the kind *kind*, over at most *depth* runs (None: no limit) each way.

    *up* includes the sources of *root*, *down* includes what was made from it.
    """
    nodes: dict[str, Node] = {}
    above = _Up(known, nodes, depth).go(root, kind) if up else None
    below = _Down(known, nodes, depth).go(root, kind) if down else None
    return Lineage(root, tuple(nodes.values()), above, below)


def nearest(lineage: Lineage, most: int) -> Lineage:
    """Return a part of *lineage* with at most *most* nodes: the root, and the nodes nearest to it.

    Chooses versions in a stage or with an alias first, each with the nodes between the root and it, if these fit in
    *most*. Then chooses the other nodes by their distance from the root. The node of an artifact lists at most
    20 of its versions; its fact `more_versions` is the number of the others.
    """
    before = _breadth_first(lineage)
    in_use = {node.id for node in lineage.nodes if node.kind == VERSION and held_places(node)}
    found = {lineage.root}
    for id in filter(in_use.__contains__, before):
        way: set[str] = set()  # the nodes from the root to *id*
        here: str | None = id
        while here is not None:
            way.add(here)
            here = before[here]
        if len(found | way) <= most:
            found |= way
    for id in before:
        if len(found) >= most:
            break
        found.add(id)
    nodes = {node.id: _with_few_versions(node) for node in lineage.nodes if node.id in found}

    def kept(edges: tuple[Edge, ...] | None) -> tuple[Edge, ...] | None:
        return None if edges is None else tuple(e for e in edges if e.source in found and e.target in found)

    ordered = tuple(nodes[id] for id in before if id in nodes)
    return Lineage(lineage.root, ordered, kept(lineage.up), kept(lineage.down), lineage.unread)


def _breadth_first(lineage: Lineage) -> dict[str, str | None]:
    """Return, by node, the node before it on a shortest way from the root (None: the root); the nearest nodes first."""
    neighbours: dict[str, list[str]] = {}
    for edge in lineage.edges:
        neighbours.setdefault(edge.source, []).append(edge.target)
        neighbours.setdefault(edge.target, []).append(edge.source)
    before: dict[str, str | None] = {lineage.root: None}
    left = deque([lineage.root])
    while left:
        here = left.popleft()
        new = [id for id in dict.fromkeys(neighbours.get(here, ())) if id not in before]
        before.update(dict.fromkeys(new, here))
        left.extend(new)
    return before


def held_places(node: Node) -> list[str]:
    """Return the stage and the aliases of the version *node*. Leaves out the stage "archived"."""
    stage = node.facts.get("stage")
    return [*([stage] if stage and stage != "archived" else []), *node.facts.get("aliases", ())]


def find_cycle(lineage: Lineage) -> list[str]:
    """Return the ids of the nodes of a cycle in the lineage; [] if there is none, as in every valid lineage."""
    sources: dict[str, list[str]] = {}
    for edge in lineage.edges:
        sources.setdefault(edge.target, []).append(edge.source)
    try:
        TopologicalSorter(sources).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


class _Walk:
    """A breadth-first walk of the lineage in the direction *way*, which visits each node once."""

    way: ClassVar[Way]

    def __init__(self, known: Known, nodes: dict[str, Node], depth: int | None) -> None:
        self.known = known
        self.nodes = nodes
        self.depth = depth

    def go(self, root: str, kind: Kind) -> tuple[Edge, ...]:
        """Walk from *root* until no new node is found. Add the nodes to `nodes`, and return the edges.

        If the walk stops at a node because of the limit for the depth, adds `way` to `more` of this node.
        """
        found: dict[Edge, None] = {}
        seen: set[str] = set()
        left: deque[tuple[str, Kind, int]] = deque()

        def meet(id: str, kind: Kind, runs: int) -> None:
            """Add the node *id*, which is *runs* runs from the root, to the nodes from which the walk will continue."""
            if id not in seen:
                seen.add(id)
                left.append((id, kind, runs))
                if id not in self.nodes:
                    self.nodes[id] = _described(self.known, id, kind)

        meet(root, kind, 0)
        while left:
            here, kind, before = left.popleft()
            for edges, other in self.onward(here, kind, is_root=here == root):
                runs = before + (other == RUN)
                if edges and self.depth is not None and runs > self.depth:
                    self.nodes[here] = replace(self.nodes[here], more=self.nodes[here].more | {self.way})
                    continue
                for edge in edges:
                    found[edge] = None
                    meet(edge.source if edge.target == here else edge.target, other, runs)
        return tuple(found)

    def onward(self, id: str, kind: Kind, *, is_root: bool) -> Iterator[tuple[list[Edge], Kind]]:
        """Yield the edges along which the walk leaves the node *id*, as lists, with the kind of the nodes they lead to.

        *kind* is the kind of the node *id*.
        """
        raise NotImplementedError


class _Up(_Walk):
    way = UP

    def __init__(self, known: Known, nodes: dict[str, Node], depth: int | None) -> None:
        super().__init__(known, nodes, depth)
        # By digest of an artifact of a version, those runs of the version that made the artifact. The walk does not
        # follow other runs that made the same bytes.
        self._makers: dict[str, list[RunRecord]] = {}

    def onward(self, id: str, kind: Kind, *, is_root: bool) -> Iterator[tuple[list[Edge], Kind]]:
        if kind == ARTIFACT:
            for run in self._makers.get(id) or makers(id, self.known.runs_with(id)):
                yield [Edge(run.id, id, label) for label in outputs_of(run)[id]], RUN
        elif kind == RUN:
            made_by = self.known.run(id)
            for digest, labels in inputs_of(made_by).items() if made_by else ():
                yield [Edge(digest, id, label) for label in labels], ARTIFACT
        elif (record := self.known.version(id)) is not None:
            for name in record.runs:
                found = self.known.run(name)
                if found is None or (made_version(found, record) and not _links_of(found, record)):
                    yield [Edge(name, id)], RUN
                    continue
                for digest in dict.fromkeys(_links_of(found, record).values()):
                    self._makers.setdefault(digest, []).append(found)
            for link in record.artifacts:
                yield [Edge(link.digest, id, link.name)], ARTIFACT


class _Down(_Walk):
    way = DOWN

    def onward(self, id: str, kind: Kind, *, is_root: bool) -> Iterator[tuple[list[Edge], Kind]]:
        if kind == ARTIFACT:
            for reference, record in self.known.versions_with(id):
                yield [Edge(id, reference, link.name) for link in record.artifacts if link.digest == id], VERSION
            for reader in self.known.runs_with(id):
                yield [Edge(id, reader.id, label) for label in inputs_of(reader).get(id, [])], RUN
        elif kind == RUN and (run := self.known.run(id)) is not None:
            for digest, labels in outputs_of(run).items():
                yield [Edge(id, digest, label) for label in labels], ARTIFACT
            for reference in run.versions:
                version = self.known.version(reference)
                if version is not None and made_version(run, version) and not _links_of(run, version):
                    yield [Edge(id, reference)], VERSION
        # The walk ends at a version that it reached from one of its artifacts: what was made from other artifacts of
        # the version was not made from this one.
        elif kind == VERSION and is_root and (version := self.known.version(id)) is not None:
            for link in version.artifacts:
                yield [Edge(link.digest, id, link.name)], ARTIFACT


def depth(lineage: Lineage) -> int:
    """Return the largest number of runs between the root and a node.

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


def _steps(lineage: Lineage, way: Way, edges: Iterable[Edge]) -> list[tuple[str, str]]:
    """Return the steps of a walk from the root along *edges*, each from a node to another node.

    A root that is a version leads to its artifacts in both directions.
    """
    is_version = any(node.id == lineage.root and node.kind == VERSION for node in lineage.nodes)
    return [
        (edge.target, edge.source)
        if way == UP or (is_version and edge.target == lineage.root)
        else (edge.source, edge.target)
        for edge in edges
    ]


def _counts(root: str, steps: Iterable[tuple[str, str]], runs: set[str]) -> dict[str, int]:
    """Return, by node, the smallest number of *runs* on a walk from *root* to the node. If this is a run, it counts."""
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


def _with_few_versions(node: Node) -> Node:
    links = node.facts.get("versions", ()) if node.kind == ARTIFACT else ()
    if len(links) <= MOST_VERSIONS:
        return node
    few = {"versions": links[:MOST_VERSIONS], "more_versions": len(links) - MOST_VERSIONS}
    return replace(node, facts={**node.facts, **few})


def _links_of(run: RunRecord, record: VersionRecord) -> dict[str, str]:
    """Return those artifacts of the version *record* that *run* made: their digests by name."""
    digests = outputs_of(run)
    return {link.name: link.digest for link in record.artifacts if link.digest in digests}


def _described(known: Known, id: str, kind: Kind) -> Node:
    if kind == ARTIFACT:
        return Node(id, kind, known.artifact_facts(id))
    if kind == RUN:
        run = known.run(id)
        facts = {name: getattr(run, name) for name in ("pipeline", "status", "started")} if run else {}
        facts |= {"versions": list(run.versions), "code": code_fields(run.code)} if run else {}
        return Node(id, kind, facts, known.why_missing(id))
    record = known.version(id)
    if record is None:
        return Node(id, kind, {}, known.why_missing(id))
    stage, aliases = known.places(id)
    facts = {"stage": stage, "aliases": list(aliases), "created": record.created, "code": code_fields(record.code)}
    return Node(id, kind, facts)


def artifact_facts(digest: str, versions: Iterable[tuple[str, VersionRecord]]) -> dict[str, Any]:
    """Return the facts of the artifact with *digest*, which *versions* have."""
    links = [(reference, link) for reference, record in versions for link in record.artifacts if link.digest == digest]
    first = links[0][1] if links else None
    about = {"kind_of_artifact": first.kind, "size": first.size, "format": first.format} if first else {}
    return {**about, "versions": [f"{reference}:{link.name}" for reference, link in links]}
