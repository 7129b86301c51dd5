"""Commands on versions: create, list, show, card, update, delete, their artifacts and runs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Entry, Invocation, LazyGroup, command
from gitmodel.cli.promotion_view import promotion_text
from gitmodel.cli.shapes import record_shapes, trace_shapes
from gitmodel.cli.version_view import print_version, show_version
from gitmodel.domain.schema.record_values import ALL_RUN_STATUSES, DIGEST_SOURCES, KINDS
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.artifact_fields import artifact_fields
from gitmodel.domain.views.filter_names import Words
from gitmodel.errors import Invalid, UsageError

if TYPE_CHECKING:
    from gitmodel.client.values import VersionRun
    from gitmodel.domain.views.record_views import VersionView
    from gitmodel.domain.views.version_summaries import VersionRow

ARTIFACT_COLUMNS = (
    ("ARTIFACT", lambda row: row.link.name),
    ("KIND", lambda row: row.link.kind),
    ("FORMAT", lambda row: row.link.format),
    ("SIZE", lambda row: cell_text.size(row.link.size)),
    ("DIGEST", lambda row: row.link.digest),
    ("RUN", lambda row: row.run or ""),
)
_UNKNOWN = "unknown"  # the status of a run whose record is missing


_IN_CODE = {
    "contains": Entry("trace.code:contains", "List the versions whose code contains a commit."),
    "notes": Entry("trace.code:notes", "Show versions in the git log of the code."),
}


@click.group(cls=LazyGroup, lazy=_IN_CODE)
def version() -> None:
    """Create, list, show, change and delete versions."""


@command(
    group=version,
    example="git model version create iris --name 1.2.3 --data train=train.csv --model-object classifier=model.skops "
    "--metadata accuracy=0.97",
)
@options.model
@click.option("--name", metavar="NAME", help="Name of the version, such as 1.2.3; it is never reused.")
@click.option("--description", default="", metavar="TEXT", help="Description.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Add a tag; repeat for more.")
@options.artifact_paths
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="A measurement or note; repeat for more.")
@click.option(
    "--idempotency-key",
    metavar="KEY",
    help="If a version was already created with KEY, return it instead of creating another. "
    "A CI job that uses a registry by URL has a default KEY; '' disables it.",
)
@click.option(
    "--number",
    type=click.IntRange(1),
    metavar="N",
    help="Number of the version, above all others; skips at most 1,000.",
)
@click.option("--code", metavar="COMMIT", help="Full id of the commit of its code. Default: the current commit.")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Id of a recorded run that made it; repeat for more.")
@options.renumbered
@options.jobs
def create(
    invocation: Invocation,
    /,
    model: str,
    name: str | None,
    data: tuple[str, ...],
    model_object: tuple[str, ...],
    deployment: tuple[str, ...],
    as_formats: tuple[str, ...],
    metadata: tuple[str, ...],
    renumbered: bool,
    **given: Any,
) -> None:
    """Create a version of a model from files and folders.

    The current commit of the code is recorded with the version. For a version that was made elsewhere, give its --code
    and --number; the code repository need not have the commit. Numbers that are skipped become deleted versions.

    With --follow-links, a symbolic link to a file or folder in ROOT is stored as that file or folder. Folders of
    Hugging Face, DVC and git-annex need this option, because their files are links into a cache.

    A VALUE is a number, true, false, a list or a time in TOML syntax; anything else is text.
    """
    read = options.read_metadata(metadata, option="--metadata")
    paths = options.read_artifacts(data=data, model_objects=model_object, deployments=deployment)
    chosen = invocation.client.get_model(model, renumbered=renumbered, for_change=True)
    output = invocation.output
    with output.late_warnings() as warn, output.progress_of_each("storing") as progress:
        given.update(paths, metadata=read, formats=options.read_formats(as_formats))
        made = chosen.create_version(name, progress=progress, warn=warn, **given)
    if not made.is_new:
        said = f"{made.reference} already exists: it was created with the same idempotency key"
        return print_version(invocation, made, said)
    called = f" ({name})" if name else ""
    holds = f" with {cell_text.commas(chain(*paths.values()))}" if any(paths.values()) else ""
    print_version(invocation, made, f"created {made.reference}{called}{holds}")


@command(
    "list",
    group=version,
    example="git model version list --filter 'metadata.accuracy > 0.9' --sort=-accuracy --limit 20",
)
@click.argument("model", required=False, metavar="[MODEL]", shell_complete=options.complete_model)
@options.tabled
@options.at
def list_versions(invocation: Invocation, model: str | None, asked: options.TableOptions) -> None:
    """List the versions of a model, or of all models, newest first.

    By default, the table has columns for the key of --sort and for the keys of the metadata that most versions have, as
    many as fit on the terminal, with rounded numbers. With --columns, JSON and TSV have the model, the number and a
    field for each column, with exact values. Versions without the key of --sort come last.

    If a version cannot be read, a warning is printed on stderr; `git model check` shows the problem.
    """
    from gitmodel.cli import version_rows  # imported here: other commands need no columns

    found: Iterable[VersionView | VersionRow | Invalid]
    if model is None or asked.sort:
        table = invocation.client.find_versions(model, **asked.rows)
        found = chain(table, table.damaged)
    elif invocation.output.is_table and not asked.columns:
        found = invocation.client.view_version_rows(model, **asdict(asked.part))
    else:
        found = invocation.client.view_versions(model, **asdict(asked.part))
    otherwise = "there are no versions yet; `git model version create MODEL` creates one"
    if model is not None:
        otherwise = f"{model} has no versions yet; `git model version create {model}` creates one"
    kind = version_rows.VERSIONS if model is None else version_rows.VERSIONS_OF_MODEL
    version_rows.print_versions(invocation, kind, found, asked, otherwise=otherwise)


@command(group=version, example="git model version show iris@production")
@options.reference()
@options.at
def show(invocation: Invocation, ref: VersionRef) -> None:
    """Show a version. Default: the latest."""
    show_version(invocation, ref)


@command(example="git model card iris@production")
@options.reference()
def card(invocation: Invocation, ref: VersionRef) -> None:
    """Print the model card of a version.

    A model card is Markdown with the YAML header that model hubs read: license, tags, datasets, metrics, base model.
    The card is generated only from the records of the model and the version, so the same version always gives the same
    bytes.
    """
    version = invocation.client.get_version(ref)
    text = version.card()
    if invocation.output.format == "table" and not invocation.output.quiet:
        invocation.output.text(text)
    else:
        fields = {"reference": version.reference, "card": text}
        invocation.output.outcome(text, record_shapes.CARD, fields, name=version.reference)


@command(group=version, example="git model version update iris 1 --stage production --reason 'beats the baseline'")
@options.reference()
@click.option(
    "--stage",
    metavar="STAGE",
    shell_complete=options.complete_stage,
    help="Stage to put the version into, or archived or none.",
)
@options.reason
@options.force
@options.leave
@options.renumbered
@click.option("--name", metavar="NAME", help="Name a version that has no name.")
@click.option("--description", metavar="TEXT", help="New description.")
@options.tag_changes
def update(
    invocation: Invocation,
    ref: VersionRef,
    stage: str | None,
    reason: str,
    force: bool,
    leave: bool,
    renumbered: bool,
    name: str | None,
    description: str | None,
    tags: dict[str, Any],
) -> None:
    """Change a version or its stage. Default: the latest version."""
    for option, given in (("--reason", reason), ("--force", force), ("--leave", leave)):
        options.refuse_alone(option, given, "--stage", stage is not None)
    described = name is not None or description is not None or bool(tags)
    if stage is None and not described:
        raise UsageError(
            "there is nothing to change", hint=f"for example: git model version update {ref} --stage staging"
        )
    client = invocation.client
    version = client.get_version(ref, renumbered=renumbered, for_change=True)
    said = [] if ref.selector else [f"the latest version is {version.reference}"]
    whole = client.transaction(f"Update {version.reference}") if stage and described else nullcontext(client)
    with whole as change:
        if change is not client:
            version = change.get_version(version.ref)
        if described:
            version.update(name=name, description=description, **tags)
            said.append(f"updated {version.reference}")
        if stage is not None:
            said.append(promotion_text(version.set_stage(stage, reason=reason, force=force, leave=leave)))
    print_version(invocation, version, "\n".join(said))


@command(group=version, example="git model version delete iris 2 --yes --reason 'trained on the wrong data'")
@options.reference()
@options.reason
@click.option("--force", is_flag=True, help="Delete it although a stage or alias names it.")
@options.renumbered
@options.yes
def delete(invocation: Invocation, ref: VersionRef, reason: str, force: bool, renumbered: bool, yes: bool) -> None:
    """Delete a version; its number is never used again.

    The record of the version stays in the history of the metadata branch, and its artifacts in the store.
    """
    version = invocation.client.get_version(ref.required("version delete"), renumbered=renumbered, for_change=True)
    model, number, reference = version.model.name, version.number, version.reference
    options.confirm(invocation, f"Delete {reference}?", yes=yes)
    version.delete(reason=reason, force=force)
    fields = {"model": model, "version": number, "deleted": True}
    invocation.output.outcome(f"deleted {reference}", record_shapes.DELETED, fields, name=reference)


@command(group=version, example="git model version artifacts iris 1")
@options.reference()
@click.option("--files", "folder", metavar="ARTIFACT", help="List the files of this folder artifact instead.")
@options.listed
def artifacts(invocation: Invocation, ref: VersionRef, folder: str | None, part: options.Part) -> None:
    """List all artifacts of a version with their kinds.

    The list includes the outputs of runs that used the version after it was created, with their runs. Default: the
    latest version. With --files, only the list of files is fetched; `git model get REF ARTIFACT --file PATH` fetches
    one of them.
    """
    if folder is not None:
        return _list_files(invocation, ref, folder, part)
    _list_artifacts(invocation, ref, "", "artifacts", part)


@command("model_objects", group=version, example="git model version model_objects iris 1")
@options.reference()
@options.listed
def model_objects(invocation: Invocation, ref: VersionRef, part: options.Part) -> None:
    """List the model objects of a version. Default: the latest."""
    _list_artifacts(invocation, ref, "model", "model objects", part)


@command(group=version, example="git model version deployments iris 1")
@options.reference()
@options.listed
def deployments(invocation: Invocation, ref: VersionRef, part: options.Part) -> None:
    """List the deployments of a version. Default: the latest."""
    _list_artifacts(invocation, ref, "deployment", "deployments", part)


@command(group=version, example="git model version runs iris 1")
@options.reference()
@options.listed
def runs(invocation: Invocation, ref: VersionRef, part: options.Part) -> None:
    """List the runs that created, used or read a version.

    A run has read a version if a step took one of its artifacts as an input. Default: the latest version.
    """
    view, used = invocation.client.view_version_runs(ref)
    part.print(
        invocation.output,
        [_run_fields(run) for run in used],
        trace_shapes.RUN,
        fields=dict,
        name=lambda row: str(row["id"]),
        columns=(
            ("RUN", lambda row: str(row["id"])),
            ("PIPELINE", lambda row: str(row["pipeline"] or "")),
            ("STATUS", lambda row: str(row["status"])),
            ("STARTED (UTC)", lambda row: cell_text.utc_time(row["started"]) if row["started"] else ""),
            ("USE", lambda row: "read only" if row["only_read"] else ""),
        ),
        empty=f"{view} has no runs",
        status=Words((*ALL_RUN_STATUSES, _UNKNOWN)),
    )


def _list_files(invocation: Invocation, ref: VersionRef, name: str, part: options.Part) -> None:
    found = invocation.client.get_version(ref).get_artifact(name).list_files()
    part.print(
        invocation.output,
        found,
        record_shapes.FILE,
        name=lambda entry: entry.path,
        columns=(
            ("FILE", lambda entry: entry.path),
            ("SIZE", lambda entry: cell_text.size(entry.size)),
            ("DIGEST", lambda entry: entry.digest),
        ),
        empty=f"{name} has no files",
    )


def _list_artifacts(invocation: Invocation, ref: VersionRef, kind: str, what: str, part: options.Part) -> None:
    view, every = invocation.client.view_artifacts(ref)
    rows = [row for row in every if kind in ("", row.link.kind)]
    part.print(
        invocation.output,
        rows,
        record_shapes.ARTIFACT,
        fields=lambda row: artifact_fields(row.link, row.run),
        name=lambda row: row.link.name,
        columns=ARTIFACT_COLUMNS,
        empty=f"{view} has no {what}",
        noun=what.removesuffix("s"),
        kind=Words(KINDS),
        digest_by=Words(DIGEST_SOURCES),
    )


def _run_fields(used: VersionRun) -> dict[str, Any]:
    run = used.view
    return {
        "id": used.id,
        "pipeline": run.pipeline if run else None,
        "status": run.status if run else _UNKNOWN,
        "started": run.started if run else None,
        "recorded": run is not None and run.record is not None,
        "only_read": used.only_read,
    }
