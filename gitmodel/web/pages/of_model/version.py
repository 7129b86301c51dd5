"""The page of a version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitmodel.domain.schema.records import ATTACHMENT, ArtifactLink, VersionRecord
from gitmodel.domain.views.comparison import compare_values, flat_values
from gitmodel.domain.views.record_views import VersionView, imported_fields
from gitmodel.frozen import Frozen
from gitmodel.teams.plans.gate_limits import gate_movements
from gitmodel.teams.plans.plan_texts import short_digest
from gitmodel.web.page import Page, Parameters
from gitmodel.web.pages.parts.code_state import CodeState, code_state
from gitmodel.web.pages.parts.stage_pills import GateResult, StagePill, gate_results, pills_of
from gitmodel.web.registry_data.artifact_content import picture_file, read_text
from gitmodel.web.registry_data.registry_data import OpenProposal, RegistryData
from gitmodel.web.shown_text import safe_url

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.lineage.history.events import FieldChange, VersionChange
    from gitmodel.registry.recorded_runs.runs import RunView

# The greatest number of values of the metadata on the page; the JSON of `git model show` has all values.
_MOST_VALUES = 200


class ArtifactRow(Frozen):
    """An artifact or attachment, with the command that downloads it and the Python expression that loads it.

    If the site may show artifacts, *picture* is the file in the site for an artifact that is a picture, and *text* is
    the content of a small text. *before* is the digest that the artifact of this name has in the version that
    `Predecessor` describes; "" if there is no such version, or if it has no artifact of this name.
    """

    name: str
    kind: str
    format: str
    size: int
    digest: str
    file: str
    uri: str
    command: str
    python: str
    picture: str
    text: str | None
    before: str


class Change(Frozen):
    """A value of the metadata that differs: *old* in the version that `Predecessor` describes, *new* in this version.

    *change* is the difference of two numbers as text. *movement* is "worse" for a number that moved in the direction in
    which a gate of the stage in `Predecessor` fails, "better" for one that moved in the other direction, else "".
    """

    name: str
    old: Any
    new: Any
    change: str
    movement: str


class Predecessor(Frozen):
    """The version *number*, which this version replaced in *stage*, and the differences between the two.

    *changes* has the values of the metadata that differ, and *same* is the number of equal values. *removed* are the
    names of artifacts that only the version *number* has.
    """

    number: int
    stage: str
    changes: tuple[Change, ...]
    same: int
    removed: tuple[str, ...]


class RunLine(Frozen):
    """A run that made or changed the version. If the registry has no record of the run, only its id is known."""

    id: str
    pipeline: str
    status: str
    started: datetime | None
    seconds: float | None


class Input(Frozen):
    """An artifact that the runs of a version read: its name, its digest, and the first other version that has it."""

    name: str
    digest: str
    model: str
    number: int | None


class FieldLine(Frozen):
    """A change of the *field* of a version from the value *old* to *new*; None means not set. Digests are shortened."""

    field: str
    old: Any
    new: Any


class HistoryLine(Frozen):
    """An event in the history of a version: *what* happened in words, who did it and why.

    If the event changed the record of the version, *fields* has the changes, and *more* is the number of changes that
    *fields* leaves out.
    """

    when: datetime
    what: str
    author: str
    merged_by: str
    pull_request: str
    reason: str
    fields: tuple[FieldLine, ...] = ()
    more: int = 0


class VersionPage(Frozen):
    """A version with everything that its record says, and its differences from the version that it replaced.

    *history_fault* is the reason why the history is not complete, or "".
    """

    model: str
    title: str
    number: int
    name: str | None
    stage: str | None
    places: tuple[StagePill, ...]
    proposals: tuple[OpenProposal, ...]
    signatures: dict[str, str]
    gates: tuple[GateResult, ...]
    aliases: tuple[str, ...]
    created: datetime
    description: str
    tags: tuple[str, ...]
    failed: bool
    metadata: tuple[tuple[str, Any], ...]
    more_metadata: int
    artifacts: tuple[ArtifactRow, ...]
    code: CodeState | None
    imported: dict[str, Any] | None
    runs: tuple[RunLine, ...]
    parameters: tuple[tuple[str, Any], ...]
    packages: str
    inputs: tuple[Input, ...]
    used_by: tuple[tuple[str, int], ...]
    history: tuple[HistoryLine, ...]
    history_fault: str
    predecessor: Predecessor | None
    has_production: bool
    newer: int | None
    older: int | None


def read(registry: RegistryData, model: str, number: str) -> VersionPage:
    """Return the value of the page of the version *number* of *model*. Raises NotFound if there is none."""
    view = registry.version(model, number)
    record = view.record
    newer, older = registry.neighbours(model, record.number)
    runs = [run for id in record.runs if (run := registry.run(id)) is not None]
    values = list(flat_values(record.metadata))
    replaced = _replaced(registry, view)
    return VersionPage(
        model=model,
        title=registry.title(model),
        number=record.number,
        name=record.name,
        stage=view.stage,
        places=pills_of(registry, model, record.number),
        proposals=registry.open_proposals(model, record.number),
        signatures=_signatures(registry, view),
        gates=gate_results(registry, model, record.number),
        aliases=view.aliases,
        created=record.created,
        description=record.description,
        tags=record.tags,
        failed=record.failed,
        metadata=tuple(values[:_MOST_VALUES]),
        more_metadata=max(len(values) - _MOST_VALUES, 0),
        artifacts=tuple(_artifacts(registry, view, replaced)),
        code=code_state(record.code),
        imported=imported_fields(record.imported),
        runs=tuple(_run(registry, id) for id in record.runs),
        parameters=tuple((key, value) for run in runs for key, value in flat_values(run.parameters))[:_MOST_VALUES],
        packages=next((run.record.packages for run in runs if run.record and run.record.packages), ""),
        inputs=tuple(_inputs(registry, view, runs))[:_MOST_VALUES],
        used_by=tuple(registry.used_by(model, record.number)[:_MOST_VALUES]),
        history=tuple(_history(registry, view)),
        history_fault=registry.changes_fault,
        predecessor=_predecessor(registry, record, *replaced) if replaced is not None else None,
        has_production=registry.has_production(model),
        newer=newer,
        older=older,
    )


def _artifacts(
    registry: RegistryData, view: VersionView, replaced: tuple[StageEvent, VersionRecord] | None
) -> Iterator[ArtifactRow]:
    before = {link.name: link.digest for link in replaced[1].links} if replaced is not None else {}
    for link in view.record.links:
        yield _artifact(registry, view, link, before.get(link.name, ""))


def _artifact(registry: RegistryData, view: VersionView, link: ArtifactLink, before: str) -> ArtifactRow:
    is_shown = registry.options.artifacts
    data = registry.content(view.model, view.record.number, link.kind, link.name) if is_shown else None
    if link.kind == ATTACHMENT:
        command, python = f"git model get {view} --attachment {link.name}", ""
    else:
        command = f"git model get {view} {link.name}"
        python = f'from gitmodel import Client; Client().get_version("{view}").get_artifact("{link.name}").load()'
    picture = picture_file(link, data)
    return ArtifactRow(
        link.name,
        link.kind,
        link.format,
        link.size,
        link.digest,
        link.file_name,
        safe_url(link.uri or ""),
        command,
        python,
        picture,
        read_text(data) if data is not None and not picture else None,
        before,
    )


def _run(registry: RegistryData, id: str) -> RunLine:
    run = registry.run(id)
    if run is None:
        return RunLine(id, "", "not recorded", None, None)
    return RunLine(id, run.pipeline, run.status, run.started, run.seconds)


def _inputs(registry: RegistryData, view: VersionView, runs: list[RunView]) -> Iterator[Input]:
    """Yield the inputs that steps of *runs* read, and that no step of *runs* made."""
    steps = [step for run in runs if run.record for step in run.record.steps]
    made = {digest for step in steps for digest in step.outputs.values()}
    own = (view.model, view.record.number)
    seen: set[str] = set()
    for step in steps:
        for name, digest in step.inputs.items():
            if digest in made or digest in seen:
                continue
            seen.add(digest)
            model, number = next((one for one in registry.holders_of(digest) if one != own), ("", None))
            yield Input(name, digest, model, number)


def _history(registry: RegistryData, view: VersionView) -> Iterator[HistoryLine]:
    """Yield the events of the version, newest first: entered and left stages, changes of its record, its creation."""
    number = view.record.number
    lines = [_stage_line(event, number) for event in registry.events_of(view.model, number)]
    lines += map(_change_line, registry.changes_of(view.model, number))
    yield from sorted(lines, key=lambda line: line.when, reverse=True)
    yield HistoryLine(view.record.created, "created", "", "", "", _first_description(registry, view))


def _first_description(registry: RegistryData, view: VersionView) -> str:
    """Return the description that the version was created with; "" if a part of the history is missing."""
    for change in reversed(registry.changes_of(view.model, view.record.number)):
        for field in change.fields:
            if field.field == "description":
                return field.before or ""
    return "" if registry.changes_fault else view.record.description


def _stage_line(event: StageEvent, number: int) -> HistoryLine:
    verb = ("entered" if event.version == number else "left") if event.counts else "did not enter"
    what = f"{verb} {event.stage}{f' ({event.fault})' if event.fault else ''}"
    if event.forced and event.version == number:
        what += f", forced: {', '.join(event.forced)} overridden"
    return HistoryLine(event.when, what, event.author, event.merged_by, event.pull_request, event.reason)


def _change_line(change: VersionChange) -> HistoryLine:
    fields = tuple(_field_lines(change.fields))
    shown, more = fields[:_MOST_VALUES], max(len(fields) - _MOST_VALUES, 0)
    return HistoryLine(change.when, "changed", change.author, "", change.pull_request, change.reason, shown, more)


def _field_lines(changes: Sequence[FieldChange]) -> Iterator[FieldLine]:
    """Yield a line for each changed field.

    If the digest of an artifact or attachment changed, yields no lines for the other fields of this artifact.
    """
    linked = {one.field[: -len(".digest")] for one in changes if one.field.endswith(".digest")}
    for one in changes:
        kind, _, name = one.field.partition(".")
        within, _, key = one.field.rpartition(".")
        if within not in linked:
            yield FieldLine(name if kind == "metadata" else one.field, one.before, one.after)
        elif key == "digest":
            old, new = (short_digest(value) if value else None for value in (one.before, one.after))
            yield FieldLine(f"{kind[:-1]} {name.removesuffix('.digest')}", old, new)


def _signatures(registry: RegistryData, view: VersionView) -> dict[str, str]:
    """Return, for each stage and alias of the version, words about the signature of the change that put it there."""
    number = view.record.number
    held = [state.name for state in registry.states_of(view.model, number) if state.in_force == number]
    entered = {name: event for name in held if (event := registry.entered(view.model, name, number))}
    if not entered:
        return {}
    words = registry.signatures([event.commit for event in entered.values()])
    return {name: words[event.commit] for name, event in entered.items()}


def _predecessor(registry: RegistryData, new: VersionRecord, event: StageEvent, old: VersionRecord) -> Predecessor:
    """Return the differences between the version *new* and the version *old*, which it replaced by *event*."""
    rows = compare_values(old.metadata, new.metadata)
    differing = [row for row in rows if not row.same]
    moved = gate_movements(registry.limits(event.stage), differing)
    changes = (
        Change(row.name, row.old, row.new, row.shown_change, moved.get(row.name, ""))
        for row in differing[:_MOST_VALUES]
    )
    names = {link.name for link in new.links}
    removed = tuple(link.name for link in old.links if link.name not in names)
    return Predecessor(old.number, event.stage, tuple(changes), len(rows) - len(differing), removed)


def _replaced(registry: RegistryData, view: VersionView) -> tuple[StageEvent, VersionRecord] | None:
    """Return the change by which the version replaced another one in a stage, and the record of that other version.

    If the version did so several times, chooses the stage that is last in `RegistryData.stages`, and its newest change.
    Returns None if the version replaced none, or if the other version is deleted or damaged.
    """
    number = view.record.number
    order = {stage.name: place for place, stage in enumerate(registry.stages)}
    entered = (event for event in registry.events_of(view.model, number) if event.version == number and event.previous)
    known = (event for event in entered if event.stage in order)
    event = max(known, key=lambda event: (order[event.stage], event.when), default=None)
    before = registry.versions(view.model).get(event.previous or 0) if event is not None else None
    return (event, before.record) if event is not None and before is not None else None


def list_versions(registry: RegistryData) -> Iterable[Parameters]:
    """Yield the parameters of the page of each version that has one."""
    for model in registry.models:
        for number in registry.with_page(model):
            yield {"model": model, "number": str(number)}


PAGE = Page("version", "/m/{model}/v/{number}", read, list_versions, "version.html")
