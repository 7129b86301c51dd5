"""The state of the code that a version records: the commit, and if the work tree has uncommitted changes.

gitmodel never records a changed work tree as clean, whatever the settings of git are. The setting `gitmodel.dirty` says
what happens to uncommitted changes: `refuse` creates no version, and `snapshot` stores them as a commit, the snapshot.
"""

import hashlib
import json
import os
import shutil

import pytest
from editing import write_script
from second_user import User, needs_root, open_folder
from transcripts import ask, fail, succeed

from gitmodel import Client, Refused


@pytest.fixture
def sha256(tmp_path, git, monkeypatch):
    """A code repository with SHA-256 object ids, and another repository for the registry. Returns the first."""
    git(tmp_path, "init", "-q", "--bare", "registry.git")
    git(tmp_path, "init", "-q", "--object-format=sha256", "code")
    code = tmp_path / "code"
    (code / "train.py").write_text("print('training')\n")
    git(code, "add", "train.py")
    git(code, "commit", "-q", "-m", "Begin")
    monkeypatch.chdir(code)
    return code


class TestSha256:
    def test_code_with_sha256_ids_can_use_a_registry_in_another_repository(self, sha256, tmp_path, capsys, git):
        assert ask(capsys, "register", "iris")[0] == 2
        assert ask(capsys, "config", "repo", "../registry.git") == (0, f"repo is {tmp_path}/registry.git now\n", "")
        succeed(capsys, "register", "iris")
        assert ask(capsys, "version", "create", "iris", "-q")[0:2] == (0, "iris@1\n")
        assert ask(capsys, "config", "repo")[1] == f"{tmp_path}/registry.git\n"
        with Client(repo=tmp_path / "registry.git") as client:
            code = client.get_model("iris").create_version().code
            assert code == client.get_version("iris@1").code
            assert code.commit == git(sha256, "rev-parse", "HEAD")
        assert "SHA256" in fail(capsys, 2, "config", "repo", ".")

    def test_a_version_of_code_with_sha256_ids_is_created_pushed_and_checked_out(self, sha256, tmp_path, capsys, git):
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
            made = client.get_model("iris").create_version()
            snapshot = made.code.snapshot
            assert len(snapshot) == 64
            assert client._opened.find_kept().kept() == sorted([head, snapshot])
            git(sha256, "checkout", "-q", "train.py")
            found = made.checkout(tmp_path / "there")
            assert (found.commit, (tmp_path / "there/train.py").read_text()) == (snapshot, "print('changed')\n")
        succeed(capsys, "checkout", "iris@1", str(tmp_path / "first"))
        assert (tmp_path / "first/train.py").read_text() == "print('training')\n"
        succeed(capsys, "version", "contains", head)
        from gitmodel.lineage.code.recorded_code import push_code

        with Client() as client:
            assert sorted(push_code(client._opened.find_kept(), "origin", "all").pushed) == sorted([head, snapshot])
            assert push_code(client._opened.find_kept(), "origin", "all").pushed == ()
        assert f"refs/gitmodel/code/{head}" in git(tmp_path / "host.git", "for-each-ref")
        # This clone lacks the commit. `checkout` fetches the commit from the ref that the push created.
        git(tmp_path, "clone", "-q", "--single-branch", "host.git", "other")
        with Client(tmp_path / "other", repo=tmp_path / "registry.git") as client:
            assert client.get_version("iris@2").checkout(tmp_path / "again").commit == snapshot

    def test_a_run_with_code_in_a_sha256_repository_is_reproduced(self, sha256, capsys, git, monkeypatch):
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
        succeed(capsys, "register", "demo")
        succeed(capsys, "run", "flow.py")
        code, out, err = ask(capsys, "reproduce", "demo@1")
        assert (code, "identical bytes" in out) == (0, True), err


