"""Unpacking artifacts to files and folders in a cache on this machine, so that programs can read them directly.

A folder in the cache is verified on each use. Only files that differ are replaced, each atomically, because other
processes may be reading the folder.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gitmodel.domain.schema.digests import PREFIX, Digest
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.schema.portable_paths import git_paths
from gitmodel.errors import UsageError
from gitmodel.files.locks import NoLocks, lock
from gitmodel.files.open_flags import FOLDER, NOFOLLOW, NONBLOCK, RAW
from gitmodel.stores.artifacts.fetching import fetch_entry, get_file, get_folder
from gitmodel.stores.artifacts.manifests import members_of
from gitmodel.stores.artifacts.parallel_transfers import in_parallel
from gitmodel.stores.artifacts.target_files import making_beside, writing
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.several_stores import WithoutPurged
from gitmodel.stores.transfer import JOBS


def unpack_file(store: ArtifactStore, digest: Digest, size: int, place: Path) -> None:
    """Verify the file at *place*. If the file is missing or differs from the object, write the object to *place*.

    Raises the errors of `get_file`.
    """
    if _is_file(place, digest, size):
        return
    if _is_real_folder(place):
        with making_beside(place) as aside:
            os.rename(place, aside / "old")
    with suppress(OSError):
        if not stat.S_ISREG(os.lstat(place).st_mode):
            os.unlink(place)
    get_file(store, digest, place, size=size)


def unpack_folder(store: ArtifactStore, digest: Digest, size: int, place: Path) -> None:
    """Unpack the folder *digest* to *place*, or verify an existing folder there and replace files that differ.

    Several threads and processes may do this at the same time: the folder appears only when it is complete, and wrong
    files in an existing folder are replaced one by one. Deletes files in the folder that do not belong to the artifact.
    Raises the errors of `get_folder`.
    """
    if not _is_real_folder(place):
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):  # another process may have replaced it
            os.unlink(place)
        try:
            get_folder(store, digest, place, size=size, mode=0o444)
            return
        except UsageError:  # another process created the folder first
            if not _is_real_folder(place):
                raise
    entries = members_of(store, digest, size)
    left_out = frozenset(git_paths([entry.path for entry in entries]))  # not unpacked
    entries = tuple(entry for entry in entries if entry.path not in left_out)
    if isinstance(store, WithoutPurged):
        for entry in entries:
            store.refuse_purged(entry.digest)
    if any(_differences(place, entries)):
        with _locked(place), making_beside(place) as aside, writing(place):
            wrong, extra = _differences(place, entries)
            for number, name in enumerate(extra):
                os.rename(place / name, aside / f"extra-{number}")
            for number, entry in enumerate(wrong):
                made = aside / f"file-{number}"
                fetch_entry(store, entry, made, mode=0o444)
                (place / entry.path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(made, place / entry.path)


def _differences(place: Path, entries: Sequence[ManifestEntry]) -> tuple[list[ManifestEntry], list[str]]:
    """Return the *entries* that are missing or wrong at *place*, and the paths that do not belong to the artifact."""
    found = _look(place)

    def is_whole(entry: ManifestEntry) -> bool:
        return found.files.get(entry.path) == entry.size and _is_file(place / entry.path, entry.digest, entry.size)

    good = in_parallel(is_whole, entries, JOBS)
    return [entry for entry, whole in zip(entries, good, strict=True) if not whole], _extra(found, entries)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the lock for replacing files in the folder *place*; no lock on Windows, which cannot lock a folder."""
    if not FOLDER:
        yield
        return
    with writing(place):
        descriptor = os.open(place, os.O_RDONLY | FOLDER | RAW)
    try:
        with suppress(NoLocks):
            lock(descriptor)
        yield
    finally:
        os.close(descriptor)


class _FolderContent(NamedTuple):
    """The content of a folder by relative path: the sizes of its regular files, its folders, and all other entries."""

    files: dict[str, int]
    folders: list[str]
    others: list[str]


def _look(root: Path) -> _FolderContent:
    found = _FolderContent({}, [], [])
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        found.folders.append(name)
                        waiting.append(f"{name}/")
                    elif entry.is_file(follow_symlinks=False):
                        found.files[name] = entry.stat(follow_symlinks=False).st_size
                    else:
                        found.others.append(name)
        except FileNotFoundError:  # another process removed it meanwhile
            continue
        except OSError:
            found.others.append(prefix.rstrip("/"))  # a folder that cannot be read is replaced
    return found


def _extra(content: _FolderContent, entries: Iterable[ManifestEntry]) -> list[str]:
    """Return the paths in *content* that do not belong to the artifact.

    For a folder that does not belong to it, returns the path of the folder, but no paths in the folder.
    """
    paths = {entry.path for entry in entries}
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    extra = {name for name in content.files if name not in paths}
    extra |= {name for name in content.folders if name not in folders}
    extra |= {*content.others}
    return sorted(name for name in extra if not any(str(parent) in extra for parent in PurePosixPath(name).parents))


def _is_file(path: Path, digest: Digest, size: int) -> bool:
    """Return True if *path* is a regular file of *size* bytes that has *digest*."""
    try:
        descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | RAW)
        with open(descriptor, "rb", buffering=0) as file:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_size != size:
                return False
            hashed = hashlib.sha256()
            for chunk in iter(lambda: file.read(1 << 20), b""):
                hashed.update(chunk)
            return PREFIX + hashed.hexdigest() == digest
    except OSError:
        return False


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
