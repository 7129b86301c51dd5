"""Client and the handles it gives out: the registry as Python objects that read again when the branch has moved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from gitmodel.domain.models import DESCRIPTIVE
from gitmodel.domain.names import ARCHIVED, LATEST, NONE, check_name
from gitmodel.domain.records import ArtifactLink, Code, ModelRecord
from gitmodel.domain.references import VersionRef
from gitmodel.domain.stages import Promotion, StageState
from gitmodel.domain.views import ModelView, VersionView
from gitmodel.errors import GitModelError, NotFound, UsageError
from gitmodel.registry import artifacts, models, stages, versions
from gitmodel.registry.stages import Applied
from gitmodel.registry.writer import Batch, Direct, Writer
from gitmodel.storage.artifacts import ArtifactStore, Progress, open_store
from gitmodel.storage.local_store import LocalStore
from gitmodel.storage.log import StageEvent
from gitmodel.storage.repository import Repository, check_git, configured, open_repository

if TYPE_CHECKING:
    from gitmodel.registry.runs import RunView
    from gitmodel.teams.sync import Pulled, Pushed

PAGE = 50


class ModelStages(str, Enum):
    """The stages of a registry that defines none of its own, and the words for leaving them."""

    NONE = NONE
    STAGING = "staging"
    PRODUCTION = "production"
    ARCHIVED = ARCHIVED
    LATEST = LATEST

    def __str__(self) -> str:
        return self.value


class Client:
    """A registry, opened: the one of the repository at *path*, unless *repo* or a setting names another.

    *repo* is a path; without it the registry is chosen by `GITMODEL_REPO`, else `git config gitmodel.repo`, else it is
    the repository that *path* is in. The code repository is always the one that *path* is in. *store* is the URL
    of the artifact store; without it `GITMODEL_STORE`, `git config gitmodel.store` or the registry's own says which.

    Raises NotFound outside of a repository, UsageError for a git or repository that gitmodel cannot work with.

    >>> client = Client()                                      # doctest: +SKIP
    >>> client.register_model(Model(name="iris"))              # doctest: +SKIP
    Model('iris')
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ".",
        *,
        repo: str | os.PathLike[str] | None = None,
        store: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = dict(os.environ if environ is None else environ)
        self._path = Path(path).expanduser()
        self._store_url = store
        self._store: ArtifactStore | None = None
        self._repository = self._open(None if repo is None else os.fspath(repo))
        self._writer: Writer = Direct(self._repository)

    @property
    def repository(self) -> Repository:
        """The registry repository."""
        return self._repository

    @property
    def writer(self) -> Writer:
        """Where changes go: straight to the branch, or within `transaction` to the batch."""
        return self._writer

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, opened when it is first needed. Raises UsageError for a URL it cannot be at."""
        if self._store is None:
            self._store = open_store(self.store_url, default_root=self.store_root)
        return self._store

    @property
    def store_url(self) -> str:
        """The URL of the artifact store that is chosen; "" for the one inside the repository, at `store_root`."""
        named = self._store_url or self._environ.get("GITMODEL_STORE") or self._repository.config.get("gitmodel.store")
        return named or self._repository.snapshot().registry().store or ""

    @property
    def store_root(self) -> Path:
        """The folder of the artifact store that needs no setting up."""
        return self._repository.common_dir / "gitmodel" / "store"

    def close(self) -> None:
        """End the git process that reads for this client; it starts again if the client is used again."""
        self._repository.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._repository.common_dir)!r})"

    # Models

    def register_model(self, model: Model | str, **description: Any) -> Model:
        """Make a model: `register_model(Model(name=..., ...))` or `register_model(name, license=..., ...)`.

        Raises UsageError for a bad name or field, Conflict if the name is or was in use.
        """
        if isinstance(model, Model):
            description = {**model.description_given(), **description}
            model = model.name
        return Model._of(self, models.register_model(self._writer, model, description))

    def get_model(self, name: str | None = None, *, model_name: str | None = None) -> Model:
        """The model *name* (or *model_name*, the draft's word). Raises NotFound, which says what there is."""
        wanted = name if name is not None else model_name
        if wanted is None:
            raise UsageError("get_model needs the name of a model", hint="write client.get_model('iris')")
        return Model._of(self, models.get_model(self._writer, wanted).name)

    def list_models(self, *, filter: str = "", sort: str = "name", limit: int | None = None, offset: int = 0) -> Models:
        """The models that match *filter* (see `docs/reference/expressions.md`), sorted by "name", "created", "latest"
        or "versions" ("-created": descending), *limit* of them from *offset*."""
        found, _ = models.list_models(self._writer, filter=filter, sort=sort, limit=limit, offset=offset)
        return Models(Model._of(self, view.name) for view in found)

    def update_model(
        self,
        name: str,
        *,
        new_name: str | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        **description: Any,
    ) -> Model:
        """Change a model's descriptive fields and tags, and its name. Raises NotFound, UsageError, Conflict."""
        if new_name is not None and not isinstance(self._writer, Batch):
            with self.transaction(f"Rename {name} to {new_name}"):
                return self.update_model(
                    name, new_name=new_name, add_tags=add_tags, remove_tags=remove_tags, **description
                )
        now = models.update_model(self._writer, name, description, add_tags=add_tags, remove_tags=remove_tags)
        if new_name is not None:
            now = models.rename_model(self._writer, now, new_name)
        return Model._of(self, now)

    def delete_model(self, name: str, *, reason: str = "", force: bool = False) -> None:
        """Delete a model; its name and numbers are never used again. Raises Refused if it is in use, unless *force*."""
        models.delete_model(self._writer, name, reason=reason, force=force)

    # Versions

    def get_version(self, reference: str) -> ModelVersion:
        """The version that a reference such as `"iris@production"` names. Raises NotFound, which says what there is.

        By stage or alias it is the one in force, and its artifacts are those that were promoted.
        """
        model, record = versions.resolve(self._writer, VersionRef.parse(reference))
        return ModelVersion(self, model, record.number)

    # Runs

    def list_runs(self, *, filter: str = "", limit: int | None = PAGE, offset: int = 0) -> list[RunView]:
        """The runs that match *filter*, newest first, with those that are under way or were lost on this machine."""
        from gitmodel.registry import runs

        return runs.list_runs(self._repository, filter=filter, limit=limit, offset=offset)[0]

    def get_run(self, id: str) -> RunView:
        """The run *id*. Raises NotFound."""
        from gitmodel.registry import runs

        return runs.get_run(self._repository, id, store=lambda: self.store)

    def apply(self, *names: str, reviewed: Iterable[str] = ()) -> Applied:
        """Put in force what the branch records, for all models or for *names*.

        *reviewed* are ids of commits that you vouch for: they came through review, though history does not show it.
        """
        return stages.apply(self._repository, names, reviewed=frozenset(reviewed))

    # Others

    def pull(self, remote: str = "", *, rewound: bool = False) -> Pulled:
        """Bring the registry of *remote* (else `git config gitmodel.remote`, else `origin`) together with this one.

        What was done here and not pushed is made again on what others did; versions whose numbers were taken meanwhile
        get new ones. Raises Conflict if the remote was rewound or deleted, unless *rewound* says that it may; Refused
        for unrelated registries and signed commits; Unreachable.
        """
        from gitmodel.storage import remotes
        from gitmodel.teams import sync

        return sync.pull(self._repository, remotes.choose_remote(self._repository, remote), rewound=rewound)

    def push(
        self, remote: str = "", *, timeout: float = 60.0, jobs: int = 8, progress: Progress | None = None
    ) -> Pushed:
        """Upload artifacts, *jobs* at a time, then push branch and stage tags to *remote*, all or nothing.

        What others pushed meanwhile is pulled first, again and again for *timeout* seconds. Raises Unreachable for a
        remote or store out of reach, Refused with the host's words if a rule of it says no, Conflict as `pull` does.
        """
        from gitmodel.storage import remotes
        from gitmodel.teams import sync

        uploads = sync.Uploads(LocalStore(self.store_root), self.store, jobs, progress)
        chosen = remotes.choose_remote(self._repository, remote)
        return sync.push(self._repository, chosen, uploads, timeout=timeout)

    @contextmanager
    def transaction(self, message: str) -> Iterator[Client]:
        """Several changes in one commit with the subject *message*; an exception inside changes nothing.

        >>> with client.transaction("Move iris on"):                    # doctest: +SKIP
        ...     version = client.get_model("iris").create_version()
        ...     version.set_stage("staging")
        """
        if isinstance(self._writer, Batch):
            raise UsageError("a transaction is open already", hint="make all changes in the outer one")
        batch = Batch(self._repository, message)
        direct, self._writer = self._writer, batch
        try:
            yield self
            batch.commit()
        finally:
            self._writer = direct

    def read_code(self) -> Code:
        """The state of the code repository that *path* is in: commit, changes, origin."""
        from gitmodel.storage.code import read_code

        return read_code(self._path, environ=self._environ)

    def _open(self, repo: str | None) -> Repository:
        branch = self._environ.get("GITMODEL_BRANCH", "")
        named = repo or self._environ.get("GITMODEL_REPO")
        try:
            if named:
                return open_repository(Path(named).expanduser(), environ=self._environ, branch=branch)
            elsewhere = configured("gitmodel.repo", self._path, environ=self._environ)
            return open_repository(elsewhere or self._path, environ=self._environ, branch=branch)
        except GitModelError:
            check_git(self._environ)
            raise


class _Text:
    """A descriptive field of a model that is text."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, model: Model, owner: type) -> str:
        return str(model._described(self._name))


class _Words(_Text):
    """A descriptive field of a model that is a list of words."""

    def __get__(self, model: Model, owner: type) -> list[str]:  # type: ignore[override]
        return list(model._described(self._name))


class Model:
    """A model: what is said of it, and its versions.

    Made by hand it is a description for `Client.register_model`; from a client it is a handle that reads again when
    the branch has moved. Fields: title, license, description, audience, use_cases, limitations, trade_offs, ethics
    (text), tags, owners (lists of text).

    Raises UsageError for a bad name, an unknown field or a value of the wrong type.

    >>> Model(name="iris", license="Apache-2.0", tags=["sklearn"])
    Model('iris')
    """

    title = _Text("The name that people read.")
    license = _Text("Under what terms it may be used.")
    description = _Text("What it is.")
    audience = _Text("Who it is made for.")
    use_cases = _Text("What it is to be used for.")
    limitations = _Text("What it cannot do.")
    trade_offs = _Text("What was given up for what.")
    ethics = _Text("What is to be weighed before it is used.")
    tags = _Words("Words to find it by, sorted.")
    owners = _Words("Who answers for it, sorted.")

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
    ) -> None:
        from gitmodel.domain.description import read_description

        given = {
            "title": title,
            "license": license,
            "description": description,
            "audience": audience,
            "use_cases": use_cases,
            "limitations": limitations,
            "trade_offs": trade_offs,
            "ethics": ethics,
            "tags": tags,
            "owners": owners,
        }
        self._name = check_name(name, "model")
        self._given = read_description(given)
        self._client: Client | None = None

    @classmethod
    def _of(cls, client: Client, name: str) -> Model:
        model = cls.__new__(cls)
        model._name, model._given, model._client = name, {}, client
        return model

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    def description_given(self) -> dict[str, Any]:
        """The descriptive fields that were given when this was made by hand."""
        return {field: value for field, value in self._given.items() if value}

    @property
    def record(self) -> ModelRecord:
        """The model's record as it is now."""
        return self._view().record

    @property
    def created(self) -> datetime:
        """When the model was registered, in UTC."""
        return self.record.created

    @property
    def versions(self) -> Versions:
        """The newest 50 versions, oldest first, so that `[-1]` is the newest."""
        return self.list_versions(limit=PAGE)

    def list_versions(self, *, filter: str = "", limit: int | None = None, offset: int = 0) -> Versions:
        """Versions that match *filter*: the newest *limit* after *offset* newer ones, oldest first."""
        found, _ = versions.list_versions(self._writer(), self._name, filter=filter, limit=limit, offset=offset)
        return Versions(ModelVersion(self._registered(), view.model, view.record.number) for view in reversed(found))

    def get_version(self, version: str | int | ModelStages | None = None) -> ModelVersion:
        """A version by number, name, stage, alias or "latest" (also if left out). Raises NotFound, Invalid."""
        selector = version.value if isinstance(version, ModelStages) else version
        model, record = versions.resolve(self._writer(), VersionRef.of(self._name, selector))
        return ModelVersion(self._registered(), model, record.number)

    def create_version(
        self,
        name: str | None = None,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        model_objects: Mapping[str, Any] | None = None,
        deployments: Mapping[str, Any] | None = None,
    ) -> ModelVersion:
        """Make the next version. *data*, *model_objects* and *deployments* map artifact names to files or folders.

        The code repository's commit and whether it has changes are recorded with it.
        Raises Conflict if *name* is taken.
        """
        client = self._registered()
        kinds = (("data", data), ("model", model_objects), ("deployment", deployments))
        links = [
            artifacts.store_artifact(client.store, key, Path(path), kind=kind)
            for kind, given in kinds
            for key, path in (given or {}).items()
        ]
        number = versions.create_version(
            client.writer,
            self._name,
            name=name,
            description=description,
            tags=tags,
            metadata=_scalars(metadata or {}),
            artifacts=links,
            code=client.read_code(),
        )
        return ModelVersion(client, self._name, number)

    def update(self, *, add_tags: Iterable[str] = (), remove_tags: Iterable[str] = (), **description: Any) -> Model:
        """Change descriptive fields and tags."""
        return self._registered().update_model(self._name, add_tags=add_tags, remove_tags=remove_tags, **description)

    def rename(self, new_name: str) -> Model:
        """Give the model another name; the old one goes on to lead to it."""
        return self._registered().update_model(self._name, new_name=new_name)

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the model. Raises Refused if it is in use, unless *force*."""
        self._registered().delete_model(self._name, reason=reason, force=force)

    @property
    def stages(self) -> list[StageState]:
        """Every stage and alias: which version is recorded, which is in force."""
        return stages.list_stages(self._writer(), self._name)

    def demote(self, stage: str, *, reason: str = "") -> Promotion:
        """Leave *stage* without a version."""
        return stages.demote(self._writer(), self._name, str(stage), reason=reason)

    def rollback(self, stage: str | ModelStages, *, force: bool = False, reason: str = "") -> ModelVersion:
        """Put the previous holder of *stage* back; returns it. *force* passes a failing gate, and needs a *reason*."""
        client = self._registered()
        done = stages.rollback(client.writer, client.repository, self._name, str(stage), reason=reason, force=force)
        return ModelVersion(client, done.model, done.version or 0)

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Take *alias* away from the version that has it."""
        stages.remove_alias(self._writer(), self._name, alias, reason=reason)

    def history(self, stage: str | ModelStages = "") -> list[StageEvent]:
        """Every change of the model's stages and aliases, or of one of them, newest first."""
        return list(stages.history(self._registered().repository, self._name, str(stage)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self._name == other._name and self._client is other._client

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f"Model({self._name!r})"

    def _repr_html_(self) -> str:
        view = self._view() if self._client else None
        rows = [("name", self._name), *((field, getattr(self, field)) for field in DESCRIPTIVE)]
        rows += [("versions", view.count), ("latest", view.latest)] if view else []
        return _html_table(("field", "value"), [row for row in rows if row[1] not in ("", [], None)])

    def _registered(self) -> Client:
        if self._client is None:
            raise UsageError(f"{self!r} is only a description", hint="register it first: client.register_model(model)")
        return self._client

    def _writer(self) -> Writer:
        return self._registered().writer

    def _described(self, field: str) -> Any:
        return self._given[field] if self._client is None else getattr(self.record, field)

    def _view(self) -> ModelView:
        return models.get_model(self._writer(), self._name)


class ModelVersion:
    """A version of a model: a handle that reads again when the branch has moved."""

    def __init__(self, client: Client, model: str, number: int) -> None:
        self._client = client
        self._model = model
        self._number = number

    @property
    def number(self) -> int:
        """The version's number, from 1."""
        return self._number

    @property
    def model(self) -> Model:
        """The model that this is a version of."""
        return Model._of(self._client, self._model)

    @property
    def reference(self) -> str:
        """How the command line names it, such as `iris@3`."""
        return f"{self._model}@{self._number}"

    @property
    def name(self) -> str | None:
        """The version's own name, if it has one."""
        return self._view().record.name

    @property
    def description(self) -> str:
        """What is said of it."""
        return self._view().record.description

    @property
    def created(self) -> datetime:
        """When it was made, in UTC."""
        return self._view().record.created

    @property
    def tags(self) -> list[str]:
        """Its tags, sorted."""
        return list(self._view().record.tags)

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata."""
        return dict(self._view().record.metadata)

    @property
    def code(self) -> Code | None:
        """Which code made it."""
        return self._view().record.code

    @property
    def stage(self) -> str | None:
        """The stage it is in, in force: an exclusive stage, "archived" or None."""
        return self._view().stage

    @property
    def aliases(self) -> list[str]:
        """The aliases it has, in force."""
        return list(self._view().aliases)

    @property
    def pending(self) -> tuple[StageState, ...]:
        """The stages and aliases that are recorded for it, or taken from it, and not in force yet."""
        return self._view().pending

    @property
    def runs(self) -> list[str]:
        """The ids of the runs that made or used it."""
        return list(self._view().record.runs)

    @property
    def artifacts(self) -> list[Artifact]:
        """All its artifacts, by name."""
        return [Artifact(self, link.name) for link in self._view().record.artifacts]

    @property
    def data(self) -> list[Artifact]:
        """Its artifacts that are data."""
        return self._of_kind("data")

    @property
    def model_objects(self) -> list[Artifact]:
        """Its artifacts that are model objects."""
        return self._of_kind("model")

    @property
    def deployments(self) -> list[Artifact]:
        """Its artifacts that are deployments."""
        return self._of_kind("deployment")

    def get_artifact(self, name: str) -> Artifact:
        """The artifact called *name*. Raises NotFound, which says what there is."""
        link = artifacts.only_artifact(self._view().record, self._model, name)
        return Artifact(self, link.name)

    def set_stage(self, stage: str | ModelStages, force: bool = False, reason: str = "") -> Promotion:
        """Put the version into *stage*; who was there is archived. "none" leaves the stage.

        *force* passes a failing gate and needs a *reason* then. Raises UsageError for an unknown stage, GateRefused for
        a version that fails a rule of the stage, Refused for one of a failed run.
        """
        return stages.promote(self._client.writer, self._ref(), str(stage), reason=reason, force=force)

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Make *alias* name this version; it is taken from the version that had it."""
        stages.set_alias(self._client.writer, self._ref(), alias, reason=reason)

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Take *alias* from this version. Raises NotFound if it is not its own."""
        view = self._view()
        own = {*view.aliases, *(s.name for s in view.pending if s.alias and s.recorded == self._number)}
        own -= {state.name for state in view.pending if state.recorded not in (None, self._number)}
        if alias not in own:
            hint = f"its aliases: {', '.join(sorted(own)) or 'none'}"
            raise NotFound(f"{self.reference} has no alias {alias!a}", hint=hint)
        stages.remove_alias(self._client.writer, self._model, alias, reason=reason)

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> ModelVersion:
        """Change description and tags, or name a version that has no name. Raises Refused for a second name."""
        versions.update_version(
            self._client.writer,
            self._ref(),
            name=name,
            description=description,
            add_tags=add_tags,
            remove_tags=remove_tags,
        )
        return self

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the version; its number is never used again. Raises Refused if it is in use, unless *force*."""
        versions.delete_version(self._client.writer, self._ref(), reason=reason, force=force)

    def link_artifact(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
    ) -> Artifact:
        """Store the file or folder at *path* and link it as *name*; *kind* is "data", "model" or "deployment".

        *format* is found from the content if left out. Raises Refused if the version is in a stage or has an alias.
        """
        link = artifacts.store_artifact(
            self._client.store,
            name,
            Path(path),
            kind=kind,
            format=format,
            metadata=_scalars(metadata or {}),
            progress=progress,
        )
        artifacts.link_artifacts(self._client.writer, self._ref(), [link])
        return Artifact(self, name)

    def unlink(self, name: str) -> None:
        """Take the artifact *name* from the version; its bytes stay in the store."""
        artifacts.unlink_artifact(self._client.writer, self._ref(), name)

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Set metadata of the version, or of its *artifact*: numbers, text, booleans, times, lists, tables."""
        given = _scalars({**(metadata or {}), **values})
        versions.set_metadata(self._client.writer, self._ref(), given, on=artifact)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and self.reference == other.reference and self._client is other._client

    def __hash__(self) -> int:
        return hash(self.reference)

    def __repr__(self) -> str:
        return f"ModelVersion({self.reference!r})"

    def _repr_html_(self) -> str:
        fields = self._view().fields()
        return _html_table(
            ("field", "value"), [(key, value) for key, value in fields.items() if value not in (None, "", [], {})]
        )

    def _ref(self) -> VersionRef:
        return VersionRef.of(self._model, self._number)

    def _view(self) -> VersionView:
        return versions.get_version(self._client.writer, self._ref())

    def _of_kind(self, kind: str) -> list[Artifact]:
        return [Artifact(self, link.name) for link in self._view().record.artifacts if link.kind == kind]


class Artifact:
    """An artifact of a version: its bytes are verified against its digest whenever they are read."""

    def __init__(self, version: ModelVersion, name: str) -> None:
        self._version = version
        self._name = name

    @property
    def name(self) -> str:
        """The artifact's name within its version."""
        return self._name

    @property
    def version(self) -> ModelVersion:
        """The version it belongs to."""
        return self._version

    @property
    def link(self) -> ArtifactLink:
        """The record of it: name, kind, digest, size in bytes, format, metadata."""
        return artifacts.only_artifact(self._version._view().record, self._version._model, self._name)

    @property
    def kind(self) -> str:
        """ "data", "model" or "deployment"."""
        return self.link.kind

    @property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits; of a folder, the digest of its manifest."""
        return self.link.digest

    @property
    def size(self) -> int:
        """Its size in bytes; of a folder, of all its files."""
        return self.link.size

    @property
    def format(self) -> str:
        """The name of its format, such as `skops`."""
        return self.link.format

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata."""
        return dict(self.link.metadata)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the artifact; at any time."""
        self._version.log_metadata(metadata, artifact=self._name, **values)

    def download(self, target: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
        """Write it to *target*, verified before it appears there."""
        artifacts.fetch_artifact(self._version._client.store, self.link, Path(target), progress=progress)
        return Path(target)

    def path(self) -> Path:
        """A verified file or folder with its content, to read only: in place in a local store, else in the cache."""
        link, client = self.link, self._version._client
        store = client.store
        if isinstance(store, LocalStore) and not link.is_folder:
            return store.path(link.digest)
        cache = client.repository.common_dir / "gitmodel" / "cache" / link.digest.removeprefix("sha256:")
        if cache.exists():
            _remove(cache)
        cache.parent.mkdir(parents=True, exist_ok=True)
        artifacts.fetch_artifact(store, link, cache)
        return cache

    def open(self) -> BinaryIO:
        """Its bytes; reading them to the end raises Invalid if they are not what the digest says. Not for folders."""
        link = self.link
        if link.is_folder:
            raise UsageError(f"{self._name} is a folder", hint="use .path() and open a file in it")
        return self._version._client.store.open(link.digest)

    def load(self, *, trusted: bool = False) -> Any:
        """The object that the artifact holds, by its recorded format.

        *trusted* allows formats that run code when they are loaded (pickle and its like); without it they are Refused.
        """
        import tempfile

        from gitmodel import formats

        link = self.link
        if link.is_folder:
            raise UsageError(f"{self._name} is a folder", hint="use .path() and load a file in it")
        with tempfile.TemporaryDirectory(prefix="gitmodel-") as folder:
            target = Path(folder) / "artifact"
            artifacts.fetch_artifact(self._version._client.store, link, target)
            return formats.load(target, link.format, trusted=trusted)

    def __repr__(self) -> str:
        return f"Artifact({self._version.reference!r}, {self._name!r})"

    def _repr_html_(self) -> str:
        link = self.link
        return _html_table(
            ("field", "value"), [(key, getattr(link, key)) for key in ("name", "kind", "format", "size", "digest")]
        )


class Models(tuple[Model, ...]):
    """A list of models with a table for notebooks."""

    def _repr_html_(self) -> str:
        views = [model._view() for model in self]
        rows = [(v.name, v.count, v.latest, ", ".join(f"{s.name}: {s.in_force}" for s in v.stages)) for v in views]
        return _html_table(("model", "versions", "latest", "stages"), rows)


class Versions(tuple[ModelVersion, ...]):
    """A list of versions with a table for notebooks."""

    def _repr_html_(self) -> str:
        views = [version._view() for version in self]
        rows = [
            (v.record.number, v.record.name, v.stage, ", ".join(v.aliases), v.record.created, v.record.description)
            for v in views
        ]
        return _html_table(("version", "name", "stage", "aliases", "created", "description"), rows)


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* with NumPy's and the like's single numbers as Python's."""

    def scalar(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: scalar(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [scalar(item) for item in value]
        if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
            return value.item()
        return value

    return {key: scalar(value) for key, value in values.items()}


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _html_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    from html import escape  # a command never pays for notebooks

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{escape('' if cell is None else str(cell))}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
