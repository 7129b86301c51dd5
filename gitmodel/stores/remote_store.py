"""The artifact store on a server: one way of putting and verified reading, over what each kind of server offers."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar, cast

from gitmodel.domain.schema.digests import PREFIX, Digest, hex_of
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound
from gitmodel.stores.damaged_objects import DamagedObjects
from gitmodel.stores.interface import Leftover, Sent, StoredObject, is_old, where_else, wrong_size
from gitmodel.stores.verified_reading import CHUNK, VerifyingReader, chunks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SMALL = 8 << 20
"""Objects of at most so many bytes are kept in memory and sent in one request."""
RANGE = 4 << 20
"""Objects are read in ranges of so many bytes, each beginning at a multiple of it but the first."""
LANES = 6  # parts, and ranges, of large objects in memory at a time, in this process

_Result = TypeVar("_Result")


class Upload(Protocol):
    """An object on its way, in parts numbered from 0, all of *part_size* bytes but the last; nobody sees it yet."""

    part_size: int
    ordered: bool
    """True if parts can only be sent one after the other."""

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        """Return True if the server already has this part, with these bytes, from an earlier try."""

    def send(self, number: int, content: bytes | bytearray) -> None:
        """Send a part."""

    def finish(self) -> None:
        """Make the object appear, whole."""

    def abort(self) -> None:
        """Give it up, with all its parts."""

    def pause(self) -> None:
        """Leave what was sent to a later try."""


class Backend(Protocol):
    """The operations that a kind of server offers. Every method raises Unreachable if the server fails."""

    @property
    def url(self) -> str:
        """The URL of the store, without credentials."""

    def create(self) -> None:
        """See that the store can be used; make what is missing, where that is ours to make."""

    def stat(self, digest: Digest) -> StoredObject | None:
        """The object, asked of the server now; None if it is not there."""

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        """The object, if it is there now as one of us put it, as far as can be told without reading it."""

    def renew(self, digest: Digest, size: int) -> None:
        """Make an object that is there as young as if it were stored now."""

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes | bytearray, int]:
        """Return at most *length* bytes from *start*, and the length of the whole object. Raises NotFound."""

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        """Make the object appear, whole. An equal one that is there may stay if its timestamp is refreshed.

        With *replace*, it is written again even if it seems to be there: its bytes are wrong.
        """

    def upload(self, digest: Digest, size: int) -> Upload:
        """Begin to send a large object, or go on with what an earlier try left."""

    def objects(self) -> Iterator[StoredObject]:
        """Yield all objects."""

    def remove(self, digest: Digest) -> None:
        """Remove the object; without it, do nothing."""

    def leftovers(self) -> list[Leftover]:
        """Uploads that did not end, or have not yet."""

    def remove_leftover(self, leftover: Leftover) -> None:
        """Give one up; without it, do nothing."""


class RemoteStore:
    """The artifacts on a server, over its *backend*. Memory is bounded, whatever the sizes of objects.

    An object that is in *damaged* is replaced when it is stored again, and then read back. Readers add what they find.
    """

    shared = True

    def __init__(self, backend: Backend, damaged: DamagedObjects | None = None) -> None:
        self.backend = backend
        self.damaged = damaged or DamagedObjects(backend.url)

    def __repr__(self) -> str:
        return f"RemoteStore({self.url!r})"

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def origin(self) -> RemoteStore:
        return self

    def create(self) -> None:
        """See that the server takes us; say what is missing there."""
        self.backend.create()

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store what *source* yields to its end; return its digest and length in bytes.

        The name of what is longer than `SMALL` is known only at its end, so it is read twice: from a temporary
        file, unless *source* itself can be.
        """
        import tempfile

        if rewinds(source) and _left_of(source) > SMALL:
            return self._put_large(source, sent)
        content = read_up_to(source, SMALL + 1)
        if len(content) <= SMALL:
            digest = PREFIX + hashlib.sha256(content).hexdigest()
            self._write(digest, content, sent)
            return digest, len(content)
        with tempfile.TemporaryFile(prefix="gitmodel-", buffering=0) as spool:
            spool.write(content)
            del content
            for chunk in chunks(source):
                spool.write(chunk)
            spool.seek(0)
            return self._put_large(cast(BinaryIO, spool), sent)

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store the *size* bytes of *digest*; what an earlier try has sent of a large one is not sent again.

        The object appears when *source* has come to its end without raising, and at no time before.
        """
        hex_of(digest)
        if size <= SMALL:
            content = read_up_to(source, SMALL + 1)
            if PREFIX + hashlib.sha256(content).hexdigest() != digest:
                raise _not_itself(digest)
            self._write(digest, content, sent)
            return
        there = self.backend.has(digest, size)
        replace = digest in self.damaged
        if there is not None and not replace:
            if is_old(there):
                self.backend.renew(digest, size)
            if sent is not None:
                sent(size)
            return
        upload = self.backend.upload(digest, size)
        try:
            self._send_parts(upload, source, size, sent)
            upload.finish()
        except (Invalid, Conflict):  # these bytes are of no use to a later try
            upload.abort()
            raise
        except BaseException:
            upload.pause()
            raise
        if replace:
            self._read_back(digest)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Open the object for reading once, from its beginning to its end. Raises Invalid if it is longer than *size*.

        The reader fetches ahead, and raises Invalid in place of the last bytes if they are not what *digest* names.
        """
        return cast(BinaryIO, io.BufferedReader(self.reader(digest, size), buffer_size=1 << 16))

    def reader(
        self, digest: Digest, size: int | None = None, start: int = 0, hashed: hashlib._Hash | None = None
    ) -> RemoteReader:
        """A reader from byte *start*, *hashed* being the SHA-256 of all before it. Raises as `open` does."""
        hex_of(digest)
        return RemoteReader(self, digest, size, start, hashed or hashlib.sha256())

    def holds(self, digest: Digest) -> bool:
        hex_of(digest)
        return self.backend.stat(digest) is not None

    def stat(self, digest: Digest) -> StoredObject | None:
        hex_of(digest)
        return self.backend.stat(digest)

    def is_whole(self, there: StoredObject, *, read: bool) -> bool:
        """Return True if the object, as the server describes it, hashes to its digest. Raises Invalid if it is damaged.

        Without *read*, its size and the mark that gitmodel gave it are compared.
        """
        if read:
            self._read(there.digest)
            return True
        return there.digest not in self.damaged and self.backend.has(there.digest, there.size) is not None

    def renew(self, digest: Digest) -> None:
        self.backend.renew(digest, self.size(digest))

    def size(self, digest: Digest) -> int:
        hex_of(digest)
        return size_of(self.backend, digest)

    def digests(self) -> Iterator[Digest]:
        return (found.digest for found in self.objects())

    def objects(self) -> Iterator[StoredObject]:
        return self.backend.objects()

    def remove(self, digest: Digest) -> None:
        hex_of(digest)
        self.backend.remove(digest)
        self.damaged.forget(digest)

    def leftovers(self) -> list[Leftover]:
        return self.backend.leftovers()

    def remove_leftover(self, leftover: Leftover) -> None:
        self.backend.remove_leftover(leftover)

    def _put_large(self, source: BinaryIO, sent: Sent | None) -> tuple[Digest, int]:
        start = source.tell()
        hashed, size = hashlib.sha256(), 0
        for chunk in chunks(source):
            hashed.update(chunk)
            size += len(chunk)
        digest = PREFIX + hashed.hexdigest()
        source.seek(start)
        again = VerifyingReader(lambda view: _read_into(view, source), digest, size, wrong=_changed, close=lambda: None)
        self.put_known(digest, size, cast(BinaryIO, again), sent=sent)
        return digest, size

    def _write(self, digest: Digest, content: bytes | bytearray, sent: Sent | None) -> None:
        replace = digest in self.damaged
        self.backend.write(digest, content, replace=replace)
        if replace:
            self._read_back(digest)
        if sent is not None:
            sent(len(content))

    def _read_back(self, digest: Digest) -> None:
        """Read an object that replaced a damaged one. Raises Invalid if the server kept the damaged one."""
        try:
            self._read(digest)
        except Invalid:
            raise Invalid(
                f"{self.url} keeps a damaged object {digest}, although it was stored again",
                hint="ask the operator of the server to remove the object, then run the same command again",
            ) from None

    def _read(self, digest: Digest) -> None:
        with self.reader(digest) as reader:
            buffer = bytearray(CHUNK)
            while reader.readinto(buffer):
                pass

    def _send_parts(self, upload: Upload, source: BinaryIO, size: int, sent: Sent | None) -> None:
        sending: deque[Future[int]] = deque()
        total = number = 0
        try:
            while future := _lanes.send(upload, number, source, sent):
                sending.append(future)
                while sending and (upload.ordered or sending[0].done()):
                    total += sending.popleft().result()
                number += 1
            total += sum(future.result() for future in sending)
            if total != size:
                raise Invalid(f"the data to store has {total} bytes, not {size}")
        except BaseException:
            for future in sending:
                future.cancel()
            raise


