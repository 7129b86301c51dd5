"""Stores on servers: `store` commands; for servers other than S3 also external artifacts and missing credentials."""

import io
import json
import os
from urllib.parse import quote

import pytest
import web_pages
from store_proxy import Proxy
from store_servers import AZURE_ACCOUNT, AZURE_KEY
from transcripts import ask, said

from gitmodel import Client
from gitmodel.domain.schema.digests import digest_of
from gitmodel.errors import Invalid, NotFound, Unreachable, UsageError
from gitmodel.stores.opening import open_store
from gitmodel.stores.servers import azure as azure_store
from gitmodel.stores.servers import gcs as gcs_store
from gitmodel.stores.servers.azure import Container

PART = 8 << 20
KINDS = [pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("gcs", "azure", "s3", "oci", "sftp")]
GOOGLE_AND_AZURE = KINDS[:2]


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    """The URL of a store: the test runs once for each kind. URL + `-other` is the URL of a second store."""
    found = request.getfixturevalue({"oci": "registry"}.get(request.param, request.param))
    if request.param == "sftp":
        return f"sftp://{found}{tmp_path}/store"
    if request.param == "s3":
        return found.prefix()
    return f"oci://{found}/models/{os.urandom(8).hex()}" if request.param == "oci" else found


@pytest.fixture
def iris(url, code_repo, monkeypatch, capsys):
    """A registry with a store on a server and a version of a file and a folder."""
    monkeypatch.chdir(code_repo)
    (code_repo / "net").write_text("net\n")
    (code_repo / "data").mkdir()
    for number in range(3):
        (code_repo / "data" / f"{number}.csv").write_text(f"{number}\n")
    assert ask(capsys, "init", "--store", url)[0] == 0
    assert ask(capsys, "register", "iris")[0] == 0
    made = ask(capsys, "version", "create", "iris", "--model-object", "net=net", "--data", "train=data")
    assert made[::2] == (0, "")
    return code_repo


def test_store_status_copy_gc_and_purge_work_on_each_kind_of_server(iris, url, capsys, tmp_path):
    code, found = said(capsys, "store", "status")
    assert (code, [store["objects"] for store in found["stores"]]) == (0, [5, 0])
    assert (found["models"][0]["where"], found["missing"]) == ({"default": 2}, [])
    assert said(capsys, "store", "copy", "--to", f"{url}-other")[1]["copied"] == 5
    assert said(capsys, "store", "copy", "--to", f"{url}-other")[1]["there"] == 5
    assert said(capsys, "store", "copy", "--to", tmp_path / "folder")[1]["copied"] == 5
    # `store gc` deletes old garbage and old unfinished uploads
    with Client(iris) as client:
        store = client.access.open().origin
    unneeded, _ = store.put_stream(io.BytesIO((iris / "train.py").read_bytes()))
    upload = store.backend.upload(digest_of(b"large"), 3 * PART)
    upload.send(0, b"x" * PART)
    upload.pause()
    assert said(capsys, "store", "gc")[1]["recent"] == 1
    code, found = said(capsys, "store", "gc", "--grace", "0", "--delete", "--yes")
    assert (code, found["digests"], found["needed"]) == (0, [unneeded], 5)
    assert found["leftovers"] == url.startswith(("s3:", "sftp:"))  # the other servers do not list unfinished uploads
    assert not store.holds(unneeded)
    assert store.leftovers() == []
    assert ask(capsys, "verify")[0] == 0
    # `purge` deletes the object from the server and this machine, and gitmodel refuses to store it again
    digest = digest_of(b"net\n")
    assert said(capsys, "store", "purge", digest, "--reason", "asked for", "--yes")[1]["removed"] == [url]
    assert not store.holds(digest)
    assert ask(capsys, "verify")[0] == 0
    code, _, err = ask(capsys, "version", "create", "iris", "--model-object", "net=net")
    assert (code, "was purged" in err) == (6, True)


def test_store_status_reports_a_lost_object(iris, url, capsys):
    with Client(iris) as client:
        client.access.open().origin.remove(digest_of(b"net\n"))
    found = said(capsys, "store", "status")[1]
    assert [missing["digest"] for missing in found["missing"]] == [digest_of(b"net\n")]
    assert said(capsys, "verify")[0] == 5


class Place:
    """A place for an external artifact: its URI, and a function that writes an object there."""

    def __init__(self, uri, write):
        self.uri = uri
        self.write = write


