"""Retrying a change if another process moved a ref first: attempts, pauses, and the error after the last attempt.

If a loop that reads or moves refs has another policy, a comment says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gitmodel.errors import Conflict, GitModelError, Refused, Unreachable
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.failures import Locked, Moved

if TYPE_CHECKING:
    from gitmodel.git.refs.ref_locks import WriterMarks

T = TypeVar("T")

# The most attempts, which take tens of seconds. If 8 processes write all the time, a change takes about 10
# attempts.
ATTEMPTS = 200
_LONGEST_PAUSE = 0.1
# Attempts if a ref is locked. In each one, git itself waits for the lock (`core.filesRefLockTimeout`).
_LOCKED_ATTEMPTS = 3
_UNCHANGED = "nothing was changed; "


def pause(longest: float) -> None:
    """Wait for a random time of at most *longest* seconds, so that two processes do not retry at the same time."""
    import random  # imported here because only retries need it, and it costs 3 ms

    time.sleep(random.uniform(0, longest))


def half_done_error(error: GitModelError) -> GitModelError:
    """Return *error* for a change that moved the branch, but not all tags. The hint says to run `apply`."""
    said = f"the change is recorded, but not all of it is in force: {error.message}"
    if isinstance(error, Conflict):
        return Conflict(said, hint=f"{error.hint.removeprefix(_UNCHANGED)}; then run `git model apply`")
    if isinstance(error, Refused):
        return Refused(said, hint="read the message of the hook, then run `git model apply`")
    return Unreachable(said, hint="fix what stopped git, such as a full disk, then run `git model apply`")


def retry(work: Callable[[], T], retries: Retries) -> T:
    """Return the result of *work*. If it raises Moved or Locked, call it again, until *retries* raises Conflict."""
    while True:
        try:
            return work()
        except (Moved, Locked) as error:
            retries.failed(error)


class Retries:
    """Counts the attempts of a transaction, pauses between them, and gives up after too many."""

    def __init__(self, reader: ObjectReader, marks: WriterMarks) -> None:
        self._reader = reader
        self._marks = marks
        self._moved = 0
        self._locked = 0

    def failed(self, error: Conflict) -> None:
        """Pause before another attempt after *error*, or raise Conflict after too many attempts.

        If a ref is locked, first remove the locks of killed writers.
        """
        # The next attempt uses a new git process, because the running one may still use an old packed-refs.
        self._reader.close()
        if isinstance(error, Locked):
            self._locked += not self._marks.remove_dead()
            if self._locked >= _LOCKED_ATTEMPTS:
                raise self._stuck(error)
        else:
            self._moved += 1
            if self._moved >= ATTEMPTS:
                raise Conflict(
                    f"others kept changing the registry for {ATTEMPTS} tries: {error.message}", hint="try again"
                )
        pause(min(_LONGEST_PAUSE, 0.002 * 2 ** min(self._moved, 6)))

    def _stuck(self, error: Locked) -> Conflict:
        locks = self._marks.locks()
        if not locks:
            return Conflict(error.message, hint=error.hint)
        import shlex  # imported here: few failures need it

        oldest = max(locks, key=lambda lock: lock.age)
        return Conflict(
            f"{oldest.path} has been locked for {oldest.age:.0f} s",
            hint=f"{_UNCHANGED}if no git process is running on this repository, type: "
            f"rm {shlex.quote(str(oldest.path))}",
        )
