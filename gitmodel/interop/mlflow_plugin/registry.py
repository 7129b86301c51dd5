"""The registry that a store works on: its client in each process, models by their names in MLflow, lists in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from gitmodel.client import Client
from gitmodel.domain.views.record_views import ModelView, VersionView
from gitmodel.errors import Conflict, NotFound, UsageError
from gitmodel.interop.foreign_names import candidate_names, is_plain, original_name
from gitmodel.interop.mlflow_plugin.addresses import ArtifactAddress, RegistryAddress
from gitmodel.interop.mlflow_plugin.entities import read_tags, version_entity
from gitmodel.interop.mlflow_plugin.failures import missing, taken
from gitmodel.interop.mlflow_plugin.prompts import is_prompt, name_taken

T = TypeVar("T")
# The number of names that are tried for a model whose name was used before.
_MOST_NAMES = 100


class Registry:
    """A registry for all threads of a process, and for its forked processes."""

    def __init__(self, address: RegistryAddress) -> None:
        self._address = address
        self._client: tuple[int, Client] | None = None
        # What was read at a state of the registry: its fingerprint, names of models by their names in MLflow, and the
        # versions of a model or of all models.
        self._names: tuple[str, dict[str, str]] = ("", {})
        self._versions: tuple[str, dict[str | None, list[ModelVersion]]] = ("", {})

    @property
    def client(self) -> Client:
        """The client of this process, which its threads share. A forked process opens another client."""
        process = os.getpid()
        if self._client is None or self._client[0] != process:
            self._client = (process, Client(repo=self._address.registry or None))
        return self._client[1]

    def artifact_uri(self, reference: str, artifact: str) -> str:
        """Return the URI by which MLflow reads an artifact of a version."""
        repository = self.client.repository
        place = self._address.registry or repository.url or str(repository.common_dir)
        return str(ArtifactAddress(place, reference, artifact))

    def view_model(self, name: str) -> ModelView:
        """Return the model that is called *name* in MLflow. Raises MlflowException if there is none."""
        if is_plain(name):
            with suppress(NotFound):
                view = self.client.view_model(name)
                if view.name == name:
                    return view
        found = self._mapped_names().get(name)
        if found is None:
            raise missing(f"Registered Model with name={name} not found")
        return self.client.view_model(found)

    def view_version(self, name: str, selector: str) -> VersionView | None:
        """Return a version of the model that is called *name* in MLflow, by number, stage or alias; None without one.

        Raises MlflowException if there is no such model.
        """
        if is_plain(name):
            with suppress(NotFound, UsageError):
                view = self.client.view_version(f"{name}@{selector}")
                if view.model == name:
                    return view
        model = self.view_model(name).name
        with suppress(NotFound, UsageError):
            return self.client.view_version(f"{model}@{selector}")
        return None

    def with_free_name(self, name: str, create: Callable[[str, str], T], *, for_prompt: bool = False) -> T:
        """Call *create* with a free name and the title for a model that is to be called *name* in MLflow.

        A name that gitmodel has used before is never free. Raises MlflowException if MLflow has a model *name*.
        """
        # A plain name is not free if a model has it, or had it before.
        for candidate, _ in zip(candidate_names(name), range(_MOST_NAMES), strict=False):
            try:
                return create(candidate, "" if candidate == name else name)
            except Conflict:
                self._refuse_existing(name, for_prompt=for_prompt)
        raise taken(f"Registered Model (name={name}) already exists: its name was used {_MOST_NAMES} times.")

    def entity(self, view: VersionView) -> ModelVersion:
        """Return the version that *view* shows as an entity of MLflow."""
        return version_entity(self._name_of(view.model), view, None, None)

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """Return all versions of *model*, or of all models. The list is kept until the registry changes."""
        state = self.client.fingerprint()
        known, lists = self._versions
        if known != state:
            lists = {}
            self._versions = (state, lists)
        found = lists.get(model)
        if found is None:
            table = self.client.find_versions(model)
            found = lists[model] = [self.entity(view) for view in table]
        return found

    def name_of(self, view: ModelView) -> str:
        """Return the name in MLflow of the model that *view* shows."""
        return original_name(view.name, view.record.title)

    def _refuse_existing(self, name: str, *, for_prompt: bool) -> None:
        """Raise MlflowException if MLflow has a model *name*."""
        try:
            there = self.view_model(name)
        except MlflowException:
            return
        by_prompt = is_prompt(read_tags(there.record.metadata))
        raise name_taken(name, by_prompt=by_prompt, for_prompt=for_prompt)

    def _name_of(self, model: str) -> str:
        return model if is_plain(model) else self.name_of(self.client.view_model(model))

    def _mapped_names(self) -> dict[str, str]:
        """Return the names of all models by their names in MLflow. They are kept until the registry changes."""
        state = self.client.fingerprint()
        if self._names[0] != state:
            self._names = (state, {self.name_of(view): view.name for view in self.client.view_models()})
        return self._names[1]
