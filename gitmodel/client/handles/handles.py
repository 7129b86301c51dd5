"""Handles of models, versions and artifacts, and lists of handles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Generic, TypeVar

from gitmodel.client import names_elsewhere
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources, checked_arguments
from gitmodel.domain.arguments.other_names import refuse_other_keywords, shows_our_form
from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.records import (
    DESCRIPTIVE,
    ArtifactLink,
    Code,
    Imported,
    ModelRecord,
    RunRecord,
    VersionRecord,
)
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.views.record_views import ModelView, VersionView
from gitmodel.errors import NotFound, Refused, UsageError
from gitmodel.registry.lists import model_views, version_lists
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding, models, versions
from gitmodel.registry.writing.batch import Batch
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.client.storing import GivenArtifacts
    from gitmodel.domain.schema.manifest import ManifestEntry
    from gitmodel.domain.views.authorship import Authorship
    from gitmodel.lineage.checkout import CheckedOut
    from gitmodel.lineage.exporting import Exported
    from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact
    from gitmodel.registry.records.finding import Found

T = TypeVar("T")
PAGE = 50
NamedProgress = Callable[[str, int, int], None]
"""Called with the name of an artifact, the number of its bytes that are done, and its size."""


class _Field(property, Generic[T]):
    """A property that reads the field of its name by `_field` of the handle, and converts the value by *kind*.

    Without *doc*, the docstring is taken from DESCRIPTIVE, the table of the descriptive fields.
    """

    def __init__(self, kind: Callable[[Any], T], doc: str = "") -> None:
        super().__init__(lambda handle: kind(handle._field(self._name)))
        self._doc = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name, self.__doc__ = name, self._doc or DESCRIPTIVE[name]

    if TYPE_CHECKING:

        def __get__(self, handle: Any, owner: type | None = None) -> T: ...  # type: ignore[override]


def _as_it_is(value: Any) -> Any:
    return value


@checked_arguments
@shows_our_form
class Model:
    """A model: its description and its versions.

    A `Model` that you create is a description for `Client.register_model`. A `Model` from a client is a handle, which
    reads the branch again if the branch has moved. A handle from a list shows what the list showed, until you call
    `refresh` or change the model through the handle. The fields title, license, description, audience, use_cases,
    limitations, trade_offs and ethics are text; tags and owners are lists of text; metadata is a mapping.

    Raises UsageError for an invalid name, an unknown field or a value of the wrong type.

    >>> Model(name="iris", license="Apache-2.0", tags=["sklearn"])
    Model('iris')
    """

    _other_arguments: ClassVar[Mapping[str, str]] = names_elsewhere.MODEL_ARGUMENTS
    _other_names: ClassVar[Mapping[str, str]] = names_elsewhere.MODEL_NAMES
    title, license, description = _Field(str), _Field(str), _Field(str)
    audience, use_cases, limitations = _Field(str), _Field(str), _Field(str)
    trade_offs, ethics = _Field(str), _Field(str)
    tags: _Field[list[str]] = _Field(list)
    owners: _Field[list[str]] = _Field(list)
    metadata: _Field[dict[str, Any]] = _Field(dict)

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
        # The reference that the user wrote, if a pull had given this name to this model, until the user confirms it.
        self._unconfirmed: ModelRef | None = None
        self._given = {"metadata": {}, **read_description({field: given[field] for field in DESCRIPTIVE})}
        self._origin: OpenRegistry | None = None
        # For a handle from a list: the model as the list showed it.
        self._listed: ModelView | None = None

    @classmethod
    def _current(cls, opened: OpenRegistry, name: str) -> Model:
        return cls._from_ref(opened, ModelRef(name, since=opened.repository.renumberings().count))

    @classmethod
    def _from_ref(cls, opened: OpenRegistry, ref: ModelRef, *, unconfirmed: ModelRef | None = None) -> Model:
        model = cls.__new__(cls)
        model._ref, model._unconfirmed, model._given, model._origin = ref, unconfirmed, {}, opened
        model._listed = None
        return model

    @classmethod
    def _of(cls, opened: OpenRegistry, view: ModelView, since: int) -> Model:
        """Return a handle of the model that a list showed as *view*, after the pull *since*."""
        model = cls._from_ref(opened, ModelRef(view.name, since=since))
        model._listed = view
        return model

    @classmethod
    def _find(cls, opened: OpenRegistry, ref: ModelRef, *, for_change: bool = False) -> Model:
        """Return the model that *ref*, which a person wrote, names now. Raises NotFound, UsageError."""
        if ref.renumbered or for_change:
            return cls._from_ref(opened, models.find_to_change(opened.writer, ref))
        found, noted = models.find(opened.writer, ref)
        return cls._from_ref(opened, found, unconfirmed=ref if noted else None)

    @property
    def name(self) -> str:
        """The model's name, which changes if a pull replaces a local name by the remote's."""
        if self._opened is None:
            return self._ref.model
        followed = self._opened.repository.renumberings().follow((self._ref.model, 0), since=self._ref.since or 0)
        return followed[0]

    def description_given(self) -> dict[str, Any]:
        """Return the descriptive fields that were passed to `Model(...)` and are not empty."""
        return {field: value for field, value in self._given.items() if value}

    @property
    def view(self) -> ModelView:
        """The model's record, stages and number of versions, read once, as an immutable value."""
        return self._listed or model_views.get_model(self._writer(), self._ref)

    def refresh(self) -> Model:
        """Make this handle, if it is from a list, read the model again on its next use. Return the handle."""
        self._listed = None
        return self

    @property
    def record(self) -> ModelRecord:
        """The model's current record."""
        return self.view.record

    @property
    def created(self) -> datetime:
        """The time when the model was registered, in UTC."""
        return self.record.created

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

        Raises NotFound, and UsageError for an invalid filter or a negative *limit* or *offset*.
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
        if ref.number is None and not renumbered and self._unconfirmed is None:  # the model is not in doubt
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
        *number* must be above all numbers of the model. Numbers that it skips become deleted versions, at most 1,000.

        >>> model.create_version(number=7, code="9fceb02d0ae598e95dc970b74767f19372d61af8")  # doctest: +SKIP

        *imported* are the claims of another registry about the version: its source, and its author and time there.

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

    def update(
        self,
        *,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        remove_metadata: Iterable[str] = (),
        **description: Any,
    ) -> Model:
        """Change descriptive fields, and add or remove tags and metadata, in one commit.

        Keys of *metadata* are added to the existing ones. Raises NotFound for a tag or key to remove that the model
        does not have, UsageError for an invalid field.
        """
        ref, opened = self._to_change(), self._registered()
        tags = TagChanges.read(description.get("tags"), add_tags, remove_tags)
        return Model._update(opened, ref, None, description, tags, remove_metadata)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the model, as `ModelVersion.log_metadata` does of a version.

        >>> model.log_metadata(contact="#flowers", reviewed=True)             # doctest: +SKIP
        """
        self.set_metadata({**(metadata or {}), **values})

    def set_metadata(
        self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = (), table: str = ""
    ) -> None:
        """Set *values* of the metadata and remove the keys in *remove* in one commit; see `ModelVersion.set_metadata`.

        Raises NotFound for a key to remove that the model does not have, and UsageError for a key that is both set and
        removed.
        """
        writer, given = self._writer(), {"metadata": dict(values or {})}
        chosen = models.find_to_change(writer, self._to_change())
        models.update_model(writer, chosen, given, remove_metadata=remove, table=table)

    @classmethod
    def _update(
        cls,
        opened: OpenRegistry,
        ref: ModelRef,
        new_name: str | None,
        description: Mapping[str, Any],
        tags: TagChanges = TagChanges(),
        remove_metadata: Iterable[str] = (),
    ) -> Model:
        if new_name is not None and not isinstance(opened.writer, Batch):
            with opened.transaction(f"Rename {ref} to {new_name}") as change:
                return cls._update(change, ref, new_name, description, tags, remove_metadata)
        chosen = models.find_to_change(opened.writer, ref)
        now = models.update_model(opened.writer, chosen, description, tags=tags, remove_metadata=remove_metadata)
        if new_name is not None:
            now = models.rename_model(opened.writer, chosen, new_name)
        return cls._current(opened, now)

    def rename(self, new_name: str) -> Model:
        """Rename the model. The old name leads to the new one and is never used again."""
        return Model._update(self._registered(), self._to_change(), new_name, {})

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the model. Raises Refused if it is in use, unless *force*."""
        models.delete_model(self._writer(), self._to_change(), why=Justification(reason, force))

    @property
    def stages(self) -> list[StageState]:
        """All stages and aliases, each with the recorded version and the version in force."""
        return list(self._listed.stages) if self._listed else stages.list_stages(self._writer(), self._ref)

    def demote(self, stage: str, *, reason: str = "") -> Promotion:
        """Remove the version from *stage*."""
        return stages.demote(self._writer(), self._to_change(), str(stage), reason=reason)

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

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Remove *alias*."""
        stages.remove_alias(self._writer(), self._to_change(), alias, reason=reason)

    def history(self, stage: str | ModelStages = "") -> list[StageEvent]:
        """Return the changes of the model's stages and aliases, or of one *stage*, newest first."""
        from gitmodel.lineage.history import history

        return list(history(self._registered().repository, self._ref, str(stage)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.name == other.name and self._opened is other._opened

    def __hash__(self) -> int:
        return hash(self._ref.model)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it
        from gitmodel.domain.views.cell_text import stages_of_model

        view = self.view if self._opened else None
        rows = [("name", self.name), *((field, getattr(self, field)) for field in DESCRIPTIVE)]
        if view:
            rows += [("versions", view.count), ("latest", view.latest), ("stages", stages_of_model(view))]
        return html.fields_table(rows)

    @property
    def _opened(self) -> OpenRegistry | None:
        return self._origin.lasting if self._origin is not None else None

    def _registered(self) -> OpenRegistry:
        if self._opened is None:
            raise UsageError(f"{self!r} is only a description", hint="register it first: client.register_model(model)")
        return self._opened

    def _writer(self) -> Writer:
        return self._registered().writer

    def _to_change(self) -> ModelRef:
        """Return a reference for changing the model, and drop the values from a list.

        Raises Refused if the model was found by a name that a pull gave to it, unless *renumbered* was given.
        """
        writer = self._writer()
        self._listed = None
        if self._unconfirmed is not None:
            models.find_to_change(writer, self._unconfirmed)
        return self._ref

    def _field(self, name: str) -> Any:
        return self._given[name] if self._opened is None else getattr(self.record, name)


@checked_arguments
@shows_our_form
class ModelVersion:
    """A version of a model: a handle, which reads the branch again if the branch has moved.

    A handle from a list shows what the list showed, until you call `refresh` or change the version through the handle.
    A handle still names the same version after a pull has renumbered the version.

    >>> version = client.get_version("iris@latest")                  # doctest: +SKIP
    >>> version.log_metadata(accuracy=0.97)                          # doctest: +SKIP
    >>> version.set_stage("production", reason="more accurate")      # doctest: +SKIP
    """

    _other_names: ClassVar[Mapping[str, str]] = names_elsewhere.VERSION_NAMES
    name: _Field[str | None] = _Field(_as_it_is, "The version's own name, or None.")
    description = _Field(str, "The description of the version.")
    created: _Field[datetime] = _Field(_as_it_is, "The time when the version was created, in UTC.")
    tags: _Field[list[str]] = _Field(list, "The tags of the version, sorted.")
    metadata: _Field[dict[str, Any]] = _Field(dict, "The metadata of the version.")
    code: _Field[Code | None] = _Field(_as_it_is, "The code of the version: commit, uncommitted changes, repository.")
    runs: _Field[list[str]] = _Field(list, "The ids of the runs that made the version or worked on it.")
    _origin: OpenRegistry
    # The reference that follows the version when a pull renumbers it.
    _ref: VersionRef
    # The reference that the user wrote, if a pull had given its number to this version, until the user confirms it.
    _unconfirmed: VersionRef | None
    _frozen: Found | None
    _is_new: bool
    # For a handle from a list: the version as the list showed it.
    _listed: VersionView | None

    def __init__(self, *_: object, **__: object) -> None:
        raise UsageError(
            "a ModelVersion comes from a client, and is not created by its class",
            hint='write Client().get_version("demo@3"); for a pipeline, ModelConfig(name="demo", version="3")',
        )

    @classmethod
    def _of(
        cls,
        opened: OpenRegistry,
        ref: VersionRef,
        *,
        unconfirmed: VersionRef | None = None,
        frozen: Found | None = None,
        is_new: bool = False,
    ) -> ModelVersion:
        version = cls.__new__(cls)
        version._origin, version._ref, version._unconfirmed = opened, ref, unconfirmed
        version._frozen, version._is_new, version._listed = frozen, is_new, None
        return version

    @classmethod
    def _listed_as(cls, opened: OpenRegistry, view: VersionView, since: int) -> ModelVersion:
        """Return a handle of the version that a list showed as *view*, after the pull *since*."""
        version = cls._of(opened, VersionRef(view.model, str(view.record.number), since=since))
        version._listed = view
        return version

    @classmethod
    def _find(
        cls, opened: OpenRegistry, ref: VersionRef, *, for_change: bool = False, is_new: bool = False
    ) -> ModelVersion:
        """Return the version that *ref*, which a person wrote, names now. Raises NotFound, Invalid, UsageError."""
        find = finding.find_to_change if ref.renumbered or ref.settles or for_change else finding.find
        found = find(opened.writer, ref)
        unconfirmed, frozen = ref if found.note else None, found if found.frozen else None
        return cls._of(opened, found.ref, unconfirmed=unconfirmed, frozen=frozen, is_new=is_new)

    @property
    def number(self) -> int:
        """The version's number, from 1, which changes if a pull renumbers the version."""
        return self._now[1]

    @property
    def model(self) -> Model:
        """The model of this version."""
        return Model._current(self._opened, self._model)

    @property
    def reference(self) -> str:
        """The version's reference on the command line, such as `iris@3`."""
        model, number = self._now
        return f"{model}@{number}"

    @property
    def ref(self) -> VersionRef:
        """A reference that follows the version if a pull renumbers it, for methods of the client."""
        return self._ref

    @property
    def view(self) -> VersionView:
        """The version's record, stage and aliases, read once, as an immutable value."""
        return self._listed or versions.get_version(self._opened.writer, self._ref)

    def refresh(self) -> ModelVersion:
        """Make this handle, if it is from a list, read the version again on its next use. Return the handle."""
        self._listed = None
        return self

    @property
    def frozen(self) -> str:
        """The stage tag from which the version was read, such as `model/iris/production`; "" if the branch was read.

        In a registry by URL, a version found by stage or alias is read from its stage tag alone. `stage`, `aliases` and
        `pending` are still read from the branch.
        """
        return self._frozen.frozen if self._frozen is not None else ""

    @property
    def is_new(self) -> bool:
        """True if the call created the version; False if it existed already with the same idempotency key."""
        return self._is_new

    @property
    def is_local(self) -> bool:
        """True if the remote, when last contacted, did not have the version: a pull may then renumber it."""
        return self.view.local

    @property
    def stage(self) -> str | None:
        """The stage in which the version is in force: an exclusive stage, "archived" or None."""
        return self.view.stage

    @property
    def aliases(self) -> list[str]:
        """The aliases of the version that are in force."""
        return list(self.view.aliases)

    @property
    def pending(self) -> tuple[StageState, ...]:
        """Recorded changes of the version's stages and aliases that are not in force yet."""
        return self.view.pending

    @property
    def authorship(self) -> Authorship | None:
        """The author of the version, and the time and author of its last change; see `Client.authorships`.

        None if a shallow clone lacks the commits that created and changed the version.
        """
        from gitmodel.registry.lists.authorship import read_authorships  # imported here: few programs need SQLite

        writer = self._opened.writer
        at = writer.read_records(lambda snapshot: snapshot.commit)
        return read_authorships(writer.repository, at, writer.index_folder).get(self.reference)

    @property
    def readers(self) -> list[str]:
        """The ids of the runs that had an artifact of the version as an input and did not change it, oldest first."""
        from gitmodel.lineage import graph

        opened, (model, number) = self._opened, self._now
        return graph.readers(opened.repository, model, number, store=lambda: opened.store)

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

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> Promotion:
        """Put the version into *stage* and archive the version that was there. "none" removes it from its stage.

        *force* overrides a failing gate and needs a *reason*. *leave* allows moving the version to an earlier stage
        although its current stage becomes empty. Raises UsageError for an unknown stage, and GateRefused if the version
        fails a rule of the stage. Raises Refused for a version of a failed run, and for a move to an earlier stage
        without *leave*.
        """
        why = Justification(reason, force)
        return self._change(lambda writer: stages.promote(writer, self._ref, str(stage), why=why, leave=leave))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Move *alias* to this version."""
        self._change(lambda writer: stages.set_alias(writer, self._ref, alias, reason=reason))

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Remove *alias* from this version. Raises NotFound if it is not an alias of this version."""
        view = self.refresh().view
        own = {*view.aliases, *(s.name for s in view.pending if s.alias and s.recorded == self.number)}
        own -= {state.name for state in view.pending if state.recorded not in (None, self.number)}
        if alias not in own:
            hint = f"its aliases: {', '.join(sorted(own)) or 'none'}"
            raise NotFound(f"{self.reference} has no alias {alias!a}", hint=hint)
        self._change(lambda writer: stages.remove_alias(writer, self.model._ref, alias, reason=reason))

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> ModelVersion:
        """Change description and tags, or give a name to a version without one.

        *tags* replaces all tags; *add_tags* and *remove_tags* add and remove some. Raises Refused if the version has a
        name already, UsageError for *tags* together with *add_tags* or *remove_tags*.
        """
        said = {"name": name, "description": description}
        changes = TagChanges.read(tags, add_tags, remove_tags)
        self._change(lambda writer: versions.update_version(writer, self._ref, **said, tags=changes))
        return self

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the version; its number is never used again. Raises Refused if it is in use, unless *force*."""
        self._change(lambda writer: versions.delete_version(writer, self._ref, why=Justification(reason, force)))

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
        """Store files, folders or objects and link them in one commit. *data* and its siblings map names to sources.

        With *by_digest*, the sources are digests of objects that the artifact store has: see `link_artifact`.
        With *external*, the sources are URIs, and nothing is stored: see `link_external`, also for *provider_digest*.
        *formats*, *follow_links*, *jobs*, *progress* and *warn* are as in `Model.create_version`. Raises the errors of
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
        """Link the file at *uri* (`s3://bucket/key`, `https://...` or a path) without storing it.

        The file is read once to hash it. With *provider_digest*, the file is not read: gitmodel uses the SHA-256 of the
        whole object that the store of the file reports. If the store has object versions, the current version is
        linked. You can always link the same bytes at another place, to record the new location. Raises NotFound,
        UsageError, Conflict if the file changed while it was read, Refused if the version is in a stage or has an
        alias, Unreachable.

        >>> version.link_external("raw", "s3://bucket/huge.parquet")          # doctest: +SKIP
        Artifact('iris@4', 'raw')
        """
        from gitmodel.client import storing

        given = storing.one_artifact(name, uri, kind, format, metadata, progress)
        self._link(given, external=True, provider_digest=provider_digest)
        return Artifact._of(self, name)

    def unlink(self, name: str) -> None:
        """Remove the artifact *name* from the version. Its bytes stay in the store."""
        from gitmodel.registry.linked_artifacts import linking

        self._change(lambda writer: linking.unlink_artifact(writer, self._ref, name))

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

    def detach(self, name: str) -> None:
        """Remove the attachment *name* from the version. Its bytes stay in the store. Raises NotFound."""
        from gitmodel.registry.linked_artifacts import linking

        self._change(lambda writer: linking.detach(writer, self._ref, name))

    def log_metadata(
        self,
        metadata: Mapping[str, Any] | None = None,
        *,
        artifact: str | None = None,
        attachment: str | None = None,
        **values: Any,
    ) -> None:
        """Set metadata of the version, its *artifact* or its *attachment*.

        Values: numbers, text, booleans, times, lists, tables.
        """
        form = f"it is of {self.reference}; write artifact= for one of its artifacts"
        refuse_other_keywords("log_metadata", values, form)
        self.set_metadata({**(metadata or {}), **values}, artifact=artifact, attachment=attachment)

    def set_metadata(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        remove: Iterable[str] = (),
        artifact: str | None = None,
        attachment: str | None = None,
        table: str = "",
    ) -> None:
        """Set *values* and remove the keys in *remove*: metadata of the version, its *artifact* or its *attachment*.

        With *table*, the keys are those of an inner table of the metadata; its other keys stay as they are. Raises
        UsageError if a key is both set and removed, and if the value at *table* is not a table; NotFound for a key to
        remove that does not exist.

        >>> version.set_metadata({"reviewed": True}, remove=["draft"])        # doctest: +SKIP
        >>> version.set_metadata(remove=["draft"], attachment="report")       # doctest: +SKIP
        >>> version.set_metadata({"team": "plants"}, table="tags")            # doctest: +SKIP
        """
        changes: dict[str, Any] = {"on": artifact, "attached": attachment, "remove": tuple(remove), "table": table}
        self._change(lambda writer: versions.set_metadata(writer, self._ref, values or {}, **changes))

    def checkout(
        self,
        folder: str | os.PathLike[str],
        *,
        artifacts: str = "artifacts",
        attachments: str | None = None,
        submodules: bool = True,
    ) -> CheckedOut:
        """Create a work tree at *folder* with the code of this version, and its artifacts in the subfolder *artifacts*.

        In the subfolder, an artifact is at ARTIFACT/FILE. FILE is the name of the file or folder that was stored;
        artifacts of earlier releases, which did not record this name, are at ARTIFACT. If *attachments* names a
        subfolder, attachments are written to that subfolder in the same way. Otherwise attachments are left out,
        because they can change at any time.

        A missing commit is fetched from the remote where a push kept it. With *submodules*, those of the code are
        fetched from their own remotes. Branches, the index and other work trees do not change; `git worktree remove`
        removes the work tree. Raises NotFound for a missing commit or artifact; UsageError if *folder* exists; Refused
        if a submodule cannot be fetched.
        """
        from gitmodel.lineage.checkout import checkout

        opened = self._opened
        return checkout(
            self.reference,
            self.view.record,
            Path(folder).expanduser(),
            source=lambda link: opened.access.source(self._model, link),
            code=opened.open_code(),
            folder=artifacts,
            attachments=attachments,
            submodules=submodules,
        )

    def export(self, path: str | os.PathLike[str], *, inputs: bool = False) -> Exported:
        """Write this version with its records, lineage and artifacts to the new file *path*.

        With *inputs*, everything from which the version was made is included. `missing` of the result lists recorded
        artifacts that are not in the file. Raises NotFound for an artifact that the store does not have, and UsageError
        if *path* exists.
        """
        from gitmodel.lineage.exporting import export

        opened = self._opened
        target = Path(path).expanduser()
        return export(opened.repository, self._ref, target, store=opened.access.of_model(self._model), inputs=inputs)

    def card(self) -> str:
        """Return the model card, made from the records alone: Markdown with the YAML header that model hubs read.

        The card shows the parameters of the run that made the version. Pictures in the card are files beside it. The
        header has the keys of https://huggingface.co/docs/hub/model-cards. Equal records give equal bytes.
        """
        from gitmodel.domain.views.cards import card
        from gitmodel.lineage.comparing import recorded_run, run_parameters

        record = self.view.record
        run = self._opened.writer.read(lambda snapshot: recorded_run(snapshot, record))
        repeatable = run is not None and bool(run.executor and run.script)
        return card(self._model, self.model.record, record, run_parameters(run), repeatable=repeatable)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and self.reference == other.reference and self._opened is other._opened

    def __hash__(self) -> int:
        return hash((self._ref.model, self._ref.selector))

    def __repr__(self) -> str:
        return f"ModelVersion({self.reference!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.fields_table(self.view.fields().items())

    @property
    def _opened(self) -> OpenRegistry:
        return self._origin.lasting

    @property
    def _now(self) -> Numbered:
        """The current model and number of the version."""
        asked = (self._ref.model, self._ref.number or 0)
        return self._opened.repository.renumberings().follow(asked, since=self._ref.since or 0)

    @property
    def _model(self) -> str:
        return self._now[0]

    def _require_confirmed(self) -> None:
        """Raise Refused for an unconfirmed number, and forget the values that a list showed. Called before each change.

        A number is unconfirmed if a pull gave this number to this version and *renumbered* was not given.
        """
        self._listed = None
        if self._unconfirmed is not None:
            finding.find_to_change(self._opened.writer, self._unconfirmed)

    def _change(self, change: Callable[[Writer], T]) -> T:
        """Make *change* and return its result. Afterwards the handle reads the branch instead of its stage tag.

        Raises Refused as `_require_confirmed` does.
        """
        self._require_confirmed()
        done = change(self._opened.writer)
        self._frozen = None
        return done

    def _link(
        self,
        given: GivenArtifacts,
        *,
        external: bool = False,
        provider_digest: bool = False,
        by_digest: bool = False,
        file: str = "",
    ) -> None:
        from gitmodel.client import storing
        from gitmodel.registry.linked_artifacts import linking

        self._require_confirmed()
        if external:
            links = storing.describe_links(self._opened, self._ref, given, provider_digest=provider_digest)
        elif by_digest:
            links = storing.describe_stored_links(self._opened, self._ref, self._model, given, file)
        else:
            links = storing.store_links(self._opened, self._ref, self._model, given)
        self._change(lambda writer: linking.link_artifacts(writer, self._ref, links))

    def _attach(self, given: GivenArtifacts) -> None:
        from gitmodel.client import storing
        from gitmodel.registry.linked_artifacts import linking

        self._require_confirmed()
        links = storing.store_attachments(self._opened, self._ref, self._model, given)
        self._change(lambda writer: linking.attach(writer, self._ref, links))

    def _record(self) -> VersionRecord:
        if self._frozen is not None:
            return self._frozen.record
        if self._listed is not None:
            return self._listed.record
        return finding.find(self._opened.writer, self._ref).record

    def _field(self, name: str) -> Any:
        return getattr(self._record(), name)

    def _of_kind(self, kind: str) -> list[Artifact]:
        return [Artifact._of(self, link.name) for link in self._record().artifacts if link.kind == kind]


@checked_arguments
class Artifact:
    """An artifact of a version. Every read verifies the bytes of the artifact against its digest.

    If `run` is set, it is the id of a run that worked on the existing version and wrote this output. Such an output is
    not an artifact of the version itself.

    >>> artifact = client.get_version("iris@production").get_artifact("classifier")     # doctest: +SKIP
    >>> artifact.load().predict([[6.1, 2.8, 4.7, 1.2]])                                 # doctest: +SKIP
    array([1])
    """

    kind = _Field(str, '"data", "model" or "deployment".')
    digest = _Field(str, "`sha256:` and 64 hex digits; for a folder, the digest of its manifest.")
    size = _Field(int, "The size in bytes; for a folder, of all its files.")
    format = _Field(str, "The name of the format, such as `skops`.")
    uri: _Field[str | None] = _Field(_as_it_is, "The location of an external artifact; None for one in a store.")
    metadata: _Field[dict[str, Any]] = _Field(dict, "The metadata of the artifact.")
    _version: ModelVersion
    _name: str
    _output: VersionArtifact | None

    def __init__(self, *_: object, **__: object) -> None:
        raise UsageError(
            "an Artifact comes from its version, and is not created by its class",
            hint='write Client().get_version("demo@3").get_artifact("NAME"); for an output of a step, '
            'ArtifactConfig(name="NAME")',
        )

    @classmethod
    def _of(cls, version: ModelVersion, name: str, *, output: VersionArtifact | None = None) -> Artifact:
        artifact = cls.__new__(cls)
        artifact._version, artifact._name, artifact._output = version, name, output
        return artifact

    @property
    def name(self) -> str:
        """The artifact's name within its version."""
        return self._name

    @property
    def version(self) -> ModelVersion:
        """The version that the artifact belongs to."""
        return self._version

    @property
    def run(self) -> str | None:
        """The id of the run that wrote this output; None for an artifact of the version itself."""
        return self._output.run if self._output is not None else None

    @property
    def link(self) -> ArtifactLink:
        """The record of the artifact: name, kind, digest, size in bytes, format, metadata."""
        from gitmodel.registry.linked_artifacts import linking

        if self._output is not None:  # runs do not change
            return self._output.link
        return linking.only_artifact(self._version._record(), self._version._model, self._name)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the artifact at any time. Raises Refused for an output of a run, which has no metadata."""
        refuse_other_keywords("log_metadata", values, f"it is of {self._described}")
        self.set_metadata({**(metadata or {}), **values})

    def set_metadata(self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = ()) -> None:
        """Set *values* of the artifact's metadata and remove the keys in *remove*; see `ModelVersion.set_metadata`.

        >>> artifact.set_metadata({"rows": 150}, remove=["draft"])            # doctest: +SKIP
        """
        if self._output is not None:
            raise Refused(
                f"{self._name} is an output of run {self.run}, and cannot have metadata",
                hint=f"set metadata of {self._version.reference}",
            )
        self._version.set_metadata(values, remove=remove, artifact=self._name)

    def download(
        self,
        target: str | os.PathLike[str],
        *,
        jobs: int = JOBS,
        progress: Progress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> Path:
        """Verify the artifact, write it to *target*, and return the path of the new file or folder.

        *target* appears only after all bytes were verified. If *target* is a folder, a file is written into this folder
        under the artifact's file name, such as `model.onnx`; raises UsageError if the folder has this name already. A
        folder artifact becomes the folder *target* itself.

        >>> version.get_artifact("classifier").download("served")            # doctest: +SKIP
        PosixPath('served/model.onnx')

        *jobs* files of a folder are fetched at a time. *warn* is called with a sentence about each file that is not
        written; the default writes the sentence to the logger `gitmodel`.
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        transfer = Transfer(jobs, progress)
        place = fetching.target_of(link, Path(target))
        fetching.fetch_artifact(self._source(link), link, place, transfer=transfer, warn=warn)
        return place

    def download_file(self, file: str, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write one *file* of a folder to *target* after verifying it, without fetching the other files.

        *file* is the path in the folder. Raises NotFound if the folder has no such file, and UsageError if the artifact
        is not a folder.
        """
        self.fetch_file(file, target, progress=progress)
        return Path(target)

    def fetch_file(
        self, file: str, target: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> ManifestEntry:
        """Download a file as `download_file` does, and return its path, size and digest from the folder's manifest."""
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.fetch_file(self._source(link), link, file, Path(target), progress=progress)

    def path(self) -> Path:
        """Return the path of a read-only file or folder with the content and the file name, such as `model.onnx`.

        The path is a link in the cache to the content in a local store, or else to a copy in the cache. If the
        repository is read-only, the last part of the path is the digest.

        Each call verifies the content, and replaces damaged files. Any number of threads and processes may call `path`
        and read the result at the same time: a folder in the cache is never emptied.
        """
        from gitmodel.client import reading

        link = self.link
        return reading.read_in_place(self._opened.repository, self._source(link), link)

    def list_files(self) -> tuple[ManifestEntry, ...]:
        """Return the path, size and digest of each file in a folder, sorted by path. Only the manifest is fetched.

        Raises UsageError if the artifact is one file.

        >>> [file.path for file in version.get_artifact("net").list_files()]  # doctest: +SKIP
        ['config.json', 'weights/layer-1.bin']
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.list_files(self._source(link), link)

    def open(self, file: str = "") -> BinaryIO:
        """Open the bytes of a file for reading. Reading them raises Invalid at the end if the digest does not match.

        For a folder, *file* is the path of the file in the folder. Raises NotFound if the folder has no such file.
        """
        from gitmodel.registry.linked_artifacts import fetching

        link = self.link
        return fetching.open_file(self._source(link), link, file)

    def load(self, *, trusted: bool = False) -> Any:
        """Return the object in the artifact, loaded by its recorded format.

        *trusted* allows formats that can run code when they are loaded, such as pickle. Without *trusted*, they raise
        Refused. A scikit-learn model (format skops) needs *trusted* only if it uses a function, or a class of another
        library or of your own; `client.trust_names` allows such names one by one. A folder can be loaded if a format of
        folders recognizes it, such as Transformers.
        """
        from gitmodel.client import reading

        link = self.link
        return reading.load(self._opened, self._source(link), link, shown=self._described, trusted=trusted)

    def _field(self, name: str) -> Any:
        return getattr(self.link, name)

    @property
    def _opened(self) -> OpenRegistry:
        return self._version._opened

    @property
    def _described(self) -> str:
        return f"{self._name} of {self._version.reference}"

    def _source(self, link: ArtifactLink) -> ArtifactStore:
        return self._version._opened.access.source(self._version._model, link)

    def __repr__(self) -> str:
        return f"Artifact({self._version.reference!r}, {self._name!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        link = self.link
        return html.fields_table((key, getattr(link, key)) for key in ("name", "kind", "format", "size", "digest"))


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
