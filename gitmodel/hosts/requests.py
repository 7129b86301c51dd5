"""Requests over HTTP that follow no redirect, because its target would get their token or their content."""

from __future__ import annotations

import urllib.request
from typing import Any


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def open_without_redirects(request: urllib.request.Request, *, timeout: float) -> Any:
    """Send *request* and return the answer. Raises HTTPError for a status other than 2xx, also for a redirect."""
    return _opener.open(request, timeout=timeout)
