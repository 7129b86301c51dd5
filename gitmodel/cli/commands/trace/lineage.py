"""The command on the lineage of versions, runs and artifacts: lineage."""

from __future__ import annotations

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import TREE, Invocation, command
from gitmodel.cli.shapes import trace_shapes as shapes
from gitmodel.errors import UsageError


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
            output.warn(f"the lineage ends at run {node.id}: {node.missing}", _missing_run_hint(invocation, node.id))
    if cycle := find_cycle(found):
        output.warn(
            f"the lineage goes round in a circle: {' -> '.join(cycle)}", "`git model runs show` shows each of the runs"
        )
    if any(node.more for node in found.nodes):
        output.note(f"items that end in ... have more below; --depth {depth} stops there")


def _missing_run_hint(invocation: Invocation, run: str) -> str:
    from gitmodel.domain.schema.paths import run_file

    branch = invocation.client.repository.branch_name
    return f"`git log --diff-filter=D --oneline {branch} -- {run_file(run)}` shows who deleted it"
