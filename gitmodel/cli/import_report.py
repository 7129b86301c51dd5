"""Printing the report of an import from another registry: each model, then what was renamed or left out, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from gitmodel.cli.shapes import share_shapes as shapes
from gitmodel.domain.views import cell_text

if TYPE_CHECKING:
    from gitmodel.cli.invocation import Invocation
    from gitmodel.interop.import_plan import Note
    from gitmodel.interop.importing import ImportedModel, ImportReport

_MOST_SUBJECTS = 3
_COUNTS = ("versions", "deleted", "known", "runs", "artifacts")


def print_report(invocation: Invocation, report: ImportReport, *, dry_run: bool) -> None:
    """Print *report*: the models in a table, the notes in a second table, and the number of imported versions.

    As JSON or TSV, print a row for each model and each note. If the output is quiet, print only the names of the
    models.
    """
    output = invocation.output
    if not output.is_table:
        notes = () if output.quiet else report.notes
        rows = [*map(_model_fields, report.models), *map(_note_fields, notes)]
        output.listing(rows, shapes.IMPORT_ROW, fields=dict, name=lambda row: row["model"], columns=(), empty="")
        return
    heads = ("MODEL", "FROM", *map(str.upper, _COUNTS), "STAGES", "ALIASES")
    cells = [_model_cells(model) for model in report.models]
    output.table(heads, [list(column) for column in zip(*cells, strict=True)] or [[]], "the source has no models")
    if report.notes:
        grouped = [
            (outcome, _several(subjects), reason) for (outcome, reason), subjects in _grouped(report.notes).items()
        ]
        output.table(("OUTCOME", "WHAT", "WHY"), [list(column) for column in zip(*grouped, strict=True)], "")
    total = sum(model.versions for model in report.models)
    known = sum(model.known for model in report.models)
    said = "would import" if dry_run else "imported"
    output.note(
        f"{said} {_count(total, 'version')} of {_count(len(report.models), 'model')}; {known} were here already"
    )


def _grouped(notes: Iterable[Note]) -> dict[tuple[str, str], list[str]]:
    """Map each pair of an outcome and a reason to the subjects of all notes with this pair."""
    found: dict[tuple[str, str], list[str]] = {}
    for note in notes:
        found.setdefault((note.outcome, note.reason), []).append(note.subject)
    return found


def _several(subjects: list[str]) -> str:
    more = f" and {len(subjects) - _MOST_SUBJECTS} more" if len(subjects) > _MOST_SUBJECTS else ""
    return cell_text.commas(subjects[:_MOST_SUBJECTS]) + more


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _model_cells(model: ImportedModel) -> tuple[str, ...]:
    counts = (str(getattr(model, name) or "") for name in _COUNTS)
    source = "" if model.source == model.name else model.source
    return (model.name, source, *counts, _numbered(model.stages), _numbered(model.aliases))


def _numbered(places: Mapping[str, int]) -> str:
    return cell_text.commas([f"{place} {number}" for place, number in places.items()])


def _model_fields(model: ImportedModel) -> dict[str, Any]:
    counts = {name: getattr(model, name) for name in _COUNTS}
    places = {"stages": dict(model.stages), "aliases": dict(model.aliases)}
    return {"outcome": "imported", "subject": model.source, "model": model.name, **counts, **places, "reason": ""}


def _note_fields(note: Note) -> dict[str, Any]:
    nothing = {"model": None, **dict.fromkeys(_COUNTS), "stages": None, "aliases": None}
    return {"outcome": note.outcome, "subject": note.subject, **nothing, "reason": note.reason}
