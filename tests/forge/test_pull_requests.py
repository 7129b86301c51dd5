"""Promotions by pull requests on Kallithea, a real git host, over HTTP."""

import os
import subprocess
import sys
from pathlib import Path

import kallithea
import pytest

HOME = os.environ.get("GITMODEL_TEST_KALLITHEA")
pytestmark = pytest.mark.skipif(not HOME, reason="`python3 noxfile.py -s forge` installs Kallithea")


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory):
    with kallithea.running(Path(HOME or ""), tmp_path_factory.mktemp("kallithea") / "data") as started:
        yield started


class Clone:
    """A clone of a repository on Kallithea. A credential helper of git has the password."""

    def __init__(self, forge: kallithea.Kallithea, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.git("init", "-q", "-b", "main", str(folder), folder=folder.parent)
        self.git("config", "credential.helper", f"!printf 'username=admin\\npassword={kallithea.PASSWORD}\\n' #")
        self.git("remote", "add", "origin", f"{forge.url}/{name}")

    def git(self, *arguments: str, folder: Path | None = None) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder or self.folder, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def model(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "gitmodel", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, encoding="utf-8")
        assert done.returncode == status, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture
def clone(forge: kallithea.Kallithea, tmp_path: Path, request: pytest.FixtureRequest) -> Clone:
    """A clone whose registry has two versions and a gate, pushed to a new repository."""
    name = request.node.name.replace("_", "-")[:40]
    forge.call("create_repo", repo_name=name, repo_type="git", owner="admin")
    clone = Clone(forge, tmp_path / "clone", name)
    (clone.folder / "train.py").write_text("print('trained')\n")
    clone.git("add", ".")
    clone.git("commit", "-qm", "Train")
    clone.git("push", "-q", "origin", "main")
    clone.model("init", "--store", str(tmp_path / "store"))
    clone.model("register", "iris")
    for accuracy in ("0.95", "0.96"):
        clone.model("version", "create", "iris", "--metadata", f"accuracy={accuracy}")
    clone.model("stage", "gate", "add", "production", "accurate", "metadata.accuracy >= 0.9")
    clone.model("stage", "update", "production", "--proposal-only")
    clone.model("push")
    return clone


def propose(forge: kallithea.Kallithea, clone: Clone, version: str, *options: str) -> tuple[int, str]:
    """Propose *version* for production and open the pull request. Returns its number and its branch."""
    clone.model("propose", version, "production", "--reason", "better", "--push", *options)
    branch = clone.git("for-each-ref", "--format=%(refname:short)", f"refs/heads/propose/*/*/{version[-1]}-*")
    ends = [(name, clone.git("rev-parse", name)) for name in (branch, "gitmodel")]
    return forge.open_pull_request(clone.name, *ends, f"Promote {version}"), branch


def merge(clone: Clone, branch: str, folder: Path) -> None:
    """Merge *branch* with a merge commit, and push the metadata branch, as a maintainer does."""
    clone.git("worktree", "add", "-q", "--detach", str(folder), "origin/gitmodel")
    clone.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch, folder=folder)
    clone.git("push", "-q", "origin", "HEAD:gitmodel", folder=folder)


def test_a_reviewed_promotion_is_in_force_after_merge_and_apply(
    forge: kallithea.Kallithea, clone: Clone, tmp_path: Path
) -> None:
    number, branch = propose(forge, clone, "iris@1")
    clone.model("check", f"gitmodel..{branch}")
    plan = clone.model("plan", f"gitmodel..{branch}", "--markdown")
    forge.call("comment_pullrequest", pull_request_id=number, comment_msg=plan, status="approved")
    shown = forge.page(f"/{clone.name}/pull-request/{number}")
    assert "1 of 1 rule of production passed" in shown
    assert forge.call("get_pullrequest", pullrequest_id=number)["statuses"][-1]["status"] == "approved"

    merge(clone, branch, tmp_path / "merging")
    clone.model("pull")
    assert "pending" in clone.model("show", "iris")
    clone.model("apply", "--push")
    forge.call("comment_pullrequest", pull_request_id=number, close_pr=True)

    assert "refs/tags/model/iris/production" in clone.git("ls-remote", "origin")
    assert clone.model("resolve", "iris@production") == "iris@1"
    clone.model("check")


def test_a_promotion_that_fails_a_gate_is_rejected_on_the_forge(forge: kallithea.Kallithea, clone: Clone) -> None:
    """A new measurement makes the version fail the gate while the pull request is open."""
    number, branch = propose(forge, clone, "iris@2")
    clone.model("metadata", "set", "iris@2", "accuracy=0.5")
    clone.model("push")
    clone.model("check", f"gitmodel..{branch}", status=6)
    plan = clone.model("plan", f"gitmodel..{branch}", "--markdown", status=6)
    forge.call("comment_pullrequest", pull_request_id=number, comment_msg=plan, status="rejected")
    assert "accurate" in forge.page(f"/{clone.name}/pull-request/{number}")
    assert forge.call("get_pullrequest", pullrequest_id=number)["statuses"][-1]["status"] == "rejected"


def test_a_change_pushed_without_review_is_not_put_in_force(forge: kallithea.Kallithea, clone: Clone) -> None:
    """Only a merge commit shows that a promotion was reviewed, and the pushed commit is no merge."""
    _, branch = propose(forge, clone, "iris@1")
    clone.git("push", "-q", "origin", f"{branch}:gitmodel")
    clone.model("pull")
    clone.model("apply", "--push", status=6)
    assert "refs/tags/model/iris/production" not in clone.git("ls-remote", "origin")
