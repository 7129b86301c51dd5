"""Finding the version that a reference stands for, and the current name of a model."""

from __future__ import annotations

from gitmodel.domain.schema.recorded_renumberings import Numbered, Renumbered
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.frozen import Frozen
from gitmodel.registry.writing.writer import Writer


class Found(Frozen):
    """The version that a reference stands for, and its record.

    *frozen* is the stage tag at whose commit the record was read; "": it was read on the branch. *since* is the number
    of pulls that had renumbered versions when the record was read. If a pull gave the number in the reference to
    another version, *note* describes this. *settles* are the renumberings about which gitmodel stops warning when the
    version is changed.
    """

    model: str
    record: VersionRecord
    frozen: str = ""
    since: int = 0
    note: Renumbered | None = None
    settles: frozenset[Numbered] = frozenset()

    @property
    def reference(self) -> str:
        """The version's reference on the command line, such as `iris@3`."""
        return f"{self.model}@{self.record.number}"

    @property
    def ref(self) -> VersionRef:
        """A reference that names this version even after a pull renumbers it."""
        return VersionRef(self.model, str(self.record.number), since=self.since, settles=self.settles)


def find(writer: Writer, ref: VersionRef) -> Found:
    """Return the version that *ref* names, with as few reads as possible.

    Raises NotFound if there is no such version, Invalid if its record is damaged or its stage tag is forged.
    """

    def question(snapshot: Snapshot) -> Found:
        model, number = snapshot.resolve(ref)
        frozen = snapshot.frozen.name if snapshot.frozen is not None else ""
        note = snapshot.note_on(ref) if ref.since is None else None
        return Found(model, snapshot.version(model, number), frozen, snapshot.renumberings.count, note)

    return writer.read(question, about=ref)


def find_to_change(writer: Writer, ref: VersionRef) -> Found:
    """Return the version that *ref* names, for a caller that changes the version. Raises the errors of `find`.

    Raises Refused if a pull gave the number in *ref* to another version, unless *ref* confirms that it means this other
    version.
    """

    def question(snapshot: Snapshot) -> Found:
        model, number, settled = snapshot.resolve_to_change(ref)
        since = snapshot.renumberings.count
        return Found(model, snapshot.version(model, number), since=since, settles=settled)

    return writer.read(question)


def existing_model(snapshot: Snapshot, model: str | ModelRef) -> str:
    """Return the current name of *model*. Raises NotFound if the model does not exist."""
    name = snapshot.model_to_read(model)
    snapshot.model(name)
    return name