@pytest.fixture(params=[pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("gcs", "azure", "sftp")])
def place(request, tmp_path):
    if request.param == "sftp":
        host = request.getfixturevalue("sftp")
        return Place(f"sftp://{host}{tmp_path}/huge.csv", (tmp_path / "huge.csv").write_bytes)
    found = request.getfixturevalue(request.param)
    key = f"{os.urandom(8).hex()}/huge 1.csv"
    if request.param == "gcs":
        import urllib3

        address = (
            f"{os.environ['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/models/o?uploadType=media&name={quote(key)}"
        )
        return Place(f"gs://models/{quote(key)}", lambda body: urllib3.request("POST", address, body=body))
    container = Container("models", "the tests").client
    assert found.startswith("az://models/")
    return Place(f"az://models/{quote(key)}", lambda body: container.upload_blob(key, body, overwrite=True))


@pytest.fixture
def local(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    assert ask(capsys, "init")[0] == 0
    assert ask(capsys, "register", "iris")[0] == 0
    assert ask(capsys, "version", "create", "iris")[0] == 0
    return code_repo


def test_an_external_artifact_stays_in_its_place_and_is_verified_when_it_is_read(local, place, capsys):
    body = b"a,b\n" * 3_000_000
    place.write(body)
    assert ask(capsys, "link", "iris@1", "--data", f"raw={place.uri}", "--external")[::2] == (0, "")
    (raw,) = said(capsys, "version", "artifacts", "iris@1")[1]
    assert (raw["uri"], raw["digest"], raw["size"]) == (place.uri, digest_of(body), len(body))
    assert ask(capsys, "verify")[0] == 0
    assert ask(capsys, "get", "iris@1", "raw", "-o", "got.csv")[0] == 0
    assert (local / "got.csv").read_bytes() == body
    with Client(local) as client:
        artifact = client.get_version("iris@1").get_artifact("raw")
        place.write(body[:-2] + b"?\n")
        # A server that keeps old versions of objects no longer has the linked one. On other servers, the content
        # differs.
        with pytest.raises((Invalid, NotFound), match=r"is not what was linked|nothing at .* in the version"):
            artifact.open().read()
    assert said(capsys, "verify")[0] == 5


def test_linking_a_missing_file_is_reported_and_records_nothing(local, place, capsys, git):
    before = git(local, "rev-parse", "gitmodel")
    code, _, err = ask(capsys, "link", "iris@1", "--data", f"raw={place.uri}.gone", "--external")
    assert (code, err.splitlines()[0]) == (3, f"error: there is nothing at {place.uri}.gone")
    assert git(local, "rev-parse", "gitmodel") == before


@pytest.mark.parametrize(
    ("url", "word"),
    [("gs://ab/x", "bucket"), ("gs://Models/x", "bucket"), ("az://ab/x", "container"), ("az://a--b/x", "container")],
)
def test_a_name_that_no_bucket_can_have_is_refused(url, word, tmp_path):
    with pytest.raises(UsageError, match=f"is not a name of a {word}"):
        open_store(url, default_root=tmp_path)


@pytest.mark.parametrize(
    ("kind", "url", "missing", "command"),
    [
        pytest.param(
            "gcs",
            "gs://no-such-bucket/x",
            "bucket no-such-bucket at {STORAGE_EMULATOR_HOST}\n",
            "gcloud storage buckets create gs://no-such-bucket",
            marks=pytest.mark.xdist_group("gcs"),
        ),
        pytest.param(
            "azure",
            "az://no-such-container/x",
            "container no-such-container at http://127.0.0.1:",
            "az storage container create --name no-such-container",
            marks=pytest.mark.xdist_group("azure"),
        ),
    ],
)
def test_a_bucket_or_container_that_does_not_exist_is_reported_with_the_command_to_run(
    kind, url, missing, command, request, tmp_path, code_repo, monkeypatch, capsys
):
    request.getfixturevalue(kind)
    monkeypatch.chdir(code_repo)
    code, _, err = ask(capsys, "init", "--store", url)
    assert code == 7
    assert err.startswith(f"error: there is no {missing.format(**os.environ)}")
    assert command in err
    store = open_store(url, default_root=tmp_path).origin
    for asked in (
        lambda: store.holds(digest_of(b"a")),
        lambda: list(store.objects()),
        lambda: store.open(digest_of(b"a")),
    ):
        with pytest.raises(Unreachable, match=f"no {missing.split()[0]}"):
            asked()


@pytest.mark.xdist_group("azure")
def test_a_request_that_azure_refuses_for_a_wrong_key_is_not_repeated(azure, monkeypatch, tmp_path):
    wrong = "d3Jvbmc="
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", os.environ["AZURE_STORAGE_CONNECTION_STRING"].replace(AZURE_KEY, wrong)
    )
    store = open_store(azure, default_root=tmp_path).origin
    with pytest.raises(Unreachable, match=f"{azure} at http://127.0.0.1:.*{AZURE_ACCOUNT} refuses .*models") as caught:
        store.create()
    assert "az account show" in caught.value.hint
    assert wrong not in caught.value.message


