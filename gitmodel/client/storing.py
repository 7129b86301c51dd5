"""Storing files and objects as artifacts, and describing external files. Only methods that write import this module."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.models import read_words
from gitmodel.domain.changes.runs import check_run, find_run
from gitmodel.domain.schema.names import check_version_name
from gitmodel.domain.schema.records import ArtifactLink, Code, Imported, RunRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.errors import UsageError
from gitmodel.registry.linked_artifacts import artifact_warnings, linking, new_artifacts
from gitmodel.registry.linked_artifacts.artifact_warnings import Warn
from gitmodel.registry.linked_artifacts.new_artifacts import LocalArtifact
from gitmodel.registry.records import versions
from gitmodel.registry.records.versions import Draft, Made
from gitmodel.stores.sources.source_files import links_root
from gitmodel.stores.transfer import Progress, Transfer

Given = tuple[str, ArtifactSource, str]
"""Name, source and kind of an artifact. The source of an external one is a URI."""
LinksRoot = str | os.PathLike[str] | None
"""The folder into which symbolic links may lead; None if they may lead only into the folder that is stored."""


class GivenArtifacts(NamedTuple):
    """Artifacts that a caller passed to a method, with the options for storing them.

    *sources* are triples of name, source and kind. *formats*, *follow_links* and *warn* are as in
    `Model.create_version`. Each artifact gets the same *metadata*. *transfer* is called with the name of an artifact,
    and returns the options for its transfer to the store.
    """

    sources: Sequence[Given]
    formats: Mapping[str, str]
    transfer: Callable[[str], Transfer]
    metadata: Mapping[str, Any] | None = None
    follow_links: LinksRoot = None
    warn: Warn | None = None


def one_artifact(
    name: str,
    source: ArtifactSource,
    kind: str,
    format: str,
    metadata: Mapping[str, Any] | None,
    progress: Progress | None,
    follow_links: LinksRoot = None,
) -> GivenArtifacts:
    """Return the arguments of a method that stores one artifact as a `GivenArtifacts`."""
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
    follow_links: LinksRoot = None,
) -> GivenArtifacts:
    """Return the arguments of a method that stores several artifacts as a `GivenArtifacts`."""
    kinds = (("data", data), ("model", model_objects), ("deployment", deployments))
    sources = [(name, source, kind) for kind, named in kinds for name, source in (named or {}).items()]

    def transfer(name: str) -> Transfer:
        return Transfer(jobs, partial(progress, name) if progress is not None else None)

    return GivenArtifacts(sources, formats or {}, transfer, follow_links=follow_links, warn=warn)


def is_path(source: Any) -> bool:
    """Return True if *source* is a path or URI; False if it is an object that must be saved to a file first."""
    return isinstance(source, (str, os.PathLike))


@contextmanager
def _files(opened: OpenRegistry, given: GivenArtifacts) -> Iterator[list[LocalArtifact]]:
    """Yield the artifacts as files.

    Objects among them are saved in a temporary folder, which is deleted after the block.

    Raises UsageError if no format can store one of the objects unchanged. Raises UsageError, before an object is saved,
    if a package that a format needs is not installed.
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


class MadeElsewhere(NamedTuple):
    """Facts about a version that this process did not make: its *code* and the *runs* that made it.

    *code* is a `Code` or a full commit id; None means the current code. *runs* are ids of recorded runs, or records of
    runs that are written with the version. *imported* is what another registry says about the version.
    """

    code: Code | str | None = None
    runs: Iterable[str | RunRecord] = ()
    imported: Imported | None = None


def create_version(
    opened: OpenRegistry,
    chosen: ModelRef,
    model: str,
    draft: Draft,
    given: GivenArtifacts,
    *,
    key: str | None,
    origin: MadeElsewhere,
) -> Made:
    """Create a version of the model *chosen*, whose current name is *model*, after storing the artifacts *given*.

    If a version of the model was already created with the idempotency key *key*, returns that version instead. If *key*
    is "", no key is used; if it is None, the default key of the CI job. *draft* has the name, description, tags and
    metadata of the version.
    """
    own_code = None
    if origin.code is not None:
        # imported here: few callers give the code
        from gitmodel.lineage.code.recorded_code import given_code

        own_code = given_code(origin.code)
    runs, new_runs = _given_runs(opened, origin.runs)
    if draft.name is not None:
        check_version_name(draft.name)
    known = versions.find_keyed(opened.writer, chosen, key) if key else None
    if known is not None:
        since = opened.repository.renumberings().count
        return Made(VersionRef(model, str(known), since=since), new=False)
    draft = draft._replace(tags=read_words(draft.tags), metadata=read_values(draft.metadata or {}))
    if key or not opened.job:  # else the name may be taken by this same version, which the job created before
        planned = [(artifact, kind) for artifact, _, kind in given.sources]
        chosen = versions.check_creation(opened.writer, chosen, draft, artifacts=planned)
    if given.sources and own_code is None:  # here before storing artifacts; `record_code` checks again
        opened.check_code()
    check_formats(given)
    links = store_given(opened, model, given)
    code = opened.record_code() if own_code is None else opened.keep_code(own_code)
    if key is None:
        key = opened.job_key(lambda: _content_key(model, draft, links, code))
    return versions.make_version(
        opened.writer,
        chosen,
        draft,
        artifacts=links,
        code=code,
        runs=runs,
        new_runs=new_runs,
        imported=origin.imported,
        key=key,
    )


