"""The local server of `git model ui`: its answers, their headers, and the requests that it refuses."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from page_server import serving

from gitmodel import Client
from gitmodel.web import server
from gitmodel.web.export.site import export_site
from gitmodel.web.options import SiteOptions


@pytest.fixture(scope="module")
def registry(empty_registry: Client) -> Client:
    empty_registry.register_model("iris").create_version(metadata={"accuracy": 0.9})
    return empty_registry


def ask(url: str, path: str, method: str = "GET", headers: Mapping[str, str] = {}) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(url.split("/")[2])
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    ["/", "/m/iris/", "/m/iris/v/1", "/m/iris/v/1.json", "/data/iris.json", "/assets/site.js"],
)
def test_every_answer_has_the_security_headers(url: str, path: str) -> None:
    response, body = ask(url, path)
    assert (response.status, bool(body)) == (200, True)
    assert "default-src 'none'; script-src 'self'" in response.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response.headers["ETag"]
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_no_http_method_changes_the_registry(url: str, method: str) -> None:
    response, _ = ask(url, "/", method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_head_request_gets_the_headers_of_a_get_request(url: str) -> None:
    (head, nothing), (get, _) = ask(url, "/", "HEAD"), ask(url, "/")
    assert (head.status, nothing) == (200, b"")
    assert head.headers["ETag"] == get.headers["ETag"]


@pytest.mark.parametrize(
    "path", ["/m/none/", "/m/iris/v/2", "/m/iris/v/x", "/no", "/..%2f..%2fetc/passwd", "/assets/../server.py", "/m/"]
)
def test_an_unknown_page_is_not_found(url: str, path: str) -> None:
    response, body = ask(url, path)
    assert response.status == 404
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"<" not in body


def test_an_unchanged_page_is_not_rendered_again(registry: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    etag = ask(url, "/m/iris/")[0].headers["ETag"]
    with monkeypatch.context() as context:
        context.setattr(server, "_render", lambda *_: pytest.fail("rendered"))
        response, body = ask(url, "/m/iris/", headers={"If-None-Match": etag})
    assert (response.status, body) == (304, b"")
    registry.get_version("iris@1").log_metadata(loss=0.1)
    response, body = ask(url, "/m/iris/", headers={"If-None-Match": etag})
    assert response.status == 200
    assert b"loss" in body


def test_the_server_and_the_export_give_the_same_bytes(registry: Client, url: str, tmp_path: Path) -> None:
    export_site(registry, tmp_path, SiteOptions())
    paths = [path for path in tmp_path.rglob("*") if path.is_file() and ".gitmodel-site" not in path.parts]
    assert len(paths) > 10
    for path in paths:
        assert ask(url, f"/{path.relative_to(tmp_path)}")[1] == path.read_bytes(), path


def test_an_answer_has_no_path_of_this_machine_although_the_repository_was_removed(code_repo: Path) -> None:
    with Client(code_repo) as client, serving(client) as url:
        client.register_model("iris")
        assert ask(url, "/m/iris/")[0].status == 200
        shutil.rmtree(code_repo)
        response, body = ask(url, "/m/iris/")
        assert response.status == 404
        assert b"..." in body
        assert str(code_repo).encode() not in body


def test_the_command_ui_serves_until_ctrl_c(registry: Client) -> None:
    command = [sys.executable, "-m", "gitmodel", "ui", "--no-open", "--port", "0"]
    process = subprocess.Popen(command, cwd=registry.repository.common_dir.parent, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process, process.stderr:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found, line
        assert ask(found[0], "/")[0].status == 200
        os.kill(process.pid, signal.SIGINT)
        assert process.stderr.read() == ""
    assert process.returncode == 130


def test_the_error_for_a_port_in_use_names_the_port(
    registry: Client, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from gitmodel.cli import run

    port = url.split(":")[2].strip("/")
    folder = registry.repository.common_dir.parent
    assert run(["-C", str(folder), "ui", "--no-open", "--port", port]) == 7
    assert f"port {port} of 127.0.0.1 cannot be used" in capsys.readouterr().err
