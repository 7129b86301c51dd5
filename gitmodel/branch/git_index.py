"""The index of a work tree, staged for the next commit: it is read and never written."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Unreachable


def staged_tree(repository: Repository, index: Path | None = None) -> Oid:
    """The tree that a commit of *index* would have; by default of the work tree's own. Raises Unreachable.

    git hands another one to the hooks of `git commit -a` and `git commit FILE`.
    """
    with tempfile.TemporaryDirectory() as folder:
        # git writes to the index when it creates a tree, which fails while a commit holds the lock
        copied = Path(folder) / "index"
        path = index or repository.git.path("rev-parse", "--git-path", "index")
        try:
            shutil.copyfile(repository.git.top / path, copied)
        except FileNotFoundError:
            pass  # no file was ever staged
        except OSError as error:
            raise Unreachable(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
        git = replace(repository.git, environ={**repository.git.environ, "GIT_INDEX_FILE": str(copied)})
        (tree,) = git.oids("write-tree")
    repository.reader.close()
    return tree
