"""The page of all models."""

from __future__ import annotations

from datetime import datetime

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.stage_pills import StagePill, stage_pills
from gitmodel.web.registry_data import RegistryData

# The most versions in the small chart of a row.
_MOST_POINTS = 60


class ModelRow(Frozen):
    """A model in the table: *metric* is the key of its headline number, *trend* its last values, oldest first."""

    name: str
    title: str
    latest: int | None
    versions: int
    stages: tuple[StagePill, ...]
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    changed: datetime
    metric: str
    value: float | None
    trend: tuple[float, ...]


class ModelsPage(Frozen):
    """All models, with the tags that they have, and the records that cannot be read."""

    commit: str
    models: tuple[ModelRow, ...]
    tags: tuple[str, ...]
    stages: tuple[str, ...]
    damaged: tuple[str, ...]


def read(registry: RegistryData) -> ModelsPage:
    """Return the value of the page."""
    rows = tuple(_row(registry, name) for name in registry.models)
    tags = tuple(sorted({tag for row in rows for tag in row.tags}))
    stages = tuple(stage.name for stage in registry.stages)
    damaged = tuple(error.message for error in registry.damaged)
    return ModelsPage(registry.commit, rows, tags, stages, damaged)


def _row(registry: RegistryData, name: str) -> ModelRow:
    view = registry.model(name)
    versions = registry.versions(name)
    metric = registry.headline(name)
    values = registry.numbers(name).get(metric, {})
    newest = list(values.values())[:_MOST_POINTS]
    moments = [view.record.created, *(e.when for e in registry.events(name)[:1])]
    moments += [each.record.created for each in list(versions.values())[:1]]
    return ModelRow(
        name,
        view.record.title,
        view.latest,
        view.count,
        stage_pills(registry, name),
        view.record.owners,
        view.record.tags,
        max(moments),
        metric,
        newest[0] if newest else None,
        tuple(reversed(newest)),
    )


PAGE = Page("models", "/", read, template="models.html", label="Models")
