"""Text that looks like a credential (a token, key or password) is not recorded, unless a setting allows it."""

import json
import time
import uuid
from dataclasses import replace

import editing
import pytest
from editing import BRANCH
from transcripts import ask, end_with, succeed

from gitmodel import Client, Refused
from gitmodel.domain.schema.codec import encode
from gitmodel.domain.secrets.credentials import credential_in, redacted, without_credentials

# Written in parts, so that no secret scanner reports this file.
CREDENTIALS = {
    "AWS": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS secret": "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "Azure": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "a1B2" * 21 + "==",
    "Azure SAS": "https://x.blob.core.windows.net/c?sv=2023-01-01&sig=" + "a1B2" * 8 + "%3D",
    "Google": "AIza" + "a1B2c" * 7,
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub fine-grained": "github_pat_" + "a1B2c" * 12,
    "GitLab": "glpat-" + "a1B2" * 5,
    "Hugging Face": "hf_" + "aB3" * 12,
    "OpenAI": "sk-proj-" + "a1B2" * 10,
    "Slack": "xoxb-" + "1234567890-abcdefghij",
    "npm": "npm_" + "a1B2" * 9,
    "DigitalOcean": "dop_v1_" + "0a1b2c3d" * 8,
    "Replicate": "r8_" + "a1B2" * 9 + "c",
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" + "a1B2" * 12,
    "JWT": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".c2lnbmF0dXJl",
    "private key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNz\n-----END OPENSSH PRIVATE KEY-----",
    "PGP key": "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----",
    "URL": "postgresql://ada:" + "hunter2@db.example.com/x",
    "token in a URL": "https://git.example.org/x.git?private_token=" + "hunter2hunter2",
    "token as user": "https://" + "0a1b2c3d" * 5 + "@codeberg.org/org/models",
    "command line": "psql --password=" + "hunter2 -h db",
    "token of an option": "fetch --token=" + "0a1b2c3d" * 4,
    "token of a header": "X-Token: " + "aB3dE5fG7h" * 3,
}
NAMES = [
    "password", "db_password", "DB_PASSWORD", "db-password", "dbPassword", "passwd", "passphrase", "secret",
    "client_secret", "api_key", "apiKey", "API-Key", "access_key", "aws_secret_access_key", "private_key",
    "access_token", "auth_token", "github_token", "hf_token", "connection_string",
]  # fmt: skip
HARMLESS = {
    "max_tokens": 512, "pad_token": "<pad>", "eos_token": "</s>", "eos_token_id": 50256, "tokenizer": "bpe-32k",
    "key": "3f8a", "num_tokens": 1_000_000_000, "token_count": 40_000, "mask_token": "[MASK]", "token": "<unk>",
    "key_dim": 64, "n_keys": 3, "primary_key": "id", "secretary": "Ada", "bypass": "yes", "password_policy": "strict",
    "digest": "sha256:" + "ab" * 32,
    "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8", "md5": "d41d8cd98f00b204" * 2,
    "id": str(uuid.UUID(int=7 << 90)), "learning_rate": 3e-4, "optimizer": "adamw", "password": "", "api_key": "***",
    "secret": "<from the vault>", "db_password": "$DB_PASSWORD", "estimator": "sk-learn-logistic-regression-v1",
    "data": "s3://bucket/iris@2026/train.csv", "repository": "git@example.com:iris.git",
    "home": "/home/ada/Iris-2/x.csv",
    "command": "train --lr=0.1 --max_tokens=512 --password=$PW", "page": "https://example.com/x?page=3#token",
    "split": "token=unaffordability2", "tokens": "token: 1234567890123456789012", "model": "token=bertbaseuncased",
    "nested": {"layers": [{"key": "q", "size": 3}], "hidden_tokens": [1, 2, 3]},
}  # fmt: skip
TOKEN = CREDENTIALS["GitHub"]


@pytest.mark.parametrize("text", CREDENTIALS.values(), ids=CREDENTIALS)
def test_each_form_of_credential_is_recognized_alone_and_inside_of_a_text(text):
    assert credential_in(text)
    assert credential_in({"deep": [{"note": ["x", text]}]})
    assert credential_in({text: "x"})
    if credential_in(text) != "a secret key":
        assert credential_in(f"see {text} there")
        assert text not in redacted(f"see {text} there")


KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "Ab1/" * 16 + "\n" + "Cd2+" * 3 + "=\n"


