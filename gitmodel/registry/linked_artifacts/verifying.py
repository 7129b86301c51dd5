"""Verifying the artifacts of versions: comparing their bytes in the stores with the recorded hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from gitmodel.domain.changes.purging import Purge, purges
from gitmodel.domain.schema.records import ArtifactLink, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.every_version import every_version
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, Refused, Unreachable
from gitmodel.frozen import Frozen
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts import manifests, verifying
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import Transfer

Source = Callable[[str, ArtifactLink], ArtifactStore]
"""Type of a function that returns the store of an artifact of a model."""


class Verified(Frozen):
    """The result of verifying an artifact; *versions* are the references of the versions that need it.

    *error* is "" if the artifact is intact. If the store does not answer, *unreachable* is True, and the state of the
    artifact is unknown. If the record of a version cannot be read, its artifacts are unknown, and *digest* is "". *uri*
    is the location of an external artifact. *purged* names the files of the artifact that were purged, with the
    reasons. A purged file is not an error.
    """

    digest: str
    size: int
    versions: tuple[str, ...]
    error: str = ""
    unreachable: bool = False
    uri: str = ""
    purged: str = ""


def verify(
    writer: Writer,
    source: Source,
    refs: Iterable[VersionRef] = (),
    *,
    transfer: Transfer = Transfer(),
) -> Iterator[Verified]:
    """Read and hash every artifact that the versions *refs* need, each once, and yield the results.

    If *refs* is empty, verifies the artifacts of all versions of all models. *source* returns the store of an artifact.
    Versions whose records cannot be read come first, without a digest, because their artifacts are unknown.
    """
    asked = tuple(refs)
    needed, damaged, gone = writer.read(lambda snapshot: (*_needed(snapshot, asked), purges(snapshot)))
    yield from damaged
    for link, versions in needed.values():
        found = Verified(link.digest, link.size, tuple(versions), uri=link.uri or "")
        if link.digest in gone and not link.is_external:
            yield replace(found, purged=str(gone[link.digest]))
            continue
        try:
            place = source(versions[0].partition("@")[0], link)
            yield replace(found, purged=_verify(place, link, gone, transfer))
        except Refused as error:
            if not link.is_external:
                raise
            yield replace(found, error=error.message, unreachable=True)
        except GitModelError as error:
            yield replace(found, error=error.message, unreachable=isinstance(error, Unreachable))


def _verify(place: ArtifactStore, link: ArtifactLink, gone: Mapping[str, Purge], transfer: Transfer) -> str:
    """Read the artifact *link* from the store *place*, and raise an error if its bytes do not match its digest.

    Skips files that were purged: *gone* are the purges by digest. Returns the paths of these files and the reasons as
    text.
    """
    if not link.is_folder:
        verifying.verify_file(place, link.digest, size=link.size, progress=transfer.progress)
        return ""
    verifying.verify_folder(place, link.digest, size=link.size, without=gone, transfer=transfer)
    entries = manifests.manifest_of(place, link.digest) if gone else ()
    return "; ".join(f"{entry.path}: {gone[entry.digest]}" for entry in entries if entry.digest in gone)


_Needed = dict[tuple[object, ...], tuple[ArtifactLink, list[str]]]


def _needed(snapshot: Snapshot, asked: Iterable[VersionRef]) -> tuple[_Needed, list[Verified]]:
    needed: _Needed = {}
    damaged: list[Verified] = []
    for reference, record in _asked(snapshot, asked):
        if isinstance(record, Invalid):
            damaged.append(Verified("", 0, (reference,), record.message))
            continue
        for link in record.links:
            key = (link.digest, link.is_folder, link.uri, link.version_id)
            needed.setdefault(key, (link, []))[1].append(reference)
    return needed, damaged


def _asked(snapshot: Snapshot, asked: Iterable[VersionRef]) -> Iterator[tuple[str, VersionRecord | Invalid]]:
    refs = tuple(asked)
    for ref in refs:
        model, number = snapshot.resolve(ref)
        yield f"{model}@{number}", snapshot.version(model, number)
    if not refs:
        for model in snapshot.model_names():
            yield from every_version(snapshot, model)
