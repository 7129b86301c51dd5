"""Reading an object on a server in ranges that are fetched in advance."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future

from gitmodel.domain.schema.digests import PREFIX, Digest
from gitmodel.stores.backend import Backend
from gitmodel.stores.interface import damaged_object, wrong_size
from gitmodel.stores.remote import transfer_lanes
from gitmodel.stores.remote.damaged_objects import DamagedObjects
from gitmodel.stores.remote.transfer_lanes import LANES
from gitmodel.stores.verified_reading import RawReader

RANGE = 4 << 20
"""The length in bytes of the ranges that are read. Each range starts at a multiple of it, except perhaps the first."""


class RemoteReader(RawReader):
    """Reads an object on a server. Returns the last bytes only after verifying the digest of all bytes."""

    def __init__(
        self,
        backend: Backend,
        damaged: DamagedObjects,
        digest: Digest,
        size: int | None,
        start: int,
        hashed: hashlib._Hash,
    ) -> None:
        self._backend = backend
        self._damaged = damaged
        self._digest = digest
        self._hash = hashed
        self._from_start = start == 0
        self._chunk = memoryview(b"")
        self._lanes = transfer_lanes.current()
        self._ahead: deque[Future[tuple[bytes | bytearray, int]]] = deque()
        self._current: Future[tuple[bytes | bytearray, int]] | None = None
        content, self.total = backend.read(digest, start, _length(start))
        if size is not None and self.total > size:
            raise wrong_size(digest, size, self.total)
        self._received = self._asked = start
        self._take(content, self.total)

    @property
    def whole(self) -> bytes | None:
        """The verified bytes of an object that is not longer than a range; None for a longer object."""
        return bytes(self._chunk) if len(self._chunk) == self.total else None

    def fill(self, view: memoryview) -> int:
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
            return self._backend.read(self._digest, self._received, _length(self._received))
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
        is_wrong = ended and PREFIX + self._hash.hexdigest() != self._digest
        if total != self.total or len(content) != expected or is_wrong:
            self._damaged.note(self._digest)
            raise damaged_object(self._digest, f"its bytes in {self._backend.url} do not hash to its name")
        if ended and self._from_start:
            self._damaged.forget(self._digest)
        self._chunk = memoryview(content)
        self._read_ahead()

    def _read_ahead(self) -> None:
        self._asked = max(self._asked, self._received)
        while self._asked < self.total and len(self._ahead) < LANES:
            length = _length(self._asked)
            future = self._lanes.fetch(self._backend.read, self._digest, self._asked, length)
            if future is None:
                return
            self._ahead.append(future)
            self._asked += length


def _length(start: int) -> int:
    """Return the length of the range at *start*. The range ends at a multiple of `RANGE`."""
    return RANGE - start % RANGE
