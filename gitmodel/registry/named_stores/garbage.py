"""`store gc`: find objects that no version, run, tag or recent upload needs, and remove them on request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gitmodel.branch.repository import Repository
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.needed_artifacts import find_needs
from gitmodel.stores.interface import ArtifactStore, Leftover, StoredObject

GRACE_DAYS = 14.0
_DAY = 86_400.0


class Garbage(Frozen):
    """Removable *objects* and *leftovers* of uploads; *purged* are the digests of purged objects among them.

    *needed* is the number of objects that a version, run or tag needs. *recent* is the number of objects that nothing
    needs, and that are kept because they are recent.
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
    repositories: Iterable[Repository],
    store: ArtifactStore,
    readers: ArtifactStore,
    *,
    now: float,
    grace_days: float = GRACE_DAYS,
) -> Garbage:
    """Find objects in *store* that no registry in *repositories* needs and that are older than *grace_days*.

    *readers* is the store from which manifests of folders are read, because *store* can lack some. *now* is in seconds
    since 1970. Purged objects are garbage even if they are recent. Raises Invalid if a record cannot be read, because
    that record could need any object.
    """
    # The store is listed first, so that objects that are uploaded while the records are read are never removed.
    objects = list(store.origin.objects())
    leftovers = store.origin.leftovers()
    # A purged object is garbage even if another of the registries needs it.
    needs = find_needs(repositories, readers)
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


def remove_garbage(store: ArtifactStore, found: Garbage) -> Garbage:
    """Remove the garbage *found*, with the copies of its objects on this machine. Return the removed garbage.

    An object that was stored again in the meantime stays, because the process that stored it is about to commit a
    version that needs it. Raises Unreachable if the store fails; a part of the garbage may be removed by then.
    """
    gone = []
    for one in found.objects:
        if one.digest in found.purged or not _is_stored_again(store.origin, one):
            store.remove(one.digest)
            gone.append(one)
    for left in found.leftovers:
        store.remove_leftover(left)
    return replace(found, objects=tuple(gone), recent=found.recent + len(found.objects) - len(gone))


def _is_stored_again(store: ArtifactStore, found: StoredObject) -> bool:
    there = store.stat(found.digest)
    return there is not None and there.modified > found.modified
