"""The history of stages and aliases: each change of their versions, with the next change, which ended it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gitmodel.branch.history.stage_history import StageEvent, stage_events
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.filter_names import RECORDED, VALUE, Names
from gitmodel.domain.views.record_views import stage_words
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.lists.selecting import Selection
from gitmodel.registry.promotion import judging

_BATCH = 100  # the number of changes whose version records are read from git in one batch


def history(repository: Repository, model: str | ModelRef | None = None, stage: str = "") -> Iterator[StageEvent]:
    """Yield the changes of *stage* of *model* ("": of all its stages and aliases), or of all models, newest first.

    Includes changes under former names of a renamed model. Raises NotFound if *model* does not exist or never had the
    stage or alias *stage*, UsageError if *stage* is given but *model* is None. If a shallow clone lacks older changes,
    raises Invalid after the last change that can be read.
    """
    if model is None and stage:
        raise UsageError(f"the stage or alias {stage!a} is given without a model", hint="name the model, too")
    snapshot = repository.snapshot()
    if model is None:
        return _with_ends(snapshot, _judged(repository, snapshot, stage_events(repository, snapshot.commit)))
    name = snapshot.model_to_read(model)
    if not snapshot.files.names(paths.model_folder(name)):
        snapshot.model(name)
    if stage and stage not in snapshot.registry().stage_names:
        check_name(stage, "stage or alias")
    found = stage_events(repository, snapshot.commit, StageRef(name, stage))
    events = _with_ends(snapshot, _judged(repository, snapshot, found))
    first = next(events, None)
    if first is None and stage and stage not in snapshot.registry().stage_names:
        known = ", ".join((*snapshot.registry().stage_names, *snapshot.recorded_aliases(name)))
        raise NotFound(f"{name} never had a stage or alias {stage}", hint=f"its stages and aliases are {known}")
    return chain(() if first is None else (first,), events)


class Holding(Frozen):
    """A change of a stage or alias (*event*), and the *record* of the version that it put there.

    *record* is the current record, with metadata that was added after the change. For a deleted version, it is the
    record at the time of the change. It is None if the stage became empty, or if the record cannot be read.
    """

    event: StageEvent
    record: VersionRecord | None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata in *record*; {} if *record* is None."""
        return self.record.metadata if self.record is not None else {}

    def fields(self) -> dict[str, Any]:
        """Return the fields of the change for JSON; `docs/reference/json.md` describes each field."""
        return {**{name: getattr(self.event, name) for name in _EVENT_NAMES}, "metadata": dict(self.metadata)}


_EVENT_NAMES: dict[str, Names] = {
    **dict.fromkeys(("model", "stage", "version", "previous", "commit", "author", "when", "reason"), VALUE),
    "forced": [VALUE],
    **dict.fromkeys(("authored", "merged_by", "pull_request", "until", "ended_by", "fault"), VALUE),
}


def view_history(
    repository: Repository,
    model: str | ModelRef | None = None,
    stage: str = "",
    *,
    filter: str = "",
    sort: str = "",
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[Holding], list[Invalid]]:
    """Return the changes that `history` yields, each with a version record, and an error for each damaged record.

    *filter*, *limit* and *offset* select changes. *sort* is a field of a change or a key of the version's metadata,
    with a "-" before it for descending order. "when" sorts by the order of the commits on the branch, even if their
    dates disagree with it. If *sort* and *filter* are "", no more changes are read than *limit* needs. Raises the
    errors of `history`; UsageError for an invalid filter, or if no searched version has the key *sort*.
    """
    snapshot = repository.snapshot()
    names = {**_EVENT_NAMES, "metadata": RECORDED}
    if not stage:  # else all changes have the same `stage`, and a filter may compare it with any text
        names["stage"] = stage_words(snapshot.registry().stage_names)
    of_branch = sort in ("when", "-when")
    selection = Selection(names, filter=filter, sort="" if of_branch else sort, limit=limit, offset=offset)
    events = history(repository, model, stage)
    if sort == "when":
        events = reversed([*events])
    elif limit is not None and not filter and sort in ("", "-when"):
        # Only as many changes as needed are read, because reading older ones raises an error in a shallow clone.
        events = islice(events, min(limit + offset, sys.maxsize))
    rows = _with_records(repository, snapshot, events)
    return selection.of(rows, Holding.fields, nothing="no event that was searched")


