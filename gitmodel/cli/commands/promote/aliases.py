"""Commands on aliases: set, remove, list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.promotion_view import print_promotion
from gitmodel.cli.shapes import promote_shapes as shapes
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text


@click.group(cls=LazyGroup)
def alias() -> None:
    """Set, remove and list aliases."""


@command("set", group=alias, example="git model alias set iris@1.2.3 champion")
@options.reference("ALIAS")
@options.reason
@options.renumbered
def set_alias(invocation: Invocation, ref: VersionRef, alias: str, reason: str, renumbered: bool) -> None:
    """Set an alias of a version.

    Write REF and then the ALIAS. If another version has the alias, the alias moves to this version; no version is
    archived. REF must include the version.
    """
    done = invocation.client.set_alias(ref, alias, reason=reason, renumbered=renumbered)
    now = "now" if done.changed else "already"
    was = f", and no longer {done.previous}" if done.previous not in (None, done.version) else ""
    print_promotion(invocation, done, f"{done.stage} is {done.model}@{done.version} {now}{was}")


@command("remove", group=alias, example="git model alias remove iris champion")
@options.model
@click.argument("alias", metavar="ALIAS")
@options.reason
@options.renumbered
def remove(invocation: Invocation, model: str, alias: str, reason: str, renumbered: bool) -> None:
    """Remove an alias; the version does not change."""
    done = invocation.client.remove_alias(model, alias, reason=reason, renumbered=renumbered)
    was = f"; it was {done.model}@{done.previous}" if done.previous is not None else ""
    print_promotion(invocation, done, f"{done.model} has no alias {done.stage} now{was}")


@command("list", group=alias, example="git model alias list iris")
@options.model
@options.listed
def list_aliases(invocation: Invocation, model: str, part: options.Part) -> None:
    """List the aliases of a model."""

    def fields(state: StageState) -> Mapping[str, Any]:
        return shapes.ALIAS.of(state, model=model, alias=state.name, version=state.in_force)

    states = [state for state in invocation.client.view_model(model).stages if state.alias]
    part.print(
        invocation.output,
        states,
        shapes.ALIAS,
        fields=fields,
        name=lambda state: state.name,
        columns=(
            ("ALIAS", lambda state: state.name),
            ("VERSION", lambda state: f"{state.in_force or '-'}{cell_text.pending_suffix(state)}"),
        ),
        empty=f"{model} has no aliases",
    )
