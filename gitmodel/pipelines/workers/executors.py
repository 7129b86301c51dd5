"""The executors that run steps: gitmodel's own, which have names, and any `concurrent.futures.Executor`."""

from __future__ import annotations

import concurrent.futures.process
import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from gitmodel.errors import Unreachable, UsageError
from gitmodel.frozen import Frozen

EXECUTORS = ("in-order", "threads", "processes", "dask", "dask:ADDRESS")
_HINT = f"the executors are {', '.join(EXECUTORS)}; threads:4, processes:4 and dask:4 set the number of workers"

# Seconds between SIGTERM and SIGKILL for a worker. In this time, it can save outputs of its step to files.
_GRACE = 10.0


class InOrder(Executor):
    """An executor whose `submit` runs the call in the same thread, and then returns."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call *fn* with the arguments, and return a finished future with the result or the error."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class RunningExecutor:
    """A started executor.

    *slots* is the greatest number of steps that gitmodel gives the executor at the same time; None means no limit.
    *run_on_all* is the method `run` of a `distributed.Client`, which calls a function on each worker.
    """

    def __init__(
        self, executor: Executor, slots: int | None = None, run_on_all: Callable[..., dict[str, Any]] | None = None
    ) -> None:
        self._executor = executor
        self.slots = slots
        self._run_on_all = run_on_all

    def ask(self, fn: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Call *fn* on each worker, and return results or errors by worker. Returns {} if *run_on_all* is None."""
        return self._run_on_all(fn, *args, on_error="return") if self._run_on_all is not None else {}

    def submit(self, fn: Callable[..., Any], *args: Any) -> Future[Any]:
        """Let a worker call *fn* with *args*, and return the future result."""
        return self._executor.submit(fn, *args)

    def submit_again(self, fn: Callable[..., Any], *args: Any) -> Future[Any] | None:
        """Repeat a call whose worker died, in a worker that does nothing else. Returns None if this is impossible."""
        return None

    def done(self, future: Future[Any]) -> None:
        """Release the resources of the finished *future*."""


class ProcessWorkers(RunningExecutor):
    """A pool of spawned processes. If a worker dies, a new pool replaces the pool."""

    def __init__(self, count: int) -> None:
        super().__init__(_processes(count), count)
        self._count = count
        self._alone: dict[Future[Any], Executor] = {}

    def submit(self, fn: Callable[..., Any], *args: Any) -> Future[Any]:
        try:
            return self._executor.submit(fn, *args)
        except BrokenExecutor:
            self._executor.shutdown(wait=False)
            self._executor = _processes(self._count)
            return self._executor.submit(fn, *args)

    def submit_again(self, fn: Callable[..., Any], *args: Any) -> Future[Any]:
        # A pool for this step alone: if its worker dies again, the step is the cause.
        pool = _processes(1)
        future = pool.submit(fn, *args)
        self._alone[future] = pool
        return future

    def done(self, future: Future[Any]) -> None:
        if future in self._alone:
            self._alone.pop(future).shutdown(wait=True)

    def end(self) -> None:
        """Shut down the pools, and wait until their workers have ended."""
        for pool in (self._executor, *self._alone.values()):
            pool.shutdown(wait=True, cancel_futures=True)

    def kill(self) -> None:
        """Terminate the workers, and kill those that have not ended after ten seconds."""
        for pool in (self._executor, *self._alone.values()):
            workers = list((getattr(pool, "_processes", None) or {}).values())
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.join(_GRACE)
                if worker.is_alive():
                    worker.kill()


class ExecutorChoice(Frozen):
    """An executor that has not started yet. *shares* is True if its workers share the memory of this process."""

    name: str
    shares: bool
    start: Callable[[], AbstractContextManager[RunningExecutor]]

    @property
    def is_local(self) -> bool:
        """True if the workers are on this machine, with the packages of this process."""
        return self.shares or self.name in ("in-order", "threads", "processes")


