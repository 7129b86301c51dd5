"""The numbers in the metadata of versions, by key: for charts and for columns of tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gitmodel.domain.views.comparison import flat_values

Numbers = dict[str, dict[int, float]]


def numbers_by_key(versions: Iterable[tuple[int, Mapping[str, float]]], first: Sequence[str] = ()) -> Numbers:
    """Return, by key of the metadata, the numbers of all versions, by the number of the version.

    *versions* are pairs of the number of a version and the result of `finite_numbers` for its metadata. The keys in
    *first* come first, then the others, the most frequent ones first.

    >>> numbers_by_key([(2, {"auc": 0.5}), (1, {"auc": 1, "loss": 2})])
    {'auc': {2: 0.5, 1: 1}, 'loss': {1: 2}}
    """
    found: Numbers = {}
    for version, numbers in versions:
        for key, value in numbers.items():
            found.setdefault(key, {})[version] = value
    wanted = {key: place for place, key in enumerate(first)}
    order = sorted(found, key=lambda key: (wanted.get(key, len(wanted)), -len(found[key]), key))
    return {key: found[key] for key in order}


def finite_numbers(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers in *metadata* by key; the keys of inner tables have dots."""
    return {key: value for key, value in flat_values(metadata) if finite_number(value) is not None}


def finite_number(value: object) -> float | None:
    """Return *value* if it is a finite number. Text, booleans, NaN, infinity and too large integers give None.

    >>> [finite_number(value) for value in (1, 0.5, True, "1", float("nan"), 10**400)]
    [1.0, 0.5, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
