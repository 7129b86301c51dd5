"""Comparing two objects of libraries by their classes and their state, without copying their arrays."""

from __future__ import annotations

from typing import Any

_CONSTANTS = (int, str, bool, bytes, type(None))
_CHUNK = 1 << 13  # the size of the parts in which arrays are compared: they fit into the processor's cache


def is_same(one: Any, other: Any) -> bool:
    """Return True only if both objects certainly have the same classes and states, and share parts in the same way.

    >>> is_same({"a": [1, 0.5]}, {"a": [1, 0.5]}), is_same([1], [True]), is_same(0.0, -0.0)
    (True, False, False)
    """
    try:
        return _Comparison().is_same(one, other)
    except Exception:  # getting the state of an object can run code of its class, which may raise any error
        return False


class _Comparison:
    """Walks through two objects at the same time, and remembers which inner objects of the two correspond, by id."""

    def __init__(self) -> None:
        self._partners: tuple[dict[int, Any], dict[int, Any]] = {}, {}

    def is_same(self, one: Any, other: Any) -> bool:
        kind = type(one)
        if kind is not type(other):
            return False
        if kind in _CONSTANTS or isinstance(one, type) or kind.__name__ in ("function", "builtin_function_or_method"):
            return one is other or (kind in _CONSTANTS and bool(one == other))
        if kind in (float, complex):
            return repr(one) == repr(other)
        known, back = self._partners
        # both tables also have the objects, which so stay alive: Python gives the id of a deleted object to another one
        if id(one) in known or id(other) in back:
            return id(one) in known and id(other) in back and known[id(one)][1] is other and back[id(other)][1] is one
        known[id(one)], back[id(other)] = (one, other), (other, one)
        if kind in (list, tuple):
            return len(one) == len(other) and all(map(self.is_same, one, other))
        if kind is dict:
            return self.is_same(list(one), list(other)) and all(map(self.is_same, one.values(), other.values()))
        if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            return self._is_same_array(one, other)
        return self.is_same(_state(one), _state(other))

    def _is_same_array(self, one: Any, other: Any) -> bool:
        if (one.dtype, one.shape, _is_fortran(one)) != (other.dtype, other.shape, _is_fortran(other)):
            return False
        if one.dtype == object:
            return self.is_same(one.ravel().tolist(), other.ravel().tolist())
        return not one.dtype.hasobject and _has_same_bits(one, other)


def _state(value: Any) -> Any:
    """Return the part of the state of *value*, an object of a library, that its file contains."""
    kind: Any = type(value)
    if kind.__module__ == "numpy.random.mtrand":
        return value.get_state(legacy=False)  # the state without the seed, because a file never contains the seed
    if (kind.__reduce__, kind.__reduce_ex__) != (object.__reduce__, object.__reduce_ex__):
        return value.__reduce__()
    return value.__getstate__() if hasattr(value, "__getstate__") else vars(value)


def _is_fortran(array: Any) -> bool:
    return bool(array.flags.f_contiguous and not array.flags.c_contiguous)


def _has_same_bits(one: Any, other: Any) -> bool:
    """Return True if two arrays have equal bytes, without the padding between fields. Both have no Python objects."""
    if one.dtype.names:
        parts = range(0, len(one) if one.ndim else 0, _CHUNK)
        return one.ndim == 1 and all(
            _has_same_bits(one[start : start + _CHUNK][name], other[start : start + _CHUNK][name])
            for start in parts
            for name in one.dtype.names
        )
    if one.dtype.itemsize in (1, 2, 4, 8):
        bits = f"u{one.dtype.itemsize}"
        return bool((one.view(bits) == other.view(bits)).all())
    return bool(one.tobytes() == other.tobytes())
