"""Finding the repository of a folder with few git processes. gitmodel finds the folder `.git` of an ordinary repository
itself, and one git process reads the settings. In all other cases gitmodel asks git where the repository is. For every
folder, gitmodel must find the repository that git finds.
"""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gitmodel import GitModelError, NotFound
from gitmodel.git.repositories import discovery
from gitmodel.git.settings.configuration import read_config

# Folders by name: the shell commands that create the folder, run in an ordinary repository, and the path of the folder.
ORDINARY = {
    "repository": ("", "."),
    "folder of files": ("", "x"),
    "shallow clone": ('git clone -q --depth=1 "file://$PWD" ../shallow', "../shallow"),
    "partial clone": (
        'git config uploadpack.allowFilter true; git clone -q --filter=blob:none "file://$PWD" ../partial',
        "../partial",
    ),
    "link to a folder": ('ln -s "$PWD/x" ../link', "../link"),
    "detached HEAD": ("git checkout -q --detach", "."),
    "link to the objects": ('mv .git/objects ..; ln -s "$PWD/../objects" .git/objects', "."),
}
UNUSUAL = {
    # git ignores a folder `.git` without a valid HEAD, and looks further up
    "damaged repository inside": ("git init -q inside; : >inside/.git/HEAD", "inside"),
    "bare repository inside": ("git init -q --bare inside", "inside"),
    "linked work tree": ("git worktree add -q ../tree", "../tree"),
    "submodule": ("git -c protocol.file.allow=always submodule --quiet add ./ sub", "sub"),
    "separate git folder": ("git init -q --separate-git-dir ../separate.git", "."),
    "link to the git folder": ('mv .git ../moved.git; ln -s "$PWD/../moved.git" .git', "."),
    "SHA-256 ids": ("git init -q --object-format=sha256 ../other", "../other"),
    "other work tree": ('mkdir ../files; git config core.worktree "$PWD/../files"', "."),
    "other work tree by an included file": (
        'mkdir ../files; git config -f .git/more core.worktree "$PWD/../files"; git config include.path more',
        ".",
    ),
    "setting bare": ("git config core.bare yes", "."),
    "no settings": ("rm .git/config", "."),
    "no repository": ("mv .git git", "."),
    "broken settings": ("echo '[core' >.git/config", "."),
    "git folder": ("", ".git"),
    "folder in the git folder": ("", ".git/refs"),
}


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


@pytest.mark.parametrize("name", [*ORDINARY, *UNUSUAL])
def test_a_repository_is_found_as_git_finds_it(code_repo, monkeypatch, name):
    (code_repo / "x").mkdir()
    commands, place = (ORDINARY | UNUSUAL)[name]
    subprocess.run(["sh", "-ec", commands], cwd=code_repo, check=True)
    path = Path(os.path.normpath(code_repo / place))
    found = find(path)
    assert (getattr(found, "config", None) is not None) == (name in ORDINARY)
    if name in ORDINARY:
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
    # `find` returns a repository if this git does not check the owner, such as git 2.34.0.
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
