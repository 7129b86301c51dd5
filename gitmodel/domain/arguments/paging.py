"""The arguments `limit` and `offset`, which choose a part of a list. Pure."""

from __future__ import annotations

import operator

from gitmodel.domain.schema.names import shown
from gitmodel.errors import UsageError

_MOST = 10**18  # larger than any list, and small enough that limit + offset fits in 64 bits


def read_page(limit: int | None, offset: int) -> slice:
    """Return the slice that skips *offset* items and has at most *limit* items (None: all others).

    Raises UsageError for a negative number and for a value that is not an integer.

    >>> read_page(50, 100), read_page(None, 0)
    (slice(100, 150, None), slice(0, None, None))
    >>> read_page(-1, 0)
    Traceback (most recent call last):
    gitmodel.errors.UsageError: limit is -1; expected a whole number, 0 or more, or None for no limit
    hint: for example limit=50
    """
    start = _read(offset, "offset", "")
    return slice(start, None if limit is None else start + _read(limit, "limit", ", or None for no limit"))


def _read(number: int, name: str, more: str) -> int:
    try:
        found = -1 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        found = -1
    if found < 0:
        raise UsageError(
            f"{name} is {shown(number)}; expected a whole number, 0 or more{more}", hint=f"for example {name}=50"
        )
    return min(found, _MOST)
