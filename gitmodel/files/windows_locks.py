"""Locks on files of Windows (`msvcrt.locking`), with the names of `fcntl`, for the files of caches.

gitmodel refuses to write a registry on Windows (`locks.create_locked`).
"""

from __future__ import annotations

import msvcrt
import os
import time
from typing import Any

LOCK_EX, LOCK_NB = 2, 4
_POLL = 0.05  # seconds between attempts to lock a file that another process has locked


def flock(descriptor: int, operation: int) -> None:
    """Lock the first byte of the open file *descriptor*. Wait while another process has locked it.

    If *operation* contains LOCK_NB, raises BlockingIOError instead of waiting.
    """
    windows: Any = msvcrt  # type checkers on other systems do not know its functions
    while True:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            windows.locking(descriptor, windows.LK_NBLCK, 1)
            return
        except PermissionError as error:
            if operation & LOCK_NB:
                raise BlockingIOError(error.errno, error.strerror) from error
        time.sleep(_POLL)
