"""The verbs of artifacts: store what a path holds, link it, unlink it, fetch it, load it, verify it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitmodel.domain import versions as planning
from gitmodel.domain.names import check_name
from gitmodel.domain.needs import every_version
from gitmodel.domain.records import FOLDER_FORMAT, KINDS, ArtifactLink, VersionRecord
from gitmodel.domain.references import VersionRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, Unreachable, UsageError
from gitmodel.registry.writer import Writer
from gitmodel.storage import artifacts as storage
from gitmodel.storage.artifacts import Progress
from gitmodel.storage.stores import ArtifactStore


@dataclass(frozen=True)
class Verified:
    """What re-hashing found: *versions* are the references of those that need it; *error* is "" if it is whole.

    *unreachable* says that its store could not be asked, so that nothing is known. Without a *digest* it is a version
    whose own record cannot be read.
    """

    digest: str
    size: int
    versions: tuple[str, ...]
    error: str = ""
    unreachable: bool = False


def store_artifact(
    store: ArtifactStore,
    name: str,
    path: Path,
    *,
    kind: str,
    format: str = "",
    metadata: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ArtifactLink:
    """Put the file or folder at *path* into the store; returns the link that a version can take.

    *format* is detected from the content where it is left out. Raises NotFound, UsageError, Conflict, Unreachable.
    """
    from gitmodel import formats

    check_name(name, "artifact")
    if kind not in KINDS:
        raise UsageError(f"{kind!a} is no kind of artifact", hint=f"the kinds are {', '.join(KINDS)}")
    read = planning.read_metadata(metadata or {})
    stored = storage.put_path(store, path, progress=progress)
    detected = FOLDER_FORMAT if stored.folder else format or formats.detect_format(path)
    return ArtifactLink(name, kind, stored.digest, stored.size, detected, metadata=read)


def link_artifacts(writer: Writer, ref: VersionRef, links: Iterable[ArtifactLink]) -> int:
    """Link artifacts to a version; returns its number. Raises Refused if a stage, alias or archived marker names it."""
    new = tuple(links)

    def plan(snapshot: Snapshot) -> Any:
        model, number = snapshot.resolve(ref)
        return planning.plan_links(snapshot, model, number, new)

    return int(writer.transact(plan))


def unlink_artifact(writer: Writer, ref: VersionRef, name: str) -> int:
    """Take an artifact from a version; its bytes stay in the store. Raises NotFound, Refused."""

    def plan(snapshot: Snapshot) -> Any:
        model, number = snapshot.resolve(ref)
        return planning.plan_unlink(snapshot, model, number, name)

    return int(writer.transact(plan))


def fetch_artifact(store: ArtifactStore, link: ArtifactLink, target: Path, *, progress: Progress | None = None) -> None:
    """Write the artifact to *target*, verified before it appears there. Raises Invalid, NotFound, Unreachable."""
    if link.is_folder:
        storage.get_folder(store, link.digest, target, progress=progress)
    else:
        storage.get_file(store, link.digest, target, progress=progress)


def only_artifact(record: VersionRecord, model: str, name: str | None) -> ArtifactLink:
    """The artifact *name*, or the only one if none is named. Raises NotFound, UsageError."""
    if name is not None:
        return planning.artifact(record, model, name)
    models = [link for link in record.artifacts if link.kind == "model"] or list(record.artifacts)
    if len(models) == 1:
        return models[0]
    names = ", ".join(link.name for link in record.artifacts) or "none"
    raise UsageError(f"{model}@{record.number} does not have one artifact to choose", hint=f"name one of: {names}")


def verify(
    writer: Writer, store: ArtifactStore, refs: Iterable[VersionRef] = (), *, progress: Progress | None = None
) -> Iterator[Verified]:
    """Re-hash every artifact that the versions *refs* (none: all versions of all models) point at, each once.

    A version whose record cannot be read comes first, without a digest: nobody knows what it needs.
    """
    asked = tuple(refs)
    needed, damaged = writer.read(lambda snapshot: _needed(snapshot, asked))
    yield from damaged
    for link, versions in needed.values():
        check = storage.verify_folder if link.is_folder else storage.verify_file
        try:
            check(store, link.digest, progress=progress)
            yield Verified(link.digest, link.size, tuple(versions))
        except GitModelError as error:
            unreachable = isinstance(error, Unreachable)
            yield Verified(link.digest, link.size, tuple(versions), error.message, unreachable)


_Needed = dict[tuple[str, bool], tuple[ArtifactLink, list[str]]]


def _needed(snapshot: Snapshot, asked: Iterable[VersionRef]) -> tuple[_Needed, list[Verified]]:
    needed: _Needed = {}
    damaged: list[Verified] = []
    for reference, record in _asked(snapshot, asked):
        if isinstance(record, Invalid):
            damaged.append(Verified("", 0, (reference,), record.message))
            continue
        for link in record.artifacts:
            _, versions = needed.setdefault((link.digest, link.is_folder), (link, []))
            versions.append(reference)
    return needed, damaged


def _asked(snapshot: Snapshot, asked: Iterable[VersionRef]) -> Iterator[tuple[str, VersionRecord | Invalid]]:
    refs = tuple(asked)
    for ref in refs:
        model, number = snapshot.resolve(ref)
        yield f"{model}@{number}", snapshot.version(model, number)
    if not refs:
        for model in snapshot.model_names():
            yield from every_version(snapshot, model)
