"""`lineage`: the sources and results of a version, run or artifact, from the records at the branch's newest commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from heapq import nsmallest
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.runs import find_run, named_run
from gitmodel.domain.changes.stages import StageState, stage_states
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.lineage import ARTIFACT, MOST_VERSIONS, RUN, VERSION, Kind, Lineage, artifact_facts, trace
from gitmodel.domain.views.record_views import VersionView, view_version
from gitmodel.errors import GitModelError, Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.index.digests import DigestIndex, RecordsByDigest
from gitmodel.registry.recorded_runs.run_details import load_details
from gitmodel.registry.recorded_runs.run_outputs import outputs_in
from gitmodel.registry.recorded_runs.runs import RunView, get_run, run_ids
from gitmodel.stores.interface import ArtifactStore

_SHORTEST = 7
_HEX = frozenset("0123456789abcdef")


class VersionRun(Frozen):
    """A run of a version, with its *view* (None: its record is missing or damaged).

    *only_read* is True if the run only read artifacts of the version.
    """

    id: str
    view: RunView | None
    only_read: bool


class AtCommit:
    """A cache of results of searches in the records of one commit. They stay valid, as a commit never changes."""

    def __init__(self) -> None:
        self.mentioned: RecordsByDigest | None = None
        self.places: dict[tuple[str, str], list[paths.RecordPath]] = {}
        self.facts: dict[str, Mapping[str, Any]] = {}


def lineage(
    repository: Repository,
    subject: str,
    *,
    store: Callable[[], ArtifactStore],
    up: bool = True,
    down: bool = True,
    depth: int | None = None,
    few_from: int | None = None,
    kept: dict[Oid | None, AtCommit] | None = None,
) -> Lineage:
    """Return the lineage of *subject*: a version (`iris@4`), a digest (`sha256:` and at least 7 digits) or a run.

    *up* includes its sources, *down* what was made from it, each over at most *depth* runs (None: no limit). If more
    than *few_from* versions (None: no limit) have the same artifact, the facts of the artifact name only 20 of them,
    and its fact `more_versions` is the number of the others. *kept* is a cache: a dictionary that the caller keeps,
    from which this call takes the results of earlier calls at the same commit, and to which it adds its own. Raises
    NotFound if *subject* names no recorded version, run or artifact, UsageError if several digests begin with the given
    digits.
    """

    def question(snapshot: Snapshot) -> Lineage:
        known = _Records(repository, snapshot, store, kept, few_from)
        found = trace(known, *_root(known, subject), up=up, down=down, depth=depth)
        return replace(found, unread=known.unread)

    return repository.read(question)


def version_runs(
    repository: Repository, version: VersionView, *, store: Callable[[], ArtifactStore]
) -> list[VersionRun]:
    """Return the runs in the record of *version*, then the runs that only read its artifacts."""
    only_read = readers(repository, version.model, version.record.number, store=store)
    found = []
    for id in (*version.record.runs, *only_read):
        view = None
        with suppress(NotFound, Invalid):
            view = get_run(repository, id)
        found.append(VersionRun(id, view, id in only_read))
    return found


def readers(repository: Repository, model: str, number: int, *, store: Callable[[], ArtifactStore]) -> list[str]:
    """Return the ids of the runs that only read an artifact of the version *number* of *model*, oldest first.

    Leaves out the runs in the record of the version, which made it or worked on it, and runs that have the artifact
    among their outputs, too. Includes runs that read the same bytes from another version, because runs record only the
    digests of their inputs.
    """

    def question(snapshot: Snapshot) -> list[str]:
        known = _Records(repository, snapshot, store)
        version = snapshot.version(model, number)
        links = [*version.artifacts, *(one.link for one in outputs_in(snapshot, model, number, store))]
        found = {
            run.id
            for digest in {link.digest for link in links}
            for run in known.runs_with(digest)
            if not any(digest in step.outputs.values() for step in run.steps)  # so it is an input
        }
        return sorted(found - set(version.runs))

    return repository.read(question)


def _root(known: _Records, subject: str) -> tuple[str, Kind]:
    if subject.startswith("sha256:"):
        return known.digest(subject), ARTIFACT
    if paths.run_file(subject):
        return find_run(known.snapshot, named_run(subject, run_ids(known.snapshot)) or subject).id, RUN
    try:
        model, number = known.snapshot.resolve(VersionRef.parse(subject))
    except (NotFound, UsageError):
        run = None if "@" in subject else named_run(subject, run_ids(known.snapshot))
        if run is None:
            raise
        return run, RUN
    return f"{model}@{number}", VERSION


def _order(path: str) -> tuple[str, int, str]:
    """Return the sort key of the version record at *path*, for sorting by the name of the model and the number."""
    name = path.rpartition("/")[2]
    return path.split("/", 2)[1], len(name), name


class _Records:
    """The records of a snapshot for a search of the lineage, each run decoded once; implements `Known`."""

    def __init__(
        self,
        repository: Repository,
        snapshot: Snapshot,
        store: Callable[[], ArtifactStore],
        kept: dict[Oid | None, AtCommit] | None = None,
        few_from: int | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._few_from = few_from
        self._found: dict[str, list[str]] = {}
        self._repository = repository
        self._store = store
        self._runs: dict[str, RunRecord | None] = {}
        self._missing: dict[str, str] = {}
        self._damaged: dict[str, str] = {}
        self._at = (kept or {}).get(snapshot.commit) or AtCommit()
        if kept is not None and snapshot.commit not in kept:
            kept.clear()
            kept[snapshot.commit] = self._at
        self._states: dict[str, list[StageState]] = {}

    def digest(self, text: str) -> str:
        """Return the full digest that begins with *text*: `sha256:` and 7 or more hex digits.

        Raises UsageError if *text* has another form or if several digests begin with it, NotFound if none does.
        """
        digits = text.removeprefix("sha256:")
        if not _SHORTEST <= len(digits) <= 64 or not _HEX.issuperset(digits):
            raise UsageError(
                f"{text!a} is not a digest", hint=f"write sha256: and 64 hex digits, or at least the first {_SHORTEST}"
            )
        found = [f"sha256:{digits}"] if len(digits) == 64 else self._mentioned.beginning(digits)
        if len(found) > 1:
            raise UsageError(f"{len(found)} digests begin with {text}", hint=f"write more digits: {found[0]}")
        if not found or not self._mentioned.paths(found[0]):
            raise self._unknown(text)
        return found[0]

    @property
    def unread(self) -> tuple[tuple[str, str], ...]:
        """The paths of the records that cannot be read and are missing in the lineage, each with the reason."""
        return tuple(sorted({**self._mentioned.unread, **self._damaged}.items()))

    def version(self, reference: str) -> VersionRecord | None:
        model, _, number = reference.partition("@")
        if not number.isdigit():
            return None
        try:
            return self.snapshot.version(self.snapshot.current_name(model), int(number))
        except GitModelError as error:
            self._missing[reference] = error.message
            if isinstance(error, Invalid):
                self._damaged[paths.version_file(model, int(number))] = error.message
            return None

    def run(self, id: str) -> RunRecord | None:
        if id not in self._runs:
            self._runs[id] = self._read_run(id)
        return self._runs[id]

    def versions_with(self, digest: str) -> Iterator[tuple[str, VersionRecord]]:
        return self._versions(digest, self._places(digest, paths.MODELS))

    def _versions(self, digest: str, places: Iterable[paths.RecordPath]) -> Iterator[tuple[str, VersionRecord]]:
        for place in places:
            reference = f"{place.model}@{place.key}"
            record = self.version(reference) if place.kind == "version" else None
            if record is not None and any(link.digest == digest for link in record.artifacts):
                yield reference, record

    def runs_with(self, digest: str) -> Iterator[RunRecord]:
        for place in self._places(digest, paths.RUNS):
            run = self.run(place.key) if place.kind == "run" else None
            if run is not None and any(digest in (*s.inputs.values(), *s.outputs.values()) for s in run.steps):
                yield run

    def artifact_facts(self, digest: str) -> Mapping[str, Any]:
        found = self._at.facts.get(digest)
        if found is not None:
            return found
        having = [path for path in self._paths(digest) if "/versions/" in path] if self._few_from is not None else []
        if self._few_from is not None and len(having) > self._few_from:
            first = nsmallest(MOST_VERSIONS, having, key=_order)
            some = artifact_facts(digest, self._versions(digest, filter(None, map(paths.parse_path, first))))
            return {**some, "more_versions": len(having) - len(some["versions"])}
        found = artifact_facts(digest, self.versions_with(digest))
        if not self.unread:  # else not cached, so that the next search reports unreadable records too
            self._at.facts[digest] = found
        return found

    def places(self, reference: str) -> tuple[str | None, tuple[str, ...]]:
        model = reference.partition("@")[0]
        record = self.version(reference)
        if record is None:
            return None, ()
        name = self.snapshot.current_name(model)
        if name not in self._states:
            if self._states:  # from the second model on, one process lists the tags of all
                self.snapshot.tags.models()
            self._states[name] = stage_states(self.snapshot, name)
        view = view_version(self.snapshot, name, record, self._states[name])
        return view.stage, view.aliases

    def why_missing(self, id: str) -> str:
        return self._missing.get(id, "")

    def _unknown(self, digest: str) -> NotFound:
        branch = self._repository.branch_name
        unread = list(self._mentioned.unread)
        but = f", but {len(unread)} cannot be read, such as {unread[0]}" if unread else ""
        return NotFound(
            f"no recorded version or run refers to {digest}{but}",
            hint=f"`git log --oneline -S {digest} {branch}` shows whether one ever did",
        )

    def _paths(self, digest: str) -> list[str]:
        """Return the paths of the records that mention *digest*."""
        if digest not in self._found:
            self._found[digest] = self._mentioned.paths(digest)
        return self._found[digest]

    def _places(self, digest: str, folder: str) -> list[paths.RecordPath]:
        """Return the parsed paths of the records in *folder* that mention *digest*, sorted by `_order`."""
        key = (digest, folder)
        if key not in self._at.places:
            inside = sorted((path for path in self._paths(digest) if path.startswith(f"{folder}/")), key=_order)
            found = [place for path in inside if (place := paths.parse_path(path))]
            if self._mentioned.unread:
                return found
            self._at.places[key] = found
        return self._at.places[key]

    @cached_property
    def _mentioned(self) -> RecordsByDigest:
        if self._at.mentioned is not None:
            return self._at.mentioned
        commit = self.snapshot.commit
        files = self._repository.files(commit)
        trees = ",".join(files.id(folder) or "" for folder in (paths.MODELS, paths.RUNS))
        index = DigestIndex(self._repository.git, self._repository.reader, self._repository.own_folder)
        found = index.at(commit, trees, self._more)
        self._at.mentioned = None if found.unread else found
        return found

    def _more(self, path: str, data: bytes) -> Iterable[str] | None:
        """Return the digests in the details of the run at *path*; () if it has none, None if the store lacks them.

        The record *data* of a long run names an object in the artifact store that has its details.
        """
        if b"\ndetails = " not in data:
            return ()
        try:
            run = codec.decode(records.RunRecord, data, path, newer=self.snapshot.newer)
        except Invalid:
            return ()
        full = self._with_details(run)
        return None if full is None else (d for s in full.steps for d in (*s.inputs.values(), *s.outputs.values()))

    def _read_run(self, id: str) -> RunRecord | None:
        try:
            run = find_run(self.snapshot, id)
        except NotFound:
            self._missing[id] = "its record is gone"
            return None
        except Invalid as error:
            self._missing[id] = self._damaged[paths.run_file(id)] = error.message
            return None
        if run.details is None:
            return run
        full = self._with_details(run)
        if full is None:
            self._missing[id] = "its inputs and outputs should be in the artifact store, which does not have them"
        return full or run

    def _with_details(self, run: RunRecord) -> RunRecord | None:
        try:
            store = self._store()
            if run.details is None or not store.holds(run.details):
                return None
            return load_details(run, store)
        except GitModelError:
            return None
