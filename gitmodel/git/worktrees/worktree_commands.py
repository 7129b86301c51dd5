"""Work trees: listing, adding and removing them, and finding files of earlier commits in their index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.running.process import Git
from gitmodel.git.running.silence_timeout import GitOutput

_MOST_COMPARED = 50


def worktrees_on(git: Git, branch: str) -> Iterator[Path]:
    """Yield the work trees that have *branch* (a full ref name) checked out. Line feeds in paths need git 2.36."""
    command = ("worktree", "list", "--porcelain")
    said = git.run(*command, "-z", answers=(0, 129))
    folder = Path()
    for line in os.fsdecode(said).split("\0") if said else os.fsdecode(git.run(*command)).split("\n"):
        if line.startswith("worktree "):
            folder = Path(line.removeprefix("worktree "))
        elif line == f"branch {branch}":
            yield folder


def has_earlier_files(git: Git) -> bool:
    """Return True if the index has, for a file that the current commit changed, the content of an earlier commit."""
    # If the index is that of an earlier commit, all files that differ from the current commit have earlier content,
    # except those that the user staged. So it is enough to compare the first 50 of them.
    staged = _raw_changes(git, "diff-index", "--cached")[:_MOST_COMPARED]
    if not staged:
        return False
    named = [path for path, _, _ in staged]
    before = _raw_changes(git, "log", "--format=", "--first-parent", "-m", paths=named)
    earlier = {(path, old) for path, old, _ in before}
    return any((path, new) in earlier for path, _, new in staged)


def add_worktree(git: Git, commit: Oid, target: Path) -> None:
    """Add a work tree in the folder *target* with *commit* checked out, on no branch."""
    place = str(target.absolute())
    git.run("worktree", "add", "--quiet", "--detach", "--end-of-options", place, commit)


def remove_worktree(git: Git, target: Path) -> None:
    """Delete the work tree in the folder *target*, with all files."""
    git.run("worktree", "remove", "--force", "--force", str(target.absolute()))


def update_submodules(git: Git, *, silence: float) -> GitOutput:
    """Check out the submodules of the work tree, and their submodules, each at the commit that its parent records."""
    # Without the option `--init`, which would write into the configuration that all work trees share.
    asked = ("-c", "submodule.active=.", "submodule", "update", "--recursive", "--progress")
    return git.run_remote(*asked, silence=silence)


def _raw_changes(git: Git, *command: str, paths: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Run git's *command* for HEAD, and return path, old id and new id of each change in its output."""
    options = ("--raw", "--no-renames", "--no-abbrev", "-z", "HEAD", "--", *paths)
    words = [word.strip() for word in os.fsdecode(git.run(*command, *options)).split("\0")]
    found = [(path, word.split()) for word, path in pairwise(words) if word.startswith(":")]
    return [(path, meta[2], meta[3]) for path, meta in found]
