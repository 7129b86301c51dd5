"""Merging a record that both sides changed, and finding the local changes that the merge lost. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, replace
from typing import Any

from gitmodel.domain.schema.codec import Record
from gitmodel.domain.schema.record_values import format_version
from gitmodel.domain.schema.records import ArtifactLink

_ABSENT = object()
# Keys with sets of words. A merge keeps the words that either side added.
_SETS = ("tags", "owners", "forced")
# Keys with lists of artifact links. A merge matches links by name.
_LINKS = ("artifacts", "attachments")
# Keys with lists of stages or gates. A merge matches the stages or gates by name, and merges each of them key by key.
_RULES = ("stages", "gates")


def merged(base: Any, ours: Any, theirs: Any) -> Any:
    """Merge the local record *ours* and the remote's record *theirs* key by key.

    If both sides changed a key, the value in *theirs* is kept; see `lost_keys`. *base* is the record before the changes
    of both sides; None if both sides created the record.
    """
    values = {
        entry.name: _merged_value(
            entry.name, _before(base, entry), getattr(ours, entry.name), getattr(theirs, entry.name)
        )
        for entry in fields(theirs)
    }
    return replace(theirs, **values)


def lost_keys(base: Any, ours: Any, now: Any) -> Iterator[str]:
    """Yield the keys whose local change, from *base* (None: no record) to *ours*, is not in the merged record *now*."""
    for entry in fields(ours):
        yield from _lost(entry.name, _before(base, entry), getattr(ours, entry.name), getattr(now, entry.name))


def _before(base: Any, entry: Field[Any]) -> Any:
    """Return the value of a field in *base*; the default of the field if *base* is None, because the record is new."""
    if base is not None:
        return getattr(base, entry.name)
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return _ABSENT if entry.default is MISSING else entry.default


def _merged_value(name: str, base: Any, ours: Any, theirs: Any) -> Any:
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    if name == "format":
        return max(ours, theirs, key=format_version)
    if isinstance(theirs, Mapping):
        keys = sorted({*ours, *theirs})
        old = base if isinstance(base, Mapping) else {}  # no mapping if the key is new
        found = {key: _merged_value("", *(side.get(key, _ABSENT) for side in (old, ours, theirs))) for key in keys}
        return {key: value for key, value in found.items() if value is not _ABSENT}
    if name in _SETS:
        return tuple(sorted((set(theirs) | set(ours)) - (set(base) - set(ours))))
    if name == "runs":
        return (*theirs, *(run for run in ours if run not in theirs))
    if name in _LINKS:
        return _merged_links(base, ours, theirs)
    if name in _RULES:
        return _merged_rules(base, ours, theirs)
    return theirs


def _merged_rules(base: Any, ours: Any, theirs: Any) -> tuple[Record, ...]:
    """Merge the stages of the registry or the gates of a stage, in the order of *theirs*.

    A stage or gate that one side removed and the other changed is kept. One that only *ours* added is inserted after
    the stage or gate that precedes it in *ours*.
    """
    old, mine, other = _by_name(base), _by_name(ours), _by_name(theirs)
    kept: dict[str, Record] = {}
    for name, rule in other.items():
        if name in mine:
            kept[name] = merged(old.get(name), mine[name], rule)
        elif old.get(name) != rule:
            kept[name] = rule
    before = ""
    for name, rule in mine.items():
        if name not in other and old.get(name) != rule:
            found = list(kept.items())
            at = list(kept).index(before) + 1 if before in kept else 0
            kept = dict([*found[:at], (name, rule), *found[at:]])
        before = name
    return tuple(kept.values())


def _by_name(rules: Any) -> dict[str, Any]:
    return {} if rules is _ABSENT else {rule.name: rule for rule in rules}


def _merged_links(base: Any, ours: Any, theirs: Any) -> tuple[ArtifactLink, ...]:
    by_name = [{link.name: link for link in side} for side in (base, ours, theirs)]
    kept = []
    for name in sorted({*by_name[1], *by_name[2]}):
        old, mine, other = (side.get(name) for side in by_name)
        if mine is not None and other is not None and _same_except_metadata(mine, other):
            before = old.metadata if old else {}
            kept.append(replace(other, metadata=_merged_value("", before, mine.metadata, other.metadata)))
        elif mine == old or (mine is not None and other is not None):
            kept += [other] if other is not None else []
        elif other == old:
            kept += [mine] if mine is not None else []
        else:
            kept.append(mine if mine is not None else other)
    return tuple(link for link in kept if link is not None)


def _lost(name: str, base: Any, ours: Any, now: Any) -> Iterator[str]:
    if ours in (base, now) or (name == "format" and format_version(now) >= format_version(ours)):
        return
    if isinstance(ours, Mapping) and isinstance(now, Mapping):
        old = base if isinstance(base, Mapping) else {}
        for key in sorted({*old, *ours}):
            sides = (side.get(key, _ABSENT) for side in (old, ours, now))
            yield from _lost(f"{name}.{key}", *sides)
    elif name in _SETS or name == "runs":
        if set(ours) - set(base) - set(now) or (set(base) - set(ours)) & set(now):
            yield name
    elif name in _LINKS:
        by_name = [{link.name: link for link in side} for side in (base, ours, now)]
        for key in sorted({*by_name[0], *by_name[1]}):
            yield from _lost_link(name, *(side.get(key) for side in by_name))
    elif name in _RULES:
        old, mine, there = map(_by_name, (base, ours, now))
        for key in [*old, *(key for key in mine if key not in old)]:
            yield from _lost_rule(f"{name}.{key}", *(side.get(key) for side in (old, mine, there)))
    else:
        yield name


def _lost_link(
    table: str, old: ArtifactLink | None, mine: ArtifactLink | None, now: ArtifactLink | None
) -> Iterator[str]:
    if mine in (old, now):
        return
    if mine is not None and now is not None and _same_except_metadata(mine, now):
        yield from _lost(f"{table}.{mine.name}.metadata", old.metadata if old else {}, mine.metadata, now.metadata)
        return
    link = mine or old
    assert link is not None
    yield f"{table}.{link.name}"


def _lost_rule(key: str, old: Record | None, mine: Record | None, now: Record | None) -> Iterator[str]:
    if mine in (old, now):
        return
    if mine is None or now is None:
        yield key
    else:
        yield from (f"{key}.{lost}" for lost in lost_keys(old, mine, now))


def _same_except_metadata(one: ArtifactLink, other: ArtifactLink) -> bool:
    return replace(one, metadata={}) == replace(other, metadata={})
