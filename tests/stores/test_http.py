"""HTTP requests to store servers: headers, signatures, certificates, proxies, forks, interrupts and memory."""

import hashlib
import os
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from web_pages import QuietHandler, QuietServer, running

from gitmodel.errors import Unreachable, UsageError
from gitmodel.stores.requests.http import Key, Server
from gitmodel.stores.servers.s3 import S3Backend


class Seen(QuietHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("X-Number", str(len(self.server.seen)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _answer


@contextmanager
def serving(context=None):
    server = QuietServer(Seen)
    server.seen = []
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = server.url.replace("http:", "https:")
    with running(server):
        yield server


def to(base, **options):
    return Server(base, "the store", **{"timeout": 5.0, "attempts": 2, "extra": "s3", **options})


def ask(server, method="GET", path="/x", *, headers=None, body=b"", **options):
    return server.request(method, path, headers=lambda: headers or {}, body=body, what="x", **options)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize("length", [0, 5, (2 << 20) + 1])
def test_a_request_contains_exactly_the_given_headers(method, length):
    body = os.urandom(length) if method in ("PUT", "POST", "PATCH") else b""
    with serving() as there:
        server = to(there.url)
        for content in (body, bytearray(body)):
            answer = ask(server, method, "/a%20b/c?d=e", headers={"x-mine": "1"}, body=content)
            assert (answer.status, answer.body) == (200, b"" if method == "HEAD" else b"ok")
            assert answer.headers["x-number"] == str(len(there.seen))
        for said, path, headers, content in there.seen:
            assert (said, path, content) == (method, "/a%20b/c?d=e", body)
            assert set(headers) <= {"host", "user-agent", "accept", "x-mine", "content-length"}
            assert int(headers.get("content-length", 0)) == len(body)


def test_a_signed_request_contains_the_session_token(monkeypatch):
    for name, value in {"ACCESS_KEY_ID": "AKID", "SECRET_ACCESS_KEY": "secret", "SESSION_TOKEN": "a/token+="}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        S3Backend("models", "of us").write(f"sha256:{hashlib.sha256(b'a').hexdigest()}", b"a")
        (_, path, headers, body) = there.seen[-1]
    assert (path[:20], body) == ("/models/of%20us/sha2", b"a")
    assert headers["x-amz-security-token"] == "a/token+="
    assert headers["x-amz-content-sha256"] == hashlib.sha256(b"a").hexdigest()
    assert "Credential=AKID/" in headers["authorization"]
    assert "x-amz-security-token" in headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]


def test_an_untrusted_certificate_is_refused_immediately(tmp_path, monkeypatch):
    subject = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "36500", *subject]
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(context) as there:
        with pytest.raises(Unreachable, match="certificate"):
            ask(to(there.url, attempts=1000))
        assert there.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(to(there.url)).body == b"ok"


def test_requests_use_the_proxy_that_environment_variables_configure(monkeypatch):
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert ask(to("http://store.test:8333")).body == b"ok"
        assert to("http://store.test:8333").elsewhere("http://other.test/y", {}, what="y").body == b"ok"
        assert [path for _, path, *_ in proxy.seen] == ["http://store.test:8333/x", "http://other.test/y"]
        with serving() as there:
            ask(to(there.url))
            assert len(there.seen) == 1


def test_a_forked_process_uses_new_connections():
    with serving() as there:
        server = to(there.url)
        first = ask(server)
        child = os.fork()
        if not child:
            os._exit(0 if ask(server).headers["x-number"] == "2" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert (first.headers["x-number"], ask(server).headers["x-number"]) == ("1", "3")


WAITING = """
import sys
from gitmodel.stores.requests.http import Server
Server(sys.argv[1], "s", timeout=600, attempts=2, extra="s3").request("GET", "/", headers=dict, what="x")
"""


def test_ctrl_c_interrupts_a_request_to_a_silent_server():
    arrived, done = threading.Event(), threading.Event()

    class Silent(Seen):
        def do_GET(self):
            arrived.set()
            done.wait()
            self.close_connection = True

    with serving() as there:
        there.RequestHandlerClass = Silent
        with subprocess.Popen([sys.executable, "-c", WAITING, there.url], stderr=subprocess.PIPE, text=True) as process:
            assert arrived.wait(30)
            process.send_signal(signal.SIGINT)
            try:
                _, err = process.communicate(timeout=30)
            finally:
                process.kill()
                done.set()
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_a_libcurl_that_makes_wrong_signatures_is_refused(monkeypatch):
    import pycurl

    monkeypatch.setattr(pycurl, "version_info", lambda: (0, "7.88.1"))
    with pytest.raises(UsageError, match=r"need libcurl 8\.10, and pycurl has 7\.88\.1") as caught:
        to("http://127.0.0.1:9")
    assert "pip install" in caught.value.hint


def test_no_error_message_contains_a_secret_key():
    with pytest.raises(Unreachable) as caught:
        ask(to("http://127.0.0.1:9", attempts=1), key=lambda: Key("us-east-1", "AKID", "a secret"))
    assert "refused" in caught.value.message
    assert "a secret" not in caught.value.message + repr(caught.value.__cause__)


@pytest.mark.parametrize("prefix", ["..", "a/../b", "./a", "a/."])
def test_an_s3_prefix_with_the_part_dot_or_dot_dot_is_refused(prefix):
    with pytest.raises(UsageError, match=r"cannot hold \. and \.\."):
        S3Backend("models", prefix)


def test_the_body_of_a_request_does_not_stay_in_memory():
    with serving() as there:
        server = to(there.url)
        ask(server, "PUT", body=bytearray(2 << 20))
        content = bytearray(2 << 20)
        ask(server, "PUT", body=content)
        content += b"?"  # fails with BufferError if something still uses the buffer
