"""Requests that a browser does not send: each gets an answer, and none gets a traceback."""

import subprocess
from collections.abc import Iterator

import pytest
from starlette.requests import Request

from gitmodel import Client
from gitmodel.web.options import SiteOptions
from gitmodel.web.server import PageServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    folder = tmp_path_factory.mktemp("registry")
    subprocess.run(["git", "init", "-q", folder], check=True)
    with Client(folder) as client:
        client.register_model("iris").create_version()
        yield PageServer(client, SiteOptions())


def status(server: PageServer, path: str, host: str = "127.0.0.1:8765") -> int:
    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", host.encode())]}
    return server.answer(Request(scope)).status_code


@pytest.mark.parametrize("number", ["9" * 5000, "01", "\u0661", "\u00b2", "1\0", "-1", "1.0", "%31", "..", "0"])
def test_a_version_has_one_address(server: PageServer, number: str) -> None:
    assert status(server, "/m/iris/v/1") == 200
    assert status(server, f"/m/iris/v/{number}") == 404


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", 200),  # a browser leaves out the port 80
        ("localhost:8765", 200),
        ("", 421),
        ("evil.example:8765", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil@127.0.0.1:8765", 421),
        ("127.0.0.1:8765@evil.example", 421),
        ("[::1]:8765", 421),
    ],
)
def test_only_requests_to_names_of_this_machine_are_answered(server: PageServer, host: str, expected: int) -> None:
    assert status(server, "/", host) == expected
