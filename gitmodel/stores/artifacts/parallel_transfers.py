"""The threads of a transfer, and the count of its bytes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from gitmodel.stores.transfer import Progress

if TYPE_CHECKING:
    from concurrent.futures import Future

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Tally:
    """The number of transferred bytes, of *total*, over all threads. Each `add` reports it to *progress*."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """Make `add` raise an error, so that the running threads end."""
        self._stopped = True

    def add(self, count: int) -> None:
        """Count transferred bytes. Raises _Stopped after `stop`."""
        if self._stopped:
            raise _Stopped
        if self._progress:
            with self._lock:
                self._done += count
                # Bytes that are sent again after a failure count twice, so the count can exceed the total.
                self._progress(min(self._done, self._total), self._total)

    def counted(self, pieces: Iterable[memoryview]) -> Iterator[memoryview]:
        """Yield *pieces*, and count their bytes."""
        for piece in pieces:
            self.add(len(piece))
            yield piece


class _Stopped(Exception):
    """The transfer ends early, because another of its threads failed or the process ends."""


class _Working:
    """Counts the running calls of `in_parallel`, so that it can wait for their end.

    The thread pool waits for its threads, but not for a thread that was being started when a signal such as Ctrl-C
    raised an error in the main thread.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._ended = False

    def __enter__(self) -> None:
        with self._changed:
            if self._ended:
                raise _Stopped
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def end(self) -> None:
        """Prevent further calls, and wait until the running calls end."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: self._count == 0)


def in_parallel(
    work: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int, count: Tally | None = None
) -> list[_Result]:
    """Call *work* with each of *items* in *jobs* threads, and return the results in the order of *items*.

    After the first error, cancels the waiting calls, stops *count*, so that running calls end soon, and raises the
    error.
    """
    from concurrent.futures import ThreadPoolExecutor  # imported here: reading records needs no threads

    results: list[_Result] = []
    waiting: deque[Future[_Result]] = deque()
    working = _Working()

    def tracked(item: _Item) -> _Result:
        with working:
            return work(item)

    with ThreadPoolExecutor(max(jobs, 1)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(tracked, item))
                # Without this limit, the futures of a folder of a million files would fill the memory.
                if len(waiting) > 4 * jobs:
                    results.append(waiting.popleft().result())
            while waiting:
                results.append(waiting.popleft().result())
        except BaseException:
            for future in waiting:
                future.cancel()
            if count is not None:
                count.stop()
            working.end()
            raise
    return results
