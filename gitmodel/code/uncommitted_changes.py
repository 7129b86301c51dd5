"""Uncommitted changes: listing them, and storing them as a commit.

Writes only objects, with its own index.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from gitmodel.code.repository import CodeRepository
from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.errors import Invalid, Refused
from gitmodel.git.process import Git
from gitmodel.git.worktree_state import inspect_worktree

_LARGEST_TOLD = 3


@dataclass(frozen=True)
class UncommittedChange:
    """A file of the work tree that differs from the commit: its path from the top, its size in bytes (0 if deleted)."""

    path: str
    size: int


def list_changes(code: CodeRepository) -> list[UncommittedChange]:
    """Return the differences from the current commit, including new files that are not ignored.

    Raises Refused for a submodule with changes and for a nested repository, because a commit cannot contain them.
    """
    return inspect_worktree(code.git, code.index_file, _changes) if code.worktree else []


def snapshot(code: CodeRepository, limit: int) -> Oid | None:
    """Commit the work tree on top of the current commit; return the new commit, None if nothing differs.

    Ignored files are left out. Writes only objects, and runs no hook. The same state gives the same commit. Raises
    Refused if more than *limit* bytes would be stored, or for a path that a commit cannot contain.
    """
    return inspect_worktree(code.git, code.index_file, partial(_snapshot, limit=limit)) if code.worktree else None


def _changes(git: Git) -> list[UncommittedChange]:
    options = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames")
    said = git.run("status", *options).decode("utf-8", "surrogateescape")
    return [_change(git, line) for line in said.split("\0") if line and not line.startswith("#")]


def _snapshot(git: Git, limit: int) -> Oid | None:
    found = _changes(git)
    if not found:
        return None
    _check_size(found, limit)
    head = git.oid("rev-parse", "--verify", "--quiet", "HEAD", answers=(0, 1))
    with tempfile.TemporaryDirectory(prefix="gitmodel-index-") as folder:
        index = Path(folder) / "index"
        with suppress(FileNotFoundError):  # no file was ever staged
            shutil.copyfile(git.environ["GIT_INDEX_FILE"], index)
        aside = _with(git, GIT_INDEX_FILE=str(index))
        listed = "".join(f"{change.path}\0" for change in found).encode("utf-8", "surrogateescape")
        no_hooks = ("-c", f"core.hooksPath={folder}/none")
        aside.run(*no_hooks, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=listed)
        tree = aside.oids(*no_hooks, "write-tree")[0]
    return _commit(git, tree, head)


def _commit(git: Git, tree: Oid, head: Oid | None) -> Oid | None:
    if head and git.oid("rev-parse", f"{head}^{{tree}}") == tree:
        return None
    when = git.lines("log", "-1", "--format=%ct +0000", head)[0] if head else ""
    dates = {"GIT_AUTHOR_DATE": f"@{when}", "GIT_COMMITTER_DATE": f"@{when}"} if when else {}
    message = f"Work tree as it was when a version was made\n\nOn: {head or 'no commit yet'}\n".encode()
    parents = ("-p", head) if head else ()
    made = _with(git, **dates).lines("commit-tree", tree, *parents, "-F", "-", input=message)
    if len(made) != 1 or not is_code_oid(made[0]):
        raise Invalid("git could not commit the work tree", hint="run `git fsck`, and check that the disk has space")
    return made[0]


def _change(git: Git, line: str) -> UncommittedChange:
    kind, _, rest = line.partition(" ")
    before = {"1": 7, "2": 8, "u": 9}.get(kind, 0)
    words = rest.split(" ", before)
    path = words[-1]
    if before and words[1].startswith("S") and ("M" in words[1] or "U" in words[1]):
        raise Refused(f"the submodule {path} has changes of its own", hint="commit them in the submodule first")
    if path.endswith("/"):
        raise Refused(
            f"{path} is another repository inside this one",
            hint="add it to .gitignore, or make it a submodule",
        )
    try:
        return UncommittedChange(path, os.lstat(git.top / path).st_size)
    except OSError:
        return UncommittedChange(path, 0)


def _check_size(changes: list[UncommittedChange], limit: int) -> None:
    size = sum(change.size for change in changes)
    if size <= limit:
        return
    largest = sorted(changes, key=lambda change: -change.size)[:_LARGEST_TOLD]
    told = ", ".join(f"{change.path} ({change.size:,} bytes)" for change in largest)
    raise Refused(
        f"the uncommitted changes have {size:,} bytes, more than the limit of a snapshot ({limit:,}): {told}",
        hint="add files that are not code to .gitignore, or run `git config gitmodel.snapshotLimit BYTES`",
    )


def _with(git: Git, **variables: str) -> Git:
    return replace(git, environ={**git.environ, **variables})
