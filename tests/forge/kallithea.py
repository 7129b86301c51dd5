"""Runs Kallithea, a git host with pull requests, on loopback. `python3 noxfile.py -s forge` installs it."""

import http.cookiejar
import json
import os
import re
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waiting import wait_for

PASSWORD = "only-for-tests"
_TOKEN = "_session_csrf_secret_token"


class Kallithea:
    """A running Kallithea at *url*. Its only user is the administrator `admin`, whose API key is *key*."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._key = key
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(cookies)
        self._visit("/_admin/login?came_from=/", {"username": "admin", "password": PASSWORD}, "/_admin/login")

    def call(self, method: str, **arguments: object) -> Any:
        """Call a method of Kallithea's JSON API, and return its result."""
        body = json.dumps({"id": 1, "api_key": self._key, "method": method, "args": arguments}).encode()
        request = urllib.request.Request(f"{self.url}/_admin/api", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        assert found["error"] is None, f"{method}: {found['error']}"
        return found["result"]

    def open_pull_request(self, repository: str, source: tuple[str, str], target: tuple[str, str], title: str) -> int:
        """Open a pull request in the browser's form. Returns its number. A branch is given as its name and commit."""
        form = {
            "org_repo": repository,
            "org_ref": "branch:{}:{}".format(*source),
            "other_repo": repository,
            "other_ref": "branch:{}:{}".format(*target),
            "pullrequest_title": title,
            "pullrequest_desc": "",
        }
        place = f"/{repository}/pull-request/new"
        found = re.search(r"pull-request/(\d+)", self._visit(place, form, place))
        assert found, "Kallithea opened no pull request"
        return int(found[1])

    def page(self, path: str) -> str:
        """Return the HTML of a page, as the administrator sees it."""
        with self._browser.open(self.url + path) as answer:
            return str(answer.read().decode())

    def _visit(self, path: str, form: dict[str, str], page: str) -> str:
        """Submit *form* with the CSRF token in *page*. Returns the address to which the server redirects."""
        token = re.search(rf'{_TOKEN}[^>]*value="([^"]+)"', self.page(page))
        assert token
        body = urllib.parse.urlencode({**form, _TOKEN: token[1]}).encode()
        with self._browser.open(self.url + path, body) as answer:
            return str(answer.geturl())


@contextmanager
def running(home: Path, folder: Path) -> Iterator[Kallithea]:
    """Start Kallithea from the Python environment *home*, with its data in *folder*, and end it after the block."""
    programs = home / "bin"
    environ = {**os.environ, "HOME": str(folder), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "repos").mkdir(parents=True)

    def administer(*arguments: str) -> None:
        command = [str(programs / "kallithea-cli"), *arguments]
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr

    administer("config-create", "my.ini", "host=127.0.0.1", f"port={port}")
    user = ("--user=admin", f"--password={PASSWORD}", "--email=admin@example.com")
    administer("db-create", "-c", "my.ini", *user, f"--repos={folder / 'repos'}", "--force-yes")
    find_key = "import sqlite3; print(sqlite3.connect('kallithea.db').execute('SELECT api_key FROM users').fetchall())"
    keys = subprocess.run([programs / "python", "-c", find_key], cwd=folder, capture_output=True, encoding="utf-8")
    key = re.findall(r"'([0-9a-f]{40})'", keys.stdout)[-1]
    with (folder / "serve.log").open("w") as log:
        server = subprocess.Popen(
            [str(programs / "gearbox"), "serve", "-c", "my.ini"], cwd=folder, env=environ, stdout=log, stderr=log
        )
        try:
            wait_for(lambda: _answers(port) or server.poll() is not None, seconds=120)
            assert server.poll() is None, (folder / "serve.log").read_text(encoding="utf-8")
            yield Kallithea(f"http://127.0.0.1:{port}", key)
        finally:
            server.terminate()
            server.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
