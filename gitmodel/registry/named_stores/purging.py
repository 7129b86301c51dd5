"""`store purge`: erase the bytes of an artifact permanently, as a law may require, and record a tombstone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.purging import plan_purge as plan_tombstones
from gitmodel.domain.changes.purging import purge_of
from gitmodel.domain.schema.digests import parse_digest
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.garbage import fetch_remote_tip, require_clone
from gitmodel.registry.named_stores.needed_artifacts import MANIFEST, first_bytes, version_links
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.interface import ArtifactStore


class Purged(Frozen):
    """The result of a purge, or the plan of one: the *digests* to erase, and the *versions* that name them.

    *removed* are the URLs of the stores from which objects were erased. *kept* are digests of files of the folder that
    stay, because other artifacts need them. *pending* is True until the bytes are erased.
    """

    digests: tuple[str, ...]
    versions: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    pending: bool


def plan_purge(writer: Writer, access: Access, digest: str) -> Purged:
    """Return the effects that `purge` would have for the artifact *digest*. Changes nothing.

    A purge of a folder erases the manifest and the files that no other artifact needs. Raises UsageError if *digest* is
    not a digest or belongs to an external artifact; NotFound if no version names it, it was never purged, and no store
    has it; Unreachable.
    """
    return writer.read(lambda snapshot: _plan(snapshot, access.every(), digest))


def _plan(snapshot: Snapshot, reader: ArtifactStore, digest: str) -> Purged:
    _check_digest(digest)
    versions: list[str] = []
    external: list[str] = []
    others: set[str] = set()
    folder = False
    for reference, link in version_links(snapshot):
        if isinstance(link, Invalid):
            continue
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


def purge(writer: Writer, repository: Repository, access: Access, digest: str, reason: str) -> Purged:
    """Record the tombstone of the artifact *digest*, and erase its bytes in all stores of the registry.

    If other machines can reach one of the stores and there is a remote, erases the bytes only if the remote's branch
    has the tombstone, where other clones see it. Otherwise only records the tombstone: push the branch and call this
    function again. If a store cannot be opened, records nothing.
    """
    require_clone(repository)
    _check_digest(digest)
    places = access.places()
    stores = [access.open(named.name) for named in places]
    for named, store in zip(places, stores, strict=True):
        store.origin.holds(digest)
        if named.read_only:
            raise Refused(
                f"the artifact store {store.url} is read-only on this machine, and cannot be purged",
                hint="run this command on a machine that may write to the store",
            )
    tip = fetch_remote_tip(repository) if any(store.shared for store in stores) else None
    plan, now = plan_purge(writer, access, digest), repository.identity.moment()
    writer.transact(lambda snapshot: plan_tombstones(snapshot, plan.digests, reason, now))
    if tip:
        remote = repository.snapshot_at(tip)
        if any(purge_of(remote, each) is None for each in plan.digests):
            return plan
    return replace(plan, removed=_erase(stores, plan.digests), pending=False)


def _erase(stores: Sequence[ArtifactStore], digests: Iterable[str]) -> tuple[str, ...]:
    """Remove the objects with *digests* from *stores* and their caches. Return the URLs of the stores that had any."""
    wanted = list(digests)[::-1]  # the manifest comes last, because an interrupted purge needs it to continue
    removed = []
    for store in stores:
        there = [digest for digest in wanted if store.holds(digest)]
        for digest in wanted:
            store.remove(digest)  # a cached copy can exist without the object
        if there:
            removed.append(store.url)
    return tuple(removed)


def _check_digest(digest: str) -> None:
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
