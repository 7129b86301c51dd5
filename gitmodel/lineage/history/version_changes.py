"""The changes of versions after their creation: who changed which fields, and from which to which value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gitmodel.branch.history.first_parents import BranchCommit, FileChange, parse_person, walk_branch
from gitmodel.branch.repository import Repository
from gitmodel.domain.record_fields import changed_fields, fields_of
from gitmodel.domain.schema import messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class FieldChange(Frozen):
    """A change of a *field* (a dotted name): its values *before* and *after* a commit (None: not set)."""

    field: str
    before: Any
    after: Any


class VersionChange(Frozen):
    """A *commit* that changed the record of a version. *author* made the change, which came to the branch at *when*."""

    commit: Oid
    author: str
    when: datetime
    reason: str
    pull_request: str
    fields: tuple[FieldChange, ...]


class VersionChanges:
    """The changes of the records of all versions. Creating this object walks through the history once.

    *fault* is the reason why older changes are missing, such as a shallow clone; "" if none are missing.
    """

    def __init__(self, repository: Repository) -> None:
        self.fault = ""
        self._repository = repository
        self._snapshot = repository.snapshot()
        self._found: dict[tuple[str, int], list[tuple[BranchCommit, FileChange]]] = {}
        tip = self._snapshot.commit
        # Kind M: only commits that modified an existing file. Creating a version or renaming its model adds and removes
        # files. The walk reads all files below `models`, because matching a pattern of version files would double git's
        # time.
        walked = walk_branch(repository, tip, paths.MODELS, kinds="M") if tip else ()
        try:
            for entry in walked:
                for file in entry.changes:
                    what = paths.parse_path(file.path)
                    if what is not None and what.kind == "version":
                        self._found.setdefault((what.model, int(what.key)), []).append((entry, file))
        except Invalid as error:
            self.fault = error.message

    def of(self, model: str, number: int) -> Iterator[VersionChange]:
        """Yield the changes of the version *number* of *model*, newest first, also those under former model names."""
        for name in (model, *self._snapshot.former_names(model)):
            for entry, file in self._found.get((name, number), ()):
                yield self._read(entry, file)

    def _read(self, entry: BranchCommit, file: FileChange) -> VersionChange:
        commit = entry.commit
        before, after = fields_of(file.before, file.path), fields_of(file.after, file.path)
        return VersionChange(
            commit.id,
            parse_person(self._repository.commits.author(commit, file.path))[0],
            parse_person(commit.committer)[2],
            messages.prose(commit.message),
            messages.pull_request(commit.message),
            tuple(FieldChange(name, before.get(name), after.get(name)) for name in changed_fields(before, after)),
        )
