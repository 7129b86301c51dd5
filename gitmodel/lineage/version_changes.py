"""The changes of versions after their creation: who changed which fields, and from which to which value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from gitmodel.branch.history.first_parents import BranchCommit, FileChange, parse_person, walk_branch
from gitmodel.branch.history.stage_history import author_of
from gitmodel.branch.repository import Repository
from gitmodel.domain.record_fields import changed_fields, fields_of
from gitmodel.domain.schema import messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen


class FieldChange(Frozen):
    """A *field* by its dotted name, with its values *before* and *after* a commit; None: the field was not set."""

    field: str
    before: Any
    after: Any


class VersionChange(Frozen):
    """A *commit* that changed the record of a version: *author* made it, and the branch has had it since *when*."""

    commit: Oid
    author: str
    when: datetime
    reason: str
    pull_request: str
    fields: tuple[FieldChange, ...]


class VersionChanges:
    """The changes of all versions, found by one walk of git. The records are compared when `of` needs them.

    *fault* is the reason why older changes are missing, such as a shallow clone; "" if none are missing.
    """

    def __init__(self, repository: Repository) -> None:
        self.fault = ""
        self._repository = repository
        self._snapshot = repository.snapshot()
        self._found: dict[tuple[str, int], list[tuple[BranchCommit, FileChange]]] = {}
        tip = self._snapshot.commit
        # Kind M: the commits that changed a file. Creating a version and renaming its model add and remove files.
        # Not a pattern for the versions alone: comparing patterns takes git as long as the rest of the walk.
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
        """Yield the changes of the version *number* of *model*, newest first, also those under former names."""
        for name in (model, *self._snapshot.former_names(model)):
            for entry, file in self._found.get((name, number), ()):
                yield self._read(entry, file)

    def _read(self, entry: BranchCommit, file: FileChange) -> VersionChange:
        commit = entry.commit
        before, after = fields_of(file.before, file.path), fields_of(file.after, file.path)
        return VersionChange(
            commit.id,
            parse_person(author_of(self._repository, entry, file.path))[0],
            parse_person(commit.committer)[2],
            messages.prose(commit.message),
            messages.pull_request(commit.message),
            tuple(FieldChange(name, before.get(name), after.get(name)) for name in changed_fields(before, after)),
        )
