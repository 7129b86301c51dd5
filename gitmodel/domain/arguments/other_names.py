"""Errors for names of ZenML's and MLflow's interfaces, which show gitmodel's form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from gitmodel.errors import UsageError


class OtherName(UsageError, AttributeError):
    """An attribute that ZenML or MLflow has and gitmodel has not; the hint shows gitmodel's form."""


class ShowsOurForm:
    """A class that answers other tools' names, the keys of `_other_names`, with an error that shows gitmodel's form.

    >>> class Shelf(ShowsOurForm):
    ...     _other_names = {"get_model_version": 'write get_version("demo@3")'}
    >>> hasattr(Shelf(), "get_model_version")
    False
    """

    _other_names: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # type checkers still report unknown attributes

        def __getattr__(self, name: str) -> Any:
            form = type(self)._other_names.get(name)
            if form is not None:
                raise OtherName(f"{type(self).__name__} has no {name}", hint=form)
            return object.__getattribute__(self, name)  # raises the error that led here


def refuse_other_keywords(of: str, values: Mapping[str, Any], form: str) -> None:
    """Raise UsageError if the function *of* got a keyword argument by which ZenML says what the metadata belongs to.

    *values* are the keyword arguments, *form* is gitmodel's form.

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
