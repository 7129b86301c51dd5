"""`export` and `import`: writing a version with its records, lineage and artifacts to a file, and reading that file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.exports import Export, Imported, mentioned, needed, plan_import, read_export
from gitmodel.domain.changes.runs import find_run
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.manifest import parse_manifest
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.views.lineage import ARTIFACT, RUN, Lineage
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.frozen import Frozen
from gitmodel.lineage.graph import lineage
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.archives import Archive, open_archive, write_archive
from gitmodel.stores.artifacts.copying import keep_artifact
from gitmodel.stores.artifacts.manifests import MANIFEST_LIMIT, manifest_of, members_of
from gitmodel.stores.interface import ArtifactStore, wrong_size


class Exported(Frozen):
    """The result of `export`: the file *path* of *size* bytes has the version *reference* and *runs* with these ids.

    *missing* are pairs of two texts: an item that the records name and the file lacks, and advice.
    """

    reference: str
    path: Path
    size: int
    runs: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


def export(
    repository: Repository, ref: VersionRef, target: Path, *, store: ArtifactStore, inputs: bool = False
) -> Exported:
    """Write the version *ref* with its records, the runs of its lineage and its artifacts to the new file *target*.

    If *inputs* is True, the file also contains all artifacts from which the version was made. Raises NotFound if
    *store* does not have an artifact of the version, UsageError if *target* exists.
    """
    found = read_version(repository, ref, store=store)
    exported, reference, missing = found.export, found.export.reference, list(found.missing)
    sizes = dict(_own(store, exported.version, reference))
    sizes.update(_beside(store, exported.runs, found.graph if inputs else None, missing))
    written = write_archive(target, found.records, sizes.items(), store)
    return Exported(reference, target, written, tuple(run.id for run in exported.runs), tuple(missing))


class ReadVersion(NamedTuple):
    """A version for another registry: its records, parsed (*export*) and as bytes by path (*records*), and its lineage.

    The lineage *graph* has only the sources of the version. *missing* are pairs of two texts: a record that cannot be
    read, and advice.
    """

    export: Export
    records: Mapping[str, bytes]
    graph: Lineage
    missing: tuple[tuple[str, str], ...]


def read_version(repository: Repository, ref: VersionRef, *, store: ArtifactStore) -> ReadVersion:
    """Return the records of the version *ref*, of its model, and of all runs in its lineage, and this lineage."""
    model, number = repository.read(lambda snapshot: snapshot.resolve(ref))
    graph = lineage(repository, f"{model}@{number}", store=lambda: store, down=False)
    snapshot = repository.snapshot()
    missing = [(f"{path}: {why}", "run `git model check`") for path, why in graph.unread]
    runs: list[RunRecord] = []
    for node in graph.nodes:
        if node.kind == RUN:
            try:
                runs.append(find_run(snapshot, node.id))
            except GitModelError as error:
                missing.append((f"run {node.id} is not in the export: {error.message}", error.hint))
    places = [paths.model_file(model), paths.version_file(model, number), *(paths.run_file(run.id) for run in runs)]
    records = {path: data for path in places if (data := snapshot.files.read(path)) is not None}
    export = Export(model, snapshot.model(model), snapshot.version(model, number), tuple(runs))
    return ReadVersion(export, records, graph, tuple(missing))


def import_export(
    writer: Writer, path: Path, *, store: ArtifactStore, model: str = "", renumbered: bool = False
) -> Imported:
    """Import the export in the file *path* into the registry of *writer*, after verifying the whole file.

    The version becomes one of *model*, or, if *model* is "", of the model with the name in the export. *renumbered*
    confirms that *model* means the model that has this name now, although another model had it before a pull. Raises
    Invalid if the export is incomplete or damaged, and then stores nothing; Conflict if a name is taken; NotFound if
    *path* does not exist or *model* was deleted; Refused if a rule of the registry refuses the version.
    """
    with open_archive(path) as archive:
        export = read_export(archive.records)
        chosen = ModelRef(check_name(model or export.model, "model"), renumbered=renumbered)
        writer.read(lambda snapshot: plan_import(snapshot, export, chosen))  # raises before artifacts are stored
        _check(archive, export)
        for digest, size in archive.sizes.items():
            if digest not in _record_digests(archive) and not keep_artifact(store, digest, folder=False):
                with archive.open(digest) as source:
                    store.put_known(digest, size, source)
    return writer.transact(lambda snapshot: plan_import(snapshot, export, chosen))


def _own(store: ArtifactStore, record: VersionRecord, reference: str) -> Iterator[tuple[str, int]]:
    for link in record.links:
        if link.is_external:
            continue
        if not store.holds(link.digest):
            raise NotFound(
                f"the artifact store does not have {link.name} of {reference} ({link.digest})",
                hint="`git model verify` says what is missing",
            )
        if link.is_folder:
            members_of(store, link.digest, link.size)
        elif (found := store.size(link.digest)) != link.size:
            raise wrong_size(link.digest, link.size, found)
        yield from _with_files(store, link.digest, folder=link.is_folder)


def _beside(
    store: ArtifactStore, runs: Iterable[RunRecord], graph: Lineage | None, missing: list[tuple[str, str]]
) -> Iterator[tuple[str, int]]:
    """Yield the digests and sizes of the objects in *store* that *runs* name, and of the artifacts in *graph*.

    Includes the files in artifacts that are folders. *graph* is None if only the objects of *runs* are wanted. For each
    object that *store* lacks, appends a message and advice to *missing*.
    """
    wanted = {digest: False for run in runs for digest in run.stored}
    for node in graph.nodes if graph else ():
        if node.kind == ARTIFACT:
            wanted[node.id] = node.facts.get("format") == "folder"
    for digest, folder in wanted.items():
        try:
            yield from list(_with_files(store, digest, folder=folder))
        except GitModelError as error:
            missing.append((f"{digest} is not in the export: {error.message}", error.hint))


def _with_files(store: ArtifactStore, digest: str, *, folder: bool) -> Iterator[tuple[str, int]]:
    yield digest, store.size(digest)
    if folder:
        yield from ((entry.digest, entry.size) for entry in manifest_of(store, digest))


def _record_digests(archive: Archive) -> set[str]:
    return {entry.digest for entry in archive.entries if entry.path in archive.records}


def _check(archive: Archive, export: Export) -> None:
    """Raise Invalid unless *archive* has all objects that the records of *export* need, and only those they name."""
    folders = {link.digest: link for link in export.version.links if link.is_folder}
    allowed, files = mentioned(export), set(needed(export))
    for digest in folders.keys() & archive.sizes.keys():
        entries = _entries(archive, digest)
        files.update(entries)
        if sum(entries.values()) > folders[digest].size:
            raise Invalid(f"the folder {folders[digest].name} of the export is larger than its record says")
    for link in export.version.links:
        if not link.is_folder and archive.sizes.get(link.digest, link.size) != link.size:
            raise Invalid(f"{link.name} of the export does not have the recorded length")
    lost = sorted(files - archive.sizes.keys())
    if lost:
        raise Invalid(f"the export lacks {lost[0]}, which {export.reference} needs")
    held = set(archive.sizes) - _record_digests(archive)
    foreign = held - allowed - files
    for digest in sorted(held & allowed - folders.keys()) if foreign else ():
        foreign.difference_update(_entries(archive, digest, strict=False))
    if foreign:
        raise Invalid(f"the export holds {min(foreign)}, which none of its records refers to")


def _entries(archive: Archive, digest: str, *, strict: bool = True) -> Mapping[str, int]:
    """Return the digests and sizes of the files in the folder whose manifest in *archive* has this *digest*.

    If this object is not a manifest, raises Invalid if *strict* is True, else returns {}.
    """
    try:
        if archive.sizes[digest] > MANIFEST_LIMIT:
            raise Invalid(f"{digest} of the export is not a manifest: it is too long")
        with archive.open(digest) as reader:
            return {entry.digest: entry.size for entry in parse_manifest(reader.read())}
    except Invalid:
        if strict:
            raise
        return {}