def test_the_azure_account_is_taken_from_the_environment_or_the_uri(monkeypatch):
    container = Container("models", "the place")
    with pytest.raises(Unreachable, match="no Azure account is configured") as caught:
        _ = container.client
    assert "AZURE_STORAGE_ACCOUNT_NAME" in caught.value.hint
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "ours")
    assert container.client.url == "https://ours.blob.core.windows.net/models"
    other = Container("models", "the place", host="theirs.dfs.core.windows.net")
    assert other.client.url == "https://theirs.blob.core.windows.net/models"
    with pytest.raises(UsageError, match="not a host of Azure"):
        Container("models", "the place", host="example.com")


@pytest.fixture
def tokens():
    """A server that gives each client a token, as the server of Google does."""

    class Tokens(web_pages.QuietHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with web_pages.running(web_pages.QuietServer(Tokens)) as server:
        yield f"{server.url}/token"


@pytest.mark.xdist_group("gcs")
def test_a_store_on_google_gets_the_credentials_of_this_machine(gcs, gcs_endpoint, tokens, tmp_path, monkeypatch):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account", "client_email": "ada@models.example", "token_uri": tokens,
        "private_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    }  # fmt: skip
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    with Proxy(int(gcs_endpoint.rpartition(":")[2])) as proxy:
        monkeypatch.setattr(gcs_store, "_google", lambda: proxy.url)
        store = open_store(gcs, default_root=tmp_path).origin
        store.create()
        digest, _ = store.put_stream(io.BytesIO(b"a model"))
        assert store.open(digest).read() == b"a model"
        assert {headers["authorization"] for *_, headers in proxy.seen} == {"Bearer a-token"}
        proxy.plan = lambda number, method, path: "403"
        with pytest.raises(Unreachable, match=r"refuses .* to ada@models.example: 403") as caught:
            store.put_stream(io.BytesIO(b"another"))
        assert "gcloud auth list" in caught.value.hint


def test_the_error_without_credentials_for_google_says_how_to_sign_in(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # prevents a search for the metadata server of Google
    store = open_store("gs://models/x", default_root=tmp_path).origin
    with pytest.raises(Unreachable, match="nobody is signed in for the artifact store gs://models/x") as caught:
        store.create()
    assert "gcloud auth application-default login" in caught.value.hint


@pytest.mark.parametrize("kind", GOOGLE_AND_AZURE)
def test_an_object_changed_by_another_program_is_detected_and_repaired(kind, request, tmp_path):
    store = open_store(request.getfixturevalue(kind), default_root=tmp_path).origin
    digest, _ = store.put_stream(io.BytesIO(b"a model"))
    backend = store.backend
    if kind == "gcs":
        path = f"{backend._uploads}?uploadType=media&name={quote(backend._key(digest))}"
        backend.bucket.request("POST", path, body=b"A model", about=digest)
    else:
        backend._blob(digest).upload_blob(b"A model", overwrite=True)
    with pytest.raises(Invalid, match="damaged"):
        store.open(digest).read()
    store.put_stream(io.BytesIO(b"a model"))
    assert store.open(digest).read() == b"a model"


@pytest.mark.parametrize("kind", GOOGLE_AND_AZURE)
def test_listings_of_google_and_azure_have_the_objects_of_all_pages(kind, request, tmp_path, monkeypatch):
    store = open_store(request.getfixturevalue(kind), default_root=tmp_path).origin
    digests = {store.put_stream(io.BytesIO(b"%d" % number))[0] for number in range(10)}
    monkeypatch.setattr(gcs_store if kind == "gcs" else azure_store, "PAGE", 3)
    assert set(store.digests()) == digests
