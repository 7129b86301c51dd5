"""Repositories that several users of a machine share, and repositories and stores on limited or full file systems.

git's setting `core.sharedRepository` says which permissions files in a shared repository get. A limited file system,
such as some network drives, lacks locks, permissions or other functions.
"""

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from editing import overwrite, refs_unchanged
from second_user import User, needs_root, open_folder

from gitmodel import Client
from gitmodel.errors import Unreachable
from gitmodel.files.failures import writing
from gitmodel.files.permissions import SharedPermissions
from gitmodel.registry.health import doctor
from gitmodel.stores.local_store import LocalStore

GROUP = 23456
PROGRAM = str(Path(sys.executable).with_name("git-model"))
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (on Debian and Ubuntu: apt install strace)"
)


@pytest.fixture
def users():
    """Two users, Ada and Bob, of one group. The umask of Ada gives others no access."""
    with open_folder() as top:
        yield top, User(top, 12345, GROUP, umask="077"), User(top, 12346, GROUP)


def begin(top, ada, shared):
    """Create a repository in *top* that belongs to the user *ada*, and set `core.sharedRepository` to *shared*."""
    repo = top / "repo"
    repo.mkdir()
    os.chown(repo, ada.uid, GROUP)
    repo.chmod(0o2770)
    ada.git(repo, "init", "-q", f"--shared={shared}")
    (repo / "weights").write_text("bytes")
    os.chmod(repo / "weights", 0o644)
    return repo


FLOW = """
from typing import Annotated
from gitmodel import ModelConfig, pipeline, step

@step
def fit() -> Annotated[dict, "classifier"]:
    return {"seed": 1}

@pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
def train():
    fit()
"""
USE = """
with Client(words[0]) as c:
    if "demo" not in [m.name for m in c.list_models()]:
        c.register_model("demo")
    v = c.get_model("demo").create_version(data={"weights": words[0] + "/weights", "own": words[1]})
    v.set_stage("production")
    for artifact in v.artifacts:
        artifact.path()
"""


@needs_root
@pytest.mark.parametrize("shared", ["group", "all", "0660"])
def test_two_users_can_take_turns_writing_to_a_shared_repository(users, shared):
    top, ada, bob = users
    repo = begin(top, ada, shared)
    for turn, user in enumerate((ada, bob, ada)):
        own = user.home / "own"
        own.mkdir(exist_ok=True)
        (own / "file").write_text(f"of {user.uid} {turn}")
        for path in (own, own / "file"):
            os.chown(path, user.uid, GROUP)
            path.chmod(0o755 if path == own else 0o644)
        code, _, err = user.python(user.home, USE, repo, own)
        assert code == 0, err
    code, out, err = bob.model(repo, "doctor")
    assert (code, err) == (0, "no problems found in this clone\n"), out
    assert bob.model(repo, "verify")[0] == 0
    seen = [repo / ".git/gitmodel", *(repo / ".git/gitmodel").rglob("*")]
    assert len(seen) > 20
    for path in seen:
        state = path.lstat()
        if stat.S_ISLNK(state.st_mode):  # symbolic links have no permissions of their own
            continue
        wanted = SharedPermissions(shared).mode(state.st_mode)
        assert state.st_gid == GROUP, path
        assert state.st_mode & 0o070 == wanted & 0o070, (path, oct(state.st_mode))
        if stat.S_ISDIR(state.st_mode):
            assert state.st_mode & stat.S_ISGID, path
        if shared == "0660":
            assert not state.st_mode & 0o007, path
        if shared == "all":
            assert state.st_mode & 0o004, path


@pytest.mark.parametrize("setting", ["group", "all", "0660", "0666", "0640"])
def test_every_file_in_a_shared_repository_has_the_permissions_that_the_setting_says(tmp_path, git, setting):
    repo = tmp_path / "repo"
    git(tmp_path, "init", "-q", f"--shared={setting}", str(repo))
    git(repo, "commit", "-q", "--allow-empty", "-m", "begin")
    (tmp_path / "data.txt").write_text("1")
    with Client(repo) as client:
        client.register_model("iris").create_version(data={"train": tmp_path / "data.txt"}).set_stage("staging")
    seen = [repo / ".git/gitmodel", *(repo / ".git/gitmodel").rglob("*")]
    assert {path.name for path in seen} >= {"notes", "writers"}
    for path in seen:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert oct(mode) == oct(SharedPermissions(setting).mode(path.lstat().st_mode)), path