@pytest.mark.parametrize(
    "text",
    [
        *(CREDENTIALS[name] + "Zq9-Zq9" for name in ("GitHub fine-grained", "OpenAI")),
        "Bearer " + "a1B2" * 12,
        "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmN",
        "AGE-SECRET-KEY-1" + "QPZRY9X8" * 6,
        KEY + "-----END RSA " + "PRIVATE KEY-----",
        KEY,
        KEY.replace("\n", "\\n") + " ",
    ],
)
def test_a_credential_in_a_message_is_replaced_completely(text):
    """The pattern of some kinds of credentials matches only the start of one. The rest must be hidden, too."""
    hidden = redacted(f"see {text} there")
    assert not any(part in hidden for part in (text[-12:-2], text[24:32])), hidden
    assert hidden.startswith("see (a")
    assert hidden.endswith("there")


def test_hiding_the_password_of_a_url_leaves_the_host_readable():
    assert redacted("from https://ada:pw@example.com/x.git") == "from (a password in a URL)example.com/x.git"


@pytest.mark.parametrize("name", ["token", "Token", "hub.token"])
def test_a_random_value_in_a_field_named_token_is_recognized_as_a_credential(name):
    assert credential_in({name: "0a1b2c3d" * 4}) == "a token"
    assert not credential_in({name: "unaffordability-2"})


@pytest.mark.parametrize("name", NAMES)
def test_a_value_in_a_field_with_a_name_such_as_password_is_recognized_as_a_credential(name):
    assert credential_in({name: "hunter2"}).endswith("by its name")
    assert credential_in({"deep": {name: ["hunter2"]}})
    assert credential_in({name: ""}) == credential_in({name: 7}) == credential_in({name: "$SECRET"}) == ""


def test_a_password_of_digits_only_is_recognized_as_a_credential():
    assert credential_in({"password": 123456})


@pytest.mark.parametrize("name", HARMLESS)
def test_text_that_only_resembles_a_credential_is_not_treated_as_a_credential(name):
    assert credential_in({name: HARMLESS[name]}) == ""
    assert without_credentials({name: HARMLESS[name]}) == ({name: HARMLESS[name]}, [])


@pytest.mark.parametrize(
    "text", ["a.a" * 20_000, "= " * 20_000, "x_" * 30_000 + "=", "://a:" * 9_000, "sk-" * 20_000, KEY[:31] * 20_000]
)
def test_a_text_that_is_made_to_slow_the_search_down_is_searched_quickly(text):
    began = time.process_time()
    credential_in(text)
    redacted(text)
    assert time.process_time() - began < 3


WRITES = {
    "metadata": lambda client, text: client.get_model("iris").create_version(metadata={"deep": {"note": [text]}}),
    "key of metadata": lambda client, text: client.get_model("iris").create_version(metadata={text: 1}),
    "inner key": lambda client, text: client.get_model("iris").create_version(metadata={"deep": {text: {"a": 1}}}),
    "description": lambda client, text: client.get_model("iris").create_version(description=f"see {text}"),
    "tags": lambda client, text: client.get_model("iris").create_version(tags=[text]),
    "name": lambda client, text: client.get_model("iris").create_version(name=text),
    "logged": lambda client, text: client.get_version("iris@1").log_metadata(note=text),
    "updated": lambda client, text: client.get_version("iris@1").update(description=text),
    "tag": lambda client, text: client.get_version("iris@1").update(add_tags=[text]),
    "reason": lambda client, text: client.get_version("iris@1").set_stage("staging", reason=text),
    "alias reason": lambda client, text: client.get_version("iris@1").add_alias("best", reason=text),
    "alias": lambda client, text: client.get_version("iris@1").add_alias(text),
    "model field": lambda client, text: client.register_model("rose", limitations=text),
    "model update": lambda client, text: client.get_model("iris").update(audience=text),
    "owner": lambda client, text: client.get_model("iris").update(owners=[text]),
    "model name": lambda client, text: client.register_model(text),
    "rename": lambda client, text: client.get_model("iris").rename(text),
    "deletion": lambda client, text: client.get_version("iris@1").delete(reason=text),
    "proposal": lambda client, text: client.propose(("iris@1", "staging"), reason=text),
}


@pytest.mark.parametrize("where", WRITES)
def test_a_credential_is_refused_in_every_field_and_nothing_changes(client, where):
    repo = client.repository.common_dir
    before = editing.state(repo)
    with pytest.raises(Refused, match="looks like") as refused:
        WRITES[where](client, TOKEN)
    assert TOKEN not in f"{refused.value.message} {refused.value.hint}"
    assert "git -c gitmodel.allowCredentials=true model" in refused.value.hint
    assert editing.state(repo) == before
    if where != "proposal":
        with pytest.raises(Refused, match="looks like"), client.transaction("several") as change:
            WRITES[where](change, TOKEN)
        assert editing.state(repo) == before


