"""The command resolve. A separate module, so that it starts fast: scripts and shell prompts run it often."""

from __future__ import annotations

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.version_view import note_frozen
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.views.artifact_fields import artifact_fields


@command(example="git model resolve iris@production")
@options.reference()
@options.at
def resolve(invocation: Invocation, ref: VersionRef) -> None:
    """Print the version that a reference stands for.

    The output is MODEL@NUMBER; --format json adds the digests of the artifacts.
    """
    found = invocation.client.resolve(ref)
    record, frozen = found.record, found.frozen or None
    artifacts = [artifact_fields(link) for link in record.artifacts]
    fields = shapes.RESOLVED.of(found, number=record.number, name=record.name, artifacts=artifacts, frozen=frozen)
    invocation.output.outcome(found.reference, shapes.RESOLVED, fields, name=found.reference)
    note_frozen(invocation, found.frozen)
