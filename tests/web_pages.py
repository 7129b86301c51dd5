"""Web servers on loopback for tests."""

import http.server
import sys
import threading
from contextlib import contextmanager, suppress


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """A handler of requests that logs nothing."""

    def log_message(self, *arguments):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    """A server on a free port of loopback, at *url*. It does not report lost connections."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def running(server):
    """Let *server* answer in another thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Pages(QuietHandler):
    """A handler that answers with `server.pages[path]`: the body as bytes, a status as number, a redirect as text."""

    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.server.pages.get(self.path, 404)
        if isinstance(found, str):
            self.send_response(302)
            self.send_header("Location", found)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(found if isinstance(found, int) else 200)
        body = b"" if isinstance(found, int) else found
        if not self.path.startswith("/long") and not isinstance(body, Endless):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body)
            while isinstance(body, Endless):
                body.count += self.wfile.write(bytes(1 << 20))


class Endless(bytes):
    """A page that never ends; *count* is the number of bytes that were sent."""

    count = 0


@contextmanager
def serving():
    """Yield a web server on loopback. Its `pages` maps paths to answers, and its `asked` lists the requested paths."""
    server = QuietServer(Pages)
    server.pages = {"/raw.csv": b"a,b\n1,2\n"}
    server.asked = []
    with running(server):
        yield server
