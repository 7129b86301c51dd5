"""Notices: signed POST requests that tell a program of the team which stages and aliases changed.

The signature has the form of GitHub's webhooks
(https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries), which many receivers can verify.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import field
from urllib.parse import urlsplit

from gitmodel.errors import Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.hosts.requests import open_without_redirects

_ATTEMPTS = 3
_PAUSE = 0.5
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class Receiver(Frozen):
    """The URL to which notices are sent, and the secret with which they are signed ("" means no signature).

    An attempt to send waits *timeout* seconds for an answer. All attempts for one notice together take at most *limit*
    seconds.
    """

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    timeout: float = 3.0
    limit: float = 10.0

    @property
    def shown(self) -> str:
        """The host name in the URL, for messages. The rest of the URL is not shown, because it may contain a token."""
        return urlsplit(self.url).hostname or "the address"


def read_receiver(environ: Mapping[str, str], config: Mapping[str, str]) -> Receiver | None:
    """Return the receiver of notices, from environment variables or the git settings of this machine; None if not set.

    Raises UsageError if the address is not a URL of http or https, or if it contains a user name or a password.
    """
    url = environ.get("GITMODEL_NOTIFY_URL") or config.get("gitmodel.notify.url", "")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        valid = valid and (parts.port is None or parts.port > 0)
        valid = valid and url.isascii() and url.isprintable() and " " not in url  # else errors would show the path
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(
            "the address for notices is not https://HOST/PATH, without user and password",
            hint="set it with: git config gitmodel.notify.url https://HOST/PATH",
        )
    return Receiver(url, environ.get("GITMODEL_NOTIFY_SECRET") or config.get("gitmodel.notify.secret", ""))


def send(receiver: Receiver, body: bytes) -> None:
    """Post *body*, which is JSON, to *receiver*, and retry after a temporary failure. Raises Unreachable if this fails.

    Returns or raises after `receiver.limit` seconds at the latest: a daemon thread sends *body*, and is not waited for
    longer.
    """
    problems: list[str] = ["no answer"]
    delivered = threading.Event()
    ended = threading.Event()

    def work() -> None:
        try:
            _send(receiver, body, problems)
            delivered.set()
        except _NotDelivered:
            pass
        finally:
            ended.set()

    threading.Thread(target=work, name="gitmodel-notice", daemon=True).start()
    in_time = ended.wait(receiver.limit)
    if not delivered.is_set():
        problem = problems[-1] if in_time else f"{problems[-1]} within {receiver.limit:g} seconds"
        raise Unreachable(f"the notice to {receiver.shown} was not delivered: {problem}")


class _NotDelivered(Exception):
    """No attempt to post a notice succeeded."""


def _send(receiver: Receiver, body: bytes, problems: list[str]) -> None:
    """Post *body* to *receiver*, and append the message of each failed attempt to *problems*.

    Raises _NotDelivered if no attempt succeeded.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        try:
            with open_without_redirects(_request(receiver, body), timeout=receiver.timeout):
                return
        except urllib.error.HTTPError as error:
            error.close()
            problems.append(f"it answers {error.code}")
            if error.code not in _PASSING:
                break
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            problems.append("no answer" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__)
            if isinstance(reason, ssl.SSLCertVerificationError):
                break
    raise _NotDelivered


def _request(receiver: Receiver, body: bytes) -> urllib.request.Request:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "gitmodel",
        "X-Gitmodel-Event": "apply",
        "X-Gitmodel-Delivery": hashlib.sha256(body).hexdigest()[:32],
    }
    if receiver.secret:
        signature = hmac.new(receiver.secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Gitmodel-Signature-256"] = f"sha256={signature}"
    return urllib.request.Request(receiver.url, body, headers, method="POST")
