"""Commands on models: register, list, show, update, delete."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from itertools import chain
from typing import Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.output import Column
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.version_view import note_pending, show_version
from gitmodel.client import Model
from gitmodel.domain.schema.records import DESCRIPTIVE_TEXTS
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.filter_names import VALUE
from gitmodel.domain.views.record_views import ModelView
from gitmodel.errors import Invalid, UsageError

COLUMNS: tuple[Column[ModelView], ...] = (
    ("MODEL", lambda view: view.name),
    ("LATEST", lambda view: cell_text.number(view.latest, view.local)),
    ("VERSIONS", lambda view: str(view.count)),
    ("STAGES", cell_text.stages_of_model),
    ("ALIASES", cell_text.aliases_of_model),
    ("TITLE", lambda view: view.record.title or view.record.description),
)


@command(example='git model register iris --license MIT --description "Which iris is it?" --tag sklearn')
@click.argument("name")
@options.description
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Add a tag; repeat for more.")
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="A fact about the model; repeat for more.")
@click.option("--exist-ok", is_flag=True, help="Do nothing if the model exists already.")
def register(invocation: Invocation, /, name: str, metadata: tuple[str, ...], exist_ok: bool, **given: Any) -> None:
    """Register a model.

    `git model update --rename` changes the name. No other model can ever have a name that was used before.
    """
    given["metadata"] = options.read_metadata(metadata, option="--metadata") or None
    model = invocation.client.register_model(name, exist_ok=exist_ok, **options.given_description(**given))
    said = f"registered {name}; next: git model version create {name}"
    _print(invocation, model, said)


@command("list", example="git model list --filter '\"sklearn\" in tags' --sort=-created")
@options.tabled
@options.at
def list_models(invocation: Invocation, asked: options.TableOptions) -> None:
    """List the models.

    The table has columns for the keys of the metadata that most models have, as many as fit on the terminal. With
    --columns, JSON and TSV have the name of the model and a field for each column. --sort accepts name (the default),
    created, updated, latest, versions and the keys of the metadata.

    If a model cannot be read, a warning is printed on stderr; `git model check` shows the problem.
    """
    from gitmodel.cli.list_columns import RowKind, print_rows  # imported here: other commands need no columns

    kind: RowKind[ModelView] = RowKind(
        shapes.MODEL,
        name=lambda view: view.name,
        keys=("name",),
        first=COLUMNS[:1],
        others=COLUMNS[1:],
        before="TITLE",
        measured=lambda view: view.record.metadata,
        fields=lambda view, _: view.fields(),
        tables={"stages": dict.fromkeys(invocation.client.stage_names, VALUE)},
    )
    found = invocation.client.view_models(**asked.rows)
    otherwise = "no model that can be read" if found.damaged else "no models yet; `git model register NAME` creates one"
    rows: Iterable[ModelView | Invalid] = chain(found, found.damaged)
    print_rows(invocation.output, kind, rows, asked, otherwise=otherwise)
    note_pending(invocation, ((view.name, state) for view in found for state in view.pending))


@command(example="git model show iris")
@options.reference()
@options.at
def show(invocation: Invocation, ref: VersionRef) -> None:
    """Show a model, or a version if one is named.

    REF is MODEL, MODEL@VERSION or MODEL VERSION.
    """
    if ref.selector:
        show_version(invocation, ref)
        return
    view = invocation.client.view_model(ref.model)
    invocation.output.single(shapes.MODEL, view.fields(), name=view.name, lines=_lines(view))
    note_pending(invocation, ((view.name, state) for state in view.pending))


@command(example='git model update iris --title "Iris flowers" --tag baseline --remove-tag sklearn')
@options.model
@options.description
@options.tag_changes
@click.option("--metadata", multiple=True, metavar="KEY=VALUE", help="Set a fact about the model; repeat for more.")
@click.option("--remove-metadata", multiple=True, metavar="KEY", help="Remove this key; repeat for more.")
@click.option("--rename", metavar="NEW", help="New name; the old name keeps working.")
@options.renumbered
def update(
    invocation: Invocation,
    /,
    model: str,
    tags: dict[str, Any],
    metadata: tuple[str, ...],
    remove_metadata: tuple[str, ...],
    rename: str | None,
    renumbered: bool,
    **given: Any,
) -> None:
    """Change the description of a model, or its name.

    A text that you give replaces the previous one; an empty text removes it. Metadata of a version is set by
    `git model metadata set`.
    """
    changes = {**options.given_description(**given), **tags}
    if metadata:
        changes["metadata"] = options.read_metadata(metadata, option="--metadata")
    if not (changes or remove_metadata or rename):
        raise UsageError("there is nothing to change", hint=f'for example: git model update {model} --title "Iris"')
    client = invocation.client
    whole = client.transaction(f"Rename {model} to {rename} and update it") if rename else nullcontext(client)
    with whole as change:
        now = change.update_model(
            model,
            new_name=rename,
            remove_metadata=remove_metadata,
            renumbered=renumbered,
            **changes,
        )
    _print(invocation, now, f"{model} is {now.name} now" if rename else f"updated {now.name}")


@command(example="git model delete iris --yes --force --reason 'a new line begins'")
@options.model
@options.reason
@click.option("--force", is_flag=True, help="Delete it although a stage or alias names one of its versions.")
@options.renumbered
@options.yes
def delete(invocation: Invocation, model: str, reason: str, force: bool, renumbered: bool, yes: bool) -> None:
    """Delete a model; its name is never used again.

    The records of the model stay in the history of the metadata branch, and its artifacts in the store.
    """
    chosen = invocation.client.get_model(model, renumbered=renumbered, for_change=True)
    name = chosen.name
    options.confirm(invocation, f"Delete {name} with all its versions?", yes=yes)
    chosen.delete(reason=reason, force=force)
    fields = {"model": name, "version": None, "deleted": True}
    invocation.output.outcome(f"deleted {name}", shapes.DELETED, fields, name=name)


def _print(invocation: Invocation, model: Model, said: str) -> None:
    view = model.view
    invocation.output.outcome(said, shapes.MODEL, view.fields(), name=view.name)


def _lines(view: ModelView) -> list[tuple[str, str]]:
    record, latest = view.record, cell_text.number(view.latest, view.local)
    described = [(field.replace("_", " "), getattr(record, field)) for field in DESCRIPTIVE_TEXTS]
    return [
        ("model", view.name),
        *described,
        ("tags", cell_text.commas(record.tags)),
        ("owners", cell_text.commas(record.owners)),
        ("metadata", "\n".join(f"{key} = {cell_text.tsv_cell(value)}" for key, value in record.metadata.items())),
        ("created", f"{cell_text.utc_time(record.created)} UTC"),
        ("versions", str(view.count) + (f", the latest is {latest}" if view.latest else "")),
        ("stages", "\n".join(cell_text.stage_cell(state) for state in view.stages if not state.alias)),
        ("aliases", "\n".join(cell_text.stage_cell(state) for state in view.stages if state.alias)),
    ]
