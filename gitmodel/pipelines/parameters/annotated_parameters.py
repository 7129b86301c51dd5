"""Converting the parameters of a pipeline to their annotated types: from a record, a file or the command line."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import date, time
from enum import EnumMeta
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from gitmodel.domain.schema.names import did_you_mean
from gitmodel.domain.secrets.credentials import without_credentials
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.errors import UsageError, message_of
from gitmodel.pipelines.parameters.parameter_files import read_parameter_file

_PLAIN = {int: "3", float: "0.5", bool: "true"}
_LONGEST_SHOWN = 80


def as_annotated(function: Callable[..., Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded *parameters* of *function*, converted to their annotated types, such as `Path`.

    Does not convert a value that does not fit its annotation.
    """
    hints = _hints(function)
    found = {}
    for name, value in parameters.items():
        hint = hints.get(name, Any)
        found[name] = value
        with suppress(_Unfit):
            found[name] = _lenient(value, hint)
    return found


def from_texts(function: Callable[..., Any], texts: Mapping[str, str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Return the parameters of *function* from *texts* of the command line, converted to their annotated types.

    *read* converts a text to a value, such as 1.10 to a number. If the parameter is annotated `str`, or if the value
    does not fit the annotation, uses the text itself. Raises UsageError for an unknown parameter, and if neither the
    value nor the text fits the annotation.
    """
    hints = _known(function, texts, "")
    found = {}
    for name, text in texts.items():
        hint = hints.get(name, Any)
        try:
            found[name] = _fitting(text, hint) if hint is str else _fitting(read(text), hint)
        except _Unfit as unfit:
            try:
                found[name] = _fitting(text, hint)
            except _Unfit:
                raise _refusal(name, text, hint, unfit, "") from None
    return found


def from_file(function: Callable[..., Any], path: Path) -> dict[str, Any]:
    """Return the parameters in the TOML or YAML file *path*, converted to their types in *function*.

    Raises UsageError for an unknown parameter and for a value that does not fit its annotation, NotFound and Invalid as
    `read_parameter_file` does.
    """
    values = read_parameter_file(path)
    where = f" in {path}"
    hints = _known(function, values, where)
    found = {}
    for name, value in values.items():
        try:
            found[name] = _fitting(value, hints.get(name, Any))
        except _Unfit as unfit:
            raise _refusal(name, value, hints[name], unfit, where) from None
    return found


class _Unfit(Exception):
    """A value does not fit its annotation.

    *path* has the keys and indexes that lead from the value to the part that does not fit, *value* is this part, and
    *reason* says why it does not fit.
    """

    def __init__(self, path: tuple[Any, ...] = (), value: Any = None, reason: str = "") -> None:
        super().__init__()
        self.path = path
        self.value = value
        self.reason = reason


def _known(function: Callable[..., Any], names: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Return the annotations of *function*. Raises UsageError if one of *names* is not a parameter of it.

    *where* ends the message of the error: it names the file that has *names*, or is "" for the command line.
    """
    parameters = inspect.signature(function).parameters
    for name in names:
        if name not in parameters:
            there = f"its parameters are {', '.join(parameters)}" if parameters else "it has no parameters"
            raise UsageError(
                f"pipeline {function.__name__} has no parameter {name or repr(name)}{where}",
                hint=did_you_mean(name, parameters, there),
            )
    return _hints(function)


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # raised if an annotation uses a name that is not imported
        return {}


def _fitting(value: Any, hint: Any) -> Any:
    """Return *value*, converted to the type *hint* if pydantic knows this type. Raises _Unfit if it does not fit."""
    if hint is Any:
        return value
    choices = _choices(hint)
    if Secret in choices and value is not None:
        return Secret(value)
    for choice in choices:
        if isinstance(choice, EnumMeta) and isinstance(value, str) and value in choice.__members__:
            return choice[value]
    if _is_plain(hint) and type(value) is hint:
        return value
    from pydantic import ValidationError  # imported here: importing pydantic takes 100 ms

    adapter = _adapter(hint)
    if adapter is None:
        return value
    try:
        # Validated as JSON, because pydantic then accepts a list for a tuple, and a text for a date or a path, but no
        # text for a number.
        found = adapter.validate_json(json.dumps(value, default=_json_text), strict=True)
    except ValidationError as error:
        raise _unfit(error, value) from None
    except Exception as error:  # pydantic calls code of the user's class, which can raise errors of any type
        raise _Unfit(reason=f"it raised {type(error).__name__}: {message_of(error)}") from None
    _refuse_unlike(value, found, ())
    return found


def _lenient(value: Any, hint: Any) -> Any:
    """Return *value*, which a record has, converted to the type *hint*. Raises _Unfit if *value* does not fit."""
    if isinstance(hint, EnumMeta) and isinstance(value, str) and value in hint.__members__:
        return hint[value]
    if hint in (Any, str, *_PLAIN) or (adapter := _adapter(hint)) is None:
        return value
    try:
        return adapter.validate_python(value)
    except Exception:  # an error of pydantic, or of code of the class
        raise _Unfit from None


def _is_plain(hint: Any) -> bool:
    return any(hint is kind for kind in _PLAIN)  # not `in`, because an annotation may not be hashable


def _adapter(hint: Any) -> Any:
    """Return pydantic's adapter for the type *hint*; None if pydantic cannot make one."""
    try:
        hash(hint)
    except TypeError:  # raised if the metadata of the annotation is not hashable, such as a dict
        return _new_adapter(hint)
    return _kept_adapter(hint)


def _new_adapter(hint: Any) -> Any:
    from pydantic import TypeAdapter

    try:
        return TypeAdapter(hint)
    except Exception:  # an error of pydantic, or of code of the class
        return None


_kept_adapter = lru_cache(maxsize=256)(_new_adapter)


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the types in the union *hint*; only *hint* if it is no union."""
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _json_text(value: Any) -> str:
    if isinstance(value, (date, time)):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _unfit(error: Any, value: Any) -> _Unfit:
    """Return the first problem in *error*, pydantic's error about *value*, as an _Unfit."""
    found = error.errors(include_url=False)[0]
    path: list[Any] = []
    part = value
    for key in found["loc"]:  # pydantic also adds names of members of a union, which are no part of the value
        if (isinstance(part, dict) and key in part) or (isinstance(part, list) and isinstance(key, int)):
            part = part[key]
            path.append(key)
        elif found["type"] == "missing" and key == found["loc"][-1]:
            return _Unfit(tuple(path), part, f"{key} is missing")
    choices = {item["msg"].removeprefix("Input should be ") for item in error.errors(include_url=False)}
    reason = found["msg"] if len(choices) > 1 and path else f"expected {' or '.join(sorted(choices))}"
    return _Unfit(tuple(path), part, reason)


def _refuse_unlike(value: Any, converted: Any, path: tuple[Any, ...]) -> None:
    """Raise _Unfit if *converted* lacks keys of *value*, or is a text although *value*, at *path*, is a date."""
    if isinstance(value, (date, time)) and isinstance(converted, str):
        raise _Unfit(path, value, "expected a text: write it in quotes")
    if isinstance(value, dict):
        for key, item in value.items():
            for name, part in _parts(converted):
                if str(name) == str(key):
                    _refuse_unlike(item, part, (*path, key))
                    break
            else:
                names = ", ".join(str(name) for name, _ in _parts(converted))
                raise _Unfit((*path, key), item, f"unknown key; the keys are {names}")
    elif isinstance(value, list) and isinstance(converted, (list, tuple)):
        for index, (item, part) in enumerate(zip(value, converted, strict=False)):
            _refuse_unlike(item, part, (*path, index))


def _parts(converted: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the names and values of the fields of *converted*, a mapping, a dataclass or a model of pydantic."""
    if isinstance(converted, Mapping):
        yield from converted.items()
    elif dataclasses.is_dataclass(converted):
        yield from ((field.name, getattr(converted, field.name)) for field in dataclasses.fields(converted))
    else:
        fields = getattr(type(converted), "model_fields", {})
        for name, field in fields.items():
            yield from ((known, getattr(converted, name)) for known in {name, field.alias or name})
        yield from (getattr(converted, "model_extra", None) or {}).items()


def _refusal(name: str, value: Any, hint: Any, unfit: _Unfit, where: str) -> UsageError:
    """Return the error for the parameter *name*, whose *value* from *where* does not fit its type *hint*."""
    whole = name + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in unfit.path)
    part = unfit.value if unfit.path else value
    kept, hidden = without_credentials({str(unfit.path[-1] if unfit.path else name): part})
    shown = "(hidden)" if hidden or (not kept and part is not None) else ascii(part)
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
    kind = inspect.formatannotation(hint).replace("typing.", "")
    of = f"the annotation of {name}" if unfit.path else "its annotation"
    if _is_plain(hint):
        setting = f"{name}: " if where.endswith((".yaml", ".yml")) else f"{name} = "
        advice = f"for example: {setting if where else f'--param {name}='}{_PLAIN[hint]}"
    else:
        advice = unfit.reason
    return UsageError(f"parameter {whole}{where} is {shown}, and {of} is {kind}", hint=advice)
