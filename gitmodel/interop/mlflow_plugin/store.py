"""MLflow's interface of a model registry, implemented with gitmodel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from mlflow.entities import model_registry as mlflow_entities
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchModelUtils, SearchModelVersionUtils, SearchUtils
from mlflow.utils.time import get_current_time_millis

from gitmodel.client import Client
from gitmodel.domain.schema.names import NONE
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import NotFound, UsageError
from gitmodel.interop.mlflow_plugin import arguments, entities, prompts
from gitmodel.interop.mlflow_plugin.addresses import RegistryAddress
from gitmodel.interop.mlflow_plugin.changes import REASON, change_stage, read_stage, remove_tag, set_tags, touch
from gitmodel.interop.mlflow_plugin.failures import raises_mlflow_errors
from gitmodel.interop.mlflow_plugin.new_versions import NewVersion, VersionMaker
from gitmodel.interop.mlflow_plugin.registry import Registry
from gitmodel.interop.mlflow_plugin.server import is_server

_ACTIVE = ("Staging", "Production")
T = TypeVar("T")


class GitmodelStore(AbstractStore):  # type: ignore[misc]
    """A registry of gitmodel for MLflow. Each call that changes something makes one commit.

    *store_uri* is `gitmodel:` and the path or URL of the registry. *tracking_uri* is MLflow's server or store of runs.
    """

    def __init__(self, store_uri: str | None = None, tracking_uri: str | None = None) -> None:
        super().__init__(store_uri, tracking_uri)
        self._tracking_uri = tracking_uri
        self._address = raises_mlflow_errors(RegistryAddress.parse)(store_uri or "")
        self._registry = Registry(self._address)

    @property
    def _client(self) -> Client:
        return self._registry.client

    # Models

    @raises_mlflow_errors
    def create_registered_model(
        self, name: str, tags: Iterable[Any] | None = None, description: str | None = None, *_: Any, **__: Any
    ) -> mlflow_entities.RegisteredModel:
        """Register a model.

        If gitmodel cannot use *name*, the model gets a similar name, and *name* becomes its title.
        """
        arguments.check_name(name)
        given = arguments.read_model_tags(tags)
        prompts.check_prompt(given, allowed=self._address.stores_prompts)
        metadata = {**entities.tag_table(given), entities.FACTS: {"created": get_current_time_millis()}}

        def create(model: str, title: str) -> None:
            self._client.register_model(model, title=title, description=description or "", metadata=metadata)

        self._registry.with_free_name(name, create, for_prompt=prompts.is_prompt(given))
        return self._model(name)

    @raises_mlflow_errors
    def update_registered_model(
        self, name: str, description: str | None, *_: Any, **__: Any
    ) -> mlflow_entities.RegisteredModel:
        """Set the description of a model."""
        model = self._registry.find_model(name)
        with self._client.transaction(f"Describe {model}") as change:
            change.update_model(model, description=description or "")
            touch(change.get_model(model))
        return self._model(name)

    @raises_mlflow_errors
    def rename_registered_model(self, name: str, new_name: str) -> mlflow_entities.RegisteredModel:
        """Rename the model *name* to *new_name*. gitmodel still finds it by its old name, but MLflow does not."""
        arguments.check_new_name(new_name)
        view = self._registry.view_model(name)
        titled = self._registry.name_of(view) != view.name

        def rename(model: str, title: str) -> None:
            changed: dict[str, Any] = {"title": title} if titled or title else {}
            with self._client.transaction(f"Rename {view.name} to {model}") as change:
                touch(change.get_model(view.name))
                change.update_model(view.name, new_name=model, **changed)

        self._registry.with_free_name(new_name, rename)
        return self._model(new_name)

    @raises_mlflow_errors
    def delete_registered_model(self, name: str) -> None:
        """Delete a model and its versions. Raises MlflowException if a rule of a stage protects a version."""
        model = self._registry.find_model(name)
        self._client.delete_model(model, reason=REASON, force=True)

    @raises_mlflow_errors
    def get_registered_model(self, name: str) -> mlflow_entities.RegisteredModel:
        """Return a model with the latest version in each stage."""
        arguments.check_name(name)
        return self._model(name)

    @raises_mlflow_errors
    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """Return a page of the models that match MLflow's filter *filter_string*."""
        arguments.check_size(max_results, 1000)
        versions: dict[str, list[mlflow_entities.ModelVersion]] = {}
        for version in self._registry.versions():
            versions.setdefault(version.name, []).append(version)
        names = ((self._registry.name_of(view), view) for view in self._client.view_models())
        models = [entities.model_entity(name, view, versions.get(name, ())) for name, view in names]
        found = prompts.without_prompts(SearchModelUtils.filter(models, filter_string), filter_string)
        return _page(SearchModelUtils.sort(found, _model_order(order_by)), max_results, page_token)

    @raises_mlflow_errors
    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[mlflow_entities.ModelVersion]:
        """Return the latest version in each of *stages*, by default in every stage."""
        arguments.check_name(name)
        wanted = {entities.shown_stage(read_stage(self._client, stage)) for stage in stages or ()}
        latest: list[mlflow_entities.ModelVersion] = self._model(name).latest_versions
        return [version for version in latest if not wanted or version.current_stage in wanted]

    @raises_mlflow_errors
    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        """Set a tag of a model."""
        arguments.check_name(name)
        view = self._registry.view_model(name)
        tags = arguments.read_model_tags([tag])
        set_tags(self._client.get_model(view.name), tags, view.record.metadata)

    @raises_mlflow_errors
    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model, if the model has it."""
        arguments.check_name(name)
        arguments.check_tag_key(key)
        view = self._registry.view_model(name)
        remove_tag(self._client.get_model(view.name), key, view.record.metadata)

    # Versions

    @raises_mlflow_errors
    def create_model_version(
        self,
        name: str,
        source: str | None,
        run_id: str | None = None,
        tags: Iterable[Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
        **_: Any,
    ) -> mlflow_entities.ModelVersion:
        """Create a version of the model *name* with a copy of the files at *source*.

        *local_model_path* is a copy of these files on this machine, which is used if it exists.
        """
        arguments.check_name(name)
        given = arguments.read_version_tags(tags)
        prompts.check_prompt(given, allowed=self._address.stores_prompts)
        model = self._registry.find_model(name)
        new = NewVersion(source, run_id, model_id, run_link, description, given, local_model_path)
        links_only = self._address.links_only or prompts.is_prompt(given)
        maker = VersionMaker(self._client, self._version, self._tracking_uri, links_only=links_only)
        return self._registry.created_entity(name, maker.create(model, new))

    @raises_mlflow_errors
    def update_model_version(
        self, name: str, version: Any, description: str | None = None
    ) -> mlflow_entities.ModelVersion:
        """Set the description of a version."""
        view = self._version(name, version)
        with self._client.transaction(f"Describe {view}") as change:
            handle = change.get_version(str(view))
            handle.update(description=description or "")
            touch(handle)
        return self._entity(name, version)

    @raises_mlflow_errors
    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> mlflow_entities.ModelVersion:
        """Put a version into *stage*. If this is an exclusive stage, archive the version that was there.

        This does not depend on *archive_existing_versions*. Raises MlflowException if a gate or another rule of the
        stage refuses the version, or if *archive_existing_versions* is True and *stage* is neither Staging nor
        Production.
        """
        wanted = read_stage(self._client, stage)
        if archive_existing_versions and entities.shown_stage(wanted) not in _ACTIVE:
            raise MlflowException(
                "Model version transition cannot archive existing model versions because "
                f"'{stage}' is not an Active stage. Valid stages are {list(_ACTIVE)}"
            )
        view = self._version(name, version)
        if (view.stage or NONE) != wanted:
            self._change_stage(view, wanted)
        return self._entity(name, version)

    @raises_mlflow_errors
    def delete_model_version(self, name: str, version: Any) -> None:
        """Delete a version. Raises MlflowException if a rule of its stage protects it."""
        view = self._version(name, version)
        with self._client.transaction(f"Delete {view}") as change:
            change.get_version(str(view)).delete(reason=REASON, force=True)
            touch(change.get_model(view.model))

    @raises_mlflow_errors
    def get_model_version(self, name: str, version: Any) -> mlflow_entities.ModelVersion:
        """Return a version by its number."""
        return _copied(self._find(self._registry.find_version, name, version))

    @raises_mlflow_errors
    def get_model_version_download_uri(self, name: str, version: Any) -> str | None:
        """Return the URI of the files of a version: that of its artifact in gitmodel, or else its source in MLflow."""
        view = self._version(name, version)
        facts = entities.facts_of(view.record.metadata)
        logged = facts.get("location") or facts.get("source")
        models = [link.name for link in view.record.artifacts if link.kind == "model"]
        if not models or (logged and is_server() and not self._client.repository.url):
            return logged  # users of a server cannot read a registry at a path on its machine
        artifact = entities.ARTIFACT if entities.ARTIFACT in models else models[0]
        return self._registry.artifact_uri(str(view), artifact)

    @raises_mlflow_errors
    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList:
        """Return a page of the versions that match MLflow's filter *filter_string*."""
        arguments.check_size(max_results, 200_000)
        found = prompts.without_prompts(self._matching(filter_string), filter_string)
        if order_by:
            found = SearchModelVersionUtils.sort(found, list(order_by))
        return _page(found, max_results, page_token)

    @raises_mlflow_errors
    def set_model_version_tag(self, name: str, version: Any, tag: Any) -> None:
        """Set a tag of a version."""
        tags = arguments.read_version_tags([tag])
        view = self._version(name, version)
        set_tags(self._client.get_version(str(view)), tags, view.record.metadata)

    @raises_mlflow_errors
    def delete_model_version_tag(self, name: str, version: Any, key: str) -> None:
        """Remove a tag of a version, if the version has it."""
        arguments.check_tag_key(key)
        view = self._version(name, version)
        remove_tag(self._client.get_version(str(view)), key, view.record.metadata)

    # Aliases. To MLflow, a stage is also an alias of the version in this stage.

    @raises_mlflow_errors
    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> None:
        """Move *alias* to a version. If *alias* is a stage, put the version there, if the stage's rules allow it."""
        arguments.check_new_alias(alias)
        view = self._version(name, version)
        if alias in self._client.stage_names:
            self._change_stage(view, alias)
        else:
            self._client.set_alias(str(view), alias, reason=REASON)

    @raises_mlflow_errors
    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove *alias*, if the model has it. If *alias* is a stage, remove the version from this stage."""
        arguments.check_alias(alias)
        arguments.check_name(name)
        model = self._registry.find_model(name)
        remove = self._client.demote if alias in self._client.stage_names else self._client.remove_alias
        try:
            remove(model, alias, reason=REASON)
        except NotFound:
            return

    @raises_mlflow_errors
    def get_model_version_by_alias(self, name: str, alias: str) -> mlflow_entities.ModelVersion:
        """Return the version that has *alias* or is in the stage *alias*; the latest version if *alias* is "latest"."""
        arguments.check_name(name)
        arguments.check_alias(alias)
        is_latest = alias.lower() == "latest"
        found = self._registry.find_version(name, "latest" if is_latest else alias)
        if found is None and is_latest:
            raise NotFound(f"Latest version not found for model {name}.")
        if found is None or not (is_latest or alias in found.aliases):
            raise UsageError(f"Registered model alias {alias} not found.")
        return _copied(found)

    # Webhooks. MLflow's server lists them after each change, so listing must work.

    def list_webhooks(self, *_: Any, **__: Any) -> PagedList:
        """Return an empty page: gitmodel has no webhooks of MLflow."""
        return PagedList([], None)

    def list_webhooks_by_event(self, *_: Any, **__: Any) -> PagedList:
        """Return an empty page: gitmodel has no webhooks of MLflow."""
        return PagedList([], None)

    @raises_mlflow_errors
    def create_webhook(self, *_: Any, **__: Any) -> Any:
        """Raise MlflowException: gitmodel has no webhooks of MLflow."""
        raise UsageError(
            "gitmodel has no webhooks of MLflow",
            hint="use the webhooks of your git host, or the notice that `git model apply` posts",
        )

    def _model(self, name: str) -> mlflow_entities.RegisteredModel:
        view = self._registry.view_model(name)
        return entities.model_entity(self._registry.name_of(view), view, self._registry.versions(view.name))

    def _version(self, name: str, version: Any) -> VersionView:
        return self._find(self._registry.view_version, name, version)

    def _find(self, find: Callable[[str, str], T | None], name: str, version: Any) -> T:
        """Return the result of *find* for the model *name* and the number *version*. Raises NotFound if it is None."""
        arguments.check_name(name)
        number = arguments.read_number(version)
        with suppress(NotFound):
            found = find(name, str(number))
            if found is not None:
                return found
        raise NotFound(f"Model Version (name={name}, version={version}) not found")

    def _entity(self, name: str, version: Any) -> mlflow_entities.ModelVersion:
        return self._registry.entity(self._version(name, version))

    def _change_stage(self, view: VersionView, stage: str) -> None:
        change_stage(self._client, view, stage, opens_proposals=self._address.opens_proposals)

    def _matching(self, filter_string: str | None) -> list[mlflow_entities.ModelVersion]:
        """Return the versions that match MLflow's filter *filter_string*.

        If the filter names a model, only the versions of this model are read.
        """
        names, others = [], 0
        for clause in SearchModelVersionUtils.parse_search_filter(filter_string):
            is_name = clause["key"] == "name" and clause["type"] == "attribute" and clause["comparator"] == "="
            names += [clause["value"]] if is_name else []
            others += not is_name
        try:
            model = self._registry.find_model(names[0]) if names else None
        except NotFound:
            return []
        found = self._registry.versions(model)
        return SearchModelVersionUtils.filter(found, filter_string) if others or len(names) > 1 else found


def _copied(entity: T) -> T:
    """Return a copy that the caller may change, because the entities of a registry are cached."""
    made = entity.__class__.__new__(entity.__class__)
    for name, value in entity.__dict__.items():
        made.__dict__[name] = value.copy() if type(value) in (dict, list) else value
    return made


def _page(found: list[Any], size: int, token: str | None) -> PagedList:
    """Return a page with *size* of the results *found* and the token of the next page. *token* is that of this page."""
    start = SearchUtils.parse_start_offset_from_page_token(token)
    end = start + size
    return PagedList(
        [_copied(one) for one in found[start:end]], SearchUtils.create_page_token(end) if end < len(found) else None
    )


def _model_order(order_by: list[str] | None) -> list[str]:
    """Return the clauses of *order_by*, an order of models, with the names of fields that MLflow's sorting uses."""
    clauses = list(order_by or ())
    fields = [SearchUtils.parse_order_by_for_search_registered_models(clause)[0] for clause in clauses]
    keys = ["name" if field == "name" else "time" for field in fields]
    if len(keys) != len(set(keys)):
        raise MlflowException(f"`order_by` contains duplicate fields: {order_by}")
    return [
        clause.replace("timestamp", "last_updated_timestamp", 1) if field == "timestamp" else clause
        for clause, field in zip(clauses, fields, strict=True)
    ]
