"""Threads and memory for parts and ranges of large objects, limited for the whole process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, TypeVar

from gitmodel.stores.backend import Upload
from gitmodel.stores.interface import Sent
from gitmodel.stores.verified_reading import read_up_to

LANES = 6  # the parts and ranges of large objects that this process has in memory at a time

_Result = TypeVar("_Result")


class Lanes:
    """The threads for parts and ranges of large objects, limited for the whole process.

    A part or range has a place until its bytes are of no use any more, and there are few: so memory is bounded, too.
    Parts and ranges have separate limits, because a thread that sends what it reads ahead would otherwise wait for
    itself.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self._parts = threading.Semaphore(LANES)
        self._ranges = threading.Semaphore(LANES)

    def send(self, upload: Upload, number: int, source: BinaryIO, sent: Sent | None) -> Future[int] | None:
        """Read the next part and send it, when there is a place for it; gives its length, or None at the end."""
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
        """Fetch a range, or return None if there is no place for it; the caller must then call `done` with it."""
        return self._submit(read, *arguments) if self._ranges.acquire(blocking=False) else None

    def done(self, future: Future[Any]) -> None:
        """Nobody wants the range any more."""
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
    _lanes = Lanes()  # threads do not outlive a fork


os.register_at_fork(after_in_child=_after_fork)
