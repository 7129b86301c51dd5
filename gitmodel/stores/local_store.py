"""The artifact store in a folder: files named by their digests. Each file is complete or does not exist.

`<root>/sha256/<first two hex digits>/<other 62>` is an object, `<root>/tmp/<process id>-<random>` is an object that is
being written. Each writer locks its temporary file, so an unlocked temporary file is a leftover of a killed writer.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gitmodel.domain.schema.digests import PREFIX, Digest, hex_of
from gitmodel.errors import GitModelError, Invalid, NotFound, Unreachable, warn
from gitmodel.files.locks import lock, try_lock
from gitmodel.files.open_flags import FOLDER, NOFOLLOW, NONBLOCK, RAW
from gitmodel.files.permissions import make_folder, share
from gitmodel.stores.interface import Leftover, StoredObject, damaged_object, where_else, wrong_size
from gitmodel.stores.transfer import Sent
from gitmodel.stores.verified_reading import VerifyingReader, buffered, chunks, read_to_end

_SHARD = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")
# Errors of a file system that lacks a feature, and of a rename that cannot replace an existing file.
_NOT_ABLE = frozenset({errno.EINVAL, errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_IN_THE_WAY = frozenset({errno.EEXIST, errno.EPERM, errno.EACCES, errno.EBUSY, errno.ENOTSUP})
_NOT_SYNCED = "a power failure may lose the objects that were stored last"
_told: set[tuple[Path, str]] = set()
_TEMPORARY = re.compile(r"[0-9]+-[0-9a-f]{32}")
_LEFT_FOR_GOOD = 3600.0  # seconds; a younger unlocked file may be in use, because writers of cached copies take no lock


class LocalStore:
    """Artifacts in the folder *root*. *shared* is True if other machines use the folder, too.

    For a shared store, only the last part of its path is created, and reading a missing folder raises Unreachable,
    because its disk may not be mounted. A store that is not shared is created on first use. Without *synced*, an object
    may be lost in a crash of the machine, as in a cache.
    """

    def __init__(self, root: Path, *, shared: bool = False, synced: bool = True) -> None:
        self.root = Path(os.path.abspath(root))
        self.shared = shared
        self.synced = synced
        self._objects = self.root / "sha256"
        self._temporary = self.root / "tmp"
        self._swept = False
        self._shards = str(self._objects)  # text, because joining paths takes longer than looking for a file

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r}, shared={self.shared})"

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def create(self) -> None:
        with _reaching(self.root):
            if self.shared:
                self._make_root()
            else:
                make_folder(self.root)
            for folder in (self._objects, self._temporary):
                self._make_folder(folder)
            descriptor, temporary = self._open_temporary()
            os.close(descriptor)
            os.unlink(temporary)

    @property
    def origin(self) -> LocalStore:
        return self

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store all bytes of *source*; return digest and length in bytes.

        The object appears atomically, and is on disk when this returns. Replaces an existing object, because it may be
        damaged. If *source* raises an error, nothing is stored.
        """
        return self._put(source, "", sent)

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store the object *digest*. Raises Invalid and stores nothing if *source* has other bytes."""
        hex_of(digest)
        self._put(source, digest, sent)

    def _put(self, source: BinaryIO, wanted: str, sent: Sent | None) -> tuple[Digest, int]:
        descriptor, temporary = self._begin()
        try:
            digest, size = _copy(source, descriptor, temporary, sent)
            if wanted not in ("", digest):
                raise Invalid(
                    f"the bytes to store as {wanted} have the digest {digest}", hint="copy it from another store"
                )
            with _reaching(temporary):
                self._protect(descriptor)
                self._sync(descriptor)
            self._place(temporary, self.place(digest))
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)  # releases the lock; the file has its final name by now
        return digest, size

    def keep(self, digest: Digest, content: bytes | bytearray) -> None:
        """Store *content* as the object *digest* in a cache, without syncing it.

        The temporary file has no lock. Raises Unreachable if another process deletes this file as a leftover.
        """
        place = self.place(digest)
        descriptor, temporary = self._open_temporary()
        try:
            try:
                with _reaching(place):
                    _write(descriptor, memoryview(content))
                    self._protect(descriptor)
            finally:
                os.close(descriptor)
            self._place(Path(temporary), place)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Open the object for reading once, from start to end.

        Raises NotFound if there is no such object, Invalid if the object is not a regular file or longer than *size*.
        The reader raises Invalid instead of returning the last bytes if they do not match *digest*.
        """
        return self._reader(digest, *self._open(digest, size))

    def _reader(self, digest: Digest, descriptor: int, found: int) -> BinaryIO:
        path = self.place(digest)

        def fill(view: memoryview) -> int:
            with _reaching(path):
                return os.readv(descriptor, [view])

        wrong, close = partial(_damaged, digest, path), partial(os.close, descriptor)
        return buffered(VerifyingReader(fill, digest, found, wrong=wrong, close=close))

    def path(self, digest: Digest, size: int | None = None) -> Path:
        """Return the object's file for mapping into memory, after verifying it. Never write to it."""
        with self.held(digest, size):
            return self.place(digest)

    @contextmanager
    def held(self, digest: Digest, size: int | None = None) -> Iterator[Path]:
        """Verify the object and yield a path to the verified file, even if another process replaces the object.

        The path names the open file in `/proc` (see `man 5 proc`). On a system without `/proc`, it is that of the
        object.
        """
        descriptor, found = self._open(digest, size)
        with self._reader(digest, descriptor, found) as reader:
            read_to_end(reader)
            held = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
            yield held if held.exists() else self.place(digest)

    def place(self, digest: Digest) -> Path:
        """Return the path at which the object is, or would be."""
        name = hex_of(digest)
        return Path(f"{self._shards}/{name[:2]}/{name[2:]}")

    def holds(self, digest: Digest) -> bool:
        """Return True if the object is a regular file in this store. Its content is verified only when it is read."""
        return self._state(digest) is not None

    def stat(self, digest: Digest) -> StoredObject | None:
        state = self._state(digest)
        return None if state is None else StoredObject(digest, state.st_size, state.st_mtime)

    def renew(self, digest: Digest) -> None:
        path = self.place(digest)
        with _reaching(path):
            try:
                os.utime(path, follow_symlinks=False)
                return
            except FileNotFoundError:
                raise self._missing(digest) from None
            except PermissionError:  # Another user's file: its time cannot be set, so a new file replaces it.
                pass
        with self.open(digest) as reader:
            self._put(reader, digest, None)

    def size(self, digest: Digest) -> int:
        state = self._state(digest)
        if state is None:
            raise self._missing(digest)
        return state.st_size

    def digests(self) -> Iterator[Digest]:
        """Return the digests of all objects, sorted. Other files are skipped."""
        return (found.digest for found in self.objects())

    def objects(self) -> Iterator[StoredObject]:
        """Yield all objects in the order of their digests."""
        for shard in self._names(self._objects, _SHARD):
            folder = self._objects / shard
            for rest in self._names(folder, _REST):
                with suppress(FileNotFoundError), _reaching(folder):
                    state = os.lstat(folder / rest)
                    if stat.S_ISREG(state.st_mode):
                        yield StoredObject(PREFIX + shard + rest, state.st_size, state.st_mtime)

    def remove(self, digest: Digest) -> None:
        """Delete the object, or any other file at its path. A missing object is ignored."""
        path = self.place(digest)
        self._state(digest)  # raises an error if the store itself is missing
        with _reaching(path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def leftovers(self) -> list[Leftover]:
        """Return the paths of temporary files of killed writers."""
        return [Leftover(str(path), state.st_size, state.st_mtime) for path, state in self._dead()]

    def remove_leftover(self, leftover: Leftover) -> None:
        """Delete the temporary file if its writer is dead."""
        for path, _ in self._dead():  # keeps the lock of each file during the iteration
            if str(path) == leftover.name:
                with _reaching(path), suppress(FileNotFoundError):
                    os.unlink(path)

    def _open_temporary(self) -> tuple[int, Path]:
        """Create a temporary file of this process, without a lock. Creates the folder if it does not exist."""
        temporary = self._temporary / f"{os.getpid()}-{os.urandom(16).hex()}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NOFOLLOW | RAW
        with _reaching(temporary):
            try:
                return os.open(temporary, flags, 0o600), temporary
            except FileNotFoundError:
                self.create()
                return os.open(temporary, flags, 0o600), temporary

    def _begin(self) -> tuple[int, Path]:
        self._sweep()
        while True:
            descriptor, temporary = self._open_temporary()
            with _reaching(temporary):
                # On a network file system without locks, other processes cannot lock this file either, so they never
                # take it for a leftover.
                with self._tolerating("locks (flock)", "the remains of killed uploads cannot be recognized"):
                    lock(descriptor)
                if os.fstat(descriptor).st_nlink:
                    return descriptor, temporary
                os.close(descriptor)  # another process deleted the file as a leftover before this one locked it

    def _sweep(self) -> None:
        """Delete files that killed processes left more than an hour ago.

        Only the first call in a process does anything.
        """
        if self._swept:
            return
        self._swept = True
        with suppress(OSError, GitModelError):
            for path, state in self._dead():
                if time.time() - state.st_mtime > _LEFT_FOR_GOOD:
                    os.unlink(path)

    def _place(self, temporary: Path, path: Path) -> None:
        with _reaching(path):
            try:
                os.replace(temporary, path)
            except FileNotFoundError:
                self._make_folder(self._objects)
                self._make_folder(path.parent)
                os.replace(temporary, path)
            except IsADirectoryError:
                raise Invalid(
                    f"{path} is a folder, where an object of the store belongs",
                    hint="move it and try again",
                ) from None
            except OSError as error:
                if error.errno not in _IN_THE_WAY or not os.path.lexists(path):
                    raise
                self._replace(temporary, path)
            if self.synced:
                self._sync_folder(path.parent)

    def _replace(self, temporary: Path, path: Path) -> None:
        """Replace the object at *path* by *temporary*, on a file system whose rename does not replace a file.

        An intact object stays; only a damaged one is replaced.
        """
        digest = PREFIX + path.parent.name + path.name
        try:
            self.path(digest)
        except (Invalid, Unreachable):
            os.unlink(path)
            os.replace(temporary, path)
        else:
            os.unlink(temporary)
            with suppress(OSError):
                os.utime(path)

    def _protect(self, descriptor: int) -> None:
        """Make the file of an object read-only, and readable for the users who can read the store."""
        with self._tolerating("permissions (chmod)", "nothing keeps other programs from writing to objects"):
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, 0o444)
            share(descriptor, self.root)

    def _sync(self, descriptor: int) -> None:
        if self.synced:
            with self._tolerating("fsync", _NOT_SYNCED):
                os.fsync(descriptor)

    def _sync_folder(self, folder: Path) -> None:
        # A rename is on disk only after its folder was flushed, which Windows does not need.
        if not FOLDER:
            return
        with self._tolerating("fsync of folders", _NOT_SYNCED):
            descriptor = os.open(folder, os.O_RDONLY | FOLDER | RAW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _tolerating(self, what: str, without: str) -> Iterator[None]:
        """Ignore errors of a file system without the feature *what*. Warn once, with the consequence *without*."""
        try:
            yield
        except OSError as error:
            if error.errno not in _NOT_ABLE:
                raise
            if (self.root, what) not in _told:
                _told.add((self.root, what))
                warn(
                    f"the file system of the artifact store {self.root} has no {what} ({error.strerror}): {without}",
                    hint="keep the store on another file system if that matters",
                )

    def _make_root(self) -> None:
        try:
            self.root.mkdir()
        except FileExistsError:
            if not self.root.is_dir():
                raise
        except FileNotFoundError:
            raise self._gone() from None

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir()
        except FileExistsError:
            return
        # permissions of the root (such as those of a group) apply to everything below it
        with suppress(OSError):
            os.chmod(folder, stat.S_IMODE(os.stat(self.root).st_mode))
        if self.synced:
            self._sync_folder(folder.parent)

    def _open(self, digest: Digest, size: int | None) -> tuple[int, int]:
        path = self.place(digest)
        with _reaching(path):
            try:
                # O_NONBLOCK, so that opening a pipe instead of an object does not block
                descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | RAW)
            except (FileNotFoundError, NotADirectoryError):
                raise self._missing(digest) from None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
                    raise _not_regular(digest, path) from None
                raise
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                os.close(descriptor)
                raise _not_regular(digest, path)
            if size is not None and state.st_size > size:
                os.close(descriptor)
                raise wrong_size(digest, size, state.st_size)
            return descriptor, state.st_size

    def _state(self, digest: Digest) -> os.stat_result | None:
        path = self.place(digest)
        with _reaching(path):
            try:
                state = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return None
        return state if stat.S_ISREG(state.st_mode) else None

    def _require_root(self) -> None:
        if self.shared and not self.root.is_dir():
            raise self._gone()

    def _missing(self, digest: Digest) -> GitModelError:
        self._require_root()
        return NotFound(f"the artifact store has no {digest}", hint=where_else(self.url, shared=self.shared))

    def _gone(self) -> Unreachable:
        return Unreachable(
            f"the artifact store {self.root} does not exist",
            hint=f"check that its disk is mounted; if the store is new, create its folder: "
            f"mkdir -p {shlex.quote(str(self.root))}",
        )

    def _names(self, folder: Path, pattern: re.Pattern[str]) -> list[str]:
        with _reaching(folder):
            try:
                return sorted(name for name in os.listdir(folder) if pattern.fullmatch(name))
            except (FileNotFoundError, NotADirectoryError):
                self._require_root()
                return []

    def _dead(self) -> Iterator[tuple[Path, os.stat_result]]:
        for name in self._names(self._temporary, _TEMPORARY):
            path = self._temporary / name
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


def _copy(source: BinaryIO, descriptor: int, path: Path, sent: Sent | None) -> tuple[Digest, int]:
    """Write *source* to *descriptor* and hash it; return digest and length."""
    hashed = hashlib.sha256()
    size = 0
    for chunk in chunks(source):
        hashed.update(chunk)
        size += len(chunk)
        with _reaching(path):
            _write(descriptor, chunk)
        if sent is not None:
            sent(len(chunk))
    return PREFIX + hashed.hexdigest(), size


def _write(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _damaged(digest: Digest, path: Path) -> Invalid:
    return damaged_object(digest, f"its bytes do not hash to its name ({path})")


def _not_regular(digest: Digest, path: Path) -> Invalid:
    return damaged_object(digest, f"{path} is not a regular file")


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    """Convert an OSError for *path* to Unreachable."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room on its disk, or name another store with `git config gitmodel.store`"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            hint = "ask for access to it, or name another store with `git config gitmodel.store`"
        else:
            hint = "see that its disk is mounted and sound, then try again"
        raise Unreachable(f"the artifact store fails at {path}: {error.strerror or error}", hint=hint) from error
