"""Artifact stores: tests that every kind of store must pass, which sources can be stored, and the store in a folder.

`put` stores bytes under their SHA-256 digest, and `get` writes an artifact to a path. An object is the stored bytes.
`leftovers` lists the temporary files of killed uploads, and a shared store is one that other repositories use, too.
"""

import errno
import io
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from editing import overwrite
from expected_errors import error_with_hint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kinds import KINDS, read, url_of

from gitmodel.domain.schema.digests import digest_of, hex_of
from gitmodel.domain.schema.manifest import HEADER, ManifestEntry, format_manifest
from gitmodel.errors import Conflict, Invalid, NotFound, Unreachable, UsageError
from gitmodel.stores import interface, local_store, store_folder
from gitmodel.stores.artifacts import fetching, unpacked
from gitmodel.stores.artifacts.copying import copy_artifacts, keep_artifact
from gitmodel.stores.artifacts.fetching import get_file, get_folder, get_member
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_file, verify_folder
from gitmodel.stores.local_store import LocalStore
from gitmodel.stores.opening import open_store
from gitmodel.stores.transfer import Transfer

ABSENT = digest_of(b"never stored")
LARGE = random.Random(4).randbytes(17 << 20)  # enough for several parts in a store that uploads in parts
BIG = bytes(range(256)) * 10_000  # so long that a stream is read in several pieces


def put(store, content):
    digest, size = store.put_stream(io.BytesIO(content))
    assert size == len(content)
    return digest


def damage(local, digest):
    place = place_of(local, digest)
    overwrite(place, place.read_bytes()[:-1] + b"?")


