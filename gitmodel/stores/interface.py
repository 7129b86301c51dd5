"""The interface of artifact stores, and the errors and limits that all stores share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, Protocol

from gitmodel.domain.schema.digests import Digest
from gitmodel.errors import GitModelError, Invalid, UsageError
from gitmodel.stores.transfer import Sent

RENEWED = 86_400.0
"""The age in seconds from which an object gets a new timestamp before a commit names it.

`store gc` keeps objects with recent timestamps.
"""


def is_old(stored: StoredObject) -> bool:
    """Return True if the timestamp of the object must be renewed before a commit names the object."""
    return time.time() - stored.modified > RENEWED


class StoredObject(NamedTuple):
    """An object in a store.

    *modified* is the last time at which the object was stored or renewed, in seconds since 1970 by the store's clock.
    """

    digest: Digest
    size: int
    modified: float


class External(NamedTuple):
    """The current object at *uri*: its size in bytes, its *version_id*, and the SHA-256 that its store reports, or "".

    *mark* is a value that changes with each write of the object, such as its ETag, generation or modification time.
    """

    uri: str
    size: int
    version_id: str = ""
    digest: Digest = ""
    mark: str = ""


class Leftover(NamedTuple):
    """The remains of an unfinished upload: their name in the store, their size, and the time of the last change.

    *modified* is in seconds since 1970 by the store's clock. A remote store cannot detect killed writers. So it also
    lists active uploads, and only the age of an upload shows that it is abandoned.
    """

    name: str
    size: int
    modified: float


class ArtifactStore(Protocol):
    """A store of the bytes of artifacts, by digest. Every method raises Unreachable if the store fails."""

    @property
    def url(self) -> str:
        """The URL of the store, without credentials."""

    @property
    def shared(self) -> bool:
        """True if other machines can reach the store."""

    @property
    def origin(self) -> ArtifactStore:
        """The store itself, without the copies on this machine."""

    def create(self) -> None:
        """Create the store if it does not exist, or check cheaply that it is writable."""

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store all bytes of *source*, which can be rewound, atomically; return digest and length in bytes."""

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store *source*, which has *size* bytes, as the object *digest*. Some stores resume an interrupted upload.

        *source* must raise Invalid before its end if its bytes do not match *digest*, as the readers of `open` do.
        """

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Open the object. The reader raises Invalid before its end if the bytes do not match *digest*.

        Raises NotFound if the object does not exist. Raises Invalid if the object is longer than *size*, after reading
        at most its first piece.
        """

    def holds(self, digest: Digest) -> bool:
        """Return True if the object exists. Its content is not read."""

    def stat(self, digest: Digest) -> StoredObject | None:
        """Return the state of the object without reading its content; None if it does not exist."""

    def size(self, digest: Digest) -> int:
        """Return the length of the object in bytes. Raises NotFound if it does not exist."""

    def renew(self, digest: Digest) -> None:
        """Set the object's timestamp to now. Raises NotFound if it does not exist."""

    def digests(self) -> Iterator[Digest]:
        """Yield the digests of all objects."""

    def objects(self) -> Iterator[StoredObject]:
        """Yield all objects."""

    def remove(self, digest: Digest) -> None:
        """Remove the object. A missing object is ignored."""

    def leftovers(self) -> list[Leftover]:
        """Return the remains of unfinished uploads. A store in a folder returns only those of killed writers."""

    def remove_leftover(self, leftover: Leftover) -> None:
        """Delete an unfinished upload. A missing upload is ignored."""


class Unwritable(ABC):
    """The writing methods of a read-only `ArtifactStore`: `renew` does nothing, the others raise `refusal`."""

    @abstractmethod
    def refusal(self) -> GitModelError:
        """Return the error that says why the store is read-only."""

    def renew(self, digest: Digest) -> None:
        """Do nothing: the object needs no timestamp here, because only the writers of the store may delete it."""
        return None

    def create(self) -> None:
        raise self.refusal()

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        raise self.refusal()

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        raise self.refusal()

    def remove(self, digest: Digest) -> None:
        raise self.refusal()

    def remove_leftover(self, leftover: Leftover) -> None:
        raise self.refusal()


def damaged_object(digest: Digest, fault: str) -> Invalid:
    """Return the error for a damaged object; *fault* describes the damage."""
    return Invalid(
        f"the object {digest} is damaged: {fault}",
        hint="to replace it, link the same file again under its name with `git model link`",
    )


def wrong_size(digest: Digest, recorded: int, actual: int) -> Invalid:
    """Return the error for an object that does not have its *recorded* length."""
    return Invalid(
        f"{digest} has {actual} bytes, and its record says {recorded}: the object is damaged or the record is wrong",
        hint="`git model blame MODEL@VERSION` shows who wrote the record; if it is right, link the same file again",
    )


def where_else(url: str, *, shared: bool) -> str:
    """Return a hint for an object that the store at *url* lacks: where it may be, and the command that copies it.

    *shared* is True if other machines can reach the store.
    """
    bring = "`git model store copy --from clone --to default`"
    if shared:
        return f"this store is {url}; if a clone still has the artifact, type there {bring}"
    return f"only this clone has this store; where the artifact is, type `git model init --store URL` and {bring}"


def library(module: str, *, extra: str) -> Any:
    """Return the *module* of an optional library. Raises UsageError with the command that installs a missing one."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this kind of artifact store needs the package {error.name}, which is not installed",
            hint=f"pip install 'gitmodel[{extra}]'",
        ) from None
