"""The fields of a record by dotted name, such as `metadata.accuracy`, and comparing two contents of a record. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gitmodel.domain.schema import codec
from gitmodel.errors import Invalid


def fields_of(data: bytes | None, path: str) -> dict[str, Any]:
    """Return every field of the record in *data*, such as `metadata.accuracy`; {} if the record is damaged.

    >>> fields_of(b"number = 3\\n\\n[metadata]\\naccuracy = 0.9\\n", "x.toml")
    {'number': 3, 'metadata.accuracy': 0.9}
    """
    try:
        return {} if data is None else _flat("", codec.parse_table(data, path))
    except Invalid:
        return {}


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields that were set, changed or removed, in the order of the record.

    >>> changed_fields({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    ('b', 'c')
    """
    # Compares type and text, because NaN should equal NaN, and 1 should differ from true.
    old, new = ({name: (type(value), repr(value)) for name, value in side.items()} for side in (before, after))
    return tuple(name for name in {**after, **before} if old.get(name) != new.get(name))


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Return the fields in *value* by dotted name. *prefix*, "" or a text that ends in a dot, begins these names."""
    items: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping) and value:
        items = value.items()
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        items = ((f"{row['name']}.{key}", inner) for row in value for key, inner in row.items() if key != "name")
    else:
        return {prefix[:-1]: value}
    return {name: found for key, item in items for name, found in _flat(f"{prefix}{key}.", item).items()}
