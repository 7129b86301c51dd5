"""The trend of a stage: the headline number of the last versions in the stage and of the version that enters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from gitmodel.branch.history.stage_history import stage_events
from gitmodel.branch.repository import Repository
from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.comparison import flat_values
from gitmodel.errors import GitModelError
from gitmodel.frozen import Frozen
from gitmodel.registry.lists.headline import metadata_keys
from gitmodel.registry.promotion import judging

_MOST_HOLDERS = 12


class Trend(Frozen):
    """The numbers under the metadata key *metric* of the versions that were in a stage, and of the version that enters.

    *points* are pairs of a version's number and its value of *metric*, oldest first, for the versions that have one.
    """

    metric: str
    points: tuple[tuple[int, float], ...]


def find_trend(
    repository: Repository, before: Snapshot, ref: StageRef, new: VersionRecord, outcomes: Iterable[Outcome]
) -> Trend | None:
    """Return the trend of the stage *ref* over the last 12 versions in force, and the version *new* that enters it.

    *before* is the registry before the merge. The metric of the trend is the first key under which *new* has a number:
    the key in `[site] headline`, or a key that a gate in *outcomes* reads. Returns None if there is no such key, or no
    earlier version has a number under it.
    """
    site = before.registry().site
    keys = [*((site.headline,) if site and site.headline else ()), *gate_keys(outcomes)]
    metric = next((name for name in keys if _number(new, name) is not None), None)
    if metric is None:
        return None
    points = [(new.number, _number(new, metric))]
    for number in islice(_holders(repository, before, ref), _MOST_HOLDERS):
        with suppress(GitModelError):  # the plan lists damaged records as problems, so skip them here
            points.insert(0, (number, _number(before.version(ref.model, number), metric)))
    found = tuple((number, value) for number, value in points if value is not None)
    return Trend(metric, found) if len(found) > 1 else None


def gate_keys(outcomes: Iterable[Outcome]) -> list[str]:
    """Return the keys of the metadata that the gates in *outcomes* read, such as "accuracy" or "table.key"."""
    return metadata_keys(name for outcome in outcomes for name in outcome.values)


def _holders(repository: Repository, before: Snapshot, ref: StageRef) -> Iterator[int]:
    """Yield the versions that were in force in the stage *ref*, newest first, as far as the clone has the history."""
    guarded = judging.is_guarded(before)
    with suppress(GitModelError):
        for event in stage_events(repository, before.commit, ref):
            place = StageRef(event.model, event.stage)
            counts = not guarded or judging.change_refusal(repository, event.commit, place) is None
            if event.version is not None and counts:
                yield event.version


def _number(version: VersionRecord, key: str) -> float | None:
    value: Any = dict(flat_values(version.metadata)).get(key)
    is_number = isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))
    return value if is_number and abs(value) <= sys.float_info.max else None
