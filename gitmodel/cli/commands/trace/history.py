"""Commands on the past of versions and artifacts: history, log, blame, lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import TREE, Invocation, command
from gitmodel.cli.list_columns import RowKind, print_rows
from gitmodel.cli.output import PROSE
from gitmodel.cli.shapes import trace_shapes as shapes
from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.schema.paths import run_file
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.cli.output import Column
    from gitmodel.client.values import Event, Holding, StageEvent
    from gitmodel.errors import Invalid

_SHORT = 10


def _holdings(asked: Mapping[str, str | None], found: Sequence[Holding]) -> RowKind[Holding]:
    """Return the columns of the history, without a column that only repeats the model or stage that the user named.

    *asked* maps the heads of such columns to the values that the user named. *found* are the rows.
    """
    first: tuple[Column[Holding], ...] = (
        ("FROM (UTC)", lambda row: cell_text.utc_time(row.event.when)),
        ("UNTIL (UTC)", lambda row: _until(row.event)),
        ("MODEL", lambda row: row.event.model),
        ("STAGE", lambda row: row.event.stage),
        ("VERSION", lambda row: _versions(row.event)),
    )
    return RowKind(
        shapes.EVENT,
        name=lambda row: row.event.commit,
        keys=("model", "stage", "version", "when", "until"),
        first=tuple((head, read) for head, read in first if any(read(row) != asked.get(head) for row in found)),
        others=(
            ("WHO", lambda row: row.event.author + _merger(row.event)),
            ("COMMIT", lambda row: " ".join(filter(None, (row.event.commit[:_SHORT], row.event.pull_request)))),
            (PROSE, lambda row: row.event.reason + _forced(row.event)),
        ),
        before="WHO",
        measured=lambda row: row.metadata,
        fields=lambda row, _: row.fields(),
    )


def _until(event: StageEvent) -> str:
    if event.refusal:
        return "never"
    return cell_text.utc_time(event.until) if event.until else "now"


def _versions(event: StageEvent) -> str:
    never = f" ({cell_text.pending_word(event.refusal)})" if event.refusal else ""
    return f"{event.previous or '-'} -> {event.version or '-'}{never}"


def _merger(event: StageEvent) -> str:
    return f", merged by {event.merged_by}" if event.merged_by else ""


def _forced(event: StageEvent) -> str:
    return f" (forced: {cell_text.commas(event.forced)})" if event.forced else ""


LOG_COLUMNS: tuple[Column[Event], ...] = (
    ("WHEN (UTC)", lambda event: cell_text.utc_time(event.when)),
    ("WHAT", lambda event: event.model if event.version is None else f"{event.model}@{event.version}"),
    ("HAPPENED", lambda event: event.what + (f": {_first_fields(event.fields)}" if event.what == "changed" else "")),
    ("WHO", lambda event: event.author),
    ("COMMIT", lambda event: " ".join(filter(None, (event.commit[:_SHORT], event.pull_request)))),
    (PROSE, lambda event: event.reason),
)
BLAME_COLUMNS = (
    ("FIELD", lambda origin: origin.field),
    ("VALUE", lambda origin: cell_text.tsv_cell(origin.value)),
    ("WHO", lambda origin: origin.author),
    ("WHEN (UTC)", lambda origin: cell_text.utc_time(origin.when)),
    ("COMMIT", lambda origin: " ".join(filter(None, (origin.commit[:_SHORT], origin.pull_request)))),
)


@command(example="git model history iris production --columns accuracy --sort when")
@click.argument("model", required=False, shell_complete=options.complete_model)
@click.argument("stage", required=False, default="", shell_complete=options.complete_stage)
@options.tabled
def history(invocation: Invocation, model: str | None, stage: str, asked: options.TableOptions) -> None:
    """Show the history of stages and aliases.

    The history covers all models, one MODEL, or one of its stages or aliases, including former names, newest first.
    Each change is shown with its author, commit or pull request, reason, and the rules that it overrode. The times are
    those of the commits. The order is that of the commits on the branch.

    The table also shows the current metadata of the versions that entered, as many keys as fit on the terminal.
    --columns selects the keys. `--sort when` puts the oldest change first. With --columns, JSON and TSV have the fields
    model, stage, version, when and until, and one for each column.
    """
    from gitmodel.client import administration

    found = invocation.client.view_history(model, stage, **asked.rows)
    rows: Iterable[Holding | Invalid] = chain(found, found.damaged)
    kind = _holdings({"MODEL": model, "STAGE": stage}, found)
    print_rows(invocation.output, kind, rows, asked, otherwise="nothing has happened")
    if model is not None:
        for fault in administration.broken_tags(invocation.client.repository, model, stage):
            invocation.output.warn(fault, "run `git model doctor --fix` to set it again from the branch")


@command(example="git model log iris@1")
@click.argument("words", nargs=-1, metavar="[REF]", shell_complete=options.complete_model)
@options.listed
def log(invocation: Invocation, words: tuple[str, ...], part: options.Part) -> None:
    """Show all changes of a model or version.

    The log covers REF (a MODEL or MODEL@VERSION) or all models, including former names, newest first: creations,
    changes, promotions and deletions, with author, commit and reason.
    """
    ref = str(options.read_reference(words, usage="git model log [MODEL[@VERSION]]")[0]) if words else ""
    events = invocation.client.log(ref)
    found = options.matching(events, part.filter, vars, shapes.LOGGED) if part.filter else events
    page = read_page(part.limit, part.offset)
    shown = list(islice(found, page.start, page.stop))  # *found* is a generator: reads only the events that are printed
    invocation.output.listing(
        shown,
        shapes.LOGGED,
        fields=vars,
        name=lambda event: event.commit,
        columns=[(head, read) for head, read in LOG_COLUMNS if head != "WHAT" or any(read(e) != ref for e in shown)],
        empty=part.empty("nothing has happened", "event"),
    )


@command(example="git model blame iris@1")
@options.reference()
@options.listed
def blame(invocation: Invocation, ref: VersionRef, part: options.Part) -> None:
    """Show which commit set each field of a version.

    The fields include the stage and the aliases. Default: the latest version.
    """
    part.print(
        invocation.output,
        invocation.client.blame(str(ref)),
        shapes.ORIGIN,
        name=lambda origin: f"{origin.field} {origin.commit}",
        columns=BLAME_COLUMNS,
        empty="no field matches",
        noun="field",
    )


@command(example="git model lineage iris@production --up", formats=(TREE, "mermaid", "dot", "json"))
@click.argument("subject", metavar="REF|DIGEST|RUN", shell_complete=options.complete_model)
@click.option("--up", is_flag=True, help="Show only the sources, not the results.")
@click.option("--down", is_flag=True, help="Show only the results, not the sources.")
@click.option("--depth", type=click.IntRange(0), metavar="N", help="Follow at most N runs.")
def lineage(invocation: Invocation, subject: str, up: bool, down: bool, depth: int | None) -> None:
    """Show how something was made, and what was made from it.

    The start is a version, an artifact by its digest (sha256: and at least 7 digits), or a run. Upwards, the command
    shows the runs that made the start, their inputs, the runs that made these, and so on. Downwards, the command shows
    everything that was made from the start, and which results are in a stage. Items are connected by digests, across
    pipelines and models. -q prints only the versions, runs and digests.
    """
    from gitmodel.domain.views import lineage_drawing as drawing
    from gitmodel.domain.views.lineage import find_cycle

    if up and down:
        raise UsageError("--up and --down cannot be combined", hint="leave both out to show both")
    found = invocation.client.lineage(subject, up=not down, down=not up, depth=depth)
    output = invocation.output
    if output.quiet:
        output.listing(found.nodes, shapes.LINEAGE, fields=vars, name=lambda node: node.id, columns=(), empty="")
    elif output.format in ("mermaid", "dot"):
        output.text(drawing.mermaid(found) if output.format == "mermaid" else drawing.dot(found))
    else:
        told = "\n".join([*drawing.tree(found), *(f"in use: {held}" for held in drawing.in_stages(found))])
        output.outcome(told, shapes.LINEAGE, drawing.fields(found), name=found.root)
    for path, why in found.unread:
        output.warn(
            f"{path}: {why}; its part of the lineage is missing here", "run `git model check` and `git model verify`"
        )
    for node in found.nodes:
        if node.kind == "run" and node.missing and not node.facts:
            branch = invocation.client.repository.branch_name
            hint = f"`git log --diff-filter=D --oneline {branch} -- {run_file(node.id)}` shows who deleted it"
            output.warn(f"the lineage ends at run {node.id}: {node.missing}", hint)
    if cycle := find_cycle(found):
        output.warn(
            f"the lineage goes round in a circle: {' -> '.join(cycle)}", "`git model runs show` shows each of the runs"
        )
    if any(node.more for node in found.nodes):
        output.note(f"items that end in ... have more below; --depth {depth} stops there")


def _first_fields(fields: tuple[str, ...]) -> str:
    """Return the first 4 names of *fields*, and the number of the others. An artifact counts as one field."""
    fields = tuple(dict.fromkeys(map(_without_key, fields)))
    return cell_text.commas(fields[:4]) + (f" and {len(fields) - 4} more" if len(fields) > 4 else "")


def _without_key(field: str) -> str:
    """Return `artifacts.clf` for the field `artifacts.clf.digest`, but `artifacts.clf.metadata.rows` unchanged."""
    linked = field.startswith(("artifacts.", "attachments.")) and ".metadata." not in field
    return field.rpartition(".")[0] if linked else field
