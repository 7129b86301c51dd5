"""The values and artifacts that a script has logged in its run so far. Each is checked when it is logged."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.branch.runs.run_journal import RunJournal
from gitmodel.client import storing
from gitmodel.client.handles.models_and_versions import ModelVersion
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.versions import check_artifacts
from gitmodel.domain.schema.names import ARCHIVED, NONE, check_name, fault_in
from gitmodel.domain.schema.record_values import NO_DIGEST
from gitmodel.domain.schema.records import ArtifactLink, Code
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.secrets.credentials import refuse_credentials
from gitmodel.domain.secrets.secret_values import AS_SECRET, HIDDEN, RunSecrets, Secret
from gitmodel.errors import GitModelError, Refused, UsageError
from gitmodel.formats.kept_values import KeptValue, keep_value, told_kept
from gitmodel.frozen import Frozen
from gitmodel.registry.linked_artifacts.new_artifacts import LocalArtifact
from gitmodel.registry.records.versions import Draft
from gitmodel.stores.artifacts.verifying import verified_path
from gitmodel.stores.sources.source_credentials import holds_secret, refuse_secrets

log = logging.getLogger("gitmodel.runs")

# The maximum length in characters of all parameters, and of all metadata: the record of a run has at most 64 KiB.
_LONGEST_VALUES = 16_000


class RunStart(Frozen):
    """The values of a run that are known when it starts. *process* is the id of the process that started it.

    *packages* is the digest of the list of installed packages. *clock* is the time of the start by a monotonic clock.
    """

    name: str
    id: str
    started: datetime
    code: Code
    packages: str
    script: str | None
    module: str | None
    process: int = field(default_factory=os.getpid)
    clock: float = field(default_factory=time.perf_counter)


@dataclass
class NewVersion:
    """The version that a run creates at its end. *draft* has its name, description, tags and metadata.

    *register* is the description of *model* if the same commit must register it, else None. *changes* are the changes
    of stages and aliases to make: pairs of a description and a function. *made* is None until the run has created the
    version.
    """

    model: ModelRef
    draft: Draft
    register: dict[str, Any] | None
    changes: list[tuple[str, Callable[[ModelVersion], object]]] = field(default_factory=list)
    made: ModelVersion | None = None

    @property
    def model_name(self) -> str:
        """The current name of the version's model."""
        return self.made.model.name if self.made is not None else self.model.model


