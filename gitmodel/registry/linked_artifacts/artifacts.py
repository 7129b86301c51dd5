"""The verbs of artifacts: store a file or folder, link, unlink, fetch, load and verify an artifact."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes import versions as planning
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.changes.purging import Purge, purges
from gitmodel.domain.needed_artifacts import every_version
from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.schema.names import check_name, shown
from gitmodel.domain.schema.portable_paths import file_name_fault
from gitmodel.domain.schema.records import FOLDER_FORMAT, NO_DIGEST, ArtifactLink, Attachment, VersionRecord, check_kind
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, Refused, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.writing.writer import Writer, change_version
from gitmodel.stores.artifacts import fetching, manifests, storing, verifying
from gitmodel.stores.external import external_store as external
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.sources import source_files
from gitmodel.stores.sources.source_credentials import refuse_credentials
from gitmodel.stores.sources.source_pictures import refuse_large_picture
from gitmodel.stores.transfer import Progress, Transfer

T = TypeVar("T", bound=ArtifactLink)
Source = Callable[[str, ArtifactLink], ArtifactStore]
"""Type of a function that returns the store of an artifact of a model."""
Warn = Callable[[str], object]
"""Type of a function that is called with a warning for the user, in one sentence."""


class Verified(Frozen):
    """The result of verifying an artifact: *versions* are the references of the versions that need it, *error* is "" if
    it is intact.

    *unreachable* is True if the store does not answer, so that the state of the artifact is unknown. If *digest* is "",
    the record of the version cannot be read. *uri* is the location of an external artifact. *purged* names the purged
    files, with the reason; a purged file is not an error.
    """

    digest: str
    size: int
    versions: tuple[str, ...]
    error: str = ""
    unreachable: bool = False
    uri: str = ""
    purged: str = ""


class LocalArtifact(NamedTuple):
    """A file or folder to store. If *format* is "", it is detected from the content.

    *needs_trust*: the full names of the classes and functions that a machine must trust before it loads the artifact.
    *file*: the file name to record, by default that of *path*.
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
    """Store the file or folder *given*, and return the link for a version.

    A link into the folder *follow_links* is stored as its target. *warn* is called for file names that Windows
    does not support. Raises NotFound, UsageError, Conflict, Unreachable; Refused if the folder contains a git
    repository or, unless *allow_credentials*, text that looks like a credential.
    """
    from gitmodel import formats

    warn = warn or log_warning
    name, path, kind, format, needs_trust, file = given
    check_name(name, "artifact")
    check_kind(kind)
    check_format(format, folder=path.is_dir())
    read = read_values(metadata or {})
    stored = storing.put_path(
        store,
        path,
        name=name,
        format=format,
        allow_credentials=allow_credentials,
        follow_links=follow_links,
        transfer=transfer,
    )
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
    """Raise UsageError if *format* ("": to be detected) is unknown, or does not suit the file or *folder*."""
    from gitmodel.formats.catalogue import plugins

    if folder and format not in ("", FOLDER_FORMAT) and plugins.find_format(format).is_folder is None:
        raise UsageError(f"a folder cannot have the format {format!a}", hint="leave the format out")
    if not folder and format and (format == FOLDER_FORMAT or plugins.find_format(format).is_folder is not None):
        raise UsageError(f"a file cannot have the format {format}", hint="leave the format out")


