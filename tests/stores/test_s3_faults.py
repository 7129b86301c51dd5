"""A store on S3 with damaged objects, failing servers, missing rights and interrupted transfers."""

import errno
import io
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from store_kinds import read
from store_proxy import Proxy
from store_servers import KEY, READER_KEY, SECRET
from transcripts import ask

from gitmodel.domain.schema.digests import digest_of, hex_of
from gitmodel.errors import Conflict, Invalid, NotFound, Unreachable, UsageError
from gitmodel.registry.named_stores.copying import copy_store
from gitmodel.stores import local_store
from gitmodel.stores.artifacts.fetching import get_file
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_file
from gitmodel.stores.backend import PART
from gitmodel.stores.opening import open_store
from gitmodel.stores.remote import cached_store
from gitmodel.stores.remote.remote_store import RemoteStore
from gitmodel.stores.servers import s3
from gitmodel.stores.servers.s3 import S3Backend

pytestmark = pytest.mark.xdist_group("s3")

LARGE = random.Random(1).randbytes(4 * PART + 1000)


@pytest.fixture
def store(s3, tmp_path):
    return open_store(s3.prefix(), default_root=tmp_path / "copies")


@pytest.fixture
def proxy(s3, monkeypatch):
    with Proxy(s3.port) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        yield made


def put(store, content):
    return store.put_stream(io.BytesIO(content))[0]


def alter(store, digest, content, *, disguised=False):
    """Replace the object *digest* in *store* by *content*, as another program could.

    If *disguised* is True, the new object has the metadata that gitmodel gives its objects.
    """
    backend = store.origin.backend
    headers = {s3.OWN: hex_of(digest)} if disguised else {}
    backend._request("PUT", backend._key(digest), body=content, headers=headers, about=digest)


class TestDamage:
    @pytest.mark.parametrize("content", [b"a model", LARGE], ids=["small", "large"])
    @pytest.mark.parametrize("damage", ["truncated", "emptied", "altered", "grown", "swapped"])
    def test_an_object_changed_by_another_program_is_detected_on_the_first_read_and_repaired(
        self, store, tmp_path, content, damage
    ):
        digest = put(store, content)
        assert read(store, digest) == content  # makes a copy on this machine
        altered = {
            "truncated": content[:-1],
            "emptied": b"",
            "altered": content[:3] + b"?" + content[4:],
            "grown": content + b"more",
            "swapped": content[::-1],
        }[damage]
        alter(store, digest, altered)
        for kept in (store.origin, open_store(store.url, default_root=tmp_path / "elsewhere")):
            for ask_for in (
                lambda kept=kept: read(kept, digest),
                lambda kept=kept: get_file(kept, digest, tmp_path / "got"),
                lambda kept=kept: verify_file(kept, digest),
            ):
                with pytest.raises(Invalid, match=f"{digest} is damaged") as caught:
                    ask_for()
                assert "link the same file again" in caught.value.hint
        assert not (tmp_path / "got").exists()
        assert not [path for path in tmp_path.glob("elsewhere/*/*") if path.parent.name != "damaged"]
        with pytest.raises(Invalid):
            verify_file(store, digest)  # fails although this machine has an intact copy
        assert put(store, content) == digest
        assert read(store.origin, digest) == content

    def test_a_damaged_object_with_intact_metadata_is_detected(self, store):
        digest = put(store, b"a model")
        alter(store, digest, b"A model", disguised=True)
        with pytest.raises(Invalid, match="damaged"):
            read(store.origin, digest)

    def test_a_copy_with_repair_replaces_damage_that_the_size_does_not_show(self, store, tmp_path):
        digest = put(store, b"a model")
        alter(store, digest, b"A model", disguised=True)
        other = open_store(str(tmp_path / "other"), default_root=tmp_path)
        other.create()
        put(other, b"a model")
        assert copy_store(other, store).copied == 0
        assert copy_store(other, store, repair=True).copied == 1
        assert read(store.origin, digest) == b"a model"

    def test_a_damaged_cached_copy_is_removed_and_the_object_is_fetched_again(self, store):
        digest = put(store, LARGE)
        assert read(store, digest) == LARGE
        place = store.cache.place(digest)
        place.chmod(0o644)
        place.write_bytes(LARGE[:-1] + b"?")
        with pytest.raises(Invalid, match="damaged") as caught:
            read(store, digest)
        assert "try again" in caught.value.hint
        assert read(store, digest) == LARGE
        assert place.read_bytes() == LARGE

    def test_an_object_removed_while_it_is_read_is_not_returned_partially(self, store):
        digest = put(store.origin, LARGE)
        with store.open(digest) as reader:
            reader.read(1)
            store.origin.remove(digest)
            with pytest.raises((NotFound, Invalid)):
                reader.read()


