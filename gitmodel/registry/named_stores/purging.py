"""`store purge`: erase the bytes of an artifact permanently, as a law may require, and record a tombstone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitmodel.domain.changes.purging import purge_of
from gitmodel.domain.schema.digests import parse_digest
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.needed_artifacts import MANIFEST, first_bytes, version_links
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.interface import ArtifactStore


class Purged(Frozen):
    """The result of a purge, or the plan of one: the *digests* to erase, and the *versions* that name them.

    *removed* are the URLs of the stores that had erased objects. *kept* are digests of files of the folder that stay,
    because other artifacts need them. *pending* is True until the bytes are erased: the tombstone must first be where
    other clones can see it.
    """

    digests: tuple[str, ...]
    versions: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    pending: bool


def plan_erasure(snapshot: Snapshot, reader: ArtifactStore, digest: str) -> Purged:
    """Plan the purge of the artifact *digest*.

    Of a folder, plan to erase the manifest and the files that no other artifact needs. Raises UsageError if *digest* is
    not a digest or belongs to an external artifact, NotFound if no version names it, it was never purged, and no store
    has it.
    """
    check_digest(digest)
    versions: list[str] = []
    external: list[str] = []
    others: set[str] = set()
    folder = False

    def look(reference: str, link: ArtifactLink) -> None:
        nonlocal folder
        if link.digest == digest:
            (external if link.is_external else versions).append(reference)
            folder = folder or (link.is_folder and not link.is_external)
        elif not link.is_external:
            others.add(link.digest)
            if link.is_folder:
                inside = [entry.digest for entry in _files(reader, link.digest)]
                others.update(inside)
                if digest in inside:
                    versions.append(reference)

    version_links(snapshot, look)
    if external and not versions:
        raise UsageError(
            f"{digest} is an external artifact of {external[0]}: gitmodel never stored its bytes",
            hint="erase the file at its own location, then unlink it",
        )
    if not versions and purge_of(snapshot, digest) is None and not reader.holds(digest):
        raise NotFound(
            f"no version names {digest}, and no store has it", hint="`git model show MODEL@VERSION` has digests"
        )
    if not folder and not versions and reader.holds(digest):
        folder = first_bytes(reader, digest, len(MANIFEST)) == MANIFEST
    files = [entry.digest for entry in _files(reader, digest)] if folder else []
    kept = tuple(dict.fromkeys(found for found in files if found in others))
    erased = tuple(dict.fromkeys([digest, *(found for found in files if found not in others)]))
    return Purged(erased, tuple(dict.fromkeys(versions)), (), kept, pending=True)


def erase(stores: Sequence[ArtifactStore], digests: Iterable[str]) -> tuple[str, ...]:
    """Remove the objects with *digests* from all *stores*, and from the caches of these stores on this machine.

    Returns the URLs of the stores that had one of these objects.
    """
    wanted = list(digests)[::-1]  # manifest last: an interrupted purge needs it to continue
    removed = []
    for store in stores:
        there = [digest for digest in wanted if store.holds(digest)]
        for digest in wanted:
            store.remove(digest)  # a cached copy can exist without the object
        if there:
            removed.append(store.url)
    return tuple(removed)


def check_digest(digest: str) -> None:
    """Raise UsageError if *digest* is not a digest."""
    try:
        parse_digest(digest)
    except Invalid as error:
        raise UsageError(error.message, hint="`git model version artifacts MODEL@VERSION` has digests") from None


def _files(reader: ArtifactStore, digest: str) -> Sequence[ManifestEntry]:
    try:
        return manifest_of(reader, digest)
    except NotFound:
        return ()
    except GitModelError as error:
        raise Invalid(
            f"the content of the folder {digest} is unknown, so nothing was erased: {error.message}", hint=error.hint
        ) from None
