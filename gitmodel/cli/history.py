"""Commands that tell what was: history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import cells, options, shapes
from gitmodel.cli.grammar import Invocation, command

if TYPE_CHECKING:
    from gitmodel.storage.log import StageEvent

_SHORT = 10

EVENT_COLUMNS = (
    ("FROM (UTC)", lambda event: cells.when(event.when)),
    ("UNTIL (UTC)", lambda event: cells.when(event.until) if event.until else "now"),
    ("MODEL", lambda event: event.model),
    ("STAGE", lambda event: event.stage),
    ("VERSION", lambda event: f"{event.previous or '-'} -> {event.version or '-'}"),
    ("WHO", lambda event: event.author + (f", merged by {event.merged_by}" if event.merged_by else "")),
    ("BY", lambda event: " ".join(filter(None, (event.commit[:_SHORT], event.pull_request)))),
    ("REASON", lambda event: event.reason + (f" (forced: {cells.words(event.forced)})" if event.forced else "")),
)


@command(example="git model history iris production")
@click.argument("model", required=False, shell_complete=options.complete_model)
@click.argument("stage", required=False, default="")
@options.listed
@click.pass_obj
def history(invocation: Invocation, model: str | None, stage: str, filter: str, limit: int | None, offset: int) -> None:
    """Tell who held stages and aliases, from when to when.

    Of all models, of one MODEL, or of one of its stages or aliases, under its former names too; newest first: who put
    it there, by which commit or pull request, why, and which rules were forced. Times are those of the commits, their
    order is that of the branch.
    """
    found: Iterable[StageEvent] = invocation.client.history(model, stage)
    if filter:
        found = options.matching(found, filter, _event_fields)
    invocation.output.listing(
        list(islice(found, offset, None if limit is None else offset + limit)),
        shapes.EVENT,
        fields=_event_fields,
        name=lambda event: event.commit,
        columns=EVENT_COLUMNS,
        empty="no stage or alias has changed",
    )
    if model is not None:
        from gitmodel.lineage.history import broken_tags

        for fault in broken_tags(invocation.client.repository, model, stage):
            invocation.output.warn(fault, "run `git model doctor --fix` to set it again from the branch")


def _event_fields(event: StageEvent) -> Mapping[str, Any]:
    return {name: getattr(event, name) for name in shapes.EVENT.keys}
