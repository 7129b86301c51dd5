"""Temporary folders. `TemporaryFiles` creates one when the first file needs it, `folder_beside` beside a target.

A folder beside the target is on the same file system, so a file in it can become the target by a rename. The process
that creates such a folder locks it, and first deletes those beside the target that no process has locked, because
killed processes left them. Windows cannot lock a folder, so no process deletes the folder of another one there.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitmodel.files.locks import NoLocks, lock, try_lock
from gitmodel.files.open_flags import FOLDER, NOFOLLOW, RAW

_NAME = re.compile(r"\.gitmodel-[0-9a-f]{16}\.tmp")


class TemporaryFiles:
    """A temporary folder, which the first call of `path` creates and the end of the `with` block deletes.

    The folder is in the folder *within* (default: that of the system), and its name begins with *prefix*.

    >>> with TemporaryFiles("example-") as files:
    ...     files.path("one").name
    'one'
    """

    def __init__(self, prefix: str, within: str | None = None) -> None:
        self._prefix = prefix
        self._within = within
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> TemporaryFiles:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def path(self, name: str) -> Path:
        """Return the path for the file *name* in the temporary folder. The first call creates the folder."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(
                prefix=self._prefix, dir=self._within, ignore_cleanup_errors=True
            )
        return Path(self._folder.name, name)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Create a temporary folder beside *target*, and delete the folder after the block.

    First deletes those beside *target* that killed processes left. Raises OSError if the folder cannot be created.
    """
    parent = target.absolute().parent
    if FOLDER:
        _remove_leftovers(parent)
    path, descriptor = _begin(parent)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)  # this releases the lock


def _begin(parent: Path) -> tuple[Path, int | None]:
    while True:
        path = parent / f".gitmodel-{os.urandom(8).hex()}.tmp"
        path.mkdir(0o700)
        if not FOLDER:
            return path, None
        try:
            descriptor = _open(path)
        except FileNotFoundError:  # another process removed the folder before this process locked it
            continue
        with suppress(NoLocks):  # other processes cannot lock the folder either, so they do not remove it
            lock(descriptor)
        if _is_at(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def _remove_leftovers(parent: Path) -> None:
    try:
        with os.scandir(parent) as found:
            names = [entry.name for entry in found if _NAME.fullmatch(entry.name)]
    except OSError:
        return
    for name in names:
        path = parent / name
        try:
            descriptor = _open(path)
        except OSError:  # deleted meanwhile, not a folder, or owned by another user
            continue
        try:
            if try_lock(descriptor) and _is_at(descriptor, path):
                shutil.rmtree(path, ignore_errors=True)
        except NoLocks:
            continue
        finally:
            os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | FOLDER | NOFOLLOW | RAW)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = os.lstat(path)
    except OSError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
