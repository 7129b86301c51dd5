"""Requests to a server, repeated while that may help, and its silence in words."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gitmodel.errors import Unreachable
from gitmodel.storage.stores import library

PASSING = (408, 425, 429, 500, 502, 503, 504)
CONNECTIONS = 16


class Answer(NamedTuple):
    """What a server answered; the case of the names of *headers* does not matter."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """The server at *base* (scheme and host); *name* is what messages call it. It is used by many threads."""

    def __init__(self, base: str, name: str, *, timeout: float, attempts: int, extra: str) -> None:
        urllib3 = library("urllib3", extra=extra)
        self.base = base
        self._name = name
        self._attempts = attempts
        settings = {
            "maxsize": CONNECTIONS,
            "block": False,
            "timeout": urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
            "retries": False,
        }
        proxy = _proxy(base)
        self._others = urllib3.ProxyManager(proxy, **settings) if proxy else urllib3.PoolManager(**settings)
        # without a proxy the server's own pool is asked: to look for it each time takes a fifth of a small request
        self._own = None if proxy else self._others.connection_from_url(base)
        self._failures = (urllib3.exceptions.HTTPError, OSError)

    def request(
        self, method: str, path: str, *, headers: Callable[[], dict[str, str]], body: bytes | bytearray, what: str
    ) -> Answer:
        """The answer to a request that may be repeated; *headers* are made anew for each try, since they are signed.

        Raises Unreachable if there is none, or if the server is not well for too long.
        """
        return self._ask(method, self.base + path, headers, body, what)

    def elsewhere(self, url: str, headers: Mapping[str, str], *, what: str) -> Answer:
        """The answer to a GET of another server's *url*."""
        return self._ask("GET", url, lambda: dict(headers), b"", what)

    def _send(self, method: str, url: str, **options: Any) -> Any:
        if self._own is not None and url.startswith(f"{self.base}/"):
            return self._own.urlopen(method, url[len(self.base) :], **options)
        return self._others.urlopen(method, url, **options)

    def _ask(
        self, method: str, url: str, headers: Callable[[], dict[str, str]], body: bytes | bytearray, what: str
    ) -> Answer:
        for attempt in range(1, self._attempts + 1):
            try:
                found = self._send(method, url, body=body or None, headers=headers(), redirect=False, retries=False)
                if found.status not in PASSING or attempt == self._attempts:
                    return Answer(found.status, found.headers, found.data)
            except self._failures as error:
                if attempt == self._attempts or _final(error):
                    raise Unreachable(
                        f"the artifact store {self._name} cannot be reached at {self.base} ({what}): {_why(error)}",
                        hint="see that the server runs and that its address is right, then run the same command again: "
                        "what was sent already is not sent again",
                    ) from error
            pause_after(attempt)
        raise AssertionError("the loop returns or raises")


def pause_after(attempt: int) -> None:
    """Wait before a request is made again: longer after each *attempt*, and never as long as somebody else."""
    time.sleep(min(0.1 * 2**attempt, 5.0) * random.uniform(0.5, 1.0))


def _proxy(base: str) -> str:
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(base)
    return "" if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme, "")


def _final(error: Exception) -> bool:
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return True
        seen = seen.__cause__ or seen.__context__ or (seen.args[0] if _wraps(seen) else None)
    return False


def _wraps(error: BaseException) -> bool:
    return bool(error.args) and isinstance(error.args[0], BaseException)


def _why(error: BaseException) -> str:
    return str(error.__cause__ or error).rpartition(">: ")[2] or type(error).__name__
