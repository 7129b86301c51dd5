"""The differences between two versions: metadata, parameters and artifacts side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.frozen import Frozen


class Compared(Frozen):
    """A key of metadata, or an artifact, in the *old* and *new* version; *change* is the difference of numbers."""

    name: str
    old: Any
    new: Any
    change: float | None = None
    kind: str = ""

    @property
    def same(self) -> bool:
        """True if both versions have it with the same type and value."""
        return type(self.old) is type(self.new) and bool(self.old == self.new)


def compare_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Compared, ...]:
    """Compare the values of two tables, by sorted key; keys of inner tables have dots, a missing value is None.

    >>> [(row.name, row.old, row.new, row.change) for row in compare_values({"a": 1, "t": {"b": 2}}, {"a": 3})]
    [('a', 1, 3, 2.0), ('t.b', 2, None, None)]
    """
    before, after = dict(flat_values(old)), dict(flat_values(new))
    return tuple(_row(key, before.get(key), after.get(key)) for key in sorted({*before, *after}))


def compare_artifacts(old: Iterable[ArtifactLink], new: Iterable[ArtifactLink]) -> tuple[Compared, ...]:
    """Compare the artifacts of two versions by name and digest; a missing artifact is None."""
    before, after = {link.name: link for link in old}, {link.name: link for link in new}
    return tuple(
        Compared(
            name,
            before[name].digest if name in before else None,
            after[name].digest if name in after else None,
            kind=(after.get(name) or before[name]).kind,
        )
        for name in sorted({*before, *after})
    )


def _row(name: str, old: Any, new: Any) -> Compared:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (old, new))
    return Compared(name, old, new, float(new) - float(old) if numbers else None)


def flat_values(table: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a table by key; the keys of inner tables have dots."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat_values(value, f"{within}{key}.")
        else:
            yield f"{within}{key}", value
