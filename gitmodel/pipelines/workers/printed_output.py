"""Copying everything that is printed while a step runs to the log of the step.

While a step runs, the file descriptors 1 and 2 of this process are pipes, so that the log includes the output of child
processes and of C code. All output also appears where it would appear without the log, such as on the terminal.
"""

from __future__ import annotations

import atexit
import mmap
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.machinery import ExtensionFileLoader
from typing import Any, TextIO

from gitmodel.branch.runs.step_logs import LogWriter
from gitmodel.pipelines.workers import printed_output_relay

_CHUNK = 1 << 16
_PIPE = 1 << 20
# Packages with C code that gitmodel itself needs. Their C code prints nothing.
_NEEDED = frozenset({"pydantic_core", "rtoml"})
_DRAINS = 64

_log_here: ContextVar[LogWriter | None] = ContextVar("gitmodel_step_log", default=None)
_changing = threading.Lock()
_redirection: _Redirection | None = None


@contextmanager
def keeping_output(log: LogWriter | None, *, alone: bool) -> Iterator[None]:
    """Copy everything that is printed in the block to *log*. If *log* is None, copy nothing.

    *alone* is False if several steps run in this process. Then gitmodel writes what Python code prints to the log of
    the step in whose thread the code runs, and all other output to the logs of all running steps.
    """
    global _redirection
    if log is None:
        yield
        return
    with _changing:
        if _redirection is None:
            _redirection = _Redirection()
        _redirection.begin(log, alone=alone)
    token = _log_here.set(log)
    try:
        yield
    finally:
        _log_here.reset(token)
        with _changing:
            _redirection.end(log)


class _Redirection:
    """The pipes for the output of this process, and the thread that reads them. A process creates one redirection."""

    def __init__(self) -> None:
        self.logs: list[LogWriter] = []
        self._reading = threading.Lock()
        self._saved: dict[int, int] = {}  # copies of the original file descriptors 1 and 2
        self._streams: list[tuple[str, Any, bool]] = []
        self._ends, self._writers = _pipes()
        self._readers = self._ends  # the ends of pipes that this process reads, each with its stream (1 or 2)
        self._relay: _Relay | None = None
        self._modules = 0  # the number of modules that were loaded at the last search for C code
        self._start_thread()
        atexit.register(self.drain)  # copies the output of processes that steps left running

    def begin(self, log: LogWriter, *, alone: bool) -> None:
        """Start copying the output of this process to *log*."""
        _flush()
        if self.logs:
            self.drain()
        else:
            if self._relay is None and self._modules != len(sys.modules):
                self._modules = len(sys.modules)
                if _has_foreign_c_code():
                    self._start_relay()
            self._redirect(alone)
        self.logs = [*self.logs, log]

    def end(self, log: LogWriter) -> None:
        """Copy the remaining output to *log*, and stop copying."""
        _flush()
        if len(self.logs) == 1:
            self._restore()
        self.drain()
        self.logs = [other for other in self.logs if other is not log]

    def show(self, number: int, data: bytes) -> None:
        """Write *data* to the file that the descriptor *number* (1 or 2) had before the redirection."""
        with suppress(KeyError, OSError):
            while data:
                data = data[os.write(self._saved[number], data) :]

    def is_terminal(self, number: int) -> bool:
        """Return True if the descriptor *number* (1 or 2) was a terminal before the redirection."""
        return number in self._saved and os.isatty(self._saved[number])

    def _redirect(self, alone: bool) -> None:
        with self._reading:
            for number, writer in self._writers.items():
                if number in self._saved:
                    os.close(self._saved.pop(number))
                with suppress(OSError):  # a process may have no stdout or stderr
                    self._saved[number] = os.dup(number)
                    os.dup2(writer, number)
        self._streams.clear()
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            to_descriptor = _descriptor_of(stream) in (1, 2)
            buffered = to_descriptor and not getattr(stream, "line_buffering", True)
            if buffered:
                # so that the log gets the time of each line, and a kill loses no whole line
                stream.reconfigure(line_buffering=True)
            self._streams.append((name, stream, buffered))
            if stream is not None and (not alone or not to_descriptor or self.is_terminal(number)):
                setattr(sys, name, _Stream(stream, self, number, to_descriptor=to_descriptor))

    def _restore(self) -> None:
        for number, saved in self._saved.items():
            os.dup2(saved, number)
        for name, stream, buffered in self._streams:
            if isinstance(getattr(sys, name), _Stream):
                setattr(sys, name, stream)
            if buffered:
                stream.reconfigure(line_buffering=False)

    def _start_thread(self) -> None:
        threading.Thread(target=self._pass_on, args=(self._readers,), daemon=True, name="gitmodel-output").start()

    def _pass_on(self, readers: dict[int, int]) -> None:
        waiting = select.poll()
        for reader in readers:
            waiting.register(reader, select.POLLIN)
        while self._readers is readers:
            for reader, _ in waiting.poll():
                self._read(reader)

    def _start_relay(self) -> None:
        with suppress(OSError):
            relay = _Relay(self._ends)
            with self._reading:
                self._relay, self._readers = relay, relay.readers
            self._start_thread()

    def drain(self) -> None:
        """Read everything that was printed so far, show it, and write it to the logs."""
        relay = self._relay
        if relay is not None:
            relay.wait_until_empty(self._read)
        for reader in list(self._readers):
            for _ in range(_DRAINS):  # limited, because a process that a step left running may never stop printing
                if not self._read(reader):
                    break

    def _read(self, reader: int) -> bool:
        """Read text from the pipe *reader*, show it, and write it to the logs. Return False if the pipe was empty."""
        with self._reading:
            number = self._readers.get(reader)
            if number is None or not _is_readable(reader):
                return False
            data = os.read(reader, _CHUNK)
            if not data:
                # the process of the relay has ended: a thread of this process reads from the pipes again
                self._relay, self._readers = None, self._ends
                self._start_thread()
                return False
            self.show(number, data)
            for log in self.logs:
                log.write(number, data)
            return True


