"""The registry at a past commit, with the stages as its files record them, because tags of that time are gone. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from gitmodel.domain.changes.stages import recorded_places
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import NoTags, StageTag
from gitmodel.errors import UsageError

_BEGINS_AS_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}(-|$)")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?: ?(?:Z|([+-][0-9]{2}):?([0-9]{2})))?)?"
)


def with_recorded_stages(
    snapshot: Snapshot, counting: Callable[[StageRef], StageRecord | None] | None = None
) -> Snapshot:
    """Return *snapshot* with tags derived from its files: the version recorded for a stage counts as in force.

    gitmodel reads past commits in this way, because stage tags only say what is in force now. If *counting* is given,
    the version in a stage is that of the record that *counting* returns for it: the record of the newest change that
    the rules of the stage allowed.
    """
    return replace(snapshot, tags=RecordedTags(replace(snapshot, tags=NoTags()), counting))


class RecordedTags:
    """Stage tags derived from the files of one commit; implements `domain.snapshots.snapshot_sources.Tags`."""

    all_known = True

    def __init__(self, snapshot: Snapshot, counting: Callable[[StageRef], StageRecord | None] | None) -> None:
        self._snapshot = snapshot
        self._counting = counting

    def get(self, ref: StageRef) -> StageTag | None:
        return self.of(ref.model).get(ref.stage)

    def of(self, model: str) -> Mapping[str, StageTag]:
        past, commit = self._snapshot, self._snapshot.commit
        if commit is None:
            return {}
        if self._counting is None:
            records = {stage: past.recorded(model, stage) for stage in recorded_places(past, model)}
        else:
            records = {stage: self._counting(StageRef(model, stage)) for stage in past.registry().stage_names}
        records.update({alias: past.recorded_alias(model, alias) for alias in past.recorded_aliases(model)})
        return {
            name: StageTag(StageRef(model, name), commit, commit, record)
            for name, record in records.items()
            if record is not None
        }

    def models(self) -> frozenset[str]:
        return frozenset(self._snapshot.model_names())


def read_moment(text: str) -> datetime | None:
    """Return the last second of the date or time *text*, in UTC; None if *text* is neither a date nor a time.

    A date means the whole day; a time without a zone is in UTC. Raises UsageError for an invalid date.

    >>> read_moment("2026-10-01").isoformat()
    '2026-10-01T23:59:59+00:00'
    >>> read_moment("2026-10-01T12:30+02:00").isoformat()
    '2026-10-01T10:30:00+00:00'
    >>> read_moment("9fceb02") is None
    True
    """
    found = _MOMENT.fullmatch(text)
    if found is None and not _BEGINS_AS_DATE.match(text):
        return None
    try:
        if found is None:
            raise ValueError
        day, clock, hours, minutes = found.groups()
        local = datetime.fromisoformat(f"{day}T{clock or '23:59:59'}{hours or '+00'}:{minutes or '00'}")
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!a} is not a date or time", hint="write 2026-10-01, 2026-10-01T12:30 (UTC) or 2026-10-01T12:30+02:00"
        ) from None
