"""The local server of the pages. It accepts only requests from this machine, and never changes the registry."""

from __future__ import annotations

import hashlib
import logging
import re
import socket
import threading
import webbrowser
from collections.abc import Callable

import h11
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gitmodel.client.client import Client
from gitmodel.errors import GitModelError, NotFound, Unreachable
from gitmodel.web import routes
from gitmodel.web.export.site import asset_files, renderer_id
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.registry_data import RegistryData
from gitmodel.web.registry_data.version_data import private_paths
from gitmodel.web.rendering.renderer import POLICY, Renderer
from gitmodel.web.shown_text import TextRules

HOST = "127.0.0.1"
# The values of the header Host that are accepted. Browsers leave out the port 80.
_OUR_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:[0-9]+)?")
# A request that is written as for a proxy has a whole URL as its target. The groups are the host and the path.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)(.*)")
# The greatest length of a path in characters. The names of models, versions and runs are short.
_LONGEST_PATH = 1000
# The greatest number of rendered files that the server keeps in memory until the registry changes.
_MOST_KEPT = 500
_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "xml": "application/atom+xml",
    "csv": "text/csv; charset=utf-8",
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}


class PageServer:
    """Answers requests for the pages of *client*, one at a time. Reads the registry again after a change of it."""

    def __init__(self, client: Client, options: SiteOptions) -> None:
        self._client = client
        self._options = options
        self._pages: Renderer | None = None
        self._rendered: dict[tuple[str, str], bytes] = {}
        self._assets = asset_files()
        self._renderer = renderer_id()
        self._lock = threading.Lock()
        self._text_rules = TextRules(private=private_paths(client))

    def answer(self, request: Request) -> Response:
        """Return the response to *request*. No address of a page needs escapes such as %2F, so they are not decoded."""
        target = request.scope["raw_path"].decode("latin-1")
        url = _URL.fullmatch(target)
        hosts = [request.headers.get("host", ""), *([url[1]] if url else [])]
        if not all(map(_OUR_HOST.fullmatch, hosts)):
            return _text(421, "This server answers requests to 127.0.0.1 only.")
        if request.method not in ("GET", "HEAD"):
            return _text(405, "The pages can only be read.", {"Allow": "GET, HEAD"})
        path = url[2] or "/" if url else target
        if not path.startswith("/"):
            return _text(400, "The request names no path.")
        if len(path) > _LONGEST_PATH:
            return _text(414, "No page has such a long address.")
        with self._lock:
            try:
                return self._find(request, path)
            except NotFound as error:
                return _text(404, self._text_rules.text(error.message))
            except GitModelError as error:
                return _text(500, self._text_rules.text(error.message))

    def _find(self, request: Request, path: str) -> Response:
        asset = self._assets.get(path[1:])
        if asset is not None:
            return _file(request, path, _etag(asset.hex()), lambda: asset)
        pages, query = self._current(), request.query_params.get("q", "")
        etag = _etag(f"{self._renderer} {pages.registry.fingerprint} {path} {query}")
        return _file(request, path, etag, lambda: self._read(pages, path, query))

    def _read(self, pages: Renderer, path: str, query: str) -> bytes:
        """Return the bytes of the file at *path*, rendered for *query*, and keep them until the registry changes."""
        key = (path, query)
        if key not in self._rendered:
            data = _render(pages, path, query)
            if len(self._rendered) >= _MOST_KEPT:
                self._rendered.clear()
            self._rendered[key] = data
        return self._rendered[key]

    def _current(self) -> Renderer:
        """Return the renderer of the registry, after reading the registry again if it has changed."""
        if self._pages is None or not self._pages.registry.is_current():
            self._pages = Renderer(RegistryData(self._client, self._options))
            self._rendered = {}
        return self._pages


def _render(pages: Renderer, path: str, query: str) -> bytes:
    """Return the file at *path*; a page that takes a query answers *query*. Raises NotFound."""
    found = routes.find_page(path)
    if found is None:
        raise NotFound("there is no such page", hint="go to /")
    file = found.page.file(found.parameters)
    parameters = {**found.parameters, "query": query} if found.page.takes_query else found.parameters
    return pages.render(found.page, parameters)[routes.twin_of(file) if found.is_twin else file]


def _file(request: Request, path: str, etag: str, read: Callable[[], bytes]) -> Response:
    """Return a response with the result of *read*, or 304 if the browser already has the file with this *etag*."""
    headers = {**_HEADERS, "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    ending = path.rpartition("/")[2].rpartition(".")[2]
    return Response(read(), headers=headers, media_type=_TYPES.get(ending, _TYPES["html"]))


def _text(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    text = "text/plain; charset=utf-8"
    return Response(f"{message}\n", status, {**_HEADERS, **(headers or {})}, media_type=text)


def _etag(about: str) -> str:
    return f'"{hashlib.sha256(about.encode()).hexdigest()[:32]}"'


class _Protocol(H11Protocol):
    """HTTP/1.1 of Uvicorn, with our security headers also in the response to a malformed request."""

    def send_400_response(self, msg: str) -> None:
        # an error response is possible only before another response has begun
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = _text(400, msg, {"Connection": "close"})
            for event in (
                h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request"),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _application(client: Client, options: SiteOptions) -> ASGIApp:
    server = PageServer(client, options)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await run_in_threadpool(server.answer, Request(scope))
        except Exception:
            logging.getLogger("uvicorn.error").exception("a page could not be rendered")
            response = _text(500, "The page could not be rendered; the terminal shows the error.")
        await response(scope, receive, send)

    return answer


def uvicorn_server(client: Client, options: SiteOptions) -> uvicorn.Server:
    """Return the server of the pages, which `run` starts with sockets that `listen` returned."""
    return uvicorn.Server(
        uvicorn.Config(
            _application(client, options),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_level="error",
            server_header=False,
        )
    )


def listen(port: int) -> socket.socket:
    """Return a socket that listens on *port* of this machine only. Raises Unreachable if the port is in use."""
    # The protocol is given because asyncio sets TCP_NODELAY only for sockets with IPPROTO_TCP; packets are then sent
    # without delay.
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen()
    except OSError as error:
        found.close()
        raise Unreachable(
            f"port {port} of {HOST} cannot be used: {error.strerror}", hint="name another with --port, or 0 for any"
        ) from error
    return found


def serve(
    client: Client, options: SiteOptions, *, port: int, on_start: Callable[[str], None], open_browser: bool
) -> None:
    """Serve the pages on *port* (0 for any free port) until Ctrl-C. Calls *on_start* with the URL of the first page."""
    listening = listen(port)
    url = f"http://{HOST}:{listening.getsockname()[1]}/"
    on_start(url)
    if open_browser:
        webbrowser.open(url)
    uvicorn_server(client, options).run(sockets=[listening])
