"""Objects that read and write a registry: directly, or as a batch of changes that becomes one commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, UsageError
from gitmodel.git.failures import Moved

T = TypeVar("T")
P = ParamSpec("P")


class Writer(Protocol):
    """The operations that verbs need of a registry."""

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        """Call *question* with a snapshot whose branch and tags match, and return its result.

        For *about* see `Repository.read`.
        """

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        """Do the same as `read`, with less to fetch by URL, for a *question* that seldom needs stage tags."""

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        """Commit the change that *plan* returns for a snapshot."""

    def find_made(self, snapshot: Snapshot, model: str, txn: str) -> int | None:
        """Return the version of *model* that the transaction *txn* created on the branch of *snapshot*, or None."""

    def check(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        """Return the result that `transact` would have for *plan*, or raise its error. Nothing is changed.

        Used before artifacts are stored.
        """

    def take_number(self, model: str, plan: Callable[[Snapshot], Change[int]]) -> int | None:
        """Reserve a number for the next version of *model*. Return None if *plan* itself chooses the number.

        Nothing is reserved if *plan*, which creates the version, raises.
        """

    def moment(self) -> datetime:
        """The time now, in UTC, to the second."""

    @property
    def repository(self) -> Repository:
        """The repository of the registry."""

    @property
    def index_folder(self) -> Path | None:
        """The folder of the index, which may not exist; None for an earlier state, which is read without the index."""


def transact(repository: Repository, plan: Callable[[Snapshot], Change[T]]) -> T:
    """Write the change that *plan* returns for a snapshot, as `branch.transaction.transact` does.

    Raises Refused for a change of a stage that must not be made directly or needs a confirmation.
    """
    # imported here because only writes need them
    from gitmodel.branch import transaction
    from gitmodel.domain.changes.stage_changes import check_stage_changes

    def planned(snapshot: Snapshot) -> Change[T]:
        change = plan(snapshot)
        check_stage_changes(snapshot, change)
        return change

    done = transaction.transact(repository, planned)
    pack_when_many(repository)
    return done


def pack_when_many(repository: Repository) -> None:
    """Start to pack loose objects in the background, if many were written to this repository since the last time."""
    if repository.server is None:  # not for a cache, which can be deleted at any time
        from gitmodel.git.maintenance import pack_in_background  # imported here because only writes need it

        pack_in_background(repository.git, repository.config, repository.own_folder / "packing.lock")


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
        return self.repository.read_records(_checked(self.repository, plan)).result

    def refuse_inside(self) -> None:
        """Raise UsageError if the calling thread or task is inside the block of a transaction on this repository."""
        for batch in _entered.get():
            if batch.is_open and batch.repository is self.repository:
                raise UsageError(
                    f"the transaction {batch.message!a} is open here, and this change would not be part of it; "
                    "the change was not made",
                    hint="make it through the transaction, `with client.transaction(...) as change:` and "
                    "`change.get_model(...)`, or outside of the `with` block",
                )

    def find_made(self, snapshot: Snapshot, model: str, txn: str) -> int | None:
        # imported here: only idempotency keys need them
        from gitmodel.branch.changed_paths import changed_paths
        from gitmodel.branch.stage_history import find_transaction

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
                is_made = record is not None and record.deleted is None  # a deleted one is a skipped number
                made += [int(what.key)] if is_made and snapshot.current_name(what.model) == model else []
        if len(made) != 1:
            raise Conflict(
                f"commit {commit[:10]} made {len(made)} versions of {model} under this idempotency key, not one",
                hint="use another --idempotency-key to create another version",
            )
        return made[0]

    def take_number(self, model: str, plan: Callable[[Snapshot], Change[int]]) -> int | None:
        return None

    def moment(self) -> datetime:
        return self.repository.identity.moment()

    @property
    def index_folder(self) -> Path:
        return self.repository.own_folder


class Batch:
    """A `Writer` that collects changes, which become one commit when `commit` is called.

    Every plan runs immediately, on the results of the plans before it. When the batch is committed, all plans run again
    on the newest snapshot. Version numbers are reserved, so that numbers that the caller got stay valid. Threads may
    share a batch.
    """

    def __init__(self, repository: Repository, message: str) -> None:
        self.repository = repository
        self.message = message
        self.is_open = True
        self._lock = threading.RLock()
        self._base = repository.read(lambda snapshot: snapshot)
        from gitmodel.branch.new_commits import refuse_credentials  # imported here because only writes need it

        # Checked at the beginning, because a refusal at the end would leave reserved numbers.
        refuse_credentials(repository, self._base, Change(None, subject=message))
        self._plans: list[Callable[[Snapshot], Change[Any]]] = []
        self._change: Change[None] = Change(None)
        self._numbers: list[tuple[str, int]] = []

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        with self._lock:
            if not self.is_open:
                return self.repository.read(question, about=about)
            try:
                return question(_overlaid(self._base, self._change))
            except Moved:
                return self.repository.read(lambda snapshot: self._read_again(snapshot, question))

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        return self.read(question)

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        with self._lock:
            self._require_open()
            change = self.read(_checked(self.repository, plan))
            self._change = _joined(self._change, change)
            self._plans.append(plan)
            return change.result

    def check(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        with self._lock:
            self._require_open()
            return self.read(_checked(self.repository, plan)).result

    def find_made(self, snapshot: Snapshot, model: str, txn: str) -> int | None:
        raise UsageError(
            "a version created in a transaction cannot have an idempotency key: the commit is made of several changes",
            hint="create the version outside the transaction",
        )

    def take_number(self, model: str, plan: Callable[[Snapshot], Change[int]]) -> int | None:
        with self._lock:
            self.check(plan)
            return self._reserve_next(model)

    def _reserve_next(self, model: str) -> int:
        planned = self.read(lambda snapshot: snapshot.last_number(model)) + 1

        def next_number(snapshot: Snapshot) -> int:
            number = max(planned, snapshot.next_number(model))
            while snapshot.is_reserved(model, number):
                number += 1
            return number

        from gitmodel.branch.transaction import reserve  # imported here because only a batch needs it

        number = reserve(self.repository, model, next_number)
        self._numbers.append((model, number))
        return number

    def moment(self) -> datetime:
        return self.repository.identity.moment()

    @property
    def index_folder(self) -> Path:
        return self.repository.own_folder

    def planned_files(self) -> Mapping[str, bytes | None]:
        """Return the files that the changes so far write or delete."""
        with self._lock:
            return self._change.files

    def commit(self) -> None:
        """Write all changes as one commit, and end.

        The changes are planned again on the newest snapshot. Raises Conflict, and the errors of these plans.
        """
        with self._lock:
            self._require_open()
            self.is_open = False
            if self._plans:
                transact(self.repository, self._replay)
        reservations = self.repository.reservations
        for model, number in self.repository.read(reservations.used_up) if self._numbers else ():
            if (model, number) in self._numbers:
                reservations.release(model, number)

    def abandon(self) -> None:
        """End without a commit, and refuse all further changes."""
        with self._lock:
            self.is_open = False

    def _require_open(self) -> None:
        if not self.is_open:
            raise UsageError(
                f"the transaction {self.message!a} has ended; the change was not made",
                hint="make it through the client itself, or in a new transaction",
            )

    def _read_again(self, snapshot: Snapshot, question: Callable[[Snapshot], T]) -> T:
        """Return the result of *question* on *snapshot*, which has the changes that others made in the meantime."""
        change = self._replay(snapshot)
        answer = question(_overlaid(snapshot, change))
        self._base, self._change = snapshot, change
        return answer

    def _replay(self, snapshot: Snapshot) -> Change[None]:
        joined: Change[None] = Change(None)
        for plan in self._plans:
            joined = _joined(joined, plan(_overlaid(snapshot, joined)))
        return replace(joined, subject=self.message.strip() or joined.subject)


_entered: ContextVar[tuple[Batch, ...]] = ContextVar("gitmodel_entered_transactions", default=())


@contextmanager
def entered_batch(repository: Repository, message: str) -> Iterator[Batch]:
    """Yield a batch that is committed when the block ends, and abandoned if the block raises.

    While the calling thread or task is in the block, `Direct` writers on *repository* refuse its changes.
    """
    batch = Batch(repository, message)
    _entered.set((*_entered.get(), batch))
    try:
        yield batch
        batch.commit()
    finally:
        batch.abandon()
        _entered.set(tuple(other for other in _entered.get() if other is not batch))


def _checked(repository: Repository, plan: Callable[[Snapshot], Change[T]]) -> Callable[[Snapshot], Change[T]]:
    """Return *plan* followed by `refuse_credentials`, so that a call that would record a credential is refused."""
    from gitmodel.branch.new_commits import refuse_credentials  # imported here because only writes need it

    def checked(snapshot: Snapshot) -> Change[T]:
        change = plan(snapshot)
        refuse_credentials(repository, snapshot, change)
        return change

    return checked


def change_version(
    writer: Writer,
    ref: VersionRef,
    plan: Callable[Concatenate[Snapshot, str, int, P], Change[T]],
    *args: P.args,
    **options: P.kwargs,
) -> T:
    """Commit the change that *plan* returns for a snapshot, the model and number that *ref* names there, and *args*.

    Raises NotFound; Refused for a number that a pull gave to another version, unless *ref* confirms that it means the
    version that has the number now.
    """

    def planned(snapshot: Snapshot) -> Change[T]:
        model, number, settled = snapshot.resolve_to_change(ref)
        change = plan(snapshot, model, number, *args, **options)
        return replace(change, settled=change.settled | settled)

    return writer.transact(planned)


def change_model(
    writer: Writer,
    model: str | ModelRef,
    plan: Callable[Concatenate[Snapshot, str, P], Change[T]],
    *args: P.args,
    **options: P.kwargs,
) -> T:
    """Commit the change that *plan* returns for a snapshot, the name that *model* has there, and *args*.

    The name may be a former name. Raises Refused for a name that a pull gave to another model, unless *model* confirms
    that it means the model that has the name now.
    """
    ref = ModelRef.of(model)

    def planned(snapshot: Snapshot) -> Change[T]:
        name, settled = snapshot.model_to_change(ref)
        change = plan(snapshot, name, *args, **options)
        return replace(change, settled=change.settled | settled)

    return writer.transact(planned)


def plan_together(snapshot: Snapshot, plans: Iterable[Callable[[Snapshot], Change[T]]]) -> Change[list[T]]:
    """Combine the changes of *plans*. Each is planned on the results of the plans before it. The results are in order.

    The subject is that of the last plan.
    """
    joined: Change[None] = Change(None)
    results = []
    for plan in plans:
        change = plan(_overlaid(snapshot, joined))
        joined = _joined(joined, change)
        results.append(change.result)
    return replace(joined, result=results)  # type: ignore[arg-type, return-value]


def _joined(first: Change[None], second: Change[Any]) -> Change[None]:
    reasons = [reason for reason in (first.reason, second.reason) if reason]
    return Change(
        None,
        subject=second.subject,
        reason="\n".join(dict.fromkeys(reasons)),
        files={**first.files, **second.files},
        trailers=tuple(dict.fromkeys((*first.trailers, *second.trailers))),
        apply=tuple(dict.fromkeys((*first.apply, *second.apply))),
        drop=tuple(dict.fromkeys((*first.drop, *second.drop))),
        admitted=first.admitted | second.admitted,
        may_empty=first.may_empty | second.may_empty,
        numbers=(*first.numbers, *second.numbers),
        settled=first.settled | second.settled,
        renumbered={**first.renumbered, **second.renumbered},
    )


def _overlaid(base: Snapshot, change: Change[None]) -> Snapshot:
    if not change.files and not change.settled:
        return base
    return replace(base, files=ChangedFiles(base.files, change.files), committed=base, settled=change.settled)
