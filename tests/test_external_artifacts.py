"""External artifacts: files outside of every artifact store, of which a version records URI, size and digest.

gitmodel sends a request only to hosts that this clone trusts, because anybody may write a URI to the branch.
"""

import json
import ssl
import subprocess

import pytest
from editing import edit, overwrite, read
from transcripts import ask, end_with, fail, said, succeed
from web_pages import Endless, serving

from gitmodel import Client
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import Conflict, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.registry.linked_artifacts import linking
from gitmodel.stores.external import external_store as external


@pytest.fixture
def pages():
    with serving() as server:
        yield server


@pytest.fixture
def elsewhere():
    """A second web server: a clone that trusts the first server does not trust this one."""
    with serving() as server:
        yield server


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    """A registry with iris@1, and a file outside of its repository."""
    monkeypatch.chdir(code_repo)
    succeed(capsys, "register", "iris")
    succeed(capsys, "version", "create", "iris")
    return code_repo


@pytest.fixture
def huge(tmp_path):
    path = tmp_path / "huge.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_linking_an_external_file_neither_moves_the_file_nor_stores_a_copy(iris, huge, capsys, transcript):
    transcript(f"""
        $ git model link iris@1 --data raw={huge} --external
        linked raw to iris@1
        $ git model version artifacts iris@1
        ARTIFACT  KIND  FORMAT  SIZE  DIGEST
        raw       data  csv     8 B   {digest_of(huge.read_bytes())}
        $ git model verify
        ! 1 artifact whole, 8 B...
        $ git model get iris@1 raw -o fetched
        wrote raw of iris@1 to fetched (8 B, verified)
        $ git model check
        ! ...valid
        $ git model doctor
        ! no problems...
    """)
    assert not (iris / ".git/gitmodel/store").exists()
    shown = said(capsys, "version", "artifacts", "iris@1")[1]
    assert (shown[0]["uri"], shown[0]["version_id"], shown[0]["digest_by"]) == (huge.as_uri(), None, None)
    with Client(iris) as client:
        artifact = client.get_version("iris@1").get_artifact("raw")
        assert artifact.path() == huge
        assert artifact.open().read() == huge.read_bytes()
        assert artifact.uri == huge.as_uri()
    huge.write_text("a,b\n1,3\n")
    code, out, err = ask(capsys, "verify")
    assert (code, f"{huge.as_uri()} is not what was linked" in out) == (5, True)
    assert err.endswith("hint: restore the external files, or link their current content to new versions\n")
    with Client(iris) as client, pytest.raises(Invalid):
        client.get_version("iris@1").get_artifact("raw").path()
    huge.unlink()
    assert ask(capsys, "verify")[0] == 5
    assert ask(capsys, "get", "iris@1", "raw", "-o", "again")[0] == 3


def test_after_a_promotion_the_uri_of_an_external_artifact_may_change_but_not_its_digest(iris, huge, tmp_path, capsys):
    for command in (f"link iris@1 --data raw={huge} --external", "promote iris@1 production"):
        succeed(capsys, *command.split())
    moved = tmp_path / "moved.csv"
    huge.rename(moved)
    succeed(capsys, "link", "iris@1", "--data", f"raw={moved}", "--external")
    succeed(capsys, "verify")
    with Client(iris) as client:
        assert client.get_version("iris@production").get_artifact("raw").uri == moved.as_uri()
    moved.write_text("other\n")
    assert "two artifacts named raw" in fail(capsys, 4, "link", "iris@1", "--data", f"raw={moved}", "--external")
    succeed(capsys, "check")


def test_a_page_of_a_web_server_is_read_without_credentials(iris, pages, capsys):
    with Client(iris) as client:
        version = client.get_version("iris@1")
        version.link_external("raw", f"{pages.url}/raw.csv", metadata={"rows": 1})
        assert version.get_artifact("raw").open().read() == b"a,b\n1,2\n"
        assert version.get_artifact("raw").path().read_bytes() == b"a,b\n1,2\n"
        assert version.get_artifact("raw").format == "csv"
    succeed(capsys, "verify")
    pages.pages["/raw.csv"] = b"a,b\n1,2\n3,4\n"
    assert ask(capsys, "verify")[0] == 5
    pages.pages["/raw.csv"] = b"a,b\n"
    assert ask(capsys, "verify")[0] == 5
    pages.pages["/raw.csv"] = 403
    code, out, _ = ask(capsys, "verify")
    assert (code, "gitmodel sends no credentials" in out) == (7, True)
    pages.pages["/raw.csv"] = 404
    assert ask(capsys, "verify")[0] == 5


