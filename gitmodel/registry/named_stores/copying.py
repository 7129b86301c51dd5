"""`store copy`: copy all objects of a store into another store, verify them on the way and count them at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.stores.artifacts.parallel_transfers import Tally
from gitmodel.stores.artifacts.verifying import verify_file
from gitmodel.stores.interface import ArtifactStore, StoredObject
from gitmodel.stores.transfer import Transfer


class Copied(Frozen):
    """The result of a copy: objects and bytes *copied*, objects *there* already, and objects that *failed*."""

    source: str
    target: str
    copied: int
    size: int
    there: int
    failed: dict[str, str] = field(default_factory=dict)


def copy_store(
    source: ArtifactStore,
    target: ArtifactStore,
    *,
    manifests: Collection[str] = (),
    without: Collection[str] = (),
    repair: bool = False,
    transfer: Transfer = Transfer(),
) -> Copied:
    """Copy every object of *source* that *target* lacks. The *manifests* are copied after the files that they list.

    Each object is hashed while it is read, and the target verifies it. At the end the target is listed again. Damaged
    objects of the source are not copied, but returned as failed. After an interruption, a second call copies the rest.
    Objects in *without* are not copied. With *repair*, the objects that *target* already has are read, too. If *source*
    has an intact copy of a damaged object, the copy replaces it.

    Raises UsageError if both are the same store, Invalid if the target lacks objects at the end, Unreachable.
    """
    if source.url == target.url:
        raise UsageError(f"{source.url} would be copied into itself", hint="name another store")
    target.create()
    there = {found.digest: found.size for found in target.origin.objects()}
    every = [found for found in source.origin.objects() if found.digest not in without]
    both = [found for found in every if found.digest in there]
    damaged = _find_damaged(source, target, both, transfer.jobs) if repair else set()
    left = [found for found in every if there.get(found.digest) != found.size or found.digest in damaged]
    sent, failed = Tally(transfer.progress, sum(found.size for found in left)), dict[str, str]()

    def copy(found: StoredObject) -> None:
        try:
            with source.origin.open(found.digest) as reader:
                target.origin.put_known(found.digest, found.size, reader, sent=sent.add)
        except (Invalid, NotFound) as error:  # only this object is damaged; the others are copied
            failed[found.digest] = error.message

    last = set(manifests)
    for part in ([one for one in left if one.digest not in last], [one for one in left if one.digest in last]):
        with ThreadPoolExecutor(max(transfer.jobs, 1)) as pool:
            list(pool.map(copy, part))
    _check_arrival(target, (found for found in every if found.digest not in failed))
    copied = [found for found in left if found.digest not in failed]
    return Copied(
        source.url, target.url, len(copied), sum(found.size for found in copied), len(every) - len(left), failed
    )


def _find_damaged(source: ArtifactStore, target: ArtifactStore, both: Sequence[StoredObject], jobs: int) -> set[str]:
    """Return the digests of objects that are damaged in *target* and intact in *source*."""

    def is_repairable(found: StoredObject) -> bool:
        return not _is_whole(target, found.digest) and _is_whole(source, found.digest)

    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        return {one.digest for one, repairs in zip(both, pool.map(is_repairable, both), strict=True) if repairs}


def _is_whole(store: ArtifactStore, digest: str) -> bool:
    try:
        verify_file(store, digest)
    except (Invalid, NotFound):
        return False
    return True


def _check_arrival(target: ArtifactStore, wanted: Iterable[StoredObject]) -> None:
    there = {found.digest: found.size for found in target.origin.objects()}
    lost = [found.digest for found in wanted if there.get(found.digest) != found.size]
    if lost:
        raise Invalid(
            f"{target.url} lacks {len(lost)} objects that were copied to it, for example {lost[0]}",
            hint="run the same command again; if the error repeats, that store loses objects",
        )


def check_copied(done: Copied) -> None:
    """If some objects could not be copied, raise Invalid, which names the first of them."""
    for digest, why in done.failed.items():
        raise Invalid(
            f"{len(done.failed)} of the objects could not be copied: {digest}: {why}",
            hint="run `git model verify` to see which versions need them",
        )
