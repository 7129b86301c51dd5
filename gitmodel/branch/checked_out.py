"""Finding work trees in which the files of the metadata branch are outdated, because gitmodel moves only the branch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from gitmodel.branch.opening import open_repository
from gitmodel.branch.repository import Repository


def find_behind(repository: Repository) -> list[Path]:
    """Return the folders of the work trees in which a `git commit` would revert changes that gitmodel recorded."""
    from gitmodel.git.worktrees.worktree_commands import worktrees_on  # imported here: only `doctor` needs it

    found = []
    for folder in worktrees_on(repository.git, repository.branch):
        if folder.is_dir():
            there = open_repository(folder, environ=repository.git.environ)
            try:
                found += [folder] if is_behind(there) else []
            finally:
                there.close()
    return found


def is_behind(repository: Repository) -> bool:
    """Return True if the work tree of *repository* has the metadata branch checked out, but in an earlier state.

    The index shows this: it has a file of an earlier commit. Other differences are changes that the user staged.
    """
    git = repository.git
    with suppress(OSError, ValueError):
        if (git.git_dir / "HEAD").read_text(encoding="utf-8").strip() == f"ref: {repository.branch}":
            # imported here because few work trees have the metadata branch checked out
            from gitmodel.git.worktrees.worktree_commands import has_earlier_files

            return (git.git_dir / "index").exists() and has_earlier_files(git)
    return False
