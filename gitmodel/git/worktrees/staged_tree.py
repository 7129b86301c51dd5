"""Writing trees and commits of the staged or changed files of a work tree, without changing its index."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Unreachable
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.process import Git
from gitmodel.git.worktrees.index_copies import copied_index


def staged_tree(git: Git, reader: ObjectReader, index: Path | None = None) -> Oid:
    """Write the tree that a commit of the index file *index* would have, and return its id.

    *index* is by default the work tree's own index. In the hooks of `git commit -a` and `git commit FILE`, git uses
    another one. Raises Unreachable if the index cannot be read.
    """
    path = index or git.path("rev-parse", "--git-path", "index")
    try:
        # Uses a copy, because `git write-tree` also writes to the index, and fails if `git commit` has locked it.
        with copied_index(git, git.top / path) as aside:
            (tree,) = aside.oids("write-tree")
    except OSError as error:
        raise Unreachable(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
    reader.close()  # its running git process may not see the new tree
    return tree


def tree_with_changes(git: Git, paths: Iterable[str]) -> Oid:
    """Write the tree that a commit would have after `git add` of the files *paths*, and return its id."""
    listed = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    no_hooks = ("-c", f"core.hooksPath={os.devnull}")
    with copied_index(git, Path(git.environ["GIT_INDEX_FILE"])) as aside:
        aside.run(*no_hooks, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", input=listed)
        return aside.oids(*no_hooks, "write-tree")[0]


def commit_tree(git: Git, tree: Oid, message: str, parent: Oid | None, *, seconds: int | None) -> Oid | None:
    """Write a commit of the tree *tree* on the commit *parent*, and return its id, or None if git prints no id.

    The commit is dated *seconds* since 1970; None: now. Moves no ref.
    """
    date = f"@{seconds} +0000"
    dates = {} if seconds is None else {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    dated = replace(git, environ={**git.environ, **dates})
    made = dated.oids("commit-tree", tree, *(("-p", parent) if parent else ()), "-F", "-", input=message.encode())
    return made[0] if len(made) == 1 else None
