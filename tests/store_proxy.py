"""A proxy for a server on loopback. A test can let it reject requests, cut off answers, or send no answer."""

import http.client
import socket
import threading

from web_pages import QuietHandler, QuietServer, running


class Proxy:
    """A proxy that calls `proxy.plan(number, method, path)` for each request. The first request has number 1.

    The returned text says what the proxy does. "": forward the request and the answer. A number such as "503": answer
    with this status. "reset": close the connection. "cut": forward the request, and half of the body of the answer.
    "hang": set the event `proxy.hanging`, and answer nothing until the proxy is closed.
    """

    def __init__(self, port):
        self.port_behind = port
        self.plan = lambda number, method, path: ""
        self.seen = []
        self.answered = []  # requests that the proxy forwarded and the server answered
        self.hanging = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = QuietServer(_Handler)
        self._server.proxy = self
        self.url = self._server.url
        self._running = running(self._server)

    def __enter__(self):
        self._running.__enter__()
        return self

    def __exit__(self, *error):
        self._closing.set()
        self._running.__exit__(*error)

    def decide(self, method, path, headers):
        with self._lock:
            self.seen.append((method, path, headers))
            return self.plan(len(self.seen), method, path)

    def hang(self):
        self.hanging.set()
        self._closing.wait()


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"

    def _pass_on(self):
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        what = proxy.decide(self.command, self.path, dict(self.headers.items()))
        if what == "hang":
            proxy.hang()
        if what in ("hang", "reset"):
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if what.isdigit():
            self._answer(int(what), [("Content-Length", "0")], b"")
            return
        behind = http.client.HTTPConnection("127.0.0.1", proxy.port_behind)
        try:
            behind.request(self.command, self.path, body=body or None, headers=dict(self.headers.items()))
            with behind.getresponse() as found:
                content = found.read()
                proxy.answered.append((self.command, self.path, dict(self.headers.items())))
                headers = [(k, v) for k, v in found.getheaders() if k.lower() != "transfer-encoding"]
                if self.command != "HEAD" and found.getheader("Content-Length") is None:
                    headers.append(("Content-Length", str(len(content))))
                self._answer(found.status, headers, content[: len(content) // 2] if what == "cut" else content)
        finally:
            behind.close()
        self.close_connection = self.close_connection or what == "cut"

    def _answer(self, status, headers, content):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _pass_on
