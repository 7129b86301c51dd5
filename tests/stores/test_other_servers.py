"""Behaviour that only stores in an OCI registry or over SFTP have.

The tests cover logins, credential helpers, host keys, leftovers and damage.
"""

import base64
import io
import json
import os
import random
import sys
from pathlib import Path

import pytest
from store_kinds import read
from transcripts import ask

from gitmodel.domain.schema.digests import digest_of, hex_of
from gitmodel.errors import Invalid, Unreachable, UsageError
from gitmodel.stores.artifacts.fetching import get_file
from gitmodel.stores.artifacts.verifying import verify_file
from gitmodel.stores.opening import open_store
from gitmodel.stores.servers import sftp as over_sftp

LARGE = random.Random(2).randbytes(3 * over_sftp.PART + 1000)


def put(store, content):
    return store.put_stream(io.BytesIO(content))[0]


HELPERS = {
    "exit 1": "gives no credentials for .*: it ended with 1",
    "echo 'the keychain is locked' >&2; exit 1": "it ended with 1: the keychain is locked",
    "echo '{'": "it answers no JSON object",
    "echo '[]'": "it answers no JSON object",
    "": "it answers no JSON object",
    None: "docker-credential-spoilt, which .*/config.json names, gives no credentials .*: it is not installed",
}


@pytest.mark.xdist_group("oci")
class TestRegistry:
    @pytest.fixture
    def store(self, registry, tmp_path):
        url = f"oci://{registry}/models/{os.urandom(8).hex()}"
        return open_store(url, default_root=tmp_path / "copies")

    def test_the_error_for_an_unauthenticated_user_says_how_to_log_in(self, store, hermetic):
        (hermetic / ".docker" / "config.json").unlink()
        with pytest.raises(Unreachable, match="no credentials for the registry") as caught:
            store.create()
        assert "docker login 127.0.0.1:" in caught.value.hint

    def test_the_error_for_a_wrong_password_names_the_user(self, store, hermetic, registry):
        known = {"auths": {registry: {"auth": base64.b64encode(b"ada:guessed").decode()}}}
        (hermetic / ".docker" / "config.json").write_text(json.dumps(known))
        with pytest.raises(Unreachable, match=r"refuses .* to ada: UNAUTHORIZED") as caught:
            put(store.origin, b"a")
        assert "guessed" not in caught.value.message

    @pytest.mark.parametrize("script", HELPERS)
    @pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
    def test_a_credential_helper_that_fails_is_named(self, store, hermetic, registry, monkeypatch, script, key):
        known = {"credsStore": "spoilt"} if key == "credsStore" else {"credHelpers": {registry: "spoilt"}}
        (hermetic / ".docker" / "config.json").write_text(json.dumps(known))
        if script is not None:
            helper = hermetic / "docker-credential-spoilt"
            helper.write_text(f"#!/bin/sh\n{script}\n")
            helper.chmod(0o755)
            monkeypatch.setenv("PATH", f"{hermetic}:{os.environ['PATH']}")
        with pytest.raises(Unreachable, match=HELPERS[script]) as caught:
            store.create()
        assert caught.value.exit_code == 7
        assert f"docker login {registry}" in caught.value.hint

    def test_a_credential_helper_without_credentials_is_not_an_error(self, store, hermetic, monkeypatch):
        (hermetic / ".docker" / "config.json").write_text('{"credsStore": "empty"}')
        helper = hermetic / "docker-credential-empty"
        helper.write_text("#!/bin/sh\necho 'credentials not found in native keychain'; exit 1\n")
        helper.chmod(0o755)
        monkeypatch.setenv("PATH", f"{hermetic}:{os.environ['PATH']}")
        with pytest.raises(Unreachable, match="no credentials for the registry"):
            store.create()

    @pytest.mark.parametrize(
        "text",
        ["{", "[]", "7", '{"auths": {"HOST": 7}}', '{"auths": {"HOST": {"auth": "?"}}}',
         '{"auths": {"HOST": {"auth": 7}}}', '{"credHelpers": 7}',
         '{"credsStore": "../evil"}', '{"credsStore": 7.5e3}'],
    )  # fmt: skip
    def test_a_malformed_docker_configuration_is_named(self, store, hermetic, registry, text):
        (hermetic / ".docker" / "config.json").write_text(text.replace("HOST", registry))
        with pytest.raises((UsageError, Unreachable), match=r"/config\.json") as caught:
            store.create()
        assert f"docker login {registry}" in caught.value.hint

    @pytest.mark.parametrize("content", [b"a model", LARGE], ids=["small", "large"])
    def test_a_blob_changed_by_another_program_is_detected(self, store, registry, tmp_path, tmp_path_factory, content):
        # stores bytes that no other test stores, because repositories of a registry share blobs
        content += b"of this test alone"
        digest = put(store.origin, content)
        name = hex_of(digest)
        place = f"registry0/data/docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"
        blob = tmp_path_factory.getbasetemp() / place
        blob.write_bytes(content[:-1] + b"?")
        with pytest.raises(Invalid, match="damaged"):
            get_file(store, digest, tmp_path / "got")
        with pytest.raises(Invalid, match="damaged"):
            verify_file(store, digest)

    def test_an_invalid_name_of_an_oci_repository_is_refused(self):
        for url in ("oci://host/Capital", "oci://host/", "oci://host/a..b"):
            with pytest.raises(UsageError, match="not a name of a repository"):
                open_store(url, default_root=Path())

    def test_commands_store_and_read_artifacts_in_an_oci_registry(self, registry, code_repo, monkeypatch, capsys):
        monkeypatch.chdir(code_repo)
        assert ask(capsys, "init", "--store", f"oci://{registry}/team/models")[0] == 0
        assert ask(capsys, "register", "iris")[0] == 0
        code, _, err = ask(capsys, "version", "create", "iris", "--data", "script=train.py")
        assert (code, err) == (0, "")
        assert ask(capsys, "get", "iris@1", "script", "-o", "got.py")[0] == 0
        assert ask(capsys, "verify")[0] == 0


