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
    """The version in force, as text, and the time when it entered the stage, if that is known."""

    version: str
    releaseTimestamp: datetime | None


class Releases(Frozen):
    """The releases for a bot: only the version in force, so that the bot follows a rollback; () for an empty stage."""

    releases: tuple[Release, ...]


def read(registry: RegistryData, model: str, stage: str) -> Releases:
    """Return the value of the file. Raises NotFound."""
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
