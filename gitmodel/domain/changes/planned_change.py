"""A planned change of the registry, before it becomes a commit; its justification, and the format it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Generic, TypeVar

from gitmodel.domain.schema import codec, paths, record_values, records
from gitmodel.domain.schema.codec import Record
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_record import RegistryRecord
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.frozen import Frozen

T = TypeVar("T")


class Justification(Frozen):
    """The reason for a change, and whether the change overrides rules that refuse it.

    *force* overrides the rules of a stage, which requires a reason, and allows deleting objects in use.
    """

    reason: str = ""
    force: bool = False


# eq=False, because nothing compares changes, and generating comparison methods would take 1 ms in each command.
class Change(Frozen, Generic[T], eq=False):
    """A planned change: files to write (None: delete) in one commit with this message, and the *result* for the caller.

    Stage tags follow their files and are not listed, with two exceptions: the tags of the stages *apply* move although
    the file does not change, and the tags of the stages *drop* are deleted. *admitted* are `proposal_only` stages that
    the change may change directly. *may_empty* are later stages that may become empty because their version moves to an
    earlier stage. *numbers* are the (model, number) pairs that come into use. *settled* are references whose notes of a
    renumbering are dropped, because the user confirmed the references. *renumbered* maps versions that callers know
    under another number to their current number. *txn* is the transaction id by which a caller can find the commit; by
    default a new id.
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


def record_files(snapshot: Snapshot, path: str, record: Record) -> dict[str, bytes | None]:
    """Return the file *path* with *record*, and gitmodel.toml if the record needs a newer format than it names."""
    return {path: codec.encode(record), **registry_file(snapshot, snapshot.registry(), record)}


def registry_file(snapshot: Snapshot, registry: RegistryRecord, written: Record) -> dict[str, bytes | None]:
    """Return gitmodel.toml with *registry*, in at least the format that *written* needs; {} if it does not change.

    Comments and layout of the current file are kept. Raises Invalid if the file has faults.
    """
    needed = records.format_of(written)
    if record_values.format_version(registry.format) < needed:
        registry = replace(registry, format=f"{needed[0]}.{needed[1]}")
    if registry == snapshot.registry():
        return {}
    from gitmodel.domain.schema.registry_file import encode_registry  # imported here: few changes write this file

    return {paths.REGISTRY: encode_registry(registry, snapshot.files.read(paths.REGISTRY))}
