"""Refusing forbidden changes of stages before they are recorded; hints name the command to run instead. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.changes.stages import recorded_places
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Refused


class _Entry(NamedTuple):
    """A stage whose file a change writes, and its version before and after the change (None: the stage is empty)."""

    ref: StageRef
    old: int | None
    new: int | None


def check_stage_changes(snapshot: Snapshot, change: Change[Any]) -> None:
    """Raise Refused if `refuse_direct` or `refuse_emptied` does for *change*."""
    refuse_direct(snapshot, change)
    refuse_emptied(snapshot, change)


def refuse_direct(snapshot: Snapshot, change: Change[Any]) -> None:
    """Raise Refused if *change* changes a `proposal_only` stage. The hint is the command to run instead.

    Allows every change on the branch of a proposal, and changes of the stages in `change.admitted`.
    """
    entries = list(_entries(snapshot, change))
    if snapshot.proposed or not (entries or change.apply or change.drop):
        return
    closed = snapshot.closed_stages

    def is_refused(ref: StageRef) -> bool:
        return ref.stage in closed and ref not in change.admitted

    changed = [entry.ref for entry in entries if is_refused(entry.ref) and not _is_new_name(change, entry.ref.model)]
    if changed:
        raise Refused(
            f"a change of {_named(changed)} needs a reviewed proposal (proposal_only)",
            hint=f"run `git model propose {_proposal(snapshot, change, entries, changed)}`",
        )
    waiting = [ref for ref in (*change.apply, *change.drop) if is_refused(ref)]
    if waiting:
        ref, refusal = waiting[0], snapshot.refusal(waiting[0])
        if refusal is not None:
            raise Refused(
                f"{ref.model} {ref.stage}: {refusal.reason}",
                hint=f"run `git model rollback {ref.model} {ref.stage}` to undo the recorded change, then propose it",
            )
        raise Refused(
            f"the last recorded change of {_named(waiting)} is not in force yet (proposal_only)",
            hint=f"run `git model apply {ref.model}` first",
        )


def refuse_emptied(snapshot: Snapshot, change: Change[Any]) -> None:
    """Raise Refused if *change* moves a version to an earlier stage and so empties the stage that the version leaves.

    `gitmodel.toml` lists the stages from early to late. Allows the stages in `change.may_empty` to become empty.
    """
    order = snapshot.registry().stage_names
    entries = list(_entries(snapshot, change))
    for entry in entries:
        ref = entry.ref
        if entry.new is not None or ref in change.may_empty or ref.stage not in order:
            continue
        earlier = order[: order.index(ref.stage)]
        if not any(other.new and other.ref.model == ref.model and other.ref.stage in earlier for other in entries):
            continue
        number = recorded_places(snapshot, ref.model).get(ref.stage)
        after = replace(snapshot, files=ChangedFiles(snapshot.files, change.files))
        to = next((to for to, held in recorded_places(after, ref.model).items() if held == number), "")
        if number is not None and to in earlier:
            raise Refused(
                f"{ref.model}@{number} is in {ref.stage}, and moving it to {to} would leave {ref.stage} empty",
                hint=f"promote another version to {ref.stage} first, or add --leave (in Python: leave=True) "
                f"if {ref.stage} is to be empty",
            )


def _entries(snapshot: Snapshot, change: Change[Any]) -> Iterator[_Entry]:
    """Yield each exclusive stage whose file *change* changes."""
    for path, data in change.files.items():
        what = paths.parse_path(path)
        if what is None or what.kind != "stage":
            continue
        before = snapshot.files.read(path)
        if data != before:
            yield _Entry(StageRef(what.model, what.key), *(_holder(side, path) for side in (before, data)))


def _holder(data: bytes | None, path: str) -> int | None:
    return None if data is None else codec.decode(records.StageRecord, data, path, newer=True).version


def _named(refs: list[StageRef]) -> str:
    return " and ".join(f"{ref.model} {ref.stage}" for ref in dict.fromkeys(refs))


def _proposal(snapshot: Snapshot, change: Change[Any], entries: list[_Entry], changed: list[StageRef]) -> str:
    """Return the arguments of `git model propose` that make the same changes as *change* in a proposal.

    *entries* are the stages whose files *change* writes. Only models of the stages in *changed* are proposed.
    """
    models = {ref.model for ref in changed}
    words = []
    for model in sorted(models):
        renamed = _new_name(change, model)
        if renamed:
            words.append(f"--rename {model} {renamed}")
            models -= {model, renamed}
    entering = {(entry.ref.model, entry.new): entry.ref.stage for entry in entries if entry.new is not None}
    order = snapshot.registry().stage_names
    promoted, demoted, leave = [], [], False
    for entry in entries:
        model, stage = entry.ref.model, entry.ref.stage
        if model not in models:
            continue
        to = entering.get((model, entry.old)) if entry.old is not None else None
        if entry.new is not None:
            promoted.append(f"{model}@{entry.new} {stage}")
        elif to is not None:
            leave = leave or order.index(to) < order.index(stage)
        elif change.files.get(paths.archived_file(model, entry.old or 0)) is not None:
            promoted.append(f"{model}@{entry.old} archived")
        elif entry.ref in changed:
            demoted.append(f"--demote {model} {stage}")
    return " ".join([*promoted, *demoted, *words, *(["--leave"] if leave else [])])


def _is_new_name(change: Change[Any], model: str) -> bool:
    """Return True if *change* renames a model to *model*. Its stages are then checked under the former name."""
    names = (what.model for what in map(paths.parse_path, change.files) if what is not None and what.kind == "model")
    return any(_new_name(change, name) == model for name in names)


def _new_name(change: Change[Any], model: str) -> str:
    """Return the name that *change* renames *model* to, or ""."""
    path = paths.model_file(model)
    data = change.files.get(path)
    record = None if data is None else codec.decode(records.ModelRecord, data, path, newer=True)
    return (record.renamed_to or "") if record is not None else ""
