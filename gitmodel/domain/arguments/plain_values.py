"""Converting metadata and parameters for records: values of Python and of libraries become text, numbers and tables.

Pure. No library is imported to recognize its values.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import os
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from types import SimpleNamespace
from typing import Any

from gitmodel.domain.schema import codec, toml_values
from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError

_PLAIN = (str, bool, int, float)
_MOST_ITEMS = codec.MAX_BYTES // 2  # an array of more items cannot fit a record


def read_values(values: Mapping[Any, Any], what: str = "the metadata") -> dict[str, Any]:
    """Return *values* as a record holds them.

    Paths become text. An enumeration becomes its value if that is text, else its name. Dataclasses, pydantic models and
    namespaces become tables; sets and arrays become lists; scalars of NumPy and similar libraries become numbers. Keys
    that are numbers or dates become text. A key whose value is None is left out.

    Raises UsageError if a record cannot hold a value; the message names *what* and the path of the value.

    >>> import pathlib
    >>> read_values({"weights": {0: 1.0, 1: 5.0}, "data": pathlib.PurePosixPath("a/b"), "depth": None})
    {'data': 'a/b', 'weights': {'0': 1.0, '1': 5.0}}
    >>> read_values({"layers": [{"units": 64}, {"units": object()}]})
    Traceback (most recent call last):
    gitmodel.errors.UsageError: the metadata cannot be recorded: layers[1].units is an object
    hint: give text, numbers, booleans, times, lists and tables
    """
    try:
        return toml_values.metadata(_plain(values, 1))
    except toml_values.Wrong as wrong:
        path = wrong.path.removeprefix(".")
        raise UsageError(
            f"{what} cannot be recorded: {path or 'it'} {wrong}",
            hint="give text, numbers, booleans, times, lists and tables",
        ) from None


def _plain(value: Any, depth: int) -> Any:
    """Return *value* converted to plain types.

    Values of unknown types, and values too deep for a record, are unchanged: the check of the record refuses them.
    Raises toml_values.Wrong if two keys of a table become the same text, or for an array that a record cannot hold.
    """
    if isinstance(value, _PLAIN) or value is None or depth > toml_values.MAX_NESTING + 1:
        return value
    if isinstance(value, enum.Enum):
        return value.value if isinstance(value.value, str) else value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(type(value), "to_pydatetime"):
        return value.to_pydatetime(warn=False) if value == value else None
    table = _as_table(value)
    if table is not None:
        return _plain_table(table, depth)
    if hasattr(type(value), "dtype") and hasattr(type(value), "tolist"):
        return _plain(_array_items(value), depth)
    if isinstance(value, AbstractSet):
        items = [_plain(item, depth + 1) for item in value]
        return sorted(items, key=lambda item: (type(item).__name__, item if isinstance(item, _PLAIN) else repr(item)))
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_below(f"[{index}]", item, depth) for index, item in enumerate(value)]
    return value


def _below(step: str, value: Any, depth: int) -> Any:
    try:
        return _plain(value, depth + 1)
    except toml_values.Wrong as wrong:
        raise wrong.below(step) from None


def is_configuration(value: Any) -> bool:
    """Return True if *value* is a namespace, or an instance of a dataclass or of a class of pydantic or attrs."""
    kind = type(value)
    marks = ("__dataclass_fields__", "model_fields", "__attrs_attrs__")
    argparse = sys.modules.get("argparse")  # if the module is not imported, no value can be of its class
    namespaces = (SimpleNamespace, argparse.Namespace) if argparse else SimpleNamespace
    return isinstance(value, namespaces) or any(hasattr(kind, mark) for mark in marks)


def _as_table(value: Any) -> Mapping[Any, Any] | None:
    """Return the fields of *value* by name if it is a table or a configuration object; else None."""
    if isinstance(value, Mapping):
        return value
    if not is_configuration(value):
        return None
    kind = type(value)
    if hasattr(kind, "model_fields"):
        return dict(value)
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(kind) else getattr(kind, "__attrs_attrs__", None)
    return vars(value) if fields is None else {field.name: getattr(value, field.name) for field in fields}


def _plain_table(table: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, item in table.items():
        name = _key(key)
        if name in found:
            raise toml_values.Wrong(f"has the key {toml_values.shown(str(name))} twice, as text and as another value")
        found[name] = _below(f".{toml_values.shown(str(name))}", item, depth)
    return {name: item for name, item in found.items() if item is not None}


def _key(key: Any) -> Any:
    if hasattr(type(key), "dtype") and hasattr(type(key), "item"):
        key = key.item()
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, enum.Enum) and not isinstance(key, str):
        return key.value if isinstance(key.value, str) else key.name
    if isinstance(key, (int, float)):
        return str(key)
    return key.isoformat() if isinstance(key, date) else key


def _array_items(value: Any) -> Any:
    """Return *value*, an array or a scalar of a library like NumPy, as lists and values of Python."""
    count = math.prod(getattr(value, "shape", ()))
    if count > _MOST_ITEMS:
        raise toml_values.Wrong(
            f"holds an array of {count} items, more than a record can have; store it as an artifact"
        )
    if getattr(value.dtype, "kind", "") == "M":
        value = value.astype("datetime64[us]")  # because `tolist` returns integers for finer units
    items = value.tolist()
    if type(items) is type(value):
        raise toml_values.Wrong(f"holds {with_article(type(value).__name__)}, which is not a number of 64 bits")
    return items