class _Relay:
    """The process of `printed_output_relay`. It reads the pipes *ends*, and writes the text to two other pipes.

    *readers* has the ends from which this process reads these two pipes.
    """

    def __init__(self, ends: dict[int, int]) -> None:
        self.readers, writers = _pipes()
        self._control, theirs = socket.socketpair()
        self._asking = threading.Lock()
        self._ends = ends
        with tempfile.TemporaryFile() as file:
            file.truncate(1)
            self._busy = mmap.mmap(file.fileno(), 1)
            passed = (*ends, *writers.values(), *self.readers, theirs.fileno(), file.fileno())
            # A session of its own, so that Ctrl-C does not end the relay.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", printed_output_relay.__file__, *map(str, passed)],
                stdin=subprocess.DEVNULL,
                pass_fds=passed,
                start_new_session=True,
            )
        theirs.close()
        for writer in writers.values():
            os.close(writer)

    def wait_until_empty(self, read: Callable[[int], bool]) -> None:
        """Read all output that was printed before this call: call *read* with each of `readers` that has text."""
        if not any(map(_is_readable, self._ends)) and not self._busy[0]:
            return  # the relay has passed on everything
        waiting = select.poll()
        for number in (self._control.fileno(), *self.readers):
            waiting.register(number, select.POLLIN)
        with self._asking, suppress(OSError):
            self._control.sendall(printed_output_relay.ASK)
            while True:
                ready = [number for number, _ in waiting.poll()]
                for number in ready:
                    if number in self.readers:
                        read(number)
                if self._control.fileno() in ready:
                    self._control.recv(1)
                    return


def _pipes() -> tuple[dict[int, int], dict[int, int]]:
    """Return two large pipes: a map of reading ends to streams (1 or 2), and a map of streams to writing ends."""
    readers, writers = {}, {}
    for number in (1, 2):
        reader, writers[number] = os.pipe()
        readers[reader] = number
        with suppress(OSError, ImportError):  # only Linux can make pipes larger
            from fcntl import F_SETPIPE_SZ, fcntl

            fcntl(reader, F_SETPIPE_SZ, _PIPE)
    return readers, writers


def _is_readable(number: int) -> bool:
    found = select.poll()
    found.register(number, select.POLLIN)
    return bool(found.poll(0))


def _has_foreign_c_code() -> bool:
    """Return True if a loaded extension module belongs neither to Python nor to a package that gitmodel needs."""
    for name, module in sys.modules.copy().items():
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        top = name.partition(".")[0]
        if isinstance(loader, ExtensionFileLoader) and top not in sys.stdlib_module_names and top not in _NEEDED:
            return True
    return False


def _forget_in_child() -> None:
    """Forget the logs in a child process that a step forked, because the parent reads the pipes and writes the logs."""
    global _redirection, _changing
    if _redirection is not None:
        _redirection.logs = []
    _redirection, _changing = None, threading.Lock()
    _log_here.set(None)


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_forget_in_child)


class _Stream:
    """Replaces `sys.stdout` or `sys.stderr` while a step runs. It is a terminal if the original stream is one."""

    def __init__(self, stream: TextIO, capture: _Redirection, number: int, *, to_descriptor: bool) -> None:
        self._stream = stream
        self._capture = capture
        self._number = number
        self._to_descriptor = to_descriptor

    def write(self, text: str) -> int:
        """Print *text*, and write it to the log of the step."""
        log = _log_here.get()
        data = text.encode(errors="backslashreplace") if isinstance(text, str) else b""
        self._capture.drain()  # so that earlier output of child processes comes first
        if not self._to_descriptor:  # the stream of a notebook, which does not write to the pipes
            for each in [log] if log is not None else list(self._capture.logs):
                each.write(self._number, data)
        elif log is not None and len(self._capture.logs) > 1:
            log.write(self._number, data)
            self._capture.show(self._number, data)
            return len(text)
        return self._stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Print each of *lines*."""
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        """Return True if the output is shown on a terminal."""
        return self._capture.is_terminal(self._number) if self._to_descriptor else self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _descriptor_of(stream: Any) -> int:
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return -1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
