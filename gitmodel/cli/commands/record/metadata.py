"""Commands on metadata: set, show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, LazyGroup, command
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.version_view import print_version
from gitmodel.domain.changes.versions import artifact as find_artifact
from gitmodel.domain.changes.versions import attachment as find_attachment
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views import cell_text
from gitmodel.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def on_file(function: F) -> F:
    """Add the options --artifact and --attachment, which select a file of the version instead of the version."""
    for kind in ("attachment", "artifact"):
        text = f"Use the metadata of this {kind} of the version."
        function = click.option(f"--{kind}", metavar="NAME", help=text)(function)
    return function


@click.group(cls=LazyGroup, meant=dict.fromkeys(("remove", "delete", "unset"), "set --remove"))
def metadata() -> None:
    """Set, remove and show metadata of versions and files."""


@command("set", group=metadata, example="git model metadata set iris@1 accuracy=0.98 reviewed=true --remove draft")
@options.reference_words("KEY=VALUE...")
@on_file
@click.option("--remove", multiple=True, metavar="KEY", help="Remove this key; repeat for more.")
@options.renumbered
def set_metadata(
    invocation: Invocation,
    words: tuple[str, ...],
    artifact: str | None,
    attachment: str | None,
    remove: tuple[str, ...],
    renumbered: bool,
) -> None:
    """Set or remove metadata of a version, artifact or attachment.

    Write REF and then any number of KEY=VALUE. A VALUE is a number, true, false, a list or a time in TOML syntax;
    anything else is text. Metadata can change at any time, even if the version is in a stage. Default: the latest
    version.
    """
    options.refuse_both("--artifact", artifact, "--attachment", attachment)
    # A second word without `=` is the version of the model in the first word.
    count = 2 if len(words) > 1 and "@" not in words[0] and "=" not in words[1] else 1
    ref, _ = options.read_reference(words[:count], usage="git model metadata set MODEL@VERSION KEY=VALUE")
    values = options.read_metadata(words[count:])
    if not values and not remove:
        raise UsageError(
            "there is nothing to set", hint=f"for example: git model metadata set {ref.model} accuracy=0.97"
        )
    version = invocation.client.get_version(ref, renumbered=renumbered, for_change=True)
    version.set_metadata(values, remove=remove, artifact=artifact, attachment=attachment)
    of = f"{artifact or attachment} of {version.reference}" if artifact or attachment else version.reference
    done = [f"set {cell_text.commas(values)} of {of}"] if values else []
    done += [f"removed {cell_text.commas(remove)} of {of}"] if remove else []
    print_version(invocation, version, "\n".join(done))


@command("show", group=metadata, example="git model metadata show iris@1")
@options.reference()
@on_file
def show_metadata(invocation: Invocation, ref: VersionRef, artifact: str | None, attachment: str | None) -> None:
    """Show the metadata of a version, artifact or attachment.

    Default: the latest version.
    """
    options.refuse_both("--artifact", artifact, "--attachment", attachment)
    found = invocation.client.resolve(ref)
    of: Mapping[str, Any] = found.record.metadata
    if artifact:
        of = find_artifact(found.record, found.model, artifact).metadata
    elif attachment:
        of = find_attachment(found.record, found.model, attachment).metadata
    if invocation.output.format == "json" and not invocation.output.quiet:
        invocation.output.json(of)
        return
    invocation.output.listing(
        list(of.items()),
        shapes.METADATA,
        fields=lambda item: {"key": item[0], "value": item[1]},
        name=lambda item: item[0],
        columns=(("KEY", lambda item: item[0]), ("VALUE", lambda item: cell_text.tsv_cell(item[1]))),
        empty=f"{found.reference} has no metadata"
        + (f" on {artifact or attachment}" if artifact or attachment else ""),
    )
