"""Locks (flock) on files that belong to one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gitmodel.files.permissions import make_folder, open_file


def open_locked(path: Path) -> int | None:
    """Open and lock *path*; create the file and its folder if they are missing. Closing the descriptor unlocks it.

    Returns None if another process holds the lock or is deleting the file, or if it cannot be opened or locked.
    """
    try:
        make_folder(path.parent)
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