@pytest.mark.xdist_group("sftp")
class TestSftp:
    @pytest.fixture
    def url(self, sftp, tmp_path):
        return f"sftp://{sftp}{tmp_path}/store"

    @pytest.fixture
    def store(self, url, tmp_path):
        made = open_store(url, default_root=tmp_path / "copies")
        made.create()
        return made

    def test_a_store_over_sftp_has_the_layout_of_a_store_in_a_folder(self, store, tmp_path):
        digests = {put(store, content) for content in (b"a", b"", LARGE)}
        folder = open_store((tmp_path / "store").as_uri(), default_root=tmp_path)
        assert set(folder.digests()) == digests
        assert all(verify_file(folder, digest) for digest in digests)

    def test_an_sftp_host_missing_from_known_hosts_is_refused(self, url, hermetic, tmp_path):
        (hermetic / ".ssh" / "known_hosts").write_text("")
        with pytest.raises(Unreachable, match="fails: Host key is not trusted") as caught:
            open_store(url, default_root=tmp_path).create()
        assert "ssh HOST" in caught.value.hint

    def test_a_damaged_partial_upload_is_sent_again(self, store, tmp_path):
        (tmp_path / "store" / "tmp" / hex_of(digest_of(LARGE))).write_bytes(b"?" * len(LARGE) + b"more")
        digest = put(store, LARGE)
        assert read(store.origin, digest) == LARGE

    def test_a_store_whose_folder_is_missing_is_unreachable_and_not_empty(self, sftp, tmp_path):
        store = open_store(f"sftp://{sftp}{tmp_path}/nowhere", default_root=tmp_path).origin
        for ask_for in (lambda: store.holds(digest_of(b"a")), lambda: list(store.objects()), store.leftovers):
            with pytest.raises(Unreachable, match="does not exist"):
                ask_for()


@pytest.mark.parametrize(("scheme", "extra"), [("gs", "gcs"), ("az", "azure")])
def test_a_library_that_is_missing_is_reported_with_the_command_to_run(scheme, extra, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, {"gs": "google.auth", "az": "azure.core.exceptions"}[scheme], None)
    store = open_store(f"{scheme}://bucket/models", default_root=tmp_path)
    with pytest.raises(UsageError, match="which is not installed") as caught:
        store.create()
    assert caught.value.hint == f"pip install 'gitmodel[{extra}]'"
