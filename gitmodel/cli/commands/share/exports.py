"""Commands that bring versions to another registry: export, import, copy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import share_shapes as shapes
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.client.values import CopiedVersion
    from gitmodel.interop.import_plan import Note
    from gitmodel.interop.importing import ImportedModel, ImportReport

# In the report of an import: the fields of a model that are columns with numbers, and the most names of renamed or left
# out things in one row.
_COUNTS = ("versions", "deleted", "known", "runs", "artifacts")
_MOST_SUBJECTS = 3


@command(example="git model export iris@production iris.gitmodel")
@options.reference("FILE")
@click.option("--inputs", is_flag=True, help="Include the artifacts that the version was made from.")
def export(invocation: Invocation, ref: VersionRef, file: str, inputs: bool) -> None:
    """Export a version with its runs and artifacts to a file.

    FILE is a tar archive with the records of the version, its model and its runs, and its artifacts. `git model import`
    verifies and imports it in another registry. The same version always gives the same bytes. Stages are not exported.
    """
    options.refuse_stdout(file, "export writes a file")
    made = invocation.client.get_version(ref).export(file, inputs=inputs)
    fields = shapes.EXPORTED.of(made, missing=[message for message, _ in made.missing])
    runs = f" and {len(made.runs)} run{'s' * (len(made.runs) != 1)}" if made.runs else ""
    said = f"exported {made.reference}{runs} to {made.path} ({cell_text.size(made.size)})"
    invocation.output.outcome(said, shapes.EXPORTED, fields, name=str(made.path))
    for message, hint in made.missing:
        invocation.output.warn(message, hint)


@command(
    "import",
    example="git model import iris.gitmodel --as flowers\ngit model import . --from gto --map prod=production",
)
@click.argument("source", metavar="SOURCE")
@click.option("--from", "kind", type=click.Choice(["mlflow", "gto"]), help="Import models of another registry.")
@click.option("--as", "name", default="", metavar="MODEL", help="Import the version of a file into MODEL.")
@click.option("--model", "models", multiple=True, metavar="MODEL", help="With --from: only this model. Repeatable.")
@click.option(
    "--map",
    "words",
    multiple=True,
    metavar="WORD=STAGE",
    help="With --from: use STAGE for the stage or alias WORD of the source.",
)
@click.option("--with-artifacts", is_flag=True, help="With --from: store the files of the versions, too.")
@click.option("--prompts", is_flag=True, help="With --from: import prompts, too.")
@click.option("--dry-run", is_flag=True, help="With --from: print the plan and change nothing.")
@options.renumbered
def import_(invocation: Invocation, source: str, kind: str | None, name: str, renumbered: bool, **chosen: Any) -> None:
    """Import a version from a file, or models of MLflow or GTO.

    Without --from, SOURCE is a file that `git model export` wrote. The file is verified completely before anything is
    stored. The version keeps its number if that number is free and higher than all others; otherwise it gets the next
    number. The model is created if necessary. Importing a version again changes nothing.

    With --from mlflow, SOURCE is the URL of a tracking server, a database (`sqlite:///FILE`), or the folder of a file
    store. Numbers, metrics, parameters, tags, stages, aliases and runs are imported. The user and time of the source
    are recorded as claims. A login for the server is taken from the variables MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. With --from gto, SOURCE is the folder of a repository with the
    tags of GTO. Import again at any time: only new versions are taken.
    """
    if kind is not None:
        if name:
            raise UsageError(
                "--as does not go with --from",
                hint="rename the model after the import: `git model update OLD --rename NEW`",
            )
        return _import_from(invocation, kind, source, **chosen)
    if given := [option for option, value in chosen.items() if value]:
        flag = {"models": "--model", "words": "--map"}.get(given[0], f"--{given[0].replace('_', '-')}")
        raise UsageError(f"{flag} needs --from", hint="for example `git model import mlruns --from mlflow --dry-run`")
    version = invocation.client.import_version(source, model=name, renumbered=renumbered)
    reference = version.reference
    said = f"imported {reference}" if version.is_new else f"{reference} is here already"
    fields = {"reference": reference, "new": version.is_new}
    invocation.output.outcome(said, shapes.IMPORTED, fields, name=reference)


def _import_from(
    invocation: Invocation,
    kind: str,
    source: str,
    *,
    models: tuple[str, ...],
    words: tuple[str, ...],
    with_artifacts: bool,
    prompts: bool,
    dry_run: bool,
) -> None:
    from gitmodel.interop.import_plan import Choices
    from gitmodel.interop.importing import import_models
    from gitmodel.interop.sources.opening import open_source

    stages = dict(options.split_pair(word, "WORD=STAGE", "--map champion=production") for word in words)
    choices = Choices(models, stages, prompts)
    with (
        closing(open_source(kind, source, os.environ)) as reader,
        invocation.output.progress("planning" if dry_run else "importing", unit="versions") as progress,
    ):
        report = import_models(
            invocation.client, reader, choices, with_artifacts=with_artifacts, dry_run=dry_run, progress=progress
        )
    _print_report(invocation, report, dry_run=dry_run)


def _print_report(invocation: Invocation, report: ImportReport, *, dry_run: bool) -> None:
    """Print tables of the imported models and of everything renamed or left out; as JSON or TSV, one list of both."""
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
        subjects_of: dict[tuple[str, str], list[str]] = {}
        for note in report.notes:
            subjects_of.setdefault((note.outcome, note.reason), []).append(note.subject)
        grouped = []
        for (outcome, reason), subjects in subjects_of.items():
            more = f" and {len(subjects) - _MOST_SUBJECTS} more" if len(subjects) > _MOST_SUBJECTS else ""
            grouped.append((outcome, cell_text.commas(subjects[:_MOST_SUBJECTS]) + more, reason))
        output.table(("OUTCOME", "WHAT", "WHY"), [list(column) for column in zip(*grouped, strict=True)], "")
    total = sum(model.versions for model in report.models)
    known = sum(model.known for model in report.models)
    said = "would import" if dry_run else "imported"
    output.note(
        f"{said} {_count(total, 'version')} of {_count(len(report.models), 'model')}; {known} were here already"
    )


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


@command(example="git model copy iris@production --to https://example.com/team/models.git")
@options.reference()
@click.option("--to", required=True, metavar="URL|PATH", help="The other registry.")
@click.option("--as", "model", default="", metavar="MODEL", help="Copy the version into MODEL.")
@click.option(
    "--stage", default="", metavar="STAGE", help="Put the copy into STAGE, by the rules of the other registry."
)
@options.reason
@options.force
@click.option("--propose", is_flag=True, help="Write the version to a branch for a pull request.")
@options.jobs
def copy(
    invocation: Invocation, ref: VersionRef, to: str, model: str, stage: str, reason: str, force: bool, propose: bool,
    jobs: int,
) -> None:  # fmt: skip
    """Copy a version to another registry.

    The runs that made the version are copied, too. Artifacts that the store of the other registry has are not sent. The
    version keeps its number if that number is higher than all others there; otherwise it gets the next number. Its
    record names the version that it was copied from. The model is created if necessary. Copying a version again changes
    nothing.

    If you may not push to the other registry, the version is written to a branch for a pull request.
    """
    for option, given in (("--reason", reason), ("--force", force)):
        options.refuse_alone(option, given, "--stage", bool(stage))
    with invocation.output.progress("copying") as progress:
        done = invocation.client.copy_version(
            ref.required("copy"), to, model=model, stage=stage, reason=reason, force=force, propose=propose, jobs=jobs,
            progress=progress,
        )  # fmt: skip
    invocation.output.outcome(_copied_text(done), shapes.COPIED_VERSION, shapes.COPIED_VERSION.of(done),
                              name=done.reference)  # fmt: skip
    for message in done.missing:
        invocation.output.warn(message, "the version itself is complete; its lineage lacks this")


def _copied_text(done: CopiedVersion) -> str:
    if done.branch is not None:
        said = f"{done.source} is {'proposed' if done.new else 'already proposed'} as {done.reference}"
        where = f"; open the pull request at {done.address}" if done.address else ""
        return f"{said} on the branch {done.branch}{where}"
    entered = f", in {done.stage} now" if done.stage else ""
    if not done.new:
        return f"{done.source} is there already as {done.reference}{entered}"
    sent = f" ({cell_text.size(done.sent)} sent)" if done.sent else " (no artifact had to be sent)"
    return f"copied {done.source} to {done.reference}{entered}{sent}"
