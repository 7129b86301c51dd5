"""Storing, fetching and verifying files and folders as artifacts, in any kind of store."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from gitmodel.domain.schema.digests import Digest
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest, parse_manifest
from gitmodel.domain.schema.portable_paths import git_paths, unportable_paths
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, UsageError
from gitmodel.stores.artifacts.parallel_transfers import Tally, in_parallel
from gitmodel.stores.artifacts.target_files import (
    making_beside,
    refuse_occupied,
    require_parent,
    write_object,
    writing,
)
from gitmodel.stores.external.external_store import ExternalStore
from gitmodel.stores.interface import ArtifactStore, is_old, wrong_size
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.several_stores import SeveralStores
from gitmodel.stores.sources.source_credentials import refuse_credentials
from gitmodel.stores.sources.source_files import SourceFile, find_source, list_folder, open_source, refuse_git
from gitmodel.stores.sources.source_pictures import refuse_large_picture
from gitmodel.stores.transfer import JOBS, Progress, Sent, Transfer
from gitmodel.stores.verified_reading import CHUNK, chunks, read_into

if TYPE_CHECKING:
    from gitmodel.stores.remote.remote_store import RemoteStore

# About two million files. The limit keeps gitmodel from reading a large model as a manifest if a link is wrong.
MANIFEST_LIMIT = 256 << 20


class StoredArtifact(NamedTuple):
    """An artifact in a store. For a folder: the digest of its manifest, and the total size of its files in bytes.

    *unportable* are the paths of a folder that Windows does not support, each with the reason.
    """

    digest: Digest
    size: int
    folder: bool
    unportable: tuple[str, ...] = ()


def put_path(
    store: ArtifactStore,
    path: Path,
    *,
    name: str = "",
    format: str = "",
    allow_credentials: bool = False,
    follow_links: Path | None = None,
    transfer: Transfer = Transfer(),
) -> StoredArtifact:
    """Store the file or folder *path*. For a folder, store every file, and last the manifest that names them.

    A link into the folder *follow_links* is stored as its target.

    Raises NotFound or UsageError for a path that cannot be stored, such as a large picture, Conflict for a file that
    changed while it was read, Refused for a git repository and, unless *allow_credentials*, for credentials. *name* is
    the artifact's name in messages, *format* the format that will be recorded ("": as detected).
    """
    refuse_git(path, follow_links)
    refuse_large_picture(path, name or path.name, format)
    if not allow_credentials:
        refuse_credentials(path, name or path.name, follow_links)
    place = find_source(path, follow_links)
    if place.is_dir():
        return _put_folder(store, place, follow_links, transfer)
    count = Tally(transfer.progress, _size_of(place))
    with open_source(place, str(path), linked=path.is_symlink()) as source:
        digest, size = store.put_stream(source, sent=count.add)
    return StoredArtifact(digest, size, folder=False)


def get_file(
    store: ArtifactStore, digest: Digest, target: Path, *, size: int | None = None, progress: Progress | None = None
) -> None:
    """Write the object's bytes to *target*, which is created or replaced only after they are verified.

    Raises UsageError if *target* is a folder, NotFound if its folder does not exist, Invalid before anything is written
    if the object does not have its recorded *size*, and the errors of the store.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint=f"name a file in it, such as {target / 'model'}")
    if os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
        # a rename would replace a device such as /dev/null
        raise UsageError(f"{target} exists and is not a regular file", hint="name a new file")
    require_parent(target)
    if size is None and progress:
        size = store.size(digest)
    with making_beside(target) as place:
        write_object(store, digest, size, place / "file", Tally(progress, size or 0))
        with writing(target):
            # not flushed to disk: after a crash, the store still has the bytes
            os.replace(place / "file", target)


def verified_path(store: ArtifactStore, digest: Digest, size: int) -> Path | None:
    """Verify the object of *size* bytes and return its file; None if the store has no file on this machine."""
    holder = _holder_of(store, digest)
    if isinstance(holder, ExternalStore):
        path = holder.local_path()
        if path is not None:
            verify_file(holder, digest)
        return path
    has_paths: Callable[[Digest, int], Path] | None = getattr(holder, "path", None)
    return has_paths(digest, size) if has_paths else None


