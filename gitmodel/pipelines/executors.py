"""Where steps run: one seam, `concurrent.futures.Executor`, with a name for each kind that gitmodel knows."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gitmodel.errors import Unreachable, UsageError

NAMES = ("in-order", "threads", "processes", "dask", "dask:ADDRESS")


class InOrder(Executor):
    """Runs each call at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class Place:
    """An executor in use: *shares* says whether its workers share this process's memory.

    *renew* makes a new executor after a worker died and took the pool with it; None where that is not ours to do.
    """

    name: str
    executor: Executor
    shares: bool
    renew: Callable[[], Executor] | None = None

    def renewed(self) -> bool:
        """Replace a broken executor; False if it cannot be."""
        if self.renew is None:
            return False
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self.renew()
        return True


@contextmanager
def open_executor(wanted: str | Executor | None) -> Iterator[Place]:
    """The executor *wanted*: a name of NAMES, or any Executor, which is left open afterwards.

    Raises UsageError for an unknown name, Unreachable if a cluster does not answer.
    """
    if isinstance(wanted, Executor):
        yield Place(type(wanted).__name__, wanted, isinstance(wanted, (InOrder, ThreadPoolExecutor)))
        return
    name = wanted or "in-order"
    if name == "in-order":
        yield Place(name, InOrder(), True)
    elif name == "threads":
        with ThreadPoolExecutor(max_workers=_workers(), thread_name_prefix="gitmodel-step") as threads:
            yield Place(name, threads, True)
    elif name == "processes":
        place = Place(name, _processes(), False, _processes)
        try:
            yield place
        except BaseException:
            # A step that is still running must not outlive the run that was given up.
            for process in list((getattr(place.executor, "_processes", None) or {}).values()):
                process.terminate()
            raise
        finally:
            place.executor.shutdown(wait=True, cancel_futures=True)
    elif name == "dask" or name.startswith("dask:"):
        with _dask(name.partition(":")[2]) as executor:
            yield Place("dask", executor, False)
    else:
        raise UsageError(f"there is no executor {name!a}", hint=f"the executors are {', '.join(NAMES)}")


def _processes() -> Executor:
    return ProcessPoolExecutor(max_workers=_workers(), mp_context=multiprocessing.get_context("spawn"))


def _workers() -> int:
    return max(2, os.cpu_count() or 2)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("the dask executor needs dask.distributed", hint="pip install 'gitmodel[dask]'") from None
    try:
        client = (
            Client(address) if address else Client(n_workers=_workers(), threads_per_worker=1, dashboard_address=None)
        )
    except OSError as error:
        raise Unreachable(
            f"no Dask scheduler answers at {address}: {error}", hint="start it, or choose another executor"
        ) from None
    try:
        yield client.get_executor(pure=False)
    finally:
        client.close()
