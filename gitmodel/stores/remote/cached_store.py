"""An artifact store on a server, with copies of the transferred objects on this machine.

The copies are in a local store, which verifies objects on every read. An interrupted download leaves the file
`<root>/partial/<64 hex digits>`, from which the next download resumes. The process that writes this file holds a lock
on it (flock).
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from gitmodel.domain.schema.digests import Digest, hex_of
from gitmodel.errors import GitModelError, Invalid
from gitmodel.files.locks import open_locked
from gitmodel.files.permissions import make_folder, share
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.remote.remote_reading import RemoteReader
from gitmodel.stores.remote.remote_store import RemoteStore
from gitmodel.stores.several_stores import ForwardingStore
from gitmodel.stores.verified_reading import RawReader, buffered, read_to_end


class CachedStore(ForwardingStore):
    """The *origin* on a server, with copies in *cache*. Only the origin decides if an object exists."""

    def __init__(self, origin: RemoteStore, cache: LocalStore) -> None:
        super().__init__(origin)
        self._origin = origin
        self.cache = cache

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Return a verifying reader of the cached copy.

        If there is no copy, the reader reads the object from the origin, and writes a copy. Raises Invalid if the
        object is longer than *size*.
        """
        if self._has_copy(digest, size):
            return buffered(_CopyReader(self.cache, digest))
        begun = None
        if not os.path.exists(f"{self.cache.root}/partial/{hex_of(digest)}"):
            begun = self._origin.reader(digest, size)
            content = begun.whole
            if content is not None:
                with suppress(GitModelError):  # copies are optional
                    self.cache.keep(digest, content)
                return io.BytesIO(content)
        partial = _Partial.begin(self.cache, digest)
        if partial is None:
            return buffered(begun or self._origin.reader(digest, size))
        try:
            return buffered(_FetchingReader(self._origin, digest, size, partial, begun))
        except BaseException:
            partial.close() if partial.size else partial.drop()
            raise

    def path(self, digest: Digest, size: int | None = None) -> Path:
        """Verify the cached copy, fetched if necessary, and return its file, to which the caller must not write."""
        with self.held(digest, size):
            return self.cache.place(digest)

    def held(self, digest: Digest, size: int | None = None) -> AbstractContextManager[Path]:
        """Return a context manager that gives a path to the verified copy, even if another process replaces the copy.

        Fetches the object if there is no copy.
        """
        if not self._has_copy(digest, size):
            with self.open(digest, size) as reader:
                read_to_end(reader)
        return self.cache.held(digest)

    def _has_copy(self, digest: Digest, size: int | None) -> bool:
        """Return True if the cache has a copy of at most *size* bytes.

        For a longer copy, returns False, so that the caller reads the origin, which raises the error for a wrong size.
        """
        there = self.cache.stat(digest)
        return there is not None and (size is None or there.size <= size)

    def size(self, digest: Digest) -> int:
        """Return the length of the copy; if there is no copy, of the object on the server."""
        return self.cache.size(digest) if self.cache.holds(digest) else self._origin.size(digest)

    def remove(self, digest: Digest) -> None:
        self._origin.remove(digest)
        self.cache.remove(digest)


class _Partial:
    """A partly fetched object: a file that one process at a time may lock and extend."""

    def __init__(self, cache: LocalStore, digest: Digest, path: Path, descriptor: int) -> None:
        self._cache = cache
        self._digest = digest
        self._path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    @classmethod
    def begin(cls, cache: LocalStore, digest: Digest) -> _Partial | None:
        """Open and lock the file in which the partly fetched object *digest* is.

        Returns None if another process is fetching the object, if the file cannot be opened, and on Windows.
        """
        if not hasattr(os, "pread"):  # Windows
            return None
        path = cache.root / "partial" / hex_of(digest)
        descriptor = open_locked(path)
        return None if descriptor is None else cls(cache, digest, path, descriptor)

    def read(self, start: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, start)

    def write(self, content: memoryview, start: int) -> bool:
        """Write *content* at *start*, the end of the file, and return True.

        If the disk is full or fails, deletes the file and returns False.
        """
        try:
            while content:
                count = os.pwrite(self._descriptor, content, start)
                content, start = content[count:], start + count
        except OSError:
            self.drop()
            return False
        return True

    def keep(self) -> None:
        """Move the complete and verified file into the cache."""
        target = self._cache.place(self._digest)
        with suppress(OSError):
            with suppress(OSError):  # some file systems have no permissions
                os.fchmod(self._descriptor, 0o444)
            make_folder(target.parent)
            share(self._descriptor, target.parent)
            os.replace(self._path, target)
        self.close()

    def drop(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)
        self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class _FetchingReader(RawReader):
    """Reads the bytes of an object in *partial*, then the others from the server, which it adds to *partial*."""

    def __init__(
        self,
        origin: RemoteStore,
        digest: Digest,
        size: int | None,
        partial: _Partial,
        begun: RemoteReader | None,
    ) -> None:
        self._partial: _Partial | None = partial
        self._digest = digest
        self._size = size
        self._had = partial.size
        self._done = 0
        hashed = hashlib.sha256()
        while self._done < self._had and (content := partial.read(self._done, 1 << 20)):
            hashed.update(content)
            self._done += len(content)
        self._done = 0
        self._remote = begun if begun is not None and not self._had else self._connect(origin, hashed)

    def _connect(self, origin: RemoteStore, hashed: hashlib._Hash) -> RemoteReader:
        try:
            return origin.reader(self._digest, self._size, self._had, hashed)
        except Invalid:
            if not self._had or self._partial is None:
                raise
            # The bytes fetched earlier can be wrong if the machine crashed since.
            self._partial.drop()
            self._partial, self._had = None, 0
            return origin.reader(self._digest, self._size)

    def fill(self, view: memoryview) -> int:
        if self._partial is not None and self._done < self._had:
            content = self._partial.read(self._done, min(len(view), self._had - self._done))
            view[: len(content)] = content
            self._done += len(content)
            return len(content)
        try:
            count = self._remote.readinto(view)
        except Invalid as error:
            self._spoiled(error)
            raise
        if self._partial is not None:
            if count and not self._partial.write(view[:count], self._done):
                self._partial = None
            self._done += count
            if self._partial is not None and self._done >= self._remote.total:
                self._partial.keep()
                self._partial = None
        return count

    def close(self) -> None:
        if not self.closed:
            self._remote.close()
            if self._partial is not None:
                self._partial.close()
        super().close()

    def _spoiled(self, error: Invalid) -> None:
        if self._partial is not None:
            self._partial.drop()
            self._partial = None
        if self._had:
            error.hint = (
                f"try again: the object was fetched in two parts, and is now fetched whole. If that fails: {error.hint}"
            )


class _CopyReader(RawReader):
    """Reads a copy. Deletes a damaged copy, so that the next attempt reads the origin."""

    def __init__(self, cache: LocalStore, digest: Digest) -> None:
        self._cache = cache
        self._digest = digest
        self._reader = cache.open(digest)

    def fill(self, view: memoryview) -> int:
        try:
            return cast(io.BufferedReader, self._reader).readinto(view)
        except Invalid as error:
            with suppress(GitModelError):
                self._cache.remove(self._digest)
            error.hint = "gitmodel removed this copy from this machine: try again"
            raise

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
        super().close()
