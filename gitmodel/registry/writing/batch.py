"""Several changes that become one commit: planned together, or collected by a writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import UsageError
from gitmodel.git.running.failures import Moved
from gitmodel.registry.writing.transacting import refusing_credentials, transact

T = TypeVar("T")


class Batch:
    """A `Writer` that collects changes, which become one commit when `commit` is called.

    `transact` calls a plan immediately, on the results of the plans before it, and `commit` calls all plans again on
    the newest snapshot. Version numbers are reserved, so that the numbers that callers got stay valid. Threads may
    share a batch.
    """

    def __init__(self, repository: Repository, message: str) -> None:
        self.repository = repository
        self.message = message
        self.is_open = True
        self._lock = threading.RLock()
        self._base = repository.read(lambda snapshot: snapshot)
        # imported here because only writes need it
        from gitmodel.branch.transactions.new_commits import refuse_credentials

        # Check the message before the first change: a refusal at the end would leave reserved numbers.
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
            change = self.read(refusing_credentials(self.repository, plan))
            self._change = _join(self._change, change)
            self._plans.append(plan)
            return change.result

    def check(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        with self._lock:
            self._require_open()
            return self.read(refusing_credentials(self.repository, plan)).result

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

        from gitmodel.branch.transactions.transaction import reserve  # imported here because only a batch needs it

        number = reserve(self.repository, model, next_number)
        self._numbers.append((model, number))
        return number

    @property
    def index_folder(self) -> Path:
        return self.repository.own_folder

    def planned_files(self) -> Mapping[str, bytes | None]:
        """Return the content of each file that the changes so far write, and None for each that they delete."""
        with self._lock:
            return self._change.files

    def commit(self) -> None:
        """Plan all changes again on the newest snapshot, write them as one commit, and end the batch.

        Raises the errors of these plans, and Conflict if other writers move the branch too often.
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
        """End the batch without a commit, and refuse all further changes."""
        with self._lock:
            self.is_open = False

    def _require_open(self) -> None:
        if not self.is_open:
            raise UsageError(
                f"the transaction {self.message!a} has ended; the change was not made",
                hint="make it through the client itself, or in a new transaction",
            )

    def _read_again(self, snapshot: Snapshot, question: Callable[[Snapshot], T]) -> T:
        """Plan the changes of this batch again on the newer *snapshot*, and call *question* with the planned state."""
        change = self._replay(snapshot)
        answer = question(_overlaid(snapshot, change))
        self._base, self._change = snapshot, change
        return answer

    def _replay(self, snapshot: Snapshot) -> Change[None]:
        joined = plan_together(snapshot, self._plans)
        return replace(joined, result=None, subject=self.message.strip() or joined.subject)  # type: ignore[arg-type, return-value]


entered_batches: ContextVar[tuple[Batch, ...]] = ContextVar("gitmodel_entered_transactions", default=())


@contextmanager
def entered_batch(repository: Repository, message: str) -> Iterator[Batch]:
    """Yield a batch that is committed when the block ends, and abandoned if the block raises.

    While the calling thread or task is in the block, `Direct` writers on *repository* refuse to write changes of this
    thread or task.
    """
    batch = Batch(repository, message)
    entered_batches.set((*entered_batches.get(), batch))
    try:
        yield batch
        batch.commit()
    finally:
        batch.abandon()
        entered_batches.set(tuple(other for other in entered_batches.get() if other is not batch))


def plan_together(snapshot: Snapshot, plans: Iterable[Callable[[Snapshot], Change[T]]]) -> Change[list[T]]:
    """Combine the changes of *plans* into one change, whose result is the list of their results.

    Each plan is called on *snapshot* with the changes of the plans before it. The subject of the commit is that of the
    last plan.
    """
    joined: Change[None] = Change(None)
    results = []
    for plan in plans:
        change = plan(_overlaid(snapshot, joined))
        joined = _join(joined, change)
        results.append(change.result)
    return replace(joined, result=results)  # type: ignore[arg-type, return-value]


def _join(first: Change[Any], second: Change[Any]) -> Change[None]:
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
