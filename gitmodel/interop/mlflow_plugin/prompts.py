"""MLflow's prompts. To MLflow, a prompt is a registered model with the tag `mlflow.prompt.is_prompt`. Pure.

gitmodel refuses prompts, unless the URI of the registry has the option `prompts=store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from gitmodel.errors import Conflict, UsageError

_TAG = "mlflow.prompt.is_prompt"
T = TypeVar("T", ModelVersion, RegisteredModel)


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Return True if a model or version with these *tags* is a prompt."""
    return tags.get(_TAG, "").lower() == "true"


def check_prompt(tags: Mapping[str, str], *, allowed: bool) -> None:
    """Raise UsageError if *tags* are those of a prompt and *allowed* is False."""
    if is_prompt(tags) and not allowed:
        raise UsageError(
            "gitmodel does not store prompts",
            hint="keep prompts in MLflow's own registry, or add ?prompts=store to the URI of the registry",
        )


def without_prompts(found: list[T], filter_string: str | None) -> list[T]:
    """Return *found* without prompts, unless MLflow's filter *filter_string* names the tag of prompts."""
    if _TAG in (filter_string or ""):
        return found
    return [one for one in found if _TAG not in one._tags or not is_prompt(one._tags)]


def name_taken(name: str, *, by_prompt: bool, for_prompt: bool) -> Conflict:
    """Return the error for a new model whose *name* another model has.

    *by_prompt* is True if the other model is a prompt, *for_prompt* if the new one is.
    """
    old, new = ("Prompt" if is_one else "Registered Model" for is_one in (by_prompt, for_prompt))
    if old == new:
        return Conflict(f"{new} (name={name}) already exists.")
    return Conflict(
        f"Tried to create a {new.lower()} with name {name!r}, but the name is already taken by a {old.lower()}."
    )
