"""The artifact store in a container of Azure Blob Storage, with Microsoft's client azure-storage-blob.

A large object is sent in blocks. The names of blocks contain their numbers and hashes, so that any process on any
machine can continue an upload. Committing a list of blocks creates the object. Azure deletes uncommitted blocks after a
week.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from gitmodel.domain.schema.digests import Digest, digest_at, hex_of, object_path
from gitmodel.errors import Unreachable, UsageError
from gitmodel.stores.backend import OWN, ExpiringUploads, missing, part_size, require_stored, size_of
from gitmodel.stores.interface import StoredObject, is_old, library
from gitmodel.stores.requests.server_attempts import PASSING, attempts

PARTS = 40_000  # Azure allows 50,000
PAGE = 5000

_CONTAINER = re.compile(r"[a-z0-9](-?[a-z0-9]){2,62}|\$root")
_HOST = re.compile(r"[a-z0-9]{3,24}\.(blob|dfs)\.core\.[a-z.]+")
_Result = TypeVar("_Result")


class Container:
    """Requests to the container of a store or of external artifacts. Messages call the container *name*.

    *host* is the host of the storage account, as in `abfss:` URIs; by default, environment variables name the account.
    """

    def __init__(self, container: str, name: str, *, host: str = "", timeout: float = 60.0, attempts: int = 6) -> None:
        if host and not _HOST.fullmatch(host):
            raise UsageError(f"{host!a} is not a host of Azure", hint="write it as ACCOUNT.dfs.core.windows.net")
        if not _CONTAINER.fullmatch(container):
            raise UsageError(
                f"{container!a} is not a name of a container, which has 3 to 63 lower-case letters, digits and hyphens",
                hint="write it as az://CONTAINER/PREFIX",
            )
        self.container = container
        self._name = name
        self._host = host.replace(".dfs.", ".blob.")
        self._timeout = timeout
        self._attempts = attempts
        self._opened: Any = None
        self._opening = threading.Lock()
        self._process = os.getpid()

    @property
    def client(self) -> Any:
        """Microsoft's client of the container, with the credentials of this machine."""
        with self._opening:
            # a forked child must not use its parent's connections
            if self._opened is None or self._process != os.getpid():
                self._opened, self._process = self._open(), os.getpid()
            return self._opened

    def do(self, work: Callable[[], _Result], about: str) -> _Result:
        """Return the result of *work*, which is about the blob or container *about*, a name for messages.

        Raises FileNotFoundError for a missing blob, Unreachable for other errors.
        """
        errors = library("azure.core.exceptions", extra="azure")
        for last in attempts(self._attempts):
            try:
                return work()
            except errors.AzureError as error:
                if getattr(error, "error_code", "") == "BlobNotFound":
                    raise FileNotFoundError(about) from None
                silent = isinstance(error, (errors.ServiceRequestError, errors.ServiceResponseError))
                passing = silent or getattr(error, "status_code", None) in PASSING
                if not passing or last:
                    raise self._refusal(error, about) from error
        raise AssertionError("the loop returns or raises")

    def _open(self) -> Any:
        service = library("azure.storage.blob", extra="azure").BlobServiceClient
        # retry_total=0, because the client's own retries wait for almost a minute
        settings = {"connection_timeout": 10, "read_timeout": self._timeout, "retry_total": 0}
        connection = os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
        if connection and not self._host:
            return service.from_connection_string(connection, **settings).get_container_client(self.container)
        account = os.environ.get("AZURE_STORAGE_ACCOUNT_NAME") or os.environ.get("AZURE_STORAGE_ACCOUNT")
        if not account and not self._host:
            raise Unreachable(
                f"no Azure account is configured for {self._name}",
                hint="set AZURE_STORAGE_ACCOUNT_NAME, or AZURE_STORAGE_CONNECTION_STRING",
            )
        credential = (
            os.environ.get("AZURE_STORAGE_ACCOUNT_KEY")
            or os.environ.get("AZURE_STORAGE_KEY")
            or os.environ.get("AZURE_STORAGE_SAS_TOKEN")
            or library("azure.identity", extra="azure").DefaultAzureCredential()
        )
        url = f"https://{self._host or f'{account}.blob.core.windows.net'}"
        return service(url, credential=credential, **settings).get_container_client(self.container)

    def _refusal(self, error: Any, about: str) -> Unreachable:
        said = next(iter(str(getattr(error, "message", "") or error).splitlines()), "") or type(error).__name__
        code = getattr(error, "error_code", "") or getattr(error, "status_code", "")
        if code == "ContainerNotFound":
            return Unreachable(
                f"there is no container {self.container} at {self._account()}",
                hint=f"create it, for example with `az storage container create --name {self.container}`, or name "
                "another store with `git model config store URL`",
            )
        status = getattr(error, "status_code", None)
        if status in (401, 403) or type(error).__name__ in ("ClientAuthenticationError", "CredentialUnavailableError"):
            return Unreachable(
                f"{self._name} at {self._account()} refuses {about or self.container}: {said}",
                hint="check your identity with `az account show`, and ask for access to the container",
            )
        return Unreachable(
            f"{self._name} at {self._account()} fails at {about or self.container}: {said}",
            hint="check the server, and run the same command again: it resumes",
        )

    def _account(self) -> str:
        return str(self._opened.url).partition("?")[0].rpartition("/")[0] if self._opened is not None else "Azure"


