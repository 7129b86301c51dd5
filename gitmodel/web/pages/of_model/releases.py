"""The version in each stage of each model, for bots that update dependencies.

The form is that of Renovate's custom datasources (https://docs.renovatebot.com/modules/datasource/custom/).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitmodel.errors import NotFound
from gitmodel.frozen import Frozen
from gitmodel.web.page import Page, Parameters
from gitmodel.web.registry_data.registry_data import RegistryData


class Release(Frozen):
    """The version in force as text, such as "3", and the time when the version entered the stage; None if unknown."""

    version: str
    releaseTimestamp: datetime | None


class Releases(Frozen):
    """The releases for a bot: the version in force alone, so that the bot follows a rollback; () if there is none."""

    releases: tuple[Release, ...]


def read(registry: RegistryData, model: str, stage: str) -> Releases:
    """Return the releases for *stage* of *model*. Raises NotFound if there is no such model or stage."""
    registry.model(model)
    if stage not in {one.name for one in registry.stages}:
        raise NotFound(f"there is no stage {stage!a}", hint="`git model stage list` lists the stages")
    held = next((state.in_force for state in registry.model(model).stages if state.name == stage), None)
    if held is None:
        return Releases(())
    event = registry.entered(model, stage, held)
    return Releases((Release(str(held), event.when if event else None),))


def list_releases(registry: RegistryData) -> Iterator[Parameters]:
    """Yield the parameters of the file of each model and stage."""
    return ({"model": model, "stage": stage.name} for model in registry.models for stage in registry.stages)


PAGE = Page("releases", "/data/{model}/{stage}.json", read, list_releases)