def test_an_https_page_is_read_only_if_the_server_has_a_valid_certificate(iris, pages, capsys, tmp_path, monkeypatch):
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"]
    subprocess.run(["openssl", *made.split(), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    pages.socket = context.wrap_socket(pages.socket, server_side=True)
    url = f"https://localhost:{pages.server_port}/raw.csv"
    assert "certificate verify failed" in fail(capsys, 7, "link", "iris@1", "--data", f"raw={url}", "--external")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
    assert ask(capsys, "link", "iris@1", "--data", f"raw={url}", "--external")[::2] == (0, "")
    succeed(capsys, "get", "iris@1", "raw", "-o", "got.csv")
    assert (iris / "got.csv").read_bytes() == b"a,b\n1,2\n"
    succeed(capsys, "verify")
    pages.pages["/raw.csv"] = b"a,b\n1,3\n"
    assert ask(capsys, "verify")[0] == 5


def test_verify_also_checks_the_artifacts_after_an_unreachable_external_artifact(iris, pages, huge, capsys):
    with Client(iris) as client:
        version = client.get_version("iris@1")
        version.link_external("far", f"{pages.url}/raw.csv")
        version.link_external("near", huge)
    pages.pages["/raw.csv"] = 503
    out, _ = end_with(capsys, 7, "verify", "--format", "json")
    assert [(one["uri"].partition(":")[0], one["unreachable"]) for one in json.loads(out)] == [
        ("http", True),
        ("file", False),
    ]


@pytest.mark.parametrize(
    ("uri", "error", "words"),
    [
        ("{pages}/nothing", NotFound, "nothing at"),
        ("{pages}/long", UsageError, "send the length"),
        ("{pages}/secret", Refused, "sends no credentials"),
        ("{pages}/broken", Unreachable, "cannot be read"),
        ("http://127.0.0.1:9/raw.csv", Unreachable, "cannot be read"),
        ("{folder}", UsageError, "is a folder"),
        ("{folder}/nothing", NotFound, "no file or folder"),
        ("ftp://host/raw.csv", UsageError, "cannot read ftp:"),
        ("file://elsewhere/raw.csv", UsageError, "not the path of a file"),
        ("https://ada:pw@host/raw.csv", UsageError, "holds credentials"),
        ("s3://bucket", UsageError, "does not name one object"),
        ("s3://bucket/folder/", UsageError, "does not name one object"),
    ],
)
def test_linking_an_invalid_or_unreachable_uri_records_nothing(iris, pages, tmp_path, git, uri, error, words):
    pages.pages.update({"/long": b"x", "/secret": 401, "/broken": 500})
    before = git(iris, "rev-parse", "gitmodel")
    with Client(iris) as client, pytest.raises(error, match=words):
        client.get_version("iris@1").link_external("raw", uri.format(pages=pages.url, folder=tmp_path))
    assert git(iris, "rev-parse", "gitmodel") == before


def test_the_refusal_to_link_a_url_without_the_option_external_names_the_option(iris, transcript):
    transcript("""
        $ git model link iris@1 --data raw=s3://bucket/raw.csv
        ! error: s3://bucket/raw.csv is not a path
        ! hint: add --external to link it without storing it
        [2]
        $ git model link iris@1 --data raw=train.py --provider-digest
        ! error: --provider-digest is for --external
        ! hint: stored artifacts are always read and hashed
        [2]
    """)


def test_the_option_provider_digest_is_refused_for_a_provider_without_checksums(iris, huge, capsys):
    code, _, err = ask(capsys, "link", "iris@1", "--data", f"raw={huge}", "--external", "--provider-digest")
    assert (code, "has no SHA-256 of the whole object" in err) == (2, True)


def test_a_file_that_changes_while_it_is_read_is_not_linked(iris, huge):
    found = external.look_up(huge.as_uri())

    def change(done, total):
        huge.write_text("something else\n")

    with pytest.raises(Conflict, match="changed while it was"):
        external.read_once(found, progress=change)


def test_push_does_not_upload_an_external_artifact(iris, huge, capsys, git, origin):
    succeed(capsys, "link", "iris@1", "--data", f"raw={huge}", "--external")
    git(iris, "push", "-q", "origin", "main")  # otherwise `push` warns that the remote lacks the code
    code, _, err = ask(capsys, "push")
    assert (code, err) == (0, "")


def test_a_bucket_that_only_the_branch_names_is_not_contacted(iris, capsys):
    record = read(iris, "models/iris/versions/1.toml")
    link = (
        '\n[[artifacts]]\nname = "raw"\nkind = "data"\ndigest = "' + digest_of(b"x") + '"\nsize = 1\nformat = "csv"\n'
        'uri = "s3://bucket-of-others/raw.csv"\n'
    )
    edit(iris, {"models/iris/versions/1.toml": record + link})
    succeed(capsys, "check")
    assert "git model store trust s3://bucket-of-others/" in fail(capsys, 6, "get", "iris@1", "raw", "-o", "x")
    code, out, _ = ask(capsys, "verify")
    assert (code, "does not trust yet" in out) == (7, True)


def test_an_intact_local_copy_of_a_page_is_used_and_a_damaged_copy_is_fetched_again(iris, pages):
    with Client(iris) as client:
        artifact = client.get_version("iris@1").link_external("raw", f"{pages.url}/raw.csv")
        path = artifact.path()
        inode = path.stat().st_ino
        pages.pages["/raw.csv"] = 500
        assert artifact.path() == path  # the intact copy is used without a request
        assert path.stat().st_ino == inode
        overwrite(path, b"changed!")
        pages.pages["/raw.csv"] = b"a,b\n1,2\n"
        assert artifact.path().read_bytes() == b"a,b\n1,2\n"


def test_reading_stops_if_a_page_is_longer_than_its_recorded_size(iris, pages, capsys, tmp_path):
    with Client(iris) as client:
        version = client.get_version("iris@1")
        version.link_external("raw", f"{pages.url}/raw.csv")
        sent = pages.pages["/raw.csv"] = Endless(b"a,b\n1,2\n")
        for read in (
            lambda: version.get_artifact("raw").download(tmp_path / "raw.csv"),
            lambda: version.get_artifact("raw").path(),
            lambda: version.get_artifact("raw").open().read(),
        ):
            with pytest.raises(Invalid, match="is not what was linked"):
                read()
    code, out, _ = ask(capsys, "verify", "iris@1")
    assert (code, "is not what was linked" in out) == (5, True)
    assert sent.count < 1 << 30
    assert list(tmp_path.rglob(".gitmodel-*")) == []
    assert not (tmp_path / "raw.csv").exists()


def record_link(client, url, content=b"a,b\n1,2\n"):
    """Commit to the branch, as another person may, a record that says that the artifact raw of iris@1 is at *url*."""
    link = ArtifactLink(name="raw", kind="data", digest=digest_of(content), size=len(content), format="csv", uri=url)
    linking.link_artifacts(client.writer, VersionRef.parse("iris@1"), [link])
    return client.get_version("iris@1").get_artifact("raw")


def ways_to_read(client, tmp_path, capsys):
    """Return a function for each way to read the artifact raw of iris@1. Each raises an error if gitmodel refuses."""

    def told(*command):
        code, out, err = ask(capsys, *command)
        if code:
            raise {6: Refused, 7: Refused, 5: Invalid}[code](out + err)

    artifact = client.get_version("iris@1").get_artifact("raw")
    return {
        "download": lambda: artifact.download(tmp_path / "raw.csv"),
        "path": artifact.path,
        "open": lambda: artifact.open().read(),
        "load": artifact.load,
        "get": lambda: told("get", "iris@1", "raw", "-o", tmp_path / "raw.csv"),
        "verify": lambda: told("verify", "iris@1"),
        "checkout": lambda: told("checkout", "iris@1", tmp_path / "out"),
    }


@pytest.mark.parametrize("spelling", ["{}", "HTTP{}", "{}#x"])
@pytest.mark.parametrize("way", ["download", "path", "open", "load", "get", "verify", "checkout"])
def test_a_host_that_only_the_branch_names_is_not_contacted(iris, pages, tmp_path, capsys, way, spelling):
    url = f"{pages.url}/raw.csv"
    url = spelling.format(url.removeprefix("http") if "HTTP" in spelling else url)
    with Client(iris) as client:
        record_link(client, url)
        ways = ways_to_read(client, tmp_path, capsys)
        with pytest.raises(Refused, match="does not trust yet") as caught:
            ways[way]()
        assert f"git model store trust {pages.url}/" in f"{caught.value.message} {caught.value.hint}" or way == "verify"
        assert pages.asked == []
        succeed(capsys, "store", "trust", f"{pages.url}/")
        ways[way]()
        assert set(pages.asked) == {"/raw.csv"}


@pytest.mark.parametrize("way", ["download", "path", "open", "load", "get", "verify", "checkout"])
def test_a_redirect_from_a_trusted_host_to_an_untrusted_host_is_refused(iris, pages, elsewhere, tmp_path, capsys, way):
    pages.pages["/raw.csv"] = f"{elsewhere.url}/raw.csv"
    with Client(iris) as client:
        record_link(client, f"{pages.url}/raw.csv")
        client.trust_store(f"{pages.url}/")
        ways = ways_to_read(client, tmp_path, capsys)
        with pytest.raises(Refused, match=f"redirects to {elsewhere.url}/, which this machine does not trust yet"):
            ways[way]()
        assert elsewhere.asked == []
        client.trust_store(f"{elsewhere.url}/")
        ways[way]()
        assert elsewhere.asked


def test_a_redirect_to_the_same_host_is_followed(iris, pages):
    pages.pages["/latest"] = "/raw.csv"
    with Client(iris) as client:
        artifact = client.get_version("iris@1").link_external("raw", f"{pages.url}/latest")
        assert artifact.open().read() == b"a,b\n1,2\n"


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/raw.csv", "file:///etc/passwd", "http://ada:pw@127.0.0.1/raw.csv"])
def test_a_redirect_to_another_protocol_is_refused(iris, pages, to):
    pages.pages["/raw.csv"] = to
    with Client(iris) as client, pytest.raises((Refused, Unreachable)) as caught:
        client.get_version("iris@1").link_external("raw", f"{pages.url}/raw.csv")
    assert "pw" not in caught.value.message


def test_link_trusts_the_host_of_the_given_url_and_not_the_target_of_a_redirect(iris, pages, elsewhere, capsys, git):
    pages.pages["/moved.csv"] = f"{elsewhere.url}/raw.csv"
    code, _, err = ask(capsys, "link", "iris@1", "--data", f"raw={pages.url}/moved.csv", "--external")
    assert (code, f"git model store trust {elsewhere.url}/" in err) == (6, True)
    assert elsewhere.asked == []
    succeed(capsys, "link", "iris@1", "--data", f"raw={pages.url}/raw.csv", "--external")
    assert git(iris, "config", "--get-all", "gitmodel.trustedStore") == f"{pages.url}/"
    succeed(capsys, "get", "iris@1", "raw", "-o", "got.csv")


def test_a_url_with_credentials_on_the_branch_is_neither_used_nor_printed(iris, pages, tmp_path, capsys):
    with Client(iris) as client:
        record_link(client, f"{pages.url}/raw.csv")
        client.trust_store(f"{pages.url}/")
    path = "models/iris/versions/1.toml"
    edit(iris, {path: read(iris, path).replace("http://127", "http://ada:hunter2@127")})
    for command in (("get", "iris@1", "raw", "-o", tmp_path / "x"), ("verify",), ("version", "artifacts", "iris@1")):
        _, out, err = ask(capsys, *command)
        assert "hunter2" not in out + err
    assert pages.asked == []


def test_the_error_for_recorded_text_that_is_no_uri_shows_the_text(iris, pages, tmp_path, capsys):
    with Client(iris) as client:
        record_link(client, f"{pages.url}/raw.csv")
    path = "models/iris/versions/1.toml"
    edit(iris, {path: read(iris, path).replace(f"{pages.url}/raw.csv", "/etc/hosts")})
    code, _, err = ask(capsys, "get", "iris@1", "raw", "-o", tmp_path / "x")
    assert (code, err.splitlines()[0]) == (2, "error: gitmodel cannot read /etc/hosts, which is not a URI")


def test_a_checkout_writes_external_artifacts_into_its_folder_for_artifacts(iris, huge, tmp_path, capsys):
    succeed(capsys, "version", "create", "iris")
    succeed(capsys, "link", "iris@2", "--data", f"raw={huge}", "--external")
    succeed(capsys, "checkout", "iris@2", tmp_path / "out")
    assert (tmp_path / "out/artifacts/raw/huge.csv").read_bytes() == huge.read_bytes()
