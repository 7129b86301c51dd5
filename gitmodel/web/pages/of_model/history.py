"""The pages with the history of all models and of one model. A printed page of this kind is the audit report."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from gitmodel.branch.history.stage_history import StageEvent
from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.of_model.model import list_models
from gitmodel.web.registry_data.registry_data import RegistryData
from gitmodel.web.shown_text import safe_url

# The greatest number of rows in the table; the JSON and the CSV have all rows.
MOST_ROWS = 500


class HistoryEvent(Frozen):
    """A change of a stage or alias: *version* replaced *previous*. Each is a number, or None for an empty stage.

    *state* is "in force", "ended", "pending" (recorded, waits for `git model apply`) or "never in force" (a change that
    does not count). *note* explains the last two. *signature* says if the commit is signed and if the signature counts.
    """

    model: str
    stage: str
    alias: bool
    version: int | None
    previous: int | None
    when: datetime
    until: datetime | None
    author: str
    merged_by: str
    reason: str
    forced: tuple[str, ...]
    pull_request: str
    pull_request_url: str
    commit: str
    state: str
    note: str
    signature: str


class HistoryPage(Frozen):
    """The changes of stages and aliases of *model*, newest first. If *model* is "", those of all models.

    *commit* is the commit of the metadata branch. It is "" on the page of one model, so that this page stays the same
    if only other models change. *lanes* are the names of the lanes in the drawing of swim lanes. *incomplete* is the
    reason why older changes are missing, or "".
    """

    model: str
    title: str
    commit: str
    lanes: tuple[str, ...]
    stages: tuple[str, ...]
    events: tuple[HistoryEvent, ...]
    incomplete: str


def read_all(registry: RegistryData) -> HistoryPage:
    """Return the value of the page of all models."""
    events = _events(registry, registry.events())
    shown = {(event.model, event.stage) for event in events if not event.alias}
    stages = [stage.name for stage in registry.stages]
    lanes = (f"{model} {stage}" for model in registry.models for stage in stages if (model, stage) in shown)
    return _page(registry, "", "", tuple(lanes), events)


def read(registry: RegistryData, model: str) -> HistoryPage:
    """Return the value of the page of *model*. Raises NotFound."""
    title = registry.title(model)
    events = _events(registry, registry.events(model))
    aliases = {event.stage: None for event in events if event.alias}
    used = {event.stage for event in events}
    lanes = (*(stage.name for stage in registry.stages if stage.name in used), *sorted(aliases))
    return _page(registry, model, title, lanes, events)


def _page(
    registry: RegistryData, model: str, title: str, lanes: tuple[str, ...], events: tuple[HistoryEvent, ...]
) -> HistoryPage:
    stages = tuple(dict.fromkeys(event.stage for event in events))
    commit = "" if model else registry.commit
    return HistoryPage(model, title, commit, lanes, stages, events, registry.history_fault)


def _events(registry: RegistryData, events: Sequence[StageEvent]) -> tuple[HistoryEvent, ...]:
    stages = {stage.name for stage in registry.stages}
    signatures = registry.signatures([event.commit for event in events[:MOST_ROWS]])
    return tuple(_event(registry, event, event.stage not in stages, signatures) for event in events)


def _event(registry: RegistryData, event: StageEvent, alias: bool, signatures: dict[str, str]) -> HistoryEvent:
    state, note = _state(registry, event)
    return HistoryEvent(
        model=event.model,
        stage=event.stage,
        alias=alias,
        version=event.version,
        previous=event.previous,
        when=event.when,
        until=event.until,
        author=event.author,
        merged_by=event.merged_by,
        reason=event.reason,
        forced=event.forced,
        pull_request=event.pull_request,
        pull_request_url=safe_url(registry.pull_request_url(event.pull_request)),
        commit=event.commit,
        state=state,
        note=note,
        signature=signatures.get(event.commit, "not checked"),
    )


def _state(registry: RegistryData, event: StageEvent) -> tuple[str, str]:
    """Return `state` and `note` of the `HistoryEvent` for *event*."""
    if event.refusal:
        return "never in force", event.fault
    if event.until:
        return "ended", ""
    state = registry.state_of(event.model, event.stage)
    if state is not None and state.pending and state.recorded == event.version:
        return "pending", state.doubt or "it waits for `git model apply`"
    return "in force", ""


def read_csv(registry: RegistryData, model: str | None = None) -> str:
    """Return the changes of *model*, or of all models, as CSV, newest first. Raises NotFound.

    A cell that a spreadsheet could take for a formula begins with an apostrophe.
    """
    page = registry.rules_of_text.value(read_all(registry) if model is None else read(registry, model))
    names = list(HistoryEvent.__dataclass_fields__)
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(names)
    rows.writerows([_cell(getattr(event, name)) for name in names] for event in page.events)
    return written.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


HISTORIES = Page("histories", "/history", read_all, template="history.html", label="History")
HISTORY = Page("history", "/m/{model}/history", read, list_models, "history.html", label="History")
HISTORIES_CSV = Page("histories_csv", "/history.csv", read_csv)
HISTORY_CSV = Page("history_csv", "/m/{model}/history.csv", read_csv, list_models)
