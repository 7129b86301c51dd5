"""Looking up the object at a URI, hashing the object, and reading it as an external artifact with verification."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from gitmodel.domain.schema.digests import PREFIX, Digest
from gitmodel.domain.urls import covers, holds_credentials, is_web, path_of, place_of, scheme_of, shown_url
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.stores.interface import External, Unwritable
from gitmodel.stores.sources.source_files import find_source, open_source
from gitmodel.stores.verified_reading import CHUNK, VerifyingReader, buffered

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from gitmodel.stores.interface import ArtifactStore, Leftover, StoredObject

HEAD = 1 << 16
OBJECT_STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "sftp")
_TIMEOUT = 60.0


class ReadResult(NamedTuple):
    """The result of reading an object to its end: its digest, its length in bytes, and its first bytes."""

    digest: Digest
    size: int
    head: bytes


def absolute_uri(place: str) -> str:
    """Return the URI to record for *place*, a URI or the path of a file. Raises UsageError for other URIs."""
    if holds_credentials(place):
        raise UsageError(
            "the URI holds credentials, which must not be recorded",
            hint="leave them out; gitmodel finds them where the tools of the store do, such as in the environment",
        )
    scheme = scheme_of(place)
    if not scheme:
        place, scheme = find_source(Path(place)).as_uri(), "file"
    if scheme not in ("file", "http", "https", *OBJECT_STORES):
        known = ", ".join(f"{name}:" for name in ("https", "s3", "gs", "az", "sftp", "file"))
        raise UsageError(f"gitmodel cannot read {scheme}: URIs", hint=f"it reads {known}")
    return place


def file_name_of(uri: str) -> str:
    """Return the name of the file at *uri*, or "".

    >>> file_name_of("s3://bucket/raw%20data/model%201.onnx"), file_name_of("https://example.com/")
    ('model 1.onnx', '')
    """
    from urllib.parse import urlsplit  # imported here: most commands read no external artifact

    return path_of(urlsplit(uri).path).rpartition("/")[2]


def trust_line(uri: str) -> str:
    """Return the command that trusts the bucket or host of *uri*."""
    return f"git model store trust {shlex.quote(place_of(uri))}"


def look_up(uri: str, version_id: str = "", *, trusted: Sequence[str] = ()) -> External:
    """Look up the object at *uri*. Follows redirects only to the same host and to *trusted* URLs.

    Raises NotFound if there is no object, Refused if a server denies access or redirects to another URL, UsageError if
    *uri* names a folder, Unreachable if the store or server fails.
    """
    return _kind_of(uri, trusted).look_up(uri, version_id)


def read_once(
    found: External, *, trusted: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
) -> ReadResult:
    """Read and hash the object that `look_up` *found*.

    Raises Conflict if the object changed after `look_up`, and the errors of `look_up`.
    """
    hashed, size, head = hashlib.sha256(), 0, b""
    with closing(_kind_of(found.uri, trusted).open(found.uri, found.version_id)) as reader:
        for chunk in _chunks(reader, found.uri):
            hashed.update(chunk)
            size += len(chunk)
            head += chunk[: HEAD - len(head)] if len(head) < HEAD else b""
            if size > found.size:  # a file that grows may never end
                break
            if progress is not None:
                progress(size, found.size)
    if size != found.size or look_up(found.uri, found.version_id, trusted=trusted).mark != found.mark:
        raise Conflict(
            f"{shown_url(found.uri)} changed while it was being read; nothing was recorded",
            hint="wait until its writer is done and try again",
        )
    return ReadResult(PREFIX + hashed.hexdigest(), size, head)


class ExternalStore(Unwritable):
    """The artifact at one URI, as a read-only `ArtifactStore`.

    A web server may redirect to its own host, and to URLs that are *trusted*.
    """

    shared = True

    def __init__(self, uri: str, version_id: str, digest: Digest, size: int, *, trusted: Sequence[str] = ()) -> None:
        self._trusted = trusted
        self.url = uri
        self._version_id = version_id
        self._digest = digest
        self._size = size

    @property
    def origin(self) -> ArtifactStore:
        return self

    def open(self, digest: Digest, size: int | None = None) -> BinaryIO:
        """Return a reader that raises Invalid at its end if the bytes do not match *digest*."""
        source = _kind_of(self.url, self._trusted).open(self.url, self._version_id)

        def fill(view: memoryview) -> int:
            chunk = _read(source, self.url, len(view))
            view[: len(chunk)] = chunk
            return len(chunk)

        wrong = partial(_not_what_was_linked, self.url, digest)
        return buffered(VerifyingReader(fill, digest, self._size, wrong=wrong, close=source.close), HEAD)

    def local_path(self) -> Path | None:
        """Return the path of the artifact if it is a file on this machine, else None."""
        return _path_of(self.url) if scheme_of(self.url) == "file" else None

    def holds(self, digest: Digest) -> bool:
        try:
            found = look_up(self.url, self._version_id, trusted=self._trusted)
            return digest == self._digest and found.size == self._size
        except NotFound:
            return False

    def stat(self, digest: Digest) -> StoredObject | None:
        return None

    def size(self, digest: Digest) -> int:
        return self._size

    def digests(self) -> Iterator[Digest]:
        yield self._digest

    def objects(self) -> Iterator[StoredObject]:
        return iter(())

    def leftovers(self) -> list[Leftover]:
        return []

    def refusal(self) -> Refused:
        return Refused(f"{shown_url(self.url)} is read-only", hint="gitmodel only reads external artifacts")


def _not_what_was_linked(uri: str, digest: Digest) -> Invalid:
    return Invalid(
        f"{shown_url(uri)} is not what was linked: its bytes do not hash to {digest}",
        hint="it was changed; link its current content to a new version",
    )


class _Kind(NamedTuple):
    """The functions for one scheme of URIs. Both take a URI, and the version id of an object in a bucket."""

    look_up: Callable[[str, str], External]
    open: Callable[[str, str], BinaryIO]


def _kind_of(uri: str, trusted: Sequence[str]) -> _Kind:
    scheme = scheme_of(uri)
    if scheme == "file":
        return _Kind(_look_up_file, _open_file)
    if scheme in ("http", "https"):
        return _Kind(partial(_look_up_page, trusted), partial(_open_page, trusted))
    if scheme in OBJECT_STORES:
        from gitmodel.stores.external.external_objects import KINDS  # imported here: few artifacts are in other stores

        return _Kind(*KINDS[scheme])
    raise UsageError(
        f"gitmodel cannot read {f'{scheme}: URIs' if scheme else shown_url(uri) + ', which is not a URI'}",
        hint="upgrade gitmodel, or download the artifact yourself",
    )


def _chunks(reader: BinaryIO, uri: str) -> Iterator[bytes]:
    while chunk := _read(reader, uri, CHUNK):
        yield chunk


def _read(reader: BinaryIO, uri: str, length: int) -> bytes:
    try:
        return reader.read(length) or b""
    except GitModelError:
        raise
    except Exception as error:  # clients of stores raise many types of exceptions
        raise _unreachable(uri, error) from error


def _unreachable(uri: str, error: BaseException) -> Unreachable:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return Unreachable(f"{shown_url(uri)} cannot be read: {said[0][:300]}", hint="make it reachable, then try again")


# Files on this machine or a shared disk.


def _path_of(uri: str) -> Path:
    from urllib.parse import urlsplit

    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/") or "\0" in path_of(parts.path):
        raise UsageError("the URI is not the path of a file", hint="write it as file:///absolute/path")
    return Path(path_of(parts.path))


def _look_up_file(uri: str, version_id: str) -> External:
    place = find_source(_path_of(uri))
    if place.is_dir():
        raise UsageError(
            f"{shown_url(uri)} is a folder, and only single files can be linked without storing them",
            hint="pack it into an archive, or store it without --external",
        )
    state = place.stat()
    return External(uri, state.st_size, mark=f"{state.st_ino} {state.st_mtime_ns}")


def _open_file(uri: str, version_id: str) -> BinaryIO:
    path = _path_of(uri)
    return open_source(find_source(path), str(path))


# Files on web servers, fetched without credentials.


def _look_up_page(trusted: Sequence[str], uri: str, version_id: str) -> External:
    with _request(uri, trusted) as answer:  # GET, because some servers answer HEAD incorrectly or not at all
        length = answer.headers.get("Content-Length", "")
        mark = f"{answer.headers.get('ETag', '')} {answer.headers.get('Last-Modified', '')}"
    if not length.isdigit():
        raise UsageError(f"the server does not send the length of {shown_url(uri)}", hint="store it without --external")
    return External(uri, int(length), mark=mark)


def _open_page(trusted: Sequence[str], uri: str, version_id: str) -> BinaryIO:
    return cast(BinaryIO, _request(uri, trusted))


def _request(uri: str, trusted: Sequence[str]) -> HTTPResponse:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Redirects(HTTPRedirectHandler):
        """Follows redirects only to the requested host and to trusted URLs."""

        def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
            if not is_web(newurl) or not any(covers(entry, newurl) for entry in (place_of(uri), *trusted)):
                fp.close()
                raise _leads_on(uri, newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    headers = {"User-Agent": "gitmodel", "Accept-Encoding": "identity"}
    try:
        opener = build_opener(Redirects)
        return cast("HTTPResponse", opener.open(Request(uri, headers=headers), timeout=_TIMEOUT))
    except HTTPError as error:
        error.close()
        if error.code in (404, 410):
            raise NotFound(f"there is nothing at {shown_url(uri)}", hint="check the address") from None
        if error.code in (401, 403):
            raise Refused(
                f"{shown_url(uri)} is refused ({error.code} {error.reason}); gitmodel sends no credentials for it",
                hint="make it readable without credentials, or move it to an object store",
            ) from None
        raise _unreachable(uri, error) from error
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(uri, error) from error


def _leads_on(uri: str, to: str) -> Refused:
    if not is_web(to) or holds_credentials(to):
        what = "an address that holds credentials" if is_web(to) else "an address that is not http: or https:"
        return Refused(
            f"{shown_url(uri)} redirects to {what}, which gitmodel does not follow", hint="link the file itself"
        )
    return Refused(
        f"{shown_url(uri)} redirects to {place_of(to)}, which this machine does not trust yet",
        hint=f"if you trust that host: {trust_line(to)}",
    )