class TestChangesThatGitIsToldToOverlook:
    @pytest.fixture
    def code(self, code_repo, tmp_path, git, monkeypatch):
        """A code repository with a submodule, which in turn has a submodule."""
        git(tmp_path, "config", "--global", "protocol.file.allow", "always")
        for name, inner in (("inner", None), ("library", "inner")):
            made = tmp_path / name
            git(tmp_path, "init", "-q", name)
            (made / "lib.py").write_text("x = 1\n")
            if inner:
                git(made, "submodule", "--quiet", "add", str(tmp_path / inner), inner)
            git(made, "add", ".")
            git(made, "commit", "-q", "-m", "Begin")
        git(code_repo, "submodule", "--quiet", "add", str(tmp_path / "library"), "lib")
        git(code_repo, "submodule", "--quiet", "update", "--init", "--recursive")
        git(code_repo, "commit", "-q", "-m", "Use a library")
        monkeypatch.chdir(code_repo)
        return code_repo

    def dirty(self):
        with Client() as client:
            return client.read_code().dirty

    @pytest.mark.parametrize("value", ["all", "dirty", "untracked"])
    @pytest.mark.parametrize("where", ["config", ".gitmodules", "diff.ignoreSubmodules"])
    def test_changes_in_a_submodule_are_recorded_whatever_the_settings_of_git(self, code, git, where, value):
        if where == ".gitmodules":
            git(code, "config", "-f", ".gitmodules", "submodule.lib.ignore", value)
            git(code, "commit", "-q", "-am", "Overlook it")
        else:
            git(code, "config", where if "." in where else "submodule.lib.ignore", value)
        assert self.dirty() is False
        (code / "lib/new.py").write_text("")
        assert self.dirty() is True
        (code / "lib/new.py").unlink()
        (code / "lib/lib.py").write_text("x = 2\n")
        assert self.dirty() is True
        git(code / "lib", "commit", "-q", "-am", "Another")
        assert self.dirty() is True
        git(code, "config", "gitmodel.dirty", "snapshot")
        with Client() as client:
            made = client.register_model("iris").create_version().code
        assert git(code, "ls-tree", made.snapshot, "lib").split()[2] == git(code / "lib", "rev-parse", "HEAD")

    def test_changes_in_a_submodule_of_a_submodule_are_recorded(self, code, git):
        git(code / "lib", "config", "submodule.inner.ignore", "all")
        git(code / "lib/inner", "config", "status.showUntrackedFiles", "no")
        (code / "lib/inner/new.py").write_text("")
        assert self.dirty() is True
        (code / "lib/inner/new.py").unlink()
        assert self.dirty() is False
        (code / "lib/inner/lib.py").write_text("x = 2\n")
        git(code / "lib/inner", "update-index", "--assume-unchanged", "lib.py")
        assert self.dirty() is True

    def test_untracked_files_are_recorded_as_changes_whatever_the_settings_of_git(self, code, git):
        git(code, "config", "status.showUntrackedFiles", "no")
        assert self.dirty() is False
        (code / "new.py").write_text("")
        assert self.dirty() is True

    @pytest.mark.parametrize("mark", ["--assume-unchanged", "--skip-worktree"])
    def test_changes_of_a_file_that_the_index_marks_as_unchanged_are_detected(self, code, git, mark):
        git(code, "update-index", mark, "train.py")
        index = (code / ".git/index").read_bytes()
        assert self.dirty() is False
        (code / "train.py").write_text("print('changed')\n")
        assert self.dirty() is True
        git(code, "config", "gitmodel.dirty", "snapshot")
        with Client() as client:
            made = client.register_model("iris").create_version().code
        assert git(code, "show", f"{made.snapshot}:train.py") == "print('changed')"
        assert (code / ".git/index").read_bytes() == index
        git(code, "config", "gitmodel.dirty", "refuse")
        with Client() as client, pytest.raises(Refused, match=r"not committed: train\.py"):
            client.get_model("iris").create_version()
        (code / "train.py").unlink()
        # An absent file with --skip-worktree is no change: a sparse checkout marks the files that it omits so.
        assert self.dirty() is (mark == "--assume-unchanged")

    def test_a_sparse_checkout_is_clean(self, code, git):
        (code / "docs").mkdir()
        (code / "docs/page.md").write_text("x\n")
        git(code, "add", "docs")
        git(code, "commit", "-q", "-m", "Docs")
        git(code, "sparse-checkout", "set", "--no-cone", "/*", "!/docs")
        assert not (code / "docs").exists()
        assert self.dirty() is False
        (code / "docs").mkdir()
        (code / "docs/page.md").write_text("y\n")
        assert self.dirty() is True

    @pytest.mark.parametrize(("key", "change"), [("core.fileMode", "mode"), ("core.ignoreCase", "case")])
    def test_changes_of_file_mode_and_case_are_detected_despite_settings_that_hide_them(self, code, git, key, change):
        git(code, "config", key, "false" if change == "mode" else "true")
        assert self.dirty() is False
        if change == "mode":
            (code / "train.py").chmod(0o755)
        else:
            (code / "TRAIN.py").write_text("print('another')\n")
        assert self.dirty() is True

    def test_a_change_is_detected_although_the_file_monitor_of_git_does_not_report_it(self, code, git, tmp_path):
        monitor = write_script(tmp_path / "monitor", "printf 'token\\0'")
        git(code, "config", "core.fsmonitor", str(monitor))
        git(code, "status")
        (code / "train.py").write_text("print('changed')\n")
        assert self.dirty() is True


