"""`store copy`: copy all objects of a store into another store, verify them on the way and count them at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from pathlib import Path

from gitmodel.domain.changes.purging import purges
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.named_stores.needed_artifacts import folders
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.parallel_transfers import Tally
from gitmodel.stores.artifacts.verifying import verify_file
from gitmodel.stores.interface import ArtifactStore, StoredObject
from gitmodel.stores.opening import open_store
from gitmodel.stores.transfer import Transfer


class Copied(Frozen):
    """The result of `copy_store` from the store at the URL *source* to the store at the URL *target*.

    *copied* is the number of copied objects, *size* the sum of their bytes, and *there* the number of objects that the
    target already had. *failed* has the error messages of the other objects, by digest.
    """

    source: str
    target: str
    copied: int
    size: int
    there: int
    failed: dict[str, str] = field(default_factory=dict)


def copy(writer: Writer, access: Access, to: str, *, source: str, repair: bool, transfer: Transfer) -> Copied:
    """Copy all objects of the store *source* to *to*, the name or URL of a store, as `copy_store` does."""
    target = open_store(to, default_root=Path()) if ":" in to or "/" in to else access.open(to)
    manifests, purged = writer.read(lambda snapshot: (folders(snapshot), purges(snapshot)))
    return copy_store(
        access.open(source), target, manifests=manifests, without=purged, repair=repair, transfer=transfer
    )


def copy_store(
    source: ArtifactStore,
    target: ArtifactStore,
    *,
    manifests: Collection[str] = (),
    without: Collection[str] = (),
    repair: bool = False,
    transfer: Transfer = Transfer(),
) -> Copied:
    """Copy every object that *target* lacks from *source*, except objects whose digests are in *without*.

    Both stores verify each object. Objects that are damaged in *source* are not copied, but listed as failed. Copies
    the objects with the digests *manifests* last, after the files that they list. If *repair*, also replaces objects
    that are damaged in *target* and intact in *source*. After an interruption, a second call copies the rest.

    Raises UsageError if both are the same store, Invalid if *target* lacks copied objects at the end, Unreachable.
    """
    if source.url == target.url:
        raise UsageError(f"{source.url} would be copied into itself", hint="name another store")
    target.create()
    there = {found.digest: found.size for found in target.origin.objects()}
    every = [found for found in source.origin.objects() if found.digest not in without]
    both = [found for found in every if found.digest in there]
    damaged = _find_repairable(source, target, both, transfer.jobs) if repair else set()
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
    _check_all_are_in(target, (found for found in every if found.digest not in failed))
    copied = [found for found in left if found.digest not in failed]
    return Copied(
        source.url, target.url, len(copied), sum(found.size for found in copied), len(every) - len(left), failed
    )


def _find_repairable(source: ArtifactStore, target: ArtifactStore, both: Sequence[StoredObject], jobs: int) -> set[str]:
    """Return the digests of those objects in *both* stores that are damaged in *target* and intact in *source*."""

    def repairable(found: StoredObject) -> str | None:
        return found.digest if not _is_whole(target, found.digest) and _is_whole(source, found.digest) else None

    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        return {digest for digest in pool.map(repairable, both) if digest is not None}


def _is_whole(store: ArtifactStore, digest: str) -> bool:
    try:
        verify_file(store, digest)
    except (Invalid, NotFound):
        return False
    return True


def _check_all_are_in(target: ArtifactStore, objects: Iterable[StoredObject]) -> None:
    there = {found.digest: found.size for found in target.origin.objects()}
    lost = [found.digest for found in objects if there.get(found.digest) != found.size]
    if lost:
        raise Invalid(
            f"{target.url} lacks {len(lost)} objects that were copied to it, for example {lost[0]}",
            hint="run the same command again; if the error repeats, that store loses objects",
        )


def check_copied(done: Copied) -> None:
    """Raise Invalid if some objects could not be copied. The error names the first of them."""
    for digest, why in done.failed.items():
        raise Invalid(
            f"{len(done.failed)} of the objects could not be copied: {digest}: {why}",
            hint="run `git model verify` to see which versions need them",
        )