class _Lanes:
    """The threads that carry the parts and ranges of large objects: a few, whatever is under way in this process.

    A part or range has a place until its bytes are of no use any more, and there are few: so memory is bounded, too.
    Parts and ranges have places of their own, since who sends what it reads ahead would else wait for itself.
    """

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._starting = threading.Lock()
        self._parts = threading.Semaphore(LANES)
        self._ranges = threading.Semaphore(LANES)

    def send(self, upload: Upload, number: int, source: BinaryIO, sent: Sent | None) -> Future[int] | None:
        """Read the next part and send it, when there is a place for it; gives its length, or None at the end."""
        self._parts.acquire()
        try:
            content = read_up_to(source, upload.part_size)
            future = self._submit(_send, upload, number, content, sent) if content else None
        except BaseException:
            self._parts.release()
            raise
        if future is None:
            self._parts.release()
        else:
            future.add_done_callback(lambda _: self._parts.release())
        return future

    def fetch(self, read: Callable[..., _Result], *arguments: Any) -> Future[_Result] | None:
        """Fetch a range, or return None if there is no place for it; who got it calls `done` with it at last."""
        return self._submit(read, *arguments) if self._ranges.acquire(blocking=False) else None

    def done(self, future: Future[Any]) -> None:
        """Nobody wants the range any more."""
        future.cancel()
        future.add_done_callback(lambda _: self._ranges.release())

    def _submit(self, work: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        with self._starting:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="gitmodel-store")
        return self._pool.submit(work, *arguments)


