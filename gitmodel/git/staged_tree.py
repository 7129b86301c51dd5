"""The tree of a work tree's index, without changing the index."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Unreachable
from gitmodel.git.object_reader import ObjectReader
from gitmodel.git.process import Git


def staged_tree(git: Git, reader: ObjectReader, index: Path | None = None) -> Oid:
    """Write the tree that a commit of *index* would have, by default the work tree's own, and return its id.

    git hands another index to the hooks of `git commit -a` and `git commit FILE`. Raises Unreachable.
    """
    with tempfile.TemporaryDirectory() as folder:
        # git writes to the index when it creates a tree, which fails while a commit holds the lock
        copied = Path(folder) / "index"
        path = index or git.path("rev-parse", "--git-path", "index")
        try:
            shutil.copyfile(git.top / path, copied)
        except FileNotFoundError:
            pass  # no file was ever staged
        except OSError as error:
            raise Unreachable(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
        git = replace(git, environ={**git.environ, "GIT_INDEX_FILE": str(copied)})
        (tree,) = git.oids("write-tree")
    reader.close()  # its process may not see the new objects
    return tree
