"""The artifacts that a registry needs in its stores: artifacts of versions, runs and stage tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gitmodel.branch.repository import Repository
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.domain.changes.purging import Purge, purges
from gitmodel.domain.schema import paths, record_values
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ArtifactLink, RunRecord, VersionRecord
from gitmodel.domain.schema.refs import REMOTES, STAGE_TAGS, StageRef
from gitmodel.domain.snapshots.every_version import every_version
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.git.refs.ref_commands import list_annotated_tags, list_refs
from gitmodel.registry.recorded_runs.run_details import load_details
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.interface import ArtifactStore

MANIFEST = b"gitmodel-manifest "


@dataclass
class Needs:
    """The digests of all objects that registries need, and of the *manifests* of folders among them.

    *damaged* has an error for each record that could not be read, and *purged* has the purges by digest.
    """

    digests: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    damaged: list[str] = field(default_factory=list)
    purged: dict[str, Purge] = field(default_factory=dict)


def find_needs(repositories: Iterable[Repository], store: ArtifactStore) -> Needs:
    """Find the artifacts that versions, runs and tags need: on the branch, on remotes' branches and in proposals.

    Manifests and the details of runs are read from *store*. While a run is active on this machine, the outputs of
    earlier runs are needed, too, because the active run may use them from the cache.
    """
    search = _NeedsSearch(store)
    for repository in repositories:
        for commit in _tips(repository):
            search.read_commit(repository.snapshot_at(commit))
        for ref, commit in _tags(repository):
            search.read_tag(repository.snapshot_at(commit), ref)
        journal = Journal(repository.common_dir)
        for output in journal.outputs() if journal.running() else ():
            search.add(str(output.get("digest")), folder=output.get("format") == record_values.FOLDER_FORMAT)
    search.unfold()
    return search.needs


class _NeedsSearch:
    """Collects the needed artifacts. Reads each folder and record once, even if many commits have the same."""

    def __init__(self, store: ArtifactStore) -> None:
        self.needs = Needs()
        self._store = store
        self._seen: set[object] = set()
        self._unknown: set[str] = set()

    def add(self, digest: str, *, folder: bool) -> None:
        self.needs.digests.add(digest)
        if folder:
            self.needs.manifests.add(digest)

    def read_commit(self, snapshot: Snapshot) -> None:
        """Add everything that the records of one commit need."""
        self.needs.purged.update(purges(snapshot))
        for model in snapshot.model_names():
            tree = _tree_of(snapshot, f"{paths.model_folder(model)}/versions")
            if tree not in self._seen:
                self._seen.add(tree)
                for reference, record in every_version(snapshot, model):
                    self._read_version(reference, record)
        for run in self._new_runs(snapshot, paths.RUNS):
            self._read_run(run)

    def read_tag(self, snapshot: Snapshot, ref: StageRef) -> None:
        """Add the artifacts of the version that a stage tag names."""
        try:
            place = snapshot.recorded_place(ref)
            if place is not None:
                reference = f"{ref.model}@{place.version}"
                self._read_version(reference, snapshot.version(ref.model, place.version))
        except GitModelError as error:
            self.needs.damaged.append(f"the tag {ref.name}: {error.message}")

    def unfold(self) -> None:
        """Add the digests of the files in the folders that were found.

        Reads the first bytes of every output of a run, because records of runs do not say if an output is a folder.
        """
        for digest in sorted(self._unknown - self.needs.digests):
            self.needs.digests.add(digest)
            with suppress(NotFound):
                if first_bytes(self._store, digest, len(MANIFEST)) == MANIFEST:
                    self.needs.manifests.add(digest)
        for digest in sorted(self.needs.manifests):
            with self._collecting(digest):  # if no store has the manifest, its files are unknown
                self.needs.digests.update(entry.digest for entry in manifest_of(self._store, digest))

    @contextmanager
    def _collecting(self, what: str) -> Iterator[None]:
        """Suppress errors of the block. Add errors other than NotFound to the damaged records, as errors of *what*."""
        try:
            yield
        except NotFound:
            pass
        except GitModelError as error:
            self.needs.damaged.append(f"{what}: {error.message}")

    def _read_version(self, reference: str, record: VersionRecord | Invalid) -> None:
        if isinstance(record, Invalid):
            self.needs.damaged.append(f"{reference}: {record.message}")
            return
        for link in record.links:
            if not link.is_external:
                self.add(link.digest, folder=link.is_folder)

    def _read_run(self, record: RunRecord | Invalid) -> None:
        if isinstance(record, Invalid):
            self.needs.damaged.append(record.message)
            return
        steps = record.steps
        self.needs.digests.update(record.stored)
        if record.details is not None:
            with self._collecting(f"run {record.id}"):
                steps = load_details(record, self._store).steps
        for step in steps:
            self._unknown.update((*step.inputs.values(), *step.outputs.values()))

    def _new_runs(self, snapshot: Snapshot, folder: str) -> Iterator[RunRecord | Invalid]:
        """Yield the records of the runs below *folder*, without those in folders that were read before."""
        tree = _tree_of(snapshot, folder)
        if tree in self._seen:
            return
        self._seen.add(tree)
        try:
            inside = [f"{folder}/{name}" for name in snapshot.files.names(folder)]
        except Invalid as error:
            yield Invalid(f"{folder}: {error.message}", hint=error.hint)
            return
        runs = [path for path in inside if (what := paths.parse_path(path)) is not None and what.kind == "run"]
        yield from snapshot.files.load_many(runs, RunRecord, newer=snapshot.newer)
        for path in inside:
            if not path.endswith(".toml"):
                yield from self._new_runs(snapshot, path)


def first_bytes(store: ArtifactStore, digest: str, count: int) -> bytes:
    """Fetch the first *count* bytes of an object, without verifying them. Raises NotFound."""
    backend = getattr(store.origin, "backend", None)
    if backend is not None:
        return bytes(backend.read(digest, 0, count)[0])
    with store.open(digest) as reader:
        return reader.read(count)


def version_links(snapshot: Snapshot) -> Iterator[tuple[str, ArtifactLink | Invalid]]:
    """Yield the reference of each version with each of its links, or with the error of its damaged record."""
    for model in snapshot.model_names():
        for reference, record in every_version(snapshot, model):
            yield from ((reference, link) for link in ((record,) if isinstance(record, Invalid) else record.links))


def folders(snapshot: Snapshot) -> set[str]:
    """Return the digests of the manifests of all folders that are artifacts or attachments of versions."""
    links = (link for _, link in version_links(snapshot))
    return {link.digest for link in links if isinstance(link, ArtifactLink) and link.is_folder}


def _tips(repository: Repository) -> list[Oid]:
    """Return the newest commits of the branch, of remotes' branches as last fetched, and of proposals."""
    name = repository.branch_name
    patterns = (
        repository.branch, f"refs/remotes/*/{name}", f"{REMOTES}*/branches/**", f"{REMOTES}*/incoming",
        "refs/heads/propose/", "refs/remotes/*/propose/**", f"{REMOTES}*/propose/**",
    )  # fmt: skip
    return list(dict.fromkeys(list_refs(repository.git, *patterns).values()))


def _tags(repository: Repository) -> Iterator[tuple[StageRef, Oid]]:
    """Return the stage tags of this clone and of remotes as last fetched, each with its commit."""
    for ref, commit in list_annotated_tags(repository.git, STAGE_TAGS, REMOTES).items():
        parsed = StageRef.parse(ref) or StageRef.parse(STAGE_TAGS + ref.removeprefix(REMOTES).partition("/model/")[2])
        if parsed is not None:
            yield parsed, commit


def _tree_of(snapshot: Snapshot, folder: str) -> object:
    """Return a value that is equal for equal contents of *folder*, such as the git object id of the folder."""
    find = getattr(snapshot.files, "id", None)
    return (folder, find(folder) if find else snapshot.commit)
