"""The registry as one object, opened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from gitmodel.branch.opening import open_repository
from gitmodel.branch.repository import Repository
from gitmodel.client.by_url import read_terms
from gitmodel.client.handles import Model, Models, ModelVersion
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.opened import Opened
from gitmodel.domain.arguments import checked_arguments
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.justification import Justification
from gitmodel.domain.other_names import ShowsOurForm
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.records import Code
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.views import ModelView, VersionView
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry import models, stages, versions
from gitmodel.registry.versions import Found
from gitmodel.registry.writer import Writer
from gitmodel.stores.interface import JOBS, ArtifactStore, Progress, Transfer

if TYPE_CHECKING:
    from gitmodel.branch.stage_history import StageEvent
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.lineage import Lineage
    from gitmodel.domain.schema.codec import Problem
    from gitmodel.lineage.comparing import VersionDiff
    from gitmodel.lineage.containing import Containing, Noted
    from gitmodel.lineage.events import Event, FieldOrigin
    from gitmodel.lineage.maintenance import Maintained
    from gitmodel.lineage.version_runs import VersionRun
    from gitmodel.registry.artifacts import Verified
    from gitmodel.registry.copying import Copied
    from gitmodel.registry.garbage import Garbage
    from gitmodel.registry.inventory import Inventory
    from gitmodel.registry.purging import Purged
    from gitmodel.registry.put_in_force import Applied
    from gitmodel.registry.run_outputs import VersionArtifact
    from gitmodel.registry.runs import RunView
    from gitmodel.registry.store_access import Access, NamedStore
    from gitmodel.teams.planning import Plan
    from gitmodel.teams.proposals import Proposal
    from gitmodel.teams.range_checks import RangeCheck
    from gitmodel.teams.sync import Pulled, Pushed


@checked_arguments
class Client(ShowsOurForm):
    """A registry, opened: the one of the repository at *path*, unless *repo* or a setting names another.

    *repo* is a path or URL; without it the registry is chosen by `GITMODEL_REPO`, else `git config gitmodel.repo`, else
    it is the repository that *path* is in. The code repository is always the one that *path* is in. Without *path* that
    is the current folder, and if `GIT_DIR` names another repository than the folder is in, every write raises
    UsageError; a *path* or *repo* that is given counts, whatever `GIT_DIR` says. *store* is the URL
    of the artifact store; without it `GITMODEL_STORE`, `git config gitmodel.store` or the registry's own says which.

    Of a registry by URL nothing is cloned: `Client("https://git.example.org/team/models.git")` fetches what it needs
    into the user's cache and pushes each change before it is done. Each call of the client asks the server anew, the
    handles that it returns do not. Answers may be *max_age* seconds old (else `GITMODEL_MAX_AGE`, else 0); *offline*
    (else `GITMODEL_OFFLINE`) asks nothing; a write is tried for *timeout* seconds while others write.

    Raises NotFound outside of a repository, UsageError for a git or repository that gitmodel cannot work with.

    >>> client = Client()                                      # doctest: +SKIP
    >>> client.register_model(Model(name="iris"))              # doctest: +SKIP
    Model('iris')
    """

    _other_names: ClassVar[Mapping[str, str]] = {
        "create_model": 'write register_model("demo")',
        "create_model_version": 'write get_model("demo").create_version()',
        "create_registered_model": 'write register_model("demo")',
        "delete_model_version": 'write get_version("demo@3").delete()',
        "get_artifact_version": 'write get_version("demo@3").get_artifact("NAME")',
        "get_latest_versions": 'write get_version("demo@production")',
        "get_model_version": 'write get_version("demo@3") or get_version("demo@production")',
        "get_model_version_by_alias": 'write get_version("demo@champion")',
        "get_pipeline_run": "write get_run(ID)",
        "list_model_versions": 'write get_model("demo").list_versions()',
        "list_pipeline_runs": "write list_runs()",
        "search_model_versions": 'write get_model("demo").list_versions(filter=...)',
        "search_registered_models": "write list_models(filter=...)",
        "set_registered_model_alias": 'write get_version("demo@3").add_alias("champion")',
        "transition_model_version_stage": 'write get_version("demo@3").set_stage("production")',
        "update_model_version": 'write get_version("demo@3").update(...), or .set_stage("production")',
    }

    def __init__(
        self,
        path: str | os.PathLike[str] = ".",
        *,
        repo: str | os.PathLike[str] | None = None,
        store: str | None = None,
        environ: Mapping[str, str] | None = None,
        max_age: float | None = None,
        offline: bool | None = None,
        timeout: float = 60.0,
    ) -> None:
        given = dict(os.environ if environ is None else environ)
        self._opened = Opened(
            os.fspath(path),
            repo=None if repo is None else os.fspath(repo),
            store=store,
            environ=given,
            terms=read_terms(given, max_age=max_age, offline=offline, timeout=timeout),
        )

    @property
    def repository(self) -> Repository:
        """The registry repository."""
        return self._opened.repository

    @property
    def writer(self) -> Writer:
        """The target of changes: the branch itself, or the batch of a `transaction`."""
        return self._opened.writer

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, opened when it is first needed.

        Raises UsageError for a URL it cannot be at, Refused for one that only the registry names and that this machine
        was not told to trust, Unreachable if a registry by URL names none.
        """
        return self.access.default()

    @property
    def store_url(self) -> str:
        """The URL of the artifact store that is chosen; "" for the one inside the repository, at `store_root`."""
        return self.access.named().url

    @property
    def access(self) -> Access:
        """The stores of the registry as this machine reaches them."""
        return self._opened.access

    @property
    def store_root(self) -> Path:
        """The folder of the artifact store that needs no setting up."""
        return self._opened.store_root

    def close(self) -> None:
        """End the git process that reads for this client; it starts again if the client is used again."""
        self.repository.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.repository.url or str(self.repository.common_dir)!r})"

    # Models

    def register_model(self, model: Model | str, **description: Any) -> Model:
        """Make a model: `register_model(Model(name=..., ...))` or `register_model(name, license=..., ...)`.

        Raises UsageError for a bad name or field, Conflict if the name is or was in use.
        """
        if isinstance(model, Model):
            description = {**model.description_given(), **description}
            model = model.name
        return Model._of(self._opened, models.register_model(self.writer, model, description))

    def get_model(
        self,
        name: str | None = None,
        *,
        model_name: str | None = None,
        renumbered: bool = False,
        for_change: bool = False,
    ) -> Model:
        """The model *name* (or *model_name*, the draft's word). Raises NotFound, which says what there is.

        A name that a pull gave to another model is warned of (`RenumberedWarning`), and changes of the model are
        Refused. *renumbered* says that the model is meant that has the name now; its first change settles that. With
        *for_change* such a name is Refused at once.
        """
        wanted = name if name is not None else model_name
        if wanted is None:
            raise UsageError("get_model needs the name of a model", hint="write client.get_model('iris')")
        self.repository.renew()
        return Model._find(self._opened, _model_ref(wanted, renumbered), for_change=for_change)

    def list_models(self, *, filter: str = "", sort: str = "name", limit: int | None = None, offset: int = 0) -> Models:
        """Return the models that match *filter* (see `docs/reference/expressions.md`).

        Sorted by "name", "created", "latest" or "versions" ("-created": descending); at most *limit*, after *offset*.
        Raises UsageError for a filter with a mistake, another sort key and a *limit* or *offset* below 0.
        """
        found, _ = self.view_models(filter=filter, sort=sort, limit=limit, offset=offset)
        return Models(Model._of(self._opened, view.name) for view in found)

    def update_model(
        self,
        name: str,
        *,
        new_name: str | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        renumbered: bool = False,
        **description: Any,
    ) -> Model:
        """Change a model's descriptive fields and tags, and its name. Raises NotFound, UsageError, Conflict.

        Raises Refused for a name that a pull gave to another model, unless *renumbered* says that this one is meant.
        """
        model = _model_ref(name, renumbered)
        return Model._update(self._opened, model, new_name, add_tags=add_tags, remove_tags=remove_tags, **description)

    def delete_model(self, name: str, *, reason: str = "", force: bool = False, renumbered: bool = False) -> None:
        """Delete a model; its name and numbers are never used again. Raises Refused if it is in use, unless *force*.

        Raises Refused for a name that a pull gave to another model, unless *renumbered* says that this one is meant.
        """
        models.delete_model(self.writer, _model_ref(name, renumbered), why=Justification(reason, force))

    # Versions

    def get_version(
        self, reference: str | VersionRef, *, renumbered: bool = False, for_change: bool = False
    ) -> ModelVersion:
        """The version that a reference such as `"iris@production"` names. Raises NotFound, which says what there is.

        By stage or alias it is the one in force, and its artifacts are those that were promoted. From a registry by URL
        it is then as its stage tag froze it, and `frozen` names the tag.

        A number that a pull gave to another version is warned of (`RenumberedWarning`), and changes of the version are
        Refused. *renumbered* says that the version is meant that has the number now; its first change settles that.
        With *for_change* such a number is Refused at once.
        """
        self.repository.renew()
        return ModelVersion._find(self._opened, _version_ref(reference, renumbered), for_change=for_change)

    # Values, each read at once

    def resolve(self, reference: str | VersionRef) -> Found:
        """Return the version that a reference such as `"iris@production"` names, as a value.

        It has `model`, `record` and `frozen`, the stage tag that it was read from alone, as by `get_version`.

        >>> client.resolve("iris@production").reference                # doctest: +SKIP
        'iris@3'
        """
        self.repository.renew()
        return versions.find(self.writer, _version_ref(reference))

    def view_model(self, name: str) -> ModelView:
        """Return what is known of a model, as a value. Raises NotFound."""
        self.repository.renew()
        return models.get_model(self.writer, name)

    def view_models(
        self, *, filter: str = "", sort: str = "name", limit: int | None = None, offset: int = 0
    ) -> tuple[list[ModelView], list[Invalid]]:
        """Return the models that `list_models` finds, as values, and an error for each model that cannot be read."""
        self.repository.renew()
        return models.list_models(self.writer, filter=filter, sort=sort, limit=limit, offset=offset)

    def view_version(self, reference: str | VersionRef) -> VersionView:
        """Return what is known of a version, as a value. Raises NotFound, Invalid."""
        self.repository.renew()
        return versions.get_version(self.writer, _version_ref(reference))

    def view_versions(
        self, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> Iterator[VersionView | Invalid]:
        """Yield the versions of *model* that match *filter*, newest first, as values; an error for one that is damaged.

        Raises NotFound, UsageError for a filter with a mistake and a *limit* or *offset* below 0.
        """
        self.repository.renew()
        return iter(versions.each_version(self.writer, model, filter=filter, limit=limit, offset=offset))

    def view_artifacts(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionArtifact]]:
        """Return a version with its artifacts, and the outputs of runs that worked on it when it existed, by `run`."""
        from gitmodel.registry.run_outputs import VersionArtifact, list_outputs

        view = self.view_version(reference)
        outputs = list_outputs(self.writer, _version_ref(reference), store=lambda: self.store)
        return view, [*map(VersionArtifact, view.record.artifacts), *outputs]

    def view_version_runs(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionRun]]:
        """Return a version with the runs that made it, worked on it or read it."""
        from gitmodel.lineage.version_runs import version_runs

        view = self.view_version(reference)
        return view, version_runs(self.repository, view, store=lambda: self.store)

    def view_runs(
        self, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> tuple[list[RunView], list[Invalid]]:
        """Return the runs that `list_runs` finds, and an error for each run that cannot be read."""
        from gitmodel.registry import runs

        self.repository.renew()
        return runs.list_runs(self.repository, filter=filter, limit=limit, offset=offset)

    # Stages and aliases

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The exclusive stages of the registry."""
        return self.writer.read(lambda snapshot: snapshot.registry().stage_names)

    def promote(
        self,
        reference: str | VersionRef,
        stage: str | ModelStages,
        *,
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
    ) -> Promotion:
        """Put the version that *reference* names into *stage*, as `ModelVersion.set_stage` does, found and put in one.

        *renumbered* is as for `get_version`. Raises UsageError if *reference* names no version of its model.

        >>> client.promote("iris@3", "production", reason="beats the baseline").previous      # doctest: +SKIP
        2
        """
        ref = _version_ref(reference, renumbered).required("promote")
        return stages.promote(self.writer, ref, str(stage), why=Justification(reason, force), leave=leave)

    def demote(self, model: str, stage: str | ModelStages, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Leave *stage* of *model* without a version. Raises NotFound if it has none."""
        return stages.demote(self.writer, _model_ref(model, renumbered), str(stage), reason=reason)

    def rollback(
        self,
        model: str,
        stage: str | ModelStages,
        *,
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
    ) -> Promotion:
        """Put the previous holder of *stage* back, as `Model.rollback` does."""
        return stages.rollback(
            self.writer,
            self.repository,
            _model_ref(model, renumbered),
            str(stage),
            why=Justification(reason, force),
            leave=leave,
        )

    def set_alias(
        self, reference: str | VersionRef, alias: str, *, reason: str = "", renumbered: bool = False
    ) -> Promotion:
        """Make *alias* name the version that *reference* names; it is taken from the version that had it."""
        ref = _version_ref(reference, renumbered).required("alias set")
        return stages.set_alias(self.writer, ref, alias, reason=reason)

    def remove_alias(self, model: str, alias: str, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Take *alias* away from the version of *model* that has it. Raises NotFound if none has it."""
        return stages.remove_alias(self.writer, _model_ref(model, renumbered), alias, reason=reason)

    # Runs

    def list_runs(self, *, filter: str = "", limit: int | None = None, offset: int = 0) -> list[RunView]:
        """Return the runs that match *filter*, newest first: at most *limit*, after *offset* newer ones.

        Runs that are under way or were lost on this machine are among them. Raises UsageError for a filter with a
        mistake and a *limit* or *offset* below 0.
        """
        return self.view_runs(filter=filter, limit=limit, offset=offset)[0]

    def get_run(self, id: str) -> RunView:
        """The run *id*. Raises NotFound."""
        from gitmodel.registry import runs

        self.repository.renew()
        return runs.get_run(self.repository, id, store=lambda: self.store)

    def apply(
        self,
        *names: str,
        reviewed: Iterable[str] = (),
        ask_host: bool = False,
        push: bool = False,
        remote: str = "",
        timeout: float = 60.0,
    ) -> Applied:
        """Put in force what the branch records, for all models or for *names*.

        *reviewed* are ids of commits that you vouch for: they came through review, though history does not show it.
        *ask_host*, in a job of GitHub, GitLab or Forgejo, takes the host's word for that, and not history's.
        With *push*, *remote* is pulled first, and the tags are moved there too, all or nothing, and nothing else; while
        others push it is tried for *timeout* seconds. Raises Refused for a branch that does not descend from what the
        tags were applied from; UsageError for *ask_host* outside of a job; Conflict, when all is done, if the pull left
        out local changes: it names them, and its `done` is what this returns otherwise.
        """
        from gitmodel.registry import put_in_force  # imported here because no other method needs it

        if remote and not push:
            raise UsageError(f"remote {remote} needs push", hint="add push, or leave it out")
        self._opened.require_branch("apply")
        apply = partial(put_in_force.apply, self.repository, names, reviewed=frozenset(reviewed))
        if ask_host:
            from gitmodel.hosts.api import read_job
            from gitmodel.hosts.approvals import HostsWord, doubt_by

            approved = HostsWord(self.repository, read_job(self._opened.environ), frozenset(reviewed))
            doubt = doubt_by(self.repository, approved)
            apply = partial(put_in_force.apply, self.repository, names, reviewed=approved, doubt=doubt)
        if not push:
            return apply()
        from gitmodel.branch import remotes
        from gitmodel.teams import applying, sync

        chosen = remotes.choose_remote(self.repository, remote)
        pulled: list[Pulled] = []
        with sync.telling_left_out(pulled):
            done = applying.apply_at_remote(self.repository, chosen, apply, pulled, models=names, timeout=timeout)
        if sync.left_out(pulled):
            raise sync.LeftOut(done, chosen, pulled)
        return done

    # What was

    def at(self, moment: str | datetime) -> Client:
        """The registry as its branch was at *moment*, to read: a date or time, or a commit of the metadata branch.

        A date is the whole day, a time without a zone is in UTC: the newest commit whose clock is not after it counts.
        Stages and aliases are those that the branch recorded then; what tags said then, nobody knows. Raises NotFound
        for a date before the registry began and for a commit that never was its state; changes raise UsageError.

        >>> client.at("2026-10-01").get_version("iris@production").number     # doctest: +SKIP
        3
        """
        from gitmodel.lineage.past import Past, find_state

        with self.repository.git.looking_up():
            past = Past(self.repository, find_state(self.repository, moment))
        return self._around(self._opened.with_writer(past))

    def history(self, model: str | None = None, stage: str = "") -> Iterator[StageEvent]:
        """Every change of the stages and aliases of *model*, or of one of them, or of all models, newest first.

        Each says who held the stage, from when to when, who put it there and why. Raises NotFound, and Invalid where a
        shallow clone hides the rest.

        >>> for event in client.history("iris", "production"):          # doctest: +SKIP
        ...     print(event.version, event.when, event.until, event.author, event.reason)
        """
        from gitmodel.lineage.history import history

        with self.repository.git.looking_up():
            return history(self.repository, model, str(stage))

    def log(self, reference: str = "") -> Iterator[Event]:
        """Return the events of the version `"iris@3"`, of the model `"iris"` or of all (""), newest first.

        Raises NotFound, and Invalid where a shallow clone hides the rest.
        """
        from gitmodel.lineage.events import log

        with self.repository.git.looking_up():
            return log(self.repository, VersionRef.parse(reference) if reference else None)

    def blame(self, reference: str) -> list[FieldOrigin]:
        """Return the commit that last set each field of a version. Raises NotFound; Invalid in a shallow clone.

        >>> {origin.field: origin.author for origin in client.blame("iris@4")}    # doctest: +SKIP
        {'number': 'Ada', 'metadata.accuracy': 'Bob', 'stage': 'Cleo'}
        """
        from gitmodel.lineage.events import blame

        with self.repository.git.looking_up():
            return blame(self.repository, VersionRef.parse(reference))

    def containing(self, commit: str, model: str = "") -> list[Containing]:
        """Check for each version (of *model*), newest first, whether its code has *commit* in its history.

        Raises NotFound if there is no such commit or model, or no code repository.
        """
        from gitmodel.lineage.containing import containing

        return list(containing(self.writer, self.open_code(), commit, model))

    def write_notes(self) -> Noted:
        """Write `refs/notes/gitmodel` of the code repository: for each commit, the versions that were made from it.

        `git log --notes=gitmodel` shows them. Raises Refused if somebody else wrote to that ref.
        """
        from gitmodel.lineage.containing import write_notes

        return write_notes(self.writer, self.repository, self.open_code())

    def remove_notes(self) -> None:
        """Take `refs/notes/gitmodel` away."""
        from gitmodel.lineage.containing import remove_notes

        remove_notes(self.open_code())

    def maintain(self) -> Maintained:
        """Keep questions about the past fast: git's commit-graph with changed-path filters, and packed objects."""
        from gitmodel.lineage.maintenance import maintain

        return maintain(self.repository)

    # What was made from what

    def lineage(self, subject: str, *, up: bool = True, down: bool = True, depth: int | None = None) -> Lineage:
        """Return the sources of *subject* (*up*) and everything made from it (*down*), over at most *depth* runs.

        *subject* is a version such as `"iris@4"`, a digest (or `sha256:` and its first 7 digits or more) or a run's id.
        Raises NotFound for what is not there and for a digest that no record has.

        >>> client.lineage("iris@production", down=False).nodes         # doctest: +SKIP
        """
        from gitmodel.lineage import graph

        return graph.lineage(self.repository, subject, store=lambda: self.store, up=up, down=down, depth=depth)

    def diff(self, old: str, new: str) -> VersionDiff:
        """The version *old* beside the version *new*, both references such as `"iris@3"`, with the code between them.

        What cannot be compared is named in its `gaps`. Raises NotFound, Invalid.

        >>> for row in client.diff("iris@3", "iris@4").metadata:        # doctest: +SKIP
        ...     print(row.name, row.old, row.new, row.change)
        """
        from gitmodel.lineage import comparing

        refs = (VersionRef.parse(old), VersionRef.parse(new))
        return comparing.diff(self.repository, *refs, store=lambda: self.store, code=self.open_code)

    def import_version(
        self, path: str | os.PathLike[str], *, model: str = "", renumbered: bool = False
    ) -> ModelVersion:
        """Take in the version that `ModelVersion.export` wrote to *path*, verified before anything is stored.

        It becomes a version of the model of that name, or of *model*, with its own number if that is free and above
        all others. What was taken in before is left as it is. Raises Invalid, Conflict, NotFound; Refused for a name
        that a pull gave to another model, unless *renumbered* says that this one is meant.
        """
        from gitmodel.lineage.exporting import import_export

        file = Path(path).expanduser()
        found = import_export(self.writer, file, store=self.store, model=model, renumbered=renumbered)
        return ModelVersion._find(self._opened, VersionRef.parse(found.reference), is_new=found.new)

    def open_code(self) -> CodeRepository:
        """The code repository that *path* is in, to ask for commits. Raises NotFound outside of any."""
        return self._opened.open_code()

    # Others

    def pull(self, remote: str = "", *, rewound: bool = False) -> Pulled:
        """Bring the registry of *remote* (else `git config gitmodel.remote`, else `origin`) together with this one.

        What was done here and not pushed is made again on what others did; versions whose numbers were taken meanwhile
        get new ones. Artifacts come when they are read, or with `pull_artifacts`. Raises Conflict if the remote was
        rewound or deleted, unless *rewound* says that it may; Refused for unrelated registries and commits that
        others signed; Unreachable.
        """
        from gitmodel.branch import remotes
        from gitmodel.teams import sync

        self._opened.require_branch("pull")
        return sync.pull(self.repository, remotes.choose_remote(self.repository, remote), rewound=rewound)

    def pull_artifacts(self, *, jobs: int = JOBS, progress: Progress | None = None) -> int:
        """Fetch the artifacts that one works with: those of versions in a stage or alias, and of the latest.

        *jobs* at a time; what is on this machine is not fetched. Returns how many were. Raises Unreachable, Refused.
        """
        from gitmodel.stores.local_store import LocalStore
        from gitmodel.teams import transfers

        local = LocalStore(self.store_root, synced=False)
        return transfers.download(self.repository, local, self.access.of_model, transfer=Transfer(jobs, progress))

    def push(
        self,
        remote: str = "",
        *,
        timeout: float = 60.0,
        jobs: int = JOBS,
        progress: Progress | None = None,
        code: bool = False,
    ) -> Pushed:
        """Upload artifacts, *jobs* at a time, then push branch and stage tags to *remote*, all or nothing.

        The commits that versions were made from are kept on the remote of the code repository too, if a branch there
        has held them; with *code* in any case, and then also snapshots of what was not committed.

        What others pushed meanwhile is pulled first, again and again for *timeout* seconds. Raises Unreachable for a
        remote or store out of reach, Refused with the host's words if a rule of it says no, Conflict as `pull` does.
        Raises Conflict also when all is pushed, if the pull left out local changes: it names them, and its `done` is
        what this returns otherwise.
        """
        from gitmodel.branch import remotes
        from gitmodel.lineage.code import choose_pushed, push_code
        from gitmodel.stores.local_store import LocalStore
        from gitmodel.teams import sync

        self._opened.require_branch("push")
        uploads = sync.Uploads(LocalStore(self.store_root), self.access.of_model, Transfer(jobs, progress))
        chosen = remotes.choose_remote(self.repository, remote)
        # As with artifacts, what is named is there before its name is.
        here = self._opened.find_kept()
        alone = here is None or here.code.git.common_dir != self.repository.common_dir
        given = push_code(here, "" if alone else chosen, "all" if code else choose_pushed(self.repository.config))
        done = sync.push(self.repository, chosen, uploads, timeout=timeout)
        done.code = given
        if sync.left_out(done.pulled):
            raise sync.LeftOut(done, chosen, done.pulled)
        return done

    # Proposals

    def propose(
        self,
        *promotions: tuple[str | VersionRef, str],
        demote: Iterable[tuple[str, str]] = (),
        rollback: Iterable[tuple[str, str]] = (),
        rename: Iterable[tuple[str, str]] = (),
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
        remote: str = "",
        push: bool = False,
        open: bool = False,
    ) -> Proposal:
        """Put changes of stages on a branch off the remote's, in one commit, for a pull request.

        *promotions* are pairs of a version and a stage, *demote* and *rollback* of a model and a stage, *rename* of a
        model and its new name. *push* pushes the branch, as is always done for a registry by URL; *open* also has the
        host open the pull request. *leave* lets a version move to an earlier stage, although its later stage becomes
        empty. *renumbered* says that numbers which a pull gave to other versions are meant as they are now. Raises
        Refused for a version that the remote does not hold, GateRefused unless *force* passes the rules with a
        *reason*, Conflict, NotFound, Unreachable.

        >>> client.propose(("iris@4", "production"), rollback=[("rose", "staging")], push=True)    # doctest: +SKIP
        """
        self._opened.require_branch("propose")
        from gitmodel.teams import proposals

        named = ((VersionRef.parse(ref) if isinstance(ref, str) else ref, str(stage)) for ref, stage in promotions)
        wanted = proposals.Wanted(
            tuple((ref.required("propose"), stage) for ref, stage in named),
            tuple(demote), tuple(rollback), tuple(rename), Justification(reason, force), leave, renumbered,
        )  # fmt: skip
        made = proposals.propose(self.repository, wanted, remote=remote)
        return proposals.publish(self.repository, made, open=open) if push or open or self.repository.url else made

    def list_proposals(self, remote: str = "") -> list[Proposal]:
        """The proposals that are open, here and at *remote*, with what a merge of each would change now.

        Raises Unreachable if the remote cannot be asked.
        """
        from gitmodel.teams import proposals

        return proposals.list_proposals(self.repository, remote)

    def plan(self, commits: str = "", *, force: bool = False) -> Plan:
        """Plan a merge: return what it would change in the stages.

        *commits* is "BASE..HEAD"; by default, HEAD is the proposal that is checked out, else the only one, else what is
        here and not pushed. *force* allows the merge to delete what is in use.

        Raises NotFound and UsageError for commits that are not there.
        """
        from gitmodel.teams import commit_ranges, planning

        with self.repository.git.looking_up():
            named = commit_ranges.read_range(self.repository, commits) if commits else None
            base, head = named or commit_ranges.default_range(self.repository)
        return planning.plan(self.repository, base, head, force=force)

    def check(self, commit: str = "") -> list[Problem]:
        """Return everything that is wrong with the records of the metadata branch, or with those of *commit*.

        Left out, the commit that is checked out is checked as well if it holds a registry that the branch does not
        have yet, as the merge of a pull request does. Raises NotFound without a registry.
        """
        from gitmodel.registry import checking
        from gitmodel.teams import commit_ranges

        if commit:
            with self.repository.git.looking_up():
                return checking.check(self.repository, commit_ranges.find_commit(self.repository, commit))
        found = (checking.check(self.repository, one) for one in commit_ranges.current_states(self.repository))
        return list(dict.fromkeys(problem for problems in found for problem in problems))

    def find_credentials(self, commit: str = "") -> list[str]:
        """Return what looks like a credential on record, as "metadata.password of iris@4 looks like ...".

        On the metadata branch as it is, or at *commit*; `check_between` finds what a change brings.
        """
        from gitmodel.registry import recorded_credentials
        from gitmodel.teams import commit_ranges

        at = commit_ranges.find_commit(self.repository, commit) if commit else self.repository.tip()
        return recorded_credentials.find_credentials(self.repository, at) if at else []

    def check_staged(self, index: str | os.PathLike[str] | None = None, *, force: bool = False) -> RangeCheck | None:
        """Find the problems of the staged files if the metadata branch or a proposal is checked out; else return None.

        *index* is the file that git names to a hook, if it is not the work tree's own. Raises Unreachable.
        """
        from gitmodel.teams import range_checks

        return range_checks.check_staged(
            self.repository, Path(index).absolute() if index is not None else None, force=force
        )

    def check_between(self, commits: str, *, force: bool = False) -> RangeCheck:
        """Find the problems of merging HEAD into BASE, for *commits* as "BASE..HEAD".

        *force* allows the merge to delete what is in use, and many at once. Raises NotFound and UsageError for commits
        that are not there.
        """
        from gitmodel.teams import commit_ranges, range_checks

        with self.repository.git.looking_up():
            return range_checks.check_between(
                self.repository, *commit_ranges.read_range(self.repository, commits), force=force
            )

    @contextmanager
    def transaction(self, message: str) -> Iterator[Client]:
        """Make several changes in one commit with the subject *message*; an exception in the block changes nothing.

        Gives a client of its own. The changes made through it, and through the models, versions and artifacts that it
        returns, are the transaction; they see one another, and nobody else sees them before the block ends. A change
        through another client, or by another thread through this one, is a commit of its own. In the block itself
        a change through this client, or through a handle that it returned, raises UsageError. Handles from a
        transaction that was committed can be used after it.

        >>> with client.transaction("Move iris on") as change:          # doctest: +SKIP
        ...     version = change.get_model("iris").create_version()
        ...     version.set_stage("staging")
        """
        with self._opened.transaction(message) as inside:
            yield self._around(inside)

    # Artifacts and their stores

    def verify(
        self, *references: str | VersionRef, jobs: int = JOBS, progress: Progress | None = None
    ) -> Iterator[Verified]:
        """Hash again what the versions *references* (none: all versions of all models) point at, each artifact once.

        Of a folder, *jobs* files at a time.
        What is wrong is in what it gives, not raised: a store out of reach and records that cannot be read too.

        >>> [found.digest for found in client.verify("iris@3") if found.error]     # doctest: +SKIP
        []
        """
        from gitmodel.registry import artifacts

        refs = [VersionRef.parse(ref) if isinstance(ref, str) else ref for ref in references]
        return artifacts.verify(self.writer, self.access.source, refs, transfer=Transfer(jobs, progress))

    def list_stores(self) -> list[NamedStore]:
        """The artifact stores of the registry, the default one first, with the URLs that count on this machine."""
        return list(self.access.stores())

    def add_store(self, name: str, url: str) -> NamedStore:
        """Give the registry another store, which models may then use. Raises Conflict, UsageError, Unreachable."""
        from gitmodel.registry import stores

        return stores.add_store(self.writer, self.access, name, url)

    def remove_store(self, name: str) -> None:
        """Take a store from the registry; its content stays. Raises NotFound, Refused if a model keeps to it."""
        from gitmodel.registry import stores

        stores.remove_store(self.writer, name)

    def use_store(self, model: str, name: str, *, renumbered: bool = False) -> None:
        """Let new artifacts of *model* go to the store *name* ("default": the registry's). Raises NotFound.

        Raises Refused for a name that a pull gave to another model, unless *renumbered* says that this one is meant.
        """
        from gitmodel.registry import stores

        stores.use_store(self.writer, _model_ref(model, renumbered), name)

    def trust_store(self, which: str = "default") -> NamedStore:
        """Let this machine use its credentials for a store: by its name, or a URL (one ending in `/`: all below it)."""
        from gitmodel.registry import stores

        return stores.trust_store(self.access, which)

    def store_status(self) -> Inventory:
        """List the artifacts that versions need by store, and those that are in no store. Each store is listed once."""
        from gitmodel.registry import inventory

        return inventory.take_inventory(self.writer, self.access)

    def copy_store(
        self,
        to: str,
        *,
        source: str = "default",
        mend: bool = False,
        jobs: int = JOBS,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy all that the store *source* has to the store *to*, a name or URL, *jobs* objects at a time, verified.

        What was purged is left out; what is damaged, too, and is in `failed` of what it returns. Called again, it goes
        on where it stopped. To *mend*, what is there already is read, too, and replaced where it is damaged. The
        registry goes on using its stores as before. Raises UsageError, Invalid if not all has arrived, Unreachable.
        """
        from gitmodel.registry import store_maintenance

        return store_maintenance.copy(
            self.writer, self.access, to, source=source, mend=mend, transfer=Transfer(jobs, progress)
        )

    def find_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Find what *store* has that no version, run, tag or open run needs, and that is older than *grace_days*.

        *also* are the paths of other registries that keep artifacts in it. Where others reach the store, the remote is
        fetched first. Raises Invalid if a record cannot be read: then it is unknown what is needed; Unreachable.
        """
        from gitmodel.registry import store_maintenance

        with ExitStack() as opened:
            others = [open_repository(Path(path), environ=self._opened.environ) for path in also]
            for other in others:
                opened.callback(other.close)
            return store_maintenance.find_garbage(
                self.repository, self.access, store, now=time.time(), grace_days=grace_days, also=others
            )

    def remove_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Find garbage, now, and remove it; returns what is gone. Raises as `find_garbage`, Refused if read-only."""
        from gitmodel.registry import garbage

        found = self.find_garbage(store, grace_days=grace_days, also=also)
        return garbage.remove_garbage(self.access.open(store), found)

    def purge(self, digest: str, *, reason: str) -> Purged:
        """Erase the bytes of an artifact for good, and leave a tombstone on the branch that says why.

        Of a folder, its manifest and the files that no other artifact needs. Where others reach a store, the bytes go
        only when the tombstone is on the remote: push it, and call this again. Raises NotFound, UsageError without a
        reason, Refused, Unreachable with nothing recorded if a store or the remote is out of reach.
        """
        from gitmodel.registry import store_maintenance

        self._opened.require_branch("purge")
        return store_maintenance.purge(self.writer, self.repository, self.access, digest, reason)

    def read_code(self) -> Code:
        """The state of the code repository that *path* is in: commit, changes, origin."""
        return self._opened.read_code()

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and keep its commit by a ref of its own.

        `GITMODEL_DIRTY`, else `git config gitmodel.dirty`, and the registry's `[code]` say what happens to changes
        that are not committed; the stricter counts. With "refuse" any change raises Refused, with "snapshot" a changed
        file that seems to hold credentials, and too large a snapshot.
        """
        return self._opened.record_code()

    def find_code(self) -> CodeRepository | None:
        """The code repository that *path* is in, opened when it is first needed; None outside of any."""
        return self._opened.find_code()

    def _around(self, opened: Opened) -> Client:
        """Return a client like this one of *opened*."""
        client = copy(self)
        client._opened = opened
        return client


def _model_ref(name: str, renumbered: bool) -> ModelRef:
    return ModelRef(check_name(name, "model"), renumbered)


def _version_ref(reference: str | VersionRef, renumbered: bool = False) -> VersionRef:
    ref = VersionRef.parse(reference) if isinstance(reference, str) else reference
    return replace(ref, renumbered=renumbered) if renumbered else ref
