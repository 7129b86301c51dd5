"""The interface that each kind of server implements for `RemoteStore`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gitmodel.domain.schema.digests import Digest
from gitmodel.errors import NotFound, Unreachable
from gitmodel.stores.interface import Leftover, StoredObject, where_else

PART = 8 << 20
"""The length in bytes of the parts of an upload; of a very large object they are longer."""
OWN = "sha256"
"""The key of metadata that gitmodel sets on each object it stores. An object without it is from another program."""


class Upload(Protocol):
    """An unfinished object, in parts numbered from 0. All parts but the last have *part_size* bytes.

    Readers do not see it before `finish`.
    """

    part_size: int
    ordered: bool
    """True if parts can only be sent one after the other."""

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        """Return True if the server already has this part, with these bytes, from an earlier attempt."""

    def send(self, number: int, content: bytes | bytearray) -> None:
        """Send *content* as the part *number*."""

    def finish(self) -> None:
        """Create the object from the parts."""

    def abort(self) -> None:
        """Abort the upload and delete its parts."""

    def pause(self) -> None:
        """End this attempt. The sent parts stay for a later attempt."""


class Backend(Protocol):
    """The operations that a kind of server offers. Every method raises Unreachable if the server fails."""

    @property
    def url(self) -> str:
        """The URL of the store, without credentials."""

    def create(self) -> None:
        """Check that the store can be used. Create missing folders if gitmodel may create them."""

    def stat(self, digest: Digest) -> StoredObject | None:
        """Ask the server for the state of the object; None if it does not exist."""

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        """Return the object if it has the length *size* and gitmodel's metadata, else None. Reads none of its bytes."""

    def renew(self, digest: Digest, size: int) -> None:
        """Set the timestamp of an existing object to now."""

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes | bytearray, int]:
        """Return at most *length* bytes of the object from *start*, and the length of the object. Raises NotFound."""

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        """Create the object atomically. If an equal object exists, it is enough to refresh its timestamp.

        If *replace* is True, overwrites the existing object, because its bytes are wrong.
        """

    def upload(self, digest: Digest, size: int) -> Upload:
        """Start to upload a large object, or resume an earlier upload."""

    def objects(self) -> Iterator[StoredObject]:
        """Yield all objects."""

    def remove(self, digest: Digest) -> None:
        """Remove the object. A missing object is ignored."""

    def leftovers(self) -> list[Leftover]:
        """Return the unfinished uploads, both interrupted and active."""

    def remove_leftover(self, leftover: Leftover) -> None:
        """Delete an unfinished upload. A missing upload is ignored."""


class ExpiringUploads:
    """A part of a `Backend` for a server that does not list unfinished uploads, and deletes them itself."""

    def leftovers(self) -> list[Leftover]:
        return []

    def remove_leftover(self, leftover: Leftover) -> None:
        return None


def part_size(size: int, most: int) -> int:
    """Return the length of the parts of an object of *size* bytes. The server allows at most *most* parts."""
    return max(PART, -(-size // (most << 20)) << 20)


def missing(url: str, digest: Digest) -> NotFound:
    """Return the error for an object that the store does not have."""
    return NotFound(f"the artifact store has no {digest}", hint=where_else(url, shared=True))


def require_stored(backend: Backend, digest: Digest, size: int) -> None:
    """Raise Unreachable unless the server has the object *digest* with *size* bytes.

    The caller found that the upload of the object no longer exists: another writer of the object may have completed it.
    """
    there = backend.stat(digest)
    if there is None or there.size != size:
        raise Unreachable(
            f"the upload of {digest} to {backend.url} was aborted by somebody else", hint="run the same command again"
        )


def size_of(backend: Backend, digest: Digest) -> int:
    """Return the length in bytes of an object on a server. Raises NotFound if there is no such object."""
    there = backend.stat(digest)
    if there is None:
        raise missing(backend.url, digest)
    return there.size
