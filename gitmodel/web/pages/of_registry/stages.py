"""The stages board: the version of each model in each stage, who put it there and when, and if the change counts."""

from __future__ import annotations

from datetime import datetime

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.parts.stage_pills import StagePill, stage_pills
from gitmodel.web.registry_data.registry_data import OpenProposal, RegistryData
from gitmodel.web.shown_text import safe_url


class Holder(Frozen):
    """A stage of a model: its *pill*, the *signature* of the last change in words, and the command for a *rollback*.

    *previous* is the number of the version that was in the stage before. If there was none, *rollback* is "".
    *pull_request_url* is "" if the host of the pull request is not known. *recorded* is the time of a pending change,
    None if no change is pending.
    """

    pill: StagePill
    signature: str
    rollback: str
    previous: int | None = None
    pull_request_url: str = ""
    recorded: datetime | None = None
    recorded_by: str = ""


class BoardRow(Frozen):
    """A model with a holder for each stage of the board; None for an empty stage without a pending change."""

    model: str
    title: str
    holders: tuple[Holder | None, ...]
    proposals: tuple[OpenProposal, ...]


class StagesPage(Frozen):
    """All models and all stages, at *commit* of the metadata branch.

    *signers* is True if the registry lists signers; signatures are checked only then. *proposals* is the number of open
    proposals.
    """

    commit: str
    stages: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    pending: int
    forged: int
    signers: bool
    proposals: int


def read(registry: RegistryData) -> StagesPage:
    """Return the value of the page."""
    stages = tuple(stage.name for stage in registry.stages)
    rows = tuple(_row(registry, name, stages) for name in registry.models)
    states = [holder.pill.state for row in rows for holder in row.holders if holder]
    return StagesPage(
        registry.commit,
        stages,
        rows,
        states.count("pending"),
        states.count("forged"),
        bool(registry.signers),
        len(registry.proposals),
    )


def _row(registry: RegistryData, model: str, stages: tuple[str, ...]) -> BoardRow:
    pills = {pill.name: pill for pill in stage_pills(registry, model) if not pill.alias}
    holders = tuple(_holder(registry, model, pills.get(stage)) for stage in stages)
    return BoardRow(model, registry.model(model).record.title, holders, registry.open_proposals(model))


def _holder(registry: RegistryData, model: str, pill: StagePill | None) -> Holder | None:
    if pill is None or pill.state == "empty":
        return None
    held = registry.entered(model, pill.name, pill.version) if pill.version is not None else None
    is_pending = pill.state == "pending" and pill.recorded is not None
    pending = registry.entered(model, pill.name, pill.recorded or 0) if is_pending else None
    return Holder(
        pill,
        signature=registry.signatures([held.commit])[held.commit] if held else "",
        rollback=f"git model rollback {model} {pill.name}" if held and held.previous else "",
        previous=held.previous if held else None,
        pull_request_url=safe_url(registry.pull_request_url(held.pull_request)) if held else "",
        recorded=pending.when if pending else None,
        recorded_by=pending.author if pending else "",
    )


PAGE = Page("stages", "/stages", read, template="stages.html", label="Stages")
