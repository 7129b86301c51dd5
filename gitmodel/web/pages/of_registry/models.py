"""The page of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.parts.stage_pills import StagePill, stage_pills
from gitmodel.web.registry_data.registry_data import OpenProposal, RegistryData

# The greatest number of versions in the small chart of each model.
_MOST_POINTS = 60


class HeldNumber(Frozen):
    """The headline number of the *version* in a *stage*."""

    stage: str
    version: int
    value: float


class ModelRow(Frozen):
    """A model in the table. Its last change was at the time *changed*, and *change* says what it was.

    *metric* is the key of the model's headline number. *value_of* is the newest version that has this number, and
    *value* is the number. *held* is the headline number of the version in the last stage of the registry, such as
    production.
    *trend* has the numbers of the newest versions, oldest first.
    """

    name: str
    title: str
    latest: int | None
    versions: int
    stages: tuple[StagePill, ...]
    proposals: tuple[OpenProposal, ...]
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    changed: datetime
    change: str
    metric: str
    value: float | None
    value_of: int | None
    held: HeldNumber | None
    trend: tuple[float, ...]


class ModelsPage(Frozen):
    """All models, all their tags, the number of open *proposals*, and errors of the records that cannot be read."""

    commit: str
    models: tuple[ModelRow, ...]
    tags: tuple[str, ...]
    stages: tuple[str, ...]
    damaged: tuple[str, ...]
    proposals: int


def read(registry: RegistryData) -> ModelsPage:
    """Return the value of the page."""
    rows = tuple(_row(registry, name) for name in registry.models)
    tags = tuple(sorted({tag for row in rows for tag in row.tags}))
    stages = tuple(stage.name for stage in registry.stages)
    damaged = tuple(error.message for error in registry.damaged)
    return ModelsPage(registry.commit, rows, tags, stages, damaged, len(registry.proposals))


def _row(registry: RegistryData, name: str) -> ModelRow:
    view = registry.model(name)
    metric = registry.headline(name)
    values = registry.numbers(name).get(metric, {})
    newest = list(values.values())[:_MOST_POINTS]
    pills = stage_pills(registry, name)
    changes = [(event.when, f"{event.stage} changed") for event in registry.events(name)[:1]]
    changes += [(registry.facts(name)[each].when, f"version {each} created") for each in registry.existing(name)[:1]]
    changes += [(view.record.created, "registered")]
    changed, change = max(changes, key=lambda each: each[0])
    return ModelRow(
        name,
        view.record.title,
        view.latest,
        view.count,
        pills,
        registry.open_proposals(name),
        view.record.owners,
        view.record.tags,
        changed,
        change,
        metric,
        newest[0] if newest else None,
        next(iter(values), None),
        _held(registry, pills, values),
        tuple(reversed(newest)),
    )


def _held(registry: RegistryData, pills: Sequence[StagePill], values: Mapping[int, float]) -> HeldNumber | None:
    """Return the headline number of the version in the last stage of the registry.

    Returns None if this stage is empty, or if the version in it does not have this number.
    """
    last = [stage.name for stage in registry.stages][-1:]
    held = [(p.name, p.version) for p in pills if p.version is not None and p.name in last and not p.alias]
    return next((HeldNumber(stage, of, values[of]) for stage, of in held if of in values), None)


PAGE = Page("models", "/", read, template="models.html", label="Models")
