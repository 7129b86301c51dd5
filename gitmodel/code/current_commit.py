"""The recorded state of the code: the current commit, whether there are changes, and the remote.

The only module that imports GitPython, and only when a version is created: the import takes 80 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.code.repository import CodeRepository
from gitmodel.domain.schema.object_ids import is_code_oid
from gitmodel.domain.schema.records import Code
from gitmodel.domain.secrets.credentials import recordable_url
from gitmodel.errors import Unreachable
from gitmodel.git.process import Git
from gitmodel.git.worktree_state import inspect_worktree, submodules_changed

if TYPE_CHECKING:
    import git


def read_code(repository: CodeRepository | None) -> Code:
    """Return the state of the code repository. Outside of any (None), the state says so.

    Raises Unreachable if the repository cannot be read.
    """
    if repository is None:
        return Code(outside=True)
    import git

    try:
        if repository.worktree:
            head, changed = inspect_worktree(repository.git, repository.index_file, _read_worktree)
        else:
            asked = _python_git(repository.git)
            head, changed = asked.rev_parse("--verify", "--quiet", "HEAD", with_exceptions=False), None
    except git.GitCommandError as error:
        raise Unreachable(
            f"the code repository cannot be read: {error.stderr.strip()}", hint="run `git status`"
        ) from None
    commit = head if is_code_oid(head) else None
    dirty = None if changed is None else bool(changed)
    return Code(commit=commit, dirty=dirty, repository=recordable_url(repository.origin), changed=changed)


def _read_worktree(places: Git) -> tuple[str, int]:
    """Return the current commit ("(initial)" if there is none), and the number of files that differ from it.

    A new folder counts as one, and so do hidden changes in submodules.
    """
    asked = _python_git(places)
    asked.update_environment(GIT_WORK_TREE=str(places.top))
    # One process prints both: `# branch.oid COMMIT`, and the changes in all other lines.
    options = (
        "--porcelain=v2",
        "--branch",
        "--no-ahead-behind",
        "--untracked-files=normal",
        "--ignore-submodules=none",
    )
    first, *lines = asked.status(*options).splitlines()
    changed = sum(not line.startswith("#") for line in lines)
    return first.rpartition(" ")[2], changed or int(submodules_changed(places))


def _python_git(places: Git) -> git.Git:
    import git

    asked = git.Git(places.top)
    # In a hook, git sets variables for its repository, index and work tree, and GitPython inherits them.
    named = {"GIT_DIR": str(places.git_dir), "GIT_COMMON_DIR": str(places.common_dir)}
    asked.update_environment(
        **{name: said for name, said in places.environ.items() if name.startswith("GIT_")}, **named
    )
    return asked
