"""Checks of the arguments that MLflow passes to a registry, with the messages of MLflow's own registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from mlflow.utils import validation

from gitmodel.errors import UsageError

_ALIAS = re.compile(r"[\w-]{1,255}")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)

check_name: Callable[[str], None] = validation._validate_model_name
check_tag_key: Callable[[str], None] = validation._validate_tag_name


def check_new_name(name: Any) -> None:
    """Raise an error if a model cannot be renamed to *name*: UsageError if it is blank, else MlflowException."""
    if name is None or not str(name).strip():
        raise UsageError("Missing value for required parameter 'new_name'")
    check_name(name)


def read_number(version: Any) -> int:
    """Return *version* as a number. Raises MlflowException if it is none."""
    validation._validate_model_version(version)
    return int(version)


def read_model_tags(tags: Iterable[Any] | None) -> dict[str, str]:
    """Return the values of *tags* of a model by their keys. Raises MlflowException if MLflow does not allow one."""
    return _read_tags(tags, validation._validate_registered_model_tag)


def read_version_tags(tags: Iterable[Any] | None) -> dict[str, str]:
    """Return the values of *tags* of a version by their keys. Raises MlflowException if MLflow does not allow one."""
    return _read_tags(tags, validation._validate_model_version_tag)


def check_alias(alias: str) -> None:
    """Raise UsageError if *alias* cannot be the name of an alias in MLflow."""
    if not alias:
        raise UsageError("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise UsageError(
            f"Invalid alias name: '{alias}'. Use 1 to 255 letters, digits, underscores (_) and dashes (-)."
        )


def check_new_alias(alias: str) -> None:
    """Raise UsageError if MLflow does not allow to set *alias*, for example because it is reserved."""
    check_alias(alias)
    if _RESERVED_ALIAS.fullmatch(alias):
        raise UsageError(f"'{alias}' is reserved and cannot be set as an alias.")


def check_size(size: Any, most: int) -> None:
    """Raise UsageError if *size*, the requested number of results, is no integer from 1 to *most*."""
    if not isinstance(size, int) or size < 1:
        raise UsageError(f"Invalid value for max_results. It must be a positive integer, but got {size}")
    if size > most:
        raise UsageError(
            f"Invalid value for request parameter max_results. It must be at most {most}, but got value {size}"
        )


def _read_tags(tags: Iterable[Any] | None, check: Callable[[str, str], None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags or ():
        check(tag.key, tag.value)
        found[tag.key] = str(tag.value)
    return found