@needs_root
def test_the_state_of_a_read_only_code_repository_is_recorded(code_repo, git):
    with open_folder() as top:
        ada = User(top, 12345, 12345)
        git(top, "clone", "-q", str(code_repo), "code")
        ada.git(ada.home, "init", "-q", "--bare", "registry.git")
        registry = ada.home / "registry.git"
        assert ada.model(top / "code", "--repo", registry, "register", "iris")[0] == 0
        code, out, err = ada.model(top / "code", "--repo", registry, "version", "create", "iris", "-q")
        assert (code, out) == (0, "iris@1\n"), err
        assert "of the code is recorded, but not kept here: git could not write" in err
        made = json.loads(ada.model(top, "--repo", registry, "show", "iris@1", "--format", "json")[1])
        assert (made["code"]["commit"], made["code"]["dirty"]) == (git(code_repo, "rev-parse", "HEAD"), False)
        program = (
            "import warnings\nwarnings.simplefilter('error')\nfrom gitmodel.errors import GitModelWarning\n"
            "c = Client('.', repo=words[0])\n"
            "try: c.get_model('iris').create_version()\nexcept GitModelWarning as told: print(told)\nc.close()"
        )
        assert "not kept here" in ada.python(top / "code", program, registry)[1]


class TestHooksOfAPush:
    @pytest.fixture
    def code(self, code_repo, tmp_path, git, monkeypatch, origin):
        git(code_repo, "push", "-q", "origin", "main")
        monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
        (tmp_path / "store").mkdir()
        monkeypatch.chdir(code_repo)
        with Client() as client:
            client.register_model("iris")
        return code_repo

    def test_the_pre_push_hook_of_the_user_gets_the_pushed_commits(self, code, tmp_path, git, capsys):
        write_script(code / ".git/hooks/pre-push", f'echo "$@" >>{tmp_path}/seen\ncat >>{tmp_path}/seen')
        git(code, "commit", "-q", "--allow-empty", "-m", "Not on a branch there")
        head = git(code, "rev-parse", "HEAD")
        ask(capsys, "version", "create", "iris")
        succeed(capsys, "push", "--code")
        seen = (tmp_path / "seen").read_text().splitlines()
        assert seen == [f"origin {tmp_path}/remote.git", f"{head} {head} refs/gitmodel/code/{head} {'0' * 40}"]

    def test_a_pre_push_hook_can_refuse_the_push_of_the_code(self, code, tmp_path, git, capsys):
        git(code, "config", "core.hooksPath", "hooks")
        (code / "hooks").mkdir()
        hook = write_script(code / "hooks/pre-push", "echo 'the tests failed' >&2\nexit 1")
        git(code, "commit", "-q", "--allow-empty", "-m", "Not on a branch there")
        ask(capsys, "version", "create", "iris")
        code_, _, err = ask(capsys, "push", "--code")
        assert (code_, "the tests failed" in err, "the code of these versions was not pushed" in err) == (6, True, True)
        assert "refs/gitmodel/code" not in git(tmp_path / "remote.git", "for-each-ref")
        hook.unlink()
        succeed(capsys, "push", "--code")
        assert "refs/gitmodel/code" in git(tmp_path / "remote.git", "for-each-ref")

    @pytest.mark.skipif(
        shutil.which("git-lfs") is None, reason="git-lfs is not installed (on Debian: apt install git-lfs)"
    )
    def test_pushing_code_uploads_its_git_lfs_files(self, code, tmp_path, git, capsys):
        git(code, "lfs", "install", "--local")
        git(code, "lfs", "track", "*.bin")
        (code / "weights.bin").write_bytes(b"large")
        git(code, "add", ".")
        git(code, "commit", "-q", "-m", "Weights")
        ask(capsys, "version", "create", "iris")
        code_, _, err = ask(capsys, "push", "--code")
        assert (code_, err) == (0, "")
        stored = [path.read_bytes() for path in (tmp_path / "remote.git/lfs/objects").rglob("*") if path.is_file()]
        assert stored == [b"large"]
        # Pushing a snapshot of uncommitted changes uploads its files, too.
        (code / "weights.bin").write_bytes(b"larger")
        git(code, "config", "gitmodel.dirty", "snapshot")
        ask(capsys, "version", "create", "iris")
        succeed(capsys, "push", "--code")
        stored = {path.read_bytes() for path in (tmp_path / "remote.git/lfs/objects").rglob("*") if path.is_file()}
        assert stored == {b"large", b"larger"}


