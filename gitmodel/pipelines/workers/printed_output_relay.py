"""A program that reads from pipes what steps print, keeps it, and passes it on to a thread in the process of the steps.

The thread cannot read while C code of a step holds the lock of the Python interpreter. If the C code printed more than
a pipe holds, it would wait forever. The relay is a separate process, so it can always empty the pipes. `python -I -S`
runs this file, which imports only modules that Python imports fast.
"""

from __future__ import annotations

import mmap
import os
import select
import sys
from collections import deque

_CHUNK = 1 << 16
# The greatest number of bytes that the relay keeps for a stream. If it has more, it stops reading, so that printing
# waits, and a child process cannot fill the memory.
_MOST = 256 << 20
_MOST_CHUNKS = 64
ASK, DONE = b"?", b"!"


class Stream:
    """The text of stdout or stderr, which the relay reads from *source* and writes to *target*."""

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self.kept: deque[bytes] = deque()
        self.size = 0
        os.set_blocking(target, False)

    def take(self) -> bool:
        """Read text from the source and keep it. Return False if the source was empty."""
        if not _is_readable(self.source):
            return False
        data = os.read(self.source, _CHUNK)
        self.kept.append(data)
        self.size += len(data)
        return bool(data)

    def give(self) -> None:
        """Write as much of the kept text as the target accepts. Raises BrokenPipeError if nothing reads the target."""
        data = self.kept.popleft()
        try:
            written = os.write(self.target, data)
        except BlockingIOError:
            written = 0
        self.size -= written
        if written < len(data):
            self.kept.appendleft(data[written:])


def relay(streams: list[Stream], control: int, busy: mmap.mmap) -> None:
    """Pass on the text of the streams, until the process of the steps ends, which is at the other end of *control*.

    The process of the steps sends ASK to learn when the relay has passed on everything printed before. Then the relay
    sends DONE. The process need not ask if the sources are empty and *busy* is 0. The relay sets *busy* to 1 before it
    reads a text, and to 0 after it has passed the text on.
    """
    asked = False
    while True:
        busy[0] = any(stream.kept for stream in streams)
        waiting = select.poll()
        waiting.register(control, select.POLLIN)
        for stream in streams:
            if not asked and stream.size < _MOST:
                waiting.register(stream.source, select.POLLIN)
            if stream.kept:
                waiting.register(stream.target, select.POLLOUT)
        ready = {number for number, _ in waiting.poll()}
        busy[0] = 1
        if control in ready:
            if os.read(control, 1) != ASK:
                return
            asked = True
            for stream in streams:
                for _ in range(_MOST_CHUNKS):
                    if not stream.take():
                        break
        for stream in streams:
            if stream.source in ready and not asked:
                stream.take()
            if stream.target in ready and stream.kept:
                stream.give()
        if asked and not any(stream.kept for stream in streams):
            os.write(control, DONE)
            asked = False


def show_rest(streams: list[Stream], readers: list[int]) -> None:
    """After the process of the steps has ended, write the text that it had not read to stdout and stderr of the relay.

    *readers* are the ends of the pipes from which that process read.
    """
    for number, (stream, reader) in enumerate(zip(streams, readers, strict=True), 1):
        while _is_readable(reader):
            _write(number, os.read(reader, _CHUNK))
        while stream.size < _MOST and stream.take():
            pass
        for data in stream.kept:
            _write(number, data)


def _write(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data) :]


def _is_readable(number: int) -> bool:
    found = select.poll()
    found.register(number, select.POLLIN)
    return any(event & select.POLLIN for _, event in found.poll(0))


def main() -> None:
    """Relay between the file descriptors in the arguments.

    These are two sources, two targets, the reading ends of the two targets, the control socket, and the file of one
    byte for *busy*.
    """
    *pipes, control, file = map(int, sys.argv[1:])
    streams = [Stream(*pair) for pair in zip(pipes[:2], pipes[2:4], strict=True)]
    try:  # noqa: SIM105 (importing contextlib takes a third of the time of this program)
        relay(streams, control, mmap.mmap(file, 1))
    except (BrokenPipeError, ConnectionResetError):
        pass
    show_rest(streams, pipes[4:])


if __name__ == "__main__":
    main()
