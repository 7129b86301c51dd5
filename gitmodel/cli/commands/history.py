"""Commands on the past: history, log, blame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gitmodel.cli import cell_text, options, shapes
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.output import PROSE
from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.schema.references import VersionRef

if TYPE_CHECKING:
    from gitmodel.cli.output import Column
    from gitmodel.client.values import Event, FieldOrigin, StageEvent
    from gitmodel.domain.views.filter_names import Words

    E = TypeVar("E", StageEvent, Event)

_SHORT = 10

EVENT_COLUMNS = (
    ("FROM (UTC)", lambda event: cell_text.utc_time(event.when)),
    ("UNTIL (UTC)", lambda event: _until(event)),
    ("MODEL", lambda event: event.model),
    ("STAGE", lambda event: event.stage),
    ("VERSION", lambda event: f"{event.previous or '-'} -> {event.version or '-'}{_never_in_force(event)}"),
    ("WHO", lambda event: event.author + (f", merged by {event.merged_by}" if event.merged_by else "")),
    ("COMMIT", lambda event: " ".join(filter(None, (event.commit[:_SHORT], event.pull_request)))),
    (PROSE, lambda event: event.reason + (f" (forced: {cell_text.commas(event.forced)})" if event.forced else "")),
)


def _until(event: StageEvent) -> str:
    if event.refusal:
        return "never"
    return cell_text.utc_time(event.until) if event.until else "now"


def _never_in_force(event: StageEvent) -> str:
    return f" ({cell_text.pending_word(event.refusal)})" if event.refusal else ""


LOG_COLUMNS = (
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


@command(example="git model history iris production")
@click.argument("model", required=False, shell_complete=options.complete_model)
@click.argument("stage", required=False, default="")
@options.listed
def history(invocation: Invocation, model: str | None, stage: str, part: options.Part) -> None:
    """Show the history of stages and aliases.

    It covers all models, one MODEL, or one of its stages or aliases, including former names, newest first. Each change
    has its author, commit or pull request, reason, and the overridden rules. Times are those of the commits; the order
    is that of the branch.
    """
    from gitmodel.client import administration

    found = invocation.client.history(model, stage)
    asked = {"MODEL": model, "STAGE": stage}
    # with one stage, the other stages and aliases are not in the list
    words = {"stage": options.stage_words(invocation)} if part.filter and not stage else {}
    _print_events(invocation, part, found, shapes.EVENT, shapes.EVENT.of, EVENT_COLUMNS, asked, words)
    if model is not None:
        for fault in administration.find_broken_tags(invocation.client, model, stage):
            invocation.output.warn(fault, "run `git model doctor --fix` to set it again from the branch")


@command(example="git model log iris@1")
@click.argument("words", nargs=-1, metavar="[REF]", shell_complete=options.complete_model)
@options.listed
def log(invocation: Invocation, words: tuple[str, ...], part: options.Part) -> None:
    """Show all changes of a model or version.

    It covers REF (a MODEL or MODEL@VERSION) or all models, including former names, newest first: creations, changes,
    promotions and deletions, with author, commit and reason.
    """
    ref = str(options.read_reference(words, usage="git model log [MODEL[@VERSION]]")[0]) if words else ""
    _print_events(invocation, part, invocation.client.log(ref), shapes.LOGGED, vars, LOG_COLUMNS, {"WHAT": ref})


@command(example="git model blame iris@1")
@options.reference()
@options.listed
def blame(invocation: Invocation, ref: VersionRef, part: options.Part) -> None:
    """Show which commit set each field of a version.

    It includes the stage and the aliases. Default: the latest version.
    """
    found: list[FieldOrigin] = part.of(invocation.client.blame(str(ref)), vars, shapes.ORIGIN)
    invocation.output.listing(
        found,
        shapes.ORIGIN,
        name=lambda origin: f"{origin.field} {origin.commit}",
        columns=BLAME_COLUMNS,
        empty="no field matches",
    )


def _print_events(
    invocation: Invocation,
    part: options.Part,
    events: Iterable[E],
    shape: shapes.Shape,
    fields: Callable[[E], Mapping[str, Any]],
    columns: Sequence[Column[E]],
    asked: Mapping[str, str | None],
    words: Mapping[str, Words] = MappingProxyType({}),
) -> None:
    """Print the selected part of *events*, without reading more of them than needed.

    *words* are the values that fields can have in a filter. *asked* maps headers to the requested values; a column is
    left out if all its values are the requested one.
    """
    found = options.matching(events, part.filter, fields, shape, **words) if part.filter else events
    page = read_page(part.limit, part.offset)
    shown = list(islice(found, page.start, page.stop))
    invocation.output.listing(
        shown,
        shape,
        fields=fields,
        name=lambda event: event.commit,
        columns=[(head, read) for head, read in columns if any(read(event) != asked.get(head) for event in shown)],
        empty=part.empty("nothing has happened", "event"),
    )


def _first_fields(fields: tuple[str, ...]) -> str:
    """Return the first few of *fields* as text, with all fields of an artifact or attachment as one."""
    fields = tuple(dict.fromkeys(map(_without_key, fields)))
    return cell_text.commas(fields[:4]) + (f" and {len(fields) - 4} more" if len(fields) > 4 else "")


def _without_key(field: str) -> str:
    """Return `artifacts.clf` for `artifacts.clf.digest`. Metadata of artifacts and other fields stay as they are."""
    linked = field.startswith(("artifacts.", "attachments.")) and ".metadata." not in field
    return field.rpartition(".")[0] if linked else field
