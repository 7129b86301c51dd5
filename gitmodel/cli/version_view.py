"""Printing versions and pending changes, for several commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.domain.snapshots.snapshot_sources import RETAG, UNTAGGED
from gitmodel.domain.views import cell_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitmodel.cli.invocation import Invocation
    from gitmodel.client import ModelVersion
    from gitmodel.domain.changes.stages import StageState
    from gitmodel.domain.schema.records import ArtifactLink
    from gitmodel.domain.schema.references import VersionRef
    from gitmodel.domain.views.record_views import VersionView


def note_frozen(invocation: Invocation, frozen: str) -> None:
    """If *frozen* is not "", print a note that the version was read at this stage tag, and not from the branch."""
    if frozen:
        invocation.output.note(f"this is the record at the time of the tag {frozen}; the branch was not read")


def show_version(invocation: Invocation, ref: VersionRef) -> None:
    view = invocation.client.view_version(ref)
    invocation.output.single(shapes.VERSION, view.fields(), name=str(view), lines=_lines(view))
    note_pending(invocation, ((view.model, state) for state in view.pending))


def print_version(invocation: Invocation, version: ModelVersion, said: str) -> None:
    """Print the result of a change of *version*: *said* for people, the fields of the version as JSON or TSV."""
    view = version.view
    invocation.output.outcome(said, shapes.VERSION, view.fields(), name=str(view))


def _lines(view: VersionView) -> list[tuple[str, str]]:
    record = view.record
    return [
        ("version", f"{view.model}@{cell_text.number(view.record.number, view.local)}"),
        ("name", record.name or ""),
        ("description", record.description),
        ("stage", cell_text.stage_of_version(view)),
        ("aliases", cell_text.aliases_of_version(view)),
        ("tags", cell_text.commas(record.tags)),
        ("created", f"{cell_text.utc_time(record.created)} UTC"),
        ("code", _code(view)),
        ("copied from", str(record.origin) if record.origin is not None else ""),
        ("imported", _imported(view)),
        ("failed", "yes: it was kept from a failed run" if record.failed else ""),
        ("metadata", "\n".join(f"{key} = {cell_text.tsv_cell(value)}" for key, value in record.metadata.items())),
        ("artifacts", "\n".join(_link(link, f"{link.kind}, ") for link in record.artifacts)),
        ("attachments", "\n".join(map(_link, record.attachments))),
        ("runs", "\n".join(record.runs)),
    ]


def _code(view: VersionView) -> str:
    code = view.record.code
    if code is None:
        return ""
    if code.outside and view.record.imported:
        return ""  # the registry that the version was imported from did not record its code
    if code.outside:
        return "created outside a repository"
    dirty = " with changes that were not committed" if code.commit and code.dirty else ""
    dirty += f", kept as {code.snapshot}" if code.snapshot else ""
    origin = f"\n{code.repository}" if code.repository else ""
    return f"{code.commit or 'no commit yet'}{dirty}{origin}"


def _imported(view: VersionView) -> str:
    claims = view.record.imported
    if claims is None:
        return ""
    when = f" at {cell_text.utc_time(claims.created)} UTC" if claims.created else ""
    who = f" by {claims.author}" if claims.author else ""
    said = f"\n  made{who}{when}, as that registry says" if who or when else ""
    return f"from {claims.source} as {claims.id}{said}"


def _link(link: ArtifactLink, kind: str = "") -> str:
    return f"{link.name}  {kind}{link.format}, {cell_text.size(link.size)}\n  {link.digest}"


def note_pending(invocation: Invocation, pending: Iterable[tuple[str, StageState]]) -> None:
    """Print a note with the number of recorded changes of stages that are not in force yet.

    *pending* has pairs of the name of a model and the state of a stage. Changes that rules refuse are not counted: each
    of them has its own note, with the command that reverts it.
    """
    found = dict.fromkeys(pending)
    if any(cell_text.is_hidden_by_shallow_clone(state) for _, state in found):
        invocation.output.warn("this clone is too shallow to tell what is in force", "run `git fetch --unshallow`")
        return
    count = sum(1 for _, state in found if state.refusal is None and not state.untagged)
    unsure = count or any(state.untagged for _, state in found)
    fetch = invocation.client.repository.tips.missing_tags() if unsure else ""
    if fetch:
        invocation.output.warn("this clone has no stage tags, which say what is in force", f"fetch them: {fetch}")
    elif count:
        are, them = ("1 change is", "it") if count == 1 else (f"{count} changes are", "them")
        invocation.output.note(f"{are} recorded but not in force: `git model apply` puts {them} in force")
    for model, state in found:
        if state.untagged and not fetch:
            invocation.output.warn(f"{model} {state.recorded} is recorded in {state.name}, {UNTAGGED}", RETAG)
        if state.refusal is not None:
            way_out = state.refusal.way_out or f"`git model rollback {model} {state.name}` reverts it"
            invocation.output.note(f"{model} {state.name}: {state.refusal.reason}; {way_out}")
