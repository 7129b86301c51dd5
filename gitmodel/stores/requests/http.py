"""Requests to a server, with retries and a timeout for silence.

libcurl sends the requests, and signs some of them. The options of libcurl are documented at
https://curl.se/libcurl/c/curl_easy_setopt.html.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gitmodel.errors import Unreachable, UsageError
from gitmodel.stores.interface import library
from gitmodel.stores.requests.server_attempts import PASSING, attempts

BUFFER = 256 << 10
_OLDEST = (8, 10)  # older versions of libcurl sign some queries incorrectly
_IN_ADVANCE = 64 << 20  # for a longer body, no buffer is allocated before its bytes arrive
_AT_ONCE = 1 << 20  # a longer body is passed to libcurl in pieces


class Answer(NamedTuple):
    """A server's answer; the names of *headers* are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body, or {} if there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def total(self) -> int:
        """The length of the whole object if the body is a range of it, else the length of the body."""
        total = self.headers.get("content-range", "").rpartition("/")[2]
        return int(total) if total.isdigit() else len(self.body)


class Key(NamedTuple):
    """A key that signs requests with AWS Signature Version 4."""

    region: str
    access_key: str
    secret_key: str


class Request(NamedTuple):
    """A request to send. *headers* have names in lower case. If there is a *key*, it signs the request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | bytearray = b""
    key: Key | None = None


class Server:
    """The server at *base* (scheme and host), for many threads. *name* is the subject of messages about it.

    *timeout* is the number of seconds that the server may send nothing.
    """

    def __init__(self, base: str, name: str, *, timeout: float, attempts: int, extra: str) -> None:
        self.base = base
        self._name = name
        self._timeout = timeout
        self._attempts = attempts
        self._curl = library("pycurl", extra=extra)
        version = str(self._curl.version_info()[1])
        if tuple(map(int, version.split(".")[:2])) < _OLDEST:
            raise UsageError(
                f"artifact stores on servers need libcurl {'.'.join(map(str, _OLDEST))}, and pycurl has {version} here",
                hint="pip install --force-reinstall --only-binary :all: pycurl",
            )
        self._proxy = _proxy(base)
        self._idle: list[Any] = []  # handles, each with its open connection
        self._process = os.getpid()

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        body: bytes | bytearray = b"",
        key: Callable[[], Key] | None = None,
        what: str,
    ) -> Answer:
        """Send a request, repeatedly if necessary, and return the answer.

        Each attempt calls *headers* and *key* again. *what* is the subject of the request in messages. Returns
        the last answer if its status is still in `PASSING`. Raises Unreachable if the last attempt gets no answer, or
        if the certificate or the URL is invalid.
        """
        url = self.base + path
        return self._ask(lambda: Request(method, url, headers(), body, key() if key else None), self._proxy, what)

    def path_of(self, url: str) -> str:
        """Return the path and query of *url*, which the server named in an answer.

        Raises Unreachable if the URL is on another server, which must not get the credentials.
        """
        parts = urlsplit(url)
        if parts.netloc and f"{parts.scheme}://{parts.netloc}" != self.base:
            raise Unreachable(f"{self.base} sends uploads to {parts.netloc}, which is not supported", hint="")
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def elsewhere(self, url: str, headers: Mapping[str, str], *, what: str) -> Answer:
        """Return the answer to a GET of another server's *url*."""
        return self._ask(lambda: Request("GET", url, headers), _proxy(url), what)

    def _ask(self, request: Callable[[], Request], proxy: str, what: str) -> Answer:
        for last in attempts(self._attempts):
            try:
                found = self._send(request(), proxy)
                if found.status not in PASSING or last:
                    return found
            except _Failure as failure:
                if last or failure.final:
                    raise Unreachable(
                        f"{self._name} cannot be reached at {self.base} ({what}): {failure}",
                        hint="check that the server runs and that its address is right, then run the same command "
                        "again: gitmodel does not send again what the server already has",
                    ) from failure
        raise AssertionError("the loop returns or raises")

    def _send(self, request: Request, proxy: str) -> Answer:
        if threading.current_thread() is not threading.main_thread():
            return self._transfer(request, proxy)
        # libcurl runs in another thread: Ctrl-C interrupts only the main thread, and cannot interrupt libcurl.
        return _interruptible(lambda: self._transfer(request, proxy))

    def _transfer(self, request: Request, proxy: str) -> Answer:
        handle = self._handle()
        answer = _Coming()
        try:
            self._set_up(handle, request, proxy)
            handle.setopt(self._curl.HEADERFUNCTION, answer.lines.append)
            handle.setopt(self._curl.WRITEFUNCTION, answer.take)
            handle.perform()
            status = handle.getinfo(self._curl.RESPONSE_CODE)
        except self._curl.error as error:
            failure = self._failure(handle, error)
            handle.close()
            raise failure from None
        handle.reset()  # the handle would keep the bodies in memory
        self._idle.append(handle)
        return Answer(status, answer.headers, answer.body())

    def _handle(self) -> Any:
        if self._process != os.getpid():  # a forked child must not use the connections of its parent
            self._idle, self._process = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._curl.Curl()

    def _set_up(self, handle: Any, request: Request, proxy: str) -> None:
        curl = self._curl
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        options = [
            (curl.NOSIGNAL, 1),
            (curl.URL, request.url),
            (curl.PROXY, proxy),
            (curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_1_1),
            (curl.CONNECTTIMEOUT_MS, int(min(self._timeout, 10.0) * 1000)),
            (curl.LOW_SPEED_LIMIT, 1),
            (curl.LOW_SPEED_TIME, max(1, round(self._timeout))),
            (curl.BUFFERSIZE, BUFFER),
        ]
        if request.url.startswith("https:"):
            options += [(getattr(curl, name), place) for name, place in _trusted().items()]
        if request.method == "HEAD":
            options.append((curl.NOBODY, 1))
        elif len(request.body) > _AT_ONCE:
            body = _Body(request.body)
            options += [(curl.UPLOAD, 1), (curl.READFUNCTION, body.read), (curl.SEEKFUNCTION, body.seek)]
            options += [(curl.UPLOAD_BUFFERSIZE, BUFFER), (curl.INFILESIZE_LARGE, len(request.body))]
            options.append((curl.CUSTOMREQUEST, request.method))
        elif request.body or request.method in ("PUT", "POST", "PATCH"):
            options += [(curl.POSTFIELDS, bytes(request.body)), (curl.CUSTOMREQUEST, request.method)]
        elif request.method != "GET":
            options.append((curl.CUSTOMREQUEST, request.method))
        if request.key is not None:
            region, access_key, secret_key = request.key
            options += [(curl.AWS_SIGV4, f"aws:amz:{region}:s3"), (curl.USERNAME, access_key)]
            options.append((curl.PASSWORD, secret_key))
        else:
            options.append((curl.PATH_AS_IS, 1))
        for option, value in options:
            handle.setopt(option, value)
        # Suppress headers that libcurl adds: Expect, which costs a round trip, and a default type.
        without = [f"{name}:" for name in ("expect", "content-type") if name not in request.headers]
        handle.setopt(curl.HTTPHEADER, lines + without)

    def _failure(self, handle: Any, error: Exception) -> _Failure:
        code, said = error.args
        number = handle.getinfo(self._curl.OS_ERRNO)
        if code == self._curl.E_OPERATION_TIMEDOUT:
            return _Failure(f"timed out: {said}", final=False)
        final = code in (self._curl.E_SSL_CACERT, self._curl.E_SSL_CACERT_BADFILE, self._curl.E_URL_MALFORMAT)
        return _Failure(f"{said} ({os.strerror(number)})" if number else said, final=final)


