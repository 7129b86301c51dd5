"""Work trees with the metadata branch checked out. Writes move the branch, and never change their files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from gitmodel.branch.opening import open_repository
from gitmodel.branch.repository import Repository
from gitmodel.git.process import Git

_MOST_COMPARED = 50


def find_behind(repository: Repository) -> list[Path]:
    """Return the work trees of *repository* in which a commit would revert changes recorded since the checkout."""
    folder, found = Path(), []
    for line in _list_worktrees(repository.git):
        if line.startswith("worktree "):
            folder = Path(line.removeprefix("worktree "))
        elif line == f"branch {repository.branch}" and folder.is_dir():
            there = open_repository(folder, environ=repository.git.environ)
            try:
                found += [folder] if is_behind(there) else []
            finally:
                there.close()
    return found


def _list_worktrees(git: Git) -> list[str]:
    """Return the attributes of all work trees (`git help worktree`). git before 2.36 splits paths with a line feed."""
    command = ("worktree", "list", "--porcelain")
    said = git.run(*command, "-z", answers=(0, 129))
    return os.fsdecode(said).split("\0") if said else os.fsdecode(git.run(*command)).split("\n")


def is_behind(repository: Repository) -> bool:
    """Return True if the metadata branch is checked out here, and the index has a file as an earlier commit had it.

    Other differences between the index and the branch are changes that the user staged.
    """
    git = repository.git
    with suppress(OSError, ValueError):
        if (git.git_dir / "HEAD").read_text(encoding="utf-8").strip() == f"ref: {repository.branch}":
            return (git.git_dir / "index").exists() and _has_earlier_files(git)
    return False


def _has_earlier_files(git: Git) -> bool:
    # Among many files, any of the first few that differ is a file of an earlier commit, unless the user staged them.
    staged = _changes(git, "diff-index", "--cached")[:_MOST_COMPARED]
    if not staged:
        return False
    named = [path for path, _, _ in staged]
    earlier = {(path, old) for path, old, _ in _changes(git, "log", "--format=", "--first-parent", "-m", paths=named)}
    return any((path, new) in earlier for path, _, new in staged)


def _changes(git: Git, *command: str, paths: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Return path, old and new object id of the changes that *command* of git finds up to the current commit."""
    options = ("--raw", "--no-renames", "--no-abbrev", "-z", "HEAD", "--", *paths)
    words = [word.strip() for word in os.fsdecode(git.run(*command, *options)).split("\0")]
    found = [(path, word.split()) for word, path in pairwise(words) if word.startswith(":")]
    return [(path, meta[2], meta[3]) for path, meta in found]
