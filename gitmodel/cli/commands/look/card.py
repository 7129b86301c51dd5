"""The command that writes a model card: card."""

from __future__ import annotations

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.domain.schema.references import VersionRef


@command(example="git model card iris@production")
@options.reference()
def card(invocation: Invocation, ref: VersionRef) -> None:
    """Print the model card of a version.

    A model card is Markdown with the YAML header that model hubs read: license, tags, datasets, metrics, base model.
    The card is generated only from the records of the model and the version, so the same version always gives the same
    bytes.
    """
    version = invocation.client.get_version(ref)
    text = version.card()
    if invocation.output.format == "table" and not invocation.output.quiet:
        invocation.output.text(text)
    else:
        fields = {"reference": version.reference, "card": text}
        invocation.output.outcome(text, shapes.CARD, fields, name=version.reference)
