"""The interface that every artifact store implements, and the errors and limits that all stores share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, Protocol

from gitmodel.domain.schema.digests import Digest
from gitmodel.errors import GitModelError, Invalid, UsageError

Sent = Callable[[int], None]
"""Told the length in bytes of each piece that the store has taken; by several threads at a time."""
Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all, by one thread at a time."""

JOBS = 8  # files at a time; transfers wait for disks and networks, not for processors
RENEWED = 86_400.0
"""Age in seconds from which an object that is about to be named is renewed: `store gc` spares young objects."""


def is_old(found: StoredObject) -> bool:
    """Return True if the object must be renewed before a commit names it."""
    return time.time() - found.modified > RENEWED


class Transfer(NamedTuple):
    """The options of a transfer: how many objects are transferred at a time, and a function to call as bytes arrive."""

    jobs: int = JOBS
    progress: Progress | None = None


class StoredObject(NamedTuple):
    """An object in a store; *modified* is when it was last stored, in seconds since 1970 by the store's clock."""

    digest: Digest
    size: int
    modified: float


class Leftover(NamedTuple):
    """The remains of an unfinished upload: the store's name for it, its bytes, and its last sign of life.

    *modified* is in seconds since 1970 by the store's clock. A store that cannot tell whether the writer lives
    (every remote one) lists uploads under way, too: their age decides.
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
        """The store itself: without the copies that this machine keeps of what is in it."""

    def create(self) -> None:
        """Make the store if it is not there, or see that it can be written to, as far as that costs nothing."""

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        """Store all that *source* yields, whole or not at all; return its digest and length in bytes."""

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        """Store the *size* bytes of *digest*, going on where an earlier try stopped, where the store can.

        *source* raises Invalid by its end if it is not *digest*, as the readers that `open` gives do.
        """

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """A reader of the object, which raises Invalid by its end if it is not *digest*. Or NotFound.

        Raises Invalid, before more than a first piece is read, if the object is longer than *size*.
        """

    def holds(self, digest: Digest) -> bool:
        """Return True if the object is there now; its content is not read."""

    def stat(self, digest: Digest) -> StoredObject | None:
        """The object as it is there now, its content unread; None if it is not."""

    def size(self, digest: Digest) -> int:
        """The length of the object in bytes. Raises NotFound without it."""

    def renew(self, digest: Digest) -> None:
        """Make the object as young as if it were stored now. Raises NotFound without it."""

    def digests(self) -> Iterator[Digest]:
        """The digests of all objects."""

    def objects(self) -> Iterator[StoredObject]:
        """All objects, in one listing."""

    def remove(self, digest: Digest) -> None:
        """Remove the object; without it, do nothing."""

    def leftovers(self) -> list[Leftover]:
        """List the remains of unfinished uploads. In a folder, only those whose writers are known to be dead."""

    def remove_leftover(self, leftover: Leftover) -> None:
        """Give up an upload that did not end; what is gone meanwhile is passed over."""


class Unwritable(ABC):
    """The half of an `ArtifactStore` that writes, of one that only reads: all of it raises what `refusal` returns."""

    @abstractmethod
    def refusal(self) -> GitModelError:
        """Return the error that says why it is not written to."""

    def renew(self, digest: Digest) -> None:
        """Nothing: whoever writes there keeps it."""
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


def wrong_size(digest: Digest, recorded: int, found: int) -> Invalid:
    """The error for an object whose length is not the one that is *recorded*."""
    return Invalid(
        f"{digest} has {found} bytes, and its record says {recorded}: the object is damaged or the record is wrong",
        hint="`git model blame MODEL@VERSION` shows who wrote the record; if it is right, store the artifact again",
    )


def where_else(url: str, *, shared: bool) -> str:
    """Return a hint about an object that the store at *url* lacks: other places to look, and the command to copy it.

    *shared* is True if other machines reach the store too.
    """
    bring = "`git model store copy --from clone --to default`"
    if shared:
        return f"this store is {url}; if a clone still has it, type there {bring}"
    return f"this store is of this clone alone; where it was made, type `git model init --store URL` and {bring}"


def library(module: str, *, extra: str) -> Any:
    """The *module* of an optional library, imported now. Raises UsageError, with what to type, if it is missing."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this kind of artifact store needs the package {error.name}, which is not installed",
            hint=f"pip install 'gitmodel[{extra}]'",
        ) from None
