"""Lineage: versions, runs and artifacts joined by digests. Pure: the records are passed in as `Known`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
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
    """The lineage of *root*: the edges *up* to its sources, and *down* to everything made from it.

    *up* or *down* is None if this direction was not requested. In both directions, an edge goes from the source to the
    product. *unread* are the paths of records that could not be read, with the reasons. The graph lacks the content of
    these records.
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
        """Return the stage in which a version is in force, and the aliases that are in force for the version.

        The stage is "archived" for an archived version, and None for a version in no stage.
        """

    def why_missing(self, id: str) -> str:
        """Return the reason why a run or version is unknown or incomplete; "" if no reason is known."""


def inputs_of(run: RunRecord) -> dict[str, list[str]]:
    """Return the digests that *run* took as inputs, each with `step.parameter` for every use.

    Omits outputs of earlier steps of the run, unless a step used the same digest before a step made it.
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
    digests = outputs_of(run)
    return any(link.digest in digests for link in record.artifacts) or record.runs[:1] == (run.id,)


def trace(known: Known, root: str, kind: Kind, *, up: bool, down: bool, depth: int | None = None) -> Lineage:
    """Return the lineage of *root*, over at most *depth* runs in each direction."""
    nodes: dict[str, Node] = {}
    above = _Up(known, nodes, depth).go(root, kind) if up else None
    below = _Down(known, nodes, depth).go(root, kind) if down else None
    return Lineage(root, tuple(nodes.values()), above, below)


def nearest(lineage: Lineage, most: int) -> Lineage:
    """Return a part of *lineage* with at most *most* nodes: the root, and the nodes nearest to it.

    Versions that are in a stage or have an alias are chosen before other nodes, together with the nodes on the way to
    them. The node of an artifact lists at most 20 of its versions; its fact `more_versions` is the number of the
    others.
    """
    before = _breadth_first(lineage)
    in_use = {node.id for node in lineage.nodes if node.kind == VERSION and held_places(node)}
    found = {lineage.root}
    for id in before:
        way = _way_to(id, before) if id in in_use else set()
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
    """Map each node to the node before it on a shortest way from the root, the nearest nodes first."""
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


def _way_to(id: str, before: Mapping[str, str | None]) -> set[str]:
    """Return the nodes on the way from the root to *id*, both included. *before* is the result of `_breadth_first`."""
    way: set[str] = set()
    here: str | None = id
    while here is not None:
        way.add(here)
        here = before[here]
    return way


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


class _Walk(ABC):
    """A breadth-first walk of the lineage in one direction, which visits each node once."""

    way: ClassVar[Way]

    def __init__(self, known: Known, nodes: dict[str, Node], depth: int | None) -> None:
        self.known = known
        self.nodes = nodes
        self.depth = depth
        self.edges: dict[Edge, None] = {}
        self._seen: set[str] = set()
        self._left: deque[tuple[str, Kind, int]] = deque()

    def go(self, root: str, kind: Kind) -> tuple[Edge, ...]:
        """Walk from *root* until no new node is found, and return the edges."""
        self._meet(root, kind, 0)
        while self._left:
            id, kind, runs = self._left.popleft()
            if kind == VERSION:
                self.at_version(id, runs, is_root=id == root)
            elif kind == RUN:
                self.at_run(id, runs)
            else:
                self.at_artifact(id, runs)
        return tuple(self.edges)

    def step(self, here: str, edges: Iterable[Edge], kind: Kind, runs: int) -> None:
        """Continue from the node *here* along *edges* to the nodes at their other ends.

        *runs* is the number of runs between the root and these nodes. If it exceeds the limit for the depth, does not
        continue, but adds the direction of the walk to `more` of the node *here*.
        """
        for edge in edges:
            if self.depth is not None and runs > self.depth:
                self.nodes[here] = replace(self.nodes[here], more=self.nodes[here].more | {self.way})
                return
            self.edges[edge] = None
            self._meet(edge.source if edge.target == here else edge.target, kind, runs)

    @abstractmethod
    def at_version(self, id: str, runs: int, *, is_root: bool) -> None:
        """Continue from the version *id*."""

    @abstractmethod
    def at_run(self, id: str, runs: int) -> None:
        """Continue from the run *id*."""

    @abstractmethod
    def at_artifact(self, id: str, runs: int) -> None:
        """Continue from the artifact *id*."""

    def _meet(self, id: str, kind: Kind, runs: int) -> None:
        if id not in self._seen:
            self._seen.add(id)
            self._left.append((id, kind, runs))
            if id not in self.nodes:
                self.nodes[id] = _described(self.known, id, kind)


class _Up(_Walk):
    way = UP

    def __init__(self, known: Known, nodes: dict[str, Node], depth: int | None) -> None:
        super().__init__(known, nodes, depth)
        # By digest of an artifact of a version, those runs of the version that made the artifact. The walk does not
        # follow other runs that made the same bytes.
        self._makers: dict[str, list[RunRecord]] = {}

    def at_version(self, id: str, runs: int, *, is_root: bool) -> None:
        record = self.known.version(id)
        if record is None:
            return
        for name in record.runs:
            run = self.known.run(name)
            if run is None or (made_version(run, record) and not _links_of(run, record)):
                self.step(id, [Edge(name, id)], RUN, runs + 1)
                continue
            digests = outputs_of(run)
            for digest in dict.fromkeys(link.digest for link in record.artifacts if link.digest in digests):
                self._makers.setdefault(digest, []).append(run)
        for link in record.artifacts:
            self.step(id, [Edge(link.digest, id, link.name)], ARTIFACT, runs)

    def at_run(self, id: str, runs: int) -> None:
        run = self.known.run(id)
        for digest, labels in inputs_of(run).items() if run else ():
            self.step(id, [Edge(digest, id, label) for label in labels], ARTIFACT, runs)

    def at_artifact(self, id: str, runs: int) -> None:
        for run in self._makers.get(id) or makers(id, self.known.runs_with(id)):
            self.step(id, [Edge(run.id, id, label) for label in outputs_of(run)[id]], RUN, runs + 1)


class _Down(_Walk):
    way = DOWN

    def at_version(self, id: str, runs: int, *, is_root: bool) -> None:
        # The walk ends at a version that it reached from one of its artifacts: what was made from other artifacts of
        # the version was not made from this one.
        record = self.known.version(id) if is_root else None
        for link in record.artifacts if record else ():
            self.step(id, [Edge(link.digest, id, link.name)], ARTIFACT, runs)

    def at_run(self, id: str, runs: int) -> None:
        run = self.known.run(id)
        if run is None:
            return
        for digest, labels in outputs_of(run).items():
            self.step(id, [Edge(id, digest, label) for label in labels], ARTIFACT, runs)
        for reference in run.versions:
            record = self.known.version(reference)
            if record is not None and made_version(run, record) and not _links_of(run, record):
                self.step(id, [Edge(id, reference)], VERSION, runs)

    def at_artifact(self, id: str, runs: int) -> None:
        for reference, record in self.known.versions_with(id):
            labels = [link.name for link in record.artifacts if link.digest == id]
            self.step(id, [Edge(id, reference, label) for label in labels], VERSION, runs)
        for run in self.known.runs_with(id):
            labels = inputs_of(run).get(id, [])
            self.step(id, [Edge(id, run.id, label) for label in labels], RUN, runs + 1)


def _with_few_versions(node: Node) -> Node:
    links = node.facts.get("versions", ()) if node.kind == ARTIFACT else ()
    if len(links) <= MOST_VERSIONS:
        return node
    few = {"versions": links[:MOST_VERSIONS], "more_versions": len(links) - MOST_VERSIONS}
    return replace(node, facts={**node.facts, **few})


def _links_of(run: RunRecord, record: VersionRecord) -> list[str]:
    """Return the names of those artifacts of the version *record* that *run* made."""
    digests = outputs_of(run)
    return [link.name for link in record.artifacts if link.digest in digests]


def _described(known: Known, id: str, kind: Kind) -> Node:
    if kind == ARTIFACT:
        return Node(id, kind, known.artifact_facts(id))
    if kind == RUN:
        run = known.run(id)
        return Node(id, kind, _run_facts(run) if run else {}, known.why_missing(id))
    record = known.version(id)
    if record is None:
        return Node(id, kind, {}, known.why_missing(id))
    stage, aliases = known.places(id)
    facts = {"stage": stage, "aliases": list(aliases), "created": record.created, "code": code_fields(record.code)}
    return Node(id, kind, facts)


def _run_facts(run: RunRecord) -> dict[str, Any]:
    return {
        "pipeline": run.pipeline,
        "status": run.status,
        "started": run.started,
        "versions": list(run.versions),
        "code": code_fields(run.code),
    }


def artifact_facts(digest: str, versions: Iterable[tuple[str, VersionRecord]]) -> dict[str, Any]:
    """Return the facts of the artifact with *digest*, which *versions* have."""
    links = [(reference, link) for reference, record in versions for link in record.artifacts if link.digest == digest]
    first = links[0][1] if links else None
    about = {"kind_of_artifact": first.kind, "size": first.size, "format": first.format} if first else {}
    return {**about, "versions": [f"{reference}:{link.name}" for reference, link in links]}
