"""`git model checkout`: creating a work tree with the code of a version, its submodules and its artifacts.

If the clone lacks the commit, checkout fetches it: a ref of gitmodel on the remote keeps the commits of versions.
"""

import json
import shutil

import pytest
from transcripts import ask, fail, succeed

from gitmodel import Client


@pytest.fixture
def parted(code_repo, tmp_path, monkeypatch, git):
    """A code repository whose submodule has a submodule. The code has commits that are newer than iris@1."""
    allowed = ("-c", "protocol.file.allow=always")
    for name in ("inner", "library"):
        git(tmp_path, "init", "-q", name)
        (tmp_path / name / f"{name}.py").write_text("then\n", encoding="utf-8")
        git(tmp_path / name, "add", ".")
        git(tmp_path / name, "commit", "-q", "-m", "Begin")
    git(tmp_path / "library", *allowed, "submodule", "--quiet", "add", (tmp_path / "inner").as_uri(), "inner")
    git(tmp_path / "library", "commit", "-q", "-m", "Take inner")
    git(code_repo, *allowed, "submodule", "--quiet", "add", (tmp_path / "library").as_uri(), "library")
    git(code_repo, "commit", "-q", "-m", "Take the library")
    monkeypatch.chdir(code_repo)
    with Client() as client:
        client.register_model("iris").create_version()
    (tmp_path / "library" / "library.py").write_text("now\n", encoding="utf-8")
    git(tmp_path / "library", "commit", "-q", "-a", "-m", "Move on")
    git(code_repo / "library", "pull", "-q")
    git(code_repo, "commit", "-q", "-a", "-m", "Take a newer library")
    return code_repo


def test_a_checkout_has_submodules_at_their_recorded_commits_and_changes_no_git_setting(parted, git, tmp_path, capsys):
    git(parted, "config", "--global", "protocol.file.allow", "always")
    place = tmp_path / "then"
    before = (parted / ".git" / "config").read_text(), git(parted, "status", "--porcelain", "--branch")
    succeed(capsys, "checkout", "iris@1", place)
    assert (place / "library" / "library.py").read_text() == "then\n"
    assert (place / "library" / "inner" / "inner.py").read_text() == "then\n"
    assert git(place, "status", "--porcelain") == ""
    assert ((parted / ".git" / "config").read_text(), git(parted, "status", "--porcelain", "--branch")) == before
    assert (parted / "library" / "library.py").read_text() == "now\n"
    git(parted, "worktree", "remove", "--force", str(place))
    assert not place.exists()


