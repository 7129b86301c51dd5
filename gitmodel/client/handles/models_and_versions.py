"""Handles of models, versions and artifacts, and lists of handles.

The classes are in one module because their methods return handles of each other, as in
`model.get_version(3).get_artifact("clf").version.model`. The methods that return no other handles are in their base
classes, in the other modules of this package.
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

    A `Model` that you create is a description for `Client.register_model`. A `Model` that a client returns is a handle:
    it reads the registry again if the branch has moved. A handle that is an item of a list keeps the values that the
    list had, until you call `refresh` or change the model through the handle. The fields title, license, description,
    audience, use_cases, limitations, trade_offs and ethics are text; tags and owners are lists of text; metadata is a
    mapping.

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
        given = dict(locals())  # the arguments of this call, by name
        from gitmodel.domain.arguments.description import read_description

        self._ref = ModelRef(check_name(name, "model"), since=0)
        self._unconfirmed = None
        self._given = {"metadata": {}, **read_description({field: given[field] for field in DESCRIPTIVE})}
        self._origin, self._listed = None, None

    @property
    def versions(self) -> Versions:
        """The newest 50 versions of the model, the oldest of them first, so `[-1]` is the newest version.

        `model.versions.total` is the number of all versions. `each_version` yields all versions.

        >>> best = max(model.each_version(), key=lambda version: version.metadata["auc"])      # doctest: +SKIP
        """
        return self.list_versions(limit=PAGE)

    def each_version(self, *, filter: str = "") -> Iterator[ModelVersion]:
        """Yield each version that matches *filter* (default: each version), newest first.

        Raises NotFound if the model does not exist, UsageError for an invalid filter.

        >>> next(model.each_version(filter="metadata.auc > 0.9"))                              # doctest: +SKIP
        ModelVersion('iris@57')
        """
        found = version_lists.VersionListing(self._writer(), self._ref, filter=filter)
        for view in found:
            if isinstance(view, VersionView):
                yield ModelVersion._listed_as(self._registered(), view, found.since)

    def list_versions(self, *, filter: str = "", limit: int | None = None, offset: int = 0) -> Versions:
        """Return the versions that match *filter* (default: all versions), oldest first.

        If *limit* or *offset* is given, skips the newest *offset* of these versions and returns at most the next
        *limit*. Raises NotFound if the model does not exist, UsageError for an invalid filter or a negative *limit* or
        *offset*.
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
        """Return the version of this model with the given number, name, stage or alias. The default is "latest".

        If a pull renumbered a version, its previous number may belong to another version now. If you pass such a
        number, gitmodel warns, and changes through the returned handle raise Refused. Pass `renumbered=True` to confirm
        that you mean the version that has the number now. Raises NotFound if there is no such version, Invalid if its
        record is damaged.
        """
        selector = version.value if isinstance(version, ModelStages) else version
        ref = replace(VersionRef.of(self.name, selector), renumbered=renumbered)
        # Neither the version (no number) nor the model (`_unconfirmed` is None) needs a confirmation by the user.
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

        Text and path objects are paths of files or folders. gitmodel saves any other object to a file in the format of
        its type, as it does for an output of a step. It loads this file again to verify that the loaded object is
        equal.

        >>> model.create_version(model_objects={"clf": clf}, data={"train": "train.csv"})  # doctest: +SKIP

        *formats* maps names of artifacts to formats. gitmodel chooses the format of other artifacts by the type of the
        object or the content of the file.

        *follow_links* is a folder: a symbolic link into this folder is stored as the file or folder to which it leads,
        and a link to another place is refused. Folders of Hugging Face, DVC and git-annex need *follow_links*, because
        their files are links into a cache.

        >>> cache = "~/.cache/huggingface/hub"
        >>> model.create_version(model_objects={"net": snapshot}, follow_links=cache)      # doctest: +SKIP

        Records the current commit of the code repository, and whether there are uncommitted changes. If the version was
        made elsewhere, pass its *code* instead: a `Code` or a full commit id, which the code repository need not have.
        *runs* are the runs that made the version: ids of recorded runs, or records of runs, which are written in the
        same commit as the version. *number* is the number of the version; the default is the next number. It must be
        higher than all numbers of the model. The skipped numbers become deleted versions; at most 1,000 can be skipped.

        >>> model.create_version(number=7, code="9fceb02d0ae598e95dc970b74767f19372d61af8")  # doctest: +SKIP

        *imported* is what another registry says about the version: its source, its author and its time of creation
        there.

        If a version of the model was already created with *idempotency_key*, returns that version instead of creating
        another. If *idempotency_key* is None, a CI job that uses a registry by URL has a default key, which is made
        from the id of the job and the content of the version; otherwise no key is used. "" means no key.

        *jobs* files of a folder are stored at the same time. *progress* is called with the name of an artifact, the
        number of its bytes that are stored so far, and its size in bytes. *warn* is called with each warning about an
        artifact, such as a file name that Windows does not support; the default writes the warning to the logger
        `gitmodel`. Raises Conflict if *name* or *number* is taken, or if a different run has the id of one of the
        records in *runs*; NotFound for an id in *runs* that is not recorded. Raises UsageError if *name* is invalid, if
        no format can store an object without changing it, or for a picture of more than 100 MB.
        """
        from gitmodel.client import storing
        from gitmodel.client.handles.version_creation import create_version

        opened, ref = self._registered(), self._to_change()
        draft = versions.Draft(name, description, tags, metadata, number)
        given = storing.artifacts_by_kind(data, model_objects, deployments, formats, jobs, progress, warn, follow_links)
        made = create_version(
            opened, ref, self.name, draft, given, key=idempotency_key, code=code, runs=runs, imported=imported
        )
        return ModelVersion._of(opened, made.ref, is_new=made.new)

    def rollback(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> ModelVersion:
        """Put the version that was in *stage* before the current one back into *stage*, and return that version.

        If the version fails a rule of the stage, *force* overrides the rule and needs a *reason*. If the version is now
        in a stage that is after *stage* in `Client.stage_names`, the move would empty that later stage: raises Refused
        unless *leave* is True.
        """
        opened, why = self._registered(), Justification(reason, force)
        done = stages.rollback(opened.writer, opened.repository, self._to_change(), str(stage), why=why, leave=leave)
        since = opened.repository.renumberings().count
        return ModelVersion._of(opened, VersionRef(done.model, str(done.version), since=since))


@checked_arguments
@shows_our_form
class ModelVersion(VersionHandle):
    """A handle of a version of a model. It reads the registry again if the branch has moved.

    A handle that is an item of a list keeps the values that the list had, until you call `refresh` or change the
    version through the handle. If a pull renumbers the version, the handle still names the same version.

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
        """The artifacts of the version, sorted by name. Attachments and outputs of later runs are not included."""
        return [Artifact._of(self, link.name) for link in self._record().artifacts]

    @property
    def data(self) -> list[Artifact]:
        """The artifacts of the version that have the kind "data"."""
        return self._of_kind("data")

    @property
    def model_objects(self) -> list[Artifact]:
        """The artifacts of the version that have the kind "model"."""
        return self._of_kind("model")

    @property
    def deployments(self) -> list[Artifact]:
        """The artifacts of the version that have the kind "deployment"."""
        return self._of_kind("deployment")

    @property
    def outputs(self) -> list[Artifact]:
        """The outputs of runs that worked on this version after it was created, oldest run first.

        Such an output is not an artifact of the version, because the artifacts of a version in a stage cannot change.
        The attribute `run` of an output is the id of the run that wrote it.
        """
        from gitmodel.registry.recorded_runs.run_outputs import list_outputs

        found = list_outputs(self._opened.writer, self._ref, store=lambda: self._opened.store)
        return [Artifact._of(self, output.link.name, output=output) for output in found]

    def get_artifact(self, name: str | None = None, *, run: str | None = None) -> Artifact:
        """Return the artifact *name*, or the output *name* of a run that worked on this version.

        If *name* is None, returns the only model object or, if the version has none, the only artifact. If *run*, the
        id of a run, is given, returns an output of that run. Raises NotFound if there is no such artifact, and
        UsageError if several runs wrote different outputs with this name.
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
        """Store *source* and add it to the version as the artifact *name*; *kind* is "data", "model" or "deployment".

        Instead of *source*, you can pass the *digest* of an object that the artifact store already has; then nothing is
        stored. If this object is the manifest of a folder, pass `format="folder"`. *file* is the file name to record
        for this object. Raises NotFound if the store does not have the object.

        If *source* is text or a path object, it is the path of a file or folder. The default of *format* is then
        detected from the content. Any other object is saved to a file in *format*, by default the format of its type,
        and this file is loaded again to verify it. `format="pickle"` allows pickle; such an artifact can be loaded only
        with `trusted=True`. *follow_links* is as in `Model.create_version`. *metadata* is the metadata of the artifact.
        *progress* is called with the number of bytes that are stored so far, and of all bytes. Raises UsageError if the
        format cannot store the object without changing it, or for a picture of more than 100 MB; Refused if the version
        is in a stage or has an alias.

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
        """Store files, folders or objects, and add them to the version as artifacts in one commit.

        *data*, *model_objects* and *deployments* map names of artifacts to sources. If *by_digest* is True, the sources
        are digests of objects that the artifact store already has: see `link_artifact`. If *external* is True, the
        sources are URIs, and nothing is stored: see `link_external`, also for *provider_digest*. *formats*,
        *follow_links*, *jobs*, *progress* and *warn* are as in `Model.create_version`. Raises the errors of
        `link_artifact` and `link_external`.
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
        """Add the file at *uri* (`s3://bucket/key`, `https://...` or a path) as an artifact without storing it.

        The file is read once to hash it. If *provider_digest* is True, the file is not read: gitmodel uses the SHA-256
        of the whole file that its bucket reports. If the bucket keeps versions of its objects, the current version is
        linked. If the same bytes have moved, call this again with the same name and the new URI; this is allowed even
        if the version is in a stage. *kind*, *format* and *metadata* are as in `link_artifact`. *progress* is called
        with the number of bytes that are hashed so far, and of all bytes. Raises NotFound if there is no such file,
        UsageError for invalid arguments or if the bucket reports no SHA-256, Conflict if the file changed while it was
        read, Unreachable if it cannot be reached. Raises Refused if a server denies access, or if the version is in a
        stage or has an alias, except for a new location.

        >>> version.link_external("raw", "s3://bucket/huge.parquet")          # doctest: +SKIP
        Artifact('iris@4', 'raw')
        """
        from gitmodel.client import storing

        given = storing.one_artifact(name, uri, kind, format, metadata, progress)
        self._link(given, external=True, provider_digest=provider_digest)
        return Artifact._of(self, name)

    @property
    def attachments(self) -> list[Artifact]:
        """The attachments of the version, sorted by name. They are not among its artifacts."""
        return [Attached._of(self, each.name) for each in self.view.record.attachments]

    def get_attachment(self, name: str) -> Artifact:
        """Return the attachment *name*. Reading it verifies its bytes. Raises NotFound if there is no such attachment.

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
        """Add a picture, report or other file to the version as an attachment, even if the version is in a stage.

        *source*, *format*, *metadata*, *follow_links* and *progress* are as in `link_artifact`. Attachments are not
        artifacts: a promotion does not fix them, so they can change afterwards. Raises Conflict if an artifact or
        another attachment of the version has this name. Raises the errors of `link_artifact`, but not Refused for a
        version in a stage.

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
        """Add several attachments in one commit. *attachments* maps names of attachments to paths or objects.

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
    """A handle of an artifact of a version. Each read compares the bytes of the artifact with its digest.

    If its attribute `run` is not None, this is an output of the run with this id, which worked on the version after it
    was created. Such an output is not an artifact of the version itself.

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
    """A handle of an attachment of a version. Its record is always read from the branch, never from a stage tag."""

    @property
    def link(self) -> ArtifactLink:
        """The recorded values of the attachment: name, digest, size in bytes, format, metadata, kind ("attachment")."""
        from gitmodel.domain.changes.versions import attachment

        return attachment(self._version.view.record, self._version._model, self._name)

    def set_metadata(self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = ()) -> None:
        """Set *values* in the attachment's metadata and remove the keys *remove*, even if the version is in a stage."""
        self._version.set_metadata(values, remove=remove, attachment=self._name)


class Models(tuple[Model, ...]):
    """An immutable list of models. A notebook shows it as a table."""

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.models_table(model.view for model in self)


class Versions(tuple[ModelVersion, ...]):
    """An immutable list of versions. A notebook shows it as a chart and a table.

    *total* is the number of all versions of the model, without deleted versions; None if the list was filtered.

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