def choose_executor(executor: Any) -> ExecutorChoice:
    """Return the choice for *executor*: a name, an Executor, a `distributed.Client`, or None for "in-order".

    gitmodel does not shut down an Executor or Client that the user gives. Raises UsageError for other values.
    """
    if executor is not None and not isinstance(executor, str):
        return _choose_given(executor)
    name, _, rest = (executor or "in-order").partition(":")
    count = int(rest) if rest.isdigit() and int(rest) > 0 else 0
    workers = count or max(2, os.cpu_count() or 2)
    if name == "in-order" and not rest:
        return ExecutorChoice(name, True, lambda: nullcontext(RunningExecutor(InOrder(), 1)))
    if name in ("threads", "processes") and (count or not rest):
        start = _threads if name == "threads" else _spawned
        return ExecutorChoice(name, name == "threads", partial(start, workers))
    if name == "dask":
        return ExecutorChoice(name, False, partial(_dask, "" if count else rest, workers))
    raise UsageError(f"there is no executor {executor!a}", hint=_HINT)


def _choose_given(executor: Any) -> ExecutorChoice:
    kind = type(executor)
    name = "dask" if kind.__module__.split(".")[0] == "distributed" else kind.__name__
    run_on_all = None
    if not isinstance(executor, Executor):
        if not hasattr(executor, "get_executor"):
            raise UsageError(
                f"{executor!a} is not an executor", hint=f"give a concurrent.futures.Executor, or a name: {_HINT}"
            )
        run_on_all = getattr(executor, "run", None)
        executor = executor.get_executor(pure=False)
    # The threads of an InterpreterPoolExecutor (Python 3.14) share no memory.
    shares = isinstance(executor, (InOrder, ThreadPoolExecutor)) and "Interpreter" not in kind.__name__
    slots = 1 if isinstance(executor, InOrder) else getattr(executor, "_max_workers", None)
    place = RunningExecutor(executor, slots if isinstance(slots, int) else None, run_on_all)
    return ExecutorChoice(name, shares, lambda: nullcontext(place))


@contextmanager
def _threads(count: int) -> Iterator[RunningExecutor]:
    threads = ThreadPoolExecutor(count, thread_name_prefix="gitmodel-step")
    try:
        yield RunningExecutor(threads, count)
    except BaseException:
        # Python cannot stop a thread. gitmodel does not wait for it, and records the run while the thread continues.
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    threads.shutdown()


@contextmanager
def _spawned(count: int) -> Iterator[RunningExecutor]:
    place = ProcessWorkers(count)
    try:
        yield place
    except BaseException:
        # The workers are killed, because a running step must not outlive its run.
        place.kill()
        raise
    finally:
        place.end()


def _processes(count: int) -> Executor:
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=spawn, initializer=_begin_worker)


def _begin_worker() -> None:
    # The terminal sends Ctrl-C to every process. Workers ignore it between steps; the process of the run handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # With the priority 100, Python ends these pools before it waits for the child processes of this process.
    multiprocessing.util.Finalize(None, _end_pools, exitpriority=100)


def _end_pools() -> None:
    """End the pools that steps left open. Python and joblib do not end them when a spawned process exits."""
    for name in ("joblib.externals.loky.reusable_executor", "loky.reusable_executor"):
        pool = getattr(sys.modules.get(name), "_executor", None)
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)
    end_open_pools = getattr(concurrent.futures.process, "_python_exit", None)
    if end_open_pools is not None:
        end_open_pools()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _dask(address: str, count: int) -> Iterator[RunningExecutor]:
    import asyncio  # imported here: it takes 20 ms, and only Dask needs it

    try:
        import dask
        import distributed
    except ImportError:
        raise UsageError("the dask executor needs dask.distributed", hint="pip install 'gitmodel[dask]'") from None
    connect: Any = distributed.Client
    try:
        # If a worker died, Dask runs its step a second time, as the executor "processes" does.
        with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
            local = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": ":0"}
            client = connect(**({"address": address} if address else local), set_as_default=False)
    except (OSError, ValueError, asyncio.TimeoutError) as error:
        raise Unreachable(
            f"no Dask scheduler answers at {address}: {error}",
            hint="start a scheduler there, or choose another executor",
        ) from None
    with client:
        executor = client.get_executor(pure=False)
        try:
            yield RunningExecutor(executor, run_on_all=client.run)
        except BaseException:
            executor.shutdown(wait=False)
            raise
