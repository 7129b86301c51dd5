"""Verifying the artifacts of versions: comparing their bytes in the stores with the recorded hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

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
    """The result of verifying an artifact. *versions* are the references, such as "iris@3", of versions that need it.

    *error* is "" if the artifact is intact. If *unreachable*, the store did not answer, and the state of the artifact
    is unknown. If *digest* is "", the record of the version cannot be read, so its artifacts are unknown. *uri* is the
    location of an external artifact. *purged* is a text with the purged files and the reasons; it is no error.
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
    """Yield a result for each artifact of the versions *refs* (none: all versions), after reading and hashing it once.

    *source* returns the store of an artifact. The first results, without a digest, are for versions whose records
    cannot be read.
    """
    chosen = tuple(refs)
    needed, damaged, gone = writer.read(lambda snapshot: (*_needed(snapshot, chosen), purges(snapshot)))
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

    Skips files that were purged, and returns a text with these files and the reasons. *gone* are the purges by digest.
    """
    if not link.is_folder:
        verifying.verify_file(place, link.digest, size=link.size, progress=transfer.progress)
        return ""
    verifying.verify_folder(place, link.digest, size=link.size, without=gone, transfer=transfer)
    entries = manifests.manifest_of(place, link.digest) if gone else ()
    return "; ".join(f"{entry.path}: {gone[entry.digest]}" for entry in entries if entry.digest in gone)


_Needed = dict[tuple[object, ...], tuple[ArtifactLink, list[str]]]


def _needed(snapshot: Snapshot, refs: Sequence[VersionRef]) -> tuple[_Needed, list[Verified]]:
    """Return the artifacts of the versions *refs* (none: all), and a result for each damaged record."""
    needed: _Needed = {}
    damaged: list[Verified] = []
    found: Iterable[tuple[str, VersionRecord | Invalid]]
    if refs:
        found = [
            (f"{model}@{number}", snapshot.version(model, number)) for model, number in map(snapshot.resolve, refs)
        ]
    else:
        found = chain.from_iterable(every_version(snapshot, model) for model in snapshot.model_names())
    for reference, record in found:
        if isinstance(record, Invalid):
            damaged.append(Verified("", 0, (reference,), record.message))
            continue
        for link in record.links:
            key = (link.digest, link.is_folder, link.uri, link.version_id)
            needed.setdefault(key, (link, []))[1].append(reference)
    return needed, damaged