def held_file(store: ArtifactStore, digest: Digest, size: int) -> AbstractContextManager[Path | None]:
    """Return a context manager with a path to the verified file of the object; None if the file is on no local disk.

    The path leads to the verified file even if another process replaces the object.
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


def get_folder(
    store: ArtifactStore,
    digest: Digest,
    target: Path,
    *,
    size: int | None = None,
    transfer: Transfer = Transfer(),
    mode: int = 0o666,
) -> tuple[str, ...]:
    """Create the folder of the manifest *digest*. The folder appears at *target* only after all files are verified.

    Each file has the permissions *mode* minus the umask. Files that would make the folder a git repository are verified
    but not written; their paths are returned.

    Raises UsageError if *target* exists and is not an empty folder, and the errors of `get_file`. *size* is the size of
    all files.
    """
    refuse_occupied(target)
    require_parent(target)
    entries = members_of(store, digest, size)
    count = Tally(transfer.progress, sum(entry.size for entry in entries))
    left_out = frozenset(git_paths([entry.path for entry in entries]))
    with making_beside(target) as place:
        made = place / "folder"
        with writing(target):
            made.mkdir()
            for folder in sorted({os.path.dirname(entry.path) for entry in entries if entry.path not in left_out}):
                os.makedirs(made / folder, exist_ok=True)

        def fetch(entry: ManifestEntry) -> None:
            if entry.path in left_out:
                _verify_entry(store, entry, count)
            else:
                fetch_entry(store, entry, made / entry.path, count, mode=mode)

        in_parallel(fetch, entries, transfer.jobs, count)
        with writing(target):
            try:
                os.rename(made, target)  # replaces only an empty folder
            except OSError:
                refuse_occupied(target)
                raise
    return tuple(sorted(left_out))


def get_member(
    store: ArtifactStore, digest: Digest, name: str, target: Path, *, progress: Progress | None = None
) -> ManifestEntry:
    """Write one file of the folder *digest*, given by its path, to *target* in the same way as `get_file`.

    Does not read the other files. Raises NotFound if the folder has no such file, Refused if it belongs to a git
    repository.
    """
    entries = manifest_of(store, digest)
    entry = find_member(entries, name)
    if name in git_paths([entry.path for entry in entries]):
        raise Refused(
            f"{name!a} belongs to a git repository, and gitmodel writes none from an artifact",
            hint="name another file of the folder",
        )
    with _naming(entry):
        get_file(store, entry.digest, target, size=entry.size, progress=progress)
    return entry


def find_member(entries: Sequence[ManifestEntry], name: str) -> ManifestEntry:
    """Return the file *name* among the files of a folder. Raises NotFound, with similar names."""
    for entry in entries:
        if entry.path == name:
            return entry
    import difflib

    near = difflib.get_close_matches(name, [entry.path for entry in entries], n=3) if len(entries) < 10_000 else []
    some = near or [entry.path for entry in entries[:3]]
    raise NotFound(
        f"there is no file {name!a} in this folder of {len(entries)}",
        hint=f"write its path in the folder, such as {' or '.join(map(ascii, some))}" if some else "",
    )


def copy_artifacts(
    source: ArtifactStore,
    target: ArtifactStore,
    artifacts: Iterable[tuple[Digest, bool, int | None]],
    *,
    jobs: int = JOBS,
    sent: Sent | None = None,
) -> None:
    """Copy artifacts from *source* to *target*. Each is a digest, True for a folder, and its recorded size.

    Objects that the target has are not copied. *jobs* objects are copied at a time, manifests after all files. *sent*
    is called with the bytes of each copied artifact. Raises Invalid for a damaged artifact, NotFound, Unreachable.
    """

    def copy(wanted: tuple[Digest, int]) -> None:
        digest, size = wanted
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
    """Return True if *store* has the artifact. Renew an old timestamp.

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


