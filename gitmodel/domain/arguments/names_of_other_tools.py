"""Errors for names that ZenML and MLflow have and gitmodel lacks. They say what to write instead. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from gitmodel.errors import UsageError

T = TypeVar("T")


class OtherName(UsageError, AttributeError):
    """An attribute that ZenML or MLflow has and gitmodel lacks. The hint says what to write instead."""


def shows_our_form(cls: type[T]) -> type[T]:
    """Make attributes of *cls* that other tools have raise an error, which says what to write in gitmodel instead.

    The attribute `_other_names` of *cls* maps the names of these attributes to the advice. This is a decorator and not
    a base class, so that `help` of *cls* does not describe a second class.

    >>> @shows_our_form
    ... class Shelf:
    ...     _other_names = {"get_model_version": 'write get_version("demo@3")'}
    >>> hasattr(Shelf(), "get_model_version")
    False
    """

    def __getattr__(self: Any, name: str) -> Any:
        """Raise AttributeError; for a name of ZenML or MLflow, its hint says what to write instead."""
        form = cls._other_names.get(name)  # type: ignore[attr-defined]
        if form is not None:
            raise OtherName(f"{cls.__name__} has no {name}", hint=form)
        return object.__getattribute__(self, name)  # raises the original error again

    cls.__getattr__ = __getattr__  # type: ignore[attr-defined]
    return cls


def refuse_other_keywords(of: str, values: Mapping[str, Any], form: str) -> None:
    """Raise UsageError if *values* has a keyword argument that ZenML uses to name the target of metadata.

    *values* are the keyword arguments of the function *of*, and *form* says what to write instead.

    >>> refuse_other_keywords("log_model_metadata", {"accuracy": 0.9}, "")
    """
    found = sorted(_KEYWORDS & set(values))
    if found:
        raise UsageError(
            f"{of} has no argument {found[0]}",
            hint=f'{form}; to log a value of this name, write {{"{found[0]}": ...}}',
        )


_KEYWORDS = frozenset(
    {"artifact_name", "artifact_version", "artifact_version_id", "infer_artifact", "infer_model", "model_name"}
    | {"model_version", "model_version_id", "output_name", "run_id_name_or_prefix", "step_id", "step_name"}
)
