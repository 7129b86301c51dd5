"""The folder of a local store on a file system: creating, locking and syncing its files.

`<root>/sha256` has the objects. `<root>/tmp/<process id>-<random>` is an object that is being written. Each writer
locks its temporary file, so an unlocked temporary file is a leftover of a killed writer.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitmodel.errors import GitModelError, Unreachable, warn
from gitmodel.files.locks import lock, try_lock
from gitmodel.files.open_flags import FOLDER, NOFOLLOW, NONBLOCK, RAW
from gitmodel.files.permissions import make_folder, share

# Errors of a file system that lacks a feature.
_NOT_ABLE = frozenset({errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_NOT_SYNCED = "a power failure may lose the objects that were stored last"
_told: set[tuple[Path, str]] = set()  # the folders of stores with the missing features of which users were warned
_TEMPORARY = re.compile(r"[0-9]+-[0-9a-f]{32}")
_LEFT_FOR_GOOD = 3600.0  # seconds; a younger unlocked file may be in use, because writers of cached copies take no lock


class StoreFolder:
    """The folder *root* of a local store. `LocalStore` describes *shared* and *synced*."""

    def __init__(self, root: Path, *, shared: bool, synced: bool) -> None:
        self.root = root
        self.shared = shared
        self.synced = synced
        self.objects = root / "sha256"
        self.temporary = root / "tmp"
        self._swept = False

    def create(self) -> None:
        """Create the folder if it does not exist, or check that it is writable."""
        with reaching(self.root):
            if self.shared:
                self._make_root()
            else:
                make_folder(self.root)
            for folder in (self.objects, self.temporary):
                self.make_folder(folder)
            descriptor, temporary = self.open_temporary()
            os.close(descriptor)
            os.unlink(temporary)

    def open_temporary(self) -> tuple[int, Path]:
        """Create a temporary file of this process, without a lock. Creates the folder if it does not exist."""
        temporary = self.temporary / f"{os.getpid()}-{os.urandom(16).hex()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NOFOLLOW | RAW
        with reaching(temporary):
            try:
                return os.open(temporary, flags, 0o600), temporary
            except FileNotFoundError:
                self.create()
                return os.open(temporary, flags, 0o600), temporary

    def begin(self) -> tuple[int, Path]:
        """Create a temporary file of this process, and lock it. Returns its descriptor and its path."""
        self._sweep()
        while True:
            descriptor, temporary = self.open_temporary()
            with reaching(temporary):
                # On a network file system without locks, other processes cannot lock this file either, so they never
                # take it for a leftover.
                with self._tolerating("locks (flock)", "the remains of killed uploads cannot be recognized"):
                    lock(descriptor)
                if os.fstat(descriptor).st_nlink:
                    return descriptor, temporary
                os.close(descriptor)  # another process deleted the file as a leftover before this one locked it

    def _sweep(self) -> None:
        """At the first call, delete the temporary files that killed processes left more than an hour ago."""
        if self._swept:
            return
        self._swept = True
        with suppress(OSError, GitModelError):
            for path, state in self.dead():
                if time.time() - state.st_mtime > _LEFT_FOR_GOOD:
                    os.unlink(path)

    def dead(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield path and state of each temporary file of a killed writer, locked until the next one is requested."""
        for name in self.names(self.temporary, _TEMPORARY):
            path = self.temporary / name
            try:
                descriptor = os.open(path, os.O_RDWR | NOFOLLOW | NONBLOCK | RAW)
            except OSError:  # the writer has finished meanwhile, or the file belongs to another user
                continue
            try:
                if try_lock(descriptor):
                    state = os.fstat(descriptor)
                    if state.st_nlink and os.path.lexists(path):
                        yield path, state
            except OSError:
                continue
            finally:
                os.close(descriptor)

    def names(self, folder: Path, pattern: re.Pattern[str]) -> list[str]:
        """Return the sorted names in *folder* that match *pattern*; none if *folder* does not exist."""
        with reaching(folder):
            try:
                return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))
            except (FileNotFoundError, NotADirectoryError):
                self.require()
                return []

    def protect(self, descriptor: int) -> None:
        """Make the file of an object read-only, and readable for the users who can read the store."""
        with self._tolerating("permissions (chmod)", "nothing keeps other programs from writing to objects"):
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o444)
            share(descriptor, self.root)

    def sync(self, descriptor: int) -> None:
        """Flush the file to disk, if the store is synced."""
        if self.synced:
            with self._tolerating("fsync", _NOT_SYNCED):
                os.fsync(descriptor)

    def make_folder(self, folder: Path) -> None:
        """Create *folder*, if it does not exist, with the permissions of the root, such as those of a group."""
        try:
            folder.mkdir()
        except FileExistsError:
            return
        with suppress(OSError):
            os.chmod(folder, stat.S_IMODE(os.stat(self.root).st_mode))
        self.sync_folder(folder.parent)

    def require(self) -> None:
        """Raise Unreachable if the store is shared and its folder does not exist."""
        if self.shared and not self.root.is_dir():
            raise self._gone()

    def _gone(self) -> Unreachable:
        return Unreachable(
            f"the artifact store {self.root} does not exist",
            hint=f"check that its disk is mounted; if the store is new, create its folder: "
            f"mkdir -p {shlex.quote(str(self.root))}",
        )

    def _make_root(self) -> None:
        try:
            self.root.mkdir()
        except FileExistsError:
            if not self.root.is_dir():
                raise
        except FileNotFoundError:
            raise self._gone() from None

    def sync_folder(self, folder: Path) -> None:
        """Flush *folder* to disk, if the store is synced. Without this, a power cut can undo a rename in *folder*."""
        if not self.synced or not FOLDER:  # Windows does not need it
            return
        with self._tolerating("fsync of folders", _NOT_SYNCED):
            descriptor = os.open(folder, os.O_RDONLY | FOLDER | RAW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _tolerating(self, feature: str, consequence: str) -> Iterator[None]:
        """Ignore an OSError that says that the file system has no *feature*, and warn once of the *consequence*."""
        try:
            yield
        except OSError as error:
            if error.errno not in _NOT_ABLE:
                raise
            if (self.root, feature) not in _told:
                _told.add((self.root, feature))
                warn(
                    f"the file system of the artifact store {self.root} has no {feature} ({error.strerror}): "
                    f"{consequence}",
                    hint="keep the store on another file system if that matters",
                )


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """Convert an OSError for *path* to Unreachable."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room on its disk, or name another store with `git config gitmodel.store`"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "ask for access to it, or name another store with `git config gitmodel.store`"
        else:
            hint = "check that its disk is mounted and works, then try again"
        raise Unreachable(f"the artifact store fails at {path}: {error.strerror or error}", hint=hint) from error
