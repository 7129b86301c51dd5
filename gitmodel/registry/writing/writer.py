"""The interface of writers, and changes of the model or version that a reference names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot

T = TypeVar("T")
P = ParamSpec("P")


class Writer(Protocol):
    """The operations by which the functions of this layer read and change a registry."""

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        """Call *question* with a snapshot and return its result, as `Repository.read` does for the same arguments."""

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        """Do the same as `read`. From a registry by URL, this fetches stage tags only if *question* reads them."""

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        """Commit the change that *plan* returns for a snapshot."""

    def find_made(self, snapshot: Snapshot, model: str, txn: str) -> int | None:
        """Return the version of *model* that the commit with the transaction id *txn* created.

        Returns None if there is no such commit. Raises Conflict if it created no version of *model*, or several.
        """

    def check(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        """Return the result that `transact` would return for *plan*, or raise its error. Writes nothing.

        Callers call it before they store artifacts, so that a refused change stores nothing.
        """

    def take_number(self, model: str, plan: Callable[[Snapshot], Change[int]]) -> int | None:
        """Reserve a number for the next version of *model*, and return it; None if this writer reserves no numbers.

        *plan* is the plan that creates the version. If it raises an error, nothing is reserved.
        """

    @property
    def repository(self) -> Repository:
        """The repository of the registry."""

    @property
    def index_folder(self) -> Path | None:
        """The folder of the index, which may not exist; None if this writer reads an earlier state of the branch."""


def change_version(
    writer: Writer,
    ref: VersionRef,
    plan: Callable[Concatenate[Snapshot, str, int, P], Change[T]],
    *args: P.args,
    **options: P.kwargs,
) -> T:
    """Call *plan* and commit the change that it returns.

    Its arguments are a snapshot, the model and number that *ref* names, *args* and *options*.

    Raises NotFound if the version does not exist; Refused if a pull gave the number in *ref* to another version, unless
    *ref* confirms that it means this other version.
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
    """Call *plan* and commit the change that it returns.

    Its arguments are a snapshot, the name of *model* (a former name stays one), *args* and *options*. Raises Refused if
    a pull gave the name *model* to another model, unless *model* is a reference that confirms that it means this other
    model.
    """
    ref = ModelRef.of(model)

    def planned(snapshot: Snapshot) -> Change[T]:
        name, settled = snapshot.model_to_change(ref)
        change = plan(snapshot, name, *args, **options)
        return replace(change, settled=change.settled | settled)

    return writer.transact(planned)
