"""Requests that no browser sends, written as bytes to a socket.

Each gets an answer with the security headers of gitmodel, and no answer or log has a traceback.
"""

import logging
import socket
from collections.abc import Iterator
from email.message import Message
from http.client import HTTPResponse

import pytest
from page_server import serving

from gitmodel import Client

HOST = "Host: 127.0.0.1:8765"
OUR_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@pytest.fixture(scope="module")
def port(empty_registry: Client) -> Iterator[int]:
    empty_registry.register_model("iris").create_version()
    with serving(empty_registry) as url:
        yield int(url.rstrip("/").rpartition(":")[2])


@pytest.fixture
def ask(port: int, caplog: pytest.LogCaptureFixture):
    """A function that sends the lines of a request, and returns the status, headers and body of the answer."""

    def ask(*lines: str | bytes) -> tuple[int, Message, bytes]:
        parts = [line.encode("latin-1") if isinstance(line, str) else line for line in lines]
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"\r\n".join([*parts, b"", b""]))
            response = HTTPResponse(connection, method="HEAD" if parts[0].startswith(b"HEAD ") else "GET")
            response.begin()
            body, headers = response.read(), response.headers
        assert {name: headers[name] for name in OUR_HEADERS} == OUR_HEADERS
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert headers["Server"] is None
        return response.status, headers, body

    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    yield ask
    logger.removeHandler(caplog.handler)
    assert caplog.text == ""


@pytest.mark.parametrize("number", ["9" * 900, "01", "%D9%A1", "%C2%B2", "1%00", "-1", "1.0", "%31", "..", "0", "1/"])
def test_a_version_page_has_only_one_address(ask, number: str) -> None:
    assert ask("GET /m/iris/v/1 HTTP/1.1", HOST)[0] == 200
    assert ask(f"GET /m/iris/v/{number} HTTP/1.1", HOST)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/m%2Firis/",
        "/m/iris%2Fv%2F1",
        "/m/iris/v%2f1.json",
        "/assets/%2e%2e/server.py",
        "/assets/..%2fserver.py",
        "/../../etc/passwd",
        "/m/./iris/",
        "//m/iris/",
        "/m/iris//v/1",
        "/m/iris\\v\\1",
        "/%",
    ],
)
def test_paths_with_additional_slashes_or_dots_are_not_found(ask, path: str) -> None:
    assert ask(f"GET {path} HTTP/1.1", HOST)[0] == 404


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),  # browsers leave out the port 80
        ("127.0.0.1:1", 200),  # another port, as after port forwarding
        ("localhost:8765", 200),
        ("", 421),
        ("evil.example", 421),
        ("evil.example:8765", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.x:80", 421),
        ("evil@127.0.0.1:8765", 421),
        ("127.0.0.1:8765@evil.example", 421),
        ("127.0.0.1:x", 421),
        ("127.0.0.1:", 421),
        ("[::1]", 421),
        ("[::1]:8765", 421),
        ("[::ffff:127.0.0.1]:8765", 421),
        ("2130706433", 421),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_only_requests_to_names_of_this_machine_are_answered(ask, method: str, host: str, expected: int) -> None:
    status, _, body = ask(f"{method} / HTTP/1.1", f"Host: {host}")
    assert status == (405 if method == "POST" and expected == 200 else expected)
    assert bool(body) == (method != "HEAD")
    assert (b"iris" in body) == (method == "GET" and expected == 200)


@pytest.mark.parametrize(
    ("line", "host", "expected"),
    [
        ("OPTIONS * HTTP/1.1", HOST, 405),
        ("OPTIONS / HTTP/1.1", HOST, 405),
        ("CONNECT 127.0.0.1:8765 HTTP/1.1", HOST, 405),
        ("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example:443", 421),
        ("TRACE / HTTP/1.1", HOST, 405),
        ("get / HTTP/1.1", HOST, 405),
        ("POST http://127.0.0.1:8765/ HTTP/1.1", HOST, 405),
        ("GET http://127.0.0.1:8765/m/iris/ HTTP/1.1", HOST, 200),
        ("HEAD http://localhost:8765/m/iris/ HTTP/1.1", HOST, 200),
        ("GET http://127.0.0.1:8765 HTTP/1.1", HOST, 200),
        ("GET http://127.0.0.1:8765?x=1 HTTP/1.1", HOST, 200),
        ("GET http://127.0.0.1:8765/m/none/ HTTP/1.1", HOST, 404),
        ("GET http://evil.example/ HTTP/1.1", HOST, 421),
        ("GET http://evil.example/ HTTP/1.1", "Host: evil.example", 421),
        ("GET http://127.0.0.1@evil.example/ HTTP/1.1", HOST, 421),
        ("GET http://127.0.0.1:8765/ HTTP/1.1", "Host: evil.example", 421),
        ("GET * HTTP/1.1", HOST, 400),
        ("GET m/iris/ HTTP/1.1", HOST, 400),
        ("GET ?x HTTP/1.1", HOST, 400),
        ("GET /m/iris/?q=1 HTTP/1.1", HOST, 200),
        ("GET / HTTP/1.0", "X: no host", 421),
    ],
)
def test_each_kind_of_request_line_gets_an_answer_with_the_right_status(
    ask, line: str, host: str, expected: int
) -> None:
    status, headers, _ = ask(line, host)
    assert (status, headers["Allow"]) == (expected, "GET, HEAD" if expected == 405 else None)


@pytest.mark.parametrize(
    "lines",
    [
        ["GET / HTTP/1.1"],  # no header with the host
        ["GET / HTTP/1.1", HOST, HOST],
        ["GET /"],
        ["GET  / HTTP/1.1", HOST],
        ["GET /m/iris\xe9/ HTTP/1.1", HOST],
        ["GET /a b HTTP/1.1", HOST],
        ["GET / HTTP/1.1", HOST, "no colon"],
        ["GET / HTTP/1.1", HOST, "Content-Length: x"],
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],  # the beginning of a TLS connection
        [b"\x00" * 100],
        ["GET /" + "a" * 200_000 + " HTTP/1.1", HOST],
        ["GET / HTTP/1.1", HOST, "X: " + "a" * 200_000],
    ],
    ids=lambda lines: str(lines[0][:12]),
)
def test_a_malformed_request_is_refused(ask, lines: list[str | bytes]) -> None:
    status, headers, body = ask(*lines)
    assert (status, body) == (400, b"Invalid HTTP request received.\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_very_long_address_is_refused(ask) -> None:
    assert ask("GET /" + "a" * 20_000 + " HTTP/1.1", HOST)[0] == 414
    assert ask("GET /" + "../" * 10_000 + " HTTP/1.1", HOST)[0] == 414
    assert ask("GET /?" + "a" * 20_000 + " HTTP/1.1", HOST)[0] == 200


def test_a_malformed_request_body_ends_the_connection_without_a_traceback(ask) -> None:
    assert ask("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", "", "zz")[0] in (400, 405)
    assert ask("GET / HTTP/1.1", HOST, "Content-Length: 9", "", "short")[0] in (200, 400)


def test_the_answer_to_an_internal_error_has_the_security_headers(
    ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gitmodel.web.server._render", lambda *_: 1 / 0)
    assert ask("GET /rules HTTP/1.1", HOST)[0] == 500
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()