class AzureBackend(ExpiringUploads):
    """Objects under *prefix* in *container*."""

    def __init__(self, container: str, prefix: str, *, timeout: float = 60.0, attempts: int = 6) -> None:
        self.url = f"az://{container}/{prefix}".rstrip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._container = Container(container, f"the artifact store {self.url}", timeout=timeout, attempts=attempts)

    def create(self) -> None:
        """Verify that the container exists and accepts the credentials. gitmodel does not create containers."""
        self._do(lambda: next(iter(self._container.client.list_blobs(results_per_page=1)), None), "")

    def stat(self, digest: Digest) -> StoredObject | None:
        found = self._properties(digest)
        return None if found is None else _stored(digest, found)

    def has(self, digest: Digest, size: int) -> StoredObject | None:
        found = self._properties(digest)
        is_own = found is not None and found.size == size and found.metadata.get(OWN) == hex_of(digest)
        return _stored(digest, found) if is_own else None

    def renew(self, digest: Digest, size: int) -> None:
        """Set the object's metadata again, which updates its timestamp."""
        self.ask(digest, lambda blob: blob.set_blob_metadata({OWN: hex_of(digest)}))

    def read(self, digest: Digest, start: int, length: int) -> tuple[bytes, int]:
        def read(blob: Any) -> tuple[bytes, int]:
            found = blob.download_blob(offset=start, length=length)
            return bytes(found.readall()), int(found.properties.content_range.rpartition("/")[2])

        try:
            return self.ask(digest, read)
        except FileNotFoundError:
            raise missing(self.url, digest) from None
        except Unreachable as error:
            if getattr(error.__cause__, "error_code", "") != "InvalidRange":
                raise
        return b"", size_of(self, digest)

    def write(self, digest: Digest, content: bytes | bytearray, *, replace: bool = False) -> None:
        exists = library("azure.core.exceptions", extra="azure").ResourceExistsError

        def put(blob: Any, overwrite: bool) -> bool:
            try:
                blob.upload_blob(
                    bytes(content), overwrite=overwrite, metadata={OWN: hex_of(digest)}, validate_content=True
                )
            except exists:
                return False
            return True

        if self.ask(digest, lambda blob: put(blob, replace)):
            return
        there = self.has(digest, len(content))
        if there is None or is_old(there):  # another program wrote the object, or its timestamp is old
            self.ask(digest, lambda blob: put(blob, True))

    def upload(self, digest: Digest, size: int) -> AzureUpload:
        return AzureUpload(self, digest, size, part_size(size, PARTS))

    def objects(self) -> Iterator[StoredObject]:
        pages = self._container.client.list_blobs(
            name_starts_with=f"{self._prefix}sha256/", results_per_page=PAGE
        ).by_page()
        while (page := self._do(lambda: _listed(pages), "")) is not None:
            for found in page:
                digest = digest_at(found.name.removeprefix(self._prefix))
                if digest is not None:
                    yield _stored(digest, found)

    def remove(self, digest: Digest) -> None:
        try:
            self.ask(digest, lambda blob: blob.delete_blob(delete_snapshots="include"))
        except FileNotFoundError:
            return

    def ask(self, digest: Digest, operation: Callable[[Any], _Result]) -> _Result:
        """Call *operation* with Microsoft's client of the object, and return its result.

        Raises FileNotFoundError if the object does not exist.
        """
        return self._do(lambda: operation(self._blob(digest)), digest)

    def _properties(self, digest: Digest) -> Any:
        try:
            return self.ask(digest, lambda blob: blob.get_blob_properties())
        except FileNotFoundError:
            return None

    def _do(self, work: Callable[[], _Result], about: str) -> _Result:
        return self._container.do(work, about)

    def _blob(self, digest: Digest) -> Any:
        return self._container.client.get_blob_client(f"{self._prefix}{object_path(digest)}")


class AzureUpload:
    """Sends blocks in any order, several at a time. Blocks have no effect before they are committed."""

    ordered = False

    def __init__(self, backend: AzureBackend, digest: Digest, size: int, part_size: int) -> None:
        self.part_size = part_size
        self._backend = backend
        self._digest = digest
        self._size = size
        self._names: dict[int, str] = {}
        try:
            _, sent = backend.ask(digest, lambda blob: blob.get_block_list("uncommitted"))
        except FileNotFoundError:
            sent = []
        self._sent = {block.id: block.size for block in sent}

    def holds(self, number: int, content: bytes | bytearray) -> bool:
        name = self._names[number] = _name_of(number, content)
        return self._sent.get(name) == len(content)

    def send(self, number: int, content: bytes | bytearray) -> None:
        name = self._names[number] = _name_of(number, content)
        self._backend.ask(self._digest, lambda blob: blob.stage_block(name, bytes(content), validate_content=True))

    def finish(self) -> None:
        block, metadata = library("azure.storage.blob", extra="azure").BlobBlock, {OWN: hex_of(self._digest)}
        blocks = [block(block_id=self._names[number]) for number in sorted(self._names)]
        try:
            self._backend.ask(self._digest, lambda blob: blob.commit_block_list(blocks, metadata=metadata))
        except Unreachable as error:
            if getattr(error.__cause__, "error_code", "") != "InvalidBlockList":
                raise
            # When another writer of the object commits its blocks, Azure deletes the blocks of this upload.
            require_stored(self._backend, self._digest, self._size)

    def abort(self) -> None:
        """Do nothing: Azure deletes uncommitted blocks."""

    def pause(self) -> None:
        """Do nothing: the blocks stay for a later attempt."""


def _stored(digest: Digest, properties: Any) -> StoredObject:
    return StoredObject(digest, int(properties.size), properties.last_modified.timestamp())


def _name_of(number: int, content: bytes | bytearray) -> str:
    hashed = base64.b32encode(hashlib.sha256(content).digest()[:20]).decode()
    return f"{number:06d}-{hashed}"


def _listed(pages: Any) -> list[Any] | None:
    page = next(pages, None)
    return None if page is None else list(page)
