"""Verifying the bytes of artifacts in a store, and finding the verified file of an artifact on this machine."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gitmodel.domain.schema.digests import Digest
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.stores.artifacts.manifests import members_of, naming
from gitmodel.stores.artifacts.parallel_transfers import Tally, in_parallel
from gitmodel.stores.artifacts.storing import StoredArtifact
from gitmodel.stores.external.external_store import ExternalStore
from gitmodel.stores.interface import ArtifactStore, is_old, wrong_size
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.several_stores import SeveralStores
from gitmodel.stores.transfer import JOBS, Progress, Transfer
from gitmodel.stores.verified_reading import CHUNK, chunks, read_into

if TYPE_CHECKING:
    from gitmodel.stores.remote.remote_store import RemoteStore


def verified_path(store: ArtifactStore, digest: Digest, size: int) -> Path | None:
    """Verify the object of *size* bytes and return the path of its file; None if this machine has no such file."""
    holder = _holder_of(store, digest)
    if isinstance(holder, ExternalStore):
        if (path := holder.local_path()) is not None:
            verify_file(holder, digest)
        return path
    has_paths: Callable[[Digest, int], Path] | None = getattr(holder, "path", None)
    return has_paths(digest, size) if has_paths else None


def held_file(store: ArtifactStore, digest: Digest, size: int) -> AbstractContextManager[Path | None]:
    """Return a context manager that yields a path to the verified file of the object.

    The path leads to the verified file even if another process replaces the object. If the store has no file of the
    object on this machine, the context manager yields None.
    """
    held: Callable[[Digest, int], AbstractContextManager[Path]] | None = getattr(
        _holder_of(store, digest), "held", None
    )
    return held(digest, size) if held else nullcontext()


def read_verified(store: ArtifactStore, digest: Digest, size: int) -> io.BytesIO:
    """Return the verified bytes of the object of *size* bytes. Raises the errors of the store."""
    found = store.size(digest)
    if found != size:
        raise wrong_size(digest, size, found)
    content = io.BytesIO(bytes(size))
    with store.open(digest, size) as reader, content.getbuffer() as view:
        filled = 0
        while filled < size and (count := read_into(view[filled : filled + CHUNK], reader)):
            filled += count
    if filled != size:
        raise wrong_size(digest, size, filled)
    return content


def are_whole(store: ArtifactStore, objects: Iterable[tuple[Digest, int | None]], *, read_servers: bool = True) -> bool:
    """Return True if the store has each of *objects* (digest, and size if known) with the right bytes.

    If *read_servers* is False, an object on a server is not read, and counts as right if its size and the metadata that
    gitmodel sets are right. Renews the timestamps of old objects, as `keep_artifact` does. Raises Invalid if an object
    that was read is damaged.
    """

    def is_whole(one: tuple[Digest, int | None]) -> bool:
        digest, size = one
        holder = _holder_of(store, digest)
        there = holder.stat(digest)
        if there is None or (size is not None and there.size != size):
            return False
        if isinstance(holder, LocalStore):
            holder.path(digest, there.size)
        elif not cast("RemoteStore", holder.origin).is_whole(there, read=read_servers):
            return False
        if is_old(there):
            store.renew(digest)
        return True

    wanted = list(objects)
    return all(map(is_whole, wanted)) if len(wanted) == 1 else all(in_parallel(is_whole, wanted, JOBS))


def _holder_of(store: ArtifactStore, digest: Digest) -> ArtifactStore:
    """Return the store that has the object: *store*, or one of the stores of which it is composed."""
    while isinstance(store, SeveralStores):
        store = store.holder(digest)
    return store


def verify_file(
    store: ArtifactStore, digest: Digest, *, size: int | None = None, progress: Progress | None = None
) -> StoredArtifact:
    """Read and hash the object in its store, not a cached copy.

    Raises Invalid if the object does not match *digest* or the recorded *size*, NotFound if it is missing.
    """
    count = Tally(progress, store.size(digest) if progress else 0)
    return StoredArtifact(digest, _verify(store.origin, digest, size, count), folder=False)


def verify_folder(
    store: ArtifactStore,
    digest: Digest,
    *,
    size: int | None = None,
    without: Container[Digest] = (),
    transfer: Transfer = Transfer(),
) -> StoredArtifact:
    """Read and hash the manifest *digest* and every file that it names, except files whose digests are in *without*.

    Raises the errors of `verify_file`, with the path of the file in the message.
    """
    store = store.origin
    entries = members_of(store, digest, size)
    once = list({(entry.digest, entry.size): entry for entry in entries if entry.digest not in without}.values())
    count = Tally(transfer.progress, sum(entry.size for entry in once))
    in_parallel(lambda entry: verify_entry(store, entry, count), once, transfer.jobs, count)
    return StoredArtifact(digest, sum(entry.size for entry in entries), folder=True)


def verify_entry(store: ArtifactStore, entry: ManifestEntry, count: Tally) -> None:
    """Read and hash the file *entry* of a folder. Raises the errors of `verify_file`, which name the file."""
    with naming(entry):
        _verify(store, entry.digest, entry.size, count)


def _verify(store: ArtifactStore, digest: Digest, size: int | None, count: Tally) -> int:
    """Read and hash the object, add its bytes to *count*, and return its length. Raises Invalid for a wrong length."""
    with store.open(digest, size) as reader:
        read = sum(map(len, count.counted(chunks(reader))))
    if size is not None and read != size:
        raise wrong_size(digest, size, read)
    return read
