"""Kept commits: a ref `refs/gitmodel/code/<commit>` keeps the code commit of a version after its branch is deleted.

With `gitmodel.dirty = snapshot`, a version also has a snapshot: a commit with the uncommitted changes. `git model push`
creates the refs of kept commits on the remote.
"""

import os
import shutil
import subprocess
from contextlib import ExitStack

import pytest
from editing import BRANCH, edit, read, run, write_script
from transcripts import ask, end_with, succeed

from gitmodel import Client, Refused, UsageError
from gitmodel.code.kept_commits import KeptCommits
from gitmodel.code.repository import open_code
from gitmodel.code.uncommitted_changes import snapshot

POLICY = '\n[code]\ndirty = "{}"\n'


@pytest.fixture
def repo(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    with Client() as client:
        client.register_model("iris")
    return code_repo


@pytest.fixture
def client(repo):
    with Client() as opened:
        yield opened


def create():
    """Create a version of iris with a new client, which reads the settings again; return its recorded code."""
    with Client() as client:
        return client.get_model("iris").create_version().code


def kept(repo):
    return run(repo, "for-each-ref", "--format=%(refname)", "refs/gitmodel/code").split()


def set_policy(repo, word):
    edit(repo, {"gitmodel.toml": read(repo, "gitmodel.toml") + POLICY.format(word)})


def everything(repo):
    """Return what making a snapshot must not change: the files of the work tree, the index, HEAD and the branches."""
    files = {
        path: (path.read_bytes(), path.lstat().st_mtime_ns, path.lstat().st_mode)
        for path in sorted(repo.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(repo).parts
    }
    index = repo / ".git" / "index"
    refs = run(repo, "for-each-ref", "refs/heads", "refs/tags", "refs/stash")
    return files, index.read_bytes(), index.stat().st_mtime_ns, (repo / ".git/HEAD").read_text(), refs


class TestKeeping:
    def test_the_code_commit_of_a_version_is_kept_after_the_branch_of_the_commit_is_deleted(self, repo, client, git):
        git(repo, "switch", "-q", "-c", "idea")
        git(repo, "commit", "-q", "--allow-empty", "-m", "An idea")
        version = client.get_model("iris").create_version()
        git(repo, "switch", "-q", "main")
        git(repo, "branch", "-q", "-D", "idea")
        git(repo, "reflog", "expire", "--expire=now", "--all")
        git(repo, "prune", "--expire=now")
        assert git(repo, "log", "-1", "--format=%s", version.code.commit) == "An idea"
        assert kept(repo) == [f"refs/gitmodel/code/{version.code.commit}"]

    def test_a_second_version_of_the_same_commit_adds_no_ref(self, repo, client):
        for _ in range(2):
            client.get_model("iris").create_version()
        assert kept(repo) == [f"refs/gitmodel/code/{run(repo, 'rev-parse', 'main')}"]

    def test_a_git_clone_of_the_code_does_not_fetch_the_refs_of_kept_commits(self, repo, client, tmp_path, git):
        client.get_model("iris").create_version()
        git(tmp_path, "clone", "-q", repo.as_uri(), "copy")
        assert kept(tmp_path / "copy") == []

    def test_the_ref_that_keeps_a_commit_is_in_the_code_repository_and_not_in_the_registry(self, repo, tmp_path, git):
        git(tmp_path, "init", "-q", "--bare", "registry.git")
        with Client(repo, repo=tmp_path / "registry.git") as client:
            client.register_model("iris").create_version()
        assert len(kept(repo)) == 1
        assert kept(tmp_path / "registry.git") == []

    def test_a_version_that_is_created_outside_of_a_code_repository_keeps_no_commit(self, repo, tmp_path, monkeypatch):
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        with Client(repo=repo) as client:
            assert client.get_model("iris").create_version().code.outside
        assert kept(repo) == []


class TestDirty:
    def test_a_version_records_by_default_only_that_the_code_had_uncommitted_changes(self, repo, client):
        (repo / "train.py").write_text("print('other')\n")
        code = client.get_model("iris").create_version().code
        assert (code.commit, code.dirty, code.snapshot) == (run(repo, "rev-parse", "main"), True, None)

    def test_create_version_is_refused_with_uncommitted_changes_if_a_rule_forbids_them(self, repo, capsys, transcript):
        set_policy(repo, "refuse")
        for name in ("train.py", "a.py", "b.py", "c.py"):
            (repo / name).write_text("changed\n")
        tip = run(repo, "rev-parse", BRANCH)
        transcript("""
            $ git model version create iris
            ! error: the code has changes that are not committed: train.py, a.py, b.py and 1 more
            ! hint: commit or stash them: `dirty` is `refuse`, in gitmodel.toml, git config or GITMODEL_DIRTY
            [6]
        """)
        assert run(repo, "rev-parse", BRANCH) == tip
        run(repo, "stash", "-u")
        succeed(capsys, "version", "create", "iris")

    def test_a_snapshot_is_a_child_of_the_checked_out_commit(self, repo, git, capsys):
        set_policy(repo, "snapshot")
        (repo / ".gitignore").write_text("*.log\n")
        (repo / "gone.py").write_text("x\n")
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", "More")
        (repo / "train.py").write_text("print('changed')\n")
        (repo / "new.py").write_text("print('new')\n")
        (repo / "run.sh").write_text("#!/bin/sh\n")
        (repo / "run.sh").chmod(0o755)
        (repo / "link").symlink_to("new.py")
        (repo / "noise.log").write_text("secret\n")
        (repo / "gone.py").unlink()
        (repo / "staged.py").write_text("staged\n")
        git(repo, "add", "staged.py")
        (repo / "staged.py").write_text("and changed again\n")
        before = everything(repo)
        code = create()
        assert everything(repo)[:4] == before[:4]
        assert git(repo, "for-each-ref", "refs/heads/main", "refs/stash") == "\n".join(
            line for line in before[4].split("\n") if "heads/main" in line or "stash" in line
        )
        assert (code.commit, code.dirty) == (git(repo, "rev-parse", "main"), True)
        assert git(repo, "rev-parse", f"{code.snapshot}^") == code.commit
        assert git(repo, "diff", "--name-status", code.commit, code.snapshot).splitlines() == [
            "D\tgone.py", "A\tlink", "A\tnew.py", "A\trun.sh", "A\tstaged.py", "M\ttrain.py",
        ]  # fmt: skip
        assert git(repo, "show", f"{code.snapshot}:staged.py") == "and changed again"
        assert git(repo, "ls-tree", code.snapshot, "run.sh").startswith("100755")
        assert kept(repo) == [f"refs/gitmodel/code/{code.snapshot}"]
        _, out, _ = ask(capsys, "show", "iris@1")
        assert f"with changes that were not committed, kept as {code.snapshot}" in out

    def test_two_snapshots_of_the_same_changes_are_the_same_commit(self, repo, monkeypatch):
        monkeypatch.setenv("GITMODEL_DIRTY", "snapshot")
        (repo / "train.py").write_text("changed\n")
        assert create().snapshot == create().snapshot is not None

    def test_checkout_of_a_version_with_a_snapshot_has_the_uncommitted_changes(self, repo, tmp_path, monkeypatch):
        monkeypatch.setenv("GITMODEL_DIRTY", "snapshot")
        (repo / "train.py").write_text("changed\n")
        with Client() as client:
            made = client.get_model("iris").create_version().checkout(tmp_path / "then")
        assert (tmp_path / "then" / "train.py").read_text(encoding="utf-8") == "changed\n"
        assert not made.changed

    def test_a_snapshot_of_a_repository_without_a_commit_can_be_created(self, repo, tmp_path, git, monkeypatch):
        monkeypatch.setenv("GITMODEL_DIRTY", "snapshot")
        fresh = tmp_path / "fresh"
        git(tmp_path, "init", "-q", "fresh")
        (fresh / "train.py").write_text("first\n")
        with Client(fresh, repo=repo) as client:
            code = client.get_model("iris").create_version().code
        assert code.commit is None
        assert git(fresh, "show", f"{code.snapshot}:train.py") == "first"

    def test_a_snapshot_runs_no_hook_and_works_in_a_worktree_and_a_subfolder(self, repo, git, monkeypatch):
        monkeypatch.setenv("GITMODEL_DIRTY", "snapshot")
        for hook in ("pre-commit", "post-index-change", "reference-transaction"):
            write_script(repo / ".git" / "hooks" / hook, f"case $1 in *) echo {hook} >> {repo}/.git/called;; esac")
        git(repo, "worktree", "add", "-q", "../second")
        (repo / ".git" / "called").unlink(missing_ok=True)
        below = repo.parent / "second" / "deep" / "er"
        below.mkdir(parents=True)
        (below / "model.py").write_text("x\n")
        stored = snapshot(open_code(below, environ=os.environ), 1_000)
        assert git(repo, "show", f"{stored}:deep/er/model.py") == "x"
        assert not (repo / ".git" / "called").exists()

    def test_the_refusal_of_a_snapshot_that_is_too_large_names_its_largest_files(self, repo, capsys, transcript, git):
        set_policy(repo, "snapshot")
        git(repo, "config", "gitmodel.snapshotLimit", "2k")
        (repo / "weights.bin").write_bytes(b"x" * 3_000)
        before = run(repo, "count-objects")
        transcript("""
            $ git model version create iris
            ! error: the uncommitted changes have 3,000 bytes, more than the limit of a snapshot (2,048): \
weights.bin (3,000 bytes)
            ! hint: add files that are not code to .gitignore, or run `git config gitmodel.snapshotLimit BYTES`
            [6]
        """)
        assert run(repo, "count-objects") == before
        git(repo, "config", "gitmodel.snapshotLimit", "lots")
        assert ask(capsys, "version", "create", "iris")[0] == 2

    def test_a_snapshot_is_refused_if_a_nested_repository_or_submodule_has_changes(
        self, repo, git, monkeypatch, client
    ):
        monkeypatch.setenv("GITMODEL_DIRTY", "snapshot")
        git(repo, "init", "-q", "within")
        (repo / "within" / "x.py").write_text("x\n")
        code = open_code(repo, environ=os.environ)
        with pytest.raises(Refused, match="within/ is another repository inside"):
            snapshot(code, 1_000)
        git(repo / "within", "add", "-A")
        git(repo / "within", "commit", "-q", "-m", "x")
        git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repo / "within"), "sub")
        shutil.rmtree(repo / "within")
        git(repo, "commit", "-q", "-m", "With a submodule")
        (repo / "sub" / "x.py").write_text("changed\n")
        with pytest.raises(Refused, match="the submodule sub has changes of its own"):
            snapshot(code, 1_000)

    def test_the_stricter_of_the_two_dirty_settings_of_the_registry_and_the_machine_applies(self, repo, git):
        (repo / "train.py").write_text("changed\n")
        set_policy(repo, "snapshot")
        git(repo, "config", "gitmodel.dirty", "record")
        assert create().snapshot
        git(repo, "config", "gitmodel.dirty", "refuse")
        with pytest.raises(Refused, match=r"train\.py"):
            create()
        git(repo, "config", "gitmodel.dirty", "never")
        with pytest.raises(UsageError, match="'never' is not a way to handle"):
            create()

    def test_an_unknown_value_of_the_setting_dirty_is_invalid(self, repo, capsys):
        set_policy(repo, "perhaps")
        out, _ = end_with(capsys, 5, "check")
        assert "takes one of record, snapshot, refuse" in out


