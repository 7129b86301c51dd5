"""Storing a file or folder, and describing an external file, before a version links it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.names import check_name, shown
from gitmodel.domain.schema.portable_paths import file_name_fault
from gitmodel.domain.schema.record_values import FOLDER_FORMAT, check_kind
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import UsageError
from gitmodel.registry.linked_artifacts.artifact_warnings import Warn, log_warning, told_needs_trust, told_unportable
from gitmodel.stores.artifacts import storing
from gitmodel.stores.external import external_store as external
from gitmodel.stores.interface import ArtifactStore, External
from gitmodel.stores.sources import source_files
from gitmodel.stores.sources.source_credentials import refuse_credentials
from gitmodel.stores.sources.source_pictures import refuse_large_picture
from gitmodel.stores.transfer import Progress, Transfer


class LocalArtifact(NamedTuple):
    """A file or folder to store. If *format* is "", gitmodel detects the format from the content.

    *needs_trust* are the full names of the classes and functions that a machine must trust before it loads the
    artifact. *file* is the file name to record, by default the name of *path*.
    """

    name: str
    path: Path
    kind: str
    format: str = ""
    needs_trust: Sequence[str] = ()
    file: str | None = None


def store_artifact(
    store: ArtifactStore,
    given: LocalArtifact,
    *,
    metadata: Mapping[str, Any] | None = None,
    allow_credentials: bool = False,
    follow_links: Path | None = None,
    transfer: Transfer = Transfer(),
    warn: Warn | None = None,
) -> ArtifactLink:
    """Store the file or folder *given*, and return a link to it for the record of a version.

    If a symbolic link leads to a file in the folder *follow_links*, the content of that file is stored. *warn* is
    called with each warning, for example about file names that Windows does not support. Raises NotFound if the path
    does not exist, UsageError if the file cannot be stored, Conflict if a file changed while it was read, Unreachable;
    Refused if the path is or contains a git repository or, unless *allow_credentials* is True, text that looks like a
    credential.
    """
    from gitmodel import formats

    warn = warn or log_warning
    name, path, kind, format, needs_trust, file = given
    check_name(name, "artifact")
    check_kind(kind)
    check_format(format, folder=path.is_dir())
    read = read_values(metadata or {})
    stored = storing.put_path(
        store, path, name=name, format=format,
        allow_credentials=allow_credentials, follow_links=follow_links, transfer=transfer,
    )  # fmt: skip
    if stored.unportable:
        warn(told_unportable(name, stored.unportable))
    detected = FOLDER_FORMAT if stored.folder else format or formats.detect_format(path)
    if needs_trust:
        warn(told_needs_trust(name, needs_trust))
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=stored.digest,
        size=stored.size,
        format=detected,
        needs_trust=tuple(needs_trust),
        file=kept_file_name(name, file or own_name(path), warn),
        metadata=read,
    )


def check_format(format: str, *, folder: bool) -> None:
    """Raise UsageError if *format* is unknown, or does not suit the file, or the folder if *folder* is True.

    The format "" is always accepted: gitmodel detects the format later.
    """
    from gitmodel.formats.catalogue import plugins

    if folder and format not in ("", FOLDER_FORMAT) and plugins.find_format(format).is_folder is None:
        raise UsageError(f"a folder cannot have the format {format!a}", hint="leave the format out")
    if not folder and format and (format == FOLDER_FORMAT or plugins.find_format(format).is_folder is not None):
        raise UsageError(f"a file cannot have the format {format}", hint="leave the format out")


def check_sources(given: Sequence[LocalArtifact], *, allow_credentials: bool, follow_links: Path | None) -> None:
    """Check the names, kinds and paths of all artifacts *given*. Callers do this before they store the first of them.

    If there are several artifacts and *allow_credentials* is False, also searches all of them for credentials. Links
    may lead to the folder *follow_links*. Raises the errors of `store_artifact`.
    """
    for each in given:
        check_name(each.name, "artifact")
        check_kind(each.kind)
        source_files.refuse_git(each.path, follow_links)
        refuse_large_picture(each.path, each.name, each.format)
    if len(given) > 1 and not allow_credentials:  # `store_artifact` searches a single artifact
        for each in given:
            refuse_credentials(each.path, each.name, follow_links)


def describe_external(
    name: str,
    uri: str,
    *,
    kind: str,
    format: str = "",
    metadata: Mapping[str, Any] | None = None,
    provider_digest: bool = False,
    trusted: Sequence[str] = (),
    progress: Progress | None = None,
) -> ArtifactLink:
    """Read the file at *uri* once and return a link to it, with its digest; the file stays where it is.

    A web server may redirect to its own host and to URLs that are *trusted*.

    If *provider_digest* is True, the file is not read: the link has the SHA-256 that the store of the file reports.
    Raises NotFound if there is no file, UsageError for invalid arguments or if the store reports no SHA-256, Conflict
    if the file changed while it was read, Refused if a server denies access or redirects to another URL, Unreachable.
    """
    from gitmodel.formats.catalogue import detection

    check_name(name, "artifact")
    check_kind(kind)
    check_format(format, folder=False)
    read = read_values(metadata or {})
    place = external.absolute_uri(uri)
    found = external.look_up(place, trusted=trusted)
    if provider_digest:
        digest, head = _provider_digest(found, place), None
    else:
        digest, _, head = external.read_once(found, trusted=trusted, progress=progress)
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=digest,
        size=found.size,
        format=format or detection.detect_format_of(head, place),
        file=kept_file_name(name, external.file_name_of(place), log_warning),
        metadata=read,
        uri=place,
        version_id=found.version_id or None,
        digest_by="provider" if provider_digest else None,
    )


def _provider_digest(found: External, place: str) -> str:
    """Return the SHA-256 that the store of the file at *place* reports. Raises UsageError if it reports none."""
    if not found.digest:
        raise UsageError(
            f"the store has no SHA-256 of the whole object {place}",
            hint="leave the option out, so that the object is read and hashed",
        )
    return found.digest


def own_name(path: Path) -> str:
    """Return the name of the file or folder at *path*, even for a path like `.`.

    For a symbolic link, this is the name of the link, not the name of its target.
    """
    return os.path.basename(os.path.abspath(path))


def kept_file_name(name: str, file: str, warn: Warn) -> str | None:
    """Return *file*, the file name to record for the artifact *name*.

    If some systems do not support *file* as a name, calls *warn* and returns None: then no file name is recorded.
    """
    fault = file_name_fault(file)
    if not fault:
        return file
    warn(f"{name} does not keep the name {shown(file)} of its file: {fault}; it is written as {name}")
    return None
