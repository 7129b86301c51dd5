"""Work trees with the metadata branch checked out. Writes move the branch, and never change their files."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gitmodel.branch.opening import open_repository
from gitmodel.branch.repository import Repository
from gitmodel.git.process import Git


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
    """Return True if the work tree has the metadata branch checked out and its index differs from the branch.

    The difference may also be changes that the user staged: git cannot tell them apart.
    """
    git = repository.git
    with suppress(OSError, ValueError):
        if (git.git_dir / "HEAD").read_text(encoding="utf-8").strip() == f"ref: {repository.branch}":
            return (git.git_dir / "index").exists() and bool(git.lines("diff-index", "--cached", "--name-only", "HEAD"))
    return False
