"""Locks on refs: removing those that provably belong to killed writers of gitmodel, and describing all others."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gitmodel.domain.schema.refs import RESERVED
from gitmodel.files.failures import writing
from gitmodel.files.locks import NoLocks, create_locked, lock, try_lock
from gitmodel.files.open_flags import FOLDER, RAW
from gitmodel.files.permissions import make_folder, open_to_lock
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_move import RefMove

# The least age in seconds at which an empty lock may count as gitmodel's. Any git may hold a newer empty lock: a lock
# is empty while git verifies, packs or deletes the ref. No age is required for reservations, because only gitmodel uses
# these refs.
_EMPTY_AGE = 60
# The folder for the marks of processes between two writes. It is beside the folder of the active marks.
_IDLE = "idle"


class LockFile(Frozen):
    """An existing lock; *age* in seconds. *dead* is True if it belongs to a killed writer of gitmodel."""

    path: Path
    age: float
    dead: bool


class WriterMark:
    """The writer mark of this process, in which other processes see that it lives.

    The file stays locked while *descriptor* is open in this process or in a git that inherited it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._active = path

    @property
    def exists(self) -> bool:
        """True if the file still exists."""
        return os.fstat(self.descriptor).st_nlink > 0

    def write(self, moves: Sequence[RefMove]) -> None:
        """List *moves* in the mark, in the folder of active marks. Raises Unreachable."""
        # A ref that is only verified has no new id in the mark, because git leaves its lock empty.
        text = "".join(f"{move.ref} {'' if move.verifies else move.new or ''}\n" for move in moves).encode()
        with writing(self.path, outcome="nothing was changed"):
            os.pwrite(self.descriptor, text, 0)
            if self.path != self._active:
                self._move_to(self._active)

    def rest(self) -> None:
        """Empty the mark and move it to the folder of idle marks until the next transaction."""
        with suppress(OSError):  # an active mark without locks does no harm
            os.ftruncate(self.descriptor, 0)
            self._move_to(self._active.parent.with_name(_IDLE) / self._active.name)

    def _move_to(self, path: Path) -> None:
        try:
            os.rename(self.path, path)
        except FileNotFoundError:
            make_folder(path.parent)
            os.rename(self.path, path)
        self.path = path

    def remove(self) -> None:
        """Delete and unlock the mark."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Unlock the mark in this process, and leave the file. Closing it again does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class WriterMarks:
    """Marks of active transactions: files that list ref moves, each locked by its writer.

    The operating system releases the lock (`man 2 flock`) when the writer and its git have ended. So a mark that
    another process can lock is a leftover.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._folder = common_dir / "gitmodel" / "writers"

    def create(self) -> WriterMark:
        """Create the mark of one transaction, or of several that follow each other. Raises Unreachable."""
        return WriterMark(*create_locked(self._folder, lambda: os.urandom(8).hex()))

    def locks(self) -> list[LockFile]:
        """Return the locks on refs and on packed-refs."""
        return self._judged(self._marks())

    def remove_dead(self) -> list[Path]:
        """Delete all locks of killed writers of gitmodel, and the marks of these writers."""
        try:
            folder = os.open(self._folder, os.O_RDONLY | FOLDER | RAW)
        except OSError:
            return []
        try:
            # Only one process at a time may do this. After it deletes a lock, a living writer can take the lock again,
            # and a second process would delete the new lock.
            try:
                lock(folder)
            except NoLocks:  # the file system has no locks, which would show the dead writers
                return []
            marks = self._marks()
            removed = [lock.path for lock in self._judged(marks) if lock.dead]
            for path in [*removed, *(mark.path for mark in marks if mark.dead)]:
                with suppress(PermissionError):  # the folder is read-only for this user
                    path.unlink(missing_ok=True)
            return removed
        finally:
            os.close(folder)

    def leftovers(self) -> list[Path]:
        """Return the marks of writers that have ended."""
        return [mark.path for mark in self._marks() if mark.dead]

    def _judged(self, marks: list[_Mark]) -> list[LockFile]:
        found = []
        for path in [self._common_dir / "packed-refs.lock", *sorted((self._common_dir / "refs").rglob("*.lock"))]:
            try:
                age = time.time() - path.stat().st_mtime
                held = path.read_text(errors="replace").strip()
            except OSError:
                continue
            ref = path.relative_to(self._common_dir).as_posix().removesuffix(".lock")
            found.append(LockFile(path, age, _is_dead(ref, held, age, marks)))
        return found

    def _marks(self) -> list[_Mark]:
        found = []
        folders = (self._folder, self._folder.with_name(_IDLE))
        for path in (path for folder in folders if os.path.isdir(folder) for path in sorted(folder.glob("*"))):
            try:
                descriptor = open_to_lock(path)
            except OSError:
                continue
            try:
                dead = try_lock(descriptor)
                lines = os.read(descriptor, 1 << 20).decode("utf-8", "replace").splitlines()
                moves = {ref: new for ref, _, new in (line.partition(" ") for line in lines)}
                found.append(_Mark(path, moves, dead))
            except OSError:
                continue
            finally:
                os.close(descriptor)
        return found


def gc_runs(common_dir: Path) -> bool:
    """Return True if a `git gc` is running. The file `gc.pid` names its process and host."""
    try:
        process, _, host = (common_dir / "gc.pid").read_text().partition(" ")
        if host.strip() == os.uname().nodename:
            os.kill(int(process), 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (OSError, ValueError):
        return True
    return True


class _Mark(Frozen):
    path: Path
    moves: Mapping[str, str]
    dead: bool


def _is_dead(ref: str, held: str, age: float, marks: list[_Mark]) -> bool:
    """Return True if a lock on *ref* that holds the id *held* provably belongs to a dead writer among *marks*."""
    if not held and age < _EMPTY_AGE and not ref.startswith(RESERVED):
        return False
    makers = [mark.dead for mark in marks if ref in mark.moves and held in ("", mark.moves[ref])]
    # Two writers can create the same commit. While one of them is alive, the lock may belong to it.
    return bool(makers) and all(makers)
