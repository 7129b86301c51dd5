"""Copying artifact stores, collecting their garbage and purging artifacts. Callers give the names of stores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gitmodel.branch import remotes
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.purging import plan_purge as plan_tombstones
from gitmodel.domain.changes.purging import purge_of, purges
from gitmodel.domain.changes.stores import DEFAULT
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import NotFound, Refused, UsageError
from gitmodel.registry.named_stores import copying, garbage, purging
from gitmodel.registry.named_stores.copying import Copied
from gitmodel.registry.named_stores.garbage import Garbage
from gitmodel.registry.named_stores.needed_artifacts import folders
from gitmodel.registry.named_stores.purging import Purged
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.opening import open_store
from gitmodel.stores.transfer import Transfer


def copy(
    writer: Writer,
    access: Access,
    to: str,
    *,
    source: str = DEFAULT,
    repair: bool = False,
    transfer: Transfer = Transfer(),
) -> Copied:
    """Copy all objects of the store *source* to *to*, the name or URL of a store; see `copying.copy_store`."""
    target = open_store(to, default_root=Path()) if ":" in to or "/" in to else access.open(to)
    manifests, gone = writer.read(lambda snapshot: (folders(snapshot), purges(snapshot)))
    return copying.copy_store(
        access.open(source), target, manifests=manifests, without=gone, repair=repair, transfer=transfer
    )


def find_garbage(
    repository: Repository,
    access: Access,
    store: str,
    *,
    now: float,
    grace_days: float,
    also: Iterable[Repository] = (),
) -> Garbage:
    """Find the removable objects of the store *store*; see `garbage.find_garbage`.

    Objects that the registries in *also* need are not removable. If the store is shared, fetches the remote first, so
    that new versions on the remote count.
    """
    _require_clone(repository)
    opened = access.open(store)
    if opened.shared:
        _remote_tip(repository)
    readers = access.every()
    return garbage.find_garbage((repository, *also), opened, readers, now=now, grace_days=grace_days)


def plan_purge(writer: Writer, access: Access, digest: str) -> Purged:
    """Return the effects that `purge` would have for the artifact *digest*. Changes nothing.

    Raises NotFound, UsageError, Unreachable.
    """
    return writer.read(lambda snapshot: purging.plan_erasure(snapshot, access.every(), digest))


def purge(writer: Writer, repository: Repository, access: Access, digest: str, reason: str) -> Purged:
    """Record the tombstone of the artifact *digest*, and erase its bytes in all stores of the registry.

    If one of the stores is shared, the bytes are erased only when the remote's branch has the tombstone, where other
    clones see it. Until then the purge is pending, and a second call completes it. If a store cannot be opened, nothing
    is recorded.
    """
    _require_clone(repository)
    purging.check_digest(digest)
    places = access.places()
    stores = [access.open(named.name) for named in places]
    for named, store in zip(places, stores, strict=True):
        store.origin.holds(digest)
        if named.read_only:
            raise Refused(
                f"the artifact store {store.url} is read-only on this machine, and cannot be purged",
                hint="run this command on a machine that may write to the store",
            )
    shared = any(store.shared for store in stores)
    tip = _remote_tip(repository) if shared else None
    plan, now = plan_purge(writer, access, digest), writer.moment()
    writer.transact(lambda snapshot: plan_tombstones(snapshot, plan.digests, reason, now))
    if tip:
        remote = repository.snapshot_at(tip)
        if any(purge_of(remote, each) is None for each in plan.digests):
            return plan
    return replace(plan, removed=purging.erase(stores, plan.digests), pending=False)


def _require_clone(repository: Repository) -> None:
    if repository.url:
        raise UsageError(
            "objects of a store can be deleted only in a clone, which has all branches",
            hint=f"git model clone {repository.url}",
        )


def _remote_tip(repository: Repository) -> Oid | None:
    """Fetch the remote's branch and return its commit; None if there is no remote, or if it has no registry."""
    try:
        remote = remotes.choose_remote(repository)
    except NotFound:
        return None
    return remotes.fetch(repository, remote).tip
