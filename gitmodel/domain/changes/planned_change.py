"""A change of the registry that is planned and not yet a commit, and the justification for a change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Generic, TypeVar

from gitmodel.domain.schema import codec, paths, record_values, records
from gitmodel.domain.schema.codec import Record
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_rules.registry_file import encode_registry
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.frozen import Frozen

T = TypeVar("T")


class Justification(Frozen):
    """The *reason* for a change, and whether the change overrides rules that refuse it: *force*.

    By force, a version enters a stage although it fails the rules; this requires a reason. By force, a model or version
    can also be deleted although a stage or alias names it.
    """

    reason: str = ""
    force: bool = False


# eq=False, because nothing compares changes, and generating comparison methods would take 1 ms in each command.
class Change(Frozen, Generic[T], eq=False):
    """A planned commit on the metadata branch: its files and message, and effects on refs.

    - *result*: returned to the caller after the commit.
    - *subject*, *reason*, *trailers*: the message of the commit.
    - *files*: the new content of each changed path (None: delete the file). If the file of a stage or alias changes,
      the transaction also moves its tag.
    - *apply*: stages and aliases whose tags move although their files do not change.
    - *drop*: stages whose tags are deleted.
    - *admitted*: `proposal_only` stages that this change may change without a proposal.
    - *may_empty*: stages that may become empty because their version moves to an earlier stage.
    - *numbers*: (model, number) of each new version, for reserving the number.
    - *settled*: old references of versions that a pull renumbered. The clone accepts writes with them again, because
      the user confirmed their new meaning.
    - *renumbered*: maps old references, which callers were given before the commit, to the new references of the same
      versions. The clone refuses writes with an old reference until the user confirms its new meaning.
    - *txn*: the transaction id, by which the caller can find the commit later. By default a new id.
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
    """Return the changes of files that write *record* to *path*, with a newer format in gitmodel.toml if needed."""
    return {path: codec.encode(record), **registry_file(snapshot, snapshot.registry(), record)}


def registry_file(snapshot: Snapshot, registry: RegistryRecord, written: Record) -> dict[str, bytes | None]:
    """Return the new content of gitmodel.toml, by its path, for the record *registry*; {} if the file does not change.

    The file gets a newer format if *written*, another record in the same change, needs it. Its comments and layout
    stay. Raises Invalid if the current file has faults.
    """
    needed = records.format_of(written)
    if record_values.format_version(registry.format) < needed:
        registry = replace(registry, format=f"{needed[0]}.{needed[1]}")
    if registry == snapshot.registry():
        return {}
    return {paths.REGISTRY: encode_registry(registry, snapshot.files.read(paths.REGISTRY))}
