"""Linking artifacts and attachments to a version, and removing the links."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes import versions as planning
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.record_values import NO_DIGEST, check_kind
from gitmodel.domain.schema.records import ArtifactLink, Attachment, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import UsageError
from gitmodel.registry.writing.writer import Writer, change_version

T = TypeVar("T", bound=ArtifactLink)


def check_links(
    writer: Writer, ref: VersionRef, artifacts: Iterable[tuple[str, str]], *, metadata: Mapping[str, Any] | None
) -> None:
    """Check that `link_artifacts` would accept new *artifacts*, pairs of a name and a kind, all with *metadata*.

    Callers call this before they store the artifacts. Ignores artifacts whose names the version already has: it accepts
    them if their content is the same, which is not known yet. Raises the errors of `link_artifacts`, and UsageError for
    an invalid name, kind or metadata.
    """
    found, read = list(artifacts), read_values(metadata or {})
    for name, kind in found:
        check_name(name, "artifact")
        check_kind(kind)
    links = [
        ArtifactLink(name=name, kind=kind, digest=NO_DIGEST, size=0, format="json", metadata=read)
        for name, kind in found
    ]
    _check_new(writer, ref, links, planning.plan_links)


def link_artifacts(writer: Writer, ref: VersionRef, links: Iterable[ArtifactLink]) -> int:
    """Link artifacts to a version, and return its number.

    Raises Conflict if the version has an attachment, or an artifact with other content, under one of the names; Refused
    if a stage or alias names the version.
    """
    return change_version(writer, ref, planning.plan_links, tuple(links))


def unlink_artifact(writer: Writer, ref: VersionRef, name: str) -> int:
    """Remove the artifact *name* from a version.

    Raises NotFound if the version has no such artifact, Refused if a stage or alias names the version.
    """
    return change_version(writer, ref, planning.plan_unlink, name)


def check_attachments(
    writer: Writer, ref: VersionRef, names: Iterable[str], *, metadata: Mapping[str, Any] | None
) -> None:
    """Check that `attach` would accept new attachments with these *names*, as `check_links` does for artifacts."""
    found, read = list(names), read_values(metadata or {})
    for name in found:
        check_name(name, "attachment")
    new = [Attachment(name=name, digest=NO_DIGEST, size=0, format="json", metadata=read) for name in found]
    _check_new(writer, ref, new, planning.plan_attachments)


def _check_new(
    writer: Writer, ref: VersionRef, new: list[T], plan: Callable[[Snapshot, str, int, list[T]], Change[int]]
) -> None:
    """Raise the errors that *plan* raises for those links in *new* whose names the version *ref* lacks."""

    def planned(snapshot: Snapshot) -> Change[int]:
        model, number, _ = snapshot.resolve_to_change(ref)
        known = {(type(link), link.name) for link in snapshot.version(model, number).links}
        return plan(snapshot, model, number, [link for link in new if (type(link), link.name) not in known])

    writer.check(planned)


def attach(writer: Writer, ref: VersionRef, links: Iterable[ArtifactLink]) -> int:
    """Add *links*, of any kind, to a version as attachments, even if a stage or alias names the version.

    Returns the number of the version. Raises NotFound if the version does not exist, Conflict if it has an artifact, or
    an attachment with other content, under one of the names.
    """
    new = [Attachment(**{**vars(link), "kind": Attachment.kind}) for link in links]
    return change_version(writer, ref, planning.plan_attachments, new)


def detach(writer: Writer, ref: VersionRef, name: str) -> int:
    """Remove an attachment from a version. Raises NotFound if the version has no such attachment."""
    return change_version(writer, ref, planning.plan_detachment, name)


def only_artifact(record: VersionRecord, model: str, name: str | None) -> ArtifactLink:
    """Return the artifact *name* of the version of *model* that has *record*.

    If *name* is None, returns the only artifact of the kind `model`, or the only artifact if none has this kind. Raises
    NotFound if there is no artifact *name*, UsageError if *name* is None and there are no or several such artifacts.
    """
    if name is not None:
        return planning.artifact(record, model, name)
    models = [link for link in record.artifacts if link.kind == "model"] or list(record.artifacts)
    if len(models) == 1:
        return models[0]
    if not models:
        raise UsageError(f"{model}@{record.number} has no artifacts", hint="link one with `git model link`")
    names = ", ".join(link.name for link in record.artifacts)
    raise UsageError(f"{model}@{record.number} has several artifacts", hint=f"name one of: {names}")