def _given_runs(opened: OpenRegistry, given: Iterable[str | RunRecord]) -> tuple[list[str], list[RunRecord]]:
    """Return the full ids and the records in *given*, which has both.

    Raises NotFound for the id of a run without a record.
    """
    ids, records = [], []
    for run in given:
        if isinstance(run, RunRecord):
            records.append(check_run(run))
        else:
            ids.append(opened.writer.read_records(partial(find_run, id=run)).id)
    return ids, records


def _content_key(model: str, draft: Draft, links: Iterable[ArtifactLink], code: Code) -> str:
    """Return a digest of the content of a new version, which distinguishes the versions that one CI job creates."""
    import json  # imported here because only jobs of CI need it

    held = sorted((link.name, link.digest) for link in links)
    metadata = dict(draft.metadata or {})
    said = [model, draft.name, draft.description, sorted(draft.tags), held, code.commit, code.dirty, metadata]
    facts = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()


def store_links(opened: OpenRegistry, ref: VersionRef, model: str, given: GivenArtifacts) -> list[ArtifactLink]:
    """Store the artifacts *given* in the store of *model*, and return their links, to be added to the version *ref*.

    Before it stores anything, raises an error if the version cannot get one of these artifacts.
    """
    check_formats(given)
    names = [(name, kind) for name, _, kind in given.sources]
    linking.check_links(opened.writer, ref, names, metadata=given.metadata)
    return store_given(opened, model, given)


def store_attachments(opened: OpenRegistry, ref: VersionRef, model: str, given: GivenArtifacts) -> list[ArtifactLink]:
    """Store the attachments *given* in the store of *model*, and return their links, to be added to the version *ref*.

    Before it stores anything, raises an error if the version cannot get one of these attachments.
    """
    check_formats(given)
    linking.check_attachments(opened.writer, ref, [name for name, _, _ in given.sources], metadata=given.metadata)
    return store_given(opened, model, given)


def store_given(
    opened: OpenRegistry,
    model: str,
    given: GivenArtifacts,
    check: Callable[[LocalArtifact, Any, Path | None], None] | None = None,
) -> list[ArtifactLink]:
    """Store the artifacts *given* in the store of *model*, or in the default store if it is "", and return their links.

    The caller has called `check_formats`. Before any artifact is stored, *check* is called for each of them, with its
    file, the object or path that the user gave, and the folder `follow_links` (or None). It raises an error to refuse.
    """
    if not given.sources:
        return []  # so that a registry by URL without artifacts needs no store
    root = links_root(given.follow_links) if given.follow_links is not None else None
    allow_credentials = opened.repository.allows_credentials
    with _files(opened, given) as files:
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


def describe_stored_links(
    opened: OpenRegistry, ref: VersionRef, model: str, given: GivenArtifacts, file: str = ""
) -> list[ArtifactLink]:
    """Return links to objects that the store of *model* already has.

    The sources in *given* are the digests of these objects.

    *file* is the file name to record. Raises an error if the version *ref* cannot get one of the links.
    """
    # imported here because few artifacts are linked by digest
    from gitmodel.registry.linked_artifacts.stored_links import describe_stored

    for name, digest, _ in given.sources:
        if not isinstance(digest, str):
            raise UsageError(f"the artifact {name} needs a digest, not an object", hint="digests are sha256:...")
    names = [(name, kind) for name, _, kind in given.sources]
    linking.check_links(opened.writer, ref, names, metadata=given.metadata)
    store = opened.access.of_model(model)
    return [
        describe_stored(
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


def describe_links(
    opened: OpenRegistry, ref: VersionRef, given: GivenArtifacts, *, provider_digest: bool = False
) -> list[ArtifactLink]:
    """Hash the external files at the URIs in *given*, and return links to them, to be added to the version *ref*.

    If *provider_digest* is True, the stores of the files report the digests, and the files are not read.
    """
    for name, uri, _ in given.sources:
        if not is_path(uri):
            raise UsageError(
                f"the external artifact {name} needs a URI, not an object", hint="leave out external=True to store it"
            )
    check_formats(given._replace(sources=[(name, "", kind) for name, _, kind in given.sources]))
    names = [(name, kind) for name, _, kind in given.sources]
    linking.check_links(opened.writer, ref, names, metadata=given.metadata)
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


def check_formats(given: GivenArtifacts) -> None:
    """Raise UsageError if `given.formats` names an artifact that is not in *given*, or a format that it cannot have."""
    sources = {name: source for name, source, _ in given.sources}
    for name, format in given.formats.items():
        if name not in sources:
            raise UsageError(
                f"there is no artifact {name!a} for the format {format}", hint=f"the names are {', '.join(sources)}"
            )
        source = sources[name]
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
