"""Parameters of a pipeline in the types of its annotations: those of a record, and those typed at a shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import EnumMeta
from typing import Any, get_type_hints

from gitmodel.errors import UsageError

_PLAIN = {int: "3", float: "0.5", bool: "true"}


def as_annotated(function: Callable[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return *parameters*, with those that a record changes (paths, enumerations, ...) as *function* annotates them."""
    hints = _hints(function)
    return {name: _converted(value, hints.get(name, Any)) for name, value in parameters.items()}


def from_texts(function: Callable[..., Any], texts: Mapping[str, str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Return the parameters that *texts* give to *function*, in the types of its annotations.

    A text stays a text where the annotation is `str`, so that 1.10 is not the number 1.1. All others are converted by
    *read*. Raises UsageError if an annotation is `int`, `float` or `bool` and the text is none.
    """
    hints = _hints(function)
    found = {}
    for name, text in texts.items():
        hint = hints.get(name, Any)
        value = text if hint is str else read(text)
        if hint is float and type(value) is int:
            value = float(value)
        if hint in _PLAIN and type(value) is not hint:
            raise UsageError(
                f"parameter {name} is {text!a}, and its annotation is {hint.__name__}",
                hint=f"for example: --param {name}={_PLAIN[hint]}",
            )
        found[name] = _converted(value, hint)
    return found


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(function)
    except Exception:  # the annotations name something that is not imported
        return {}


def _converted(value: Any, hint: Any) -> Any:
    """Return *value* in the type of *hint*, or unchanged if it cannot be converted."""
    if isinstance(hint, EnumMeta) and value in hint.__members__:
        return hint[value]
    if hint in (Any, str, *_PLAIN):
        return value
    from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError  # takes 100 ms

    with suppress(PydanticSchemaGenerationError, ValidationError):
        return TypeAdapter(hint).validate_python(value)
    return value
