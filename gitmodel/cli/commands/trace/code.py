"""Commands from code to models: version contains, version notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import trace_shapes as shapes
from gitmodel.domain.schema.names import NONE
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.record_views import stage_words

if TYPE_CHECKING:
    from gitmodel.client.values import Containing

COLUMNS = (
    ("VERSION", lambda found: str(found.view)),
    ("NAME", lambda found: found.view.record.name or ""),
    ("STAGE", lambda found: found.view.stage or ""),
    ("ALIASES", lambda found: cell_text.commas(found.view.aliases)),
    ("CODE", lambda found: _short(found)),
)


@command(example="git model version contains HEAD")
@click.argument("commit")
@click.argument("model", required=False, default="", shell_complete=options.complete_model)
@click.option("--without", is_flag=True, help="List versions whose code does not contain COMMIT.")
@click.option("--exact", is_flag=True, help="List versions made from exactly COMMIT.")
@options.listed
def contains(invocation: Invocation, commit: str, model: str, without: bool, exact: bool, part: options.Part) -> None:
    """List the versions whose code contains a commit.

    A version is listed if the commit of its code is COMMIT or a descendant of COMMIT. The list has the versions of all
    models or of MODEL, with their stages. A warning names the versions whose code cannot be searched.
    """
    options.refuse_both("--without", without, "--exact", exact)
    every = invocation.client.containing(commit, model)
    wanted = [found for found in every if found.contains is not None and found.contains is not without]
    chosen = [one for one in wanted if one.exact or not exact]
    words = {"stage": stage_words(invocation.client.stage_names)} if part.filter else {}

    def filtered(found: Containing) -> Mapping[str, Any]:  # for --filter, the stage of a version in no stage is "none"
        return {**_fields(found), "stage": found.view.stage or NONE}

    invocation.output.listing(
        part.of(chosen, filtered, shapes.CONTAINING, **words),
        shapes.CONTAINING,
        fields=_fields,
        name=lambda found: str(found.view),
        columns=COLUMNS,
        empty=part.empty(f"no version {'lacks' if without else 'has'} {commit}", "version"),
    )
    unknown = [one for one in every if one.contains is None]
    if unknown:
        told = ", ".join(str(one.view) for one in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        missing = next((one for one in unknown if one.view.record.code and one.view.record.code.commit), None)
        invocation.output.warn(
            f"{len(unknown)} of {len(every)} versions could not be searched ({told}): {(missing or unknown[0]).why}",
            "get missing commits with `git fetch --unshallow`, or with "
            "`git fetch origin 'refs/gitmodel/code/*:refs/gitmodel/code/*'`"
            if missing
            else f"`git model show {unknown[0].view}` shows its record",
        )


@command(example="git model version notes")
@click.option("--remove", is_flag=True, help="Remove the notes.")
def notes(invocation: Invocation, remove: bool) -> None:
    """Show versions in the git log of the code.

    The command writes refs/notes/gitmodel in the code repository. `git log --notes=gitmodel` then shows `iris 4,
    production` at the commit that version 4 was created from. Run it again to update the notes; no other command
    updates them.
    """
    if remove:
        invocation.client.remove_notes()
        fields = {"commit": "", "notes": 0, "missing": 0}
        invocation.output.outcome("removed the notes", shapes.NOTED, fields, name="")
        return
    done = invocation.client.write_notes()
    have = "1 commit has a note" if done.notes == 1 else f"{done.notes} commits have notes"
    said = f"{have}: show them with `git log --notes=gitmodel`" if done.notes else "no commit here has a note"
    invocation.output.outcome(said, shapes.NOTED, vars(done), name=done.commit)
    if done.missing:
        are = "is" if done.missing == 1 else "are"
        missing = cell_text.count(done.missing, "code commit")
        invocation.output.note(f"{missing} of versions {are} not in this repository")


def _fields(found: Containing) -> Mapping[str, Any]:
    record, code = found.view.record, found.view.record.code
    return {
        "model": found.view.model,
        "number": record.number,
        "name": record.name,
        "stage": found.view.stage,
        "aliases": list(found.view.aliases),
        "commit": code.commit if code else None,
        "dirty": code.dirty if code else None,
        "contains": found.contains,
        "exact": found.exact,
    }


def _short(found: Containing) -> str:
    code = found.view.record.code
    return f"{(code.commit or '')[:10]}{' with changes' if code.dirty else ''}" if code else ""
