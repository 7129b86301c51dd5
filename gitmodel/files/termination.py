"""SIGTERM as an exception, so that a terminated process deletes its temporary files first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """The process was terminated by the signal *number*."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.strsignal(number))
        self.number = number


@contextmanager
def cleaning_up_when_terminated() -> Iterator[None]:
    """If SIGTERM or SIGHUP arrives during the block, raise Terminated there, and then end the process by this signal.

    This gives the block time to delete temporary files. Has an effect only in the main thread, and only on signals
    for which no handler is set. A second signal ends the process immediately.
    """
    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in _SIGNALS if main and signal.getsignal(number) is signal.SIG_DFL]

    def restore() -> None:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)

    def raise_terminated(number: int, frame: FrameType | None) -> None:
        restore()
        raise Terminated(number)

    for number in ours:
        signal.signal(number, raise_terminated)
    try:
        yield
    except Terminated as end:
        if end.number not in ours:
            raise
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os.kill(os.getpid(), end.number)
        raise
    finally:
        restore()
