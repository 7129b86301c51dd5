"""The files with the output of steps on this machine: writing them while a step runs, and reading them.

Each attempt of a step has up to three files: one with the first lines, and two with the newest lines. If one of these
two is full, gitmodel overwrites the other. So a log is small, and has the last lines even if the process was killed.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gitmodel.files.open_flags import RAW
from gitmodel.files.permissions import make_folder, open_file, replace_file
from gitmodel.frozen import Frozen

_HEAD = 512 * 1024  # bytes
_TAIL = 256 * 1024
_LONGEST_LINE = 4_000  # characters
_LONGEST_PART = 64 * 1024  # the most bytes that are kept of a line without its end
_STREAMS = {1: "stdout", 2: "stderr"}
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# Finds the first and last line of a private key. gitmodel can hide such a key only if all its lines are together.
_KEY = re.compile(rb"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_KEY = 16 * 1024  # bytes


class OutputLine(Frozen):
    """A line that a step printed at the time *at* (seconds since 1970).

    *stream* is "stdout" or "stderr", or "cut" for a line that says how many lines are missing here.
    """

    at: float
    stream: str
    text: str


class LogWriter:
    """Writes the output of one attempt of a step to files, line by line. Safe for threads.

    *folder* returns the folder for the files; it is called only if there is something to write. *hide* removes secrets
    from a text. If a file cannot be written, the log ends there, and the step goes on.
    """

    def __init__(self, folder: Callable[[], Path], attempt: int, hide: Callable[[str], str]) -> None:
        self._folder = folder
        self._attempt = attempt
        self._hide = hide
        self._parts = dict.fromkeys(_STREAMS, b"")
        self._lock = threading.Lock()
        self._file = -1
        self._turn = 0  # 0 while the file of the first lines is written, then counts the files of newest lines
        self._written = 0
        self._lines = 0
        self._broken = False

    def write(self, stream: int, data: bytes) -> None:
        """Write *data* that the step printed to *stream* (1 or 2). A last line without an end waits for its rest."""
        with self._lock:
            data = self._parts[stream] + data
            end = _end_of_lines(data)
            rest = data[end:]
            if end:
                self._write_lines(stream, data[: end - 1].split(b"\n"))
            if len(rest) > _LONGEST_PART:  # keep only the last state of a progress bar, or the beginning of a long line
                rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :][:_LONGEST_PART]
            self._parts[stream] = rest

    @property
    def is_empty(self) -> bool:
        """True if nothing was written: no file exists."""
        return not self._lines

    def close(self) -> None:
        """Write incomplete last lines, and close the file."""
        with self._lock:
            for stream, rest in self._parts.items():
                if rest:
                    self._write_lines(stream, [rest.removesuffix(b"\n")])
            self._parts = dict.fromkeys(_STREAMS, b"")
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._broken = True

    def _write_lines(self, stream: int, lines: Iterable[bytes]) -> None:
        # Like a terminal, keep only the last state of a progress bar: the text after the last carriage return.
        shown = b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines)
        text = self._hide(_ESCAPES.sub("", shown.decode(errors="backslashreplace")))
        moment = f"{time.time():.3f} {stream} "
        for line in text.split("\n"):
            if len(line) > _LONGEST_LINE:
                line = f"{line[:_LONGEST_LINE]} [{len(line) - _LONGEST_LINE} more characters]"
            self._append(f"{moment}{line}\n".encode(errors="backslashreplace"))

    def _append(self, line: bytes) -> None:
        try:
            if self._broken:
                return
            if self._file < 0 or self._written + len(line) > (_TAIL if self._turn else _HEAD):
                self._open_next()
            self._written += os.write(self._file, line)
            self._lines += 1
        except OSError:
            self._broken = True

    def _open_next(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file, self._turn = -1, self._turn + 1
        folder = self._folder()
        make_folder(folder)
        path = _path(folder, self._attempt, self._turn)
        self._file = open_file(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | RAW, 0o600)
        self._written = 0
        if self._turn:
            self._written = os.write(self._file, f"{self._lines}\n".encode())


def is_reachable(folder: Path) -> bool:
    """Return True if this process can write a step's log to *folder*: the folder above it, of the run, exists here.

    A step may run on another machine, where no folder has the id of this run as its name.
    """
    return os.access(folder.parent, os.W_OK)


def read_attempts(folder: Path) -> Iterator[tuple[int, list[OutputLine]]]:
    """Yield the number and the output lines of each attempt of the step with its logs in *folder*."""
    names = os.listdir(folder) if folder.is_dir() else []
    for attempt in sorted({int(name.partition(".")[0]) for name in names if name[:1].isdigit()}):
        with suppress(OSError):
            yield attempt, list(_lines(folder, attempt))


def keep_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write *files*, the names and contents from `read_files` on another machine, to *folder*, the logs of a step."""
    with suppress(OSError):
        make_folder(folder)
        for name, content in files:
            if re.fullmatch(r"\d+\.(?:head|tail[01])", name):
                replace_file(folder / name, content[: _HEAD + _TAIL])


def read_files(folder: Path) -> tuple[tuple[str, bytes], ...]:
    """Return names and contents of the files in *folder*, the logs of a step, for `keep_files` on another machine."""
    return tuple((path.name, path.read_bytes()) for path in sorted(folder.iterdir())) if folder.is_dir() else ()


def rewrite_logs(folder: Path, change: Callable[[str], str]) -> None:
    """Replace the text of each log in *folder*, of a run, by the result of *change*, for example without a secret."""
    for path in folder.glob("*/*.*"):
        with suppress(OSError):
            text = path.read_text(errors="backslashreplace")
            if (changed := change(text)) != text:
                path.write_text(changed)


def _end_of_lines(data: bytes) -> int:
    """Return the position after the last complete line in *data*, or before a private key that has no end yet."""
    end = data.rfind(b"\n") + 1
    if b"PRIVATE KEY" not in data:
        return end
    last = next(reversed(list(_KEY.finditer(data, 0, end))), None)
    if last is None or last[1] == b"END" or end - last.start() > _LONGEST_KEY:
        return end
    return data.rfind(b"\n", 0, last.start()) + 1


def _path(folder: Path, attempt: int, turn: int) -> Path:
    return folder / f"{attempt}.{'head' if not turn else f'tail{turn % 2}'}"


def _lines(folder: Path, attempt: int) -> Iterator[OutputLine]:
    head = _read(_path(folder, attempt, 0))
    yield from filter(None, map(_line, head))
    tails = [found for turn in (1, 2) if (found := _read(_path(folder, attempt, turn)))]
    known = len(head)
    for before, *rest in sorted(tails, key=lambda found: int(found[0])):
        if (gap := int(before) - known) > 0:
            first = next(filter(None, map(_line, rest)), None)
            yield OutputLine(first.at if first else 0.0, "cut", f"({gap} lines are left out here)")
        yield from filter(None, map(_line, rest))
        known = int(before) + len(rest)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(errors="backslashreplace").removesuffix("\n").split("\n")
    except FileNotFoundError:
        return []


def _line(text: str) -> OutputLine | None:
    at, _, rest = text.partition(" ")
    stream, _, said = rest.partition(" ")
    try:
        return OutputLine(float(at), _STREAMS[int(stream)], said)
    except (KeyError, ValueError):  # the line is incomplete, because the process was killed
        return None
