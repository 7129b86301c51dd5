"""Commands that move a version to another registry: export, import."""

from __future__ import annotations

import click

from gitmodel.cli import options, shapes
from gitmodel.cli.invocation import Invocation, command
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text


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


@command("import", example="git model import iris.gitmodel --as flowers")
@click.argument("file", metavar="FILE")
@click.option("--as", "model", default="", metavar="MODEL", help="Import the version into MODEL.")
@options.renumbered
def import_(invocation: Invocation, file: str, model: str, renumbered: bool) -> None:
    """Import a version from a file.

    FILE is verified completely before anything is stored. The version keeps its number if that number is free and
    higher than all others; otherwise it gets the next number. The model is created if necessary. Importing a version
    again changes nothing.
    """
    version = invocation.client.import_version(file, model=model, renumbered=renumbered)
    reference = version.reference
    said = f"imported {reference}" if version.is_new else f"{reference} is here already"
    fields = {"reference": reference, "new": version.is_new}
    invocation.output.outcome(said, shapes.IMPORTED, fields, name=reference)
