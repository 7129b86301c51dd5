"""Store files, or describe external ones, and record them in a version. Imported only for writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gitmodel.client.by_url import content_key
from gitmodel.client.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.models import read_words
from gitmodel.domain.schema.names import check_version_name
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.errors import UsageError
from gitmodel.registry import artifacts, versions
from gitmodel.registry.artifacts import Warn
from gitmodel.registry.versions import Made
from gitmodel.stores.interface import Transfer
from gitmodel.stores.source_files import links_root

Given = tuple[str, ArtifactSource, str]
"""Name, source and kind of an artifact. The source of an external one is a URI."""
LinksRoot = str | os.PathLike[str] | None
"""The folder to which symbolic links may lead; None for no other than their own."""
TransferOf = Callable[[str], Transfer]
"""Returns the options of the transfer of the artifact of that name."""


def transfer_of(jobs: int, progress: Callable[[str, int, int], None] | None) -> TransferOf:
    """Return a function from the name of an artifact to the options of its transfer."""
    return lambda name: Transfer(jobs, partial(progress, name) if progress is not None else None)


class Source(NamedTuple):
    """A file or folder to store, with the format in which gitmodel saved an object ("": to be detected).

    Loading the object needs the names *needs_trust* to be trusted. *file* is the name to record for its file.
    """

    name: str
    path: Path
    kind: str
    format: str
    needs_trust: Sequence[str] = ()
    file: str | None = None


def by_kind(
    *, data: ArtifactSources | None, model: ArtifactSources | None, deployment: ArtifactSources | None
) -> list[Given]:
    """Return name, source and kind of all artifacts, from a mapping of names to sources for each kind."""
    kinds = (("data", data), ("model", model), ("deployment", deployment))
    return [(name, source, kind) for kind, sources in kinds for name, source in (sources or {}).items()]


def is_path(source: Any) -> bool:
    """Return True if *source* is a path or URI; False if it is an object to be saved."""
    return isinstance(source, (str, os.PathLike))


@contextmanager
def _files(
    opened: OpenRegistry, given: Sequence[Given], formats: Mapping[str, str], warn: Warn | None
) -> Iterator[list[Source]]:
    """Yield the artifacts *given* as files, after saving the objects among them in a temporary folder.

    Raises UsageError if no format keeps an object as it is.
    """
    pickle = not all(is_path(source) for _, source, _ in given) and opened.allows_pickle()
    with TemporaryDirectory(prefix="gitmodel-") as folder:
        found = []
        for index, (name, source, kind) in enumerate(given):
            format = formats.get(name, "")
            if is_path(source):
                found.append(Source(name, Path(source), kind, format))
                continue
            # imported here because only objects need them
            from gitmodel.formats import materializers, trust
            from gitmodel.formats.catalogue.detection import PICKLES

            path = Path(folder, str(index))
            allow_pickle = f"use version.link_artifact({name!r}, value, format='pickle')"
            with trust.noting() as names:
                used, _, saver = materializers.save(
                    source,
                    path,
                    f"artifact {name}",
                    format,
                    pickle=pickle,
                    allow_pickle=allow_pickle,
                )
                if not format and used in PICKLES:
                    (warn or artifacts.log_warning)(artifacts.told_pickled(name, used))
                file = materializers.file_name(name, used, saver)
                found.append(Source(name, path, kind, used, names(), file))
        yield found


def create_version(
    opened: OpenRegistry,
    chosen: ModelRef,
    model: str,
    *,
    name: str | None,
    description: str,
    tags: Iterable[str],
    metadata: Mapping[str, Any],
    given: Sequence[Given],
    formats: Mapping[str, str],
    key: str | None,
    follow_links: LinksRoot,
    transfer: TransferOf,
    warn: Warn | None,
) -> Made:
    """Create a version of *chosen*, whose current name is *model*, from files and folders.

    Returns an existing version that was created with the idempotency *key*. "" means no key; None means the key of the
    CI job.
    """
    if name is not None:
        check_version_name(name)
    known = versions.find_keyed(opened.writer, chosen, key) if key else None
    if known is not None:
        since = opened.repository.renumberings().count
        return Made(VersionRef(model, str(known), since=since), new=False)
    words, values = read_words(tags), read_values(metadata)
    if key or not opened.job:  # the job may already have created this version
        chosen = versions.check_creation(
            opened.writer,
            chosen,
            name=name,
            description=description,
            tags=words,
            metadata=values,
            artifacts=[(artifact, kind) for artifact, _, kind in given],
        )
    opened.check_code()
    links = store_given(opened, model, given, formats=formats, follow_links=follow_links, transfer=transfer, warn=warn)
    code = opened.record_code()
    content = (model, name, description, words, values, links, code)
    return versions.make_version(
        opened.writer,
        chosen,
        name=name,
        description=description,
        tags=words,
        metadata=values,
        artifacts=links,
        code=code,
        key=key if key is not None else opened.job_key(lambda: content_key(*content)),
    )


def store_links(
    opened: OpenRegistry,
    ref: VersionRef,
    model: str,
    given: Sequence[Given],
    *,
    formats: Mapping[str, str],
    metadata: Mapping[str, Any] | None = None,
    follow_links: LinksRoot = None,
    transfer: TransferOf,
    warn: Warn | None = None,
) -> list[ArtifactLink]:
    """Store the artifacts *given* for the version *ref* of *model*, and return their links.

    Stores nothing if the version cannot take the links. Returns no links if an artifact cannot be stored.
    """
    said = read_values(metadata or {})
    names = [(name, kind) for name, _, kind in given]
    _check_formats(given, formats)
    artifacts.check_links(opened.writer, ref, names, metadata=said)
    return store_given(
        opened,
        model,
        given,
        formats=formats,
        metadata=said,
        follow_links=follow_links,
        transfer=transfer,
        warn=warn,
    )


def store_attachments(
    opened: OpenRegistry,
    ref: VersionRef,
    model: str,
    given: Mapping[str, ArtifactSource],
    *,
    formats: Mapping[str, str],
    metadata: Mapping[str, Any] | None = None,
    follow_links: LinksRoot = None,
    transfer: TransferOf,
    warn: Warn | None = None,
) -> list[ArtifactLink]:
    """Store the attachments *given* for the version *ref* of *model*, and return links to them.

    Stores nothing if the version cannot have them.
    """
    said = read_values(metadata or {})
    artifacts.check_attachments(opened.writer, ref, given, metadata=said)
    return store_given(
        opened,
        model,
        [(name, source, "data") for name, source in given.items()],
        formats=formats,
        metadata=said,
        follow_links=follow_links,
        transfer=transfer,
        warn=warn,
    )


def store_given(
    opened: OpenRegistry,
    model: str,
    given: Sequence[Given],
    *,
    formats: Mapping[str, str],
    metadata: Mapping[str, Any] | None = None,
    follow_links: LinksRoot = None,
    transfer: TransferOf,
    warn: Warn | None = None,
    check: Callable[[Source, Any, Path | None], None] | None = None,
) -> list[ArtifactLink]:
    """Store the artifacts *given* in the store of *model* ("": the default store), and return their links.

    *check* is called for each file to be stored, with its value or path as given and the folder *follow_links*, before
    the first is stored. Symbolic links to files or folders in *follow_links* count as these.
    """
    _check_formats(given, formats)
    root = links_root(follow_links) if follow_links is not None else None
    with _files(opened, given, formats, warn) as files:
        _check_sources(opened, files, root)
        if check is not None:
            for each, (_, value, _) in zip(files, given, strict=True):
                check(each, value, root)
        return _store(opened, model, files, metadata=metadata, follow_links=root, transfer=transfer, warn=warn)


def describe_links(
    opened: OpenRegistry,
    ref: VersionRef,
    given: Sequence[Given],
    *,
    formats: Mapping[str, str],
    metadata: Mapping[str, Any] | None = None,
    provider_digest: bool = False,
    transfer: TransferOf,
) -> list[ArtifactLink]:
    """Hash the external artifacts *given* for the version *ref* in place, and return their links."""
    said = read_values(metadata or {})
    names = [(name, kind) for name, _, kind in given]
    for name, uri, _ in given:
        if not is_path(uri):
            raise UsageError(
                f"the external artifact {name} needs a URI, not an object", hint="leave out external=True to store it"
            )
    _check_formats([(name, "", kind) for name, _, kind in given], formats)
    artifacts.check_links(opened.writer, ref, names, metadata=said)
    links = []
    for name, uri, kind in given:
        link = artifacts.describe_external(
            name,
            os.fspath(uri),
            kind=kind,
            format=formats.get(name, ""),
            metadata=said,
            provider_digest=provider_digest,
            trusted=opened.access.trusted(),
            progress=transfer(name).progress,
        )
        opened.access.trust_place(link.uri or "")
        links.append(link)
    return links


def _check_formats(given: Sequence[Given], formats: Mapping[str, str]) -> None:
    """Raise UsageError if *formats* names an artifact that is not *given*, or a format that it cannot have."""
    from gitmodel.formats.catalogue.plugins import find_format  # imported here because few artifacts need it

    sources = {name: source for name, source, _ in given}
    for name, format in formats.items():
        if name not in sources:
            raise UsageError(
                f"there is no artifact {name!a} for the format {format}", hint=f"the names are {', '.join(sources)}"
            )
        source = sources[name]
        if not is_path(source):
            find_format(format)
        else:
            artifacts.check_format(format, folder=bool(source) and Path(source).is_dir())


def _check_sources(opened: OpenRegistry, files: Iterable[Source], follow_links: Path | None) -> None:
    found = ((each.name, each.path, each.kind, each.format) for each in files)
    allow_credentials = opened.repository.allows_credentials
    artifacts.check_sources(found, allow_credentials=allow_credentials, follow_links=follow_links)


def _store(
    opened: OpenRegistry,
    model: str,
    files: Iterable[Source],
    *,
    metadata: Mapping[str, Any] | None = None,
    follow_links: Path | None,
    transfer: TransferOf,
    warn: Warn | None,
) -> list[ArtifactLink]:
    return [
        artifacts.store_artifact(
            opened.access.of_model(model) if model else opened.store,
            each.name,
            each.path,
            kind=each.kind,
            format=each.format,
            metadata=metadata,
            needs_trust=each.needs_trust,
            file=each.file,
            allow_credentials=opened.repository.allows_credentials,
            follow_links=follow_links,
            transfer=transfer(each.name),
            warn=warn,
        )
        for each in files
    ]