@dataclass
class RunRecording:
    """The values, artifacts and status of a run of a script, from its start to its end."""

    opened: OpenRegistry
    start: RunStart
    secrets: RunSecrets
    journal: RunJournal
    status: str = "running"
    parameters: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    links: dict[str, ArtifactLink] = field(default_factory=dict)
    version: NewVersion | None = None
    incomplete: bool = False  # True if a SystemExit was raised while values were stored
    _kept_files: Counter[str] = field(default_factory=Counter)  # the number of values that were kept, by file name

    @property
    def shown_parameters(self) -> dict[str, Any]:
        """The logged parameters. Values of secrets are replaced by "(secret)"."""
        return self.secrets.values().hide_parameters(self.parameters)

    def log_parameters(self, given: Mapping[str, Any]) -> None:
        """Log *given*. Raises UsageError if the parameters cannot be recorded, Refused if one may be a credential."""
        self.refuse_ended()
        secret = {name: value for name, value in given.items() if isinstance(value, Secret)}
        open_values = {name: value for name, value in given.items() if name not in secret}
        read = read_values(open_values, f"a parameter of run {self.start.name}")
        secrets = RunSecrets([*self.secrets.secrets, *secret.values()], [*self.secrets.given, *read.values()])
        refuse_credentials(secrets.values().hide_parameters(read), f"run {self.start.name}", AS_SECRET)
        whole = {**self.parameters, **read, **dict.fromkeys(secret, HIDDEN)}
        self._check_length(whole, "parameters")
        self.secrets.secrets += secret.values()
        self.secrets.given += read.values()
        self.parameters = whole

    def log_metadata(self, given: Mapping[str, Any]) -> None:
        """Log *given*. Raises UsageError if the metadata cannot be recorded, Refused if a value may be a credential."""
        self.refuse_ended()
        whole = {**self.metadata, **self.read_metadata(given)}
        self._check_length(whole, "metadata")
        self.metadata = whole

    def refuse_ended(self) -> None:
        """Raise UsageError if the run has ended, or if this process is a fork of the process that started the run."""
        if self.status != "running":
            raise UsageError(
                f"run {self.start.id} has ended; nothing was recorded", hint="record it inside the `with` block"
            )
        if os.getpid() != self.start.process:
            raise UsageError(
                f"run {self.start.id} belongs to another process; nothing was recorded",
                hint="return the value to the process that called start_run()",
            )

    def check_stage(self, stage: str) -> None:
        """Raise UsageError if *stage* is not a stage of the registry."""
        stages = (*self.opened.writer.read(lambda snapshot: snapshot.registry().stage_names), ARCHIVED, NONE)
        if stage not in stages:
            raise UsageError(f"there is no stage {stage!a} to set", hint=f"the stages are {', '.join(stages)}")

    def check_text(self, what: str, text: str) -> None:
        """Raise Refused if *text*, which messages call *what*, contains a secret or looks like a credential."""
        self._refuse_secrets({what: text}, f"run {self.start.name}")

    def read_metadata(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return *values* with the types that a record can have.

        Raises UsageError if a value cannot be recorded, Refused for a value that looks like a credential.
        """
        read = read_values(values)
        self._refuse_secrets(read, f"the metadata of run {self.start.name}")
        return read

    def change_link(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Add *metadata* to the artifact *name* of the run. Raises UsageError if the run has no such artifact."""
        if name not in self.links:
            there = ", ".join(self.links) or "none"
            raise UsageError(f"run {self.start.name} has no artifact {name!a}", hint=f"its artifacts: {there}")
        link = self.links[name]
        self.links[name] = replace(link, metadata={**link.metadata, **metadata})

    def link(self, given: storing.GivenArtifacts) -> None:
        """Store the artifacts *given* and link them to the run. If that fails, `keeping_values` saves their objects."""
        with self.keeping_values(given.sources):
            self.store(given)

    def store(self, given: storing.GivenArtifacts, *, model: str = "") -> None:
        """Store the artifacts *given* in the store of *model* ("": the model of the version), and link them to the run.

        If one of the artifacts cannot be linked, raises an error and stores none.
        """
        self.refuse_ended()
        for name, _, kind in given.sources:
            planned = ArtifactLink(name=check_name(name, "artifact"), kind=kind, digest=NO_DIGEST, size=0)
            check_artifacts([*self.links.values(), planned], f"run {self.start.name}")
        storing.check_formats(given)
        given = given._replace(metadata=self.read_metadata(given.metadata or {}))
        model = model or (self.version.model_name if self.version is not None else "")
        secrets = self.secrets.values()

        def check(each: LocalArtifact, value: Any, root: Path | None) -> None:
            refuse_secrets(f"the artifact {each.name}", value, each.path, secrets, follow_links=root)

        found = storing.store_given(self.opened, model, given, check)
        self.journal.note_stored([(link.digest, link.format) for link in found])
        self.links.update({link.name: replace(link, pipeline=self.start.name) for link in found})

    @contextmanager
    def keeping_values(self, given: Iterable[storing.Given]) -> Iterator[None]:
        """If the block raises an error, save the objects in *given* in files on this machine, which the error names."""
        try:
            yield
        except BaseException as error:
            self.incomplete |= isinstance(error, SystemExit)
            secrets, kept = self.secrets.values(), []
            for index, (name, value, _) in enumerate(given):
                if storing.is_path(value) or secrets.holds(value):
                    continue
                file = f"value-{index}" if fault_in(str(name)) else name
                self._kept_files[file] += 1
                if self._kept_files[file] > 1:  # an earlier value was saved under this name
                    file = f"{file}-{self._kept_files[file]}"
                holds = partial(holds_secret, secrets)
                kept.append(keep_value(file, value, self.journal.kept_values, holds_secret=holds))
            files = [found for found in kept if found is not None]
            told, hint = told_kept(files)
            if files and isinstance(error, GitModelError):
                error.message += told
                error.args = (error.message,)
                error.hint = "; ".join(filter(None, (error.hint, hint)))
            elif files and isinstance(error, KeyboardInterrupt):
                error.args = (f"interrupted while values were stored{told}; {hint}",)
            for found in files:
                log.warning("%s was not stored, and is kept in %s", found.name, found.path)
            raise

    def stored_files(self) -> list[KeptValue]:
        """Return the artifacts of the run that are in a store on this machine, each with the path of its file."""
        store, found = self.opened.access.everywhere(), []
        for name, link in self.links.items():
            with suppress(GitModelError):
                path = None if link.is_folder else verified_path(store, link.digest, link.size)
                found += [KeptValue(name, path, link.format)] if path is not None else []
        return found

    def _refuse_secrets(self, values: Mapping[str, Any], of: str) -> None:
        hint = "leave it out: the history is permanent"
        refuse_credentials(values, of, hint)
        if self.secrets.values().holds(values):
            raise Refused("the metadata, description or reason holds the value of a Secret", hint=hint)

    def _check_length(self, values: Mapping[str, Any], what: str) -> None:
        if len(repr(values)) > _LONGEST_VALUES:
            raise UsageError(
                f"the {what} of run {self.start.name} are too long to be recorded",
                hint="store long values as an artifact: run.link_artifact(NAME, VALUE)",
            )
