"""The data files of a model.

Its versions by column are JSON for programs, and a script for pages. The version in each stage is JSON for bots that
update dependencies, in the form of Renovate's custom datasources
(https://docs.renovatebot.com/modules/datasource/custom/).
"""

from __future__ import annotations

from datetime import datetime

from gitmodel.errors import NotFound
from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.of_model.model import gate_lines, list_models
from gitmodel.web.registry_data.registry_data import RegistryData


class DataFile(Frozen):
    """The versions of a model by column, newest first.

    *numbers*, *created*, *tags*, *description*, *code* and each list in *metrics* have one value for each version, in
    the order of *numbers*. *tagset* has all tags, and *tags* has for each version the positions of its tags in
    *tagset*. *limits* has, for each key of *metrics* that gates limit, these limits and their labels, to be drawn into
    the chart of the key. *names*, *stage*, *pending* and *aliases* are by the number of the version, and leave out
    versions that have none. *pending* has the stages and aliases that the version will have after `git model apply`.
    *pages* are the numbers of the versions that have a page of their own; None if all versions have one.
    """

    model: str
    numbers: tuple[int, ...]
    names: dict[int, str]
    created: tuple[str, ...]
    stage: dict[int, str]
    pending: dict[int, tuple[str, ...]]
    aliases: dict[int, tuple[str, ...]]
    tags: tuple[tuple[int, ...], ...]
    tagset: tuple[str, ...]
    description: tuple[str, ...]
    metrics: dict[str, tuple[float | None, ...]]
    limits: dict[str, tuple[tuple[str, float], ...]]
    code: tuple[str | None, ...]
    failed: tuple[int, ...]
    deleted: tuple[int, ...]
    pages: tuple[int, ...] | None


def read(registry: RegistryData, model: str) -> DataFile:
    """Return the value of the data file of *model*. Raises NotFound."""
    facts, places = registry.facts(model), registry.places(model)
    numbers = tuple(registry.existing(model))
    found = [facts[number] for number in numbers]
    tagset = tuple(sorted({tag for each in found for tag in each.tags}))
    place = {tag: index for index, tag in enumerate(tagset)}
    placed = {number: places[number] for number in numbers if number in places}
    with_page = tuple(registry.with_page(model))
    return DataFile(
        model=model,
        numbers=numbers,
        names={number: name for number in numbers if (name := facts[number].name)},
        created=tuple(each.utc for each in found),
        stage={number: each.stage for number, each in placed.items() if each.stage},
        pending={
            number: waiting
            for number, each in placed.items()
            if (waiting := tuple(state.name for state in each.pending if state.recorded == number))
        },
        aliases={number: each.aliases for number, each in placed.items() if each.aliases},
        tags=tuple(tuple(place[tag] for tag in each.tags) for each in found),
        tagset=tagset,
        description=tuple(each.description for each in found),
        metrics={key: tuple(map(values.get, numbers)) for key, values in registry.numbers(model).items()},
        limits=gate_lines(registry, model),
        code=tuple(each.code for each in found),
        failed=tuple(number for number in numbers if facts[number].failed),
        deleted=registry.deleted(model),
        pages=None if len(with_page) == len(numbers) else with_page,
    )


class Release(Frozen):
    """The version in force as text, such as "3", and the time when the version entered the stage; None if unknown."""

    version: str
    releaseTimestamp: datetime | None


class Releases(Frozen):
    """The releases for a bot: the version in force alone, so that the bot follows a rollback; () if there is none."""

    releases: tuple[Release, ...]


def read_releases(registry: RegistryData, model: str, stage: str) -> Releases:
    """Return the releases for *stage* of *model*. Raises NotFound if there is no such model or stage."""
    states = registry.model(model).stages
    if stage not in {one.name for one in registry.stages}:
        raise NotFound(f"there is no stage {stage!a}", hint="`git model stage list` lists the stages")
    held = next((state.in_force for state in states if state.name == stage), None)
    if held is None:
        return Releases(())
    event = registry.entered(model, stage, held)
    return Releases((Release(str(held), event.when if event else None),))


PAGE = Page("data", "/data/{model}.json", read, list_models)
SCRIPT = Page("data script", "/data/{model}.js", read, list_models)
RELEASES = Page(
    "releases",
    "/data/{model}/{stage}.json",
    read_releases,
    lambda registry: ({"model": model, "stage": one.name} for model in registry.models for one in registry.stages),
)
