"""The page of a model, and the page on which a script compares versions of the model.

The script reads the data file of the model and the JSON twins of the versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from gitmodel.domain.schema.records import HEADINGS
from gitmodel.domain.views.record_views import VersionView
from gitmodel.frozen import Frozen
from gitmodel.svg.line_chart import near_limits
from gitmodel.svg.scales import number_text
from gitmodel.web.page import Page, Parameters
from gitmodel.web.pages.parts.stage_pills import StagePill, stage_pills
from gitmodel.web.registry_data.registry_data import OpenProposal, RegistryData

# The greatest number of versions in the table of the page; a script reads the other versions from the data file.
MOST_ROWS = 100
# The number of metric columns in the table before a reader chooses columns.
_FIRST_COLUMNS = 4


class VersionLine(Frozen):
    """A version in the table: *metrics* has its number for each column, None if it has no such number."""

    number: int
    name: str | None
    stage: str | None
    aliases: tuple[str, ...]
    pending: tuple[str, ...]
    created: datetime
    description: str
    tags: tuple[str, ...]
    failed: bool
    metrics: tuple[float | None, ...]


class Chart(Frozen):
    """The numbers of versions under the key *metric*, oldest first. *marks* has versions with names of their stages.

    *limits* has the limits that gates set for *metric*, each with a label.
    """

    metric: str
    points: tuple[tuple[int, float], ...]
    marks: tuple[tuple[int, str], ...]
    limits: tuple[tuple[str, float], ...]


class CardSection(Frozen):
    """A part of the model card: a heading and text in Markdown."""

    heading: str
    text: str


class ModelPage(Frozen):
    """A model with its stages, its newest versions and their numbers under the keys *columns*."""

    name: str
    title: str
    description: str
    license: str
    owners: tuple[str, ...]
    tags: tuple[str, ...]
    created: datetime
    metadata: dict[str, Any]
    card: tuple[CardSection, ...]
    stages: tuple[StagePill, ...]
    proposals: tuple[OpenProposal, ...]
    latest: int | None
    versions: int
    chart: Chart | None
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    rows: tuple[VersionLine, ...]


def read(registry: RegistryData, model: str) -> ModelPage:
    """Return the value of the page of *model*. Raises NotFound."""
    view = registry.model(model)
    record = view.record
    metrics = tuple(registry.numbers(model))
    columns = metrics[:_FIRST_COLUMNS]
    return ModelPage(
        name=view.name,
        title=record.title,
        description=record.description,
        license=record.license,
        owners=record.owners,
        tags=record.tags,
        created=record.created,
        metadata=dict(record.metadata),
        card=tuple(CardSection(title, text) for key, title in HEADINGS.items() if (text := getattr(record, key))),
        stages=stage_pills(registry, model),
        proposals=registry.open_proposals(model),
        latest=view.latest,
        versions=view.count,
        chart=_chart(registry, model),
        columns=columns,
        metrics=metrics,
        rows=tuple(_line(registry, each, columns) for each in registry.newest(model, MOST_ROWS)),
    )


def _chart(registry: RegistryData, model: str) -> Chart | None:
    """Return the chart of the headline number of *model*; None if fewer than two versions have the number."""
    metric = registry.headline(model)
    points = tuple(sorted(registry.numbers(model).get(metric, {}).items()))
    held = ((state.in_force, state.name) for state in registry.model(model).stages)
    marks = tuple((number, name) for number, name in held if number is not None)
    return Chart(metric, points, marks, gate_lines(registry, model).get(metric, ())) if len(points) > 1 else None


def gate_lines(registry: RegistryData, model: str) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return the limits that current gates set for numbers of *model*, with labels, by the key of the number.

    Leaves out limits that are far from the numbers of all versions, as `near_limits` does.
    """
    found: dict[str, list[tuple[str, float]]] = {}
    for stage in registry.stages:
        for limit in registry.limits(stage.name):
            label = f"gate of {stage.name}: {limit.sign} {number_text(limit.number)}"
            found.setdefault(limit.key, []).append((label, limit.number))
    numbers = registry.numbers(model)
    near = {key: near_limits(lines, [*numbers[key].values()]) for key, lines in found.items() if key in numbers}
    return {key: tuple(lines) for key, lines in near.items() if lines}


def _line(registry: RegistryData, view: VersionView, columns: tuple[str, ...]) -> VersionLine:
    record = view.record
    numbers = registry.numbers(view.model)
    return VersionLine(
        record.number,
        record.name,
        view.stage,
        view.aliases,
        tuple(state.name for state in view.pending if state.recorded == record.number),
        record.created,
        record.description,
        record.tags,
        record.failed,
        tuple(numbers[key].get(record.number) for key in columns),
    )


class ComparePage(Frozen):
    """The model whose versions are compared. The *example* is its two newest versions; () if it has fewer."""

    model: str
    title: str
    example: tuple[int, ...]


def read_comparison(registry: RegistryData, model: str) -> ComparePage:
    """Return the value of the page that compares versions of *model*. Raises NotFound if there is no such model."""
    example = tuple(sorted(registry.existing(model)[:2]))
    return ComparePage(model, registry.title(model), example if len(example) == 2 else ())


def list_models(registry: RegistryData) -> Iterable[Parameters]:
    """Yield the parameters of a page for each model, such as {"model": "iris"}."""
    return ({"model": name} for name in registry.models)


PAGE = Page("model", "/m/{model}/", read, list_models, "model.html", label="Overview")
COMPARISON = Page("compare", "/m/{model}/compare", read_comparison, list_models, "compare.html", label="Compare")
