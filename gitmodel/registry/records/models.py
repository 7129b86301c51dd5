"""Creating, finding, updating, renaming and deleting a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from gitmodel.domain.changes import models as planning
from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import RecordedPlaces
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.registry.writing.writer import Writer, change_model


def register_model(writer: Writer, name: str, given: Mapping[str, Any], *, exist_ok: bool = False) -> str:
    """Create the model *name* with the descriptive fields *given*, and return its name.

    If *exist_ok*, leaves an existing model unchanged. Raises UsageError for a bad name or field, Conflict if a model
    has or had this name.
    """
    now, read = writer.repository.identity.moment(), _read_description(given)
    return writer.transact(
        lambda snapshot: planning.plan_registration(snapshot, name, read, now=now, exist_ok=exist_ok)
    )


def find(writer: Writer, model: str | ModelRef) -> tuple[ModelRef, bool]:
    """Return a reference to *model* that follows renames, and True if a pull gave the name *model* to another model.

    Raises NotFound if the model does not exist, Invalid if its record or the record of one of its stages is damaged.
    """
    ref = ModelRef.of(model)

    def question(snapshot: Snapshot) -> tuple[ModelRef, bool]:
        name = snapshot.model_to_read(ref)
        snapshot.model(name)
        RecordedPlaces.read(snapshot, name)
        noted = ref.since is None and snapshot.note_on(ref) is not None
        return ModelRef(name, since=snapshot.renumberings.count), noted

    return writer.read_records(question)


def find_to_change(writer: Writer, model: str | ModelRef) -> ModelRef:
    """Return a reference to *model*, by its current name, for functions that change the model.

    Raises NotFound if it does not exist; Refused if a pull gave the name to another model, unless *model* confirms that
    it means this other model.
    """
    return writer.read_records(partial(choose_to_change, ref=ModelRef.of(model)))


def choose_to_change(snapshot: Snapshot, ref: ModelRef) -> ModelRef:
    """Return the reference that `find_to_change` returns, read from *snapshot*. Raises the same errors."""
    known_as, settled = snapshot.model_to_change(ref)
    name = snapshot.current_name(known_as)
    snapshot.model(name)
    return ModelRef(name, since=snapshot.renumberings.count, settles=settled)


def update_model(
    writer: Writer,
    model: str | ModelRef,
    given: Mapping[str, Any],
    *,
    tags: TagChanges = TagChanges(),
    remove_metadata: Iterable[str] = (),
    table: str = "",
) -> str:
    """Change descriptive fields (*given*), tags and metadata of a model, and return its name.

    *table* is the inner table of the metadata whose keys change; "": the metadata itself. Raises UsageError for invalid
    values, and the errors of `change_model`.
    """
    read = _read_description(given)
    read.pop("metadata", None)  # taken from *given*, where None as the value of a key removes the key
    metadata, gone = given.get("metadata"), tuple(remove_metadata)
    plan = planning.plan_update
    return change_model(writer, model, plan, read, tags=tags, metadata=metadata, remove_metadata=gone, table=table)


def rename_model(writer: Writer, old: str | ModelRef, new: str) -> str:
    """Rename the model *old* to *new*. The old name still finds the model, and no other model can get it."""
    return change_model(writer, old, planning.plan_rename, new)


def delete_model(writer: Writer, model: str | ModelRef, *, why: Justification = Justification()) -> str:
    """Delete a model. Raises Refused if a stage or alias names one of its versions, unless *why* has `force`."""
    return change_model(writer, model, planning.plan_deletion, now=writer.repository.identity.moment(), why=why)


def _read_description(given: Mapping[str, Any]) -> dict[str, Any]:
    # imported here because it loads pydantic, which takes longer than `git model list`
    from gitmodel.domain.arguments.description import read_description

    return read_description(given)
