"""Running a step that has a timeout, in a process of its own.

After the timeout, gitmodel ends this process and its child processes.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from gitmodel.branch.runs.step_logs import is_reachable, read_files
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.pipelines.step_context.step_requests import Request
from gitmodel.pipelines.step_context.step_results import StepResult
from gitmodel.pipelines.workers.worker import run_step

# Seconds between SIGTERM and SIGKILL: fewer than the ten seconds that gitmodel gives an interrupted worker.
_GRACE = 5.0


def run_limited_step(request: Request) -> StepResult:
    """Run a step in a new process, and return its result. After the timeout, end the process and its child processes.

    Raises BrokenExecutor if the process died.
    """
    if is_reachable(request.log) or not request.attempt:
        return _run_within(request)
    # The process writes what the step prints to files, because a killed process cannot return a value.
    with tempfile.TemporaryDirectory(prefix="gitmodel-log-", ignore_cleanup_errors=True) as folder:
        log = Path(folder, "log")
        result = _run_within(replace(request, log=log))
        return replace(result, output=read_files(log))


def _run_within(request: Request) -> StepResult:
    assert request.timeout is not None
    clock = time.perf_counter()
    receiver, sender = Pipe(duplex=False)
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    with cleaning_up_when_terminated(), receiver:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(sender.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=(sender.fileno(),),
                start_new_session=True,
            )
        finally:
            sender.close()
        try:
            result = _result_of(process, request, receiver)
        except BaseException:
            _end_group(process)
            raise
    if result is not None:
        return result
    unit = "second" if request.timeout == 1 else "seconds"
    text = f"it ran longer than its timeout of {request.timeout:g} {unit}, and gitmodel ended it"
    return StepResult(
        "failed",
        seconds=time.perf_counter() - clock,
        error=ErrorText("TimeoutError", text, "give the step more time: @step(timeout=...)"),
        read_version=True,  # assumed, because the step may have read the number
        may_pass_later=True,
    )


def _result_of(process: subprocess.Popen[bytes], request: Request, receiver: Connection) -> StepResult | None:
    """Send *request* to *process*, wait, and return the result. After the timeout, end the process and return None."""
    assert process.stdin is not None
    assert request.timeout is not None
    data = pickle.dumps(request)
    with suppress(BrokenPipeError):  # raised if the process died before it had read the request
        process.stdin.write(len(data).to_bytes(8, "big") + data)
        process.stdin.flush()
    if not receiver.poll(request.timeout):
        _end_group(process)
        return None
    try:
        found = receiver.recv_bytes()
    except EOFError:
        code = process.wait()
        how = f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with the exit code {code}"
        raise BrokenExecutor(f"the process of step {request.facts.step} ended {how}") from None
    process.stdin.close()
    process.wait()
    result: StepResult = pickle.loads(found)
    return result


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to *process* and its child processes, and later SIGKILL to those that still run."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()


def main() -> None:
    """Read a request from stdin, run its step, and send the result to the file descriptor in the first argument."""
    sender = int(sys.argv[1])
    os.set_inheritable(sender, False)
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    with open(lifeline, "rb", closefd=False) as stream:
        size = int.from_bytes(stream.read(8), "big")
        request: Request = pickle.loads(stream.read(size))
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    with cleaning_up_when_terminated():
        result = run_step(request)
    with Connection(sender, readable=False) as connection, suppress(BrokenPipeError):
        connection.send_bytes(pickle.dumps(result))


def _end_with_parent(lifeline: int) -> None:
    """End this process and its child processes when the parent process ends, so that none outlives the run."""
    if os.read(lifeline, 1) == b"":
        os.killpg(0, signal.SIGTERM)
        time.sleep(_GRACE)
        os.killpg(0, signal.SIGKILL)
