"""Files and folders that contain credentials are not stored as artifacts, unless a setting allows it."""

import json
import os
import random
import time

import editing
import pytest
from transcripts import ask, succeed

from gitmodel import Client, Refused
from gitmodel.domain.secrets.credentials_in_files import TEXT_SIZE, credentials_in_file
from gitmodel.stores.sources.source_credentials import find_credentials

# Written in parts, so that no secret scanner reports this file.
TOKEN = "ghp_" + "a1B2" * 9
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA " + "PRIVATE KEY-----\n"
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key_id": "1", "private_key": KEY})
DOCKER = json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": "YWRhOmh1bnRlcjI="}}})
FILES = {
    ".env": "TOKEN=x",
    ".ENV": "TOKEN=x",
    ".env.local": "TOKEN=x",
    ".env.production": "TOKEN=x",
    ".netrc": "machine example.com login ada password x",
    "_netrc": "machine example.com login ada password x",
    ".Git-Credentials": "https://example.com",
    ".pgpass": "db:5432:*:ada:x",
    ".pypirc": "[pypi]\npassword = x",
    ".npmrc": "//registry.npmjs.org/:_authToken=abcdef",
    "id_rsa": "x",
    "id_dsa": "x",
    "id_ecdsa": "x",
    "ID_ED25519": "x",
    ".aws/credentials": "[default]\naws_secret_access_key = x",
    ".AWS/Credentials": "[default]\naws_secret_access_key = x",
    ".docker/config.json": DOCKER,
    ".kube/config": "users: []",
    "kaggle.json": '{"username": "ada", "key": "x"}',
    ".htpasswd": "ada:x",
    "application_default_credentials.json": "{}",
    "service.json": SERVICE_ACCOUNT,
    "deep/er/key.pem": KEY,
    "windows.pem": KEY.replace("\n", "\r\n"),
    "config.yaml": f"key: |\n  {KEY}",
    "cluster.yaml": "client-key-data: " + "LS0tLS1CRUdJTi" + "BSU0EgUFJJVkFURSBLRVktLS0tLQo=",
    "embedded.h": '"-----BEGIN EC ' + 'PRIVATE KEY-----\\n"\n"MHcCAQEEIIrYSSNQFaA2Hwf1"',
    "notes.txt": f"push with {TOKEN}",
    "notebook.ipynb": json.dumps({"source": [f"first\n{TOKEN}\n"]}),
    "train.py": 'hub_token = "hf_' + "aB3" * 12 + '"',
    "aws.sh": "export AWS_ACCESS_KEY_ID=AKIA" + "A1B2C3D4E5F6G7H8",
    "db.toml": 'url = "postgresql://ada:' + 'hunter2@db.example.com/x"',
    "latin.txt": f"caf\xe9 {TOKEN}".encode("latin-1"),
    "model.bin": b"\0\1" + TOKEN.encode(),  # at the start of a binary file
    "ghp_" + "a1B2" * 9: "a token as a name",
}
HARMLESS = {
    ".env.example": "TOKEN=",
    ".env.sample": "TOKEN=",
    ".env.template": "TOKEN=",
    ".env.local.example": "TOKEN=",
    "env": "x",
    ".environment": "x",
    ".env/lib/site.py": "x = 1",
    ".env.39/lib/site.py": "x = 1",
    "id_rsa.pub": "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 ada",
    ".ssh/known_hosts": "example.com ssh-ed25519 AAAA",
    "public.pem": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkq\n-----END PUBLIC KEY-----",
    "cert.pem": "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkq\n-----END CERTIFICATE-----",
    ".npmrc": "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
    "credentials": "what is asked of a user",
    "config.json": json.dumps({"hidden_size": 768, "pad_token_id": 0, "auth": "a gate of attention"}),
    ".docker/config.json": '{"auths": {}, "credsStore": "desktop"}',
    "password.txt": "password = x\nsecret: y\napi_key=abcdefgh",
    "README.md": "Set AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE, HF_TOKEN=hf_" + "x" * 34 + " or ghp_" + "0" * 36,
    "urls.md": "postgresql://user:password@localhost/db http://a:${PW}@h http://a:***@h ssh://git@example.com:22/x",
    "min.json": '{"url":"http://example.com","mail":"ada@example.com"}',
    "check.py": 'if "-----BEGIN PRIVATE KEY-----" in text or text.startswith("-----BEGIN RSA PRIVATE KEY-----\\n"):',
    "docs.md": "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n`-----BEGIN PRIVATE KEY-----` begins it",
    "requirements.txt": "scikit-learn==1.5\ntorch @ https://download.pytorch.org/whl/torch.whl#sha256=" + "ab" * 32,
    "slug.html": '<a href="/pypi-' + "packages-that-steal-data-from-the-machines-of-developers" + '">',
    "merges.txt": "#version: 0.2\n\u0120 t\n\u0120 a\nh e\ns k -\ng h p _\n",
    "late.bin": b"\0" * 9000 + TOKEN.encode(),
    "late.txt": b"a" * TEXT_SIZE + b" " + TOKEN.encode(),
    "empty.txt": "",
}


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def stored(client):
    return [path for path in client.store_root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_credentials_is_refused_in_a_folder_and_alone(client, folder, name):
    path = put(folder, name, FILES[name])
    with editing.refs_unchanged(client.repository.common_dir):
        version = client.get_version("iris@1")
        ways = [
            lambda: version.link_artifact("weights", folder, kind="model"),
            lambda: client.get_model("iris").create_version(model_objects={"weights": folder}),
            lambda: client.get_model("iris").create_version(data={"a": __file__}, deployments={"weights": folder}),
        ]
        if name != TOKEN:  # a single file may have a token as its name, because gitmodel does not store this name
            ways.append(lambda: version.link_artifact("weights", path))
        for store in ways:
            with pytest.raises(Refused, match=r"^the artifact weights seems to hold credentials: ") as refused:
                store()
            assert refused.value.message.endswith("; nothing was stored")
            assert "git -c gitmodel.allowCredentials=true model" in refused.value.hint
            assert TOKEN not in refused.value.message
        assert stored(client) == []


@pytest.mark.parametrize("name", HARMLESS)
def test_a_file_that_only_resembles_a_credential_is_stored(client, folder, name):
    path = put(folder, name, HARMLESS[name])
    client.get_version("iris@1").link_artifact("weights", folder)
    client.get_version("iris@1").link_artifact("alone", path)
    assert {artifact.name for artifact in client.get_version("iris@1").artifacts} == {"weights", "alone"}


def test_the_error_for_files_with_credentials_names_files_and_lines(client, folder):
    for name, content in {
        "a/.env": "",
        "b.txt": f"one\ntwo {TOKEN}\n{KEY}",
        "c/id_rsa": "",
        "d\u200f/.netrc": "",
    }.items():
        put(folder, name, content)
    with pytest.raises(Refused) as refused:
        client.get_version("iris@1").link_artifact("weights", folder)
    assert refused.value.message == (
        "the artifact weights seems to hold credentials: a/.env (environment variables), "
        "b.txt line 2 (a GitHub token), b.txt line 3 (a private key) and 2 more; nothing was stored"
    )
    assert find_credentials(folder)[-1] == r"'d\u200f/.netrc' (passwords for hosts)"


def test_a_file_is_refused_if_its_parent_folder_usually_contains_credentials(client, tmp_path):
    path = put(tmp_path, ".aws/credentials", "[default]")
    for source in (path, path.parent):
        with pytest.raises(Refused, match="keys for AWS"):
            client.get_version("iris@1").link_artifact("weights", source)


def test_a_symbolic_link_is_refused_if_the_link_or_its_target_is_named_like_a_file_of_credentials(
    client, tmp_path, folder
):
    secret, plain = put(tmp_path, ".netrc", "x"), put(tmp_path, "plain", "x")
    (tmp_path / "harmless").symlink_to(secret)
    (tmp_path / "id_rsa").symlink_to(plain)
    for name in ("harmless", "id_rsa"):
        with pytest.raises(Refused, match="seems to hold credentials"):
            client.get_version("iris@1").link_artifact("weights", tmp_path / name)
    (folder / ".env").symlink_to("model.bin")
    with pytest.raises(Refused, match=r"\.env \(environment variables\)"):
        client.get_version("iris@1").link_artifact("weights", folder)


def test_the_command_line_refuses_a_file_with_credentials_unless_a_setting_allows_it(client, folder, capsys, git):
    put(folder, "sub/.env", "TOKEN=x")
    with editing.refs_unchanged(client.repository.common_dir):
        for words in (
            ("version", "create", "iris", "--model-object", f"weights={folder}"),
            ("version", "create", "iris", "--data", f"train={__file__}", "--model-object", f"weights={folder}"),
            ("link", "iris@1", "--data", f"weights={folder}"),
            ("link", "iris@1", "--data", f"train={__file__}", "--data", f"weights={folder / 'sub/.env'}"),
            ("--format", "json", "link", "iris@1", "--data", f"weights={folder}"),
        ):
            code, out, err = ask(capsys, *words)
            assert (code, out, "the artifact weights seems to hold credentials: " in err) == (6, "", True), words
        assert stored(client) == []
    code, _, err = ask(capsys, "link", "iris@1", "--data", f"weights={folder}")
    assert err == (
        "error: the artifact weights seems to hold credentials: sub/.env (environment variables); nothing was stored\n"
        "hint: store a copy without them; if it is no credential, run the command as "
        "`git -c gitmodel.allowCredentials=true model ...` "
        "(in Python: run `git config gitmodel.allowCredentials true`, and open the Client again)\n"
    )
    git(client.repository.common_dir, "config", "gitmodel.allowCredentials", "true")
    succeed(capsys, "link", "iris@1", "--data", f"weights={folder}", "--data", f"train={__file__}")
    with Client(client.repository.common_dir) as again:
        again.get_model("iris").create_version(data={"weights": folder})
        again.get_version("iris@2").link_artifact("more", folder)


def test_a_file_with_credentials_is_refused_in_a_registry_by_url(client, folder, tmp_path, git, capsys, monkeypatch):
    git(tmp_path, "clone", "-q", "--bare", str(client.repository.common_dir), "remote.git")
    remote, store = tmp_path / "remote.git", tmp_path / "store"
    store.mkdir()
    monkeypatch.setenv("GITMODEL_STORE", store.as_uri())
    put(folder, ".env", "TOKEN=x")
    with editing.refs_unchanged(remote):
        with Client(repo=remote.as_uri()) as by_url:
            for store_it in (
                lambda: by_url.get_version("iris@1").link_artifact("weights", folder),
                lambda: by_url.get_model("iris").create_version(data={"weights": folder}),
            ):
                with pytest.raises(Refused, match=r"\.env"):
                    store_it()
        words = ("--repo", remote.as_uri(), "version", "create", "iris", "--data", f"weights={folder}")
        assert ask(capsys, *words)[0] == 6
    assert not [path for path in store.rglob("*") if path.is_file()]
    for name, value in {"COUNT": "1", "KEY_0": "gitmodel.allowCredentials", "VALUE_0": "true"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    succeed(capsys, *words)


def test_an_artifact_recorded_with_credentials_is_read_pushed_and_verified(
    client, folder, git, capsys, tmp_path, origin
):
    put(folder, ".env", "TOKEN=x")
    git(client.repository.common_dir, "config", "gitmodel.allowCredentials", "true")
    with Client(client.repository.common_dir) as allowed:
        allowed.get_version("iris@1").link_artifact("weights", folder)
    git(client.repository.common_dir, "config", "--unset", "gitmodel.allowCredentials")
    for words in (
        ("get", "iris@1", "weights", "-o", str(tmp_path / "got")), ("verify",), ("check",),
        ("init", "--store", (tmp_path / "shared").as_uri()), ("push",), ("pull",),
        ("metadata", "set", "iris@1", "accuracy=0.9"), ("promote", "iris@1", "production"),
    ):  # fmt: skip
        code, _, err = ask(capsys, *words)
        assert code == 0, (words, err)
    assert (tmp_path / "got/.env").read_text() == "TOKEN=x"


class TestCost:
    def test_only_the_beginning_of_a_large_file_is_searched_for_credentials(self, tmp_path, monkeypatch):
        read = []
        for name, head in (("text", b"a" * 10_000), ("binary", b"\0")):
            path = put(tmp_path, name, head)
            os.truncate(path, 1 << 30)
        readv = os.readv
        monkeypatch.setattr(os, "readv", lambda *a: read.append(readv(*a)) or read[-1])
        assert find_credentials(tmp_path) == []
        assert sum(read) <= TEXT_SIZE + 2 * 8192

    def test_a_vocabulary_file_is_searched_quickly_and_accepted(self):
        drawn = random.Random(7)
        letters = "abcdefghijklmnopqrstuvwxyz0123456789_-=/:\u0120"
        words = {"".join(drawn.choices(letters, k=drawn.randint(1, 12))): index for index in range(100_000)}
        for content in (json.dumps(words), json.dumps(words, indent=2), "\n".join(words)):
            began = time.process_time()
            assert list(credentials_in_file(content.encode()[:TEXT_SIZE], "tokenizer.json")) == []
            assert time.process_time() - began < 2

    @pytest.mark.parametrize(
        "text",
        [
            "-eyJ", ".eyJaaaaaaaaaa", "://a:", "://", "sk-", "a1Q~", "-----BEGIN PRIVATE KEY-----", '"auths":{',
            "-----BEGIN PRIVATE KEY-----" + "\\" * 60_000, "-----BEGIN PRIVATE KEY-----" + "\\\\\\n" * 20_000 + "!",
            "hooks.slack.com/services/T", "https://a", "glpat-",
        ],
        ids=lambda text: text[:20],
    )  # fmt: skip
    def test_a_text_that_is_made_to_slow_the_search_down_is_searched_quickly(self, text):
        content = (text * (TEXT_SIZE // len(text)))[:TEXT_SIZE].encode()
        began = time.process_time()
        list(credentials_in_file(content, "config.json"))
        assert time.process_time() - began < 10
