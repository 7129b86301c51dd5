"""A writer that makes each change a commit of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, UsageError
from gitmodel.registry.writing.batch import entered_batches
from gitmodel.registry.writing.transacting import refusing_credentials, transact

T = TypeVar("T")


class Direct:
    """A `Writer` that makes each change a commit of its own.

    `transact` raises UsageError inside the block of a transaction on the same repository.
    """

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        return self.repository.read(question, about=about)

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        return self.repository.read_records(question)

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        self.refuse_inside()
        return transact(self.repository, plan)

    def check(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        self.refuse_inside()
        self.repository.git.refuse_read_only()
        return self.repository.read_records(refusing_credentials(self.repository, plan)).result

    def refuse_inside(self) -> None:
        """Raise UsageError if the calling thread or task is inside the block of a transaction on this repository."""
        for batch in entered_batches.get():
            if batch.is_open and batch.repository is self.repository:
                raise UsageError(
                    f"the transaction {batch.message!a} is open here, and this change would not be part of it; "
                    "the change was not made",
                    hint="make it through the transaction, `with client.transaction(...) as change:` and "
                    "`change.get_model(...)`, or outside of the `with` block",
                )

    def find_made(self, snapshot: Snapshot, model: str, txn: str) -> int | None:
        # imported here: only idempotency keys need them
        from gitmodel.branch.history.changed_paths import changed_paths
        from gitmodel.branch.history.stage_history import find_transaction

        found = find_transaction(self.repository, snapshot.commit, txn)
        if found is None:
            return None
        at, commit = found
        parents = at.commits.read(commit).parents
        if not parents:
            return None
        before, after, made = at.files(parents[0]), at.files(commit), []
        for path in changed_paths(at, parents[0], commit):
            what = paths.parse_path(path)
            if what is not None and what.kind == "version" and before.id(path) is None:
                record = after.load(path, VersionRecord, newer=True)
                is_made = record is not None and record.deleted is None  # a skipped number is recorded as deleted
                made += [int(what.key)] if is_made and snapshot.current_name(what.model) == model else []
        if len(made) != 1:
            raise Conflict(
                f"commit {commit[:10]} made {len(made)} versions of {model} under this idempotency key, not one",
                hint="use another --idempotency-key to create another version",
            )
        return made[0]

    def take_number(self, model: str, plan: Callable[[Snapshot], Change[int]]) -> int | None:
        return None

    @property
    def index_folder(self) -> Path:
        return self.repository.own_folder
