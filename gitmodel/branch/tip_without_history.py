"""Snapshots of only the tip in a registry by URL, without history and stage tags, for changes of other files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.snapshots.snapshot import Snapshot

# To change files of these kinds, gitmodel needs neither the stage tags nor earlier commits.
_KINDS = frozenset({"model", "version", "name", "run"})


class WholeBranchNeeded(Exception):
    """A read or a change needs the history of the branch or its stage tags, but only the tip was fetched."""


def _needed(*_: object) -> NoReturn:
    raise WholeBranchNeeded


class UnfetchedTags:
    """The `domain.snapshots.snapshot_sources.Tags` of a snapshot without tags: every read raises WholeBranchNeeded."""

    all_known = False
    get = of = models = _needed


def without_rest(tip: Snapshot) -> Snapshot:
    """Return a copy of the snapshot *tip* that raises WholeBranchNeeded if a caller reads more than its files.

    Raises WholeBranchNeeded if there is no registry yet.
    """
    if tip.commit is None:
        raise WholeBranchNeeded
    return replace(tip, tags=UnfetchedTags(), refusal=_needed, missing_tags=_needed, other_rules=_needed)


def require_only_files(change: Change[Any]) -> None:
    """Raise WholeBranchNeeded if *change* needs stage tags or history, and not only the files of the tip."""
    found = map(paths.parse_path, change.files)
    if change.apply or change.drop or not all(what is not None and what.kind in _KINDS for what in found):
        raise WholeBranchNeeded