def are_whole(store: ArtifactStore, objects: Iterable[tuple[Digest, int | None]], *, read_servers: bool = True) -> bool:
    """Return True if the store has each of *objects* (digest, and size if known) with the right bytes.

    Without *read_servers*, an object on a server is not read: its size and the metadata that gitmodel set are compared.
    Renews the timestamps of old objects, as `keep_artifact` does. Raises Invalid for an object that is damaged.
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
    with store.origin.open(digest, size) as reader:
        read = sum(map(len, count.counted(chunks(reader))))
    if size is not None and read != size:
        raise wrong_size(digest, size, read)
    return StoredArtifact(digest, read, folder=False)


def verify_folder(
    store: ArtifactStore,
    digest: Digest,
    *,
    size: int | None = None,
    without: Container[Digest] = (),
    transfer: Transfer = Transfer(),
) -> StoredArtifact:
    """Hash the manifest and every file it names, except those in *without*.

    Raises the errors of `verify_file`, which name the file.
    """
    store = store.origin
    entries = members_of(store, digest, size)
    once = list({(entry.digest, entry.size): entry for entry in entries if entry.digest not in without}.values())
    count = Tally(transfer.progress, sum(entry.size for entry in once))
    in_parallel(lambda entry: _verify_entry(store, entry, count), once, transfer.jobs, count)
    return StoredArtifact(digest, sum(entry.size for entry in entries), folder=True)


def _put_folder(store: ArtifactStore, root: Path, follow_links: Path | None, transfer: Transfer) -> StoredArtifact:
    files = list_folder(root, follow_links)
    count = Tally(transfer.progress, sum(file.size for file in files))

    def put(file: SourceFile) -> ManifestEntry:
        with open_source(file.place, str(root / file.name), linked=file.linked) as source:
            digest, size = store.put_stream(source, sent=count.add)
        return ManifestEntry(digest, size, file.name)

    entries = in_parallel(put, files, transfer.jobs, count)
    if list_folder(root, follow_links) != files:
        raise Conflict(
            f"the folder {root} changed while it was being read; nothing was recorded",
            hint="wait until its writer is done and try again",
        )
    manifest = format_manifest(entries)
    if len(manifest) > MANIFEST_LIMIT:
        raise UsageError(f"the folder {root} has too many files ({len(files)})", hint="pack them into an archive")
    digest, _ = store.put_stream(io.BytesIO(manifest))
    unportable = unportable_paths(entry.path for entry in entries)
    return StoredArtifact(digest, sum(entry.size for entry in entries), True, tuple(unportable))


def manifest_of(store: ArtifactStore, digest: Digest) -> tuple[ManifestEntry, ...]:
    """Return the files of the folder *digest*. Raises Invalid for another object, NotFound, Unreachable."""
    content = read_object(store, digest, MANIFEST_LIMIT, "a manifest")
    try:
        return parse_manifest(content)
    except Invalid as error:
        raise Invalid(f"{digest} is not a folder: {error.message}", hint=error.hint) from None


def read_object(store: ArtifactStore, digest: Digest, limit: int, what: str) -> bytes:
    """Return all bytes of an object.

    Raises Invalid for an object of more than *limit* bytes, which cannot be *what* ("a manifest"); NotFound,
    Unreachable.
    """
    if (size := store.size(digest)) > limit:
        raise Invalid(f"{digest} is not {what}: it is too long ({size} bytes)", hint="run `git model check`")
    with store.open(digest, limit) as reader:
        return reader.read()


def members_of(store: ArtifactStore, digest: Digest, size: int | None) -> tuple[ManifestEntry, ...]:
    """Return the files of the folder *digest*. *size* is the recorded size of all of them.

    Raises the errors of `manifest_of`.
    """
    entries = manifest_of(store, digest)
    if size is not None and (total := sum(entry.size for entry in entries)) != size:
        raise wrong_size(digest, size, total)
    return entries


def fetch_entry(
    store: ArtifactStore, entry: ManifestEntry, path: Path, count: Tally | None = None, *, mode: int = 0o666
) -> None:
    """Write one file of a folder to *path*, which must not exist. After an error, an incomplete file may be left."""
    with _naming(entry):
        write_object(store, entry.digest, entry.size, path, count or Tally(None, 0), mode)


def _verify_entry(store: ArtifactStore, entry: ManifestEntry, count: Tally) -> None:
    with _naming(entry), store.open(entry.digest, entry.size) as reader:
        read = sum(map(len, count.counted(chunks(reader))))
        if read != entry.size:
            raise wrong_size(entry.digest, entry.size, read)


@contextmanager
def _naming(entry: ManifestEntry) -> Iterator[None]:
    """Add the name of a file in a folder to the message of an error."""
    try:
        yield
    except GitModelError as error:
        error.message = f"{entry.path if entry.path.isprintable() else ascii(entry.path)}: {error.message}"
        error.args = (error.message,)
        raise


def _size_of(path: Path) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0  # opening the file reports the reason
