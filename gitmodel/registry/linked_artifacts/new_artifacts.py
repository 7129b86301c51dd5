"""Links to new artifacts of a version: stored files and folders, external files, and objects that a store has."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.digests import parse_digest
from gitmodel.domain.schema.names import check_name, shown
from gitmodel.domain.schema.portable_paths import file_name_fault
from gitmodel.domain.schema.record_values import FOLDER_FORMAT, check_kind
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.registry.linked_artifacts.artifact_warnings import Warn, first_paths, log_warning
from gitmodel.stores.artifacts import storing
from gitmodel.stores.artifacts.copying import keep_artifact
from gitmodel.stores.artifacts.manifests import manifest_of
from gitmodel.stores.external import external_store as external
from gitmodel.stores.interface import ArtifactStore, where_else
from gitmodel.stores.sources import source_files
from gitmodel.stores.sources.source_credentials import refuse_credentials
from gitmodel.stores.sources.source_pictures import refuse_large_picture
from gitmodel.stores.transfer import Progress, Transfer

_HEAD = 1 << 16  # the format of a file is detected from this many bytes at its start


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

    Stores the content of a file instead of a symbolic link to it. Links in a folder may lead to files in this folder,
    and to files and folders in *follow_links*. If the path itself is a link, it may lead anywhere, but if
    *follow_links* is given, only into *follow_links*. Calls *warn* with each warning, for example about file names that
    Windows does not support.

    Raises NotFound if the path does not exist; UsageError for a link that leads elsewhere, or a file that cannot be
    stored; Conflict if a file changed while it was read; Refused if the path is or contains a git repository, or
    contains text that looks like a credential and *allow_credentials* is False; Unreachable if the store does not
    answer.
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
        warn(f"Windows does not support some names in {name}: {first_paths(stored.unportable)}")
    detected = FOLDER_FORMAT if stored.folder else format or formats.detect_format(path)
    if needs_trust:
        warn(f"{name} loads only after `git model formats trust {' '.join(needs_trust)}`, in each clone that loads it")
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=stored.digest,
        size=stored.size,
        format=detected,
        needs_trust=tuple(needs_trust),
        file=_kept_file_name(name, file or os.path.basename(os.path.abspath(path)), warn),  # path can be "."
        metadata=read,
    )


def check_format(format: str, *, folder: bool) -> None:
    """Raise UsageError if *format* is unknown, or is not a format of folders (if *folder*) or files (if not).

    Accepts the format "", which means that gitmodel detects the format.
    """
    from gitmodel.formats.catalogue import plugins

    if folder and format not in ("", FOLDER_FORMAT) and plugins.find_format(format).is_folder is None:
        raise UsageError(f"a folder cannot have the format {format!a}", hint="leave the format out")
    if not folder and format and (format == FOLDER_FORMAT or plugins.find_format(format).is_folder is not None):
        raise UsageError(f"a file cannot have the format {format}", hint="leave the format out")


def check_sources(given: Sequence[LocalArtifact], *, allow_credentials: bool, follow_links: Path | None) -> None:
    """Raise the errors of `store_artifact` for wrong names, kinds and paths of all artifacts *given*.

    Callers call this before they store the first of them. If *given* has several artifacts and *allow_credentials* is
    False, also searches their content for credentials. *follow_links* is as in `store_artifact`.
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
    format: str,
    metadata: Mapping[str, Any] | None,
    provider_digest: bool,
    trusted: Sequence[str],
    progress: Progress | None,
) -> ArtifactLink:
    """Return a link to the external file at *uri* with its digest, for which this function reads the file once.

    If *provider_digest* is True, does not read the file: the link has the SHA-256 that the server of the file reports.
    A web server may redirect to its own host and to URLs that are *trusted*. Raises NotFound if there is no file,
    UsageError for invalid arguments or if the server reports no SHA-256, Conflict if the file changed while it was
    read, Refused if a server denies access or redirects to another URL, Unreachable.
    """
    from gitmodel.formats.catalogue import detection

    check_name(name, "artifact")
    check_kind(kind)
    check_format(format, folder=False)
    read = read_values(metadata or {})
    place = external.absolute_uri(uri)
    found = external.look_up(place, trusted=trusted)
    if not provider_digest:
        digest, _, head = external.read_once(found, trusted=trusted, progress=progress)
    elif found.digest:
        digest, head = found.digest, None
    else:
        raise UsageError(
            f"the store has no SHA-256 of the whole object {place}",
            hint="leave the option out, so that the object is read and hashed",
        )
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=digest,
        size=found.size,
        format=format or detection.detect_format_of(head, place),
        file=_kept_file_name(name, external.file_name_of(place), log_warning),
        metadata=read,
        uri=place,
        version_id=found.version_id or None,
        digest_by="provider" if provider_digest else None,
    )


def describe_stored(
    store: ArtifactStore,
    name: str,
    digest: str,
    *,
    kind: str,
    format: str,
    file: str,
    metadata: Mapping[str, Any] | None,
) -> ArtifactLink:
    """Return a link to the object *digest*, which *store* has.

    If *format* is "folder", the object is the manifest of a folder, otherwise a file. *file* is the file name to record
    ("": none). If *format* is "", gitmodel detects the format from *file* and the content. Renews the timestamp of an
    old object, so that `store gc` keeps it until a commit names it. Raises NotFound if the store lacks the object or a
    file of the folder, UsageError for an invalid digest, name, kind or format.
    """
    from gitmodel.formats.catalogue.detection import detect_format_of

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
        if not format:
            with store.open(digest) as reader:
                format = detect_format_of(reader.read(_HEAD), file)
    return ArtifactLink(
        name=name,
        kind=kind,
        digest=digest,
        size=size,
        format=format,
        file=_kept_file_name(name, file, log_warning) if file else None,
        metadata=read_values(metadata or {}),
    )


def _kept_file_name(name: str, file: str, warn: Warn) -> str | None:
    """Return *file* to record it as the file name of the artifact *name*.

    If some systems do not support this name, calls *warn* and returns None, so that no file name is recorded.
    """
    fault = file_name_fault(file)
    if not fault:
        return file
    warn(f"{name} does not keep the name {shown(file)} of its file: {fault}; it is written as {name}")
    return None
