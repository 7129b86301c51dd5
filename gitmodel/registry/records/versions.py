"""Creating, reading, updating and deleting a version, and setting its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes import versions as planning
from gitmodel.domain.changes.models import TagChanges, read_words
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.runs import with_runs
from gitmodel.domain.changes.stages import stage_states
from gitmodel.domain.schema import messages, toml_values
from gitmodel.domain.schema.names import check_version_name
from gitmodel.domain.schema.record_values import NO_DIGEST
from gitmodel.domain.schema.records import ArtifactLink, Code, Imported, RunRecord, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.record_views import VersionView, view_version
from gitmodel.errors import UsageError
from gitmodel.registry.records import models
from gitmodel.registry.records.finding import existing_model
from gitmodel.registry.records.models import choose_to_change
from gitmodel.registry.writing.writer import Writer, change_model, change_version


class Draft(NamedTuple):
    """The values that a person gives a new version: its own name, if it has one, description, tags and metadata.

    *number* is the number of the version (None: the next free number).
    """

    name: str | None = None
    description: str = ""
    tags: Iterable[str] = ()
    metadata: Mapping[str, Any] | None = None
    number: int | None = None


class Made(NamedTuple):
    """The result of `make_version`. *new* is False if a version with the idempotency key existed already."""

    ref: VersionRef
    new: bool


def make_version(
    writer: Writer,
    model: str | ModelRef,
    draft: Draft,
    *,
    artifacts: Iterable[ArtifactLink],
    code: Code | None,
    runs: Iterable[str],
    new_runs: Sequence[RunRecord] = (),
    imported: Imported | None = None,
    key: str = "",
) -> Made:
    """Create a version of *model*, and return a reference that names this version even after a pull renumbers it.

    *code* is the code to record, if it is known. *runs* are the ids of recorded runs that made the version. *new_runs*
    made it, too, and this commit also writes their records. *imported* has what another registry says about the
    version, if it is imported. If any machine already created a version with the idempotency *key* ("": none), returns
    that version. Raises NotFound if the model does not exist, Conflict if another version has the name or number,
    UsageError for bad input.
    """
    is_found = isinstance(model, ModelRef) and model.since is not None
    chosen = ModelRef.of(model) if is_found else models.find_to_change(writer, model)
    runs = (*runs, *(run.id for run in new_runs))
    record = replace(_record(writer, chosen.model, draft, artifacts), code=code, runs=runs, imported=imported)
    reserved = None
    if not key and draft.number is None:
        current = chosen.model
        reserved = writer.take_number(current, lambda snapshot: planning.plan_version(snapshot, current, record))

    def plan(snapshot: Snapshot, current: str) -> Change[Made]:
        known = _find_keyed(writer, snapshot, current, key) if key else None
        if known is not None:
            change = Change(known)
        else:
            txn = messages.keyed_transaction(current, key) if key else ""
            change = planning.plan_version(snapshot, current, record, reserved=reserved, wanted=draft.number, txn=txn)
            made_here = {f"{current}@{change.result}"}
            change = with_runs(
                snapshot,
                change,
                [replace(run, versions=tuple(sorted({*run.versions, *made_here}))) for run in new_runs],
            )
        made = VersionRef(current, str(change.result), since=snapshot.renumberings.count)
        return replace(change, result=Made(made, new=known is None))  # type: ignore[arg-type, return-value]

    return change_model(writer, chosen, plan)


def check_creation(
    writer: Writer, model: str | ModelRef, draft: Draft, *, artifacts: Iterable[tuple[str, str]]
) -> ModelRef:
    """Raise the errors that `make_version` would raise, before artifacts are stored. Return a reference to the model.

    *artifacts* are pairs of a name and a kind.
    """
    links = [ArtifactLink(name=link, kind=kind, digest=NO_DIGEST, size=0, format="json") for link, kind in artifacts]

    def plan(snapshot: Snapshot) -> Change[ModelRef]:
        chosen = choose_to_change(snapshot, ModelRef.of(model))
        record = _record(writer, chosen.model, draft, links)
        planned = planning.plan_version(snapshot, chosen.model, record, wanted=draft.number)
        return replace(planned, result=chosen)  # type: ignore[arg-type, return-value]

    return writer.check(plan)


def find_keyed(writer: Writer, model: str | ModelRef, key: str) -> int | None:
    """Return the number of the version of *model* that was created with the idempotency *key*, or None.

    Raises NotFound if the model does not exist, Conflict if the commit with this key created no version or several.
    """
    return writer.read_records(lambda snapshot: _find_keyed(writer, snapshot, existing_model(snapshot, model), key))


def get_version(writer: Writer, ref: VersionRef) -> VersionView:
    """Return the version that *ref* names; for a stage or alias, the version in force.

    Raises NotFound if there is no such version, Invalid if its record is damaged or its stage tag is forged.
    """

    def question(snapshot: Snapshot) -> VersionView:
        model, number = snapshot.resolve(ref)
        return view_version(snapshot, model, snapshot.version(model, number), stage_states(snapshot, model))

    return writer.read(question)


def update_version(
    writer: Writer,
    ref: VersionRef,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: TagChanges = TagChanges(),
) -> int:
    """Change the description and tags of a version, or name a version without a name. Return its number.

    None leaves a value unchanged. Raises Refused if the version already has another name than *name*.
    """
    description = None if description is None else _text(description)
    tags = tags._replace(whole=None if tags.whole is None else read_words(tags.whole))
    return change_version(writer, ref, planning.plan_version_update, name=name, description=description, tags=tags)


def delete_version(writer: Writer, ref: VersionRef, *, why: Justification = Justification()) -> int:
    """Delete a version and never use its number and name again.

    Raises Refused if a stage or alias names the version, unless *why* has `force`.
    """
    return change_version(writer, ref, planning.plan_version_deletion, now=writer.repository.identity.moment(), why=why)


def set_metadata(
    writer: Writer,
    ref: VersionRef,
    values: Mapping[str, Any],
    *,
    on: str | None = None,
    attached: str | None = None,
    remove: Iterable[str] = (),
    table: str = "",
) -> int:
    """Set metadata of a version, or of its artifact *on* or attachment *attached*, and remove the keys *remove*.

    *table* is the inner table of the metadata that has these keys; "": the metadata itself. Returns the version's
    number.
    """
    plan, remove = planning.plan_metadata, tuple(remove)
    return change_version(writer, ref, plan, values, on=on, attached=attached, remove=remove, table=table)


def _record(writer: Writer, model: str, draft: Draft, artifacts: Iterable[ArtifactLink]) -> VersionRecord:
    """Return the record of a new version; the plan sets its number. Raises UsageError, Conflict."""
    links = tuple(artifacts)
    planning.check_artifacts(links, f"the new version of {model}")
    return VersionRecord(
        number=1,
        created=writer.repository.identity.moment(),
        name=None if draft.name is None else check_version_name(draft.name),
        description=_text(draft.description),
        tags=tuple(sorted(set(read_words(draft.tags)))),
        metadata=read_values(draft.metadata or {}),
        artifacts=links,
    )


def _find_keyed(writer: Writer, snapshot: Snapshot, model: str, key: str) -> int | None:
    for known_as in chain((model,), snapshot.former_names(model)):
        number = writer.find_made(snapshot, model, messages.keyed_transaction(known_as, key))
        if number is not None:
            return number
    return None


def _text(value: str) -> str:
    try:
        return toml_values.text(value)
    except toml_values.Wrong as wrong:
        raise UsageError(f"a description {wrong}", hint="give text") from None
