"""Raising the format of a registry with the first change that needs a newer one. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gitmodel.domain.schema import paths, records
from gitmodel.domain.snapshots.snapshot import Snapshot


def raised_format(snapshot: Snapshot, *written: Any) -> dict[str, bytes | None]:
    """Return gitmodel.toml in the format that the records *written* need, or {} if the current format suffices."""
    registry = snapshot.registry()
    needed = max(map(records.format_of, written), default=records.OLDEST_FORMAT)
    if records.format_version(registry.format) >= needed:
        return {}
    raised = replace(registry, format=f"{needed[0]}.{needed[1]}")
    return {paths.REGISTRY: records.encode_registry(raised)}