class TestServers:
    def test_a_server_that_is_down_is_unreachable_for_every_call(self, store, monkeypatch):
        digest = put(store.origin, b"a")
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        gone = RemoteStore(S3Backend("models", "x", attempts=2))
        for ask_for in (
            gone.create,
            lambda: put(gone, b"a"),
            lambda: put(gone, LARGE),
            lambda: read(gone, digest),
            lambda: gone.holds(digest),
            lambda: list(gone.objects()),
            lambda: gone.remove(digest),
            gone.leftovers,
        ):
            with pytest.raises(Unreachable, match=r"s3://models/x cannot be reached at http://127.0.0.1:9") as caught:
                ask_for()
            assert "run the same command again" in caught.value.hint

    def test_a_slow_server_ends_in_a_timeout_after_all_attempts(self, proxy):
        proxy.plan = lambda number, method, path: "hang"
        slow = RemoteStore(S3Backend("models", "x", timeout=0.2, attempts=2))
        with pytest.raises(Unreachable, match="timed out"):
            put(slow, b"a")
        assert len(proxy.seen) == 2

    def test_a_server_that_fails_every_request_is_reported(self, proxy):
        proxy.plan = lambda number, method, path: "503"
        store = RemoteStore(S3Backend("models", "x", attempts=2))
        with pytest.raises(Unreachable, match=r"fails at PUT of sha256:.*: 503"):
            put(store, b"a")

    def test_a_server_without_the_s3_protocol_is_reported(self, proxy):
        proxy.plan = lambda number, method, path: "200"
        store = RemoteStore(S3Backend("models", "x"))
        with pytest.raises(Unreachable, match="does not support the S3 protocol"):
            list(store.objects())