@needs_root
def test_two_users_can_run_pipelines_in_turn_in_a_shared_repository(users):
    top, ada, bob = users
    repo = begin(top, ada, "group")
    (repo / "flow.py").write_text(FLOW)
    os.chmod(repo / "flow.py", 0o644)
    for user in (ada, bob):
        code, _, err = user.model(repo, "run", "flow.py")
        assert code == 0, err
    code, out, _ = bob.model(repo, "runs", "list", "--format", "json")
    assert [run["status"] for run in json.loads(out)] == ["succeeded", "succeeded"]
    assert bob.model(repo, "doctor")[0] == 0
    assert ada.model(repo, "lineage", "demo@1")[0] == 0
    assert bob.model(repo, "lineage", "demo@2")[0] == 0
    for path in (repo / ".git/gitmodel").rglob("*"):
        assert path.lstat().st_mode & 0o040, path


@needs_root
def test_doctor_reports_files_that_others_cannot_use_and_their_owner_can_repair_them(users):
    top, ada, bob = users
    repo = begin(top, ada, "umask")
    for path in (repo, repo / ".git"):
        path.chmod(0o2775)
    assert ada.model(repo, "register", "iris")[0] == 0
    assert ada.model(repo, "version", "create", "iris", "--data", "weights=weights")[0] == 0
    own = repo / ".git/gitmodel"
    assert own.stat().st_mode & 0o077 == 0
    for name in ("config", "HEAD", "refs", "objects"):
        subprocess.run(["chmod", "-R", "g+rwX", str(repo / ".git" / name)], check=True)
    code, out, err = bob.model(repo, "doctor")
    assert (code, "belongs to another user, and you may not write to it" in out) == (5, True), (out, err)
    ada.git(repo, "config", "core.sharedRepository", "group")
    code, out, err = bob.model(repo, "doctor")
    assert (code == 5, "although core.sharedRepository shares the repository" in out) == (True, True), (out, err)
    code, out, err = ada.model(repo, "doctor", "--fix")
    assert "permissions" in out, (out, err)
    assert own.stat().st_mode & 0o2070 == 0o2070
    assert ada.model(repo, "doctor")[0] == 0


def test_the_values_of_core_shared_repository_have_the_same_meaning_as_in_git(tmp_path, git, code_repo):
    words = ["group", "true", "yes", "all", "world", "everybody", "umask", "false"]
    for said in [*words, "0", "1", "2", "660", "0640", "0660"]:
        repo = tmp_path / f"r{said}"
        # `git init --shared` does not accept "yes"
        git(tmp_path, "-c", f"core.sharedRepository={said}", "init", "-q", str(repo))
        git(repo, "config", "core.sharedRepository", said)
        (repo / "file").write_text("x")
        blob = git(repo, "hash-object", "-w", "file")
        made = repo / ".git/objects" / blob[:2]
        probe = repo / "probe"
        probe.mkdir()
        (probe / "file").touch(0o444)
        os.chmod(probe / "file", 0o444)
        sharing = SharedPermissions(said)
        assert sharing.mode(probe.stat().st_mode) == stat.S_IMODE(made.stat().st_mode), said
        assert sharing.mode((probe / "file").stat().st_mode) == stat.S_IMODE((made / blob[2:]).stat().st_mode), said


def test_doctor_reports_a_check_for_which_it_has_no_permission_and_makes_its_other_checks(code_repo, monkeypatch):
    with Client(code_repo) as client:
        client.register_model("iris")

        def fail(repository):
            raise PermissionError(13, "Permission denied", str(repository.common_dir / "gitmodel"))

        monkeypatch.setattr(doctor, "_locks", fail)
        (found,) = doctor.examine(client.repository, client.store)
        assert (found.about, "cannot be read: Permission denied" in found.message) == ("lock", True)


# Network shares

PUT = """
import io, sys
from pathlib import Path
from gitmodel.stores.local_store import LocalStore
store = LocalStore(Path(sys.argv[1]), shared=True)
for text in sys.argv[2:]:
    print(store.put_stream(io.BytesIO(text.encode()))[0])
"""


def run_with_faults(inject, *command, cwd=None):
    """Run *command* and its child processes under strace, which injects these faults into their system calls."""
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={inject}"]
    return subprocess.run([*strace, *command], cwd=cwd, capture_output=True, text=True)


def put(store, *texts, inject):
    done = run_with_faults(inject, sys.executable, "-c", PUT, store, *texts)
    return done.returncode, done.stdout.split(), done.stderr


