"""A change that did not go through at once: how often it is tried again, and what is said when it ends half done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gitmodel.errors import Conflict, GitModelError, Refused, Unreachable
from gitmodel.git.process import Locked, Moved, ObjectReader

if TYPE_CHECKING:
    from gitmodel.git.ref_locks import WriterMarks

T = TypeVar("T")

# With 8 busy writers a change is planned again some 10 times; 200 tries take tens of seconds, then we say so.
ATTEMPTS = 200
_LONGEST_PAUSE = 0.1
# Each try that finds a lock has waited for it for `core.filesRefLockTimeout` already.
_LOCKED_ATTEMPTS = 3
_UNCHANGED = "nothing was changed; "


def half_done_error(error: GitModelError) -> GitModelError:
    """Return *error* as reported once the branch has moved: the change is recorded, and `apply` does the rest."""
    said = f"the change is recorded, but not all of it is in force: {error.message}"
    if isinstance(error, Conflict):
        return Conflict(said, hint=f"{error.hint.removeprefix(_UNCHANGED)}; then run `git model apply`")
    if isinstance(error, Refused):
        return Refused(said, hint="read the message of the hook, then run `git model apply`")
    return Unreachable(said, hint="fix what stopped git, such as a full disk, then run `git model apply`")


def retry(work: Callable[[], T], retries: Retries) -> T:
    """Call *work*, again if a ref was moved or locked first, and return its result. Raises Conflict at last."""
    while True:
        try:
            return work()
        except (Moved, Locked) as error:
            retries.failed(error)


class Retries:
    """The count of a transaction's tries: pauses between tries, and gives up after too many.

    *marks* returns the marks of processes that move refs; it is called only when a ref is locked.
    """

    def __init__(self, reader: ObjectReader, marks: Callable[[], WriterMarks]) -> None:
        self._reader = reader
        self._marks = marks
        self._moved = 0
        self._locked = 0

    def failed(self, error: Conflict) -> None:
        """Make ready for another try after *error*. Raises Conflict when there were enough."""
        # A rewritten packed-refs can be answered from memory for ever: ask a new process.
        self._reader.close()
        if isinstance(error, Locked):
            removed = self._marks().remove_dead()
            self._locked += not removed
            if self._locked >= _LOCKED_ATTEMPTS:
                raise self._stuck(error)
        else:
            self._moved += 1
            if self._moved >= ATTEMPTS:
                raise Conflict(
                    f"others kept changing the registry for {ATTEMPTS} tries: {error.message}", hint="try again"
                )
        import random  # imported here: only retries need it, and it costs 3 ms

        time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.002 * 2 ** min(self._moved, 6))))

    def _stuck(self, error: Locked) -> Conflict:
        locks = self._marks().locks()
        if not locks:
            return Conflict(error.message, hint=error.hint)
        import shlex

        oldest = max(locks, key=lambda lock: lock.age)
        return Conflict(
            f"{oldest.path} has been locked for {oldest.age:.0f} s",
            hint=f"{_UNCHANGED}if no git process is running on this repository, type: "
            f"rm {shlex.quote(str(oldest.path))}",
        )
