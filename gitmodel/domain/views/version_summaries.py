"""Versions as rows of tables, with only the part of a record that a table shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from gitmodel.domain.changes.stages import StageState

# The limit of values of a row, such as a version, that may become columns of a table.
MOST_KEYS = 16


class VersionSummary(NamedTuple):
    """The part of a `VersionRecord` that a table shows. *metadata* has at most `MOST_KEYS` values, by `flat_values`."""

    number: int
    name: str | None
    created: datetime
    description: str
    tags: tuple[str, ...]
    failed: bool
    metadata: Mapping[str, Any]


class VersionRow(NamedTuple):
    """A `VersionView` with the summary of its record."""

    model: str
    record: VersionSummary
    stage: str | None
    aliases: tuple[str, ...]
    pending: tuple[StageState, ...]
    local: bool
