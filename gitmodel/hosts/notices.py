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
    """The URL to which gitmodel posts notices, and the secret with which it signs them ("": notices are not signed).

    Each attempt to post a notice waits *timeout* seconds for an answer. All attempts together take *limit* seconds.
    """

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)
    timeout: float = 3.0
    limit: float = 10.0

    @property
    def shown(self) -> str:
        """The host name in the URL. Messages leave out the rest of the URL, because it may contain a token."""
        return urlsplit(self.url).hostname or "the address"


def read_receiver(environ: Mapping[str, str], config: Mapping[str, str]) -> Receiver | None:
    """Return the receiver that the environment variables or git settings of this machine name; None if they name none.

    Raises UsageError if its address is not a URL of http or https, or if the URL contains a user name or a password.
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

    A daemon thread posts *body*. `send` waits for this thread for at most `receiver.limit` seconds.
    """
    problems = ["no answer"]
    thread = threading.Thread(target=_post, args=(receiver, body, problems), name="gitmodel-notice", daemon=True)
    thread.start()
    thread.join(receiver.limit)
    in_time = not thread.is_alive()
    for problem in problems[-1:]:
        why = problem if in_time else f"{problem} within {receiver.limit:g} seconds"
        raise Unreachable(f"the notice to {receiver.shown} was not delivered: {why}")


def _post(receiver: Receiver, body: bytes, problems: list[str]) -> None:
    """Post *body* to *receiver*. Append the message of each failed attempt to *problems*; empty it after a success."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        try:
            with open_without_redirects(_request(receiver, body), timeout=receiver.timeout):
                problems.clear()
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