class TestAccess:
    @pytest.mark.parametrize(
        ("key", "secret", "said"),
        [
            (KEY, "wrong", "SignatureDoesNotMatch"),
            ("AKIDOFNOBODY", SECRET, "InvalidAccessKeyId"),
            (READER_KEY, SECRET, "AccessDenied"),
        ],
    )
    def test_the_error_for_a_refused_request_names_bucket_key_and_principal(self, s3, monkeypatch, key, secret, said):
        url = s3.prefix()
        for name, value in s3.environ(key=key, secret=secret).items():
            monkeypatch.setenv(name, value)
        store = open_store(url, default_root=Path()).origin
        with pytest.raises(Unreachable) as caught:
            put(store, b"a")
        message, name = caught.value.message, hex_of(digest_of(b"a"))
        assert f"{url} at {s3.endpoint} refuses PUT" in message
        assert f"sha256/{name[:2]}/{name[2:]}" in message
        assert f"to the access key ...{key[-4:]} (from env): {said}" in message
        assert secret not in message
        assert "aws sts get-caller-identity" in caught.value.hint

    def test_missing_credentials_are_an_error_with_a_hint(self, s3, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        with pytest.raises(Unreachable, match="there are no credentials for s3://models") as caught:
            put(open_store(s3.prefix(), default_root=Path()).origin, b"a")
        assert "aws configure" in caught.value.hint

    def test_a_missing_profile_is_reported(self, s3, monkeypatch):
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(Unreachable, match="nobody"):
            put(open_store(s3.prefix(), default_root=Path()).origin, b"a")

    def test_a_missing_bucket_is_reported_with_the_command_that_creates_it(self, s3):
        store = open_store("s3://no-such-bucket/x", default_root=Path()).origin
        for ask_for in (
            store.create,
            lambda: put(store, b"a"),
            lambda: put(store, LARGE),
            lambda: read(store, digest_of(b"a")),
            lambda: store.holds(digest_of(b"a")),
            lambda: list(store.objects()),
        ):
            with pytest.raises(Unreachable, match=f"no bucket no-such-bucket at {s3.endpoint}") as caught:
                ask_for()
            assert "aws s3 mb s3://no-such-bucket" in caught.value.hint

    @pytest.mark.parametrize("name", ["ab", "a" * 64, "Capital", "under_score", "-x-", "a..b"])
    def test_a_name_that_no_bucket_can_have_is_refused(self, name):
        with pytest.raises(UsageError, match="not a name of a bucket"):
            open_store(f"s3://{name}/x", default_root=Path())

    def test_if_the_store_is_unreachable_the_command_records_nothing_and_ends_with_7(
        self, s3, code_repo, monkeypatch, capsys
    ):
        monkeypatch.chdir(code_repo)
        code, out, err = ask(capsys, "init", "--store", "s3://no-such-bucket/x")
        assert (code, out) == (7, "")
        assert err == (
            f"error: there is no bucket no-such-bucket at {s3.endpoint}\n"
            "hint: create it, for example with `aws s3 mb s3://no-such-bucket`, or name another store with "
            "`git model config store URL`\n"
        )
        assert ask(capsys, "init", "--store", "s3://ab/x")[0] == 2


class TestDisk:
    def test_get_succeeds_if_the_disk_of_the_cache_is_full(self, store, tmp_path, monkeypatch):
        large, small = put(store.origin, LARGE), put(store.origin, b"small")

        def full(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(cached_store.os, "pwrite", full)
        get_file(store, large, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == LARGE
        monkeypatch.setattr(local_store.os, "fchmod", full)
        assert read(store, small) == b"small"
        assert [path for path in store.cache.root.rglob("*") if path.is_file()] == []

    def test_a_read_succeeds_if_gc_removes_its_local_copy_meanwhile(self, store, monkeypatch):
        digest = put(store.origin, b"small")
        real = os.fchmod

        def swept(descriptor, mode):
            for leftover in store.cache.leftovers():
                store.cache.remove_leftover(leftover)
            return real(descriptor, mode)

        monkeypatch.setattr(local_store.os, "fchmod", swept)
        assert read(store, digest) == b"small"
        assert not store.cache.holds(digest)

    @pytest.mark.parametrize("how", ["shrunk", "altered", "grown", "altered without a new time"])
    def test_a_file_that_changes_while_it_is_read_is_not_stored(self, store, tmp_path, how):
        path = tmp_path / "model"
        path.write_bytes(LARGE)
        state = path.stat()
        real = store.origin.put_known

        def changing(*arguments, **options):  # this replaces a function that gitmodel calls after it hashed the file
            if how == "altered without a new time":
                with path.open("r+b") as file:
                    file.write(b"?")
                os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            else:
                path.write_bytes({"shrunk": LARGE[:-1], "altered": LARGE[::-1], "grown": LARGE + b"?"}[how])
            return real(*arguments, **options)

        store.origin.put_known = changing
        with pytest.raises(Conflict, match="changed while it was being read"):
            put_path(store, path)
        assert list(store.objects()) == []
        assert store.leftovers() == []


class TestTwoWriters:
    @pytest.mark.parametrize("content", [b"a model", LARGE], ids=["small", "large"])
    def test_two_writers_of_the_same_object_both_succeed(self, store, tmp_path, content):
        stores = [open_store(store.url, default_root=tmp_path / f"{number}").origin for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda each: put(each, content), stores)) == {digest_of(content)}
        assert read(store.origin, digest_of(content)) == content
        # two writers that start at the same time create two uploads, of which one is left
        for left in store.leftovers():
            store.remove_leftover(left)
        assert store.leftovers() == []
        assert read(store.origin, digest_of(content)) == content

    def test_an_upload_that_another_writer_continued_and_finished_ends_with_a_complete_object(self, store):
        digest = digest_of(LARGE)
        backend = store.origin.backend
        upload = backend.upload(digest, len(LARGE))
        upload.send(0, LARGE[:PART])
        put(store.origin, LARGE)  # acts as another writer, which continues and finishes the upload
        upload.send(1, LARGE[PART : 2 * PART])
        upload.finish()
        assert read(store.origin, digest) == LARGE
        assert store.leftovers() == []

    def test_an_upload_that_somebody_else_aborts_is_reported(self, store):
        upload = store.origin.backend.upload(digest_of(LARGE), len(LARGE))
        (left,) = store.leftovers()
        store.remove_leftover(left)
        with pytest.raises(Unreachable, match="aborted by somebody else"):
            upload.send(0, LARGE[:PART])


GET = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.fetching import get_file
from gitmodel.stores.opening import open_store
get_file(open_store(sys.argv[1], default_root=Path(sys.argv[2])), sys.argv[4], Path(sys.argv[3]))
"""


class TestKilled:
    def test_a_download_that_was_killed_resumes_where_it_stopped(self, s3, proxy, tmp_path):
        store = open_store(s3.prefix(), default_root=tmp_path / "copies")
        digest = put(store.origin, LARGE)
        half = len(LARGE) // 2

        def second_half_hangs(number, method, path):
            start = int(proxy.seen[-1][2].get("range", "bytes=0").partition("=")[2].partition("-")[0])
            return "hang" if method == "GET" and start >= half else ""

        proxy.plan = second_half_hangs
        partial = tmp_path / "copies" / "partial" / hex_of(digest)
        with subprocess.Popen(
            [sys.executable, "-c", GET, store.url, tmp_path / "copies", tmp_path / "got", digest]
        ) as process:
            while not (partial.exists() and partial.stat().st_size >= half - (8 << 20)):
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        had = partial.stat().st_size
        assert not (tmp_path / "got").exists()
        assert not store.cache.holds(digest)
        proxy.plan = lambda number, method, path: ""
        proxy.seen.clear()
        get_file(store, digest, tmp_path / "got")
        assert (tmp_path / "got").read_bytes() == LARGE
        ranges = [headers["range"] for method, _, headers in proxy.seen if method == "GET"]
        assert min(int(each.partition("=")[2].partition("-")[0]) for each in ranges) == had
        assert not partial.exists()
        assert read(store.cache, digest) == LARGE

    def test_a_damaged_partial_download_is_fetched_again(self, store, tmp_path):
        digest = put(store.origin, LARGE)
        partial = store.cache.root / "partial" / hex_of(digest)
        for spoiled in (b"?" * 1000, LARGE + b"more", b"?" * len(LARGE)):
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(spoiled)
            with suppress(Invalid):
                get_file(store, digest, tmp_path / "got")
            get_file(store, digest, tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == LARGE
            assert not partial.exists()
            (tmp_path / "got").unlink()
            store.cache.remove(digest)


def test_listings_of_s3_have_the_objects_of_all_pages(store, monkeypatch):
    monkeypatch.setattr(s3, "PAGE", "3")
    digests = {put(store, b"%d" % number) for number in range(10)}
    assert set(store.digests()) == digests
    uploads = [store.origin.backend.upload(digest_of(b"large %d" % number), 5 * PART) for number in range(5)]
    assert len(store.leftovers()) == 5
    for upload in uploads:
        upload.abort()
    assert store.leftovers() == []
