"""Running a program that contacts another machine, with a timeout for silence but not for the total time."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from gitmodel.frozen import Frozen

# Seconds that a terminated program has to end before gitmodel kills it.
_GRACE = 2.0
# Seconds between checks whether the program has ended. The end of its output does not show this: a child process of
# the program can keep the output open.
_LOOK = 0.5
_PROGRESS = (
    r"(?:remote: )?[A-Z][a-z]+(?: [a-z]+)*: +(?:\d+% \(\d+/\d+\)|\d+)(?:, .*)?"
    r"|(?:remote: )?Total \d+ \(delta \d+\), .*|Delta compression using up to .*"
)


class GitOutput(Frozen):
    """The exit code and output of a git process. *stderr* includes the messages that a remote sent."""

    code: int
    stdout: str
    stderr: str


def run_until_silent(command: list[str], environ: Mapping[str, str], *, cwd: Path, silence: float) -> GitOutput:
    """Run *command* in the folder *cwd*, and return its output without git's progress messages.

    Terminates the program if it prints nothing for *silence* seconds; the returned stderr says so. Raises OSError if it
    cannot be started.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd=cwd
    ) as process:
        try:
            heard, silent = _read_until_silent(process, silence)
        except BaseException:
            end_program(process)
            raise
        if silent:
            end_program(process)
        assert process.stdout is not None
        assert process.stderr is not None
        pipes = (process.stdout, process.stderr)
        stdout, stderr = (heard[pipe.fileno()].decode("utf-8", "replace") for pipe in pipes)
    notice = f"the remote sent nothing for {silence:g} seconds\n" if silent else ""
    return GitOutput(process.returncode, stdout, without_progress(stderr) + notice)


def without_progress(text: str) -> str:
    r"""Return *text* without git's progress messages.

    >>> without_progress("Writing objects:  50% (1/2)\rWriting objects: 100% (2/2), 150 bytes, done.\nremote: no\n")
    'remote: no\n'
    """
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", text)]
    return "".join(f"{line}\n" for line in lines if line and not re.fullmatch(_PROGRESS, line))


def _read_until_silent(process: subprocess.Popen[bytes], silence: float) -> tuple[dict[int, bytes], bool]:
    """Read the output of *process* until it ends, or prints nothing for *silence* seconds.

    Returns the output by the descriptor of its pipe, and True if *process* printed nothing for that long.
    """
    heard: dict[int, list[bytes]] = {}
    last = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            heard[pipe.fileno()] = []
            selector.register(pipe, selectors.EVENT_READ)
        silent = False
        while selector.get_map() and not silent:
            # Checked before the next read, which then also gets the last output of a program that has ended.
            ended = process.poll() is not None
            ready = selector.select(0 if ended else min(silence, _LOOK))
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                heard[key.fd].append(data)
                if not data:
                    selector.unregister(key.fileobj)
            if ready:
                last = time.monotonic()
            elif ended:
                break  # children of the program may keep the pipes open; do not wait for them
            silent = time.monotonic() - last > silence
    return {descriptor: b"".join(parts) for descriptor, parts in heard.items()}, silent


def end_program(process: subprocess.Popen[bytes]) -> None:
    """Terminate *process* with SIGTERM, so that it can remove its locks. Kill it if it still runs after 2 seconds."""
    process.terminate()
    try:
        process.wait(_GRACE)
    except BaseException as error:
        process.kill()
        if not isinstance(error, subprocess.TimeoutExpired):  # a second interrupt
            raise
