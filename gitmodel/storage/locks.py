"""Locks of refs that a killed writer left: which are provably ours and dead, and what to say of the others."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitmodel.errors import Unreachable


@dataclass(frozen=True)
class LockFile:
    """A lock that is there now; *age* in seconds; *dead* says that it is ours and that its writer is gone."""

    path: Path
    age: float
    dead: bool


class Writers:
    """A mark for each transaction under way: a file that says which refs move where, held by the lock of its writer.

    The operating system lets go of the lock (`man 2 flock`) when the writer and the git it started are both gone, so
    a mark that can be locked belongs to nobody any more.
    """

    def __init__(self, common_dir: Path) -> None:
        self._common_dir = common_dir
        self._folder = common_dir / "gitmodel" / "writers"

    @contextmanager
    def announce(self, moves: Mapping[str, str]) -> Iterator[int]:
        """Keep a mark with the new id of each ref while the block runs; gives the descriptor that git must inherit."""
        text = "".join(f"{ref} {new}\n" for ref, new in moves.items())
        path = self._folder / secrets.token_hex(8)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, text.encode())
            yield descriptor
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            path.unlink(missing_ok=True)
            os.close(descriptor)

    def locks(self, refs: Iterable[str] = ()) -> list[LockFile]:
        """The locks on *refs* and on packed-refs, or on all refs that gitmodel writes."""
        dead = self._dead_moves()
        named = list(refs)
        folder = self._common_dir / "refs"
        paths = [self._common_dir / f"{ref}.lock" for ref in named] if named else sorted(folder.rglob("*.lock"))
        found = []
        for path in [self._common_dir / "packed-refs.lock", *paths]:
            try:
                age = time.time() - path.stat().st_mtime
                held = path.read_text(errors="replace").strip()
            except OSError:
                continue
            ref = path.relative_to(self._common_dir).as_posix().removesuffix(".lock")
            found.append(
                LockFile(
                    path, age, any(moves.get(ref) == held or (not held and ref in moves) for moves in dead.values())
                )
            )
        return found

    def remove_dead(self) -> list[Path]:
        """Remove every lock that is ours and whose writer is gone, and the marks of such writers."""
        removed = [lock.path for lock in self.locks() if lock.dead]
        for path in [*removed, *self._dead_moves()]:
            path.unlink(missing_ok=True)
        return removed

    def _dead_moves(self) -> dict[Path, dict[str, str]]:
        found = {}
        for path in sorted(self._folder.glob("*")) if self._folder.is_dir() else []:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A mark that is being made is not locked yet, but has no text either.
                lines = os.read(descriptor, 1 << 20).decode("utf-8", "replace").splitlines()
                if lines:
                    found[path] = {ref: new for ref, _, new in (line.partition(" ") for line in lines)}
            except OSError:
                continue
            finally:
                os.close(descriptor)
        return found


def _unwritable(path: Path, error: OSError) -> Unreachable:
    hint = "nothing was changed; free or mend the disk, then try again"
    return Unreachable(f"{path} cannot be written: {error.strerror}", hint=hint)
