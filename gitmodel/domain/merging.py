"""Merging a record of three: what it was, what each of two sides made of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from gitmodel.domain.records import ArtifactLink, format_version

_ABSENT = object()


def merged(base: Any, ours: Any, theirs: Any) -> tuple[Any, list[str]]:
    """One record of three, key by key, and the keys that both sides changed differently (theirs stand)."""
    values, conflicts = {}, []
    for entry in fields(theirs):
        name = entry.name
        value, wrong = _merged_value(
            name, getattr(base, name) if base is not None else _ABSENT, getattr(ours, name), getattr(theirs, name)
        )
        values[name] = value
        conflicts += wrong
    return replace(theirs, **values), conflicts


def _merged_value(name: str, base: Any, ours: Any, theirs: Any) -> tuple[Any, list[str]]:
    if ours in (base, theirs):
        return theirs, []
    if theirs == base:
        return ours, []
    if name == "format":
        return max(ours, theirs, key=format_version), []
    if isinstance(theirs, Mapping):
        return _merged_mapping(name, base if base is not _ABSENT else {}, ours, theirs)
    if name in ("tags", "owners", "forced"):
        gone = set(() if base is _ABSENT else base) - set(ours)
        return tuple(sorted((set(theirs) | set(ours)) - gone)), []
    if name == "runs":
        return (*theirs, *(run for run in ours if run not in theirs)), []
    if name == "artifacts":
        return _merged_links(() if base is _ABSENT else base, ours, theirs)
    return theirs, [name]


def _merged_mapping(name: str, base: Any, ours: Any, theirs: Any) -> tuple[dict[str, Any], list[str]]:
    values, conflicts = {}, []
    for key in sorted({*ours, *theirs}):
        value, wrong = _merged_value(
            f"{name}.{key}", base.get(key, _ABSENT), ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
        )
        conflicts += wrong
        if value is not _ABSENT:
            values[key] = value
    return values, conflicts


def _merged_links(base: Any, ours: Any, theirs: Any) -> tuple[tuple[ArtifactLink, ...], list[str]]:
    by_name = [{link.name: link for link in side} for side in (base, ours, theirs)]
    kept, conflicts = [], []
    for name in sorted({*by_name[1], *by_name[2]}):
        old, mine, other = (side.get(name) for side in by_name)
        if mine is not None and other is not None and replace(mine, metadata={}) == replace(other, metadata={}):
            values, wrong = _merged_mapping(
                f"artifacts.{name}.metadata", old.metadata if old else {}, mine.metadata, other.metadata
            )
            kept.append(replace(other, metadata=values))
            conflicts += wrong
        elif mine == old or (mine is not None and other is not None):
            kept += [other] if other is not None else []
            conflicts += [f"artifacts.{name}"] if mine != old else []
        elif other == old:
            kept += [mine] if mine is not None else []
        else:
            kept.append(mine if mine is not None else other)
    return tuple(link for link in kept if link is not None), conflicts
