"""Single numbers of NumPy and the like as those of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmodel.domain.schema.codec import MAX_NESTING


def scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with NumPy's and the like's single numbers as Python's, as deep as a record can be nested."""
    return {key: _scalar(value, 1) for key, value in values.items()}


def _scalar(value: Any, depth: int) -> Any:
    if depth <= MAX_NESTING and isinstance(value, Mapping):
        return {key: _scalar(item, depth + 1) for key, item in value.items()}
    if depth <= MAX_NESTING and isinstance(value, (list, tuple)):
        return [_scalar(item, depth + 1) for item in value]
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
