"""Reading the bytes of artifacts in pieces; the last piece is given only if all bytes match the digest."""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from gitmodel.domain.schema.digests import PREFIX, Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from gitmodel.errors import GitModelError

CHUNK = 1 << 20


class VerifyingReader(io.RawIOBase):
    """*size* bytes that *fill* puts into a buffer, returning how many; *close* is called once, at the end.

    Raises what *wrong* makes in place of the last of them if they do not hash to *digest*, or are fewer or more.
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

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        if not view:
            return 0
        count = self._fill(view)
        self._hash.update(view[:count])
        self._left -= count
        # At the length it had, it must be whole; having shrunk or grown since, it cannot be.
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
    """Yield *source* to its end in pieces that are valid until the next is requested."""
    readinto = getattr(source, "readinto", None)
    buffer = memoryview(bytearray(1 << 16))  # enough for most, and quickly made
    chunk: memoryview | None = None
    while True:
        if chunk is not None and len(chunk) == len(buffer) < CHUNK:
            buffer = memoryview(bytearray(CHUNK))
        if readinto is None:
            content = cast("bytes | None", source.read(CHUNK))
            chunk = None if content is None else memoryview(content)
        else:
            count = readinto(buffer)
            chunk = None if count is None else buffer[:count]
        if chunk is None:  # a pipe without data for now is not at its end
            raise BlockingIOError(errno.EAGAIN, "the source to store would have to be waited for")
        if not chunk:
            return
        yield chunk
