"""Committing one change, and packing when many objects were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.snapshots.snapshot import Snapshot

T = TypeVar("T")


def transact(repository: Repository, plan: Callable[[Snapshot], Change[T]]) -> T:
    """Write the change that *plan* returns for a snapshot, as `branch.transaction.transact` does.

    Raises Refused for a change of a stage that must not be made directly or needs a confirmation.
    """
    # imported here because only writes need them
    from gitmodel.branch.transactions import transaction
    from gitmodel.domain.changes.refused_stage_changes import check_stage_changes

    def planned(snapshot: Snapshot) -> Change[T]:
        change = plan(snapshot)
        check_stage_changes(snapshot, change)
        return change

    done = transaction.transact(repository, planned)
    pack_when_many(repository)
    return done


def pack_when_many(repository: Repository) -> None:
    """Start to pack loose objects in the background, if many were written to this repository since the last time."""
    if repository.server is None:  # only the cache of a registry by URL has a server, and it can be deleted at any time
        # imported here because only writes need it
        from gitmodel.git.repositories.maintenance import pack_in_background

        pack_in_background(repository.git, repository.config, repository.own_folder / "packing.lock")


def refusing_credentials(
    repository: Repository, plan: Callable[[Snapshot], Change[T]]
) -> Callable[[Snapshot], Change[T]]:
    """Return a plan that calls *plan* and then `refuse_credentials`.

    So a call that would record a credential is refused.
    """
    from gitmodel.branch.transactions.new_commits import refuse_credentials  # imported here because only writes need it

    def checked(snapshot: Snapshot) -> Change[T]:
        change = plan(snapshot)
        refuse_credentials(repository, snapshot, change)
        return change

    return checked
