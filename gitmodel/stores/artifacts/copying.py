"""Copying artifacts to another store, and protecting artifacts from garbage collection until a commit names them."""

from __future__ import annotations

from collections.abc import Iterable

from gitmodel.domain.schema.digests import Digest
from gitmodel.stores.artifacts.manifests import manifest_of, members_of
from gitmodel.stores.artifacts.parallel_transfers import in_parallel
from gitmodel.stores.interface import ArtifactStore, is_old, wrong_size
from gitmodel.stores.transfer import JOBS, Sent


def copy_artifacts(
    source: ArtifactStore,
    target: ArtifactStore,
    artifacts: Iterable[tuple[Digest, bool, int | None]],
    *,
    jobs: int = JOBS,
    sent: Sent | None = None,
) -> None:
    """Copy *artifacts* from *source* to *target*.

    Each artifact is given as its digest, True for a folder, and the recorded size (None: unknown). Objects that the
    target has are not copied. Copies *jobs* objects at a time, and the manifests of folders after all files. *sent* is
    called with the number of new bytes whenever *target* received some, and with the size of each object that *target*
    had already. Raises Invalid if an artifact is damaged, NotFound if *source* lacks it, Unreachable if a store fails.
    """

    def copy(one: tuple[Digest, int]) -> None:
        digest, size = one
        if not keep_artifact(target, digest, folder=False):
            with source.open(digest, size) as reader:
                target.put_known(digest, size, reader, sent=sent)
        elif sent is not None:
            sent(size)

    files: dict[Digest, int] = {}
    folders = []
    for digest, is_folder, size in artifacts:
        if is_folder:
            folders.append(digest)
            files.update((entry.digest, entry.size) for entry in members_of(source, digest, size))
            continue
        files[digest] = found = source.size(digest)
        if size is not None and found != size:
            raise wrong_size(digest, size, found)
    in_parallel(copy, files.items(), jobs)
    for folder in folders:
        with source.open(folder) as reader:
            target.put_known(folder, source.size(folder), reader)


def keep_artifact(store: ArtifactStore, digest: Digest, *, folder: bool, jobs: int = JOBS) -> bool:
    """Return True if *store* has the artifact, and renew the artifact's timestamp if it is old.

    The caller will name the artifact in a commit. Until then a fresh timestamp keeps `store gc`, on any machine, from
    deleting the artifact. A folder's manifest is renewed after its files, so a fresh manifest implies fresh files.
    """
    there = store.stat(digest)
    if there is None:
        return False
    if is_old(there):
        if folder:
            entries = manifest_of(store, digest)
            if not all(in_parallel(lambda entry: keep_artifact(store, entry.digest, folder=False), entries, jobs)):
                return False
        store.renew(digest)
    return True