def _with_records(
    repository: Repository, snapshot: Snapshot, events: Iterator[StageEvent]
) -> Iterator[Holding | Invalid]:
    """Yield each of *events* with the record of its version, and once the error of each record that is damaged."""
    known: dict[tuple[str, int], VersionRecord | Invalid] = {}
    while batch := list(islice(events, _BATCH)):
        keys = [(snapshot.current_name(event.model), event.version or 0) for event in batch]
        unread = [key for key in dict.fromkeys(keys) if key[1] and key not in known]
        files = [paths.version_file(*key) for key in unread]
        read = list(snapshot.files.load_many(files, VersionRecord, newer=snapshot.newer))
        known.update(zip(unread, read, strict=True))
        yield from (
            error
            for file, error in zip(files, read, strict=True)
            if isinstance(error, Invalid) and snapshot.files.read(file) is not None
        )
        for key, event in zip(keys, batch, strict=True):
            found = known.get(key)
            record = found if isinstance(found, VersionRecord) else None
            is_deleted = event.version is not None and (record is None or record.deleted is not None)
            yield Holding(event, (_record_then(repository, event) or record) if is_deleted else record)


def _record_then(repository: Repository, event: StageEvent) -> VersionRecord | None:
    """Return the version record in the commit of *event*; None if it cannot be read, for example in a shallow clone."""
    with suppress(Invalid):
        then = repository.recorded(event.commit)
        return then.load(paths.version_file(event.model, event.version or 0), VersionRecord)
    return None


def signature_faults(repository: Repository, commits: Sequence[Oid]) -> dict[str, str | None]:
    """Return, for each of *commits*, the reason why its signature does not count: "" if it counts, None if it has none.

    A signature counts if its signer is in the list of signers in the first parent of the commit. Raises Invalid if one
    of *commits* is missing.
    """
    # imported here: only web pages show signatures that no rule requires
    from gitmodel.git.signatures.object_signatures import is_signed

    found: dict[str, str | None] = {}
    for id, read in zip(commits, repository.reader.get_many(commits), strict=True):
        if isinstance(read, Invalid):
            raise read
        found[id] = repository.tags.signatures.commit_fault(id) if is_signed(read.data) else None
    return found


def broken_tags(repository: Repository, model: str, stage: str = "") -> list[str]:
    """Return a sentence for each stage tag of *model* that does not count, such as after a rewrite of the branch.

    If *stage* is not "", only for the tag of this stage or alias.
    """
    tags = repository.read(lambda snapshot: snapshot.tags.of(snapshot.current_name(model))).values()
    return [f"the tag {t.ref.name} does not count: {t.forged}" for t in tags if t.forged and stage in ("", t.ref.stage)]


def _judged(repository: Repository, snapshot: Snapshot, events: Iterator[StageEvent]) -> Iterator[StageEvent]:
    """Yield *events* (newest first) with `refusal` set for those that were never in force.

    `previous` of each event becomes the version that was in force before the event.
    """
    if not judging.is_guarded(snapshot):  # no stage has a rule that can keep a change from coming into force
        yield from events
        return
    found: list[StageEvent] = []
    missing = None
    try:
        found.extend(events)
    except Invalid as error:
        missing = error
    judged: list[StageEvent] = []
    last: dict[tuple[str, str], int | None] = {}
    for event in reversed(found):
        place = snapshot.current_name(event.model), event.stage
        refusal = None
        if event.stage in snapshot.registry().stage_names:
            refusal = judging.change_refusal(repository, event.commit, StageRef(event.model, event.stage))
        judged.append(replace(event, previous=last.get(place, event.previous), refusal=refusal))
        if refusal is None:
            last[place] = event.version
    yield from reversed(judged)
    if missing is not None:
        raise missing


def _with_ends(snapshot: Snapshot, events: Iterator[StageEvent]) -> Iterator[StageEvent]:
    """Yield *events*, newest first, each with the time and commit of the event that ended it: `until` and `ended_by`.

    Events that were never in force end no other event, and get no end.
    """
    later: dict[tuple[str, str], StageEvent] = {}
    for event in events:
        if event.refusal is not None:
            yield event
            continue
        place = snapshot.current_name(event.model), event.stage
        next_event = later.get(place)
        later[place] = event
        ended = replace(event, until=next_event.when, ended_by=next_event.commit) if next_event else event
        yield ended
