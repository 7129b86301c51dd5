"""A planned change of the registry, before it becomes a commit; its justification, and the format it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.snapshots.snapshot import Snapshot

T = TypeVar("T")


class Justification(NamedTuple):
    """The reason for a change, and whether the change overrides rules that refuse it.

    *force* overrides the rules of a stage, which needs a reason, and allows a deletion of something in use.
    """

    reason: str = ""
    force: bool = False


# Without comparison methods, which would take each command 1 ms and are not used.
@dataclass(frozen=True, eq=False, repr=False)
class Change(Generic[T]):
    """A planned change: files to write (None: delete) in one commit with this message, and the *result* for the caller.

    Stage tags follow their files and are not listed, with two exceptions: *apply* are stages whose tag moves to the
    unchanged file, *drop* are stages whose tag is deleted. *admitted* are `proposal_only` stages that the change may
    change directly. *may_empty* are later stages that may become empty because their version moves to an earlier stage.
    *numbers* are the (model, number) pairs that come into use. *settled* are references whose notes of a renumbering
    are dropped, because the user confirmed them; *renumbered* maps versions that were returned under another number to
    their current one. *txn* is the transaction id of the commit, by which a caller can find it; by default a new one.
    """

    result: T
    subject: str = ""
    reason: str = ""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    trailers: tuple[tuple[str, str], ...] = ()
    apply: tuple[StageRef, ...] = ()
    drop: tuple[StageRef, ...] = ()
    admitted: frozenset[StageRef] = frozenset()
    may_empty: frozenset[StageRef] = frozenset()
    numbers: tuple[tuple[str, int], ...] = ()
    settled: frozenset[Numbered] = frozenset()
    renumbered: Mapping[Numbered, Numbered] = field(default_factory=dict)
    txn: str = ""


def raised_format(snapshot: Snapshot, *written: Any) -> dict[str, bytes | None]:
    """Return gitmodel.toml in the format that the records *written* need, or {} if the current format suffices."""
    registry = snapshot.registry()
    needed = max(map(records.format_of, written), default=records.OLDEST_FORMAT)
    if records.format_version(registry.format) >= needed:
        return {}
    raised = replace(registry, format=f"{needed[0]}.{needed[1]}")
    return {paths.REGISTRY: records.encode_registry(raised)}
