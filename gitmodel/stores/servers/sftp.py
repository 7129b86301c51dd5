"""The artifact store in a folder over SFTP, with the library sshfs.

The layout is that of a local store: `<root>/sha256/<2 hex digits>/<62>`. An object is written to `<root>/tmp/<64 hex
digits>`, and the file is then renamed. An interrupted upload of a large object resumes from the length of that file.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from gitmodel.domain.schema.digests import Digest, digest_at, hex_of, object_path
from gitmodel.errors import GitModelError, Invalid, Unreachable
from gitmodel.stores.backend import PART, missing, require_stored, size_of
from gitmodel.stores.interface import Leftover, StoredObject, library
from gitmodel.stores.requests.server_attempts import attempts

_ATTEMPTS = 4
SETTINGS = {"known_hosts": (), "skip_instance_cache": True}
"""Settings of sshfs. Without `known_hosts` it would not verify the key of the host."""

_TEMPORARY = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{16})?")
_FINAL = ("HostKeyNotVerifiable", "KeyExchangeFailed", "PermissionDenied")

_Result = TypeVar("_Result")


class Host:
    """The files of the host at *place*, which is `[USER@]HOST[:PORT]`. Messages call the host *name*."""

    def __init__(self, place: str, name: str) -> None:
        self._place = place
        self._name = name
        self._opened: Any = None
        self._process = os.getpid()
        self._of_parent: Any = None

    def do(self, work: Callable[[Any], _Result]) -> _Result:
        """Call *work* with sshfs's file system and return its result. If the connection broke, reconnect and retry.

        Raises FileNotFoundError as *work* does, and Unreachable for every other error.
        """
        for last in attempts(_ATTEMPTS):
            try:
                return work(self._files())
            except (FileNotFoundError, GitModelError):
                raise
            except Exception as error:  # sshfs and asyncssh have many exception types
                final = isinstance(error, PermissionError) or type(error).__name__ in _FINAL
                if final or last:
                    raise self._failure(error) from error
                self._opened = None  # a broken connection does not recover, so the next attempt connects again
        raise AssertionError("the loop returns or raises")

    def describe(self, path: str) -> dict[str, Any]:
        """Return the attributes of a file or folder, such as its size. Raises FileNotFoundError."""
        return dict(self.do(lambda files: files.info(path)))

    def read(self, path: str, start: int, length: int) -> bytes:
        """Return at most *length* bytes of a file. Raises FileNotFoundError."""

        def read(files: Any) -> bytes:
            with files.open(path, "rb") as reader:
                reader.seek(start)
                return bytes(reader.read(length))

        return self.do(read)

    def write(self, path: str, start: int, content: bytes | bytearray) -> None:
        """Write *content* to a file from byte *start*. Creates the file if *start* is 0.

        Existing bytes stay: other writers of the same object may use the same file, and write the same bytes. Raises
        FileNotFoundError if the file does not exist and *start* is not 0.
        """

        def write(files: Any) -> None:
            try:
                out = files.open(path, "r+b")
            except FileNotFoundError:
                if start:
                    raise
                files.makedirs(posixpath.dirname(path), exist_ok=True)
                out = files.open(path, "xb")
            with out:
                out.seek(start)
                out.write(content)

        self.do(write)

    def rename(self, path: str, target: str) -> None:
        """Rename a file to *target*, replacing an existing file. Raises FileNotFoundError."""
        try:
            self.do(lambda files: files.mv(path, target))
        except FileNotFoundError:
            self.make_folder(posixpath.dirname(target))
            self.do(lambda files: files.mv(path, target))

    def remove(self, path: str) -> None:
        """Remove a file. A missing file is ignored."""
        with suppress(FileNotFoundError):
            self.do(lambda files: files.rm_file(path))

    def touch(self, path: str) -> None:
        """Set the timestamp of a file to now. Raises FileNotFoundError."""
        sync = library("fsspec.asyn", extra="sftp").sync

        def touch(files: Any) -> None:
            async def touched() -> None:  # sshfs has no function for this
                async with files._pool.get() as channel:
                    await channel.utime(path)

            sync(files.loop, touched)

        self.do(touch)

    def make_folder(self, path: str) -> None:
        """Create a folder and its parents, if they do not exist."""
        self.do(lambda files: files.makedirs(path, exist_ok=True))

    def _files(self) -> Any:
        if self._process != os.getpid():
            # Keeps a reference: if Python collected the object, it would close the connection of the parent process.
            self._of_parent, self._opened, self._process = self._opened, None, os.getpid()
        if self._opened is None:
            user, _, address = self._place.rpartition("@")
            host, _, port = address.partition(":")
            options = {"host": host, **({"port": int(port)} if port.isdigit() else {}), **SETTINGS}
            options |= {"username": user} if user else {}
            self._opened = library("sshfs", extra="sftp").SSHFileSystem(**options)
        return self._opened

    def _failure(self, error: Exception) -> Unreachable:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return Unreachable(
            f"{self._name} fails: {said if said.isprintable() else ascii(said)}",
            hint="check that `ssh HOST` works without a prompt; name, port and key of a host are in ~/.ssh/config",
        )


class SftpBackend:
    """Objects in the folder at the absolute *path* on the host *place*."""

    def __init__(self, place: str, path: str) -> None:
        self.url = f"sftp://{place}/{path}".rstrip("/")
        self.host = Host(place, f"the artifact store {self.url}")
        self._root = f"/{path}"

    def create(self) -> None:
        for folder in (f"{self._root}/sha256", f"{self._root}/tmp"):
            self.host.make_folder(folder)

    def stat(self, digest: Digest) -> StoredObject | None:
        try:
            found = self.host.describe(self.key(digest))
        except FileNotFoundError:
            self._require_root()
            return None
        return StoredObject(digest, int(found["size"]), _time(found)) if found["type"] == "file" else None

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        there = self.stat(digest)
        return there if there is not None and there.size == size else None

    def renew(self, digest: Digest, size: int) -> None:
        self.host.touch(self.key(digest))

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes, int]:
        size = size_of(self, digest)
        if start >= size:
            return b"", size
        try:
            return self.host.read(self.key(digest), start, length), size
        except FileNotFoundError:
            raise missing(self.url, digest) from None

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        # Does not check if the object exists, because replacing an equal file takes no longer than the check.
        temporary = f"{self._root}/tmp/{hex_of(digest)}-{os.urandom(8).hex()}"
        self.host.write(temporary, 0, content)
        self.host.rename(temporary, self.key(digest))

    def upload(self, digest: Digest, size: int) -> SftpUpload:
        return SftpUpload(self, digest, size, f"{self._root}/tmp/{hex_of(digest)}")

    def objects(self) -> Iterator[StoredObject]:
        try:
            found = self.host.do(lambda files: files.find(f"{self._root}/sha256", detail=True))
        except FileNotFoundError:
            found = {}
        if not found:
            self._require_root()
        for name, state in found.items():
            digest = digest_at(name.removeprefix(self._root).lstrip("/"))
            if digest is not None and state["type"] == "file":
                yield StoredObject(digest, int(state["size"]), _time(state))

    def remove(self, digest: Digest) -> None:
        self.host.remove(self.key(digest))

    def leftovers(self) -> list[Leftover]:
        try:
            found = self.host.do(lambda files: files.ls(f"{self._root}/tmp", detail=True))
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
            self.host.remove(f"{self._root}/tmp/{leftover.name}")

    def key(self, digest: Digest) -> str:
        return f"{self._root}/{object_path(digest)}"

    def _require_root(self) -> None:
        try:
            self.host.describe(self._root)
        except FileNotFoundError:
            raise Unreachable(
                f"the artifact store {self.url} does not exist",
                hint="if it is new, create it with `git model init --store URL`; "
                "if not, check that its disk is mounted",
            ) from None


class SftpUpload:
    """Writes a file part by part, and renames it when it is complete."""

    ordered = True
    part_size = PART

    def __init__(self, backend: SftpBackend, digest: Digest, size: int, temporary: str) -> None:
        self._backend = backend
        self._digest = digest
        self._size = size
        self._temporary = temporary
        self._had = 0
        with suppress(FileNotFoundError):
            self._had = int(backend.host.describe(temporary)["size"])
        self._gone = False
        if self._had > size:  # the partial file belongs to other content
            self.abort()

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        start = number * PART
        if self._had < start + len(content):
            return False
        try:  # reads the bytes back: otherwise nobody would notice a damaged part before the upload ends
            return self._backend.host.read(self._temporary, start, len(content)) == content
        except FileNotFoundError:
            return False

    def send(self, number: int, content: bytes | bytearray) -> None:
        if self._gone:
            return
        try:
            self._backend.host.write(self._temporary, number * PART, content)
        except FileNotFoundError:
            self._ended()

    def finish(self) -> None:
        if self._gone:
            return
        try:
            self._backend.host.rename(self._temporary, self._backend.key(self._digest))
        except FileNotFoundError:
            self._ended()

    def abort(self) -> None:
        self._had = 0
        self._backend.host.remove(self._temporary)

    def pause(self) -> None:
        """Do nothing: the file stays for a later attempt."""

    def _ended(self) -> None:
        """Skip the rest of an upload whose file is missing, because another writer of the object has renamed the file.

        Raises Unreachable if the server does not have the object: then somebody deleted the file.
        """
        require_stored(self._backend, self._digest, self._size)
        self._gone = True


def _time(state: Mapping[str, Any]) -> float:
    found = state.get("mtime")
    if isinstance(found, datetime):
        return found.timestamp()
    if isinstance(found, (int, float)):
        return float(found)
    raise Invalid("the server does not send the time of an object")
