"""Reading the state of the code for a record: the current commit, uncommitted changes, and the URL of the remote."""

from __future__ import annotations

from dataclasses import replace

from gitmodel.code.repository import CodeRepository
from gitmodel.domain.schema.object_ids import is_code_oid
from gitmodel.domain.schema.records import Code
from gitmodel.domain.secrets.credentials import recordable_url
from gitmodel.errors import GitModelError, Unreachable
from gitmodel.git.refs.ref_commands import named_id
from gitmodel.git.running.process import Git
from gitmodel.git.worktrees.worktree_state import inspect_worktree, submodules_changed

_STATUS = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=normal")


def read_code(repository: CodeRepository | None) -> Code:
    """Return the state of the code in *repository*. None for *repository* means that the code is in no repository.

    Raises Unreachable if the repository cannot be read.
    """
    if repository is None:
        return Code(outside=True)
    head: str | None
    try:
        if repository.worktree:
            head, changed = inspect_worktree(repository.git, repository.index_file, _read_worktree)
        else:
            head, changed = named_id(repository.git, "HEAD"), None
    except GitModelError as error:
        raise Unreachable(f"the code repository cannot be read: {error.message}", hint="run `git status`") from None
    commit = head if head and is_code_oid(head) else None
    dirty = None if changed is None else bool(changed)
    return Code(commit=commit, dirty=dirty, repository=recordable_url(repository.origin), changed=changed)


def _read_worktree(git: Git) -> tuple[str, int]:
    """Return the current commit ("(initial)" if there is none), and the number of files that differ from the commit.

    A new folder counts as one file. If only submodules have changes that `git status` does not show, returns 1.
    """
    asked = replace(git, environ={**git.environ, "GIT_WORK_TREE": str(git.top)})
    # `git status` prints the commit as `# branch.oid COMMIT`, and then a line for each file, so one process is enough.
    first, *lines = asked.lines(*_STATUS, "--ignore-submodules=none")
    changed = sum(not line.startswith("#") for line in lines)
    return first.rpartition(" ")[2], changed or int(submodules_changed(git))
