"""Storing files and objects as artifacts, and describing external files. Methods that only read do not import this."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import UsageError
from gitmodel.registry.linked_artifacts import artifact_warnings, new_artifacts
from gitmodel.registry.linked_artifacts.artifact_warnings import Warn
from gitmodel.registry.linked_artifacts.new_artifacts import LocalArtifact
from gitmodel.stores.sources.source_files import links_root
from gitmodel.stores.transfer import Progress, Transfer

Given = tuple[str, ArtifactSource, str]
"""The name, source and kind of an artifact. The source is a path, a URI, a digest, or an object to save to a file."""


class GivenArtifacts(NamedTuple):
    """Artifacts that a caller passed to a method, with the options for storing them.

    *formats*, *follow_links* and *warn* are as in `Model.create_version`. Each artifact gets the same *metadata*.
    *transfer* is called with the name of an artifact, and returns the options for its transfer to the store.
    """

    sources: Sequence[Given]
    formats: Mapping[str, str]
    transfer: Callable[[str], Transfer]
    metadata: Mapping[str, Any] | None = None
    follow_links: str | os.PathLike[str] | None = None
    warn: Warn | None = None

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Pairs of the name and the kind of each artifact."""
        return [(name, kind) for name, _, kind in self.sources]


def one_artifact(
    name: str,
    source: ArtifactSource,
    kind: str,
    format: str,
    metadata: Mapping[str, Any] | None,
    progress: Progress | None,
    follow_links: str | os.PathLike[str] | None = None,
) -> GivenArtifacts:
    """Return a `GivenArtifacts` with the arguments of a method that stores one artifact."""
    formats = {name: format} if format else {}
    return GivenArtifacts(
        [(name, source, kind)], formats, lambda _: Transfer(progress=progress), metadata, follow_links
    )


def artifacts_by_kind(
    data: ArtifactSources | None,
    model_objects: ArtifactSources | None,
    deployments: ArtifactSources | None,
    formats: Mapping[str, str] | None,
    jobs: int,
    progress: Callable[[str, int, int], None] | None,
    warn: Warn | None,
    follow_links: str | os.PathLike[str] | None = None,
) -> GivenArtifacts:
    """Return a `GivenArtifacts` with the arguments of a method that stores several artifacts."""
    kinds = (("data", data), ("model", model_objects), ("deployment", deployments))
    sources = [(name, source, kind) for kind, named in kinds for name, source in (named or {}).items()]

    def transfer(name: str) -> Transfer:
        return Transfer(jobs, partial(progress, name) if progress is not None else None)

    return GivenArtifacts(sources, formats or {}, transfer, follow_links=follow_links, warn=warn)


def is_path(source: Any) -> bool:
    """Return True if *source* is a path or URI; False if it is an object that must be saved to a file first."""
    return isinstance(source, (str, os.PathLike))


def store_given(
    opened: OpenRegistry,
    model: str,
    given: GivenArtifacts,
    check: Callable[[LocalArtifact, Any, Path | None], None] | None = None,
) -> list[ArtifactLink]:
    """Store the artifacts *given* in the store of *model* ("": in the default store), and return their links.

    The caller must call `check_formats` first. Before any artifact is stored, *check* is called for each of them, with
    its file, the object or path that the user gave, and the folder `follow_links` (or None). It raises an error to
    refuse the artifact. Raises UsageError if a format cannot store an artifact unchanged, or if a package that it needs
    is not installed.
    """
    if not given.sources:
        return []  # so that a registry by URL without artifacts needs no store
    root = links_root(given.follow_links) if given.follow_links is not None else None
    allow_credentials = opened.repository.allows_credentials
    with _saved_objects(opened, given) as files:
        new_artifacts.check_sources(files, allow_credentials=allow_credentials, follow_links=root)
        if check is not None:
            for each, (_, value, _) in zip(files, given.sources, strict=True):
                check(each, value, root)
        store = opened.access.of_model(model) if model else opened.store
        return [
            new_artifacts.store_artifact(
                store,
                each,
                metadata=given.metadata,
                allow_credentials=allow_credentials,
                follow_links=root,
                transfer=given.transfer(each.name),
                warn=given.warn,
            )
            for each in files
        ]


