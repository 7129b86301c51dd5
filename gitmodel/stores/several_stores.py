"""Stores composed of other stores: for reading from several, for reading only, and for hiding purged objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

from gitmodel.domain.schema.digests import Digest
from gitmodel.errors import GitModelError, NotFound, Refused, UsageError
from gitmodel.stores.interface import ArtifactStore, Leftover, StoredObject, Unwritable
from gitmodel.stores.transfer import Sent


class ForwardingStore:
    """A store whose methods call those of *first*. Each subclass replaces some of them."""

    def __init__(self, first: ArtifactStore) -> None:
        self._first = first
        self.url = first.url
        self.shared = first.shared

    @property
    def origin(self) -> ArtifactStore:
        return self._first.origin

    def create(self) -> None:
        self._first.create()

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        return self._first.put_stream(source, sent=sent)

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        self._first.put_known(digest, size, source, sent=sent)

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        return self._first.open(digest, size)

    def holds(self, digest: Digest) -> bool:
        return self._first.holds(digest)

    def stat(self, digest: Digest) -> StoredObject | None:
        return self._first.stat(digest)

    def size(self, digest: Digest) -> int:
        return self._first.size(digest)

    def renew(self, digest: Digest) -> None:
        self._first.renew(digest)

    def digests(self) -> Iterator[Digest]:
        return self._first.digests()

    def objects(self) -> Iterator[StoredObject]:
        return self._first.objects()

    def remove(self, digest: Digest) -> None:
        self._first.remove(digest)

    def leftovers(self) -> list[Leftover]:
        return self._first.leftovers()

    def remove_leftover(self, leftover: Leftover) -> None:
        self._first.remove_leftover(leftover)


class SeveralStores(ForwardingStore):
    """A store that writes to *first*, and reads from *first* and from other stores.

    *others* are functions that open the other stores; each is called when its store is needed. A store that cannot be
    used is skipped if another store has the object.
    """

    def __init__(self, first: ArtifactStore, others: Sequence[Callable[[], ArtifactStore]] = ()) -> None:
        super().__init__(first)
        self._others = others

    @property
    def origin(self) -> ArtifactStore:
        return SeveralStores(self._first.origin, [_origin(open_other) for open_other in self._others])

    def holder(self, digest: Digest) -> ArtifactStore:
        """Return the store that has the object, or else the first store.

        If no store has the object, and one of the stores cannot be used, raises the error of that store.
        """
        if not self._others or self._first.holds(digest):
            return self._first
        failure: GitModelError | None = None
        for open_other in self._others:
            try:
                other = open_other()
                if other.holds(digest):
                    return other
            except GitModelError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return self._first

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        return self.holder(digest).open(digest, size)

    def holds(self, digest: Digest) -> bool:
        return self.holder(digest).holds(digest)

    def stat(self, digest: Digest) -> StoredObject | None:
        return self.holder(digest).stat(digest)

    def size(self, digest: Digest) -> int:
        return self.holder(digest).size(digest)

    def renew(self, digest: Digest) -> None:
        self.holder(digest).renew(digest)


class ReadOnlyStore(Unwritable, SeveralStores):
    """A store that this machine only reads.

    *reason* and *hint* are the two parts of the error for writing: why the registry is read-only, and what to do.
    """

    def __init__(self, store: ArtifactStore, reason: str = "", hint: str = "") -> None:
        super().__init__(store)
        self._reason = reason
        self._hint = hint

    @property
    def origin(self) -> ArtifactStore:
        return ReadOnlyStore(self._first.origin, self._reason, self._hint)

    def refusal(self) -> GitModelError:
        if self._reason:
            return UsageError(self._reason, hint=self._hint)
        return Refused(
            f"the artifact store {self.url} is read-only on this machine",
            hint="GITMODEL_STORE_READ_ONLY or `git config gitmodel.storeReadOnly` sets this",
        )


class Purged(NotFound):
    """The artifact was erased for good; its tombstone gives the reason."""


class WithoutPurged(SeveralStores):
    """A store that neither shows nor accepts purged objects. *gone* has the reason of each purge by digest."""

    def __init__(self, store: ArtifactStore, gone: Mapping[str, object]) -> None:
        super().__init__(store)
        self._gone = gone

    @property
    def origin(self) -> ArtifactStore:
        return WithoutPurged(self._first.origin, self._gone)

    def refuse_purged(self, digest: Digest) -> None:
        """Raise Purged if the object was purged."""
        if digest in self._gone:
            raise Purged(
                f"{digest} was {self._gone[digest]}",
                hint="its bytes were erased for good; the record of the version stays",
            )

    def put_stream(self, source: BinaryIO, *, sent: Sent | None = None) -> tuple[Digest, int]:
        digest, size = self._first.put_stream(source, sent=sent)
        if digest in self._gone:
            self._first.remove(digest)
            raise self._refusal(digest)
        return digest, size

    def put_known(self, digest: Digest, size: int, source: BinaryIO, *, sent: Sent | None = None) -> None:
        if digest in self._gone:
            raise self._refusal(digest)
        self._first.put_known(digest, size, source, sent=sent)

    def holder(self, digest: Digest) -> ArtifactStore:
        self.refuse_purged(digest)
        return self._first

    def holds(self, digest: Digest) -> bool:
        return digest not in self._gone and self._first.holds(digest)

    def stat(self, digest: Digest) -> StoredObject | None:
        return None if digest in self._gone else self._first.stat(digest)

    def _refusal(self, digest: Digest) -> Refused:
        return Refused(f"{digest} was {self._gone[digest]}", hint="a purged artifact cannot be stored again")


def _origin(open_store: Callable[[], ArtifactStore]) -> Callable[[], ArtifactStore]:
    return lambda: open_store().origin
