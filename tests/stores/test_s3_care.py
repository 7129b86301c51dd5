"""A store on S3: `store` commands and `purge`, external artifacts in other buckets, and errors."""

import base64
import hashlib
import io
from contextlib import suppress

import pytest
from store_servers import BUCKET, READER_KEY
from transcripts import ask, said

from gitmodel import Client
from gitmodel.domain.schema.digests import digest_of
from gitmodel.errors import Invalid, NotFound, Unreachable
from gitmodel.registry.named_stores.garbage import remove_garbage
from gitmodel.stores import interface
from gitmodel.stores.opening import open_store
from gitmodel.stores.servers import s3 as over_s3

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def iris(s3, code_repo, monkeypatch, capsys, tmp_path):
    """A registry with a store on S3 and a version of one file."""
    monkeypatch.chdir(code_repo)
    (code_repo / "net").write_text("net\n")
    assert ask(capsys, "init", "--store", s3.prefix())[0] == 0
    assert ask(capsys, "register", "iris")[0] == 0
    assert ask(capsys, "version", "create", "iris", "--model-object", "net=net")[0] == 0
    assert ask(capsys, "get", "iris@1", "net", "-o", tmp_path / "got")[0] == 0  # makes a copy on this machine
    return code_repo


@pytest.fixture
def bucket(s3):
    """An S3 client for the server, and the name of a bucket that keeps old versions of objects."""
    import botocore.session

    client = botocore.session.get_session().create_client("s3")
    name = "of-others"
    try:
        client.create_bucket(Bucket=name)
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    except client.exceptions.BucketAlreadyOwnedByYou:
        pass
    yield client, name
    client.close()


def test_gc_keeps_objects_that_are_stored_again_while_it_runs(iris, monkeypatch):
    content = (iris / "train.py").read_bytes()
    with Client(iris) as client:
        store = client.access.open()
        store.put_stream(io.BytesIO(content))
        found = client.find_garbage(grace_days=0)
        assert [one.digest for one in found.objects] == [digest_of(content)]
        monkeypatch.setattr(interface, "RENEWED", -10.0)  # makes gitmodel treat the object as old
        # repeats until the time changes, because the server has times in whole seconds
        while store.stat(digest_of(content)).modified <= found.objects[0].modified:
            client.get_version("iris@1").link_artifact("script", iris / "train.py")
        assert remove_garbage(store, found).objects == ()
        assert store.holds(digest_of(content))


def test_a_very_large_object_is_refreshed_in_parts(s3, monkeypatch, tmp_path):
    monkeypatch.setattr(over_s3, "COPIED", 8 << 20)
    store = open_store(s3.prefix(), default_root=tmp_path).origin
    content = bytes(range(256)) * (17 << 12)
    digest, size = store.put_stream(io.BytesIO(content))
    before = store.stat(digest).modified
    while store.stat(digest).modified <= before:
        store.renew(digest)
    assert store.backend.has(digest, size)
    assert store.open(digest).read() == content


def test_purge_erases_the_object_in_the_bucket_and_its_cached_copy(iris, capsys):
    with Client(iris) as client:
        artifact = client.get_version("iris@1").get_artifact("net")
        assert artifact.open().read() == b"net\n"
        assert said(capsys, "store", "status")[1]["models"][0]["where"] == {"default": 1, "clone": 1}
        done = client.purge(artifact.digest, reason="asked for")
        assert len(done.removed) == 1
        assert not client.access.open().cache.holds(artifact.digest)
        with pytest.raises(NotFound, match="was purged"):
            artifact.open()
    assert ask(capsys, "verify")[0] == 0


def test_an_external_artifact_on_s3_stays_in_its_bucket_and_its_linked_version_is_read(iris, bucket, capsys):
    client, name = bucket
    client.put_object(Bucket=name, Key="raw/huge 1.csv", Body=b"a,b\n")
    uri = f"s3://{name}/raw/huge%201.csv"
    assert ask(capsys, "link", "iris@1", "--data", f"raw={uri}", "--external")[0] == 0
    shown = said(capsys, "version", "artifacts", "iris@1")[1]
    raw = next(link for link in shown if link["name"] == "raw")
    assert (raw["uri"], raw["digest"], raw["digest_by"]) == (uri, digest_of(b"a,b\n"), None)
    assert raw["version_id"]
    client.put_object(Bucket=name, Key="raw/huge 1.csv", Body=b"c,d\n")
    assert ask(capsys, "verify")[0] == 0
    assert ask(capsys, "get", "iris@1", "raw", "-o", "raw.csv")[0] == 0
    assert (iris / "raw.csv").read_text() == "a,b\n"
    client.delete_object(Bucket=name, Key="raw/huge 1.csv", VersionId=raw["version_id"])
    found = said(capsys, "verify")[1]
    assert f"{name} has no raw/huge 1.csv in the version {raw['version_id']}" in str(found)


def test_the_option_provider_digest_records_and_marks_the_checksum_that_s3_has(iris, bucket, capsys):
    client, name = bucket
    body = b"e,f\n"
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    client.put_object(Bucket=name, Key="told.csv", Body=body, ChecksumSHA256=checksum)
    code, out = said(
        capsys, "link", "iris@1", "--data", f"told=s3://{name}/told.csv", "--external", "--provider-digest"
    )
    if code == 2:
        pytest.skip("this server does not keep checksums")
    told = next(link for link in out["artifacts"] if link["name"] == "told")
    assert (told["digest"], told["digest_by"]) == (digest_of(body), "provider")
    assert ask(capsys, "verify")[0] == 0


def test_an_s3_error_names_bucket_key_and_principal(iris, s3, bucket, monkeypatch):
    client, name = bucket
    client.put_object(Bucket=name, Key="mine.csv", Body=b"x\n")
    with Client(iris) as opened:
        version = opened.get_version("iris@1")
        with pytest.raises(NotFound, match=f"{name} has no nothing.csv"):
            version.link_external("raw", f"s3://{name}/nothing.csv")
        with pytest.raises(NotFound, match=r"no bucket|has no"):
            version.link_external("raw", "s3://no-such-bucket/raw.csv")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(Unreachable, match=f"the bucket {name} refuses the key mine.csv to the access key"):
            version.link_external("raw", f"s3://{name}/mine.csv")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(Unreachable, match="cannot be read"):
            version.link_external("raw", f"s3://{name}/mine.csv")
    for name, value in s3.environ(key=READER_KEY).items():
        monkeypatch.setenv(name, value)
    with Client(iris) as opened, pytest.raises(Unreachable) as caught:
        opened.get_version("iris@1").link_artifact("other", iris / "train.py")
    assert BUCKET in caught.value.message
    assert READER_KEY[-4:] in caught.value.message
    assert digest_of((iris / "train.py").read_bytes())[9:] in caught.value.message


def test_an_object_changed_by_another_program_is_detected_on_the_first_read(iris, bucket):
    client, _ = bucket
    plain = "plain-of-others"
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=plain)
    client.put_object(Bucket=plain, Key="raw.csv", Body=b"a,b\n")
    with Client(iris) as opened:
        artifact = opened.get_version("iris@1").link_external("raw", f"s3://{plain}/raw.csv")
        assert artifact.link.version_id is None
        client.put_object(Bucket=plain, Key="raw.csv", Body=b"a,c\n")
        with pytest.raises(Invalid, match="is not what was linked"):
            artifact.open().read()
