"""Creating a version for MLflow in one commit: its files, its tags, and facts about the run that logged the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.utils.time import get_current_time_millis

from gitmodel.client import Client, ModelVersion
from gitmodel.domain.schema.records import Code
from gitmodel.domain.views.record_views import VersionView
from gitmodel.errors import NotFound
from gitmodel.interop.mlflow_plugin import entities
from gitmodel.interop.mlflow_plugin.runs import RunFacts, read_run
from gitmodel.interop.mlflow_plugin.server import is_server
from gitmodel.interop.mlflow_plugin.sources import fetched_files, logged_model


@dataclass(frozen=True)
class NewVersion:
    """MLflow's arguments for a new version. *local* is the path of a copy of its files on this machine, or None."""

    source: str | None
    run_id: str | None
    model_id: str | None
    run_link: str | None
    description: str | None
    tags: Mapping[str, str]
    local: str | None


class VersionMaker:
    """Creates versions in the registry of *client*.

    *find* returns a version, by MLflow's name of its model and the number. If *links_only* is True, a version records
    the location of its files, and the files are not copied.
    """

    def __init__(
        self,
        client: Client,
        find: Callable[[str, Any], VersionView],
        tracking_uri: str | None,
        *,
        links_only: bool,
    ) -> None:
        self._client = client
        self._find = find
        self._tracking_uri = tracking_uri
        self._links_only = links_only

    def create(self, model: str, new: NewVersion) -> ModelVersion:
        """Create a version of *model* for the arguments *new*.

        If `new.source` is a version of this registry, the new version is a copy of it. Raises MlflowException if there
        is no such version, UsageError if the files cannot be read.
        """
        copied = self._copied(new.source)
        if copied is not None:
            return self._copy(model, new, copied)
        location, run_id = self._origin(new)
        run = read_run(run_id, self._tracking_uri) if run_id else RunFacts()
        code = run.commit or (Code(outside=True) if is_server() else None)
        elsewhere = location if self._links_only else None
        values = {**run.metadata(), **entities.tag_table(new.tags), **_facts(new, run_id, elsewhere)}
        handle = self._client.get_model(model)
        if self._links_only:
            return handle.create_version(description=new.description or "", metadata=values, code=code)
        with fetched_files(location, new.local, self._tracking_uri) as path:
            files = {entities.ARTIFACT: path} if path else None
            return handle.create_version(
                description=new.description or "", metadata=values, code=code, model_objects=files
            )

    def _copy(self, model: str, new: NewVersion, copied: VersionView) -> ModelVersion:
        """Create a version of *model* with the artifacts, metadata and code of the version *copied*.

        Copies no bytes.
        """
        kept = {key: value for key, value in copied.record.metadata.items() if key not in entities.TABLES}
        known = entities.read_tags(kept)
        tags = {key: text for key, text in new.tags.items() if known.get(key) != text}
        facts = entities.facts_of(copied.record.metadata)
        elsewhere = None if copied.record.artifacts else facts.get("location") or facts.get("source")
        values = {**kept, **entities.tag_table(tags), **_facts(new, new.run_id, elsewhere)}
        code = copied.record.code or Code(outside=True)
        with self._client.transaction(f"Copy {copied} to {model}") as change:
            made = change.get_model(model).create_version(description=new.description or "", metadata=values, code=code)
            for link in copied.record.artifacts:
                if link.uri:
                    made.link_external(link.name, link.uri, kind=link.kind, format=link.format)
                    continue
                made.link_artifact(
                    link.name, digest=link.digest, kind=link.kind, format=link.format, file=link.file or ""
                )
        return made

    def _copied(self, source: str | None) -> VersionView | None:
        """Return the version of this registry that the URI *source*, such as `models:/iris/3`, names, or None."""
        if not source or urlparse(source).scheme != "models":
            return None
        try:
            parsed = _parse_model_uri(source)
            return None if parsed.name is None else self._find(parsed.name, parsed.version)
        except (MlflowException, NotFound) as error:
            raise _no_source(source, error) from error

    def _origin(self, new: NewVersion) -> tuple[str | None, str | None]:
        """Return the location of the files of *new*, and the id of the run that logged them.

        Raises MlflowException if MLflow does not have the logged model that *new* names.
        """
        location, run_id = new.source, new.run_id
        if location and urlparse(location).scheme == "models":
            try:
                logged = logged_model(_parse_model_uri(location).model_id, self._tracking_uri)
            except MlflowException as error:
                raise _no_source(location, error) from error
            location, run_id = logged.artifact_location, run_id or logged.source_run_id
        if not run_id and new.model_id:
            run_id = logged_model(new.model_id, self._tracking_uri).source_run_id
        return location, run_id


def _facts(new: NewVersion, run_id: str | None, location: str | None) -> dict[str, Any]:
    """Return MLflow's facts about *new* as metadata.

    *location* is that of files that gitmodel does not store, or None.
    """
    facts = {"source": new.source, "run_id": run_id, "run_link": new.run_link, "model_id": new.model_id}
    if location != new.source:
        facts["location"] = location
    given = {key: value for key, value in facts.items() if value}
    if new.description == "":  # to MLflow's server, "" and None are different
        given["description"] = ""
    return {entities.FACTS: {"created": get_current_time_millis(), **given}}


def _no_source(source: str, error: Exception) -> MlflowException:
    return MlflowException(f"Unable to fetch model from model URI source artifact location '{source}'. Error: {error}")
