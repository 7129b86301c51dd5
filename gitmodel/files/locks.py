"""Locks on files and folders, each held by one process at a time (`man 2 flock`).

The operating system unlocks a file when the process that locked it ends. So if another process can lock an existing
lock file, the process that created the file has ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gitmodel.errors import Unreachable
from gitmodel.files.failures import writing
from gitmodel.files.open_flags import NOFOLLOW
from gitmodel.files.permissions import make_folder, open_file

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ModuleNotFoundError:
    from gitmodel.files.windows_locks import LOCK_EX, LOCK_NB, flock  # type: ignore[assignment]

    _WRITES = False
else:
    _WRITES = True


class NoLocks(OSError):
    """The file system does not support locks."""


def lock(descriptor: int) -> None:
    """Lock the open file or folder *descriptor*. Wait while another process has locked it. Raises NoLocks."""
    try:
        flock(descriptor, LOCK_EX)
    except OSError as error:
        raise NoLocks(error.errno, error.strerror) from error


def try_lock(descriptor: int) -> bool:
    """Lock the open file or folder *descriptor*. Return False if another process has locked it. Raises NoLocks."""
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocks(error.errno, error.strerror) from error
    return True


def create_locked(folder: Path, new_name: Callable[[], str], flags: int = os.O_RDWR) -> tuple[Path, int]:
    """Create and lock a file in *folder*, and return its path and descriptor. Creates the folder if it does not exist.

    Calls *new_name* until it returns a name that no file in *folder* has. *flags* are the flags of `os.open`. Raises
    Unreachable if the file cannot be created or locked, and always on Windows.
    """
    if not _WRITES:
        raise Unreachable(
            "gitmodel does not write to a repository on Windows",
            hint="nothing was changed; write on Linux or in WSL (Windows Subsystem for Linux), and read anywhere",
        )
    with writing(folder, outcome="nothing was changed"):
        make_folder(folder)
        while True:
            path = folder / new_name()
            try:
                descriptor = open_file(path, os.O_CREAT | os.O_EXCL | flags)
            except FileExistsError:
                continue
            try:
                lock(descriptor)
            except NoLocks as error:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise Unreachable(
                    f"the file system of {folder} does not support locks (flock: {error.strerror}), "
                    "which writing to a repository requires",
                    hint="nothing was changed; move the repository to a local disk, or mount the share with locks "
                    "(for NFS: local_lock=flock); artifacts may stay there: git config gitmodel.store file:///SHARE",
                ) from error
            if os.fstat(descriptor).st_nlink:
                return path, descriptor
            os.close(descriptor)  # another process deleted the file before this process locked it


def open_locked(path: Path) -> int | None:
    """Open and lock the file *path*, and return its descriptor. Creates the file and its folder if they are missing.

    Returns None if that fails, for example because another process holds the lock.
    """
    try:
        make_folder(path.parent)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
