"""Versions side by side, as a table."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gitmodel.client.tables.table import Table
from gitmodel.domain.views.comparison import Compared
from gitmodel.lineage.comparing import CodeRange, ComparedVersion, Comparison


class VersionDiff(Table[Compared]):
    """The fields of several versions side by side. The fields that differ come first.

    *versions* are the compared versions, and *code* has the code commits between each version and the next. *gaps* are
    pairs of two texts: what could not be compared and why, and advice.
    """

    noun = "field"
    versions: tuple[ComparedVersion, ...]
    code: tuple[CodeRange, ...]
    gaps: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, found: Comparison) -> VersionDiff:
        """Return the comparison *found* as a table."""
        made = cls(found.fields)
        made.versions, made.code, made.gaps = found.versions, found.code, found.gaps
        return made

    @property
    def differing(self) -> list[Compared]:
        """The fields that are not the same in all versions."""
        return [row for row in self if not row.same]

    @property
    def heads(self) -> tuple[str, ...]:
        """A heading for each version: its reference, such as `iris@3`.

        If several references name the same version, the references that the caller gave.
        """
        names = Counter(version.reference for version in self.versions)
        return tuple(version.reference if names[version.reference] == 1 else version.asked for version in self.versions)

    def rows(self) -> list[dict[str, Any]]:
        """Return a dictionary for each field: key, same, change, and the value in each version under its heading."""
        heads = self.heads
        return [
            {"key": row.name, "same": row.same, "change": row.change, **dict(zip(heads, row.values, strict=True))}
            for row in self
        ]