_lanes = _Lanes()


def _after_fork() -> None:
    global _lanes
    _lanes = _Lanes()  # threads do not outlive a fork


os.register_at_fork(after_in_child=_after_fork)


class RemoteReader(io.RawIOBase):
    """The bytes of an object on a server; the last range of them only if all of them hash to its digest."""

    def __init__(self, store: RemoteStore, digest: Digest, size: int | None, start: int, hashed: hashlib._Hash) -> None:
        self._store = store
        self._digest = digest
        self._hash = hashed
        self._from_start = start == 0
        self._chunk = memoryview(b"")
        self._lanes = _lanes
        self._ahead: deque[Future[tuple[bytes | bytearray, int]]] = deque()
        self._current: Future[tuple[bytes | bytearray, int]] | None = None
        content, self.total = store.backend.read(digest, start, _length(start))
        if size is not None and self.total > size:
            raise wrong_size(digest, size, self.total)
        self._received = self._asked = start
        self._take(content, self.total)

    @property
    def whole(self) -> bytes | None:
        """All bytes of an object that came in one range, verified; None of a longer one."""
        return bytes(self._chunk) if len(self._chunk) == self.total else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not self._chunk and self._received < self.total and view:
            self._take(*self._next())
        count = min(len(view), len(self._chunk))
        view[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._leave_current()
            while self._ahead:
                self._lanes.done(self._ahead.popleft())
            self._chunk = memoryview(b"")
        super().close()

    def _next(self) -> tuple[bytes | bytearray, int]:
        self._leave_current()
        if not self._ahead:
            return self._store.backend.read(self._digest, self._received, _length(self._received))
        self._current = self._ahead.popleft()
        return self._current.result()

    def _leave_current(self) -> None:
        if self._current is not None:
            self._lanes.done(self._current)
            self._current = None

    def _take(self, content: bytes | bytearray, total: int) -> None:
        expected = min(_length(self._received), self.total - self._received)
        self._received += len(content)
        self._hash.update(content)
        ended = self._received >= self.total
        if total != self.total or len(content) != expected or (ended and self._wrong()):
            self._store.damaged.note(self._digest)
            raise damaged(self._digest, self._store.url)
        if ended and self._from_start:
            self._store.damaged.forget(self._digest)
        self._chunk = memoryview(content)
        self._read_ahead()

    def _wrong(self) -> bool:
        return PREFIX + self._hash.hexdigest() != self._digest

    def _read_ahead(self) -> None:
        self._asked = max(self._asked, self._received)
        while self._asked < self.total and len(self._ahead) < LANES:
            length = _length(self._asked)
            future = self._lanes.fetch(self._store.backend.read, self._digest, self._asked, length)
            if future is None:
                return
            self._ahead.append(future)
            self._asked += length


def _length(start: int) -> int:
    """Of the range that begins at *start*: servers keep objects in pieces, and look for each that a range touches."""
    return RANGE - start % RANGE


def rewinds(source: BinaryIO) -> bool:
    """Return True if *source* can be read twice."""
    seekable = getattr(source, "seekable", None)
    return seekable is not None and seekable() and hasattr(source, "readinto")


def _left_of(source: BinaryIO) -> int:
    """Return the number of bytes left in a *source* that can be read twice."""
    start = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(start)
    return size - start


def read_up_to(source: BinaryIO, count: int) -> bytes | bytearray:
    """The next *count* bytes of *source*, fewer only at its end."""
    # most are small, and a raw file makes a buffer of all that it is asked for
    first = _taken(source.read(min(count, 1 << 16)))
    second = _taken(source.read(min(count - len(first), 1 << 16))) if first else b""
    if not second:
        return first
    content = bytearray(count)
    filled = len(first) + len(second)
    with memoryview(content) as view:
        view[:filled] = first + second
        while filled < count and (more := _read_into(view[filled : filled + CHUNK], source)):
            filled += more
    del content[filled:]
    return content


def _read_into(view: memoryview, source: BinaryIO) -> int:
    if hasattr(source, "readinto"):
        count: int | None = cast(io.RawIOBase, source).readinto(view)
        return _taken(count)
    content = _taken(source.read(len(view)))
    view[: len(content)] = content
    return len(content)


def _taken(found: _Result | None) -> _Result:
    if found is None:
        raise BlockingIOError("the source to store would have to be waited for")
    return found


def damaged(digest: Digest, url: str) -> Invalid:
    """Return the error for an object whose bytes do not match its digest."""
    return Invalid(
        f"the object {digest} is damaged: its bytes in {url} do not hash to its name",
        hint="store the artifact again from another copy, which replaces the object",
    )


def missing(url: str, digest: Digest) -> GitModelError:
    """Return the error for an object that the store does not have."""
    return NotFound(f"the artifact store has no {digest}", hint=where_else(url, shared=True))


def size_of(backend: Backend, digest: Digest) -> int:
    """Return the length in bytes of an object on a server. Raises NotFound without it."""
    there = backend.stat(digest)
    if there is None:
        raise missing(backend.url, digest)
    return there.size


def _changed() -> Conflict:
    return Conflict(
        "the file changed while it was being read; nothing was recorded",
        hint="wait until its writer is done and try again",
    )


def _not_itself(digest: Digest) -> Invalid:
    return Invalid(f"the bytes to store as {digest} do not match this digest", hint="copy it from another store")


def _send(upload: Upload, number: int, content: bytes | bytearray, sent: Sent | None) -> int:
    if not upload.holds(number, content):
        upload.send(number, content)
    if sent is not None:
        sent(len(content))
    return len(content)
