"""Writes enums, dataclasses and pydantic models as plain data, and creates them again.

A value is created again only if the name of its class is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from gitmodel.formats import trust
from gitmodel.formats.catalogue.format import is_subclass_of, type_name


def tag_of(value: Any) -> str:
    """Return the key under which *value* is in JSON: `$enum`, `$dataclass` or `$pydantic`; "" for any other value."""
    return tag_of_type(type(value))


def tag_of_type(kind: type) -> str:
    """Return the result of `tag_of` for values of the type *kind*."""
    if issubclass(kind, Enum):
        return "$enum"
    if is_dataclass(kind):
        return "$dataclass"
    return "$pydantic" if is_subclass_of(kind, "pydantic.main", "BaseModel") else ""


def state_of(value: Any) -> Any:
    """Return the plain data of *value*, an enum, dataclass or pydantic model, from which `build` creates it again."""
    tag = tag_of(value)
    if tag == "$enum":
        return value.value
    if tag == "$pydantic":
        return value.__getstate__()
    return {each.name: getattr(value, each.name) for each in fields(value)}


def misfit(value: Any) -> str:
    """Return the reason why `build` could not create *value*, an enum, dataclass or pydantic model, again.

    Returns "" if it could.
    """
    name = type_name(value)
    if "<locals>" in name:
        return f"a {name}, which is defined inside a function"
    if tag_of(value) == "$dataclass":
        known = {each.name for each in fields(value)}
        if gone := [name for name in known if not hasattr(value, name)]:
            return f"a {name} without its field {min(gone)}"
        if more := sorted(set(getattr(value, "__dict__", ())) - known):
            return f"a {name} with the attribute {more[0]}, which is not one of its fields"
    return ""


def build(tag: str, name: str, state: Any) -> Any:
    """Return a value of the class *name* with the plain data *state*.

    Raises Refused for a class that is not trusted.
    """
    return _BUILDERS[tag](trust.require(name), state)


def names(written: Any) -> list[str]:
    """Return the full names of the classes in *written*, the JSON of values."""
    if isinstance(written, list):
        return [name for item in written for name in names(item)]
    if not isinstance(written, dict):
        return []
    own = [held[0] for tag, held in written.items() if tag in TAGS]
    return own + [name for item in written.values() for name in names(item)]


def _enum(kind: Any, state: Any) -> Any:
    _require(isinstance(kind, type) and issubclass(kind, Enum), kind, "an enum")
    return kind(state)


def _dataclass(kind: Any, state: Mapping[str, Any]) -> Any:
    _require(isinstance(kind, type) and is_dataclass(kind), kind, "a dataclass")
    wanted = {each.name for each in fields(kind)}
    if set(state) != wanted:
        raise ValueError(f"{kind.__qualname__} has the fields {sorted(wanted)}, and the file has {sorted(state)}")
    found = object.__new__(kind)
    for key, item in state.items():
        object.__setattr__(found, key, item)  # works for frozen dataclasses too
    return found


def _pydantic(kind: Any, state: Any) -> Any:
    _require(isinstance(kind, type) and hasattr(kind, "__pydantic_fields__"), kind, "a pydantic model")
    found = kind.__new__(kind)
    found.__setstate__(state)
    return found


def _require(fits: bool, kind: Any, wanted: str) -> None:
    if not fits:
        raise ValueError(f"{getattr(kind, '__qualname__', kind)!a} is not {wanted}")


_BUILDERS: dict[str, Callable[[Any, Any], Any]] = {"$enum": _enum, "$dataclass": _dataclass, "$pydantic": _pydantic}
TAGS = frozenset(_BUILDERS)
