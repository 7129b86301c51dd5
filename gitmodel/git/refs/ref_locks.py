"""git's locks on refs: listing them, and removing those that provably belong to killed writers of gitmodel."""

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

# The age in seconds from which an empty lock may count as left by a killed gitmodel. A newer empty lock may belong to
# any running git: a lock is empty while git verifies, packs or deletes the ref. No age is required for locks on
# reservations, because only gitmodel moves these refs.
_EMPTY_AGE = 60
# The folder for the writer marks of processes that are between two writes. It is beside the folder of the active marks.
_IDLE = "idle"


class LockFile(Frozen):
    """A lock file of git on a ref; *age* is in seconds. *dead* is True if it belongs to a killed writer of gitmodel."""

    path: Path
    age: float
    dead: bool


class WriterMark:
    """The writer mark of this process. It stays locked while *descriptor* is open, also in a git that inherited it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self._active = path

    @property
    def exists(self) -> bool:
        """True if the file of the mark still exists."""
        return os.fstat(self.descriptor).st_nlink > 0

    def write(self, moves: Sequence[RefMove]) -> None:
        """Write *moves* into the mark, and move the mark to the folder of active marks. Raises Unreachable."""
        # A ref that is only verified has no new id in the mark, because git leaves its lock empty.
        text = "".join(f"{move.ref} {'' if move.verifies else move.new or ''}\n" for move in moves).encode()
        with writing(self.path, outcome="nothing was changed"):
            os.pwrite(self.descriptor, text, 0)
            if self.path != self._active:
                self._move_to(self._active)

    def rest(self) -> None:
        """Empty the mark and move it to the folder of idle marks until the next transaction."""
        with suppress(OSError):  # an active mark does no harm if its process holds no lock on a ref
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
        """Delete the file of the mark and unlock it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Unlock the mark in this process, and leave the file. A second call does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class WriterMarks:
    """The writer marks of one repository: files that list ref moves, each locked by the process that makes the moves.

    The operating system releases the lock when this process and its git have ended. So if another process can lock a
    mark, the writer of the mark has ended without deleting it.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._folder = common_dir / "gitmodel" / "writers"

    def create(self) -> WriterMark:
        """Create a mark for one transaction, or for several that follow each other. Raises Unreachable."""
        return WriterMark(*create_locked(self._folder, lambda: os.urandom(8).hex()))

    def locks(self) -> list[LockFile]:
        """Return git's locks on refs and on packed-refs."""
        return self._judged(self._marks())

    def remove_dead(self) -> list[Path]:
        """Delete the locks on refs that killed writers of gitmodel left, and their marks. Return the deleted locks.

        A mark stays while another lock on one of its refs exists: it may prove later that a killed writer made the
        lock.
        """
        try:
            folder = os.open(self._folder, os.O_RDONLY | FOLDER | RAW)
        except OSError:
            return []
        try:
            # Only one process at a time may delete locks. After it deletes a lock on a ref, a running writer can lock
            # this ref again, and a second process would delete the new lock.
            try:
                lock(folder)
            except NoLocks:  # without locks of the file system, no mark shows if its writer has ended
                return []
            marks = self._marks()
            found = self._judged(marks)
            removed = [lock.path for lock in found if lock.dead]
            for path in [*removed, *self._unneeded(marks, found)]:
                with suppress(PermissionError):  # this user may not write to the folder
                    path.unlink(missing_ok=True)
            return removed
        finally:
            os.close(folder)

    def leftovers(self) -> list[Path]:
        """Return the paths of the marks whose writers have ended, and that `remove_dead` would delete."""
        marks = self._marks()
        return self._unneeded(marks, self._judged(marks))

    def _unneeded(self, marks: list[_Mark], locks: list[LockFile]) -> list[Path]:
        left = {lock.path for lock in locks if not lock.dead}
        dead = (mark for mark in marks if mark.dead)
        return [mark.path for mark in dead if left.isdisjoint(self._common_dir / f"{ref}.lock" for ref in mark.moves)]

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
    """Return True if the `git gc` that the file `gc.pid` names is running, or may be running on another host."""
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
    """Return True if the lock file of *ref* provably belongs to a writer in *marks* that has ended.

    *held* is the object id in the lock file, or "", and *age* is the age of the file in seconds.
    """
    if not held and age < _EMPTY_AGE and not ref.startswith(RESERVED):
        return False
    makers = [mark.dead for mark in marks if ref in mark.moves and held in ("", mark.moves[ref])]
    # Two writers can move a ref to the same commit. If one of them is alive, the lock may be its own.
    return bool(makers) and all(makers)
