"""Reading the bytes of artifacts in pieces. The last piece is returned only if all bytes match the digest."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from gitmodel.domain.schema.digests import PREFIX, Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from gitmodel.errors import GitModelError

CHUNK = 1 << 20


class RawReader(io.RawIOBase):
    """A raw file for reading. Subclasses implement `fill`."""

    def fill(self, view: memoryview) -> int:
        """Put the next bytes into *view* and return their number; 0 at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self.fill(memoryview(buffer).cast("B"))


def buffered(raw: io.RawIOBase, size: int = 1 << 16) -> BinaryIO:
    """Return *raw* with a buffer of *size* bytes."""
    return cast(BinaryIO, io.BufferedReader(raw, size))


class VerifyingReader(RawReader):
    """Reads *size* bytes by *fill*, which puts the next bytes into a buffer and returns their number.

    If the bytes do not match *digest* or have another length, does not return the last bytes, but raises the error that
    *wrong* returns. When the reader is closed, it calls *close*.
    """

    def __init__(
        self,
        fill: Callable[[memoryview], int],
        digest: Digest,
        size: int,
        *,
        wrong: Callable[[], GitModelError],
        close: Callable[[], object],
    ) -> None:
        self._fill = fill
        self._digest = digest
        self._left = size
        self._wrong = wrong
        self._close = close
        self._hash = hashlib.sha256()

    def fill(self, view: memoryview) -> int:
        if not view:
            return 0
        count = self._fill(view)
        self._hash.update(view[:count])
        self._left -= count
        ended = not count or self._left == 0
        if self._left < 0 or (ended and PREFIX + self._hash.hexdigest() != self._digest):
            view[:count] = bytes(count)
            raise self._wrong()
        return count

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


def chunks(source: BinaryIO) -> Iterator[memoryview]:
    """Yield the bytes of *source* in pieces, whose memory this function uses again for later pieces.

    The caller may use a piece until it requests the next piece. The first piece of `CHUNK` bytes and all later pieces
    stay valid longer: until the caller requests the second piece after them.
    """
    buffer = other = memoryview(bytearray(1 << 16))  # enough for most files, and fast to allocate
    while count := read_into(buffer, source):
        yield buffer[:count]
        if count == len(buffer) < CHUNK:
            buffer, other = memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK))
        else:
            buffer, other = other, buffer


def read_to_end(source: BinaryIO) -> None:
    """Read *source* to its end, at which a verifying reader raises an error for wrong bytes."""
    for _ in chunks(source):
        pass


def read_up_to(source: BinaryIO, count: int) -> bytes | bytearray:
    """Return the next *count* bytes of *source*, fewer only at its end."""
    # First a small read: most files are small, and a raw file allocates as many bytes as it is asked for.
    first = source.read(min(count, 1 << 16))
    second = source.read(min(count - len(first), 1 << 16)) if first else b""
    if not second:
        return first
    content = bytearray(count)
    filled = len(first) + len(second)
    with memoryview(content) as view:
        view[:filled] = first + second
        while filled < count and (more := read_into(view[filled : filled + CHUNK], source)):
            filled += more
    del content[filled:]
    return content


def read_into(view: memoryview, source: BinaryIO) -> int:
    """Read bytes of *source* into *view* and return their number; 0 at the end."""
    return cast(io.BufferedReader, source).readinto(view)
