"""The fields of an artifact in JSON. Pure."""

from __future__ import annotations

from typing import Any

from gitmodel.domain.schema.records import ArtifactLink


def artifact_fields(link: ArtifactLink, run: str | None = None) -> dict[str, Any]:
    """Return the fields of an artifact link for JSON, with the id of the *run* that made the artifact, if known."""
    return {
        "name": link.name,
        "kind": link.kind,
        "digest": link.digest,
        "size": link.size,
        "format": link.format,
        "pipeline": link.pipeline,
        "step": link.step,
        "run": run,
        "uri": link.uri,
        "version_id": link.version_id,
        "digest_by": link.digest_by,
        "needs_trust": list(link.needs_trust),
        "file": link.file,
        "metadata": dict(link.metadata),
    }
