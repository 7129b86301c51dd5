"""Writing an artifact to a file or folder of the user, after gitmodel verified its bytes."""

from __future__ import annotations

import os
from pathlib import Path

from gitmodel.domain.schema.digests import Digest
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.schema.portable_paths import git_paths
from gitmodel.errors import Refused, UsageError
from gitmodel.stores.artifacts.manifests import find_member, manifest_of, members_of, naming
from gitmodel.stores.artifacts.parallel_transfers import Tally, in_parallel
from gitmodel.stores.artifacts.target_files import (
    making_beside,
    refuse_occupied,
    require_parent,
    write_object,
    writing,
)
from gitmodel.stores.artifacts.verifying import verify_entry
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import Progress, Transfer


def get_file(
    store: ArtifactStore, digest: Digest, target: Path, *, size: int | None = None, progress: Progress | None = None
) -> None:
    """Write the object's bytes to *target*, which is created or replaced only after they are verified.

    Raises UsageError if *target* is not a regular file, NotFound if the folder above *target* does not exist, Invalid
    if the object is damaged or does not have its recorded *size*, and the errors of the store.
    """
    if target.is_dir():
        raise UsageError(f"{target} is a folder", hint=f"name a file in it, such as {target / 'model'}")
    if os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
        # the rename below would replace a device such as /dev/null
        raise UsageError(f"{target} exists and is not a regular file", hint="name a new file")
    require_parent(target)
    if size is None and progress:
        size = store.size(digest)
    with making_beside(target) as place:
        write_object(store, digest, size, place / "file", Tally(progress, size or 0))
        with writing(target):
            # not flushed to disk: after a crash, the store still has the bytes
            os.replace(place / "file", target)


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

    Raises UsageError if *target* exists and is not an empty folder, and the errors of `get_file`. *size* is the
    recorded size of all files together.
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
                verify_entry(store, entry, count)
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
    """Write the file at the path *name* in the folder *digest* to *target*, in the same way as `get_file`.

    Does not read the other files of the folder. Raises NotFound if the folder has no such file, Refused if the file
    belongs to a git repository in the folder.
    """
    entries = manifest_of(store, digest)
    entry = find_member(entries, name)
    if name in git_paths([entry.path for entry in entries]):
        raise Refused(
            f"{name!a} belongs to a git repository, and gitmodel never writes a git repository from an artifact",
            hint="name another file of the folder",
        )
    with naming(entry):
        get_file(store, entry.digest, target, size=entry.size, progress=progress)
    return entry


def fetch_entry(
    store: ArtifactStore, entry: ManifestEntry, path: Path, count: Tally | None = None, *, mode: int = 0o666
) -> None:
    """Write the file *entry* of a folder to *path*, which must not exist. An error may leave an incomplete file."""
    with naming(entry):
        write_object(store, entry.digest, entry.size, path, count or Tally(None, 0), mode)