@contextmanager
def _saved_objects(opened: OpenRegistry, given: GivenArtifacts) -> Iterator[list[LocalArtifact]]:
    """Yield the artifacts *given* as files: objects are saved in a temporary folder, which is deleted after the block.

    Before it saves the first object, checks that all packages are installed that the formats need.
    """
    _check_packages(given)
    pickle = not all(is_path(source) for _, source, _ in given.sources) and opened.allows_pickle()
    with TemporaryDirectory(prefix="gitmodel-") as folder:
        found = []
        for index, (name, source, kind) in enumerate(given.sources):
            format = given.formats.get(name, "")
            if is_path(source):
                found.append(LocalArtifact(name, Path(source), kind, format))
                continue
            # imported here because only objects need them
            from gitmodel.formats import materializers, trust
            from gitmodel.formats.catalogue.detection import PICKLES

            path = Path(folder, str(index))
            allow_pickle = f"pass format='pickle' (or formats={{{name!r}: 'pickle'}})"
            with trust.noting() as names:
                used, _, saver = materializers.save(
                    source, path, f"artifact {name}", format, pickle=pickle, allow_pickle=allow_pickle
                )
                if not format and used in PICKLES:
                    (given.warn or artifact_warnings.log_warning)(artifact_warnings.told_pickled(name, used))
                file = materializers.file_name(name, used, saver)
                found.append(LocalArtifact(name, path, kind, used, names(), file))
        yield found


def describe_stored_links(opened: OpenRegistry, model: str, given: GivenArtifacts, file: str) -> list[ArtifactLink]:
    """Return links to objects that the store of *model* has. The sources in *given* are their digests.

    *file* is the file name to record. Raises UsageError if a source is not text.
    """
    for name, digest, _ in given.sources:
        if not isinstance(digest, str):
            raise UsageError(f"the artifact {name} needs a digest, not an object", hint="digests are sha256:...")
    store = opened.access.of_model(model)
    return [
        new_artifacts.describe_stored(
            store,
            name,
            digest,
            kind=kind,
            format=given.formats.get(name, ""),
            file=file,
            metadata=given.metadata,
        )
        for name, digest, kind in given.sources
    ]


def describe_external_links(
    opened: OpenRegistry, given: GivenArtifacts, *, provider_digest: bool
) -> list[ArtifactLink]:
    """Hash the external files at the URIs in *given*, and return links to them.

    If *provider_digest* is True, the stores of the files report the digests, and the files are not read.
    """
    links = []
    for name, uri, kind in given.sources:
        link = new_artifacts.describe_external(
            name,
            os.fspath(uri),
            kind=kind,
            format=given.formats.get(name, ""),
            metadata=given.metadata,
            provider_digest=provider_digest,
            trusted=opened.access.trusted(),
            progress=given.transfer(name).progress,
        )
        opened.access.trust_place(link.uri or "")
        links.append(link)
    return links


def check_formats(given: GivenArtifacts, *, external: bool = False) -> None:
    """Raise UsageError if `given.formats` names no artifact in *given*, or a format that the artifact cannot have.

    If *external* is True, also raises UsageError for a source that is no URI. Called before `store_given`.
    """
    sources = {name: source for name, source, _ in given.sources}
    for name, source in sources.items() if external else ():
        if not is_path(source):
            raise UsageError(
                f"the external artifact {name} needs a URI, not an object", hint="leave out external=True to store it"
            )
    for name, format in given.formats.items():
        if name not in sources:
            raise UsageError(
                f"there is no artifact {name!a} for the format {format}", hint=f"the names are {', '.join(sources)}"
            )
        source = "" if external else sources[name]
        if not is_path(source):
            from gitmodel.formats.catalogue.plugins import find_format  # imported here because only objects need it

            find_format(format)
        else:
            new_artifacts.check_format(format, folder=bool(source) and Path(source).is_dir())


def _check_packages(given: GivenArtifacts) -> None:
    """Raise UsageError if a package is not installed that the format of an object in *given* needs."""
    needed: dict[str, str] = {}  # maps each missing package to the first artifact that needs it
    for name, source, _ in given.sources:
        if not is_path(source):
            # imported here because only objects need them
            from gitmodel.formats.catalogue.plugins import missing_packages, refuse_missing
            from gitmodel.formats.materializers import format_of_type

            for package in missing_packages(given.formats.get(name) or format_of_type(type(source))):
                needed.setdefault(package, f"artifact {name}")
    if needed:
        refuse_missing(needed)
