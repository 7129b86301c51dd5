"""Links to artifacts that a store has already, by digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.digests import parse_digest
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.record_values import FOLDER_FORMAT, check_kind
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.registry.linked_artifacts.artifact_warnings import log_warning
from gitmodel.registry.linked_artifacts.new_artifacts import check_format, kept_file_name
from gitmodel.stores.artifacts.copying import keep_artifact
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.interface import ArtifactStore, where_else

_HEAD = 1 << 16  # bytes from which the format of a file is detected


def describe_stored(
    store: ArtifactStore,
    name: str,
    digest: str,
    *,
    kind: str,
    format: str = "",
    file: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> ArtifactLink:
    """Return a link to the object *digest*, which *store* has.

    Renews the timestamp of an old object, so that `store gc` keeps it until a commit names it. The object is a folder
    only if *format* is "folder". *file* is the file name to record; "": none. Raises NotFound if the store lacks the
    object or a file of the folder, UsageError for an invalid digest, name, kind or format.
    """
    check_name(name, "artifact")
    check_kind(kind)
    is_folder = format == FOLDER_FORMAT
    check_format(format, folder=is_folder)
    try:
        parse_digest(digest)
    except Invalid as error:
        raise UsageError(error.message, hint="`git model version artifacts MODEL@VERSION` shows digests") from None
    if not keep_artifact(store, digest, folder=is_folder):
        raise NotFound(f"the artifact store does not have {digest}", hint=where_else(store.url, shared=store.shared))
    if is_folder:
        entries = manifest_of(store, digest)
        for entry in entries:
            if not store.holds(entry.digest):
                raise NotFound(
                    f"the artifact store does not have {entry.digest}, which the folder {digest} needs",
                    hint=where_else(store.url, shared=store.shared),
                )
        size = sum(entry.size for entry in entries)
    else:
        size = store.size(digest)
        format = format or _detected(store, digest, file)
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=digest,
        size=size,
        format=format,
        file=kept_file_name(name, file, log_warning) if file else None,
        metadata=read_values(metadata or {}),
    )


def _detected(store: ArtifactStore, digest: str, file: str) -> str:
    """Detect the format of the object *digest* from its first bytes and the file name *file*."""
    from gitmodel.formats.catalogue.detection import detect_format_of

    with store.open(digest) as reader:
        return detect_format_of(reader.read(_HEAD), file)