def check_sources(given: Sequence[LocalArtifact], *, allow_credentials: bool, follow_links: Path | None) -> None:
    """Check the names, paths, kinds and formats of all artifacts before any is stored.

    Raises the errors of `store_artifact`.
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
    """Read the file at *uri* once and return a link to it, with its hash; the file stays where it is.

    A web server may redirect to its own host and to URLs that are *trusted*.

    With *provider_digest* the file is not read: the link has the SHA-256 that the file's store reports. Raises
    NotFound, UsageError (also if the store reports no SHA-256), Conflict if the file changed while it was read,
    Refused, Unreachable.
    """
    from gitmodel.formats.catalogue import detection

    check_name(name, "artifact")
    check_kind(kind)
    check_format(format, folder=False)
    read = read_values(metadata or {})
    place = external.absolute_uri(uri)
    found = external.look_up(place, trusted=trusted)
    digest: str = found.digest
    head: bytes | None = None
    if not provider_digest:
        digest, _, head = external.read_once(found, trusted=trusted, progress=progress)
    elif not digest:
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
        file=kept_file_name(name, external.file_name_of(place), log_warning),
        metadata=read,
        uri=place,
        version_id=found.version_id or None,
        digest_by="provider" if provider_digest else None,
    )


def check_links(
    writer: Writer,
    ref: VersionRef,
    artifacts: Iterable[tuple[str, str]],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Check, before any is stored, that `link_artifacts` would accept new *artifacts* (names and kinds).

    A name that the version already has is not checked, because the same content may be linked again. Raises the errors
    of `link_artifacts`.
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
    """Link artifacts to a version and return its number. Raises Refused for a version that a stage or alias names."""
    return change_version(writer, ref, planning.plan_links, tuple(links))


def unlink_artifact(writer: Writer, ref: VersionRef, name: str) -> int:
    """Remove an artifact from a version; its bytes stay in the store. Raises NotFound, Refused."""
    return change_version(writer, ref, planning.plan_unlink, name)


def check_attachments(
    writer: Writer, ref: VersionRef, names: Iterable[str], *, metadata: Mapping[str, Any] | None = None
) -> None:
    """Check, before any is stored, that `attach` would accept new attachments with these *names*.

    A name that an attachment of the version already has is not checked, because the same content may be added again.
    """
    found, read = list(names), read_values(metadata or {})
    for name in found:
        check_name(name, "attachment")
    new = [Attachment(name=name, digest=NO_DIGEST, size=0, format="json", metadata=read) for name in found]
    _check_new(writer, ref, new, planning.plan_attachments)


def _check_new(
    writer: Writer, ref: VersionRef, new: list[T], plan: Callable[[Snapshot, str, int, list[T]], Change[int]]
) -> None:
    """Check *plan* for the elements of *new* whose name the version does not have. Raises the errors of *plan*."""

    def planned(snapshot: Snapshot) -> Change[int]:
        model, number, _ = snapshot.resolve_to_change(ref)
        known = {(type(link), link.name) for link in snapshot.version(model, number).links}
        return plan(snapshot, model, number, [link for link in new if (type(link), link.name) not in known])

    writer.check(planned)


def attach(writer: Writer, ref: VersionRef, links: Iterable[ArtifactLink]) -> int:
    """Add attachments with the content of *links* to a version, even if it is in use. Returns the version's number.

    Raises NotFound, Conflict.
    """
    new = [Attachment(**{**vars(link), "kind": Attachment.kind}) for link in links]
    return change_version(writer, ref, planning.plan_attachments, new)


def detach(writer: Writer, ref: VersionRef, name: str) -> int:
    """Remove an attachment from a version; its bytes stay in the store. Raises NotFound."""
    return change_version(writer, ref, planning.plan_detachment, name)


def fetch_artifact(
    store: ArtifactStore,
    link: ArtifactLink,
    target: Path,
    *,
    transfer: Transfer = Transfer(),
    warn: Warn | None = None,
) -> None:
    """Verify the artifact and write it to *target*.

    Leaves out files that would make the folder a git repository, and calls *warn*. Raises Invalid, NotFound,
    Unreachable.
    """
    if link.is_folder:
        left_out = fetching.get_folder(store, link.digest, target, size=link.size, transfer=transfer)
        if left_out:
            (warn or log_warning)(
                f"{link.name} holds a git repository, whose config can run commands: "
                f"{_first(left_out)} {'was' if len(left_out) == 1 else 'were'} verified and not written"
            )
    else:
        fetching.get_file(store, link.digest, target, size=link.size, progress=transfer.progress)


def target_of(link: ArtifactLink, target: Path) -> Path:
    """Return the path to which the artifact is written. If *target* is a folder, a file keeps its name in this folder.

    Raises UsageError if the folder has a file of this name: the record and not the user chose the name, so the file
    must not be overwritten.
    """
    if link.is_folder or not target.is_dir():
        return target
    place = target / link.file_name
    if os.path.lexists(place):
        raise UsageError(f"{place} already exists", hint="to overwrite it, name that file, or choose another path")
    return place


def fetch_file(
    store: ArtifactStore, link: ArtifactLink, name: str, target: Path, *, progress: Progress | None = None
) -> ManifestEntry:
    """Verify the file *name* of a folder artifact and write it to *target*; the other files are not fetched.

    Raises UsageError if the artifact is not a folder, NotFound if it has no file of this name, and the errors of
    `fetch_artifact`.
    """
    if not link.is_folder:
        raise UsageError(f"{link.name} is one file, not a folder of files", hint="leave --file out")
    return fetching.get_member(store, link.digest, name, target, progress=progress)


def list_files(store: ArtifactStore, link: ArtifactLink) -> tuple[ManifestEntry, ...]:
    """Return the files of a folder artifact, sorted by path. Raises UsageError if the artifact is one file."""
    if not link.is_folder:
        raise UsageError(f"{link.name} is one file, not a folder of files", hint="get it without naming a file")
    return manifests.members_of(store, link.digest, link.size)


def open_file(store: ArtifactStore, link: ArtifactLink, file: str) -> BinaryIO:
    """Open an artifact that is one file, or the *file* of a folder artifact. The reader verifies the bytes.

    Raises UsageError for a folder without *file* or one file with *file*, NotFound if the folder lacks *file*.
    """
    if not file and not link.is_folder:
        return store.open(link.digest, link.size)
    if not file:
        raise UsageError(f"{link.name} is a folder", hint="use .path(), or .open(FILE) with the path of a file in it")
    entry = manifests.find_member(list_files(store, link), file)
    return store.open(entry.digest, entry.size)


def own_name(path: Path) -> str:
    """Return the name of the file or folder at *path*, even for a path like `.`.

    A link has its own name, not its target's.
    """
    return os.path.basename(os.path.abspath(path))


def kept_file_name(name: str, file: str, warn: Warn) -> str | None:
    """Return the file name to record; None, after a warning, if some systems do not support *file* as a name."""
    fault = file_name_fault(file)
    if not fault:
        return file
    warn(f"{name} does not keep the name {shown(file)} of its file: {fault}; it is written as {name}")
    return None


def told_unportable(name: str, unportable: Sequence[str]) -> str:
    """Return the warning that Windows does not support the *unportable* paths in the folder *name*."""
    return f"Windows does not support some names in {name}: {_first(unportable)}"


def told_needs_trust(name: str, names: Sequence[str]) -> str:
    """Return the warning that loading the artifact *name* needs *names* to be trusted."""
    return f"{name} loads only after `git model formats trust {' '.join(names)}`, in each clone that loads it"


def told_pickled(name: str, format: str) -> str:
    """Return the warning that *name* is stored in a *format* that runs code, because no other format can store it."""
    return f"{name} is stored as {format}, because no other format keeps it: it loads only with trusted=True"


def log_warning(message: str) -> None:
    """Log a warning. This is the default of *warn*."""
    import logging

    logging.getLogger("gitmodel").warning("%s", message)


def _first(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(path if path.isprintable() else ascii(path) for path in paths[:3]) + more


def only_artifact(record: VersionRecord, model: str, name: str | None) -> ArtifactLink:
    """Return the artifact *name*; if *name* is None, the only artifact. Raises NotFound, UsageError."""
    if name is not None:
        return planning.artifact(record, model, name)
    models = [link for link in record.artifacts if link.kind == "model"] or list(record.artifacts)
    if len(models) == 1:
        return models[0]
    if not models:
        raise UsageError(f"{model}@{record.number} has no artifacts", hint="link one with `git model link`")
    names = ", ".join(link.name for link in record.artifacts)
    raise UsageError(f"{model}@{record.number} has several artifacts", hint=f"name one of: {names}")


def verify(
    writer: Writer,
    source: Source,
    refs: Iterable[VersionRef] = (),
    *,
    transfer: Transfer = Transfer(),
) -> Iterator[Verified]:
    """Hash every artifact that the versions *refs* need (no *refs*: all versions of all models), each once.

    Versions whose records cannot be read come first, without a digest, because their artifacts are unknown.
    """
    asked = tuple(refs)
    needed, damaged, gone = writer.read(lambda snapshot: (*_needed(snapshot, asked), purges(snapshot)))
    yield from damaged
    for link, versions in needed.values():
        found = Verified(link.digest, link.size, tuple(versions), uri=link.uri or "")
        if link.digest in gone and not link.is_external:
            yield replace(found, purged=str(gone[link.digest]))
            continue
        try:
            place = source(versions[0].partition("@")[0], link)
            yield replace(found, purged=_verify(place, link, gone, transfer))
        except Refused as error:
            if not link.is_external:
                raise
            yield replace(found, error=error.message, unreachable=True)
        except GitModelError as error:
            yield replace(found, error=error.message, unreachable=isinstance(error, Unreachable))


def _verify(place: ArtifactStore, link: ArtifactLink, gone: Mapping[str, Purge], transfer: Transfer) -> str:
    """Hash the files of an artifact, except purged files; return the purged files as text."""
    if not link.is_folder:
        verifying.verify_file(place, link.digest, size=link.size, progress=transfer.progress)
        return ""
    verifying.verify_folder(place, link.digest, size=link.size, without=gone, transfer=transfer)
    entries = manifests.manifest_of(place, link.digest) if gone else ()
    return "; ".join(f"{entry.path}: {gone[entry.digest]}" for entry in entries if entry.digest in gone)


_Needed = dict[tuple[object, ...], tuple[ArtifactLink, list[str]]]


def _needed(snapshot: Snapshot, asked: Iterable[VersionRef]) -> tuple[_Needed, list[Verified]]:
    needed: _Needed = {}
    damaged: list[Verified] = []
    for reference, record in _asked(snapshot, asked):
        if isinstance(record, Invalid):
            damaged.append(Verified("", 0, (reference,), record.message))
            continue
        for link in record.links:
            key = (link.digest, link.is_folder, link.uri, link.version_id)
            needed.setdefault(key, (link, []))[1].append(reference)
    return needed, damaged


def _asked(snapshot: Snapshot, asked: Iterable[VersionRef]) -> Iterator[tuple[str, VersionRecord | Invalid]]:
    refs = tuple(asked)
    for ref in refs:
        model, number = snapshot.resolve(ref)
        yield f"{model}@{number}", snapshot.version(model, number)
    if not refs:
        for model in snapshot.model_names():
            yield from every_version(snapshot, model)