@pytest.fixture
def team(tmp_path, git):
    """Ada's client, the folder of her clone, and a function that makes another clone. All clones use one store."""
    git(tmp_path, "init", "-q", "--bare", "remote.git")
    store = tmp_path / "store"
    with ExitStack() as opened:

        def clone(name):
            git(tmp_path, "clone", "-q", (tmp_path / "remote.git").as_uri(), name)
            return opened.enter_context(Client(tmp_path / name, store=store.as_uri()))

        ada = clone("ada")
        folder = tmp_path / "ada"
        (folder / "train.py").write_text("x\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "Begin")
        git(folder, "push", "-q", "origin", "main")
        ada.register_model("iris")
        yield ada, folder, clone


class TestPushing:
    def test_a_push_keeps_a_code_commit_on_the_remote_after_its_branch_is_deleted(self, team, git, tmp_path):
        ada, folder, clone = team
        git(folder, "switch", "-q", "-c", "idea")
        git(folder, "commit", "-q", "--allow-empty", "-m", "An idea")
        git(folder, "push", "-q", "origin", "idea")
        commit = ada.get_model("iris").create_version().code.commit
        done = ada.push()
        assert done.code.pushed == (commit,)
        assert not ada.push().code.pushed
        git(folder, "push", "-q", "origin", "--delete", "idea")
        remote = tmp_path / "remote.git"
        git(remote, "-c", "gc.auto=0", "prune", "--expire=now")
        bob = clone("bob")
        bob.pull()
        code = bob.open_code()
        assert not code.holds(commit)
        assert KeptCommits(code).fetch(commit)
        assert git(tmp_path / "bob", "log", "-1", "--format=%s", commit) == "An idea"

    def test_only_push_with_the_option_code_pushes_commits_that_no_remote_branch_has(
        self, team, git, tmp_path, capsys, monkeypatch
    ):
        ada, folder, _ = team
        git(folder, "commit", "-q", "--allow-empty", "-m", "Not yet")
        commit = ada.get_model("iris").create_version().code.commit
        monkeypatch.chdir(folder)
        monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
        _, err = end_with(capsys, 0, "push")
        assert f"1 code commit of your versions is not on a branch of the remote ({commit[:10]})" in err
        assert kept(tmp_path / "remote.git") == []
        succeed(capsys, "push", "--code")
        assert kept(tmp_path / "remote.git") == [f"refs/gitmodel/code/{commit}"]

    @pytest.mark.parametrize("refspec", ["", "+refs/*:refs/*", "+refs/heads/main:refs/remotes/origin/main"])
    def test_push_asks_the_remote_for_its_branches_if_the_clone_has_no_remote_tracking_refs(self, team, git, refspec):
        ada, folder, _ = team
        git(folder, "config", "--unset-all", "remote.origin.fetch")
        if refspec:
            git(folder, "config", "remote.origin.fetch", refspec)
        git(folder, "switch", "-q", "-c", "idea")
        git(folder, "commit", "-q", "--allow-empty", "-m", "An idea")
        git(folder, "push", "-q", "origin", "idea")
        there = ada.get_model("iris").create_version().code.commit
        git(folder, "commit", "-q", "--allow-empty", "-m", "Not yet")
        here = ada.get_model("iris").create_version().code.commit
        done = ada.push().code
        assert (done.pushed, done.unpublished) == ((there,), (here,))

    @pytest.mark.parametrize(
        "refspec", ["+refs/heads/*:refs/up/*", "+refs/*:refs/up/*", "heads/main:refs/up/heads/main"]
    )
    def test_push_finds_remote_tracking_refs_that_are_not_below_refs_remotes(self, team, git, refspec):
        ada, folder, _ = team
        git(folder, "config", "remote.origin.fetch", refspec)
        git(folder, "fetch", "-q", "origin")
        version = ada.get_model("iris").create_version()
        assert ada.push().code.pushed == (version.code.commit,)

    def test_a_snapshot_is_pushed_only_with_the_option_code(self, team, git, tmp_path):
        _, folder, _ = team
        git(folder, "config", "gitmodel.dirty", "snapshot")
        (folder / "train.py").write_text("secret\n")
        with Client(folder, store=(tmp_path / "store").as_uri()) as client:
            snapshot = client.get_model("iris").create_version().code.snapshot
            assert client.push().code.unpublished == (snapshot,)
            assert subprocess.run(["git", "cat-file", "-e", snapshot], cwd=tmp_path / "remote.git").returncode
            assert client.push(code=True).code.pushed == (snapshot,)

    def test_push_succeeds_if_the_host_refuses_refs_of_kept_commits(self, team, git, tmp_path, capsys, monkeypatch):
        ada, folder, _ = team
        hook = "case $1 in refs/gitmodel/*) echo 'no such refs here' >&2; exit 1;; esac"
        write_script(tmp_path / "remote.git/hooks/update", hook)
        ada.get_model("iris").create_version()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
        _, err = end_with(capsys, 0, "push")
        assert "others cannot rely on the code of these versions: origin did not take the code:" in err
        assert "no such refs here" in err
        assert git(tmp_path / "remote.git", "rev-parse", "gitmodel") == git(folder, "rev-parse", "gitmodel")
        git(folder, "config", "gitmodel.pushCode", "none")
        ada.get_model("iris").create_version()
        assert "others cannot rely" not in ask(capsys, "push")[2]
        git(folder, "config", "gitmodel.pushCode", "sometimes")
        assert ask(capsys, "push")[0] == 2