class _Failure(Exception):
    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


class _Coming:
    """An answer that arrives in pieces. Its buffer has the announced length, because growing takes more memory."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._buffer: bytearray | None = None
        self._length = 0

    @cached_property
    def headers(self) -> dict[str, str]:
        """The headers of the answer, which must not be read before all header lines have arrived."""
        found: dict[str, str] = {}
        for line in self.lines:
            if line.startswith(b"HTTP/"):  # forget the headers of an earlier answer, such as "100 Continue"
                found.clear()
            name, colon, value = line.partition(b":")
            if colon:
                found[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
        return found

    def take(self, piece: bytes) -> None:
        if self._buffer is None:
            said = self.headers.get("content-length", "")
            self._buffer = bytearray(int(said) if said.isdigit() and int(said) <= _IN_ADVANCE else 0)
        start, self._length = self._length, self._length + len(piece)
        self._buffer[start : self._length] = piece

    def body(self) -> bytes | bytearray:
        if self._buffer is None:
            return b""
        del self._buffer[self._length :]
        return self._buffer


class _Body:
    """A large request body as a file for libcurl, which may rewind it to send the request again."""

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = memoryview(content)
        self._place = 0

    def read(self, count: int) -> bytes:
        start, self._place = self._place, min(self._place + count, len(self._content))
        return bytes(self._content[start : self._place])

    def seek(self, place: int, origin: int) -> int:
        self._place = place
        return 0


def _interruptible(work: Callable[[], Answer]) -> Answer:
    found: Future[Answer] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, name="gitmodel-request", daemon=True).start()
    return found.result()


def _trusted() -> dict[str, str]:
    """Return curl's settings for the certificate authorities that OpenSSL trusts on this machine."""
    paths = ssl.get_default_verify_paths()
    return {name: place for name, place in (("CAINFO", paths.cafile), ("CAPATH", paths.capath)) if place}


def _proxy(url: str) -> str:
    """Return the address of the proxy that the settings of this machine name for *url*; "" for no proxy."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return "" if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme, "")
