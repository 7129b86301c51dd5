"""Committing one change, and packing when many objects were written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.snapshots.snapshot import Snapshot

T = TypeVar("T")


def transact(repository: Repository, plan: Callable[[Snapshot], Change[T]]) -> T:
    """Commit the change that *plan* returns for a snapshot, as `branch.transactions.transaction.transact` does.

    Raises Refused if the change changes a `proposal_only` stage, or moves a version to an earlier stage, so that the
    stage that the version leaves becomes empty, unless `may_empty` of the change has this stage.
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
    """Start to pack loose objects in the background, if there are many new ones since the last packing.

    The cache of a registry by URL, the only repository that has a server, is not packed: it can be deleted any time.
    """
    if repository.server is None:
        # imported here because only writes need it
        from gitmodel.git.repositories.maintenance import pack_in_background

        pack_in_background(repository.git, repository.config, repository.own_folder / "packing.lock")


def refusing_credentials(
    repository: Repository, plan: Callable[[Snapshot], Change[T]]
) -> Callable[[Snapshot], Change[T]]:
    """Return a plan that calls *plan*, and raises Refused if the change of *plan* would record a credential."""
    from gitmodel.branch.transactions.new_commits import refuse_credentials  # imported here because only writes need it

    def checked(snapshot: Snapshot) -> Change[T]:
        change = plan(snapshot)
        refuse_credentials(repository, snapshot, change)
        return change

    return checked
