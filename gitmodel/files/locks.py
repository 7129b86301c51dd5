"""Locks on files and folders that belong to one process at a time (`man 2 flock`).

The operating system unlocks a file when its last descriptor is closed, at the latest when the process ends. A lock file
that another process can lock is left over from an ended process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from gitmodel.files.permissions import make_folder, open_file


class NoLocks(OSError):
    """The file system does not support locks."""


def lock(descriptor: int) -> None:
    """Lock an open file or folder; wait while another process holds its lock. Raises NoLocks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise NoLocks(error.errno, error.strerror) from error


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder; return False if another process holds its lock. Raises NoLocks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocks(error.errno, error.strerror) from error
    return True


def create_locked(new_path: Callable[[], Path], flags: int = os.O_RDWR) -> tuple[Path, int]:
    """Create and lock a file at *new_path*, which is called until it returns a path that is free.

    Raises NoLocks, and OSError if the file cannot be created.
    """
    while True:
        path = new_path()
        try:
            descriptor = open_file(path, os.O_CREAT | os.O_EXCL | flags)
        except FileExistsError:
            continue
        try:
            lock(descriptor)
        except NoLocks:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another process removed it as a leftover before it was locked


def open_locked(path: Path) -> int | None:
    """Open and lock *path*; create the file and its folder if they are missing.

    Returns None if another process holds the lock or is deleting the file, or if it cannot be opened or locked.
    """
    try:
        make_folder(path.parent)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        if try_lock(descriptor) and os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
