"""`store gc`: find objects that no version, run, tag or recent upload needs, and remove them on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gitmodel.branch import remotes
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.needed_artifacts import find_needs
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.stores.interface import ArtifactStore, Leftover, StoredObject

_DAY = 86_400.0


class Garbage(Frozen):
    """Removable *objects* of the store at the URL *store*, and removable *leftovers* of interrupted uploads.

    *purged* are the digests of the purged objects among *objects*. *needed* is the number of objects that a version,
    run or tag needs. *recent* is the number of objects that nothing needs, but that are too recent to be removed.
    """

    store: str
    objects: tuple[StoredObject, ...]
    leftovers: tuple[Leftover, ...]
    purged: frozenset[str]
    needed: int
    recent: int

    @property
    def size(self) -> int:
        """The total size of the objects and leftovers in bytes."""
        return sum(found.size for found in self.objects) + sum(left.size for left in self.leftovers)


def find_garbage(
    repository: Repository,
    access: Access,
    name: str,
    *,
    now: float,
    grace_days: float,
    also: Iterable[Repository] = (),
) -> Garbage:
    """Find objects in the store *name* that are older than *grace_days* and that no registry needs.

    The registries are that of *repository* and those in *also*. If other machines can reach the store, fetches the
    remote first, so that objects of new versions on the remote are kept. *now* is in seconds since 1970. Purged objects
    are garbage even if they are recent or another registry needs them. Raises Invalid if a record cannot be read,
    because that record could need any object.
    """
    require_clone(repository)
    store = access.open(name)
    if store.shared:
        fetch_remote_tip(repository)
    readers = access.every()  # the store can lack manifests of folders that other stores have
    # The store is listed first, so that objects that are uploaded while the records are read are never removed.
    objects = list(store.origin.objects())
    leftovers = store.origin.leftovers()
    needs = find_needs((repository, *also), readers)
    if needs.damaged:
        more = f", and {len(needs.damaged) - 1} more" if len(needs.damaged) > 1 else ""
        raise Invalid(
            f"a record cannot be read, so nothing is removed: {needs.damaged[0]}{more}",
            hint="run `git model check` and fix it first",
        )
    from gitmodel.stores.local_store import LocalStore

    oldest = now - grace_days * _DAY
    purged = frozenset(found.digest for found in objects if found.digest in needs.purged)
    unneeded = [found for found in objects if found.digest in purged or found.digest not in needs.digests]
    old = [found for found in unneeded if found.digest in purged or found.modified < oldest]
    return Garbage(
        store.url,
        tuple(old),
        # A store in a folder recognizes leftovers of killed writers by locks, other stores only by age.
        tuple(left for left in leftovers if isinstance(store.origin, LocalStore) or left.modified < oldest),
        purged,
        needed=len(objects) - len(unneeded),
        recent=len(unneeded) - len(old),
    )


def require_clone(repository: Repository) -> None:
    """Raise UsageError for a registry by URL, because only a clone has all branches whose records can need objects."""
    if repository.url:
        raise UsageError(
            "objects of a store can be deleted only in a clone, which has all branches",
            hint=f"git model clone {repository.url}",
        )


def fetch_remote_tip(repository: Repository) -> Oid | None:
    """Fetch the remote's branch and return its commit; None if there is no remote, or if it has no registry."""
    try:
        remote = remotes.choose_remote(repository)
    except NotFound:
        return None
    return remotes.fetch(repository, remote).tip


def remove_garbage(store: ArtifactStore, found: Garbage) -> Garbage:
    """Remove the garbage *found*, with the copies of its objects on this machine. Return the removed garbage.

    An object that a process stored again after `find_garbage` stays, because the process is about to commit a version
    that needs it. Raises Unreachable if the store fails; by then, a part of the garbage may be removed.
    """
    gone = []
    for one in found.objects:
        now = None if one.digest in found.purged else store.origin.stat(one.digest)
        if now is None or now.modified <= one.modified:
            store.remove(one.digest)
            gone.append(one)
    for left in found.leftovers:
        store.remove_leftover(left)
    return replace(found, objects=tuple(gone), recent=found.recent + len(found.objects) - len(gone))
