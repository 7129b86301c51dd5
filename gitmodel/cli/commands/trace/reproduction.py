"""Commands that restore a version or make it again: checkout, reproduce."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.commands.look.diff import beside, row_fields
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import trace_shapes as shapes
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.errors import Invalid

if TYPE_CHECKING:
    from gitmodel.pipelines.reproduction.reproducing import OutputFacts, Reproduced, ReproducedOutput

_SHORT_COMMIT = 10
_CHANGED = "its files had changes that are not in the commit, so this is not all of the code"


@command(example="git model checkout iris@production ../iris-production")
@options.reference("DIR")
@click.option(
    "--artifacts", default="artifacts", metavar="FOLDER", help="Folder in DIR for the artifacts. Default: artifacts."
)
@click.option("--attachments", metavar="FOLDER", help="Also write the attachments, to this folder in DIR.")
@click.option("--no-submodules", is_flag=True, help="Do not check out submodules.")
def checkout(
    invocation: Invocation, ref: VersionRef, dir: str, artifacts: str, attachments: str | None, no_submodules: bool
) -> None:
    """Check out the code and artifacts of a version.

    The command creates a work tree at DIR at the recorded commit, with a detached HEAD and with submodules. Your own
    work tree, index and branch do not change. A missing commit is fetched from the remote, if a push kept it there. The
    artifacts are at artifacts/ARTIFACT/FILE, under the names of the files that were stored, and git ignores them.
    Attachments are left out unless --attachments names a folder for them, because they can change at any time. `git
    worktree remove DIR` removes the work tree; add --force if it has submodules.
    """
    made = invocation.client.get_version(ref).checkout(
        dir, artifacts=artifacts, attachments=attachments, submodules=not no_submodules
    )
    written = [*made.artifacts, *made.attachments]
    holds = f" with {cell_text.commas(written)}" if written else ""
    said = f"{made.path} has the code of {made.reference} at {made.commit[:_SHORT_COMMIT]}{holds}"
    invocation.output.outcome(said, shapes.CHECKED_OUT, shapes.CHECKED_OUT.of(made), name=str(made.path))
    if made.changed:
        invocation.output.warn(f"when {made.reference} was created, {_CHANGED}")
    if made.left_out:
        left = cell_text.commas(made.left_out)
        invocation.output.note(
            f"left out: {left}; `git submodule update --init` in the new folder checks submodules out"
        )


@command(example="git model reproduce iris@production")
@options.reference()
@click.option("--into", "folder", metavar="DIR", help="Work in this new folder and keep it.")
@click.option(
    "--param",
    "secrets",
    multiple=True,
    metavar="KEY=VALUE",
    help="Value of a parameter that was secret; repeat for more.",
)
@click.option("--executor", default="in-order", metavar="NAME", help="Executor of the steps. Default: in-order.")
def reproduce(
    invocation: Invocation, ref: VersionRef, folder: str | None, secrets: tuple[str, ...], executor: str
) -> None:
    """Run the pipeline of a version again and compare.

    The command runs the recorded pipeline in a separate work tree, with the recorded parameters and inputs, in a
    temporary registry that is deleted afterwards. For each output, the command reports whether the bytes are identical,
    and otherwise compares the properties of the values. The code of the recorded commit runs with your permissions. The
    exit code is 5 if an output differs.
    """
    from gitmodel.pipelines.reproduction.reproducing import reproduce as run_again

    given = options.read_metadata(secrets, option="--param")
    found = run_again(invocation.client, str(ref), folder=folder, secrets=given, executor=executor)
    invocation.output.outcome("\n".join(_lines(found)), shapes.REPRODUCED, fields(found), name=found.reference)
    if found.changed:
        invocation.output.warn(f"when {found.reference} was created, {_CHANGED}")
    for message, hint in found.unknown:
        invocation.output.warn(message, hint)
    if not found.identical:
        differ = sum(not output.same for output in found.outputs)
        raise Invalid(
            f"{differ} of {len(found.outputs)} outputs differ from the recorded outputs",
            hint="time, random numbers and packages can change an output; the inputs of each step are in "
            f"`git model runs show {found.run}`",
        )


def fields(found: Reproduced) -> dict[str, Any]:
    return shapes.REPRODUCED.of(
        found,
        outputs=[
            {**vars(output), "same": output.same, "then": _known_facts(output.then), "now": _known_facts(output.now)}
            for output in found.outputs
        ],
        metadata=row_fields(found.metadata),
        packages=row_fields(found.packages),
        unknown=[message for message, _ in found.unknown],
    )


def _lines(found: Reproduced) -> Iterator[str]:
    yield f"{found.reference}: run {found.run} again, code {found.commit[:_SHORT_COMMIT]}"
    for output in found.outputs:
        yield from _output(output)
    for title, rows in (("metadata", found.metadata), ("packages", found.packages)):
        if rows:
            yield f"{title}:"
            yield from (f"  {row.name}  {beside(row)}" for row in rows)


def _known_facts(facts: OutputFacts) -> dict[str, Any]:
    return {key: value for key, value in vars(facts).items() if value is not None}


def _output(output: ReproducedOutput) -> Iterator[str]:
    name = f"  {output.step}.{output.name}"
    if output.same:
        yield f"{name}  identical bytes  {output.new}"
        return
    yield f"{name}  {'different' if output.old and output.new else 'only then' if output.old else 'only now'}"
    for when, digest, about in (("then", output.old, output.then), ("now ", output.new, output.now)):
        if digest:
            yield f"    {when}  {digest}{_facts_text(about)}"


def _facts_text(about: OutputFacts) -> str:
    parts = [cell_text.size(about.size)] if about.size is not None else []
    parts += [about.format] if about.format else []
    parts += [cell_text.tsv_cell(about.metadata)] if about.metadata else []
    return "".join(f"  {part}" for part in parts)