@needs_strace
@pytest.mark.parametrize(
    ("inject", "what"),
    [
        ("fsync:error=EINVAL", "fsync"),
        ("fsync:error=EOPNOTSUPP", "fsync"),
        ("fchmod,fchmodat,chmod:error=EPERM", "permissions (chmod)"),
        ("fchmod,fchmodat,chmod:error=EOPNOTSUPP", "permissions (chmod)"),
        ("flock:error=ENOLCK", "locks (flock)"),
        ("flock:error=EOPNOTSUPP", "locks (flock)"),
        ("flock:error=ENOSYS", "locks (flock)"),
    ],
)
def test_a_store_works_on_a_limited_file_system_and_warns_once(tmp_path, inject, what):
    (tmp_path / "store").mkdir()
    code, digests, err = put(tmp_path / "store", "one", "two", "one", inject=inject)
    assert (code, len(digests)) == (0, 3), err
    assert err.count(f"has no {what} (") == 1, err
    store = LocalStore(tmp_path / "store", shared=True)
    assert store.open(digests[1]).read() == b"two"
    assert store.leftovers() == []


@needs_strace
@pytest.mark.parametrize("fault", ["EEXIST", "EACCES", "EPERM"])
def test_a_put_repairs_a_damaged_object_on_a_file_system_whose_rename_does_not_replace(tmp_path, fault):
    (tmp_path / "store").mkdir()
    (digest,) = put(tmp_path / "store", "one", inject="fsync:error=EINVAL")[1]
    found = next((tmp_path / "store/sha256").rglob("*/*"))
    for content in (b"one", b"spoilt"):
        overwrite(found, content)
        code, out, err = put(tmp_path / "store", "one", inject=f"rename,renameat,renameat2:error={fault}:when=1")
        assert (code, out) == (0, [digest]), err
        assert found.read_bytes() == b"one"
    assert list((tmp_path / "store/tmp").iterdir()) == []


@needs_strace
def test_disk_errors_are_not_treated_as_limits_of_the_file_system(tmp_path):
    (tmp_path / "store").mkdir()
    for inject in ("fsync:error=EIO", "fsync:error=ENOSPC", "fchmod:error=EIO"):
        assert put(tmp_path / "store", "one", inject=inject)[0] == 1


@needs_strace
def test_a_command_with_a_store_on_a_limited_file_system_warns_once_and_succeeds(code_repo, tmp_path, monkeypatch):
    (tmp_path / "share").mkdir()
    monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "share").as_uri())
    (code_repo / "data").mkdir()
    for number in range(3):
        (code_repo / "data" / f"{number}").write_text(str(number))
    subprocess.run([PROGRAM, "register", "iris"], cwd=code_repo, check=True, capture_output=True)
    command = [PROGRAM, "version", "create", "iris", "-q", "--data", "data=data"]
    done = run_with_faults("fchmod:error=EPERM", *command, cwd=code_repo)
    assert (done.returncode, done.stdout) == (0, "iris@1\n"), done.stderr
    assert done.stderr.count("has no permissions (chmod)") == 1
    assert done.stderr.startswith("warning: the file system of the artifact store")


@needs_strace
@pytest.mark.parametrize("fault", ["ENOLCK", "EOPNOTSUPP"])
def test_a_write_to_a_repository_on_a_disk_without_locks_is_refused_with_advice(code_repo, fault):
    with refs_unchanged(code_repo):
        done = run_with_faults(f"flock:error={fault}", PROGRAM, "register", "iris", cwd=code_repo)
        assert done.returncode == 7, done.stderr
        assert "does not support locks (flock: " in done.stderr
        assert "move the repository to a local disk" in done.stderr
    assert list((code_repo / ".git/gitmodel/writers").iterdir()) == []


@needs_strace
def test_an_export_to_a_file_system_without_hard_links_replaces_no_existing_file(code_repo, tmp_path):
    with Client(code_repo) as client:
        client.register_model("iris").create_version()
    target = tmp_path / "iris.gitmodel"
    export = ("link,linkat:error=EPERM", PROGRAM, "export", "iris@1", target)
    done = run_with_faults(*export, cwd=code_repo)
    assert done.returncode == 0, done.stderr
    first = target.read_bytes()
    done = run_with_faults(*export, cwd=code_repo)
    assert (done.returncode, " already exists" in done.stderr) == (2, True)
    assert target.read_bytes() == first
    assert not list(tmp_path.glob(".gitmodel-*"))


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "the site is as before; give this user the right to write there, then try again"),
        (errno.ENOTDIR, "the site is as before; move away what is in its place, then try again"),
        (errno.ENOSPC, "the site is as before; free space on the disk or repair it, then try again"),
    ],
)
def test_the_hint_of_an_error_depends_on_the_reason_why_a_file_cannot_be_written(number, hint):
    with (
        pytest.raises(Unreachable, match=r"^site cannot be written: ") as caught,
        writing(Path("site"), outcome="the site is as before"),
    ):
        raise OSError(number, os.strerror(number))
    assert caught.value.hint == hint
