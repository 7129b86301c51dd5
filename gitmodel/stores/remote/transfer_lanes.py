"""Threads and memory for parts and ranges of large objects, limited for the whole process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

from gitmodel.stores.backend import Upload
from gitmodel.stores.transfer import Sent
from gitmodel.stores.verified_reading import read_up_to

LANES = 6  # the greatest number of parts and ranges of large objects that this process has in memory at a time

_Result = TypeVar("_Result")


class Lanes:
    """The threads for parts and ranges of large objects, limited for the whole process.

    A part to send, or a range to read, occupies one of a fixed number of places until its bytes are no longer needed,
    so the number of places also limits memory. Parts and ranges have separate places. Otherwise a thread that copies
    an object from server to server could wait for a place that its own ranges occupy.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self._parts = threading.Semaphore(LANES)
        self._ranges = threading.Semaphore(LANES)

    def send(self, upload: Upload, number: int, source: BinaryIO, sent: Sent | None) -> Future[int] | None:
        """Wait for a free place, then read the next bytes of *source*, and send them as the part *number* of *upload*.

        Return the future of the part's length, or None at the end of *source*.
        """
        self._parts.acquire()
        try:
            content = read_up_to(source, upload.part_size)
            future = self._submit(_send, upload, number, content, sent) if content else None
        except BaseException:
            self._parts.release()
            raise
        if future is None:
            self._parts.release()
        else:
            future.add_done_callback(lambda _: self._parts.release())
        return future

    def fetch(self, read: Callable[..., _Result], *arguments: Any) -> Future[_Result] | None:
        """Fetch a range and return its future, which the caller must pass to `done`; None if no place is free."""
        return self._submit(read, *arguments) if self._ranges.acquire(blocking=False) else None

    def done(self, future: Future[Any]) -> None:
        """Free the place of a range that is no longer needed."""
        future.cancel()
        future.add_done_callback(lambda _: self._ranges.release())

    def _submit(self, work: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        with self._starting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="gitmodel-store")
        return self._pool.submit(work, *arguments)


def current() -> Lanes:
    """Return the lanes of this process."""
    return _lanes


def _send(upload: Upload, number: int, content: bytes | bytearray, sent: Sent | None) -> int:
    if not upload.holds(number, content):
        upload.send(number, content)
    if sent is not None:
        sent(len(content))
    return len(content)


_lanes = Lanes()


def _after_fork() -> None:
    global _lanes
    _lanes = Lanes()  # a forked child has none of the threads of its parent


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_after_fork)
