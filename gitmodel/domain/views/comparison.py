"""The differences between versions: fields, metadata and artifacts side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.frozen import Frozen


class Compared(Frozen):
    """A field, such as a key of metadata or an artifact, in several versions.

    *values* are in the order of the versions (None: not set). *unknown* are the positions of the versions whose value
    is not known.
    """

    name: str
    values: tuple[Any, ...]
    kind: str = ""
    unknown: frozenset[int] = frozenset()

    @property
    def old(self) -> Any:
        """The value in the first version."""
        return self.values[0]

    @property
    def new(self) -> Any:
        """The value in the last version."""
        return self.values[-1]

    @property
    def shown_change(self) -> str:
        """The value of `change` as text, rounded and with a sign; "" if it is None or 0."""
        return rounded(self.change, sign="+") if self.change else ""

    @property
    def known(self) -> list[Any]:
        """The values of the versions that are not in *unknown*."""
        return [value for place, value in enumerate(self.values) if place not in self.unknown]

    @property
    def same(self) -> bool:
        """True if all known values have the same type and are equal."""
        first, *others = self.known or [None]
        return all(same_value(first, other) for other in others)

    @property
    def change(self) -> float | None:
        """The difference between two numbers in the first and the last version, exact for whole numbers; else None."""
        old, new = self.old, self.new
        if not (_is_number(old) and _is_number(new)):
            return None
        if isinstance(old, int) and isinstance(new, int):
            return new - old
        return float(new) - float(old)


def rounded(value: float, *, sign: str = "") -> str:
    """Return *value* for people: whole numbers exactly, other numbers with four digits or rounded to a whole number.

    The *sign* "+" also marks positive numbers.

    >>> rounded(0.972222), rounded(1234567), rounded(12345.678), rounded(2e20), rounded(0.5, sign="+")
    ('0.9722', '1234567', '12346', '2e+20', '+0.5')
    """
    if isinstance(value, int):
        return f"{value:{sign}d}"
    return f"{value:{sign}.0f}" if 9999.5 <= abs(value) < 1e15 else f"{value:{sign}.4g}"


def same_value(one: Any, other: Any) -> bool:
    """Return True if two values have the same type and are equal. NaN equals NaN, even inside lists and tables.

    >>> same_value(1, 1.0), same_value([float("nan")], [float("nan")])
    (False, True)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
    return bool(one == other or (one != one and other != other))


def compare_fields(*tables: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Compare the values of tables: return an item for each key, sorted by key. A missing value is None."""
    names = sorted({name for table in tables for name in table})
    return tuple(Compared(name, tuple(table.get(name) for table in tables)) for name in names)


def compare_values(*tables: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Compare tables with `compare_fields`; the keys of inner tables have dots.

    >>> [(row.name, row.old, row.new, row.change) for row in compare_values({"a": 1, "t": {"b": 2}}, {"a": 3})]
    [('a', 1, 3, 2), ('t.b', 2, None, None)]
    """
    return compare_fields(*(dict(flat_values(table)) for table in tables))


def compare_artifacts(*versions: Iterable[ArtifactLink]) -> tuple[Compared, ...]:
    """Compare the artifacts of versions by name and digest; a missing artifact is None."""
    links = [{link.name: link for link in version} for version in versions]
    kinds = {link.name: link.kind for version in links for link in version.values()}
    rows = compare_fields(*({name: link.digest for name, link in version.items()} for version in links))
    return tuple(Compared(row.name, row.values, kinds[row.name]) for row in rows)


def flat_values(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each key and value of a table. A value in an inner table has a key with dots, such as `test.auc`."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat_values(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
