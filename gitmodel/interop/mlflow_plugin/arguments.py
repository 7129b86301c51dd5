"""Checks of the arguments that MLflow passes to a registry, with the messages of MLflow's own registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from mlflow.utils import validation

from gitmodel.interop.mlflow_plugin.failures import invalid

_ALIAS = re.compile(r"[\w-]{1,255}")
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)

check_name: Callable[[str], None] = validation._validate_model_name
check_tag_key: Callable[[str], None] = validation._validate_tag_name


def check_new_name(name: Any) -> None:
    """Raise MlflowException if a model cannot be renamed to *name*."""
    if name is None or not str(name).strip():
        raise invalid("Missing value for required parameter 'new_name'")
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
    """Raise MlflowException if *alias* cannot be the name of an alias in MLflow."""
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise invalid(f"Invalid alias name: '{alias}'. Use 1 to 255 letters, digits, underscores (_) and dashes (-).")


def check_new_alias(alias: str) -> None:
    """Raise MlflowException if MLflow does not allow to set *alias*, for example because it is reserved."""
    check_alias(alias)
    if _RESERVED_ALIAS.fullmatch(alias):
        raise invalid(f"'{alias}' is reserved and cannot be set as an alias.")


def check_positive(size: Any) -> None:
    """Raise MlflowException if *size*, the requested number of results, is no positive integer."""
    if not isinstance(size, int) or size < 1:
        raise invalid(f"Invalid value for max_results. It must be a positive integer, but got {size}")


def check_at_most(size: Any, most: int) -> None:
    """Raise MlflowException if *size*, the requested number of results, is greater than *most*."""
    if size > most:
        raise invalid(
            f"Invalid value for request parameter max_results. It must be at most {most}, but got value {size}"
        )


def _read_tags(tags: Iterable[Any] | None, check: Callable[[str, str], None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for tag in tags or ():
        check(tag.key, tag.value)
        found[tag.key] = str(tag.value)
    return found
