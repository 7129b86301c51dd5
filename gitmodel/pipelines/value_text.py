"""The text of plain values and configuration objects, which is equal in all processes."""

from __future__ import annotations

import enum
import hashlib
import types
from argparse import Namespace
from dataclasses import is_dataclass
from typing import Any

_PLAIN = (str, bytes, int, float, complex, bool, type(None))
_DEEPEST = 20
_LONGEST_DECIMAL = 2_000  # bits
_LONGEST_TEXT = 1_000  # characters or bytes


def spell_value(value: Any, depth: int = 0) -> str | None:
    """Return the text of *value*; None if it is neither a plain value nor a configuration of plain values.

    Configuration is a namespace, a dataclass, a pydantic model or an enumeration. A long text stands by its hash.

    >>> spell_value({"lr": 0.1, "layers": [64, 32]})
    "dict{'lr': 0.1, 'layers': list[64, 32]}"
    >>> spell_value(object()) is None
    True
    """
    if depth > _DEEPEST:
        return None
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, int) and value.bit_length() > _LONGEST_DECIMAL:
        return hex(value)  # Python does not print such long numbers in decimal
    if isinstance(value, (str, bytes)) and len(value) > _LONGEST_TEXT:
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return f"{type(value).__name__} {hashlib.sha256(data).hexdigest()}"
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [spell_value(item, depth + 1) for item in value]
        if None in items:
            return None
        # the order of a set differs between processes
        ordered = sorted(map(str, items)) if isinstance(value, (set, frozenset)) else map(str, items)
        return f"{type(value).__name__}[{', '.join(ordered)}]"
    if isinstance(value, dict):
        return _spell_pairs("dict", value, depth)
    if isinstance(value, (Namespace, types.SimpleNamespace)) or _is_record(value):
        return _spell_pairs(type(value).__qualname__, vars(value), depth) if hasattr(value, "__dict__") else None
    return None


def _is_record(value: Any) -> bool:
    kind = type(value)
    return is_dataclass(kind) or hasattr(kind, "model_fields")


def _spell_pairs(name: str, pairs: dict[Any, Any], depth: int) -> str | None:
    shown = [(spell_value(key, depth + 1), spell_value(item, depth + 1)) for key, item in pairs.items()]
    if any(None in pair for pair in shown):
        return None
    return f"{name}{{{', '.join(f'{key}: {item}' for key, item in shown)}}}"
