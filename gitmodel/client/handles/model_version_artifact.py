"""Handles of models, versions and artifacts, and lists of handles.

These classes lead to each other, as in `model.get_version(3).get_artifact("clf").version.model`, so they are in one
module. Everything else that a handle does is in its base class, in the module beside this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from gitmodel.client import names_of_other_tools
from gitmodel.client.handles.artifact_content import ArtifactHandle
from gitmodel.client.handles.model_without_versions import ModelHandle
from gitmodel.client.handles.version_without_artifacts import VersionHandle
from gitmodel.client.model_stages import ModelStages
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources, checked_arguments
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.records import (
    DESCRIPTIVE,
    ArtifactLink,
    Code,
    Imported,
    RunRecord,
)
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import UsageError
from gitmodel.registry.lists import version_lists
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding, versions
from gitmodel.stores.transfer import JOBS, Progress

PAGE = 50
NamedProgress = Callable[[str, int, int], None]
"""Called with the name of an artifact, the number of its bytes that are done, and its size."""


@checked_arguments
@shows_our_form
class Model(ModelHandle):
    """A model: its description and its versions.

    A `Model` that you create is a description for `Client.register_model`. A `Model` from a client is a handle, which
    reads the branch again if the branch has moved. A handle from a list shows what the list showed, until you call
    `refresh` or change the model through the handle. The fields title, license, description, audience, use_cases,
    limitations, trade_offs and ethics are text; tags and owners are lists of text; metadata is a mapping.

    Raises UsageError for an invalid name, an unknown field or a value of the wrong type.

    >>> Model(name="iris", license="Apache-2.0", tags=["sklearn"])
    Model('iris')
    """

    _other_arguments: ClassVar[Mapping[str, str]] = names_of_other_tools.MODEL_ARGUMENTS
    _other_names: ClassVar[Mapping[str, str]] = names_of_other_tools.MODEL_NAMES

    def __init__(
        self,
        name: str,
        *,
        title: str = "",
        license: str = "",
        description: str = "",
        audience: str = "",
        use_cases: str = "",
        limitations: str = "",
        trade_offs: str = "",
        ethics: str = "",
        tags: Iterable[str] = (),
        owners: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        given = dict(locals())  # the arguments of this call
        from gitmodel.domain.arguments.description import read_description

        self._ref = ModelRef(check_name(name, "model"), since=0)
        self._unconfirmed = None
        self._given = {"metadata": {}, **read_description({field: given[field] for field in DESCRIPTIVE})}
        self._origin, self._listed = None, None

    @property
    def versions(self) -> Versions:
        """The newest 50 versions, oldest first, so `[-1]` is the newest.

        `model.versions.total` is the number of all versions, and `each_version` yields all of them.

        >>> best = max(model.each_version(), key=lambda version: version.metadata["auc"])      # doctest: +SKIP
        """
        return self.list_versions(limit=PAGE)

    def each_version(self, *, filter: str = "") -> Iterator[ModelVersion]:
        """Yield every version that matches *filter*, newest first. Raises NotFound, UsageError.

        >>> next(model.each_version(filter="metadata.auc > 0.9"))                              # doctest: +SKIP
        ModelVersion('iris@57')
        """
        found = version_lists.each_version(self._writer(), self._ref, filter=filter)
        for view in found:
            if isinstance(view, VersionView):
                yield ModelVersion._listed_as(self._registered(), view, found.since)

    def list_versions(self, *, filter: str = "", limit: int | None = None, offset: int = 0) -> Versions:
        """Return the versions that match *filter*, oldest first. Skips *offset*, then returns at most *limit*.

        Raises NotFound if the model does not exist, UsageError for an invalid filter or a negative *limit* or *offset*.
        """
        opened = self._registered()
        list = partial(version_lists.list_versions, opened.writer, self._ref, filter=filter, limit=limit, offset=offset)
        (found, _), since = opened.repository.at_one_numbering(list)
        total = None if filter else len(found)
        if not filter and (limit is not None or offset):
            total = version_lists.count_versions(opened.writer, self._ref)
        handles = (ModelVersion._listed_as(opened, view, since) for view in reversed(found))
        return Versions(handles, total=total)

    def get_version(self, version: str | int | ModelStages | None = None, *, renumbered: bool = False) -> ModelVersion:
        """Return a version by number, name, stage, alias or "latest" (the default). Raises NotFound, Invalid.

        If a pull renumbered a version, its old number may now belong to another version. Such a number gives a warning,
        and a change of the version raises Refused. *renumbered* confirms that you mean the version that has the number
        now.
        """
        selector = version.value if isinstance(version, ModelStages) else version
        ref = replace(VersionRef.of(self.name, selector), renumbered=renumbered)
        # `_unconfirmed` is None: the name of the model needs no confirmation.
        if ref.number is None and not renumbered and self._unconfirmed is None:
            asked = self._ref
            ref = VersionRef(asked.model, ref.selector, since=asked.since, settles=asked.settles)
        return ModelVersion._find(self._registered(), ref)

    def create_version(
        self,
        name: str | None = None,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        data: ArtifactSources | None = None,
        model_objects: ArtifactSources | None = None,
        deployments: ArtifactSources | None = None,
        formats: Mapping[str, str] | None = None,
        number: int | None = None,
        code: str | Code | None = None,
        runs: Iterable[str | RunRecord] = (),
        imported: Imported | None = None,
        idempotency_key: str | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        jobs: int = JOBS,
        progress: NamedProgress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> ModelVersion:
        """Create a version. *data*, *model_objects* and *deployments* map names of artifacts to paths or objects.

        Text and path objects are paths of files or folders. gitmodel saves any other object in the format of its type,
        like an output of a step, and loads the file again to verify that it gives an equal object.

        >>> model.create_version(model_objects={"clf": clf}, data={"train": "train.csv"})  # doctest: +SKIP

        *formats* maps names of artifacts to formats; other artifacts get the format of their type or content.

        *follow_links* is a folder: a symbolic link into this folder is stored as the file or folder to which it leads,
        and a link to another place is refused. Folders of Hugging Face, DVC and git-annex need *follow_links*, because
        their files are links into a cache.

        >>> cache = "~/.cache/huggingface/hub"
        >>> model.create_version(model_objects={"net": snapshot}, follow_links=cache)      # doctest: +SKIP

        Records the commit of the code repository and whether there are uncommitted changes. A version that was made
        elsewhere has its own *code* instead: a full commit id, which the code repository need not have, or a `Code`.
        *runs* are ids of recorded runs that made the version, or records of runs, which are written in the same commit.
        *number* must be above all numbers of the model. The numbers between become deleted versions; at most 1,000 can
        be skipped.

        >>> model.create_version(number=7, code="9fceb02d0ae598e95dc970b74767f19372d61af8")  # doctest: +SKIP

        *imported* are the claims of another registry about the version: its source, its author and its time there.

        If a version of the model was already created with *idempotency_key*, returns that version instead of creating
        another. In a CI job that uses a registry by URL, the default key is made from the id of the job; elsewhere
        there is none. "" means no key.

        *jobs* files of a folder are stored at a time. *progress* is called with the name of an artifact, the number of
        bytes stored so far and its size in bytes. *warn* is called with a sentence if Windows cannot store a name; the
        default writes it to the logger `gitmodel`. Raises Conflict if *name* or *number* is taken, or if another run
        has the id of one of *runs*; NotFound for the id of a run that is not recorded. Raises UsageError if *name* is
        invalid, if no format keeps an object as it is, or for a picture of more than 100 MB.
        """
        from gitmodel.client import storing

        opened, chosen = self._registered(), self._to_change()
        draft = versions.Draft(name, description, tags, metadata, number)
        given = storing.artifacts_by_kind(data, model_objects, deployments, formats, jobs, progress, warn, follow_links)
        made = storing.create_version(
            opened,
            chosen,
            self.name,
            draft,
            given,
            key=idempotency_key,
            origin=storing.MadeElsewhere(code, runs, imported),
        )
        return ModelVersion._of(opened, made.ref, is_new=made.new)

    def rollback(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> ModelVersion:
        """Put the previous version of *stage* back and return it.

        *force* overrides a failing gate and needs a *reason*. *leave* allows moving the version to an earlier stage
        although its current stage becomes empty.
        """
        opened, why = self._registered(), Justification(reason, force)
        done = stages.rollback(opened.writer, opened.repository, self._to_change(), str(stage), why=why, leave=leave)
        since = opened.repository.renumberings().count
        return ModelVersion._of(opened, VersionRef(done.model, str(done.version), since=since))


@checked_arguments
@shows_our_form
class ModelVersion(VersionHandle):
    """A version of a model: a handle, which reads the branch again if the branch has moved.

    A handle from a list shows what the list showed, until you call `refresh` or change the version through the handle.
    A handle still names the same version after a pull has renumbered the version.

    >>> version = client.get_version("iris@latest")                  # doctest: +SKIP
    >>> version.log_metadata(accuracy=0.97)                          # doctest: +SKIP
    >>> version.set_stage("production", reason="more accurate")      # doctest: +SKIP
    """

    _other_names: ClassVar[Mapping[str, str]] = names_of_other_tools.VERSION_NAMES

    def __init__(self, *_: object, **__: object) -> None:
        raise UsageError(
            "a ModelVersion comes from a client, and is not created by its class",
            hint='write Client().get_version("demo@3"); for a pipeline, ModelConfig(name="demo", version="3")',
        )

    @property
    def model(self) -> Model:
        """The model of this version."""
        return Model._current(self._opened, self._model)

    @property
    def artifacts(self) -> list[Artifact]:
        """The artifacts of the version, by name."""
        return [Artifact._of(self, link.name) for link in self._record().artifacts]

    @property
    def data(self) -> list[Artifact]:
        """The artifacts that are data."""
        return self._of_kind("data")

    @property
    def model_objects(self) -> list[Artifact]:
        """The artifacts that are model objects."""
        return self._of_kind("model")

    @property
    def deployments(self) -> list[Artifact]:
        """The artifacts that are deployments."""
        return self._of_kind("deployment")

    @property
    def outputs(self) -> list[Artifact]:
        """The outputs of runs that worked on this version after it was created, oldest run first.

        Such an output is not an artifact of the version, because artifacts of a version in use cannot change. Its
        attribute `run` is the id of the run that wrote it.
        """
        from gitmodel.registry.recorded_runs.run_outputs import list_outputs

        found = list_outputs(self._opened.writer, self._ref, store=lambda: self._opened.store)
        return [Artifact._of(self, output.link.name, output=output) for output in found]

    def get_artifact(self, name: str | None = None, *, run: str | None = None) -> Artifact:
        """Return the artifact *name*, or the output *name* of a run that worked on this version.

        The default of *name* is the only model object, or the only artifact. If *run* is the id of a run, only the
        outputs of that run are searched. Raises NotFound, and UsageError if several runs wrote different outputs of
        this name.
        """
        from gitmodel.registry.recorded_runs.run_outputs import find_artifact

        opened = self._opened
        found = self._frozen or finding.find(opened.writer, self._ref)
        with opened.repository.git.explaining_not_found():
            artifact = find_artifact(opened.writer, found, name, run=run, store=lambda: opened.store)
        return Artifact._of(self, artifact.link.name, output=artifact if artifact.run else None)

    def link_artifact(
        self,
        name: str,
        source: ArtifactSource | None = None,
        *,
        digest: str | None = None,
        kind: str = "data",
        format: str = "",
        file: str = "",
        metadata: Mapping[str, Any] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Store *source* and link it as *name*; *kind* is "data", "model" or "deployment".

        Instead of *source*, you can give the *digest* of an object that the artifact store has. Nothing is stored
        then. If the object is the manifest of a folder, give `format="folder"`. *file* is the file name to record with
        a *digest*. Raises NotFound if the store does not have the object.

        If *source* is text or a path object, it is the path of a file or folder, whose *format* is by default detected
        from the content. Any other object is saved in *format*, by default the format of its type, and verified by
        loading the file. `format="pickle"` allows pickle, which loads only with `trusted=True`. *follow_links* is as in
        `Model.create_version`. Raises UsageError if the format does not keep the object as it is, or for a picture of
        more than 100 MB; Refused if the version is in a stage or has an alias.

        >>> version.link_artifact("net", digest=other.get_artifact("net").digest, kind="model")  # doctest: +SKIP
        Artifact('iris@4', 'net')
        """
        from gitmodel.client import storing

        if (source is None) == (digest is None):
            raise UsageError(
                f"the artifact {name} needs a source or a digest, and not both",
                hint='write link_artifact("NAME", VALUE_OR_PATH), or link_artifact("NAME", digest="sha256:...")',
            )
        if digest is None and file:
            raise UsageError("file is for an artifact by digest", hint="a path keeps its own name")
        given = storing.one_artifact(
            name, source if digest is None else digest, kind, format, metadata, progress, follow_links
        )
        self._link(given, by_digest=digest is not None, file=file)
        return Artifact._of(self, name)

    def link_artifacts(
        self,
        *,
        data: ArtifactSources | None = None,
        model_objects: ArtifactSources | None = None,
        deployments: ArtifactSources | None = None,
        formats: Mapping[str, str] | None = None,
        external: bool = False,
        provider_digest: bool = False,
        by_digest: bool = False,
        follow_links: str | os.PathLike[str] | None = None,
        jobs: int = JOBS,
        progress: NamedProgress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> list[Artifact]:
        """Store files, folders or objects, and link them in one commit.

        *data*, *model_objects* and *deployments* map names to sources. With *by_digest*, the sources are digests of
        objects that the artifact store has: see `link_artifact`. With *external*, the sources are URIs, and nothing is
        stored: see `link_external`, also for *provider_digest*. *formats*, *follow_links*, *jobs*, *progress* and
        *warn* are as in `Model.create_version`. Raises the errors of `link_artifact` and `link_external`.
        """
        from gitmodel.client import storing

        given = storing.artifacts_by_kind(data, model_objects, deployments, formats, jobs, progress, warn, follow_links)
        if external and by_digest:
            raise UsageError("an external artifact has no digest yet", hint="leave out external, or by_digest")
        if external and follow_links is not None:
            raise UsageError("follow_links is for stored artifacts", hint="an external file may be a link anyway")
        if provider_digest and not external:
            raise UsageError("provider_digest is for external artifacts", hint="stored artifacts are always hashed")
        self._link(given, external=external, provider_digest=provider_digest, by_digest=by_digest)
        return [Artifact._of(self, name) for name, _, _ in given.sources]

    def link_external(
        self,
        name: str,
        uri: str | os.PathLike[str],
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        provider_digest: bool = False,
        progress: Progress | None = None,
    ) -> Artifact:
        """Link the file at *uri* (`s3://bucket/key`, `https://...` or a path) without storing it.

        The file is read once to hash it. With *provider_digest*, the file is not read: gitmodel uses the SHA-256 of the
        whole object that the store of the file reports. If the store has object versions, the current version is
        linked. To record a new location of the same bytes, link them there; this is always allowed. Raises NotFound,
        UsageError, Conflict if the file changed while it was read, Refused if the version is in a stage or has an
        alias, Unreachable.

        >>> version.link_external("raw", "s3://bucket/huge.parquet")          # doctest: +SKIP
        Artifact('iris@4', 'raw')
        """
        from gitmodel.client import storing

        given = storing.one_artifact(name, uri, kind, format, metadata, progress)
        self._link(given, external=True, provider_digest=provider_digest)
        return Artifact._of(self, name)

    @property
    def attachments(self) -> list[Artifact]:
        """The attachments of the version by name, which are not among its artifacts."""
        return [Attached._of(self, each.name) for each in self.view.record.attachments]

    def get_attachment(self, name: str) -> Artifact:
        """Return the attachment *name*, whose bytes are verified like those of an artifact. Raises NotFound.

        >>> version.get_attachment("cm").download("cm.png")                   # doctest: +SKIP
        """
        attached = Attached._of(self, name)
        attached.link  # noqa: B018  it raises NotFound
        return attached

    def attach(
        self,
        name: str,
        source: ArtifactSource,
        *,
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Add a picture, report or other file to the version, at any time, even if it is in a stage.

        *source*, *format* and *follow_links* are as in `link_artifact`. Attachments are not artifacts: promotions do
        not cover them, and their names must differ from those of the artifacts. Raises Conflict for the name of an
        artifact or of another attachment. Raises the errors of `link_artifact`, except Refused for a version in a
        stage.

        >>> version.attach("confusion_matrix", figure)                        # doctest: +SKIP
        Artifact('iris@4', 'confusion_matrix')
        """
        from gitmodel.client import storing

        self._attach(storing.one_artifact(name, source, "data", format, metadata, progress, follow_links))
        return Attached._of(self, name)

    def attach_all(
        self,
        attachments: ArtifactSources,
        *,
        formats: Mapping[str, str] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        jobs: int = JOBS,
        progress: NamedProgress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> list[Artifact]:
        """Add several attachments in one commit. *attachments* maps their names to paths or objects.

        *formats*, *follow_links*, *jobs*, *progress* and *warn* are as in `Model.create_version`. Raises the errors of
        `attach`.
        """
        from gitmodel.client import storing

        self._attach(storing.artifacts_by_kind(attachments, None, None, formats, jobs, progress, warn, follow_links))
        return [Attached._of(self, name) for name in attachments]

    def _of_kind(self, kind: str) -> list[Artifact]:
        return [Artifact._of(self, link.name) for link in self._record().artifacts if link.kind == kind]


@checked_arguments
class Artifact(ArtifactHandle):
    """An artifact of a version. Every read verifies the bytes of the artifact against its digest.

    If `run` is set, it is the id of a run that worked on the existing version and wrote this output. Such an output is
    not an artifact of the version itself.

    >>> artifact = client.get_version("iris@production").get_artifact("classifier")     # doctest: +SKIP
    >>> artifact.load().predict([[6.1, 2.8, 4.7, 1.2]])                                 # doctest: +SKIP
    array([1])
    """

    _version: ModelVersion

    def __init__(self, *_: object, **__: object) -> None:
        raise UsageError(
            "an Artifact comes from its version, and is not created by its class",
            hint='write Client().get_version("demo@3").get_artifact("NAME"); for an output of a step, '
            'ArtifactConfig(name="NAME")',
        )

    @property
    def version(self) -> ModelVersion:
        """The version that the artifact belongs to."""
        return self._version


class Attached(Artifact):
    """An attachment of a version, which is read like an artifact, but always from the branch."""

    @property
    def link(self) -> ArtifactLink:
        """The record of the attachment: name, digest, size in bytes, format, metadata, and the kind "attachment"."""
        from gitmodel.domain.changes.versions import attachment

        return attachment(self._version.view.record, self._version._model, self._name)

    def set_metadata(self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = ()) -> None:
        """Set *values* of the attachment's metadata and remove the keys in *remove*, at any time."""
        self._version.set_metadata(values, remove=remove, attachment=self._name)


class Models(tuple[Model, ...]):
    """A list of models with a table for notebooks."""

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.models_table(model.view for model in self)


class Versions(tuple[ModelVersion, ...]):
    """A list of versions with a chart and a table for notebooks.

    *total* is the number of versions of the model, not counting deleted ones; None if a filter was given.

    >>> Versions((), total=60)
    Versions(0 of 60)
    """

    total: int | None

    def __new__(cls, versions: Iterable[ModelVersion] = (), *, total: int | None = None) -> Versions:
        made = super().__new__(cls, versions)
        made.total = total
        return made

    def __repr__(self) -> str:
        if self.total is None or self.total <= len(self):
            return super().__repr__()
        ends = f": {self[0]!r} ... {self[-1]!r}; list_versions() has all" if self else ""
        return f"Versions({len(self)} of {self.total}{ends})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.versions_table([version.view for version in self], self.total)
