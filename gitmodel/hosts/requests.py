"""HTTP requests that follow no redirect, because the target of a redirect would get the request's token and content."""

from __future__ import annotations

import urllib.request
from typing import Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A handler of redirects that follows none of them: `urllib` then raises HTTPError."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def open_without_redirects(request: urllib.request.Request, *, timeout: float) -> Any:
    """Send *request* and return the open response. Raises HTTPError for a redirect and for an error status."""
    return _opener.open(request, timeout=timeout)