def edit_in_the_second_of_the_index(code, name, text):
    """Write *text* to the file *name*, and set its times in the index as if git had added the changed file just now.

    Size and times are then equal in the index and on disk. git must compare the content, because the index is not newer
    than the file.
    """
    path, index = code / name, code / ".git/index"
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    stat = path.stat()
    data = bytearray(index.read_bytes()[:-20])
    # The times are at the start of an index entry, 62 bytes before the name (see `git help gitformat-index`).
    start = data.index(name.encode() + b"\0") - 62
    for offset, time_ns in ((0, stat.st_ctime_ns), (8, stat.st_mtime_ns)):
        seconds, rest = divmod(time_ns, 10**9)
        data[start + offset : start + offset + 8] = seconds.to_bytes(4, "big") + rest.to_bytes(4, "big")
    index.write_bytes(bytes(data) + hashlib.sha1(data).digest())
    os.utime(index, ns=(stat.st_mtime_ns, stat.st_mtime_ns))


class TestSnapshots:
    @pytest.fixture
    def code(self, code_repo, git, monkeypatch):
        monkeypatch.chdir(code_repo)
        (code_repo / "rate.py").write_text("RATE = 1\n")
        git(code_repo, "add", "rate.py")
        git(code_repo, "commit", "-qm", "Rate")
        return code_repo

    def test_a_snapshot_contains_the_changes_that_settings_of_git_hide(self, code, git):
        git(code, "config", "gitmodel.dirty", "snapshot")
        edit_in_the_second_of_the_index(code, "rate.py", "RATE = 2\n")
        with Client() as client:
            made = client.register_model("iris").create_version().code
        assert made.dirty is True
        assert git(code, "show", f"{made.snapshot}:rate.py") == "RATE = 2"

    def test_a_snapshot_has_the_folder_that_replaced_a_file_whose_deletion_is_staged(self, code, git):
        git(code, "config", "gitmodel.dirty", "snapshot")
        git(code, "rm", "-q", "rate.py")
        (code / "rate.py").mkdir()
        (code / "rate.py" / "a.py").write_text("RATE = 2\n")
        with Client() as client:
            snapshot = client.register_model("iris").create_version().code.snapshot
        assert "rate.py/a.py" in git(code, "ls-tree", "-r", "--name-only", snapshot).splitlines()

    @pytest.mark.parametrize("mark", ["--assume-unchanged", "--skip-worktree"])
    def test_a_change_that_neither_times_nor_marks_of_the_index_show_is_detected(self, code, git, mark):
        git(code, "update-index", mark, "rate.py")
        edit_in_the_second_of_the_index(code, "rate.py", "RATE = 2\n")
        with Client() as client:
            assert client.read_code().dirty is True


SECRETS = {".env": "DB_PASSWORD=x\n", "deploy.py": f"TOKEN = 'ghp_{'a1B2' * 9}'\n", "keys/id_rsa": "key\n"}


