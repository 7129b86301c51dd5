"""The commits of the code repository: what is between two of them, and a work tree at one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gitmodel.domain.records import Code
from gitmodel.errors import GitModelError, NotFound
from gitmodel.storage import git as git_process
from gitmodel.storage.git import clean_environment, is_id


@dataclass(frozen=True)
class CodeCommit:
    """A commit of the code: *when* is its author's date."""

    commit: str
    author: str
    when: datetime
    subject: str


class CodeRepository:
    """The git repository that a folder is in, asked for commits; it changes nothing that is the user's.

    Raises NotFound where there is no repository.
    """

    def __init__(self, path: Path, *, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = clean_environment(environ)
        # The last line is the way up to the top of the work tree; a bare repository has none.
        shallow_file, shallow, *up = self._lines(
            "rev-parse", "--git-path", "shallow", "--is-shallow-repository", "--show-cdup"
        )
        self._shallow_file = path / shallow_file
        self.shallow = shallow == "true"
        self.top = (path / up[0]).resolve() if up else None

    def holds(self, commit: str) -> bool:
        """Whether the commit is here."""
        return is_id(commit) and not self._fails("cat-file", "-e", f"{commit}^{{commit}}")

    def require(self, code: Code | None, whose: str) -> str:
        """The commit that *code* of *whose* (`iris@4`) names. Raises NotFound saying how to get what is missing."""
        if code is None or code.commit is None:
            why = "was made outside of any repository" if code and code.outside else "has no code commit on record"
            raise NotFound(f"{whose} {why}", hint=f"`git model show {whose}` shows what is on record of it")
        if self.holds(code.commit):
            return code.commit
        said = f"the code of {whose}, commit {code.commit}, is not in this repository"
        if self.shallow:
            raise NotFound(f"{said}, which is a shallow clone", hint="run `git fetch --unshallow`, then try again")
        source = code.repository or "REMOTE"
        where = f" (it was made in {code.repository})" if code.repository else ""
        raise NotFound(f"{said}{where}", hint=f"run `git fetch {source} {code.commit}`, then try again")

    def exact(self, code: Code | None, whose: str) -> str:
        """The commit that has all of *code*: the snapshot of what was not committed, if it is here. Raises NotFound."""
        if code is not None and code.snapshot and self.holds(code.snapshot):
            return code.snapshot
        return self.require(code, whose)

    def log(self, old: str, new: str) -> str:
        """What `git log OLD..NEW` prints."""
        return self._run("-c", "color.ui=false", "log", f"{old}..{new}", "--")

    def between(self, old: str, new: str) -> list[CodeCommit]:
        """The commits that *new* has and *old* has not, newest first."""
        said = self._run("log", "--no-show-signature", "-z", "--format=%H%x01%an%x01%at%x01%s", f"{old}..{new}", "--")
        found = [entry.split("\x01", 3) for entry in said.split("\0") if entry]
        return [
            CodeCommit(commit, author, datetime.fromtimestamp(int(seconds), timezone.utc), subject)
            for commit, author, seconds, subject in found
        ]

    def is_cut(self, old: str, new: str) -> bool:
        """Whether the edge of a shallow clone is between the two, so that commits are missing there."""
        if not self.shallow:
            return False
        edge = set(self._shallow_file.read_text(encoding="ascii").split())
        return not edge.isdisjoint(self._lines("rev-list", f"{old}...{new}", "--"))

    def add_worktree(self, commit: str, target: Path) -> None:
        """Check *commit* out at *target*, as `git worktree add --detach` does; nothing else moves."""
        self._run("worktree", "add", "--quiet", "--detach", "--end-of-options", str(target.absolute()), commit)

    def remove_worktree(self, target: Path) -> None:
        """Take away a work tree that `add_worktree` made, with all that is in it."""
        self._run("worktree", "remove", "--force", "--force", str(target.absolute()))

    def _run(self, *arguments: str) -> str:
        said = git_process.run(["git", *arguments], self._environ, cwd=self._path)
        return said.decode("utf-8", "replace")

    def _lines(self, *arguments: str) -> list[str]:
        return self._run(*arguments).splitlines()

    def _fails(self, *arguments: str) -> bool:
        try:
            self._run(*arguments)
        except GitModelError:
            return True
        return False