def test_a_checkout_fetches_submodules_that_the_clone_never_initialized(parted, git, tmp_path, capsys, monkeypatch):
    git(parted, "config", "--global", "protocol.file.allow", "always")
    git(tmp_path, "clone", "-q", parted.as_uri(), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    succeed(capsys, "--repo", parted, "checkout", "iris@1", tmp_path / "then")
    assert (tmp_path / "then" / "library" / "inner" / "inner.py").is_file()
    assert git(tmp_path / "clone", "config", "--list").count("submodule") == 0
    assert not list((tmp_path / "clone" / "library").iterdir())


def test_a_checkout_is_refused_unless_it_omits_a_submodule_that_cannot_be_fetched(
    parted, git, tmp_path, capsys, transcript
):
    """The submodule cannot be fetched because git does not fetch submodules from a local path by default."""
    place = tmp_path / "then"
    err = fail(capsys, 6, "checkout", "iris@1", place)
    assert "error: the submodules of the code cannot be fetched: fatal: transport 'file' not allowed" in err
    assert "hint: this is git's message; `git model checkout --no-submodules` leaves them out" in err
    assert not place.exists()
    assert git(parted, "worktree", "list").count("\n") == 0
    transcript(f"""
        $ git model checkout iris@1 {place} --no-submodules
        {place} has the code of iris@1 at <commit>
        ! left out: library; `git submodule update --init` in the new folder checks submodules out
    """)
    assert not list((place / "library").iterdir())
    _, out, _ = ask(capsys, "checkout", "iris@1", tmp_path / "again", "--no-submodules", "--format", "json")
    assert json.loads(out)["left_out"] == ["library"]


@pytest.fixture
def bob(code_repo, tmp_path, git, monkeypatch, origin):
    """Bob's clone. iris@1 is of a code commit on a branch, which was then squashed into main and deleted."""
    git(code_repo, "push", "-q", "origin", "main")
    git(code_repo, "switch", "-q", "-c", "idea")
    (code_repo / "train.py").write_text("print('an idea')\n", encoding="utf-8")
    git(code_repo, "commit", "-q", "-a", "-m", "An idea")
    git(code_repo, "push", "-q", "origin", "idea")
    monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
    with Client(code_repo) as ada:
        ada.register_model("iris").create_version()
        ada.push()
    git(code_repo, "push", "-q", "origin", "--delete", "idea")
    git(tmp_path, "clone", "-q", origin.as_uri(), "bob")
    monkeypatch.chdir(tmp_path / "bob")
    with Client() as client:
        client.pull()
    return tmp_path / "bob"


def test_a_checkout_fetches_a_commit_that_only_a_ref_of_gitmodel_keeps_on_the_remote(bob, git, tmp_path, capsys):
    with Client() as client:
        commit = client.get_version("iris@1").code.commit
        assert not client.open_code().holds(commit)
    code, _, err = ask(capsys, "checkout", "iris@1", tmp_path / "then")
    assert (code, err) == (0, "")
    assert (tmp_path / "then" / "train.py").read_text() == "print('an idea')\n"
    assert git(bob, "for-each-ref", "--format=%(refname)", "refs/gitmodel/code") == f"refs/gitmodel/code/{commit}"


def test_a_checkout_in_a_shallow_clone_fetches_only_the_commit_of_the_version(bob, git, tmp_path, capsys, monkeypatch):
    git(tmp_path, "clone", "-q", "--depth=1", (tmp_path / "remote.git").as_uri(), "carl")
    monkeypatch.chdir(tmp_path / "carl")
    succeed(capsys, "--repo", bob, "checkout", "iris@1", tmp_path / "then")
    assert git(tmp_path / "then", "log", "--format=%s") == "An idea"


def test_a_checkout_ignores_a_ref_of_gitmodel_whose_commit_differs_from_its_name(bob, git, tmp_path, capsys):
    remote = tmp_path / "remote.git"
    with Client() as client:
        ref = f"refs/gitmodel/code/{client.get_version('iris@1').code.commit}"
    git(remote, "update-ref", ref, "refs/heads/main")
    assert "is not in this repository" in fail(capsys, 3, "checkout", "iris@1", tmp_path / "then")
    assert git(bob, "for-each-ref", "refs/gitmodel/code") == ""


def test_if_the_remote_does_not_exist_checkout_reports_the_missing_commit(bob, tmp_path, capsys):
    shutil.rmtree(tmp_path / "remote.git")
    assert "is not in this repository" in fail(capsys, 3, "checkout", "iris@1", tmp_path / "then")


def test_recording_the_code_of_a_second_version_starts_only_git_status(code_repo, monkeypatch):
    from gitmodel.git.running import process as git_process

    started, run = [], git_process.run
    with Client(code_repo) as client:
        client.register_model("iris")
        client.record_code()
        monkeypatch.setattr(
            git_process, "run", lambda *given, **named: started.append(given[0]) or run(*given, **named)
        )
        client.record_code()
    assert ["status" in command for command in started] == [True]


@pytest.mark.parametrize("folder", ["artifacts", "artifacts/here"])
@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_a_checkout_is_refused_if_the_code_has_a_link_or_file_in_place_of_the_folder_for_artifacts(
    code_repo, tmp_path, monkeypatch, capsys, git, folder, kind
):
    """If checkout followed a link in other people's code, it would write artifacts outside of the work tree."""
    monkeypatch.chdir(code_repo)
    (tmp_path / "outside").mkdir()
    if kind == "file":
        (code_repo / "artifacts").write_text("a file\n", encoding="utf-8")
    else:
        (code_repo / "artifacts").symlink_to(tmp_path / ("outside" if kind == "link" else "nowhere"))
    (code_repo / "model.json").write_text("{}", encoding="utf-8")
    git(code_repo, "add", "artifacts")
    git(code_repo, "commit", "-q", "-m", "In the way")
    with Client() as client:
        client.register_model("iris").create_version(model_objects={"classifier": "model.json"})
    code, _, err = ask(capsys, "checkout", "iris@1", tmp_path / "then", "--artifacts", folder)
    assert (code, err) == (
        2,
        f"error: the code of iris@1 contains a folder {folder} itself\nhint: name another folder with --artifacts\n",
    )
    assert not list((tmp_path / "outside").iterdir())
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "then").exists()


def test_a_checkout_outside_of_a_code_repository_is_refused(code_repo, tmp_path, monkeypatch, transcript):
    monkeypatch.chdir(code_repo)
    with Client() as client:
        client.register_model("iris").create_version()
    monkeypatch.chdir(tmp_path)
    transcript(f"""
        $ git model --repo {code_repo} checkout iris@1 then
        ! error: the current folder is in no code repository
        ! hint: change to it, or name it: git model -C DIR ...
        [3]
    """)
