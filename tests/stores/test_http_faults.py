"""Servers of each kind that use HTTP: they fail, refuse requests or do not answer, or uploads are interrupted."""

import io
import random
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from store_kinds import read
from store_proxy import Proxy

from gitmodel.domain.schema.digests import digest_of
from gitmodel.errors import Invalid, Unreachable
from gitmodel.stores.artifacts.fetching import get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_folder
from gitmodel.stores.opening import open_store

PART = 8 << 20
LARGE = random.Random(3).randbytes(3 * PART + 1000)

PUT = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.opening import open_store
put_path(open_store(sys.argv[1], default_root=Path(sys.argv[2])), Path(sys.argv[3]))
"""


class Server:
    """A server behind a proxy. The proxy can let requests fail. *url* is the address of the store.

    *is_part* returns True if a request sends a part of an object.
    """

    def __init__(self, url, proxy, is_part):
        self.url = url
        self.proxy = proxy
        self._is_part = is_part

    def parts(self):
        """Return the number of parts that clients sent to the proxy."""
        return sum(self._is_part(*request) for request in self.proxy.seen)

    def arrived(self):
        """Return the number of parts that the server has received from the proxy."""
        return sum(self._is_part(*request) for request in self.proxy.answered)

    def hang_at(self, count):
        """Let the server give no answer to part *count* and all later parts."""
        self.proxy.plan = lambda number, method, path: "hang" if self.parts() >= count else ""

    def let_pass(self):
        self.proxy.plan = lambda number, method, path: ""
        self.proxy.seen.clear()


@pytest.fixture
def gcs_behind_a_proxy(gcs, monkeypatch, gcs_endpoint):
    with Proxy(int(gcs_endpoint.rpartition(":")[2])) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        yield Server(
            gcs, proxy, lambda method, path, headers: method == "PUT" and "*" not in headers.get("content-range", "*")
        )


@pytest.fixture
def s3_behind_a_proxy(s3, monkeypatch):
    with Proxy(s3.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield Server(s3.prefix(), proxy, lambda method, path, headers: "partNumber=" in path)


@pytest.fixture
def azure_behind_a_proxy(azure, monkeypatch, azure_account):
    endpoint = azure_account.partition("BlobEndpoint=")[2].rstrip(";")
    with Proxy(int(endpoint.split(":")[2].partition("/")[0])) as proxy:
        behind = f"BlobEndpoint={proxy.url}/{endpoint.rpartition('/')[2]};"
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_account.partition("BlobEndpoint=")[0] + behind)
        yield Server(azure, proxy, lambda method, path, headers: "comp=block&" in path)


@pytest.fixture
def oci_behind_a_proxy(registry, hermetic):
    with Proxy(int(registry.rpartition(":")[2])) as proxy:
        known = hermetic / ".docker" / "config.json"
        host = proxy.url.removeprefix("http://")
        known.write_text(known.read_text().replace(registry, host))
        yield Server(f"oci://{host}/models/resumed", proxy, lambda method, path, headers: method == "PATCH")


KINDS = ("s3", "gcs", "azure", "oci")


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in KINDS])
def server(request):
    return request.getfixturevalue(f"{request.param}_behind_a_proxy")


def test_an_upload_that_was_killed_resumes_where_it_stopped(server, request, tmp_path):
    content = LARGE + request.node.name.encode()
    (tmp_path / "model").write_bytes(content)
    server.hang_at(3)
    with subprocess.Popen([sys.executable, "-c", PUT, server.url, tmp_path / "copies", tmp_path / "model"]) as process:
        while not (server.proxy.hanging.wait(0.05) and server.arrived() == 2):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
    before = server.parts()
    server.let_pass()
    store = open_store(server.url, default_root=tmp_path / "copies")
    assert not store.holds(digest_of(content))
    assert list(store.objects()) == []
    assert put_path(store, tmp_path / "model").digest == digest_of(content)
    assert before >= 3
    assert server.parts() <= 2
    assert store.leftovers() == []
    assert read(store.origin, digest_of(content)) == content
    assert list((tmp_path / "copies").glob("uploads/*")) == []


@pytest.mark.xdist_group("oci")
def test_a_manifest_that_an_oci_registry_refused_is_sent_again(oci_behind_a_proxy, tmp_path, request):
    server, refused = oci_behind_a_proxy, []

    def plan(number, method, path):
        if method == "PUT" and "/manifests/" in path and len(refused) < 2:
            refused.append(path)
            return "400"
        return ""

    server.proxy.plan = plan
    store = open_store(server.url, default_root=tmp_path / "copies")
    content = request.node.name.encode()
    assert store.put_stream(io.BytesIO(content))[0] == digest_of(content)
    assert len(refused) == 2
    refused[:] = []
    server.proxy.plan = lambda number, method, path: "400" if method == "PUT" and "/manifests/" in path else ""
    with pytest.raises(Unreachable, match="fails at PUT"):
        store.put_stream(io.BytesIO(content + b"!"))


def test_an_upload_that_the_server_dropped_starts_again(server, request, tmp_path):
    content = LARGE + request.node.name.encode()
    store = open_store(server.url, default_root=tmp_path / "copies")
    digest = digest_of(content)
    upload = store.origin.backend.upload(digest, len(content))
    upload.send(0, content[:PART])
    upload.pause()
    for kept in (tmp_path / "copies").glob("uploads/*"):
        # only the user may read the file, because anybody with the address in it can write the object
        assert kept.stat().st_mode & 0o777 == 0o600
        kept.write_text(kept.read_text().replace("upload_id=", "upload_id=x").replace("uploads/", "uploads/0"))
    (tmp_path / "model").write_bytes(content)
    put_path(store, tmp_path / "model")
    assert read(store.origin, digest) == content
    assert list((tmp_path / "copies").glob("uploads/*")) == []


def test_wrong_parts_of_an_earlier_upload_never_become_an_object(server, request, tmp_path):
    content = LARGE + request.node.name.encode()
    store = open_store(server.url, default_root=tmp_path / "copies")
    digest = digest_of(content)
    upload = store.origin.backend.upload(digest, len(content))
    upload.send(0, content[1:PART] + b"?")
    upload.pause()
    (tmp_path / "model").write_bytes(content)
    # Some stores detect the wrong part only at the end, and raise an error. The next try starts from the beginning.
    with suppress(Invalid):
        put_path(store, tmp_path / "model")
        assert read(store.origin, digest) == content
    put_path(store, tmp_path / "model")
    assert read(store.origin, digest) == content
    assert list((tmp_path / "copies").glob("uploads/*")) == []


def test_the_parts_of_an_upload_whose_last_request_failed_are_not_sent_again(server, request, tmp_path, monkeypatch):
    monkeypatch.setattr("gitmodel.stores.requests.server_attempts.time.sleep", lambda seconds: None)
    content = LARGE + request.node.name.encode()
    store = open_store(server.url, default_root=tmp_path / "copies")
    (tmp_path / "model").write_bytes(content)
    ends = ("?uploadId=", "comp=blocklist", "digest=", f"-{len(content) - 1}/")
    server.proxy.plan = lambda number, method, path: (
        "503" if method in ("PUT", "POST") and any(end in path + str(server.proxy.seen[-1][2]) for end in ends) else ""
    )
    with pytest.raises(Unreachable):
        put_path(store, tmp_path / "model")
    assert not store.holds(digest_of(content))
    server.let_pass()
    put_path(store, tmp_path / "model")
    assert server.parts() <= 1
    assert read(store.origin, digest_of(content)) == content


def test_transfers_succeed_if_the_server_fails_one_request_in_ten(server, request, tmp_path):
    faults = ["503", "reset", "cut", "500", "429"]
    server.proxy.plan = lambda number, method, path: "" if number % 10 else faults[number // 10 % len(faults)]
    store = open_store(server.url, default_root=tmp_path / "copies")
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number}").write_bytes(b"%d" % number)
    (folder / "large").write_bytes(LARGE + request.node.name.encode())
    stored = put_path(store, folder)
    get_folder(open_store(store.url, default_root=tmp_path / "other copies"), stored.digest, tmp_path / "got")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "got").iterdir()
    }
    assert verify_folder(store, stored.digest) == stored
    assert store.leftovers() == []
    assert len(server.proxy.seen) > 200


def test_a_server_that_denies_access_is_reported_with_advice(server, tmp_path):
    server.proxy.plan = lambda number, method, path: "403"
    store = open_store(server.url, default_root=tmp_path / "copies")
    (tmp_path / "model").write_bytes(b"a model")
    with pytest.raises(Unreachable, match="refuses") as caught:
        put_path(store, tmp_path / "model")
    assert digest_of(b"a model")[9:] in caught.value.message  # S3's key of the object has a slash after two digits
    assert store.url in caught.value.message
    assert "ask for access" in caught.value.hint


def test_a_server_that_was_stopped_is_reported_as_unreachable(server, tmp_path, monkeypatch):
    server.proxy.plan = lambda number, method, path: "reset"
    monkeypatch.setattr("gitmodel.stores.requests.server_attempts.time.sleep", lambda seconds: None)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    store = open_store(server.url, default_root=tmp_path / "copies").origin
    for ask in (store.create, lambda: store.holds(digest_of(b"a")), lambda: list(store.objects())):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.message.startswith(f"the artifact store {store.url} ")
        assert "run the same command again" in caught.value.hint
