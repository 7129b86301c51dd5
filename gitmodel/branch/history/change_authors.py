"""The authors and signatures of the changes on a branch that is not merged yet."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from gitmodel.branch.history.changed_paths import MOST_FILES, changed_paths
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import author_of_addition, commits_without_merges, first_parents

_MOST_COMMITS = 10_000


class ChangeSignature(Frozen):
    """The author *by* of a signed commit, and the reason *fault* why its signature does not count; "" if it counts."""

    by: str
    fault: str = ""


@dataclass(eq=False)
class ChangeAuthors:
    """The authors of the changes that a merge of the commit *head* into the commit *base* would bring."""

    repository: Repository
    base: Oid
    head: Oid

    def author_of_change(self, path: str) -> str:
        """Return the author of the newest commit that changed *path* on the branch *head*; "" if no commit did."""
        return self._author(self._changed.get(path))

    def signature_of_change(self, path: str) -> ChangeSignature | None:
        """Return the signature of the newest commit that changed *path* on the branch *head*; None if it is not signed.

        The rules and the list of signers in *base* decide if the signature counts.
        """
        from gitmodel.git.signatures import object_signatures  # imported here: most changes have no signature

        id = self._changed.get(path)
        if id is None or object_signatures.of_commit(self.repository.reader.get(id).data) is None:
            return None
        fault = self.repository.tags.signatures.commit_fault(id, before=self.base)
        return ChangeSignature(self._author(id), fault)

    def author_of_creation(self, path: str) -> str:
        """Return the author of the commit in the history of *base* or *head* that created the file at *path*.

        Only correct for files that no commit deletes, which the caller ensures.
        """
        if path in self._changed and self.repository.files(self.base).id(path) is None:
            return self._author(self._first.get(path))
        files, chain = self.repository.files, self._chain
        at = bisect_left(chain, True, key=lambda commit: files(commit).id(path) is not None)
        if at == len(chain):
            return ""
        commit = self.repository.commits.read(chain[at])
        made = ""
        if len(commit.parents) > 1:
            made = author_of_addition(self.repository.git, commit.parents[1:], commit.parents[0], path)
        return made or self._author(chain[at])

    def _author(self, commit: Oid | None) -> str:
        return self.repository.commits.read(commit).author.partition(" <")[0] if commit else ""

    @cached_property
    def _chain(self) -> list[Oid]:
        """The states of *base*, oldest first."""
        return first_parents(self.repository.git, self.base)[::-1]

    @cached_property
    def _changed(self) -> dict[str, Oid]:
        """The newest commit that changed each path."""
        return dict(reversed(self._touched))

    @cached_property
    def _first(self) -> dict[str, Oid]:
        """The oldest commit that changed each path."""
        return dict(self._touched)

    @cached_property
    def _touched(self) -> list[tuple[str, Oid]]:
        """Each path that a commit of *head*, but not of *base*, changed, with the commit, newest first."""
        touched: list[tuple[str, Oid]] = []
        for id in commits_without_merges(self.repository.git, self.head, self.base, _MOST_COMMITS):
            commit = self.repository.commits.read(id)
            try:
                paths = changed_paths(self.repository, commit.parent, id)
            except Invalid:
                continue  # a commit with too many changed files, which is not searched
            touched += [(path, id) for path in paths]
            if len(touched) > MOST_FILES:
                break
        return touched
