"""The client: every operation on a registry as a method."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from gitmodel.branch.opening import open_repository
from gitmodel.client import names_elsewhere
from gitmodel.client.opening.by_url import read_terms
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.arguments.other_names import shows_our_form
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.references import DatedRef, ModelRef, VersionRef
from gitmodel.errors import UsageError
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.branch.repository import Repository
    from gitmodel.client.handles.handles import Model, Models, ModelVersion
    from gitmodel.client.handles.run_handle import Run
    from gitmodel.client.model_stages import ModelStages
    from gitmodel.client.script_runs.script_run import ScriptRun
    from gitmodel.client.tables.history_table import HistoryTable
    from gitmodel.client.tables.model_table import ModelTable
    from gitmodel.client.tables.run_table import RunTable
    from gitmodel.client.tables.version_diff import VersionDiff
    from gitmodel.client.tables.version_table import VersionTable
    from gitmodel.code.repository import CodeRepository
    from gitmodel.domain.changes.rule_edits import ChangedRules, RulesEdit
    from gitmodel.domain.changes.stages import Promotion
    from gitmodel.domain.notebook_cells import Cell
    from gitmodel.domain.schema.codec import Problem
    from gitmodel.domain.schema.object_ids import Oid
    from gitmodel.domain.schema.records import Code, VersionRecord
    from gitmodel.domain.views.authorship import Authorship
    from gitmodel.domain.views.lineage import Lineage
    from gitmodel.domain.views.record_views import ModelView, VersionView
    from gitmodel.domain.views.version_summaries import VersionRow
    from gitmodel.errors import Invalid
    from gitmodel.hosts.addresses import Host
    from gitmodel.lineage.containing import Containing, WrittenNotes
    from gitmodel.lineage.events import Event, FieldOrigin
    from gitmodel.lineage.maintenance import Maintained
    from gitmodel.lineage.rule_history import RuleChange
    from gitmodel.lineage.version_changes import VersionChanges
    from gitmodel.lineage.version_runs import VersionRun
    from gitmodel.registry.linked_artifacts.verifying import Verified
    from gitmodel.registry.lists.version_lists import VersionIds
    from gitmodel.registry.named_stores.copying import Copied
    from gitmodel.registry.named_stores.garbage import Garbage
    from gitmodel.registry.named_stores.inventory import Inventory
    from gitmodel.registry.named_stores.purging import Purged
    from gitmodel.registry.named_stores.store_access import Access, NamedStore
    from gitmodel.registry.promotion.put_in_force import Applied
    from gitmodel.registry.promotion.stage_rules import StageRules
    from gitmodel.registry.recorded_runs.run_logs import StepLog
    from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact
    from gitmodel.registry.records.finding import Found
    from gitmodel.registry.writing.writer import Writer
    from gitmodel.stores.interface import ArtifactStore
    from gitmodel.teams.checks.range_checks import RangeCheck
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.proposing.proposals import Proposal
    from gitmodel.teams.proposing.version_copies import CopiedVersion
    from gitmodel.teams.sync.pulling import Pulled
    from gitmodel.teams.sync.pushing import Pushed


@checked_arguments
@shows_our_form
class Client:
    """An open registry, by default that of the repository at *path*.

    *repo* is the path or URL of the registry. The default is `GITMODEL_REPO`, then `git config gitmodel.repo`, then the
    repository that contains *path*. The code repository is always the one that contains *path*. The default of *path*
    is the current folder. If you pass neither *path* nor *repo*, and `GIT_DIR` names another repository than that of
    the current folder, every write raises UsageError. If you pass one of them, it takes precedence over `GIT_DIR`.
    *store* is the URL of the artifact store. The default is `GITMODEL_STORE`, then `git config gitmodel.store`, then
    the store of the registry.

    A registry by URL, such as `Client("https://git.example.org/team/models.git")`, is not cloned. The client fetches
    what it needs into the user's cache, and each change is pushed before the call returns. Each call of the client
    contacts the server, unless an answer in the cache is younger than *max_age* seconds (default: `GITMODEL_MAX_AGE`,
    then 0). The handles that the client returns do not contact the server. With *offline* (default: `GITMODEL_OFFLINE`)
    the client does not use the network. While others write, a write is retried for *timeout* seconds.

    Raises NotFound outside of a repository, and UsageError if gitmodel cannot work with this git or repository.

    >>> client = Client()                                      # doctest: +SKIP
    >>> client.register_model(Model(name="iris"))              # doctest: +SKIP
    Model('iris')
    """

    _other_arguments: ClassVar[Mapping[str, str]] = names_elsewhere.CLIENT_ARGUMENTS
    _other_names: ClassVar[Mapping[str, str]] = names_elsewhere.CLIENT_NAMES

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
        self._opened = OpenRegistry(
            os.fspath(path),
            repo=None if repo is None else os.fspath(repo),
            store=store,
            environ=given,
            terms=read_terms(given, max_age=max_age, offline=offline, timeout=timeout),
        )

    @property
    def repository(self) -> Repository:
        """The repository of the registry."""
        return self._opened.repository

    @property
    def writer(self) -> Writer:
        """The target of changes: the branch, or the batch of a `transaction`."""
        return self._opened.writer

    @property
    def store(self) -> ArtifactStore:
        """The artifact store, which is opened on first use.

        Raises UsageError for an unusable URL, and Refused for a store that is not trusted on this machine.
        """
        return self.access.default()

    @property
    def store_url(self) -> str:
        """The URL of the artifact store; "" for the default store inside the repository, at `store_root`."""
        return self.access.named().url

    @property
    def access(self) -> Access:
        """The registry's artifact stores with their URLs and trust on this machine."""
        return self._opened.access

    @property
    def store_root(self) -> Path:
        """The folder of the default artifact store."""
        return self._opened.store_root

    def fingerprint(self) -> str:
        """Return a text that changes whenever the registry does: its branch, stages, rules or open proposals.

        A program can keep its data until this text changes.
        """
        self.repository.renew()
        return self.repository.fingerprint()

    def close(self) -> None:
        """Stop the git process that reads for this client. Using the client again starts a new one."""
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

    def register_model(self, model: Model | str, *, exist_ok: bool = False, **description: Any) -> Model:
        """Register a model: `register_model(Model(name=..., ...))` or `register_model(name, license=..., ...)`.

        With *exist_ok*, a model that exists already is returned unchanged, so that a script can run again. Raises
        UsageError for an invalid name or field, Conflict if the name is or was in use.

        >>> client.register_model("iris", license="MIT", exist_ok=True)  # doctest: +SKIP
        Model('iris')
        """
        from gitmodel.client.handles.handles import Model
        from gitmodel.registry.records import models

        if isinstance(model, Model):
            description = {**model.description_given(), **description}
            model = model.name
        return Model._current(self._opened, models.register_model(self.writer, model, description, exist_ok=exist_ok))

    def get_model(
        self,
        name: str | None = None,
        *,
        model_name: str | None = None,
        renumbered: bool = False,
        for_change: bool = False,
    ) -> Model:
        """Return the model *name*, which may also be passed as *model_name*. Raises NotFound.

        If a pull renamed a model, its old name may now belong to another model. Such a name gives a
        `RenumberedWarning`, and a change of the model raises Refused. *renumbered* confirms that you mean the model
        that has the name now; the first change removes the warning. With *for_change*, such a name raises Refused
        immediately.
        """
        from gitmodel.client.handles.handles import Model

        wanted = name if name is not None else model_name
        if wanted is None:
            raise UsageError("get_model needs the name of a model", hint="write client.get_model('iris')")
        self.repository.renew()
        return Model._find(self._opened, _model_ref(wanted, renumbered), for_change=for_change)

    def list_models(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> Models:
        """Return the models that match *filter* (see `docs/reference/expressions.md`).

        *sort* is "name" (the default), "created", "updated" (the last change), "latest", "versions" or a key of the
        metadata, after "-" for descending order. At most *limit* models are returned, after the first *offset*. Raises
        UsageError for an invalid filter or sort key, or a negative *limit* or *offset*.
        """
        from gitmodel.client.handles.handles import Model, Models

        list = partial(self.view_models, filter=filter, sort=sort, limit=limit, offset=offset)
        found, since = self.repository.at_one_numbering(list)
        return Models(Model._of(self._opened, view, since) for view in found)

    def update_model(
        self,
        name: str,
        *,
        new_name: str | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        remove_metadata: Iterable[str] = (),
        renumbered: bool = False,
        **description: Any,
    ) -> Model:
        """Change a model's descriptive fields, tags, metadata and name. Raises NotFound, UsageError, Conflict.

        Keys of *metadata* are added to the existing ones. *renumbered* is as in `get_model`.
        """
        from gitmodel.client.handles.handles import Model
        from gitmodel.domain.changes.models import TagChanges

        model = _model_ref(name, renumbered)
        tags = TagChanges.read(description.get("tags"), add_tags, remove_tags)
        return Model._update(self._opened, model, new_name, description, tags, remove_metadata)

    def delete_model(self, name: str, *, reason: str = "", force: bool = False, renumbered: bool = False) -> None:
        """Delete a model; its name is never used again. Raises Refused if it is in use, unless *force*.

        *renumbered* is as in `get_model`.
        """
        from gitmodel.domain.changes.planned_change import Justification
        from gitmodel.registry.records import models

        models.delete_model(self.writer, _model_ref(name, renumbered), why=Justification(reason, force))

    # Versions

    def get_version(
        self, reference: str | VersionRef, *, renumbered: bool = False, for_change: bool = False
    ) -> ModelVersion:
        """Return the version that a reference such as `"iris@production"` names. Raises NotFound.

        A stage or alias selects the version in force, with the artifacts that were promoted. In a registry by URL, such
        a version is read from its stage tag alone, and its attribute `frozen` is the name of the tag.

        If a pull renumbered a version, its old number may now belong to another version. Such a number gives a
        `RenumberedWarning`, and a change of the version raises Refused. *renumbered* confirms that you mean the version
        that has the number now; the first change removes the warning. With *for_change*, such a number raises Refused
        immediately.
        """
        from gitmodel.client.handles.handles import ModelVersion

        self.repository.renew()
        return ModelVersion._find(self._opened, _version_ref(reference, renumbered), for_change=for_change)

    # Immutable values

    def resolve(self, reference: str | VersionRef) -> Found:
        """Return the version that a reference such as `"iris@production"` names, as an immutable value.

        The value has the attributes `model`, `record` and `frozen` (see `get_version`).

        >>> client.resolve("iris@production").reference                # doctest: +SKIP
        'iris@3'
        """
        from gitmodel.registry.records import finding

        self.repository.renew()
        return finding.find(self.writer, _version_ref(reference))

    def view_model(self, name: str) -> ModelView:
        """Return a model's record, stages and number of versions, as an immutable value. Raises NotFound."""
        from gitmodel.registry.lists import model_views

        self.repository.renew()
        return model_views.get_model(self.writer, name)

    def view_models(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> ModelTable:
        """Return the models that `list_models` finds, as immutable values.

        >>> client.view_models(sort="-created").to_pandas()                              # doctest: +SKIP
        """
        from gitmodel.client.tables.model_table import ModelTable
        from gitmodel.registry.lists import model_views

        self.repository.renew()
        found, damaged = model_views.list_models(self.writer, filter=filter, sort=sort, limit=limit, offset=offset)
        return ModelTable(found, damaged=damaged)

    def view_version(self, reference: str | VersionRef) -> VersionView:
        """Return a version's record, stage and aliases, as an immutable value. Raises NotFound, Invalid."""
        from gitmodel.registry.records import versions

        self.repository.renew()
        return versions.get_version(self.writer, _version_ref(reference))

    def view_versions(
        self, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> Iterator[VersionView | Invalid]:
        """Yield the versions of *model* that match *filter* as values, newest first, and an error for a damaged one.

        Raises NotFound, and UsageError for an invalid filter or a negative *limit* or *offset*.
        """
        from gitmodel.registry.lists import version_lists

        self.repository.renew()
        return iter(version_lists.each_version(self.writer, model, filter=filter, limit=limit, offset=offset))

    def view_version_rows(
        self, model: str, *, filter: str = "", limit: int | None = None, offset: int = 0
    ) -> Iterator[VersionView | VersionRow | Invalid]:
        """Yield the versions like `view_versions`, but faster: most results have only the fields that a table shows."""
        from gitmodel.registry.lists import version_lists

        self.repository.renew()
        return version_lists.each_row(self.writer, model, filter=filter, limit=limit, offset=offset)

    def find_versions(
        self,
        model: str | None = None,
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> VersionTable:
        """Return the versions that match *filter*, of *model* or of all models, as immutable values.

        *sort* is a field such as "created" or a key of the metadata, after "-" for descending order. The author and
        last change of a version are the fields `author`, `updated` and `updated_by`. Versions without a value come
        last. Versions with equal values, and all versions without *sort*, are in the order of their models, newest
        first.

        >>> best = client.find_versions(filter="metadata.accuracy > 0.9", sort="-metadata.accuracy", limit=20)
        ...                                                                              # doctest: +SKIP
        >>> [(row.model, row.record.number, row.record.metadata["accuracy"]) for row in best]  # doctest: +SKIP
        [('iris', 7, 0.97), ('wine', 2, 0.93)]
        >>> best.to_pandas()                                                             # doctest: +SKIP

        Raises NotFound, and UsageError for an invalid filter, a key that no version has, or a negative *limit*.
        """
        from gitmodel.client.tables.version_table import VersionTable

        # imported here: only searches need expressions
        from gitmodel.registry.lists.version_search import find_versions

        self.repository.renew()
        found, damaged = find_versions(self.writer, model, filter=filter, sort=sort, limit=limit, offset=offset)
        return VersionTable(found, damaged=damaged)

    def authorships(self) -> dict[str, Authorship]:
        """Return the author and last change of each model and version, by references such as "iris" and "iris@3".

        gitmodel reads the history once and keeps the result in the index. Later calls read only new commits. Models
        have their current names. In a shallow clone, models and versions that its history does not reach are missing.

        >>> client.authorships()["iris@3"].updated_by                                    # doctest: +SKIP
        'Ada Example'
        """
        from gitmodel.registry.lists.authorship import read_authorships  # imported here: few programs need SQLite

        self.repository.renew()
        at = self.writer.read_records(lambda snapshot: snapshot.commit)
        return read_authorships(self.repository, at, self.writer.index_folder)

    def read_records(self, model: str, numbers: Iterable[int]) -> list[VersionRecord | Invalid]:
        """Return the records of the versions *numbers* of *model*, and an error for a damaged one.

        The result has the order of *numbers*, and also deleted versions. Raises NotFound.
        """
        from gitmodel.registry.lists import version_lists

        self.repository.renew()
        return version_lists.read_records(self.repository, model, numbers)

    def version_ids(self, model: str) -> dict[int, VersionIds]:
        """Return the git object ids of the files of each version of *model*, newest first, also of deleted ones.

        The ids change whenever the record does, and whenever the version is archived. Raises NotFound.
        """
        from gitmodel.registry.lists import version_lists

        self.repository.renew()
        return version_lists.version_ids(self.repository, model)

    def view_stages(
        self,
        stage: str | ModelStages = "",
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> VersionTable:
        """Return the version in force in *stage* of every model. Without *stage*, return those of all stages, in order.

        *filter*, *sort*, *limit* and *offset* are those of `find_versions`.

        >>> client.view_stages("production").to_pandas()                                 # doctest: +SKIP

        Raises UsageError if the registry has no such stage, and the errors of `find_versions`.
        """
        from gitmodel.client.tables.version_table import VersionTable
        from gitmodel.registry.lists.version_search import list_holders  # imported here: it imports the expressions

        self.repository.renew()
        found, damaged = list_holders(self.writer, str(stage), filter=filter, sort=sort, limit=limit, offset=offset)
        return VersionTable(found, damaged=damaged)

    def view_artifacts(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionArtifact]]:
        """Return a version, its artifacts, and the outputs of runs that worked on it after it was created."""
        from gitmodel.registry.recorded_runs.run_outputs import VersionArtifact, list_outputs

        view = self.view_version(reference)
        outputs = list_outputs(self.writer, _version_ref(reference), store=lambda: self.store)
        return view, [*map(VersionArtifact, view.record.artifacts), *outputs]

    def view_version_runs(self, reference: str | VersionRef) -> tuple[VersionView, list[VersionRun]]:
        """Return a version and the runs that made it, worked on it or read it."""
        from gitmodel.lineage.version_runs import version_runs

        view = self.view_version(reference)
        return view, version_runs(self.repository, view, store=lambda: self.store)

    # Stages and aliases

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The exclusive stages of the registry, in order."""
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
        """Put the version that *reference* names into *stage*: `get_version` and `ModelVersion.set_stage` in one call.

        *renumbered* is as in `get_version`. Raises UsageError if *reference* is the name of a model only.

        >>> client.promote("iris@3", "production", reason="beats the baseline").previous      # doctest: +SKIP
        2
        """
        from gitmodel.domain.changes.planned_change import Justification
        from gitmodel.registry.promotion import stages

        ref = _version_ref(reference, renumbered).required("promote")
        return stages.promote(self.writer, ref, str(stage), why=Justification(reason, force), leave=leave)

    def list_stages(self) -> list[StageRules]:
        """Return each stage with its rules, in the order of the stages.

        >>> [stage.name for stage in client.list_stages() if stage.rule.proposal_only]        # doctest: +SKIP
        ['production']
        """
        from gitmodel.registry.promotion import stage_rules

        self.repository.renew()
        return stage_rules.list_rules(self.writer)

    def add_stage(
        self,
        name: str,
        *,
        before: str | None = None,
        after: Iterable[str] | None = None,
        proposal_only: bool | None = None,
        signed: bool | None = None,
        direct_rollback: bool | None = None,
        reason: str = "",
    ) -> ChangedRules:
        """Add a stage in front of the stage *before*, or as the last one, and put its rules in force.

        *after* lists the places from which a version may enter: stages, "archived" and "none". With *proposal_only*, a
        change of the stage needs a reviewed proposal; with *signed*, its commit and tag need signatures. With
        *direct_rollback*, a version that was in the stage before may return without these rules, except signatures. If
        the stage has these rules already, nothing changes. Raises UsageError for an invalid name or place, Conflict if
        the name is taken.

        >>> client.add_stage("canary", before="production", after=["staging"])               # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import AddStage

        return self.change_rules(
            AddStage(name, after=after, proposal_only=proposal_only, signed=signed, direct_rollback=direct_rollback,
                     before=before),
            reason=reason,
        )  # fmt: skip

    def update_stage(
        self,
        name: str,
        *,
        before: str | None = None,
        after: Iterable[str] | None = None,
        proposal_only: bool | None = None,
        signed: bool | None = None,
        direct_rollback: bool | None = None,
        reason: str = "",
    ) -> ChangedRules:
        """Change the rules of a stage that are given, and put them in force.

        The arguments are those of `add_stage`; `after=[]` allows any place. Raises UsageError for an unknown stage or
        place. Raises Refused if the stage is `proposal_only`: then use `propose(rules=[UpdateStage(...)])`.

        >>> client.update_stage("production", proposal_only=True).changes                    # doctest: +SKIP
        ('production: proposal_only false -> true',)
        """
        from gitmodel.domain.changes.rule_edits import UpdateStage

        return self.change_rules(
            UpdateStage(name, after=after, proposal_only=proposal_only, signed=signed, direct_rollback=direct_rollback,
                        before=before),
            reason=reason,
        )  # fmt: skip

    def remove_stage(self, name: str, *, reason: str = "") -> ChangedRules:
        """Remove a stage that no version is in.

        Raises UsageError for an unknown stage. Raises Refused if the stage is the only one, is `proposal_only`, holds a
        version, or is named in the `after` of another stage.

        >>> client.remove_stage("canary")                                                    # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveStage

        return self.change_rules(RemoveStage(name), reason=reason)

    def add_gate(
        self, stage: str, name: str, expression: str, *, message: str = "", replace: bool = False, reason: str = ""
    ) -> ChangedRules:
        """Add a gate to *stage*: an *expression* that a version must satisfy to enter, and the *message* of a refusal.

        With *replace*, an existing gate of this name is replaced. If the stage has this gate already, nothing changes.
        Raises UsageError for an unknown stage and for an expression that cannot be read or names an unknown field,
        Conflict if the stage has another gate of this name, Refused if the stage is `proposal_only`.

        >>> client.add_gate("production", "accuracy", "metadata.accuracy >= 0.9")            # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import AddGate

        return self.change_rules(AddGate(stage, name, expression, message, replace), reason=reason)

    def remove_gate(self, stage: str, name: str, *, reason: str = "") -> ChangedRules:
        """Remove a gate from *stage*. Raises UsageError, NotFound; Refused if the stage is `proposal_only`.

        >>> client.remove_gate("production", "accuracy")                                     # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveGate

        return self.change_rules(RemoveGate(stage, name), reason=reason)

    def change_rules(self, edit: RulesEdit, *, reason: str = "") -> ChangedRules:
        """Change the rules of a stage by an AddStage, UpdateStage, RemoveStage, AddGate or RemoveGate.

        `add_stage` and the other methods for rules call this method. `propose(rules=[...])` proposes such changes.
        """
        from gitmodel.registry.promotion import stage_rules

        return stage_rules.change_rules(self.writer, edit, reason=reason)

    def demote(self, model: str, stage: str | ModelStages, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Remove the version from *stage* of *model*. Raises NotFound if the stage is empty."""
        from gitmodel.registry.promotion import stages

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
        """Put the previous version of *stage* back, as `Model.rollback` does."""
        from gitmodel.domain.changes.planned_change import Justification
        from gitmodel.registry.promotion import stages

        ref, why = _model_ref(model, renumbered), Justification(reason, force)
        return stages.rollback(self.writer, self.repository, ref, str(stage), why=why, leave=leave)

    def set_alias(
        self, reference: str | VersionRef, alias: str, *, reason: str = "", renumbered: bool = False
    ) -> Promotion:
        """Move *alias* to the version that *reference* names."""
        from gitmodel.registry.promotion import stages

        ref = _version_ref(reference, renumbered).required("alias set")
        return stages.set_alias(self.writer, ref, alias, reason=reason)

    def remove_alias(self, model: str, alias: str, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Remove *alias* from *model*. Raises NotFound if the model has no such alias."""
        from gitmodel.registry.promotion import stages

        return stages.remove_alias(self.writer, _model_ref(model, renumbered), alias, reason=reason)

    # Runs

    def list_runs(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> RunTable:
        """Return the runs that match *filter*, newest first: at most *limit*, after the first *offset*.

        *sort* is a field such as "seconds", a parameter such as "parameters.lr" or a key of the metadata, after "-" for
        descending order. Only a run of a script has metadata; metadata that a pipeline logs belongs to the versions.
        Runs without a value come last. The result includes runs in progress and lost runs of this machine. Each run is
        a handle, as from `get_run`. Raises UsageError for an invalid filter, a key that no run has, or a negative
        *limit* or *offset*.

        >>> client.list_runs(sort="-parameters.lr", limit=1)[0].id                       # doctest: +SKIP
        '20261123T101112Z-train-7f3a'
        >>> client.list_runs().to_pandas()                                               # doctest: +SKIP
        """
        from gitmodel.client.handles.run_handle import Run
        from gitmodel.client.tables.run_table import RunTable
        from gitmodel.registry.recorded_runs.runs import list_runs

        self.repository.renew()
        found, damaged = list_runs(self.repository, filter=filter, sort=sort, limit=limit, offset=offset)
        return RunTable((Run._of(view, self._opened) for view in found), damaged=damaged)

    def run_record_ids(self) -> dict[str, Oid]:
        """Return the git object id of the record of each run on the branch, newest run first."""
        from gitmodel.registry.recorded_runs import runs

        self.repository.renew()
        return runs.run_record_ids(self.repository)

    def get_run(self, id: str) -> Run:
        """Return the run with the id *id*, whose outputs can be loaded.

        In every method that takes a run, the beginning or the end of its id is enough if no other id has it. Raises
        NotFound, and UsageError if several ids have this beginning or end.

        >>> client.get_run("20261123T101112Z-train-7f3a").outputs["accuracy"].load()      # doctest: +SKIP
        0.97
        """
        from gitmodel.client.handles.run_handle import Run
        from gitmodel.registry.recorded_runs import runs

        self.repository.renew()
        return Run._of(runs.get_run(self.repository, id, store=lambda: self.store), self._opened)

    def get_cells(self, run: str) -> tuple[Cell, ...]:
        """Return the cells that a notebook executed until the end of the run with the id *run*.

        Secrets and text that looks like a credential are replaced. Raises NotFound for a run without stored cells.

        >>> for cell in client.get_cells(run.id):                       # doctest: +SKIP
        ...     print(cell.number, cell.source)
        """
        from gitmodel.registry.recorded_runs import runs

        self.repository.renew()
        return runs.get_cells(self.repository, run, self.store)

    def get_logs(self, run: str, step: str | None = None) -> list[StepLog]:
        """Return the output of the steps of the run with the id *run*, or only of its *step*: a value for each attempt.

        The output stays on the machine that ran the steps, for its newest 200 runs. Secrets and text that looks like a
        credential are replaced. Raises NotFound for an unknown run or step, and for output that this machine does not
        have.

        >>> print(client.get_logs(run.id, "fit")[-1].text)              # doctest: +SKIP
        """
        from gitmodel.registry.recorded_runs import run_logs

        self.repository.renew()
        return run_logs.get_logs(self.repository, run, step)

    def attach_logs(self, run: str, version: str, *, step: str | None = None) -> str:
        """Attach the output of the steps of a run, or only of *step*, to *version* as a text file.

        Returns the name of the attachment: STEP.log or RUN.log. Raises the errors of `get_logs`, Refused if the text
        seems to hold credentials, Conflict if the version has another attachment of this name.

        >>> client.attach_logs(run.id, "demo@3", step="fit")                              # doctest: +SKIP
        'fit.log'
        """
        from tempfile import TemporaryDirectory  # imported here: few calls need it, and it takes 2 ms

        from gitmodel.registry.recorded_runs.run_logs import text_of

        name = f"{step or self.get_run(run).id}.log"
        with TemporaryDirectory(prefix="gitmodel-log-") as folder:
            file = Path(folder, "log.txt")
            file.write_text(text_of(self.get_logs(run, step)), encoding="utf-8")
            self.get_version(version).attach(name, file)
        return name

    @contextmanager
    def start_run(self, name: str) -> Iterator[ScriptRun]:
        """Start a run called *name* for a script without steps, and record it when the `with` block ends.

        The block gets a `ScriptRun`, which records parameters, metadata and artifacts, and creates a version. At the
        end of the block, one commit records all of these with the code, the installed packages and the duration. If the
        block raises an error, only the run is recorded, as failed or, after Ctrl-C, as cancelled, and the error is
        raised again. Secrets and credentials in the error are hidden.

        Raises UsageError inside of another run, of a step or of a transaction. Raises Conflict and other errors at the
        end if the version cannot be created.

        >>> with client.start_run("train") as run:                      # doctest: +SKIP
        ...     run.log_parameters(max_depth=3)
        ...     run.log_metadata(accuracy=clf.score(x, y))
        ...     run.create_version("iris", model_objects={"clf": clf})
        >>> run.version.reference                                       # doctest: +SKIP
        'iris@1'
        """
        from gitmodel.client.script_runs.script_run import start_run

        with start_run(self._opened, name) as run:
            yield run

    def apply(
        self,
        *names: str,
        reviewed: Iterable[str] = (),
        ask_host: bool = False,
        push: bool = False,
        remote: str = "",
        timeout: float = 60.0,
    ) -> Applied:
        """Put recorded changes in force, for all models or only for *names*. Sets stage tags.

        *reviewed* lists the ids of commits of which you know that they were reviewed, although the history does not
        show it. With *ask_host*, in a job of GitHub, GitLab or Forgejo, the host says which changes were reviewed, and
        the history does not count. With *push*, *remote* is pulled first, and then only the tags are pushed,
        atomically. Pull and push are retried for *timeout* seconds while others push. If the settings of this machine
        name a URL for notices, the changes are posted to this URL afterwards, for at most 10 seconds; if that fails,
        `notice` of the result has the reason.

        Raises Refused if the branch does not descend from the commits of the tags, and UsageError for *ask_host*
        outside of a job. Raises Conflict at the end if the pull could not keep some local changes: the error names
        these changes, and its attribute `done` is the value that is normally returned.
        """
        from gitmodel.client import sharing

        if remote and not push:
            raise UsageError(f"the remote {remote} is used only with push", hint="add push, or leave the remote out")
        self._opened.require_branch("apply")
        there = remote if push else None
        vouched = frozenset(reviewed)
        return sharing.apply(self._opened, names, reviewed=vouched, ask_host=ask_host, remote=there, timeout=timeout)

    # The past

    def at(self, moment: str | datetime) -> Client:
        """Return a read-only client for the registry at *moment*: a date, a time, or a commit of the metadata branch.

        The client reads the newest commit that is not later than *moment*. A date includes the whole day, and a time
        without a zone is in UTC. Stages and aliases are those on the branch at that commit, because the tags of the
        past are not known. Raises NotFound for a date before the registry existed, or a commit that was never the tip
        of the branch. Changes through this client raise UsageError.

        >>> client.at("2026-10-01").get_version("iris@production").number     # doctest: +SKIP
        3
        """
        from gitmodel.lineage.past import Past, find_state

        with self.repository.git.explaining_not_found():
            past = Past(self.repository, find_state(self.repository, moment))
        return self._around(self._opened.with_writer(past))

    def history(self, model: str | None = None, stage: str = "") -> Iterator[StageEvent]:
        """Yield the changes of stages and aliases, newest first: of all models, of *model*, or of one *stage* of it.

        Each change has the version, its start and end, the author and the reason. Raises NotFound, UsageError for a
        stage without a model, and Invalid if a shallow clone hides older changes.

        >>> for event in client.history("iris", "production"):          # doctest: +SKIP
        ...     print(event.version, event.when, event.until, event.author, event.reason)
        """
        from gitmodel.lineage.history import history

        with self.repository.git.explaining_not_found():
            return history(self.repository, model, str(stage))

    def view_history(
        self,
        model: str | None = None,
        stage: str | ModelStages = "",
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> HistoryTable:
        """Return the changes that `history` yields, each with the record of the version that entered.

        *filter* and *sort* read the fields of the change and the metadata of the version: the current metadata or, if
        the version was deleted, that at the time of the change. Without *sort*, the newest is first; `sort="when"` puts
        the oldest first, in the order of the branch.

        >>> found = client.view_history("iris", "production", sort="when")       # doctest: +SKIP
        >>> [(row.event.version, row.metadata.get("accuracy")) for row in found]      # doctest: +SKIP
        [(1, 0.91), (3, 0.95)]
        >>> found.to_pandas()                                           # doctest: +SKIP

        Raises the errors of `history`; UsageError for an invalid filter or a key that no such version has.
        """
        from gitmodel.client.tables.history_table import HistoryTable
        from gitmodel.lineage.history import view_history

        with self.repository.git.explaining_not_found():
            found, damaged = view_history(
                self.repository, model, str(stage), filter=filter, sort=sort, limit=limit, offset=offset
            )
        return HistoryTable(found, damaged=damaged)

    def signature_faults(self, commits: Iterable[str]) -> dict[str, str | None]:
        """Return the reason why the signature of each of *commits* does not count; "" if the signature counts.

        A signature counts if its signer was on the list of signers that the branch had before the commit. The reason is
        None for a commit that is not signed. *commits* are ids of commits on the metadata branch, the keys of the
        result.

        >>> events = list(client.history("iris", "production"))                 # doctest: +SKIP
        >>> client.signature_faults(event.commit for event in events)           # doctest: +SKIP
        {'8f41c02...': '', '13e33b3...': None}

        Raises UsageError for what is not a full id of a commit, Invalid for a commit that does not exist, and Invalid
        if a shallow clone hides the list of signers.
        """
        from gitmodel.domain.schema.object_ids import is_oid
        from gitmodel.lineage.history import signature_faults

        ids = []
        for id in commits:
            if not is_oid(id):
                raise UsageError(
                    f"{id!a} is not the id of a commit", hint="give 40 hexadecimal digits, as in event.commit"
                )
            ids.append(id)
        return signature_faults(self.repository, ids)

    def rule_history(self) -> Iterator[RuleChange]:
        """Yield the changes of the rules of stages, of other settings in `gitmodel.toml` and of the signers.

        The newest is first. Raises Invalid if a shallow clone hides older changes.

        >>> for change in client.rule_history():                        # doctest: +SKIP
        ...     print(change.when, change.author, change.changes, change.reason)
        """
        from gitmodel.lineage.rule_history import rule_history

        with self.repository.git.explaining_not_found():
            return rule_history(self.repository)

    def list_signers(self) -> list[str]:
        """Return the persons whose signatures count, each with the kind of the person's key.

        >>> client.list_signers()                                       # doctest: +SKIP
        ['ada@example.com (ssh-ed25519)']
        """
        from gitmodel.lineage.rule_history import list_signers

        return list_signers(self.repository)

    def log(self, reference: str = "") -> Iterator[Event]:
        """Yield the events of a version ("iris@3"), of a model ("iris"), or of all models (""), newest first.

        Raises NotFound, and Invalid if a shallow clone hides older events.
        """
        from gitmodel.lineage.events import log

        with self.repository.git.explaining_not_found():
            return log(self.repository, VersionRef.parse(reference) if reference else None)

    def version_changes(self) -> VersionChanges:
        """Return the changes of all versions after their creation: who changed which fields, from and to which values.

        git walks through the branch once, however many versions are asked for.

        >>> for change in client.version_changes().of("iris", 4):        # doctest: +SKIP
        ...     print(change.author, [(one.field, one.before, one.after) for one in change.fields])
        Ada [('metadata.accuracy', 0.9, 0.95)]
        """
        from gitmodel.lineage.version_changes import VersionChanges

        self.repository.renew()
        return VersionChanges(self.repository)

    def blame(self, reference: str) -> list[FieldOrigin]:
        """Return the commit that last set each field of a version. Raises NotFound; Invalid in a shallow clone.

        >>> {origin.field: origin.author for origin in client.blame("iris@4")}    # doctest: +SKIP
        {'number': 'Ada', 'metadata.accuracy': 'Bob', 'stage': 'Cleo'}
        """
        from gitmodel.lineage.events import blame

        with self.repository.git.explaining_not_found():
            return blame(self.repository, VersionRef.parse(reference))

    def containing(self, commit: str, model: str = "") -> list[Containing]:
        """Return for each version, of *model* or of all, whether its code contains *commit*. The newest is first.

        Raises NotFound if the commit, the model or the code repository does not exist.
        """
        from gitmodel.lineage.containing import containing

        return list(containing(self.writer, self.open_code(), commit, model))

    def write_notes(self) -> WrittenNotes:
        """Write a note to each code commit with the versions that were made from it, at `refs/notes/gitmodel`.

        `git log --notes=gitmodel` shows the notes. Raises Refused if another program wrote the ref.
        """
        from gitmodel.lineage.containing import write_notes

        return write_notes(self.writer, self.repository, self.open_code())

    def remove_notes(self) -> None:
        """Delete `refs/notes/gitmodel`."""
        from gitmodel.lineage.containing import remove_notes

        remove_notes(self.open_code())

    def maintain(self) -> Maintained:
        """Write git's commit-graph with changed-path filters and pack loose objects, so that queries stay fast."""
        from gitmodel.lineage.maintenance import maintain

        return maintain(self.repository)

    # Lineage

    def lineage(
        self,
        subject: str,
        *,
        up: bool = True,
        down: bool = True,
        depth: int | None = None,
        few_from: int | None = None,
    ) -> Lineage:
        """Return the sources of *subject* (*up*) and everything made from it (*down*), over at most *depth* runs.

        *subject* is a version such as `"iris@4"`, the id of a run, or a digest, of which `sha256:` and the first 7
        digits are enough. An artifact that more than *few_from* versions have names only 20 of them. A notebook shows
        the lineage as a drawing. Raises NotFound if *subject* names nothing in the registry.

        >>> client.lineage("iris@production", down=False).nodes         # doctest: +SKIP
        """
        from gitmodel.client.drawn_lineage import DrawnLineage
        from gitmodel.lineage import graph

        walk = partial(graph.lineage, self.repository, store=lambda: self.store, kept=self._opened.lineage_at)
        found = walk(subject, up=up, down=down, depth=depth, few_from=few_from)
        return DrawnLineage(**vars(found))

    def diff(self, *references: str) -> VersionDiff:
        """Return the fields of two or more versions side by side, with the code commits between them.

        A reference is `"iris@3"` or, for a past state, `"iris@production@{2026-10-01}"`, with a date, a time or a
        commit of the metadata branch in the braces. `gaps` of the result names what could not be compared. Raises
        NotFound and Invalid, and UsageError for fewer than two references or a reference that is given twice.

        >>> found = client.diff("iris@3", "iris@4", "iris@production@{2026-10-01}")      # doctest: +SKIP
        >>> for row in found.differing:                                 # doctest: +SKIP
        ...     print(row.name, row.values)
        >>> found.to_pandas()                                           # doctest: +SKIP
        """
        from gitmodel.client.tables.version_diff import VersionDiff
        from gitmodel.lineage import comparing

        refs = [DatedRef.parse(reference) for reference in references]
        self.repository.renew()
        with self.repository.git.explaining_not_found():
            return VersionDiff.of(
                comparing.compare(self.repository, self.writer, refs, store=lambda: self.store, code=self.open_code)
            )

    def import_version(
        self, path: str | os.PathLike[str], *, model: str = "", renumbered: bool = False
    ) -> ModelVersion:
        """Import the version that `ModelVersion.export` wrote to *path*, after verifying the whole file.

        The version is added to the model of the same name, or to *model*. Its number stays the same if that number is
        free and higher than all others. A version that was imported before is not changed. *renumbered* is as in
        `get_model`. Raises Invalid, Conflict, NotFound.
        """
        from gitmodel.client.handles.handles import ModelVersion
        from gitmodel.lineage.exporting import import_export

        file = Path(path).expanduser()
        found = import_export(self.writer, file, store=self.store, model=model, renumbered=renumbered)
        return ModelVersion._find(self._opened, VersionRef.parse(found.reference), is_new=found.new)

    def copy_version(
        self,
        reference: str | VersionRef,
        to: str | os.PathLike[str] | Client,
        *,
        model: str = "",
        stage: str | ModelStages = "",
        reason: str = "",
        force: bool = False,
        propose: bool = False,
        jobs: int = JOBS,
        progress: Progress | None = None,
    ) -> CopiedVersion:
        """Copy a version with its artifacts, runs and lineage to the registry *to*: a path, a URL or a client.

        The version gets the record `origin`. It belongs to the model of the same name, or to *model*, which is created
        if necessary. It keeps its number if that number is higher than all others there, and gets the next number
        otherwise. With *stage*, the version also enters this stage, by the rules of *to*; *force* overrides them and
        needs a *reason*. Artifacts that the store of *to* has are not sent.

        If the server of *to* refuses the push, or with *propose*, the version is on a branch for a pull request, which
        `branch` of the result names. If *to* has the version already, nothing changes, and `new` is False. Raises
        NotFound, Conflict for a name that is taken, GateRefused, Refused for a stage that accepts only proposals,
        Unreachable.

        >>> client.copy_version("iris@3", "https://git.example.org/production.git").reference     # doctest: +SKIP
        'iris@3'
        """
        from gitmodel.domain.changes.planned_change import Justification
        from gitmodel.teams.proposing.version_copies import CopySide, WantedCopy, copy_version

        ref, wanted = _version_ref(reference), WantedCopy(model, str(stage), Justification(reason, force), propose)
        with ExitStack() as opened:
            if not isinstance(to, Client):
                to = opened.enter_context(Client(repo=to, environ=self._opened.environ))
            to._opened.require_branch("copy_version")
            self.repository.renew()
            source, target = (CopySide(one.writer, one.access) for one in (self, to))
            return copy_version(source, target, ref, wanted, transfer=Transfer(jobs, progress))

    def open_code(self) -> CodeRepository:
        """Return the code repository that contains *path*. Raises NotFound if there is none."""
        return self._opened.open_code()

    # Working with others

    def pull(self, remote: str = "", *, rewound: bool = False) -> Pulled:
        """Fetch the registry of *remote* and replay local changes on top.

        The default of *remote* is `git config gitmodel.remote`, then `origin`. Local versions whose numbers were taken
        by others get new numbers. Artifacts are fetched when they are read, or by `pull_artifacts`. Raises Conflict if
        the remote was rewound or deleted, unless *rewound* allows it. Raises Refused for unrelated registries and for
        local commits that others signed, and Unreachable.
        """
        from gitmodel.branch import remotes
        from gitmodel.registry.writing.transacting import pack_when_many
        from gitmodel.teams.sync import pulling

        self._opened.require_branch("pull")
        pulled = pulling.pull(self.repository, remotes.choose_remote(self.repository, remote), rewound=rewound)
        pack_when_many(self.repository)
        return pulled

    def pull_artifacts(self, *, jobs: int = JOBS, progress: Progress | None = None) -> int:
        """Fetch the artifacts of versions that are in a stage, have an alias or are the latest. Return their number.

        *jobs* artifacts are fetched at a time. Artifacts that are already on this machine are skipped. Raises
        Unreachable, Refused.
        """
        from gitmodel.stores.local_store import LocalStore
        from gitmodel.teams.sync import transfers

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
        """Upload artifacts, *jobs* at a time, then push the branch and stage tags to *remote* atomically.

        The remote of the code repository also keeps the code commits of versions, if one of its branches has ever
        contained these commits. With *code*, it keeps all of them, including snapshots of uncommitted changes.

        If others have pushed, their changes are pulled first; pull and push are retried for *timeout* seconds. Raises
        Invalid for changed records that break the format, Unreachable if the remote or a store cannot be reached,
        Refused with the host's message if a rule of the host refuses the push, and Conflict as `pull` does. Raises
        Conflict at the end if the pull could not keep some local changes: the error names these changes, and its
        attribute `done` is the value that is normally returned.
        """
        from gitmodel.client import sharing

        self._opened.require_branch("push")
        return sharing.push(self._opened, remote, timeout=timeout, transfer=Transfer(jobs, progress), code=code)

    # Proposals

    def propose(
        self,
        *promotions: tuple[str | VersionRef, str],
        demote: Iterable[tuple[str, str]] = (),
        rollback: Iterable[tuple[str, str]] = (),
        rename: Iterable[tuple[str, str]] = (),
        rules: Iterable[RulesEdit] = (),
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
        remote: str = "",
        push: bool = False,
        open: bool = False,
    ) -> Proposal:
        """Write changes of stages to a new branch for a pull request, in one commit on top of the remote's branch.

        *promotions* are pairs of a version and a stage, *demote* and *rollback* pairs of a model and a stage, *rename*
        pairs of a model and its new name. *rules* are changes of the rules of stages: AddStage, UpdateStage,
        RemoveStage, AddGate and RemoveGate. *push* pushes the branch; in a registry by URL, the branch is always
        pushed. *open* also opens the pull request on the host. *leave* allows moving a version to an earlier stage when
        that empties its later stage. *renumbered* confirms that a number that a pull gave to another version means the
        version that has it now. Raises Refused for a version that the remote does not have. Raises GateRefused if a
        version fails a rule, unless *force* overrides the rule with a *reason*. Raises Conflict, NotFound, Unreachable.

        >>> client.propose(("iris@4", "production"), rollback=[("rose", "staging")], push=True)    # doctest: +SKIP
        """
        from gitmodel.domain.changes.planned_change import Justification

        self._opened.require_branch("propose")
        from gitmodel.teams.proposing import proposals, proposed_changes

        wanted = proposed_changes.ProposedChanges(
            tuple((_version_ref(ref).required("propose"), str(stage)) for ref, stage in promotions),
            tuple(demote), tuple(rollback), tuple(rename), tuple(rules), Justification(reason, force), leave,
            renumbered,
        )  # fmt: skip
        made = proposals.propose(self.repository, wanted, remote=remote)
        return proposals.publish(self.repository, made, open=open) if push or open or self.repository.url else made

    def find_host(self) -> Host | None:
        """Return the git host of the registry, which gives the addresses of its pages; None if the host is unknown.

        >>> client.find_host().pull_request("#12")                     # doctest: +SKIP
        'https://github.com/org/models/pull/12'
        """
        from gitmodel.teams.proposing.proposals import registry_host

        return registry_host(self.repository)

    def list_proposals(self, remote: str = "") -> list[Proposal]:
        """Return the open proposals, local and on *remote*, with the effects of merging each of them now.

        Raises Unreachable if the remote cannot be reached.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.list_proposals(self.repository, remote)

    def known_proposals(self) -> list[Proposal]:
        """Return the open proposals that this repository has, without asking a remote.

        Proposals on a remote are those that the last `git fetch` or `list_proposals` found.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.known_proposals(self.repository)

    def plan(self, commits: str = "", *, force: bool = False) -> Plan:
        """Return what a merge would change in the stages, without merging.

        *commits* is "BASE..HEAD". The default HEAD is the proposal that is checked out, else the only proposal, else
        the local commits that are not pushed. *force* allows the merge to delete versions in use.

        Packages and text artifacts that differ are read from the stores that this machine has.

        Raises NotFound and UsageError for commits that do not exist.
        """
        from gitmodel.teams.checks import commit_ranges
        from gitmodel.teams.plans import planning
        from gitmodel.teams.plans.stored_contents import StoredContents

        with self.repository.git.explaining_not_found():
            named = commit_ranges.read_range(self.repository, commits) if commits else None
            base, head = named or commit_ranges.default_range(self.repository)
        contents = StoredContents(lambda: self.access.everywhere(), lambda model, link: self.access.source(model, link))
        return planning.plan(self.repository, base, head, force=force, contents=contents)

    def check(self, commit: str = "") -> list[Problem]:
        """Return the problems of the records on the metadata branch, or in *commit*.

        Without *commit*, the checked-out commit is checked too if it has a registry that is not on the branch yet, such
        as the merge of a pull request. Raises NotFound without a registry.
        """
        from gitmodel.registry.health import checking
        from gitmodel.teams.checks import commit_ranges

        if commit:
            with self.repository.git.explaining_not_found():
                return checking.check(self.repository, commit_ranges.find_commit(self.repository, commit))
        found = (checking.check(self.repository, one) for one in commit_ranges.current_states(self.repository))
        return list(dict.fromkeys(problem for problems in found for problem in problems))

    def list_problems(self) -> list[Problem]:
        """Return the problems that `check` finds on the branch now, for programs that ask again and again.

        The clone remembers commits without problems. If it remembers a recent commit, only later changes are read.
        """
        from gitmodel.teams.checks.range_checks import list_problems

        self.repository.renew()
        return list_problems(self.repository)

    def find_credentials(self, commit: str = "") -> list[str]:
        """Return a message for each recorded value that looks like a credential.

        A message begins like "metadata.password of iris@4 looks like ...". Searches the metadata branch, or *commit*.
        `check_between` searches only the values that a change adds.
        """
        from gitmodel.registry.health import recorded_credentials
        from gitmodel.teams.checks import commit_ranges

        at = commit_ranges.find_commit(self.repository, commit) if commit else self.repository.tip()
        return recorded_credentials.find_credentials(self.repository, at) if at else []

    def check_staged(self, index: str | os.PathLike[str] | None = None, *, force: bool = False) -> RangeCheck | None:
        """Return the problems of the staged files; None if neither the metadata branch nor a proposal is checked out.

        *index* is the index file that git passes to a hook; the default is the index of the work tree. Raises
        Unreachable.
        """
        from gitmodel.teams.checks import range_checks

        path = Path(index).absolute() if index is not None else None
        return range_checks.check_staged(self.repository, path, force=force)

    def check_between(self, commits: str, *, force: bool = False) -> RangeCheck:
        """Return the problems of merging HEAD into BASE; *commits* is "BASE..HEAD".

        *force* allows the merge to delete versions in use, and many models at once. Raises NotFound and UsageError for
        commits that do not exist.
        """
        from gitmodel.teams.checks import commit_ranges, range_checks

        with self.repository.git.explaining_not_found():
            base, head = commit_ranges.read_range(self.repository, commits)
            return range_checks.check_between(self.repository, base, head, force=force)

    @contextmanager
    def transaction(self, message: str) -> Iterator[Client]:
        """Make several changes in one commit with the subject *message*. If the block raises, nothing is changed.

        The block gets a second client. Changes through the second client, and through the handles that it returns,
        belong to the transaction. Later reads of the second client see these changes; nobody else sees them before the
        block ends. Several threads may use the second client at the same time. Within the block, a change through the
        first client or its handles raises UsageError. A change through any other client, or through the first client in
        another thread, is a commit of its own. The handles stay usable after the transaction was committed.

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
        """Hash each artifact of the versions that *references* name once; by default, the artifacts of all versions.

        *jobs* files of a folder are hashed at a time. A problem, such as an unreachable store or an unreadable record,
        is in a yielded value and not raised.

        >>> [found.digest for found in client.verify("iris@3") if found.error]     # doctest: +SKIP
        []
        """
        from gitmodel.registry.linked_artifacts import verifying

        refs = list(map(_version_ref, references))
        return verifying.verify(self.writer, self.access.source, refs, transfer=Transfer(jobs, progress))

    def list_stores(self) -> list[NamedStore]:
        """Return the artifact stores of the registry with the URLs that this machine uses, the default store first."""
        return list(self.access.stores())

    def add_store(self, name: str, url: str) -> NamedStore:
        """Add an artifact store to the registry, for models to use. Raises Conflict, UsageError, Unreachable."""
        from gitmodel.registry.named_stores import stores

        return stores.add_store(self.writer, self.access, name, url)

    def remove_store(self, name: str) -> None:
        """Remove a store from the registry; its content stays. Raises NotFound; Refused if a model uses the store."""
        from gitmodel.registry.named_stores import stores

        stores.remove_store(self.writer, name)

    def use_store(self, model: str, name: str, *, renumbered: bool = False) -> None:
        """Store new artifacts of *model* in the store *name*, or in the default store for "default". Raises NotFound.

        *renumbered* is as in `get_model`.
        """
        from gitmodel.registry.named_stores import stores

        stores.use_store(self.writer, _model_ref(model, renumbered), name)

    def trust_store(self, which: str = "default") -> NamedStore:
        """Allow this machine to send credentials to a store, given by name or URL.

        A URL that ends in `/` covers all URLs below it.
        """
        from gitmodel.registry.named_stores import stores

        return stores.trust_store(self.access, which)

    def trust_names(self, *names: str) -> tuple[str, ...]:
        """Allow files of models to use these classes and functions when they are loaded on this machine.

        Give full names, such as "mypackage.models.Net". The error of `artifact.load()` lists the names that a file
        needs. Returns all names that this machine trusts. Raises UsageError for a name that is not a full name.

        >>> client.trust_names("mypackage.models.Net")  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.trust_names(self.repository, names)
        return self._opened.trusted_names()

    def distrust_names(self, *names: str) -> tuple[str, ...]:
        """Undo `trust_names` in this clone, and return the names that this machine still trusts. Raises NotFound."""
        from gitmodel.registry.linked_artifacts import trusted_names

        trusted_names.distrust_names(self.repository, names)
        return self._opened.trusted_names()

    def trusted_names(self) -> tuple[str, ...]:
        """Return the names that this machine trusts, from git's configuration and the variable `GITMODEL_TRUST`."""
        return self._opened.trusted_names()

    def suggested_names(self) -> tuple[str, ...]:
        """Return the names of classes and functions that the registry suggests to trust: `[formats] trust`.

        A suggested name has no effect until this machine trusts it. Raises Invalid if the rule cannot be read.

        >>> client.trust_names(*client.suggested_names())  # doctest: +SKIP
        ('mypackage.models.Net',)
        """
        from gitmodel.registry.linked_artifacts import trusted_names

        return trusted_names.suggested_names(self.repository)

    def headline_keys(self) -> tuple[str, ...]:
        """Return the keys of metadata for charts: a chart shows the first key under which a version has a number.

        The first key is `[site] headline` of `gitmodel.toml`. The keys that gates of stages read follow. Keys of inner
        tables are joined by dots.

        >>> client.headline_keys()  # doctest: +SKIP
        ('accuracy',)
        """
        from gitmodel.registry.lists import headline

        return headline.headline_keys(self.repository.read(lambda snapshot: snapshot.registry()))

    def store_status(self) -> Inventory:
        """Return the artifacts of versions that each store has, and the artifacts that no store has."""
        from gitmodel.registry.named_stores import inventory

        return inventory.take_inventory(self.writer, self.access)

    def copy_store(
        self,
        to: str,
        *,
        source: str = "default",
        repair: bool = False,
        jobs: int = JOBS,
        progress: Progress | None = None,
    ) -> Copied:
        """Copy all objects of the store *source* to the store *to* and verify them. A store is given by name or URL.

        *jobs* objects are copied at a time. Purged objects are skipped. Damaged objects are skipped too, and listed in
        `failed` of the result. Idempotent: call it again to continue after an interruption. With *repair*, objects that
        *to* already has are also verified, and replaced if they are damaged. The stores that the registry uses do not
        change. Raises UsageError if both stores are the same, Unreachable if one cannot be reached, and Invalid if *to*
        lacks an object at the end that is not in `failed`.
        """
        from gitmodel.registry.named_stores import store_maintenance

        return store_maintenance.copy(
            self.writer, self.access, to, source=source, repair=repair, transfer=Transfer(jobs, progress)
        )

    def find_garbage(
        self, store: str = "default", *, grace_days: float = 14.0, also: Iterable[str | os.PathLike[str]] = ()
    ) -> Garbage:
        """Return the objects of *store* older than *grace_days* that no version, run, tag or active run needs.

        *also* lists the paths of other registries that use the same store. If others can reach the store, the remote is
        fetched first. Raises Unreachable, and Invalid if a record cannot be read, because the objects that it needs are
        then unknown.
        """
        from gitmodel.registry.named_stores import store_maintenance

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
        """Delete the objects that `find_garbage` finds, and return them.

        Raises the same errors as `find_garbage`, and Refused if the store is read-only.
        """
        from gitmodel.registry.named_stores import garbage

        found = self.find_garbage(store, grace_days=grace_days, also=also)
        return garbage.remove_garbage(self.access.open(store), found)

    def purge(self, digest: str, *, reason: str) -> Purged:
        """Erase the bytes of an artifact permanently, and record a tombstone with the reason.

        For a folder, erases its manifest and the files that no other artifact needs. If others can reach a store, its
        bytes are erased only after the tombstone is on the remote: push, and call `purge` again. Raises NotFound,
        Refused, and UsageError without a reason. Raises Unreachable, and records nothing, if a store or the remote
        cannot be reached.
        """
        from gitmodel.registry.named_stores import store_maintenance

        self._opened.require_branch("purge")
        return store_maintenance.purge(self.writer, self.repository, self.access, digest, reason)

    def read_code(self) -> Code:
        """Return the state of the code repository: commit, uncommitted changes, origin. Writes nothing."""
        return self._opened.read_code()

    def record_code(self) -> Code:
        """Return the state of the code repository as a version records it, and keep its commit with a ref.

        The stricter setting for uncommitted changes counts: that of this machine (`GITMODEL_DIRTY`, or `git config
        gitmodel.dirty`) or `[code]` of the registry. With "refuse", any uncommitted change raises Refused. With
        "snapshot", a changed file that looks like credentials and a snapshot that is too large raise Refused.
        """
        return self._opened.record_code()

    def find_code(self) -> CodeRepository | None:
        """Return the code repository that contains *path*, opened on first use; None if there is none."""
        return self._opened.find_code()

    def _around(self, opened: OpenRegistry) -> Client:
        """Return a client of the same class for the registry *opened*."""
        client = copy(self)
        client._opened = opened
        return client


def _model_ref(name: str, renumbered: bool) -> ModelRef:
    return ModelRef(check_name(name, "model"), renumbered)


def _version_ref(reference: str | VersionRef, renumbered: bool = False) -> VersionRef:
    ref = VersionRef.parse(reference) if isinstance(reference, str) else reference
    return replace(ref, renumbered=renumbered) if renumbered else ref
