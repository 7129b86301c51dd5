"""What a version records of its code: nothing makes a changed work tree pass for a clean one, whatever git is told."""

import pytest
from transcripts import ask

from gitmodel import Client


@pytest.fixture
def sha256(tmp_path, git, monkeypatch):
    """Code in a SHA-256 repository, and its registry in another one."""
    git(tmp_path, "init", "-q", "--bare", "registry.git")
    git(tmp_path, "init", "-q", "--object-format=sha256", "code")
    code = tmp_path / "code"
    (code / "train.py").write_text("print('training')\n")
    git(code, "add", "train.py")
    git(code, "commit", "-q", "-m", "Begin")
    monkeypatch.chdir(code)
    return code


class TestSha256:
    def test_the_registry_is_set_where_no_registry_could_be(self, sha256, tmp_path, capsys, git):
        assert ask(capsys, "register", "iris")[0] == 2
        assert ask(capsys, "config", "repo", "../registry.git") == (0, f"repo is {tmp_path}/registry.git now\n", "")
        assert ask(capsys, "register", "iris")[0] == 0
        assert ask(capsys, "version", "create", "iris", "-q")[0:2] == (0, "iris@1\n")
        assert ask(capsys, "config", "repo")[1] == f"{tmp_path}/registry.git\n"
        code, _, err = ask(capsys, "config", "repo", ".")
        assert (code, "SHA256" in err) == (2, True)

    def test_a_version_is_recorded_kept_pushed_and_checked_out(self, sha256, tmp_path, capsys, git):
        ask(capsys, "config", "repo", "../registry.git")
        git(tmp_path, "init", "-q", "--bare", "--object-format=sha256", "host.git")
        git(sha256, "remote", "add", "origin", "../host.git")
        git(sha256, "push", "-q", "origin", "HEAD:refs/heads/main")
        head = git(sha256, "rev-parse", "HEAD")
        with Client() as client:
            iris = client.register_model("iris")
            assert iris.create_version().code.commit == head
            git(sha256, "config", "gitmodel.dirty", "snapshot")
        (sha256 / "train.py").write_text("print('changed')\n")
        with Client() as client:
            client.repository.git.run("config", "gitmodel.dirty", "snapshot")
        with Client() as client:
            made = client.get_model("iris").create_version()
            snapshot = made.code.snapshot
            assert len(snapshot) == 64
            assert client._find_kept().kept() == sorted([head, snapshot])
            git(sha256, "checkout", "-q", "train.py")
            found = made.checkout(tmp_path / "there")
            assert (found.commit, (tmp_path / "there/train.py").read_text()) == (
                snapshot,
                "print('changed')\n",
            )
        assert ask(capsys, "checkout", "iris@1", str(tmp_path / "first"))[0] == 0
        assert (tmp_path / "first/train.py").read_text() == "print('training')\n"
        assert ask(capsys, "contains", head)[0] == 0
        from gitmodel.lineage.code import push_code

        with Client() as client:
            assert sorted(push_code(client._find_kept(), "origin", "all").pushed) == sorted([head, snapshot])
            assert push_code(client._find_kept(), "origin", "all").pushed == ()
        assert f"refs/gitmodel/code/{head}" in git(tmp_path / "host.git", "for-each-ref")
        # what a push kept is fetched
        git(tmp_path, "clone", "-q", "--single-branch", "host.git", "other")
        with Client(tmp_path / "other", repo=tmp_path / "registry.git") as client:
            assert client.get_version("iris@2").checkout(tmp_path / "again").commit == snapshot

    def test_a_run_is_made_again(self, sha256, tmp_path, capsys, git, monkeypatch):
        monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
        ask(capsys, "config", "repo", "../registry.git")
        (sha256 / ".gitignore").write_text("__pycache__/\n")
        (sha256 / "flow.py").write_text(
            "from typing import Annotated\n"
            "from gitmodel import ModelConfig, pipeline, step\n\n\n"
            "@step\ndef fit() -> Annotated[dict, 'classifier']:\n    return {'seed': 1}\n\n\n"
            "@pipeline(model_config=ModelConfig(name='demo', create_new_model_version=True), enable_cache=False)\n"
            "def train():\n    fit()\n"
        )
        git(sha256, "add", ".")
        git(sha256, "commit", "-q", "-m", "Flow")
        assert ask(capsys, "register", "demo")[0] == 0
        assert ask(capsys, "run", "flow.py")[0] == 0
        code, out, err = ask(capsys, "reproduce", "demo@1")
        assert (code, "identical bytes" in out) == (0, True), err
