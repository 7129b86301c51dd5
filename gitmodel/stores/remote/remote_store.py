"""The artifact store on a server: storing and verified reading, by the operations that each kind of server offers."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import BinaryIO, cast

from gitmodel.domain.schema.digests import PREFIX, Digest
from gitmodel.errors import Conflict, Invalid
from gitmodel.stores.backend import Backend, Upload, size_of
from gitmodel.stores.interface import Leftover, StoredObject, is_old
from gitmodel.stores.remote import transfer_lanes
from gitmodel.stores.remote.damaged_objects import DamagedObjects
from gitmodel.stores.remote.remote_reading import RemoteReader
from gitmodel.stores.transfer import Sent
from gitmodel.stores.verified_reading import VerifyingReader, buffered, chunks, read_into, read_to_end, read_up_to

SMALL = 8 << 20
"""Objects of at most this many bytes are kept in memory and sent in one request."""


class RemoteStore:
    """The artifacts on a server, accessed by *backend*. Memory does not grow with the size of objects.

    Readers add damaged objects to *damaged*. The next upload of such an object replaces the object, and reads the new
    one back.
    """

    shared = True

    def __init__(self, backend: Backend, damaged: DamagedObjects | None = None) -> None:
        self.backend = backend
        self.damaged = damaged or DamagedObjects(backend.url)

    @property
    def url(self) -> str:
        return self.backend.url

    @property
    def origin(self) -> RemoteStore:
        return self

    def create(self) -> None:
        self.backend.create()

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store all bytes of *source*, which can be rewound; return digest and length in bytes.

        A source longer than `SMALL` is read twice, because its digest is known only at its end.
        """
        start = source.tell()
        is_small = source.seek(0, os.SEEK_END) - start <= SMALL
        source.seek(start)
        if is_small and len(content := read_up_to(source, SMALL + 1)) <= SMALL:
            digest = PREFIX + hashlib.sha256(content).hexdigest()
            self._write(digest, content, sent)
            return digest, len(content)
        source.seek(start)  # the source was too long, or became too long while it was read
        return self._put_large(source, start, sent)

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store *source*, which has *size* bytes, as the object *digest*.

        Parts that an earlier attempt sent are not sent again. The object appears only if *source* ends without an
        error.
        """
        if size <= SMALL:
            content = read_up_to(source, SMALL + 1)
            if PREFIX + hashlib.sha256(content).hexdigest() != digest:
                raise Invalid(
                    f"the bytes to store as {digest} do not match this digest", hint="copy it from another store"
                )
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
        except (Invalid, Conflict):  # a later attempt cannot use these bytes
            upload.abort()
            raise
        except BaseException:
            upload.pause()
            raise
        if replace:
            self._read_back(digest)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Open the object for reading once, as `ArtifactStore.open` describes. The reader fetches ranges in advance."""
        return buffered(self.reader(digest, size))

    def reader(
        self, digest: Digest, size: int | None = None, start: int = 0, hashed: hashlib._Hash | None = None
    ) -> RemoteReader:
        """Return a reader from byte *start*. *hashed* is the SHA-256 state after the bytes before *start*.

        Raises the errors of `open`.
        """
        return RemoteReader(self.backend, self.damaged, digest, size, start, hashed or hashlib.sha256())

    def holds(self, digest: Digest) -> bool:
        return self.backend.stat(digest) is not None

    def stat(self, digest: Digest) -> StoredObject | None:
        return self.backend.stat(digest)

    def is_whole(self, stored: StoredObject, *, read: bool) -> bool:
        """Return True if the object *stored* on the server is intact.

        If *read* is True, reads and hashes the bytes of the object, and raises Invalid if it is damaged. Otherwise
        compares its size and the metadata that gitmodel set, and returns False if a reader found the object damaged.
        """
        if read:
            self._verify(stored.digest)
            return True
        return stored.digest not in self.damaged and self.backend.has(stored.digest, stored.size) is not None

    def renew(self, digest: Digest) -> None:
        self.backend.renew(digest, self.size(digest))

    def size(self, digest: Digest) -> int:
        return size_of(self.backend, digest)

    def digests(self) -> Iterator[Digest]:
        return (found.digest for found in self.objects())

    def objects(self) -> Iterator[StoredObject]:
        return self.backend.objects()

    def remove(self, digest: Digest) -> None:
        self.backend.remove(digest)
        self.damaged.forget(digest)

    def leftovers(self) -> list[Leftover]:
        return self.backend.leftovers()

    def remove_leftover(self, leftover: Leftover) -> None:
        self.backend.remove_leftover(leftover)

    def _put_large(self, source: BinaryIO, start: int, sent: Sent | None) -> tuple[Digest, int]:
        hashed, size = hashlib.sha256(), 0
        for chunk in chunks(source):
            hashed.update(chunk)
            size += len(chunk)
        digest = PREFIX + hashed.hexdigest()
        source.seek(start)
        again = VerifyingReader(lambda view: read_into(view, source), digest, size, wrong=_changed, close=lambda: None)
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
        """Read an object after its upload. Raises Invalid if the server kept the previous, damaged object."""
        try:
            self._verify(digest)
        except Invalid:
            raise Invalid(
                f"{self.url} keeps a damaged object {digest}, although it was stored again",
                hint="ask the operator of the server to remove the object, then run the same command again",
            ) from None

    def _verify(self, digest: Digest) -> None:
        with self.open(digest) as reader:
            read_to_end(reader)

    def _send_parts(self, upload: Upload, source: BinaryIO, size: int, sent: Sent | None) -> None:
        sending: deque[Future[int]] = deque()
        lanes = transfer_lanes.current()
        total = number = 0
        try:
            while future := lanes.send(upload, number, source, sent):
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


def _changed() -> Conflict:
    return Conflict(
        "the file changed while it was being read; nothing was recorded",
        hint="wait until its writer is done and try again",
    )
