"""Copies of a git index: trees and commits from a temporary copy, and a refreshed copy if the files have new times.

After `cp -r`, or after a CI job restored the work tree from a cache, the files have other times than their entries in
the index. Until the user refreshes the index, each `git status` reads the content of all these files. gitmodel
refreshes a copy, because it never writes the user's index.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import GitModelError, Unreachable
from gitmodel.files.permissions import make_folder, user_id
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.process import Git, with_settings

# With these settings, the copy has all entries in one file, and git runs no hook of the user when it writes the copy.
_SETTINGS = {"core.splitIndex": "false", "core.hooksPath": os.devnull}

Stamp = tuple[int, int, int, int]
"""The times, size and inode of an index file. git writes every change of the index to a new file."""

# The index files for which a refresh changed nothing, so that they need no refreshed copy, with their stamps.
_fresh: dict[Path, Stamp] = {}


def stamp_of(index_file: Path) -> Stamp | None:
    """Return the stamp of *index_file*, or None if the file does not exist. The stamp differs after each change."""
    try:
        found = os.stat(index_file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@contextmanager
def copied_index(git: Git, index_file: Path) -> Iterator[Git]:
    """Yield a Git that uses a temporary copy of *index_file*. If there is no such file, git sees an empty index."""
    with tempfile.TemporaryDirectory(prefix="gitmodel-index-") as folder:
        copied = Path(folder) / "index"
        with suppress(FileNotFoundError):  # a work tree has no index file before the first `git add`
            # `copy2` preserves the time of the index. With a newer time, git would trust the entries of files that
            # changed in the moment in which the index was written (racy-git.txt in git).
            shutil.copy2(index_file, copied)
        yield replace(git, environ={**git.environ, "GIT_INDEX_FILE": str(copied)})


def refreshed_copy(git: Git, index_file: Path, stamp: Stamp | None) -> Path:
    """Return the path of the refreshed copy of *index_file*, or *index_file* itself if no copy was made for *stamp*."""
    copy = _copy_of(git, stamp) if stamp is not None else index_file
    return copy if os.access(copy, os.R_OK) else index_file


def refresh_copy(git: Git, index_file: Path, stamp: Stamp | None) -> None:
    """Write a refreshed copy of *index_file*, which has the stamp *stamp*, unless a refresh changes nothing.

    Deletes earlier copies. Errors are ignored, because a copy only saves time.
    """
    if stamp is None or _fresh.get(index_file) == stamp:
        return
    target = _copy_of(git, stamp)
    with suppress(OSError, GitModelError):
        make_folder(target.parent)
        with tempfile.TemporaryDirectory(prefix=_prefix(), dir=target.parent) as folder:
            copied = Path(folder) / "index"
            shutil.copy2(refreshed_copy(git, index_file, stamp), copied)
            if stamp_of(index_file) != stamp:
                return
            before = stamp_of(copied)
            aside = {**with_settings(git.environ, _SETTINGS.items()), "GIT_INDEX_FILE": str(copied)}
            refresh = ("update-index", "-q", "--refresh", "--ignore-submodules")
            replace(git, environ=aside).run(*refresh, answers=(0, 1))
            if stamp_of(copied) == before:
                _fresh[index_file] = stamp
                return
            os.replace(copied, target)
        for path in target.parent.glob(f"{_prefix()}*"):
            if path.is_dir():  # the temporary folder of a killed process
                shutil.rmtree(path, ignore_errors=True)
            elif path != target:
                path.unlink(missing_ok=True)


def _copy_of(git: Git, stamp: Stamp) -> Path:
    return git.git_dir / "gitmodel" / (_prefix() + "-".join(map(str, stamp)))


def _prefix() -> str:
    return f"code-index-{user_id()}-"


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