def files_under(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


class Failing(io.RawIOBase):
    """A file object that returns some bytes and then raises an error, as a network connection can."""

    def __init__(self):
        self.left = 3

    def readable(self):
        return True

    def seek(self, offset, whence=os.SEEK_SET):
        return 0

    def readinto(self, buffer):
        if not self.left:
            raise ConnectionResetError("gone")
        self.left -= 1
        buffer[:5] = b"bytes"
        return 5


@pytest.fixture(params=[*KINDS, pytest.param("s3 without copies", marks=pytest.mark.xdist_group("s3"))])
def store(request, tmp_path):
    """An empty store. A test with this fixture runs once with each kind of store."""
    kind, *without_copies = request.param.split(" ", 1)
    made = open_store(url_of(kind, request, tmp_path), default_root=tmp_path / "git" / "gitmodel")
    made.create()
    return made.origin if without_copies else made


class TestEveryStore:
    """Tests of ArtifactStore, and of functions that use a store, such as `put_path`, on every kind of store."""

    @pytest.mark.parametrize("content", [b"", b"a", BIG], ids=["empty", "one byte", "big"])
    def test_content_that_is_put_twice_is_one_object_which_is_read_by_its_digest(self, store, content):
        digest = put(store, content)
        assert digest == put(store, content) == digest_of(content)
        assert read(store, digest) == content
        assert store.holds(digest)
        assert store.size(digest) == len(content)
        assert list(store.digests()) == [digest]

    def test_put_reads_to_the_end_of_a_source_that_returns_few_bytes_per_read(self, store):
        class Slow(io.BytesIO):
            def read(self, size=-1):
                return super().read(min(size, 1000))

            def readinto(self, buffer):
                return super().readinto(memoryview(buffer)[:1000])

        assert read(store, store.put_stream(Slow(BIG))[0]) == BIG

    def test_an_object_can_be_read_in_pieces(self, store):
        with store.open(put(store, BIG)) as reader:
            pieces = list(iter(lambda: reader.read(70_001), b""))
        assert b"".join(pieces) == BIG

    def test_a_large_object_is_unchanged_after_put_and_open(self, store):
        content = LARGE + store.url.encode()
        digest = put(store, content)
        assert read(store.origin, digest) == content
        assert store.size(digest) == len(content)
        assert next(iter(store.objects())).size == len(content)

    @pytest.mark.parametrize("content", [b"a model", LARGE], ids=["small", "large"])
    def test_several_clients_that_put_the_same_bytes_at_the_same_time_all_succeed(self, store, tmp_path, content):
        content += store.url.encode()
        opened = [open_store(store.url if store.shared else "", default_root=tmp_path / f"{n}") for n in range(3)]
        with ThreadPoolExecutor(3) as pool:
            assert set(pool.map(lambda each: put(each, content), opened)) == {digest_of(content)}
        assert read(opened[0].origin, digest_of(content)) == content

    @pytest.mark.parametrize("content", [b"a model", LARGE], ids=["small", "large"])
    def test_putting_or_linking_an_old_object_again_refreshes_its_modification_time(self, store, content, monkeypatch):
        # With this negative age, each object counts as old enough to be refreshed, even if the server has another time.
        monkeypatch.setattr(interface, "RENEWED", -10.0)
        content += store.url.encode()
        digest = put(store, content)

        def becomes_younger(by):
            before, ends = store.stat(digest).modified, time.monotonic() + 20
            while store.stat(digest).modified <= before:  # repeated, because times on servers have whole seconds
                assert time.monotonic() < ends
                by()
            assert read(store.origin, digest) == content

        becomes_younger(lambda: put(store, content))
        becomes_younger(lambda: keep_artifact(store, digest, folder=False))
        assert not keep_artifact(store, ABSENT, folder=False)

    def test_a_put_from_a_source_that_raises_an_error_stores_no_object(self, store):
        with pytest.raises(ConnectionResetError):
            store.put_stream(Failing())
        assert list(store.digests()) == []

    def test_put_known_refuses_bytes_that_do_not_match_the_given_digest(self, store, tmp_path):
        other = LocalStore(tmp_path / "other")
        digest = put(other, BIG)
        sent = []
        for _ in range(2):
            with other.open(digest) as source:
                store.put_known(digest, len(BIG), source, sent=sent.append)
        assert sum(sent) == 2 * len(BIG)
        assert read(store, digest) == BIG
        damage(other, digest)
        store.remove(digest)
        with pytest.raises(Invalid), other.open(digest) as source:
            store.put_known(digest, len(BIG), source)
        assert not store.holds(digest)

    def test_objects_are_listed_with_their_sizes_and_times(self, store):
        sizes = {put(store, content): len(content) for content in (b"", b"a", BIG)}
        found = list(store.objects())
        assert {each.digest: each.size for each in found} == sizes
        assert all(abs(each.modified - time.time()) < 60 for each in found)
        assert sorted(store.digests()) == sorted(sizes)
        assert store.leftovers() == []

    def test_artifacts_are_copied_from_store_to_store(self, store, tmp_path):
        other = LocalStore(tmp_path / "other")
        (tmp_path / "folder").mkdir()
        for name in "abc":
            (tmp_path / "folder" / name).write_bytes(name.encode() * 100)
        folder, file = put_path(other, tmp_path / "folder"), put(other, BIG)
        sent = []
        copy_artifacts(other, store, [(folder.digest, True, None), (file, False, None)], sent=sent.append)
        copy_artifacts(other, store, [(folder.digest, True, None), (file, False, None)], sent=sent.append)
        assert sum(sent) == 2 * (300 + len(BIG))
        assert verify_folder(store.origin, folder.digest) == folder
        assert verify_file(store.origin, file).size == len(BIG)

    def test_reading_an_object_that_the_store_lacks_raises_not_found(self, store):
        put(store, b"something else")
        assert not store.holds(ABSENT)
        for ask in (store.open, store.size, lambda digest: verify_file(store, digest)):
            with pytest.raises(NotFound, match=ABSENT):
                ask(ABSENT)

    def test_an_empty_store_lists_and_holds_no_object(self, store):
        assert list(store.digests()) == []
        assert not store.holds(ABSENT)
        with pytest.raises(NotFound):
            store.open(ABSENT)

    def test_an_object_can_be_removed_twice_and_put_again(self, store):
        digest = put(store, b"a")
        store.remove(digest)
        store.remove(digest)
        assert not store.holds(digest)
        assert put(store, b"a") == digest
        assert read(store, digest) == b"a"

    @pytest.mark.parametrize("name", ["open", "holds", "size", "remove"])
    def test_an_invalid_digest_is_refused_by_every_method(self, store, name):
        for text in ("", "sha256:", "sha256:../../etc/passwd", "../" * 10 + "a" * 64):
            with pytest.raises(Invalid, match="is not a digest"):
                getattr(store, name)(text)

    def test_a_file_is_unchanged_after_put_and_get_and_passes_verify(self, store, tmp_path):
        (tmp_path / "model").write_bytes(BIG)
        stored = put_path(store, tmp_path / "model")
        assert stored[:3] == (digest_of(BIG), len(BIG), False)
        assert verify_file(store, stored.digest) == stored
        get_file(store, stored.digest, tmp_path / "copy")
        get_file(store, stored.digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == BIG

    def test_a_folder_is_unchanged_after_put_and_get_and_passes_verify(self, store, tmp_path):
        folder = tmp_path / "folder"
        (folder / "sub" / "deep").mkdir(parents=True)
        for name in ("b", "a b", "sub/c", "sub/deep/ü", "sub-d", ".hidden", "same"):
            (folder / name).write_bytes(name.encode() if name != "same" else b"b")
        stored = put_path(store, folder)
        assert stored.folder
        assert stored.size == sum(map(len, files_under(folder).values()))
        assert verify_folder(store, stored.digest) == stored
        (tmp_path / "empty").mkdir()
        for target in (tmp_path / "copy", tmp_path / "empty"):
            get_folder(store, stored.digest, target)
            assert files_under(target) == files_under(folder)
            assert put_path(store, target) == stored

    def test_an_empty_folder_can_be_stored_as_an_artifact(self, store, tmp_path):
        (tmp_path / "nothing").mkdir()
        stored = put_path(store, tmp_path / "nothing")
        assert stored[:3] == (digest_of(HEADER), 0, True)
        get_folder(store, stored.digest, tmp_path / "copy")
        assert os.listdir(tmp_path / "copy") == []

    def test_the_reported_progress_rises_to_the_total_size(self, store, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a").write_bytes(BIG)
        (folder / "b").write_bytes(BIG + b"b")
        told = []

        def tell(done, total):
            told.append((done, total))

        def all_of(total):
            assert [done for done, _ in told] == sorted(done for done, _ in told)
            assert told[-1] == (total, total)
            told.clear()

        stored = put_path(store, folder, transfer=Transfer(progress=tell))
        all_of(stored.size)
        get_folder(store, stored.digest, tmp_path / "copy", transfer=Transfer(progress=tell))
        all_of(stored.size)
        verify_folder(store, stored.digest, transfer=Transfer(progress=tell))
        all_of(stored.size)
        put_path(store, folder / "a", transfer=Transfer(progress=tell))
        all_of(len(BIG))
        get_file(store, digest_of(BIG), tmp_path / "a", progress=tell)
        all_of(len(BIG))

    def test_getting_a_folder_fails_if_one_of_its_files_is_missing(self, store, tmp_path):
        manifest = format_manifest([ManifestEntry(put(store, b"a"), 1, "a"), ManifestEntry(ABSENT, 1, "sub/b")])
        digest = put(store, manifest)
        with pytest.raises(NotFound, match="sub/b: "):
            get_folder(store, digest, tmp_path / "copy")
        with pytest.raises(NotFound, match="sub/b: "):
            verify_folder(store, digest)
        assert files_under(tmp_path).keys().isdisjoint({"copy/a", "copy/sub/b"})
        assert not (tmp_path / "copy").exists()
        assert not list(tmp_path.glob(".gitmodel-*"))

    def test_getting_or_verifying_a_folder_whose_manifest_has_a_wrong_size_raises_invalid(self, store, tmp_path):
        digest = put(store, format_manifest([ManifestEntry(put(store, b"a"), 2, "a")]))
        with pytest.raises(Invalid, match=r"a: sha256:.* has 1 bytes, and its record says 2"):
            get_folder(store, digest, tmp_path / "copy")
        with pytest.raises(Invalid, match=r"a: sha256:.* has 1 bytes"):
            verify_folder(store, digest)

    def test_an_object_that_is_longer_than_its_recorded_size_is_refused_before_it_is_written(self, store, tmp_path):
        big = bytes(range(256)) * (9 << 12)  # 9 MiB: a store on a server reads it in several ranges
        digest = put(store, big)
        folder = put(store, format_manifest([ManifestEntry(digest, 8, "a")]))
        limits = {"size": 8}
        for get in (
            lambda: get_file(store, digest, tmp_path / "copy", **limits),
            lambda: get_folder(store, folder, tmp_path / "copy", **limits),
            lambda: get_member(store, folder, "a", tmp_path / "copy"),
            lambda: verify_file(store, digest, **limits),
            lambda: verify_folder(store, folder, **limits),
            lambda: store.open(digest, 8),
            lambda: copy_artifacts(store, LocalStore(tmp_path / "other"), [(digest, False, 8)]),
            lambda: copy_artifacts(store, LocalStore(tmp_path / "other"), [(folder, True, 8)]),
            lambda: unpacked.unpack_file(store, digest, 8, tmp_path / "copy"),
            lambda: unpacked.unpack_folder(store, folder, 8, tmp_path / "copy"),
        ):
            with pytest.raises(Invalid, match=f"has {len(big)} bytes, and its record says 8"):
                get()
        assert not (tmp_path / "copy").exists()
        assert not list(tmp_path.rglob(".gitmodel-*"))
        assert files_under(tmp_path / "git" / "gitmodel" / "partial") == {}
        assert list(LocalStore(tmp_path / "other").digests()) == []

    def test_getting_a_folder_is_refused_if_its_recorded_size_is_wrong(self, store, tmp_path):
        folder = put(store, format_manifest([ManifestEntry(put(store, b"abc"), 3, "a")]))
        for size in (2, 4):
            with pytest.raises(Invalid, match=f"has 3 bytes, and its record says {size}"):
                get_folder(store, folder, tmp_path / "copy", size=size)
        get_folder(store, folder, tmp_path / "copy", size=3)

    @pytest.mark.parametrize("content", [b"", b"a model", HEADER + b"sha256:" + b"0" * 64 + b" 0 ../../escape\n"])
    def test_an_object_that_is_no_valid_manifest_cannot_be_read_as_a_folder(self, store, tmp_path, content):
        digest = put(store, content)
        with pytest.raises(Invalid, match="is not a folder"):
            get_folder(store, digest, tmp_path / "copy")
        assert not (tmp_path / "copy").exists()

    def test_get_refuses_a_target_that_is_a_link_a_device_or_a_folder_with_files(self, store, tmp_path):
        digest, folder = put(store, b"a"), put(store, HEADER)
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine").write_bytes(b"mine")
        (tmp_path / "link").symlink_to(tmp_path / "full" / "mine")
        with pytest.raises(UsageError, match="is a folder"):
            get_file(store, digest, tmp_path / "full")
        with pytest.raises(UsageError, match="not a regular file"):
            get_file(store, digest, tmp_path / "link")
        with pytest.raises(UsageError, match="not a regular file"):
            get_file(store, digest, Path("/dev/null"))
        with pytest.raises(UsageError, match="is not empty"):
            get_folder(store, folder, tmp_path / "full")
        with pytest.raises(UsageError, match="not a folder"):
            get_folder(store, folder, tmp_path / "link")
        for get, what in ((get_file, digest), (get_folder, folder)):
            with pytest.raises(NotFound, match="there is no folder"):
                get(store, what, tmp_path / "no" / "where")
        assert (tmp_path / "full" / "mine").read_bytes() == b"mine"
        assert not list(tmp_path.glob(".gitmodel-*"))

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(content=st.binary(max_size=3000))
    def test_any_bytes_are_read_back_unchanged(self, store, content):
        assert read(store, put(store, content)) == content


@pytest.fixture
def local(tmp_path):
    made = LocalStore(tmp_path / "store", shared=True)
    made.create()
    return made


def place_of(store, digest):
    return store.root / "sha256" / hex_of(digest)[:2] / hex_of(digest)[2:]


class TestSources:
    """Files and folders that `put_path` stores, and files and folders that it refuses. A refusal stores nothing."""

    def refused(self, store, path, kind, said):
        with pytest.raises(kind, match=said) as caught:
            put_path(store, path)
        assert caught.value.hint
        assert "\n" not in caught.value.message
        assert store.leftovers() == []
        assert os.listdir(store.root / "tmp") == []

    def test_a_missing_path_is_refused(self, local, tmp_path):
        self.refused(local, tmp_path / "nothing", NotFound, "there is no file or folder .*nothing")
        self.refused(local, tmp_path / "store" / "nothing" / "in it", NotFound, "there is no file or folder")

    def test_a_socket_a_pipe_and_a_device_are_refused(self, local, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
            self.refused(local, Path("socket"), UsageError, "socket is a socket")
        os.mkfifo("pipe")
        self.refused(local, Path("pipe"), UsageError, "pipe is a pipe")
        self.refused(local, Path("/dev/null"), UsageError, "/dev/null is a device")
        (tmp_path / "folder").mkdir()
        os.mkfifo("folder/pipe")
        self.refused(local, tmp_path / "folder", UsageError, "folder/pipe is a pipe")

    @pytest.mark.skipif(not os.path.exists("/proc/version"), reason="only Linux has files without a length")
    def test_a_file_without_a_length_is_refused(self, local, tmp_path):
        (tmp_path / "link").symlink_to("/proc/version")
        for path in (Path("/proc/version"), tmp_path / "link"):
            self.refused(local, path, UsageError, f"^{path} has no length, so it cannot be stored")

    def test_symbolic_links_that_leave_the_folder_form_a_cycle_or_are_broken_are_refused(self, local, tmp_path):
        outside = tmp_path / "outside"
        outside.write_bytes(b"secret")
        for name, target, said in [
            ("out", outside, "is a link to a target outside its folder"),
            ("up", Path("../outside"), "is a link to a target outside its folder"),
            ("loop", Path("loop"), "forms a cycle"),
            ("dangling", Path("nothing"), "does not exist"),
            ("parent", Path("."), "is a link to a folder"),
        ]:
            folder = tmp_path / f"with {name}"
            folder.mkdir()
            (folder / name).symlink_to(target)
            self.refused(local, folder, UsageError, said)
        (tmp_path / "circle").symlink_to("circle")
        self.refused(local, tmp_path / "circle", UsageError, "forms a cycle")
        self.refused(local, tmp_path / "with dangling" / "dangling", NotFound, "there is no file")
        assert digest_of(b"secret") not in list(local.digests())

    def test_a_symbolic_link_to_a_file_of_the_same_folder_is_stored_as_a_copy_of_the_file(self, local, tmp_path):
        folder = tmp_path / "folder"
        (folder / "sub").mkdir(parents=True)
        (folder / "real").write_bytes(b"real")
        (folder / "sub" / "link").symlink_to("../real")
        (tmp_path / "to folder").symlink_to(folder)
        (tmp_path / "to file").symlink_to(folder / "real")
        stored = put_path(local, tmp_path / "to folder")
        get_folder(local, stored.digest, tmp_path / "copy")
        assert files_under(tmp_path / "copy") == {"real": b"real", "sub/link": b"real"}
        assert not (tmp_path / "copy" / "sub" / "link").is_symlink()
        assert put_path(local, tmp_path / "to file")[:3] == (digest_of(b"real"), 4, False)

    @pytest.mark.parametrize("name", [b"new\nline", b"escape\x1b[31m", b"back\\slash", b"not \xff utf-8"])
    def test_a_file_name_that_a_manifest_cannot_hold_is_refused_in_a_folder(self, local, tmp_path, name):
        folder = tmp_path / "folder"
        folder.mkdir()
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(b"")
        self.refused(local, folder, UsageError, "cannot be stored")
        # A single file is stored without its name, so its name may be anything.
        assert put_path(local, Path(os.fsdecode(bytes(folder) + b"/" + name))).size == 0

    @pytest.mark.parametrize("change", ["grown", "rewritten", "replaced", "removed"])
    def test_a_file_that_changes_while_it_is_read_is_refused(self, local, tmp_path, change):
        path = tmp_path / "changing"
        path.write_bytes(BIG * 2)
        done = []

        def tell(*_):
            if done:
                return
            done.append(change)
            if change == "grown":
                with open(path, "ab") as file:
                    file.write(b"more")
            elif change == "rewritten":
                before = path.stat()
                path.write_bytes(BIG[::-1] * 2)
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
            elif change == "replaced":
                shutil.copy2(path, tmp_path / "new")
                os.replace(tmp_path / "new", path)
            else:
                path.unlink()

        with pytest.raises(Conflict, match="changing changed while it was being read"):
            put_path(local, path, transfer=Transfer(progress=tell))
        assert list(local.digests()) == []
        assert os.listdir(local.root / "tmp") == []

    def test_a_folder_that_gains_a_file_while_it_is_read_is_refused(self, local, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
        with pytest.raises(Conflict, match="folder changed while"):
            put_path(local, folder, transfer=Transfer(progress=lambda *_: (folder / "b").touch()))

    def test_a_file_without_read_permission_is_refused(self, local, tmp_path):
        (tmp_path / "secret").write_bytes(b"secret")
        (tmp_path / "secret").chmod(0)
        said = as_nobody(tmp_path, "put_path(LocalStore(root), path / 'secret')")
        assert said.startswith("UsageError: ")
        assert "secret cannot be read: Permission denied" in said
        (tmp_path / "folder").mkdir(mode=0)
        said = as_nobody(tmp_path, "put_path(LocalStore(root), path / 'folder')")
        (tmp_path / "folder").chmod(0o755)
        assert "folder cannot be read: Permission denied" in said


def as_nobody(tmp_path, expression):
    """Evaluate the Python *expression* in a process of an ordinary user; return the error that it raises, as text."""
    code = f"""
import os, sys
from pathlib import Path
from gitmodel.errors import GitModelError
from gitmodel.stores.artifacts.fetching import get_file, get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.local_store import LocalStore
path = Path(sys.argv[1])
root = path / "store"
list(LocalStore(root).digests()); get_file  # imported before the rights to do so are gone
import concurrent.futures.thread, shutil, traceback
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    print("returned", {expression})
except GitModelError as error:
    print(f"{{type(error).__name__}}: {{error.message}}; {{error.hint}}")
"""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)  # otherwise other users cannot enter pytest's folders
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestLocalStore:
    def test_objects_have_the_documented_paths_and_are_read_only(self, local):
        digest = put(local, b"a")
        assert stat.S_IMODE(place_of(local, digest).stat().st_mode) == 0o444
        assert local.path(digest) == place_of(local, digest)
        assert files_under(local.root) == {f"sha256/{hex_of(digest)[:2]}/{hex_of(digest)[2:]}": b"a"}

    def test_folders_of_a_store_get_the_permissions_of_its_root(self, tmp_path):
        (tmp_path / "store").mkdir()
        (tmp_path / "store").chmod(0o2775)
        store = LocalStore(tmp_path / "store", shared=True)
        digest = put(store, b"a")
        assert stat.S_IMODE(place_of(store, digest).parent.stat().st_mode) == 0o2775

    def test_a_file_that_is_a_link_or_not_named_by_a_digest_is_not_listed_as_an_object(self, local):
        digest = put(local, b"a")
        (local.root / "sha256" / "README").touch()
        (place_of(local, digest).parent / "note").touch()
        place_of(local, ABSENT).parent.mkdir(exist_ok=True)
        place_of(local, ABSENT).symlink_to(place_of(local, digest))
        assert list(local.digests()) == [digest]

    @pytest.mark.parametrize("damage", ["truncated", "emptied", "altered", "grown", "last byte"])
    def test_a_damaged_object_is_refused_by_every_reader_and_repaired_by_a_put(self, local, tmp_path, damage):
        content = BIG + b"end"
        digest = put(local, content)
        place = place_of(local, digest)
        overwrite(
            place,
            {
                "truncated": content[:-1],
                "emptied": b"",
                "altered": content[:1000] + b"?" + content[1001:],
                "grown": content + b"more",
                "last byte": content[:-1] + b"?",
            }[damage],
        )
        for ask in (
            lambda: read(local, digest),
            lambda: local.path(digest),
            lambda: verify_file(local, digest),
            lambda: get_file(local, digest, tmp_path / "copy"),
        ):
            with error_with_hint(Invalid, f"{digest} is damaged", "`git model link`"):
                ask()
        assert [path.name for path in tmp_path.iterdir()] == ["store"]
        put(local, content)
        assert read(local, digest) == content

    def test_a_reader_that_asks_for_exactly_the_length_of_a_damaged_object_gets_an_error(self, local):
        digest = put(local, b"abc")
        overwrite(place_of(local, digest), b"abX")
        with local.open(digest) as reader, pytest.raises(Invalid, match="damaged"):
            reader.read(3)

    @pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
    def test_a_link_or_folder_in_place_of_an_object_is_refused(self, local, tmp_path, kind):
        digest = put(local, b"a")
        place = place_of(local, digest)
        place.unlink()
        (tmp_path / "equal").write_bytes(b"a")
        if kind == "link":
            place.symlink_to(tmp_path / "equal")
        elif kind == "folder":
            place.mkdir()
        else:
            os.mkfifo(place)
        assert not local.holds(digest)
        assert list(local.digests()) == []
        for ask in (lambda: local.open(digest), lambda: local.path(digest)):
            with pytest.raises(Invalid, match="not a regular file"):
                ask()
        if kind == "folder":
            with pytest.raises(Invalid, match="is a folder"):
                put(local, b"a")
            assert os.listdir(local.root / "tmp") == []
        else:
            put(local, b"a")
            assert read(local, digest) == b"a"

    def test_a_store_without_read_permission_is_reported_as_unreachable(self, local, tmp_path):
        digest = put(local, b"a")
        place_of(local, digest).chmod(0)
        said = as_nobody(tmp_path, f"LocalStore(root).open({digest!r})")
        assert said.startswith(f"Unreachable: the artifact store fails at {place_of(local, digest)}: Permission denied")
        assert "ask for access" in said
        (tmp_path / "open").write_bytes(b"mine")
        said = as_nobody(tmp_path, "put_path(LocalStore(root), path / 'open')")
        assert said.startswith("Unreachable: ")
        local.root.chmod(0)
        try:
            said = as_nobody(tmp_path, f"LocalStore(root).holds({digest!r})")
        finally:
            local.root.chmod(0o755)
        assert said.startswith("Unreachable: ")

    def test_a_shared_store_whose_folder_is_gone_is_reported_as_unreachable(self, tmp_path):
        store = LocalStore(tmp_path / "not mounted" / "store", shared=True)
        for ask in (
            lambda: store.open(ABSENT),
            lambda: store.holds(ABSENT),
            lambda: store.size(ABSENT),
            lambda: list(store.digests()),
            lambda: store.remove(ABSENT),
            lambda: put(store, b"a"),
            store.leftovers,
        ):
            with error_with_hint(Unreachable, "does not exist", "mounted"):
                ask()
        assert not store.root.parent.exists()

    @pytest.mark.parametrize("call", ["write", "fsync", "replace", "fchmod"])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
    def test_an_upload_to_a_failing_disk_is_reported_and_leaves_no_file(self, local, monkeypatch, call, code):
        def fail(*_):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(local_store.os, call, fail)
        with pytest.raises(Unreachable, match=os.strerror(code)) as caught:
            put(local, b"a")
        assert str(local.root) in caught.value.message
        assert caught.value.hint
        monkeypatch.undo()
        assert os.listdir(local.root / "tmp") == []
        assert list(local.digests()) == []

    def test_a_download_to_a_failing_disk_leaves_no_file_at_the_target(self, local, tmp_path, monkeypatch):
        digest = put(local, BIG)

        def fail(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(fetching.os, "write", fail)
        with pytest.raises(Unreachable, match=r"cannot be written: No space left"):
            get_file(local, digest, tmp_path / "copy")
        assert os.listdir(tmp_path) == ["store"]

    def test_a_put_syncs_a_file_before_renaming_it_into_place(self, local, monkeypatch):
        calls = []
        for name in ("fsync", "replace"):
            real = getattr(os, name)
            monkeypatch.setattr(local_store.os, name, lambda *a, n=name, r=real: (calls.append(n), r(*a))[1])
        put(local, b"a")
        assert calls.index("fsync") < calls.index("replace")
        assert calls[-1] == "fsync"  # of the folder, so that the new name of the file survives a power failure

    def test_two_processes_can_put_the_same_content_at_the_same_time(self, local, tmp_path):
        (tmp_path / "big").write_bytes(BIG * 4)
        code = (
            "import sys; from pathlib import Path\n"
            "from gitmodel.stores.artifacts.storing import put_path\n"
            "from gitmodel.stores.local_store import LocalStore\n"
            "store = LocalStore(Path(sys.argv[1])); sys.stdin.read()\n"
            "for _ in range(20): print(put_path(store, Path(sys.argv[2])).digest)"
        )
        command = [sys.executable, "-c", code, local.root, tmp_path / "big"]
        running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
        ]
        for process in running:
            process.stdin.close()
        for process in running:
            with process:
                assert set(process.stdout.read().split()) == {digest_of(BIG * 4)}
            assert process.returncode == 0
        assert list(local.digests()) == [digest_of(BIG * 4)]
        assert read(local, digest_of(BIG * 4)) == BIG * 4
        assert os.listdir(local.root / "tmp") == []

    def test_a_killed_upload_leaves_no_object_and_one_temporary_file_that_can_be_removed(self, local):
        code = (
            "import sys; from pathlib import Path\n"
            "from gitmodel.stores.local_store import LocalStore\n"
            "LocalStore(Path(sys.argv[1])).put_stream(sys.stdin.buffer.raw)"
        )
        with subprocess.Popen([sys.executable, "-c", code, local.root], stdin=subprocess.PIPE) as process:
            process.stdin.write(BIG[:100_000])
            process.stdin.flush()
            while not (written := [path for path in (local.root / "tmp").iterdir() if path.stat().st_size]):
                assert process.poll() is None
            assert local.leftovers() == []  # because the process that wrote the temporary file is still running
            process.send_signal(signal.SIGKILL)
        assert list(local.digests()) == []
        (left,) = local.leftovers()
        assert (left.name, left.size) == (str(written[0]), written[0].stat().st_size)
        assert written[0].name.startswith(f"{process.pid}-")
        local.remove_leftover(left)
        local.remove_leftover(left)
        assert local.leftovers() == []
        assert os.listdir(local.root / "tmp") == []

    def test_leftovers_lists_only_temporary_files_that_gitmodel_made(self, local, tmp_path):
        (tmp_path / "mine").write_bytes(b"mine")
        (local.root / "tmp" / "notes.txt").touch()
        (local.root / "tmp" / ("1-" + "0" * 32)).symlink_to(tmp_path / "mine")
        assert local.leftovers() == []
        assert (tmp_path / "mine").read_bytes() == b"mine"

    def test_put_starts_again_if_its_temporary_file_is_removed_before_put_locks_the_file(self, local, monkeypatch):
        real, swept = store_folder.lock, []

        def sweep_first(descriptor):
            if not swept:
                swept.extend((local.root / "tmp").iterdir())
                swept[0].unlink()
            real(descriptor)

        monkeypatch.setattr(store_folder, "lock", sweep_first)
        assert read(local, put(local, b"a")) == b"a"
        assert swept

    def test_operations_on_a_store_leave_no_file_open(self, local, tmp_path):
        def count():
            found = 0
            for descriptor in os.listdir("/proc/self/fd"):
                with suppress(FileNotFoundError):  # raised for the descriptor of this listing, which is closed now
                    found += os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path))
            return found

        digest = put(local, b"a")
        before = count()
        for _ in range(20):
            put(local, b"a")
            read(local, digest)
            local.leftovers()
            with pytest.raises(NotFound):
                local.open(ABSENT)
            with pytest.raises(ConnectionResetError):
                local.put_stream(Failing())
        assert count() == before == 0


class TestOpenStore:
    @pytest.mark.parametrize(
        "url",
        ["file:///srv/my%20models", "file:/srv/my%20models", "file://localhost/srv/my%20models", "/srv/my models"],
    )
    def test_a_store_named_by_a_path_or_file_url_counts_as_shared(self, url, tmp_path):
        store = open_store(url, default_root=tmp_path)
        assert store.shared
        assert store.root == Path("/srv/my models")
        assert store.url == "file:///srv/my%20models"

    def test_without_a_url_the_store_is_in_the_default_folder_and_does_not_count_as_shared(self, tmp_path):
        store = open_store("", default_root=tmp_path / "store")
        assert not store.shared
        assert store.root == tmp_path / "store"
        assert not (tmp_path / "store").exists()  # opening a store creates no folder

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("https://example.com/x", "no artifact stores of the kind https:"),
            ("s3:///models", "does not have the form s3://PLACE/PATH"),
            ("s3://bucket/models?x=1", "does not have the form s3://PLACE/PATH"),
            ("s3://ab/models", "'ab' is not a name of a bucket"),
            ("models", "does not name a folder"),
            ("file:models", "not absolute"),
            ("file://server/models", "does not name a folder"),
            ("file:///models?x=1", "does not name a folder"),
            ("file:///a%00b", "not absolute"),
            ("//server/models", "does not name a folder"),
            ("http://[", "not a URL"),
        ],
    )
    def test_text_that_is_not_the_url_of_a_store_is_refused(self, url, said, tmp_path):
        with error_with_hint(UsageError, said):
            open_store(url, default_root=tmp_path)

    @pytest.mark.parametrize(
        "url",
        [
            "s3://key:hunter2@bucket/models",
            "https://hunter2@example.com/",
            "file://me:hunter2@host/models",
            "hunter2@host:models",
            "s3://bucket/models?token=hunter2",
            "s3:key:hunter2@bucket",
        ],
    )
    def test_the_error_for_a_wrong_store_url_does_not_show_the_credentials_in_the_url(self, url, tmp_path):
        with pytest.raises(UsageError) as caught:
            open_store(url, default_root=tmp_path)
        assert "hunter2" not in caught.value.message + caught.value.hint
        assert caught.value.__cause__ is None


MANY = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.fetching import get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_folder
from gitmodel.stores.opening import open_store
folder = Path(sys.argv[1])
store = open_store("", default_root=folder / "store")
stored = put_path(store, folder / "many")
get_folder(store, stored.digest, folder / "got")
assert verify_folder(store, stored.digest) == stored
print(next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_storing_a_folder_of_very_many_files_uses_limited_memory(tmp_path, count):
    for number in range(count):
        if number % 1000 == 0:
            (tmp_path / "many" / f"{number // 1000}").mkdir(parents=True)
        (tmp_path / "many" / f"{number // 1000}" / f"{number}").write_bytes(b"%d" % number)
    done = subprocess.run([sys.executable, "-c", MANY, tmp_path], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 200  # MiB
    assert files_under(tmp_path / "got") == files_under(tmp_path / "many")
