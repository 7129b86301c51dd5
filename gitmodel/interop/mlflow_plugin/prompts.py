"""Prompts, which MLflow keeps among the registered models: a model with a certain tag. Pure.

gitmodel refuses prompts, unless the URI of the registry ends in `?prompts=store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from gitmodel.interop.mlflow_plugin.failures import invalid, taken

_TAG = "mlflow.prompt.is_prompt"
T = TypeVar("T", ModelVersion, RegisteredModel)


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Return True if a model or version with these *tags* is a prompt."""
    return tags.get(_TAG, "").lower() == "true"


def check_prompt(tags: Mapping[str, str], *, allowed: bool) -> None:
    """Raise MlflowException for the tags of a prompt, unless prompts are *allowed*."""
    if is_prompt(tags) and not allowed:
        raise invalid(
            "gitmodel does not store prompts\n"
            "hint: keep prompts in MLflow's own registry, or add ?prompts=store to the URI of the registry"
        )


def without_prompts(found: list[T], filter_string: str | None) -> list[T]:
    """Return *found* without prompts, unless the filter asks for them."""
    if _TAG in (filter_string or ""):
        return found
    return [one for one in found if _TAG not in one._tags or not is_prompt(one._tags)]


def name_taken(name: str, *, by_prompt: bool, for_prompt: bool) -> MlflowException:
    """Return the error for a new model or prompt whose *name* is in use."""
    old, new = ("Prompt" if is_one else "Registered Model" for is_one in (by_prompt, for_prompt))
    if old == new:
        return taken(f"{new} (name={name}) already exists.")
    return taken(
        f"Tried to create a {new.lower()} with name {name!r}, but the name is already taken by a {old.lower()}."
    )
