"""Joining several changes into one, and reading the registry with changes that are not committed yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.snapshots.snapshot import Snapshot

T = TypeVar("T")


def plan_together(snapshot: Snapshot, plans: Iterable[Callable[[Snapshot], Change[T]]]) -> Change[list[T]]:
    """Combine the changes of *plans* into one change, whose result is the list of their results.

    Each plan is called on *snapshot* with the changes of the plans before it. The subject of the commit is that of the
    last plan.
    """
    joined: Change[None] = Change(None)
    results = []
    for plan in plans:
        change = plan(overlaid(snapshot, joined))
        joined = join(joined, change)
        results.append(change.result)
    return replace(joined, result=results)  # type: ignore[arg-type, return-value]


def join(first: Change[None], second: Change[Any]) -> Change[None]:
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


def overlaid(base: Snapshot, change: Change[None]) -> Snapshot:
    if not change.files and not change.settled:
        return base
    return replace(base, files=ChangedFiles(base.files, change.files), committed=base, settled=change.settled)