def test_a_credential_is_refused_as_metadata_of_an_artifact_and_message_of_a_transaction(client, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    version = client.get_model("iris").create_version(data={"train": tmp_path / "a.txt"})
    with pytest.raises(Refused, match=r"artifacts.train.metadata.api_key of iris@2 looks like an api key, by its name"):
        version.get_artifact("train").log_metadata(api_key="hunter2")
    with (
        pytest.raises(Refused, match="the message looks like it holds a GitHub token"),
        client.transaction(TOKEN) as it,
    ):
        it.register_model("rose")


def test_a_credential_in_metadata_is_refused_before_a_file_is_stored(client, tmp_path):
    (tmp_path / "a.txt").write_text("never stored")
    with pytest.raises(Refused, match=r"^metadata.db.password of iris@2 looks like a password, by its name; nothing"):
        client.get_model("iris").create_version(
            data={"train": tmp_path / "a.txt"}, metadata={"db": {"password": "hunter2"}}
        )
    assert not [path for path in client.store_root.rglob("*") if path.is_file()]


def test_the_command_line_refuses_a_credential_unless_a_setting_allows_it(client, capsys, git, code_repo):
    words = ("version", "create", "iris", "--metadata", "password=hunter2")
    code, out, err = ask(capsys, *words)
    assert (code, out) == (6, "")
    assert err == (
        "error: metadata.password of iris@2 looks like a password, by its name; nothing was written\n"
        "hint: if it is no credential, run the command as `git -c gitmodel.allowCredentials=true model ...` "
        "(in Python: run `git config gitmodel.allowCredentials true`, and open the Client again)\n"
    )
    for more in (
        ("update", "iris", "--description", TOKEN),
        ("register", "rose", "--license", TOKEN),
        ("promote", "iris@1", "staging", "--reason", TOKEN),
        ("alias", "set", "iris@1", "best", "--reason", TOKEN),
        ("metadata", "set", "iris@1", f"note={TOKEN}"),
        ("--format", "json", "metadata", "set", "iris@1", f"note={TOKEN}"),
    ):
        code, _, err = ask(capsys, *more)
        assert (code, "looks like" in err, TOKEN in err) == (6, True, False), more
    git(code_repo, "config", "gitmodel.allowCredentials", "true")
    succeed(capsys, *words)


def test_a_credential_is_refused_in_a_registry_by_url(client, bare_registry):
    with Client(repo=bare_registry.as_uri()) as by_url, pytest.raises(Refused, match=r"metadata\.note of iris@1"):
        by_url.get_version("iris@1").log_metadata(note=TOKEN)


@pytest.fixture
def bare_registry(client, tmp_path, git):
    git(tmp_path, "clone", "-q", "--bare", str(client.repository.common_dir), "remote.git")
    return tmp_path / "remote.git"


def record_by_hand(repo, password="hunter2"):
    """Commit a password to the record of iris@1 with plain git, which does not search for credentials."""
    with Client(repo) as client:
        record = client.repository.snapshot().version("iris", 1)
    spoken = replace(record, metadata={"password": password, "accuracy": 0.9})
    editing.edit(repo, {"models/iris/versions/1.toml": encode(spoken).decode()}, onto=BRANCH)


class TestCredentialsRecordedByOthers:
    def test_a_version_whose_record_has_a_credential_can_be_changed_renamed_and_promoted(self, client):
        record_by_hand(client.repository.common_dir)
        client.get_version("iris@1").log_metadata(accuracy=0.95)
        client.get_model("iris").rename("rose")
        client.get_version("rose@1").set_stage("production")
        with pytest.raises(Refused):
            client.get_version("rose@1").log_metadata(password="another")
        assert client.get_version("rose@1").metadata == {"accuracy": 0.95, "password": "hunter2"}

    def test_check_warns_of_a_recorded_credential_and_has_exit_code_0(self, client, capsys):
        record_by_hand(client.repository.common_dir)
        for words in ((), ("gitmodel",), ("gitmodel~1..gitmodel",)):
            _, err = end_with(capsys, 0, "check", *words)
            assert "warning: metadata.password of iris@1 looks like a password, by its name\n" in err
            assert "hint: revoke it where it was issued: it stays in the history\n" in err
            assert "hunter2" not in err
        assert client.find_credentials() == ["metadata.password of iris@1 looks like a password, by its name"]

    def test_pull_warns_of_a_credential_and_keeps_the_record(self, client, bare_registry, code_repo, capsys, git):
        git(code_repo, "remote", "add", "origin", str(bare_registry))
        succeed(capsys, "pull")
        record_by_hand(bare_registry)
        code, out, err = ask(capsys, "--format", "json", "pull")
        assert (code, err.count("metadata.password of iris@1 looks like a password")) == (0, 1)
        assert json.loads(out)["credentials"] == ["metadata.password of iris@1 looks like a password, by its name"]
        assert client.get_version("iris@1").metadata["password"] == "hunter2"
        code, out, err = ask(capsys, "--format", "json", "pull")
        assert (code, err) == (0, "")
        assert (json.loads(out)["commits"], json.loads(out)["credentials"]) == (0, [])
        record_by_hand(bare_registry, "another")
        code, _, err = ask(capsys, "pull")
        assert (code, err.count("warning: metadata.password of iris@1 looks like a password")) == (0, 1)

    def test_check_staged_warns_of_a_credential_before_the_commit(
        self, client, code_repo, capsys, git, tmp_path, monkeypatch
    ):
        work = tmp_path / "work"
        git(code_repo, "worktree", "add", "-q", "--detach", str(work), "gitmodel")
        record_by_hand(client.repository.common_dir)
        git(work, "checkout", "-q", "gitmodel", "--", "models")
        git(code_repo, "update-ref", BRANCH, f"{BRANCH}~1")
        monkeypatch.chdir(work)
        code, _, err = ask(capsys, "check", "--staged")
        assert (code, err.count("warning: metadata.password of iris@1 looks like a password")) == (0, 1)
        assert "hunter2" not in err


REMOTES = {
    "https://ada:s@cret@example.com/iris.git": "https://example.com/iris.git",
    "https://example.com/iris.git?private_token=hunter2": "https://example.com/iris.git",
    "https://example.com/iris.git#hunter2": "https://example.com/iris.git",
    "https://hunter2@example.com:8443/iris.git": "https://example.com:8443/iris.git",
    "ssh://git:hunter2@example.com:22/iris.git": "ssh://example.com:22/iris.git",
    "ssh://git@example.com:22/iris.git": "ssh://git@example.com:22/iris.git",
    "git+ssh://git@example.com/iris.git?key=hunter2": "git+ssh://git@example.com/iris.git",
    f"ssh://{TOKEN}@example.com/iris.git": "ssh://example.com/iris.git",
    "ssh://ada@hunter2@example.com/iris.git": "ssh://example.com/iris.git",
    "ssh://example.com/iris.git?key=hunter2": "ssh://example.com/iris.git",
    "ada:hunter2@example.com:team/iris.git": "example.com:team/iris.git",
    "ada:hunt@er2@example.com:team/iris.git": "example.com:team/iris.git",
    "git@example.com:team/iris.git": "git@example.com:team/iris.git",
    "example.com:iris.git": "example.com:iris.git",
    f"{TOKEN}@example.com:iris.git": "example.com:iris.git",
    f"https://example.com/{TOKEN}/iris.git": None,
    "https://ada:hun/hunter2@example.com/iris.git": None,
    "https://ada:hunter2/@example.com/iris.git": None,
    "https:ada:hunter2@example.com/iris.git": None,
    "[ada:hunter2@example.com:22]:iris.git": None,
    "https://[::1]:8443/iris.git": "https://[::1]:8443/iris.git",
    "git@[::1]:iris.git": "git@[::1]:iris.git",
    "git@example.com:team/iris@2.git": "git@example.com:team/iris@2.git",
    "/home/hunter2/iris.git": None,
    "../hunter2/iris.git": None,
    "~/hunter2": None,
    "hunter2.bundle": None,
    "C:\\hunter2\\iris": None,
    "C:/hunter2/iris": None,
    "file:///home/hunter2/iris.git": None,
    "FILE:///home/hunter2/iris.git": None,
    "ext::ssh -i hunter2 %S example.com": None,
    "": None,
}


@pytest.mark.parametrize("url", REMOTES)
def test_the_url_of_the_code_repository_is_recorded_without_credentials_and_local_paths(client, url, code_repo, git):
    git(code_repo, "config", "remote.origin.url", url)
    with Client(code_repo) as another:
        assert another.get_model("iris").create_version().code.repository == REMOTES[url]
    assert "hunter2" not in git(code_repo, "show", "gitmodel")


@pytest.mark.parametrize(
    "url",
    ["https://ada:hunter2@127.0.0.1:9/x.git", "ada:hunter2@x.invalid:x.git", "http://127.0.0.1:9/x?token=hunter2"],
)
def test_an_unreachable_remote_is_reported_without_its_credentials(client, url, capsys, git, code_repo, tmp_path):
    git(code_repo, "config", "remote.origin.url", url)
    git(code_repo, "config", "core.sshCommand", "false")
    clone = ("clone", url, str(tmp_path / "x"))
    for words in (
        ("remote",), ("pull",), ("push",), ("propose", "iris@1", "staging", "--push"), clone, ("--repo", url, "list"),
        ("init", "--from", url), ("config",),
    ):  # fmt: skip
        code, out, err = ask(capsys, *words)
        assert "hunter2" not in out + err, (words, code, out, err)
