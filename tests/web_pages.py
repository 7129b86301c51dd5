"""Web servers on loopback for tests."""

import http.server
import threading
from contextlib import contextmanager, suppress


class Pages(http.server.BaseHTTPRequestHandler):
    """What the server has, by path: bytes, the status to answer with, or where else it is."""

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

    def log_message(self, *arguments):
        pass


class Endless(bytes):
    """A page that never ends; *count* is how many bytes of it were sent."""

    count = 0


@contextmanager
def serving():
    """A web server on loopback, what it has, and which paths it was asked for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.pages = {"/raw.csv": b"a,b\n1,2\n"}
    server.asked = []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
