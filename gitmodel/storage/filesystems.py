"""The artifact store in a place that fsspec reaches: Google Cloud Storage, Azure Blob Storage, a folder over SFTP.

Objects lie as in a folder: `<root>/sha256/<2 hex digits>/<62>`. Over SFTP one is written as `<root>/tmp/<64 hex
digits>` and renamed, so that an upload that was cut off goes on from its length; the others make an object appear
when its file is closed, and begin anew.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

from gitmodel.domain.digests import PREFIX, Digest, hex_of
from gitmodel.errors import GitModelError, Invalid, Unreachable
from gitmodel.storage.remote_store import missing
from gitmodel.storage.stores import Leftover, StoredObject, library

PART = 8 << 20
ATTEMPTS = 4
SETTINGS: dict[str, dict[str, Any]] = {
    # what is absent is asked of the server
    "gs": {"use_listings_cache": False},
    "az": {"anon": False, "use_listings_cache": False},
    # without this, sshfs takes any host for the one that was meant
    "sftp": {"known_hosts": ()},
}
_MODULES = {"gs": "gcsfs", "az": "adlfs", "sftp": "sshfs"}
_EXTRAS = {"gs": "gcs", "az": "azure", "sftp": "sftp"}
_OBJECT = re.compile(r"sha256/([0-9a-f]{2})/([0-9a-f]{62})")
_TEMPORARY = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{16})?")

_Result = TypeVar("_Result")


class FsspecBackend:
    """Objects under *path* of *place* (a bucket, a container, a host), by the file system of *scheme*."""

    def __init__(self, scheme: str, place: str, path: str) -> None:
        self._scheme = scheme
        self._place = place
        self._path = path
        self._renames = scheme == "sftp"
        self._root = f"/{path}" if self._renames else posixpath.join(place, path).rstrip("/")
        self._opened: Any = None

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._place}/{self._path}".rstrip("/")

    def create(self) -> None:
        """Make the folders of a store over SFTP; elsewhere see that the bucket is there."""
        if self._renames:
            self._do(lambda: self._fs.makedirs(f"{self._root}/sha256", exist_ok=True))
            self._do(lambda: self._fs.makedirs(f"{self._root}/tmp", exist_ok=True))
        else:
            self._do(lambda: self._fs.info(self._place))

    def stat(self, digest: Digest) -> StoredObject | None:
        try:
            found = self._do(lambda: self._fs.info(self._key(digest)))
        except FileNotFoundError:
            self._require_root()
            return None
        return StoredObject(digest, int(found["size"]), _time(found)) if found["type"] == "file" else None

    def has(self, digest: Digest, size: int) -> bool:
        there = self.stat(digest)
        return there is not None and there.size == size

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes, int]:
        there = self.stat(digest)
        if there is None:
            raise missing(self.url, digest)
        if start >= there.size:
            return b"", there.size
        try:
            return self._do(lambda: self._read(self._key(digest), start, length)), there.size
        except FileNotFoundError:
            raise missing(self.url, digest) from None

    def write(self, digest: Digest, content: bytes | bytearray) -> None:
        if not self._renames:
            self._do(lambda: self._fs.pipe_file(self._key(digest), content))
            return
        temporary = f"{self._root}/tmp/{hex_of(digest)}-{os.urandom(8).hex()}"

        def write() -> None:
            self._fs.makedirs(posixpath.dirname(temporary), exist_ok=True)
            with self._fs.open(temporary, "wb") as out:
                out.write(content)
            self._rename(temporary, digest)

        self._do(write)

    def upload(self, digest: Digest, size: int) -> AppendUpload | ClosingUpload:
        return AppendUpload(self, digest, size) if self._renames else ClosingUpload(self, digest)

    def objects(self) -> Iterator[StoredObject]:
        try:
            found = self._do(lambda: self._fs.find(f"{self._root}/sha256", detail=True))
        except FileNotFoundError:
            found = {}
        if not found:
            self._require_root()
        for name, state in found.items():
            match = _OBJECT.fullmatch(name.lstrip("/").removeprefix(self._root.lstrip("/")).lstrip("/"))
            if match and state["type"] == "file":
                yield StoredObject(PREFIX + match[1] + match[2], int(state["size"]), _time(state))

    def remove(self, digest: Digest) -> None:
        with suppress(FileNotFoundError):
            self._do(lambda: self._fs.rm_file(self._key(digest)))

    def leftovers(self) -> list[Leftover]:
        if not self._renames:
            return []
        try:
            found = self._do(lambda: self._fs.ls(f"{self._root}/tmp", detail=True))
        except FileNotFoundError:
            self._require_root()
            return []
        return [
            Leftover(posixpath.basename(each["name"]), int(each["size"]), _time(each))
            for each in found
            if _TEMPORARY.fullmatch(posixpath.basename(each["name"]))
        ]

    def remove_leftover(self, leftover: Leftover) -> None:
        if _TEMPORARY.fullmatch(leftover.name):
            with suppress(FileNotFoundError):
                self._do(lambda: self._fs.rm_file(f"{self._root}/tmp/{leftover.name}"))

    @property
    def _fs(self) -> Any:
        if self._opened is None:
            made = getattr(library(_MODULES[self._scheme], extra=_EXTRAS[self._scheme]), _CLASSES[self._scheme])
            options = {**SETTINGS[self._scheme], "skip_instance_cache": True}
            if self._renames:
                host, _, port = self._place.partition(":")
                options |= {"host": host, **({"port": int(port)} if port.isdigit() else {})}
            self._opened = made(**options)
        return self._opened

    def _do(self, work: Callable[[], _Result]) -> _Result:
        """What *work* returns, tried again where the connection broke; FileNotFoundError is passed on."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return work()
            except (FileNotFoundError, GitModelError):
                raise
            except Exception as error:  # each of these libraries has errors of its own
                final = isinstance(error, PermissionError) or type(error).__name__ in _FINAL
                if final or attempt == ATTEMPTS:
                    raise self._failure(error) from error
                self._opened = None if self._renames else self._opened  # a connection does not come back
        raise AssertionError("the loop returns or raises")

    def _failure(self, error: Exception) -> Unreachable:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Unreachable(
            f"the artifact store {self.url} fails: {said if said.isprintable() else ascii(said)}",
            hint=_HINTS[self._scheme],
        )

    def _require_root(self) -> None:
        try:
            self._do(lambda: self._fs.info(self._root if self._renames else self._place))
        except FileNotFoundError:
            raise Unreachable(
                f"the artifact store {self.url} is not there",
                hint="if it is new, make it with `git model init --store URL`; if not, see that its disk is mounted",
            ) from None

    def _read(self, key: str, start: int, length: int) -> bytes:
        if not self._renames:
            return bytes(self._fs.cat_file(key, start=start, end=start + length))
        with self._fs.open(key, "rb") as reader:
            reader.seek(start)
            return bytes(reader.read(length))

    def _rename(self, temporary: str, digest: Digest) -> None:
        self._fs.makedirs(posixpath.dirname(self._key(digest)), exist_ok=True)
        self._fs.mv(temporary, self._key(digest))

    def _key(self, digest: Digest) -> str:
        name = hex_of(digest)
        return f"{self._root}/sha256/{name[:2]}/{name[2:]}"


