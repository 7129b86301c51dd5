"""The artifact store in a folder: files named by their digests. Each file is complete or does not exist.

`<root>/sha256/<first two hex digits>/<other 62>` is an object.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gitmodel.domain.schema.digests import PREFIX, Digest, hex_of
from gitmodel.errors import GitModelError, Invalid, NotFound, Unreachable
from gitmodel.files.open_flags import NOFOLLOW, NONBLOCK, RAW
from gitmodel.stores.interface import Leftover, StoredObject, damaged_object, where_else, wrong_size
from gitmodel.stores.store_folder import StoreFolder, reaching
from gitmodel.stores.transfer import Sent
from gitmodel.stores.verified_reading import VerifyingReader, buffered, chunks, read_to_end

_SHARD = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")
# Errors of a rename that cannot replace an existing file.
_IN_THE_WAY = frozenset({errno.EEXIST, errno.EPERM, errno.EACCES, errno.EBUSY, errno.ENOTSUP})


class LocalStore:
    """Artifacts in the folder *root*. *shared* is True if other machines use the folder, too.

    If the folder of a shared store does not exist, reading raises Unreachable, and `create` creates only the last part
    of its path, because its disk may not be mounted. A store that is not shared is created on first use. If *synced* is
    False, objects may be lost when the machine crashes, which does no harm in a cache.
    """

    def __init__(self, root: Path, *, shared: bool = False, synced: bool = True) -> None:
        self.root = Path(os.path.abspath(root))
        self.shared = shared
        self._folder = StoreFolder(self.root, shared=shared, synced=synced)
        self._shards = str(self._folder.objects)  # text, because joining paths takes longer than looking for a file

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r}, shared={self.shared})"

    @property
    def url(self) -> str:
        return self.root.as_uri()

    def create(self) -> None:
        self._folder.create()

    @property
    def origin(self) -> LocalStore:
        return self

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store all bytes of *source*, and return digest and length when they are on disk.

        Replaces an existing object, which may be damaged. If *source* raises an error, stores nothing.
        """
        return self._put(source, None, sent)

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store *source* as the object *digest*. Raises Invalid and stores nothing if *source* has other bytes."""
        hex_of(digest)
        self._put(source, digest, sent)

    def _put(self, source: BinaryIO, expected: Digest | None, sent: Sent | None) -> tuple[Digest, int]:
        descriptor, temporary = self._folder.begin()
        try:
            digest, size = _copy(source, descriptor, temporary, sent)
            if expected not in (None, digest):
                raise Invalid(
                    f"the bytes to store as {expected} have the digest {digest}", hint="copy it from another store"
                )
            with reaching(temporary):
                self._folder.protect(descriptor)
                self._folder.sync(descriptor)
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
        descriptor, temporary = self._folder.open_temporary()
        try:
            try:
                with reaching(place):
                    _write(descriptor, memoryview(content))
                    self._folder.protect(descriptor)
            finally:
                os.close(descriptor)
            self._place(Path(temporary), place)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Open the object for reading once, from start to end, as `ArtifactStore.open` describes.

        Also raises Invalid if the object is not a regular file.
        """
        return self._reader(digest, *self._open(digest, size))

    def _reader(self, digest: Digest, descriptor: int, size: int) -> BinaryIO:
        path = self.place(digest)

        def fill(view: memoryview) -> int:
            with reaching(path):
                return os.readv(descriptor, [view])

        wrong, close = partial(_damaged, digest, path), partial(os.close, descriptor)
        return buffered(VerifyingReader(fill, digest, size, wrong=wrong, close=close))

    def path(self, digest: Digest, size: int | None = None) -> Path:
        """Verify the object and return its file, to which the caller must not write."""
        with self.held(digest, size):
            return self.place(digest)

    @contextmanager
    def held(self, digest: Digest, size: int | None = None) -> Iterator[Path]:
        """Verify the object and yield a path to the verified file.

        The path names the open file in `/proc` (see `man 5 proc`), so it leads to the verified file even if another
        process replaces the object. On a system without `/proc`, the path is that of the object.
        """
        descriptor, found = self._open(digest, size)
        with self._reader(digest, descriptor, found) as reader:
            read_to_end(reader)
            held = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
            yield held if held.exists() else self.place(digest)

    def place(self, digest: Digest) -> Path:
        """Return the path of the object, even if the object does not exist."""
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
        with reaching(path):
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
        for shard in self._folder.names(self._folder.objects, _SHARD):
            folder = self._folder.objects / shard
            for rest in self._folder.names(folder, _REST):
                with suppress(FileNotFoundError), reaching(folder):
                    state = os.lstat(folder / rest)
                    if stat.S_ISREG(state.st_mode):
                        yield StoredObject(PREFIX + shard + rest, state.st_size, state.st_mtime)

    def remove(self, digest: Digest) -> None:
        """Delete the object, or any other file at its path. A missing object is ignored."""
        path = self.place(digest)
        self._state(digest)  # raises an error if the store itself is missing
        with reaching(path), suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(path)

    def leftovers(self) -> list[Leftover]:
        """Return the paths of temporary files of killed writers."""
        return [Leftover(str(path), state.st_size, state.st_mtime) for path, state in self._folder.dead()]

    def remove_leftover(self, leftover: Leftover) -> None:
        """Delete the temporary file if its writer is dead."""
        for path, _ in self._folder.dead():  # keeps the lock of each file during the iteration
            if str(path) == leftover.name:
                with reaching(path), suppress(FileNotFoundError):
                    os.unlink(path)

    def _place(self, temporary: Path, path: Path) -> None:
        with reaching(path):
            try:
                os.replace(temporary, path)
            except FileNotFoundError:
                self._folder.make_folder(self._folder.objects)
                self._folder.make_folder(path.parent)
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
            self._folder.sync_folder(path.parent)

    def _replace(self, temporary: Path, path: Path) -> None:
        """Store *temporary* at *path*, where a file exists that `os.replace` could not replace.

        Deletes the existing file first if it is damaged. If it is intact, keeps it and deletes *temporary*.
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

    def _open(self, digest: Digest, size: int | None) -> tuple[int, int]:
        path = self.place(digest)
        with reaching(path):
            try:
                # O_NONBLOCK, so that opening a pipe instead of an object does not block
                descriptor = os.open(path, os.O_RDONLY | NOFOLLOW | NONBLOCK | RAW)
            except (FileNotFoundError, NotADirectoryError):
                raise self._missing(digest) from None
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENXIO):  # ELOOP: a link; ENXIO: a socket
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
        with reaching(path):
            try:
                state = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                self._folder.require()
                return None
        return state if stat.S_ISREG(state.st_mode) else None

    def _missing(self, digest: Digest) -> GitModelError:
        self._folder.require()
        return NotFound(f"the artifact store has no {digest}", hint=where_else(self.url, shared=self.shared))


def _copy(source: BinaryIO, descriptor: int, path: Path, sent: Sent | None) -> tuple[Digest, int]:
    """Write *source* to *descriptor* and hash it; return digest and length."""
    hashed = hashlib.sha256()
    size = 0
    for chunk in chunks(source):
        hashed.update(chunk)
        size += len(chunk)
        with reaching(path):
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
