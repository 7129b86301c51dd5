"""The registry behind MLflow's store: its client, models by their names in MLflow, and caches of versions in memory."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar

from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.search_utils import SearchModelVersionUtils

from gitmodel.client import Client
from gitmodel.client import ModelVersion as ModelVersionHandle
from gitmodel.domain.views.authorship import Authorship
from gitmodel.domain.views.record_views import ModelView, VersionView
from gitmodel.errors import Conflict, GitModelError, NotFound, UsageError
from gitmodel.interop.foreign_names import candidate_names, is_plain, original_name
from gitmodel.interop.mlflow_plugin.addresses import ArtifactAddress, RegistryAddress
from gitmodel.interop.mlflow_plugin.entities import read_tags, version_entity
from gitmodel.interop.mlflow_plugin.prompts import is_prompt, name_taken

T = TypeVar("T")
# The most names that gitmodel tries for a model whose name was used before.
_MOST_NAMES = 100
# The most single versions that are cached in memory.
_MOST_KEPT = 1000
# The order in which MLflow lists versions if the caller gives no order.
NEWEST_FIRST = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")


class Lists:
    """Cached lists of one state of the registry, which *fingerprint* identifies. They are empty until they are read.

    *names* maps MLflow's names of all models to those in gitmodel. *versions* maps the name of a model (None: all
    models) to the entities of its versions, in MLflow's default order.
    """

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.names: dict[str, str] | None = None
        self.versions: dict[str | None, list[ModelVersion]] = {}


class KeptVersion(NamedTuple):
    """A cached version that was read at the commit *tip*.

    *places* has the version in each stage and alias of the model at that time. If the tip and *places* are still the
    same, the cached version is current, because every change of a version changes the branch or a stage tag.
    """

    tip: str | None
    model: str
    places: tuple[tuple[str, int | None], ...]
    entity: ModelVersion


class Registry:
    """A registry as MLflow sees it. The threads of a process and its forked processes may share this object."""

    def __init__(self, address: RegistryAddress) -> None:
        self._address = address
        self._client: tuple[int, Client] | None = None
        self._lists = Lists("")
        self._authorships: tuple[str | None, Mapping[str, Authorship]] = (None, {})
        self._kept: dict[tuple[str, str], KeptVersion] = {}

    @property
    def client(self) -> Client:
        """The client of this process, which all its threads share. A forked process opens a client of its own."""
        process = os.getpid()
        if self._client is None or self._client[0] != process:
            client = Client(repo=self._address.registry)
            weakref.finalize(self, client.close)  # MLflow does not close stores
            self._client = (process, client)
        return self._client[1]

    def artifact_uri(self, reference: str, artifact: str) -> str:
        """Return the URI by which MLflow reads *artifact* (its name) of the version *reference*, such as `iris@3`."""
        return str(ArtifactAddress(self._address.registry, reference, artifact))

    def find_model(self, name: str) -> str:
        """Return the name in gitmodel of the model that is called *name* in MLflow.

        Raises NotFound if there is no such model.
        """
        if is_plain(name):
            with suppress(NotFound):
                if self.client.get_model(name).name == name:
                    return name
        found = self._mapped_names().get(name)
        if found is None:
            raise NotFound(f"Registered Model with name={name} not found")
        return found

    def view_model(self, name: str) -> ModelView:
        """Return a view of the model that is called *name* in MLflow. Raises NotFound if there is none."""
        return self.client.view_model(self.find_model(name))

    def view_version(self, name: str, selector: str) -> VersionView | None:
        """Return a view of a version of the model that is called *name* in MLflow; None if there is no such version.

        *selector* is a number, a stage or an alias. Raises NotFound if there is no such model.
        """
        if is_plain(name):
            with suppress(NotFound, UsageError):
                view = self.client.view_version(f"{name}@{selector}")
                if view.model == name:
                    return view
        model = self.find_model(name)
        with suppress(NotFound, UsageError):
            return self.client.view_version(f"{model}@{selector}")
        return None

    def find_version(self, name: str, selector: str) -> ModelVersion | None:
        """Return MLflow's entity of the version that `view_version` would return, or None.

        The entity is cached, so the caller must not change it.
        """
        kept = self._kept.get((name, selector))
        if kept is not None and self._is_current(kept):
            return kept.entity
        tip, places = self.client.repository.tip(), self._places(name)
        view = self.view_version(name, selector)
        if view is None:
            return None
        entity = self.entity(view)
        read = KeptVersion(tip, view.model, places, entity)
        if not self.client.repository.url and self._is_current(read):
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[name, selector] = read
        return entity

    def with_free_name(self, name: str, create: Callable[[str, str], T], *, for_prompt: bool = False) -> T:
        """Call *create* with a free name and a title for a new model that MLflow calls *name*, and return its result.

        If *create* raises Conflict, because a model has or had the name, it is called with the next name. Raises
        Conflict if a model already has *name* in MLflow. *for_prompt* is True if the new model is a prompt.
        """
        for candidate, _ in zip(candidate_names(name), range(_MOST_NAMES), strict=False):
            try:
                return create(candidate, "" if candidate == name else name)
            except Conflict:
                self._refuse_existing(name, for_prompt=for_prompt)
        raise Conflict(f"Registered Model (name={name}) already exists: its name was used {_MOST_NAMES} times.")

    def entity(self, view: VersionView) -> ModelVersion:
        """Return MLflow's entity of the version *view*."""
        return self._entity(view, self._read_authorships())

    def created_entity(self, name: str, version: ModelVersionHandle) -> ModelVersion:
        """Return MLflow's entity of the new *version* of the model that is called *name* in MLflow.

        Reads only the record of the version, because a new version has no stage and no alias, and its author is the
        current user.
        """
        found = self.client.resolve(version.reference)
        author, _, email = self.client.repository.identity.now()[0].rsplit(" ", 2)[0].rstrip(">").rpartition(" <")
        made = Authorship(author, email, found.record.created, author)
        return version_entity(name, VersionView(found.model, found.record, None, (), ()), made)

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """Return MLflow's entities of all versions of *model* (None: of all models), in MLflow's default order.

        The list is cached until the registry changes, so the caller must not change the list or its entities.
        """
        lists = self._current_lists()
        found = lists.versions.get(model)
        if found is None:
            authorships = self._read_authorships()
            entities = [self._entity(view, authorships) for view in self.client.find_versions(model)]
            found = lists.versions[model] = SearchModelVersionUtils.sort(entities, list(NEWEST_FIRST))
        return found

    def name_of(self, view: ModelView) -> str:
        """Return the name that the model *view* has in MLflow."""
        return original_name(view.name, view.record.title)

    def _refuse_existing(self, name: str, *, for_prompt: bool) -> None:
        """Raise Conflict if a model is already called *name* in MLflow.

        *for_prompt* is True if the new model is a prompt, which changes the message.
        """
        try:
            there = self.view_model(name)
        except NotFound:
            return
        raise name_taken(name, by_prompt=is_prompt(read_tags(there.record.metadata)), for_prompt=for_prompt)

    def _entity(self, view: VersionView, authorships: Mapping[str, Authorship]) -> ModelVersion:
        name = view.model if is_plain(view.model) else self.name_of(self.client.view_model(view.model))
        return version_entity(name, view, authorships.get(str(view)))

    def _read_authorships(self) -> Mapping[str, Authorship]:
        """Return the authorship of all versions by reference. It is cached until the branch changes."""
        tip, (known, found) = self.client.repository.tip(), self._authorships
        if tip != known:
            found = self.client.authorships()
            self._authorships = (tip, found)
        return found

    def _places(self, name: str) -> tuple[tuple[str, int | None], ...]:
        """Return the stages and aliases of the model that is called *name* in MLflow.

        Each comes with the number of its version in force, or None.
        """
        return tuple((state.name, state.in_force) for state in self.view_model(name).stages)

    def _is_current(self, kept: KeptVersion) -> bool:
        """Return True if the tip and the versions in the stages and aliases are the same as when *kept* was read."""
        if self.client.repository.tip() != kept.tip:
            return False
        try:
            return all(self.client.resolve(f"{kept.model}@{place}").record.number == at for place, at in kept.places)
        except GitModelError:  # for example if a stage is now empty
            return False

    def _mapped_names(self) -> dict[str, str]:
        """Return the names of all models in gitmodel by their names in MLflow."""
        lists = self._current_lists()
        if lists.names is None:
            lists.names = {self.name_of(view): view.name for view in self.client.view_models()}
        return lists.names

    def _current_lists(self) -> Lists:
        """Return the cached lists for the current state of the registry. If it has changed, they are empty."""
        lists, fingerprint = self._lists, self.client.fingerprint()
        if lists.fingerprint != fingerprint:
            lists = self._lists = Lists(fingerprint)
        return lists
