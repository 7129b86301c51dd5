"""Finding the repository of a folder with few git processes. gitmodel finds the folder `.git` of an ordinary repository
itself, and one git process reads the settings. In all other cases gitmodel asks git where the repository is. For every
folder, gitmodel must find the repository that git finds.
"""

import os
from dataclasses import replace

import pytest

from gitmodel import GitModelError, NotFound
from gitmodel.git.repositories import discovery
from gitmodel.git.settings.configuration import read_config


def shallow(git, repo):
    git(repo, "clone", "-q", "--depth=1", repo.as_uri(), "../shallow")
    return repo.parent / "shallow"


def partial(git, repo):
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(repo, "clone", "-q", "--filter=blob:none", repo.as_uri(), "../partial")
    return repo.parent / "partial"


def link_to_folder(git, repo):
    (repo / "inside").mkdir()
    (repo.parent / "link").symlink_to(repo / "inside")
    return repo.parent / "link"


def detached(git, repo):
    git(repo, "checkout", "-q", "--detach")
    return repo


def link_to_objects(git, repo):
    (repo / ".git/objects").rename(repo.parent / "objects")
    (repo / ".git/objects").symlink_to(repo.parent / "objects")
    return repo


def damaged_repository_inside(git, repo):
    """Create a folder `.git` without a valid HEAD in the repository. git ignores such a folder and looks further up."""
    git(repo, "init", "-q", "inside")
    (repo / "inside/.git/HEAD").write_text("")
    return repo / "inside"


def bare_repository_inside(git, repo):
    git(repo, "init", "-q", "--bare", "inside")
    return repo / "inside"


def linked_worktree(git, repo):
    git(repo, "worktree", "add", "-q", "../tree")
    return repo.parent / "tree"


def submodule(git, repo):
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "./", "sub")
    return repo / "sub"


def separate(git, repo):
    git(repo, "init", "-q", "--separate-git-dir", repo.parent / "separate.git")
    return repo


def link_to_git_folder(git, repo):
    (repo / ".git").rename(repo.parent / "moved.git")
    (repo / ".git").symlink_to(repo.parent / "moved.git")
    return repo


def sha256(git, repo):
    git(repo, "init", "-q", "--object-format=sha256", "../other")
    return repo.parent / "other"


def other_worktree(git, repo):
    (repo.parent / "files").mkdir()
    git(repo, "config", "core.worktree", repo.parent / "files")
    return repo


def included_worktree(git, repo):
    (repo.parent / "files").mkdir()
    (repo / ".git/more").write_text(f"[core]\n\tworktree = {repo.parent / 'files'}\n")
    git(repo, "config", "include.path", "more")
    return repo


def bare_setting(git, repo):
    git(repo, "config", "core.bare", "yes")
    return repo


def no_settings(git, repo):
    (repo / ".git/config").unlink()
    return repo


def none(git, repo):
    (repo / ".git").rename(repo / "git")
    return repo


def broken_settings(git, repo):
    (repo / ".git/config").write_text("[core\n")
    return repo


ORDINARY = [
    lambda git, repo: repo, lambda git, repo: repo / "x", shallow, partial, link_to_folder, detached, link_to_objects
]  # fmt: skip
UNUSUAL = [
    damaged_repository_inside, bare_repository_inside, linked_worktree, submodule, separate, link_to_git_folder, sha256,
    other_worktree, included_worktree, bare_setting, no_settings, none, broken_settings,
    lambda git, repo: repo / ".git", lambda git, repo: repo / ".git/refs",
]  # fmt: skip


def ask_only_git(monkeypatch):
    """Let gitmodel always ask git where a repository is, also for ordinary repositories."""
    monkeypatch.setattr(discovery, "_find_ordinary", lambda *arguments: None)
    monkeypatch.setattr(discovery, "_is_outside", lambda path: False)


def find(path):
    """Return the repository that gitmodel finds for *path*, or the message of the error."""
    try:
        return discovery.find_repository(path, environ=os.environ)
    except GitModelError as error:
        return str(error)


@pytest.mark.parametrize(
    ("place", "processes"), [*((place, 1) for place in ORDINARY), *((place, 2) for place in UNUSUAL)]
)
def test_a_repository_is_found_as_git_finds_it(code_repo, git, monkeypatch, place, processes):
    (code_repo / "x").mkdir()
    path = place(git, code_repo)
    found = find(path)
    assert (getattr(found, "config", None) is not None) == (processes == 1)
    if processes == 1:
        asked = read_config(found.git)
        assert found.config.items() <= asked.items()
        assert found.config["core.repositoryformatversion"] == asked["core.repositoryformatversion"]
        found = replace(found, config=None)
    ask_only_git(monkeypatch)
    assert found == find(path)


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_CEILING_DIRECTORIES": "{repo}"},
        {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"},
        {"GIT_SHALLOW_FILE": "/dev/null"},
    ],
)
def test_a_repository_that_git_refuses_because_of_variables_or_its_owner_is_refused(code_repo, monkeypatch, variables):
    (code_repo / "x").mkdir()
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(repo=code_repo))
    found = find(code_repo / "x")
    # no error: git 2.34.0 does not check the owner
    found = found if isinstance(found, str) else replace(found, config=None)
    ask_only_git(monkeypatch)
    assert found == find(code_repo / "x")


def test_gitmodel_starts_no_git_process_in_a_folder_outside_of_a_repository(tmp_path, monkeypatch):
    with monkeypatch.context() as changed:
        ask_only_git(changed)
        with pytest.raises(NotFound) as by_git:
            discovery.find_repository(tmp_path, environ=os.environ)
    monkeypatch.setattr(discovery.git_process, "run", None)
    with pytest.raises(NotFound) as found:
        discovery.find_repository(tmp_path, environ=os.environ)
    assert (str(found.value), found.value.hint) == (str(by_git.value), by_git.value.hint)


def test_gitmodel_asks_git_about_a_folder_that_the_user_may_not_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(discovery.os, "lstat", refuse)
    assert not discovery._is_outside(tmp_path)
