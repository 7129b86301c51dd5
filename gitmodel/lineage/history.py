"""The holders of a stage over time: every change of stages and aliases, with the one that ended it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from gitmodel.branch.repository import Repository
from gitmodel.branch.stage_history import StageEvent, stage_events
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.registry import in_force


def history(repository: Repository, model: str | ModelRef | None = None, stage: str = "") -> Iterator[StageEvent]:
    """Yield the changes of stages and aliases of *model*, of one *stage*, or of all models, newest first.

    A model that was renamed is followed under its former names. Raises NotFound if there is no such model, or if it
    never had such a stage or alias; UsageError for a stage without a model; Invalid after the last available one if a
    shallow clone hides the rest.
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


def broken_tags(repository: Repository, model: str, stage: str = "") -> list[str]:
    """Return the faults of *model*'s tags that the branch does not confirm, as when it was rewritten."""

    def question(snapshot: Snapshot) -> list[str]:
        tags = snapshot.tags.of(snapshot.current_name(model))
        return [f"the tag {tag.ref.name} does not count: {tag.forged}" for tag in tags.values()
                if tag.forged and stage in ("", tag.ref.stage)]  # fmt: skip

    return repository.read(question)


def _judged(repository: Repository, snapshot: Snapshot, events: Iterator[StageEvent]) -> Iterator[StageEvent]:
    """Yield *events*, each with the reason why it was never in force, and its previous version in force.

    If no rule of the registry can prevent a change, they are unchanged.
    """
    if not in_force.is_guarded(snapshot):
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
            refusal = in_force.change_refusal(repository, event.commit, StageRef(event.model, event.stage))
        judged.append(replace(event, previous=last.get(place, event.previous), refusal=refusal))
        if refusal is None:
            last[place] = event.version
    yield from reversed(judged)
    if missing is not None:
        raise missing


def _with_ends(snapshot: Snapshot, events: Iterator[StageEvent]) -> Iterator[StageEvent]:
    """Return *events*, newest first, each with the next event of the same stage or alias."""
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
