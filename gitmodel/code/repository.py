"""The code repository: the commits that versions name, its current state, and the submodules of its work trees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid, is_code_oid
from gitmodel.domain.schema.records import Code
from gitmodel.domain.secrets.credentials import recordable_url
from gitmodel.errors import GitModelError, NotFound, Refused, Unreachable
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import commits_of_either, find_commit, log_fields, missing_commits, read_edge
from gitmodel.git.refs.ref_commands import named_id
from gitmodel.git.repositories.discovery import find_repository
from gitmodel.git.running.failures import BareRefused
from gitmodel.git.running.process import Git
from gitmodel.git.settings.configuration import read_setting
from gitmodel.git.worktrees.worktree_state import inspect_worktree, submodules_changed

# gitmodel ends a git command that talks to a remote if it prints nothing for this number of seconds.
SILENCE = 120.0
_STATUS = (
    "status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=normal", "--ignore-submodules=none",
)  # fmt: skip


class CodeCommit(Frozen):
    """A commit of the code. *when* is its author date."""

    commit: Oid
    author: str
    when: datetime
    subject: str


class CodeRepository:
    """A git repository with code; open it with `open_code`.

    *worktree* is True if the repository has a work tree, which is at `git.top`. *index_file* is the file of its index,
    by default `index` in the git directory.
    """

    def __init__(self, git: Git, *, worktree: bool, index_file: Path | None = None) -> None:
        self.git = git
        self.worktree = worktree
        self.index_file = index_file or git.git_dir / "index"

    @property
    def shallow(self) -> bool:
        return bool(self._edge())

    @cached_property
    def origin(self) -> str:
        """The URL of the remote `origin` in the configuration, "" if there is none."""
        return read_setting(self.git, "remote.origin.url")

    def find(self, named: str) -> Oid:
        """Return the id of the commit that *named* names: a branch, a tag or a part of the id. Raises NotFound."""
        found = find_commit(self.git, named)
        if not found:
            raise NotFound(
                f"there is no commit {named!a} in the code repository {self.git.top}",
                hint="name a commit as `git log` shows it; `git fetch` fetches the commits of others",
            )
        return found

    def holds(self, commit: str) -> bool:
        """Return True if this repository has the commit with the id *commit*."""
        return is_code_oid(commit) and not missing_commits(self.git, [commit])

    def require(self, code: Code | None, whose: str) -> Oid:
        """Return the id of the commit in *code*, which is the recorded code of the version *whose* (such as `iris@4`).

        Raises NotFound if *code* has no commit, or if this repository lacks the commit: the hint says how to fetch it.
        """
        if code is None or code.commit is None:
            why = "was created outside a repository" if code and code.outside else "has no code commit on record"
            raise NotFound(f"{whose} {why}", hint=f"`git model show {whose}` shows its record")
        if self.holds(code.commit):
            return code.commit
        said = f"the code of {whose}, commit {code.commit}, is not in this repository"
        if self.shallow:
            raise NotFound(f"{said}, which is a shallow clone", hint="run `git fetch --unshallow`, then try again")
        source = code.repository or "REMOTE"
        where = f" (it was created in {code.repository})" if code.repository else ""
        raise NotFound(f"{said}{where}", hint=f"run `git fetch {source} {code.commit}`, then try again")

    def between(self, old: Oid, new: Oid) -> list[CodeCommit]:
        """Return the commits in the history of *new* that are not in the history of *old*, newest first."""
        return [
            CodeCommit(Oid(commit), author, datetime.fromtimestamp(int(seconds), timezone.utc), subject)
            for commit, author, seconds, subject in log_fields(self.git, old, new)
        ]

    def is_cut(self, old: Oid, new: Oid) -> bool:
        """Return True if commits between *old* and *new* are missing because the clone is shallow."""
        edge = self._edge()
        return bool(edge) and not edge.isdisjoint(commits_of_either(self.git, old, new))

    def add_submodules(self, target: Path) -> None:
        """Check out the submodules of the work tree at *target*, and their submodules, at their recorded commits.

        git decides which transports are allowed (`protocol.allow`), as for every submodule. Raises Refused if a
        submodule cannot be fetched.
        """
        # imported here: only a checkout needs it
        from gitmodel.git.worktrees.worktree_commands import update_submodules

        there = open_code(target, environ=self.git.environ)
        assert there is not None
        said = update_submodules(there.git, silence=SILENCE)
        if said.code:
            lines = [line.strip() for line in said.stderr.splitlines()]
            why = " ".join(dict.fromkeys(line for line in lines if line.startswith(("fatal:", "error:"))) or lines)
            raise Refused(
                f"the submodules of the code cannot be fetched: {why}",
                hint="this is git's message; `git model checkout --no-submodules` leaves them out",
            )

    def _edge(self) -> frozenset[Oid]:
        return read_edge(self.git.common_dir)

    def read_state(self) -> Code:
        """Return the state of the code for a record. Raises Unreachable if the repository cannot be read."""
        head: str | None
        try:
            if self.worktree:
                head, changed = inspect_worktree(self.git, self.index_file, _read_worktree)
            else:
                head, changed = named_id(self.git, "HEAD"), None
        except GitModelError as error:
            raise Unreachable(f"the code repository cannot be read: {error.message}", hint="run `git status`") from None
        commit = head if head and is_code_oid(head) else None
        dirty = None if changed is None else bool(changed)
        return Code(commit=commit, dirty=dirty, repository=recordable_url(self.origin), changed=changed)


def _read_worktree(git: Git) -> tuple[str, int]:
    """Return the current commit ("(initial)" if there is none), and the number of files that differ from the commit.

    A new folder counts as one file. If only submodules have changes that `git status` does not show, returns 1.
    """
    git_at_top = replace(git, environ={**git.environ, "GIT_WORK_TREE": str(git.top)})
    # `git status` prints the commit as `# branch.oid COMMIT`, and then a line for each file, so one process is enough.
    first, *lines = git_at_top.lines(*_STATUS)
    changed = sum(not line.startswith("#") for line in lines)
    return first.rpartition(" ")[2], changed or int(submodules_changed(git))


def open_code(path: Path, *, environ: Mapping[str, str], named: bool = True) -> CodeRepository | None:
    """Return the code repository that contains the folder *path*; None if there is none.

    *named* is True if the user named *path*, False if it is the current folder (see `find_repository`). Raises
    UsageError if an environment variable such as `GIT_DIR` names another repository, because then it is unclear which
    of the two has the code to record.
    """
    try:
        found = find_repository(path, environ=environ, named=named)
    except (NotFound, BareRefused):
        return None
    found.git.refuse_read_only()
    return CodeRepository(found.git, worktree=found.worktree, index_file=found.index_file)