class TestSecretsInSnapshots:
    """Credentials in snapshots: `git model push --code` would publish them."""

    @pytest.fixture
    def code(self, code_repo, git, monkeypatch):
        monkeypatch.chdir(code_repo)
        git(code_repo, "config", "gitmodel.dirty", "snapshot")
        (code_repo / "data.csv").write_text("a,b\n1,2\n")
        git(code_repo, "add", "data.csv")
        git(code_repo, "commit", "-qm", "Data")
        with Client() as client:
            client.register_model("iris")
        return code_repo

    def state(self, code, git):
        objects = sorted(path.name for path in (code / ".git/gitmodel/store").rglob("*") if path.is_file())
        return git(code, "for-each-ref"), objects

    @pytest.mark.parametrize("name", SECRETS)
    def test_a_snapshot_with_credentials_is_refused_before_anything_is_stored(self, code, git, capsys, name):
        before = self.state(code, git)
        (code / name).parent.mkdir(exist_ok=True)
        (code / name).write_text(SECRETS[name])
        err = fail(capsys, 6, "version", "create", "iris", "--data", "d=data.csv")
        assert f"a snapshot of the code seems to hold credentials: {name}" in err
        assert "gitmodel.allowCredentials" in err
        with Client() as client, pytest.raises(Refused, match="seems to hold credentials"):
            client.get_model("iris").create_version(data={"d": "data.csv"})
        assert self.state(code, git) == before
        (code / ".gitignore").write_text(f"{name}\n")
        succeed(capsys, "version", "create", "iris", "--data", "d=data.csv")
        with Client() as client:
            snapshot = client.get_version("iris@1").code.snapshot
        assert name not in git(code, "ls-tree", "-r", "--name-only", snapshot)

    def test_a_setting_can_allow_a_snapshot_with_a_credential(self, code, git, capsys):
        (code / ".env").write_text(SECRETS[".env"])
        git(code, "config", "gitmodel.allowCredentials", "true")
        succeed(capsys, "version", "create", "iris")

    def test_a_snapshot_may_contain_a_symbolic_link_to_a_file_with_credentials(self, code, tmp_path, capsys):
        (tmp_path / "key").write_text(SECRETS["deploy.py"])
        (code / "key.txt").symlink_to(tmp_path / "key")
        succeed(capsys, "version", "create", "iris")

    def test_create_version_stores_nothing_if_the_setting_dirty_refuses_uncommitted_code(self, code, git, capsys):
        git(code, "config", "gitmodel.dirty", "refuse")
        (code / "data.csv").write_text("a,b\n3,4\n")
        before = self.state(code, git)
        assert ask(capsys, "version", "create", "iris", "--data", "d=data.csv")[0] == 6
        with Client() as client, pytest.raises(Refused, match=r"not committed: data\.csv"):
            client.get_model("iris").create_version(data={"d": "data.csv"})
        assert self.state(code, git) == before


def test_the_setting_dirty_of_the_code_repository_applies_to_a_registry_in_another_repository(
    code_repo, tmp_path, git, monkeypatch, capsys
):
    git(tmp_path, "init", "-q", "--bare", "registry.git")
    (code_repo / "new.py").write_text("x = 1\n")
    git(code_repo, "config", "gitmodel.dirty", "refuse")
    monkeypatch.chdir(code_repo)
    for registry in (str(tmp_path / "registry.git"), (tmp_path / "registry.git").as_uri()):
        ask(capsys, "--repo", registry, "register", "iris", "--exist-ok")
        assert "not committed: new.py" in fail(capsys, 6, "--repo", registry, "version", "create", "iris"), registry
    git(code_repo, "config", "gitmodel.dirty", "snapshot")
    succeed(capsys, "--repo", str(tmp_path / "registry.git"), "version", "create", "iris")
    with Client(code_repo, repo=str(tmp_path / "registry.git")) as client:
        assert client.get_version("iris@1").code.snapshot


def test_a_damaged_index_is_reported_and_no_version_is_created(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    ask(capsys, "register", "iris")
    (code_repo / ".git" / "index").write_bytes(b"nothing that git wrote")
    assert fail(capsys, 7, "version", "create", "iris").startswith("error: the code repository cannot be read: ")
    assert ask(capsys, "version", "list", "iris", "-q") == (0, "", "")
