"""The one seam of artifact stores: what every store offers, and which one a URL names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from gitmodel.domain.digests import Digest
from gitmodel.errors import UsageError

Sent = Callable[[int], None]
"""Told the length in bytes of each piece that the store has taken; by several threads at a time."""


class StoredObject(NamedTuple):
    """An object in a store; *modified* is when it was last stored, in seconds since 1970 by the store's clock."""

    digest: Digest
    size: int
    modified: float


class Leftover(NamedTuple):
    """What an upload left that did not end: how the store calls it, its bytes, and its last sign of life.

    *modified* is in seconds since 1970 by the store's clock. A store that cannot tell whether the writer lives
    (every remote one) lists uploads under way, too: their age decides.
    """

    name: str
    size: int
    modified: float


class ArtifactStore(Protocol):
    """Where the bytes of artifacts are, by digest. Every method raises Unreachable if the store fails."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""

    @property
    def shared(self) -> bool:
        """Whether other machines reach it."""

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

    def open(self, digest: Digest) -> BinaryIO:
        """A reader of the object, which raises Invalid by its end if it is not *digest*. Or NotFound."""

    def holds(self, digest: Digest) -> bool:
        """Whether the object is there now, its content unread."""

    def size(self, digest: Digest) -> int:
        """The length of the object in bytes. Raises NotFound without it."""

    def digests(self) -> Iterator[Digest]:
        """The digests of all objects."""

    def objects(self) -> Iterator[StoredObject]:
        """All objects, in one listing."""

    def remove(self, digest: Digest) -> None:
        """Remove the object; without it, do nothing."""

    def leftovers(self) -> list[Leftover]:
        """What uploads left that did not end. In a folder, only those whose writers are known to be dead."""

    def remove_leftover(self, leftover: Leftover) -> None:
        """Give up an upload that did not end; what is gone meanwhile is passed over."""


def open_store(url: str, *, default_root: Path) -> ArtifactStore:
    """The store that *url* names: `file:///path`, an absolute path, or if empty the one in *default_root*.

    >>> open_store("", default_root=Path("/repo/.git/gitmodel")).shared
    False
    >>> open_store("file:///srv/models", default_root=Path("/repo/.git/gitmodel")).url
    'file:///srv/models'

    Raises UsageError for anything else, and never repeats a URL that may hold a password.
    """
    from gitmodel.storage.local_store import LocalStore

    if not url:
        return LocalStore(default_root)
    if url.startswith("/") and not url.startswith("//") and "\0" not in url:
        return LocalStore(Path(url), shared=True)
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        raise UsageError("the artifact store is not a URL", hint="write it as file:///absolute/path") from None
    if "@" in parts.netloc or (not parts.netloc and "@" in url and not parts.path.startswith("/")):
        raise UsageError(
            "the URL of the artifact store holds credentials, which a record must never do",
            hint="leave them out; they are taken from the environment of the store",
        )
    if parts.scheme not in ("", "file"):
        raise UsageError(
            f"remote artifact stores ({ascii(parts.scheme)[1:-1]}:) are not in this version",
            hint="name a folder that others can reach too: file:///absolute/path",
        )
    path = unquote(parts.path)
    if not parts.scheme or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise UsageError("the artifact store is not the path of a folder", hint="write it as file:///absolute/path")
    if not path.startswith("/") or "\0" in path:
        raise UsageError("the path of the artifact store is not absolute", hint="write it as file:///absolute/path")
    return LocalStore(Path(path), shared=True)
