"""The options of a transfer between stores and files. Commands that transfer nothing import only this module."""

from __future__ import annotations

from collections.abc import Callable

from gitmodel.frozen import Frozen

Sent = Callable[[int], None]
"""Called with the length in bytes of each piece that the store accepted, by several threads at the same time."""
Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, by one thread at a time."""

JOBS = 8  # files at a time: independent of the number of processors, because transfers wait for disks and networks


class Transfer(Frozen):
    """The options of a transfer: the number of objects at a time, and a function that is called as bytes arrive."""

    jobs: int = JOBS
    progress: Progress | None = None
