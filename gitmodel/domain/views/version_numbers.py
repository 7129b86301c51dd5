"""The numbers in the metadata of versions, by key: for charts and for columns of tables. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gitmodel.domain.views.comparison import flat_values
from gitmodel.domain.views.record_views import VersionView

Numbers = dict[str, dict[int, float]]


def numbers_by_key(views: Iterable[VersionView], first: Sequence[str] = ()) -> Numbers:
    """Return the numbers of *views* by key, and each by the number of its version.

    The keys in *first* are first, then the most frequent ones. Values that are no finite numbers are left out.
    """
    found: Numbers = {}
    for view in views:
        for key, value in flat_values(view.record.metadata):
            if finite_number(value) is not None:
                found.setdefault(key, {})[view.record.number] = value
    wanted = {key: place for place, key in enumerate(first)}
    order = sorted(found, key=lambda key: (wanted.get(key, len(wanted)), -len(found[key]), key))
    return {key: found[key] for key in order}


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
