"""Rows of tables with versions, which have only the values that tables show. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from gitmodel.domain.changes.stages import StageState

# The most metadata values of a row that can become columns of a table.
MOST_KEYS = 16


class VersionSummary(NamedTuple):
    """The part of a `VersionRecord` that tables show.

    *metadata* has at most `MOST_KEYS` of the values that `flat_values` returns for the metadata.
    """

    number: int
    name: str | None
    created: datetime
    description: str
    tags: tuple[str, ...]
    failed: bool
    metadata: Mapping[str, Any]


class VersionRow(NamedTuple):
    """A version like `VersionView`, with a summary instead of the record."""

    model: str
    record: VersionSummary
    stage: str | None
    aliases: tuple[str, ...]
    pending: tuple[StageState, ...]
    local: bool