class AppendUpload:
    """A file over SFTP that grows by whole parts, and is renamed when it is whole."""

    ordered = True
    part_size = PART

    def __init__(self, backend: FsspecBackend, digest: Digest, size: int) -> None:
        self._backend = backend
        self._digest = digest
        self._temporary = f"{backend._root}/tmp/{hex_of(digest)}"
        try:
            had = int(backend._do(lambda: backend._fs.info(self._temporary))["size"])
            self._had = had if had <= size else 0
        except FileNotFoundError:
            self._had = 0
            backend._do(lambda: backend._fs.makedirs(f"{backend._root}/tmp", exist_ok=True))

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        start = number * PART
        if self._had < start + len(content):
            return False
        # what a reader of the whole would notice only after all of it was sent
        return self._backend._do(lambda: self._backend._read(self._temporary, start, len(content))) == content

    def send(self, number: int, content: bytes | bytearray) -> None:
        backend = self._backend

        def write() -> None:
            with backend._fs.open(self._temporary, "r+b" if self._had or number else "wb") as out:
                out.seek(number * PART)
                out.write(content)

        backend._do(write)
        self._had = max(self._had, number * PART + len(content))

    def finish(self) -> None:
        self._backend._do(lambda: self._backend._rename(self._temporary, self._digest))

    def abort(self) -> None:
        with suppress(FileNotFoundError):
            self._backend._do(lambda: self._backend._fs.rm_file(self._temporary))


class ClosingUpload:
    """A file that appears when it is closed."""

    ordered = True
    part_size = PART

    def __init__(self, backend: FsspecBackend, digest: Digest) -> None:
        self._backend = backend
        self._out = backend._do(lambda: backend._fs.open(backend._key(digest), "wb", autocommit=False))

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        return False

    def send(self, number: int, content: bytes | bytearray) -> None:
        with self._failing():
            self._out.write(content)

    def finish(self) -> None:
        with self._failing():
            self._out.close()
            self._out.commit()

    def abort(self) -> None:
        with suppress(Exception):
            self._out.discard()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._backend._failure(error) from error


_CLASSES = {"gs": "GCSFileSystem", "az": "AzureBlobFileSystem", "sftp": "SSHFileSystem"}
_FINAL = ("HostKeyNotVerifiable", "KeyExchangeFailed", "PermissionDenied", "ClientAuthenticationError", "HttpError")
_HINTS = {
    "gs": "see who you are there with `gcloud auth list`, and ask for access to the bucket",
    "az": "see who you are there with `az account show`; AZURE_STORAGE_ACCOUNT_NAME names the account",
    "sftp": "see that `ssh HOST` works without a question; name, port and key of a host are in ~/.ssh/config",
}


def _time(state: dict[str, Any]) -> float:
    for key in ("mtime", "updated", "last_modified", "created"):
        found = state.get(key)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, str):
            return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
        if isinstance(found, (int, float)):
            return float(found)
    raise Invalid("the server tells no time of an object")
