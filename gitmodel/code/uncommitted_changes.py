"""Uncommitted changes: listing them, and storing them as a commit. Writes only git objects, with a temporary index."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from gitmodel.code.repository import CodeRepository
from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.errors import Invalid, Refused
from gitmodel.git.history.commits import commit_times
from gitmodel.git.refs.ref_commands import named_id
from gitmodel.git.running.process import Git
from gitmodel.git.worktrees import worktree_state

_LARGEST_TOLD = 3


def list_changes(code: CodeRepository) -> list[str]:
    """Return the paths of the files that differ from the current commit, including new files that git does not ignore.

    The paths start at the top of the work tree. Raises Refused for a submodule with changes and for a nested
    repository, because a commit cannot contain them.
    """
    if not code.worktree:
        return []
    return list(worktree_state.inspect_worktree(code.git, code.index_file, _changes).values())


def snapshot(code: CodeRepository, limit: int) -> Oid | None:
    """Commit the files of the work tree on top of the current commit, without ignored files. Return the commit's id.

    Returns None if no file has changed, or if there is no work tree. Writes only git objects, and runs no hook. The
    same files on the same current commit always give the same id. Raises Refused if the changed files have more than
    *limit* bytes, and for a path that a commit cannot contain, such as a nested repository or a submodule with changes.
    """
    if not code.worktree:
        return None
    return worktree_state.inspect_worktree(code.git, code.index_file, partial(_snapshot, limit=limit))


def _changes(git: Git) -> dict[str, str]:
    """Map the line of `git status` for each change to the path of the changed file."""
    return {line: _path_in(line) for line in worktree_state.list_changes(git)}


def _snapshot(git: Git, limit: int) -> Oid | None:
    from gitmodel.git.worktrees.index_copies import commit_tree, tree_with_changes  # imported here: rarely needed

    changes = _changes(git)
    if not changes:
        return None
    _check_size(git, changes.values(), limit)
    # Leave out files whose deletion is staged: the index lacks them, and git refuses such a path if it is a folder now.
    tree = tree_with_changes(git, [path for line, path in changes.items() if not line.startswith("1 D. ")])
    head = named_id(git, "HEAD")
    if head and named_id(git, f"{head}^{{tree}}") == tree:
        return None
    message = f"Work tree as it was when a version was made\n\nOn: {head or 'no commit yet'}\n"
    made = commit_tree(git, tree, message, head, seconds=commit_times(git, head, 1)[0][1] if head else None)
    if made is None or not is_code_oid(made):
        raise Invalid("git could not commit the work tree", hint="run `git fsck`, and check that the disk has space")
    return made


def _path_in(line: str) -> str:
    kind, _, rest = line.partition(" ")
    before = {"1": 7, "2": 8, "u": 9}.get(kind, 0)
    words = rest.split(" ", before)
    path = words[-1]
    if before and words[1].startswith("S") and ("M" in words[1] or "U" in words[1]):
        raise Refused(f"the submodule {path} has changes of its own", hint="commit them in the submodule first")
    if path.endswith("/"):
        raise Refused(
            f"{path} is another repository inside this one", hint="add it to .gitignore, or make it a submodule"
        )
    return path


def _check_size(git: Git, paths: Iterable[str], limit: int) -> None:
    sizes = {}
    for path in paths:
        with suppress(OSError):  # a deleted file
            sizes[path] = os.lstat(git.top / path).st_size
    total = sum(sizes.values())
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda path: -sizes[path])[:_LARGEST_TOLD]
    told = ", ".join(f"{path} ({sizes[path]:,} bytes)" for path in largest)
    raise Refused(
        f"the uncommitted changes have {total:,} bytes, more than the limit of a snapshot ({limit:,}): {told}",
        hint="add files that are not code to .gitignore, or run `git config gitmodel.snapshotLimit BYTES`",
    )
