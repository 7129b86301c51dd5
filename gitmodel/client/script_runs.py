"""A run of a script without steps: its parameters, metadata, artifacts and version become one commit at its end."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, field, replace
from datetime import datetime
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any, ClassVar, Literal

from gitmodel.branch.pushed_ref_moves import check_push
from gitmodel.branch.run_journal import Journal, RunJournal
from gitmodel.client import storing
from gitmodel.client.by_url import in_ci
from gitmodel.client.handles import Artifact, Attached, Model, ModelVersion, NamedProgress
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.open_registry import OpenRegistry
from gitmodel.client.result_line import print_result
from gitmodel.domain.arguments.checking import ArtifactSource, ArtifactSources, checked_arguments
from gitmodel.domain.arguments.other_names import refuse_other_keywords, shows_our_form
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.runs import plan_run
from gitmodel.domain.changes.versions import check_artifacts
from gitmodel.domain.schema.names import check_alias, check_name, fault_in, with_article
from gitmodel.domain.schema.records import NO_DIGEST, ArtifactLink, Code, RunRecord, RunRules, StepRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.secrets.credentials import refuse_credentials
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import AS_SECRET, HIDDEN, RunSecrets, Secret, collecting_secrets
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, UsageError
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.formats.kept_values import KeptValue, keep_value, told_kept
from gitmodel.formats.loading import is_loading
from gitmodel.frozen import Frozen
from gitmodel.registry import models, versions
from gitmodel.registry.artifacts import LocalArtifact
from gitmodel.registry.runs import (
    inside_run,
    is_recorded,
    keep_packages,
    new_run_id,
    refuse_inside_run,
    store_details,
    told_stored,
)
from gitmodel.registry.versions import Draft
from gitmodel.registry.writer import Batch, transact
from gitmodel.stores.artifacts import keep_artifact, verified_path
from gitmodel.stores.interface import JOBS, Progress
from gitmodel.stores.source_credentials import holds_secret, refuse_secrets

log = logging.getLogger("gitmodel.runs")

# A record has at most 64 KiB, for parameters and everything else.
_LONGEST_VALUES = 16_000
# A version is planned again if others wrote in the meantime.
_TRIES = 5
Status = Literal["succeeded", "failed", "cancelled"]


@checked_arguments
@shows_our_form
class RunVersion:
    """The version that a run creates at its end. Changes of it belong to the same commit."""

    _other_names: ClassVar[Mapping[str, str]] = {
        "log_metric": "write version.log_metadata(accuracy=0.9)",
        "log_metrics": "write version.log_metadata(accuracy=0.9)",
    }

    def __init__(self, run: ScriptRun, model: ModelRef, draft: Draft, register: dict[str, Any] | None) -> None:
        self._run = run
        self._model = model
        self._draft = draft
        self._register = register
        self._changes: list[tuple[str, Callable[[ModelVersion], object]]] = []
        self._made: ModelVersion | None = None

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._made.model.name if self._made is not None else self._model.model

    @property
    def name(self) -> str | None:
        """The version's own name, if it has one."""
        return self._draft.name

    @property
    def number(self) -> int:
        """The version's number. Raises UsageError before the run has ended: the number is given then."""
        return self._created("number").number

    @property
    def reference(self) -> str:
        """The version's reference, such as `iris@4`. Raises UsageError before the run has ended."""
        return self._created("reference").reference

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> None:
        """Put the version into *stage* when the run succeeds. Raises UsageError for an unknown stage.

        If a rule of the stage refuses the promotion, it is left out with a warning, and the run succeeds.
        """
        self._run._refuse_ended()
        self._run._check_stage(str(stage))
        self._run._check_text("reason", reason)

        change = methodcaller("set_stage", stage, reason=reason, force=force, leave=leave)
        self._changes.append((f"stage {stage}", change))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Give the version an alias when the run succeeds."""
        self._run._refuse_ended()
        check_alias(alias)
        self._run._check_text("reason", reason)
        self._changes.append((f"alias {alias}", methodcaller("add_alias", alias, reason=reason)))

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Set metadata of the version, or of its *artifact*, as `ModelVersion.log_metadata` does."""
        refuse_other_keywords("log_metadata", values, "write artifact= for one of the version's artifacts")
        self._run._refuse_ended()
        read = self._run._read_metadata({**(metadata or {}), **values})
        if artifact is None:
            self._draft = self._draft._replace(metadata={**(self._draft.metadata or {}), **read})
        else:
            self._run._change_link(artifact, read)

    def link_artifact(
        self,
        name: str,
        source: ArtifactSource,
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Store *source* and link it to the version, as `ScriptRun.link_artifact` does."""
        self._run._link(storing.one_artifact(name, source, kind, format, metadata, progress, follow_links))

    def __repr__(self) -> str:
        return f"RunVersion({self._made.reference if self._made is not None else self.model!r})"

    def _created(self, what: str) -> ModelVersion:
        if self._made is None:
            raise UsageError(
                f"the new version of {self.model} has no {what} before its run has ended",
                hint="read it after the `with` block",
            )
        return self._made


class _Start(Frozen):
    """The facts of a run at its start."""

    name: str
    id: str
    started: datetime
    code: Code
    packages: str
    script: str | None
    module: str | None
    process: int = field(default_factory=os.getpid)
    clock: float = field(default_factory=time.perf_counter)


@checked_arguments
@shows_our_form
class ScriptRun:
    """A run of a script, which `Client.start_run` starts. All it records is written in one commit at its end."""

    _other_names: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("log_param", "log_params"), "write run.log_parameters(learning_rate=0.1)"),
        **dict.fromkeys(("log", "log_metric", "log_metrics", "summary"), "write run.log_metadata(accuracy=0.9)"),
        **dict.fromkeys(
            ("log_artifact", "log_artifacts", "log_figure", "log_table"),
            'write run.link_artifact("NAME", VALUE_OR_PATH)',
        ),
        "attach": 'write run.link_artifact("NAME", VALUE_OR_PATH)',
        "log_model": 'write run.create_version("MODEL", model_objects={"clf": clf})',
        **dict.fromkeys(("log_input", "log_inputs", "use_artifact", "use_model"), 'write run.use("sales@3", "train")'),
        "set_stage": 'write run.create_version("MODEL").set_stage("production")',
        "set_tag": 'write run.create_version("MODEL", tags=["TAG"])',
    }

    def __init__(self, opened: OpenRegistry, start: _Start, known: RunSecrets, notes: RunJournal) -> None:
        self._opened = opened
        self._notes = notes
        self._start = start
        self._known = known
        self._status: str = "running"
        self._parameters: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._inputs: dict[str, str] = {}
        self._links: dict[str, ArtifactLink] = {}
        self._version: RunVersion | None = None
        self._tries: Counter[str] = Counter()  # to keep values, by the name of the file
        self._incomplete = False  # the script ended itself while values were stored

    @property
    def id(self) -> str:
        """The id of the run, for `git model runs show`."""
        return self._start.id

    @property
    def name(self) -> str:
        """The name that was given to `start_run`."""
        return self._start.name

    @property
    def status(self) -> str:
        """The status: "running", and after the block "succeeded", "failed" or "cancelled"."""
        return self._status

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that were logged so far, with "(secret)" for secrets."""
        return self._known.values().hide_parameters(self._parameters)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that was logged so far."""
        return dict(self._metadata)

    @property
    def version(self) -> RunVersion | None:
        """The version that the run creates; None if `create_version` was not called."""
        return self._version

    def log_parameters(self, parameters: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Record parameters of the run, such as hyperparameters. A parameter that was logged before gets the new value.

        Values are as in metadata. A `gitmodel.Secret` is recorded as "(secret)". Raises UsageError for a value that
        cannot be recorded, Refused for one that looks like a credential.

        >>> run.log_parameters(max_depth=3, learning_rate=0.1)                             # doctest: +SKIP
        """
        self._refuse_ended()
        given = {**(parameters or {}), **values}
        secret = {name: value for name, value in given.items() if isinstance(value, Secret)}
        open_values = {name: value for name, value in given.items() if name not in secret}
        read = read_values(open_values, f"a parameter of run {self.name}")
        known = RunSecrets([*self._known.secrets, *secret.values()], [*self._known.given, *read.values()])
        refuse_credentials(known.values().hide_parameters(read), f"run {self.name}", AS_SECRET)
        whole = {**self._parameters, **read, **dict.fromkeys(secret, HIDDEN)}
        self._check_length(whole, "parameters")
        self._known.secrets += secret.values()
        self._known.given += read.values()
        self._parameters = whole

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Record metadata of the run, such as metrics. The version that the run creates has it, too.

        Raises UsageError for a value that cannot be recorded, Refused for one that looks like a credential.

        >>> run.log_metadata(accuracy=0.94)                                                # doctest: +SKIP
        """
        self._refuse_ended()
        whole = {**self._metadata, **self._read_metadata({**(metadata or {}), **values})}
        self._check_length(whole, "metadata")
        self._metadata = whole

    def use(
        self,
        source: str | VersionRef | ModelVersion | Artifact,
        artifact: str | None = None,
        *,
        name: str | None = None,
    ) -> Artifact:
        """Record an artifact of a version as an input of the run, and return it to be loaded.

        *source* is a version or its reference, of which *artifact* is used: by default the only model object, or the
        only artifact. It can also be the artifact itself. The lineage of the version that the run creates shows the
        versions that have it. *name* is that of the input; the default is the artifact's name.

        Raises NotFound; Conflict for another input of this name; UsageError for an attachment, which lineage does not
        follow, and for an artifact of another registry.

        >>> train = run.use("sales@production", "train").load()                            # doctest: +SKIP
        """
        self._refuse_ended()
        found = self._find(source, artifact)
        link = found.link
        key = check_name(name if name is not None else link.name, "input")
        if self._inputs.get(key, link.digest) != link.digest:
            raise Conflict(
                f"run {self.name} has another input {key}",
                hint=f'give this one another name: run.use("{found.version.reference}", "{link.name}", name="NAME")',
            )
        self._inputs[key] = link.digest
        return found

    def link_artifact(
        self,
        name: str,
        source: ArtifactSource,
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Store *source*, and link it as *name* to the version that the run creates; else it is an output of the run.

        *source*, *kind*, *format* and *follow_links* are as in `ModelVersion.link_artifact`. It is stored now and
        linked at the end of the run. Raises Conflict for a name that is taken, and the errors of
        `ModelVersion.link_artifact`.

        >>> run.link_artifact("confusion_matrix", figure)                                  # doctest: +SKIP
        """
        self._link(storing.one_artifact(name, source, kind, format, metadata, progress, follow_links))

    def create_version(
        self,
        model: Model | str,
        name: str | None = None,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        data: ArtifactSources | None = None,
        model_objects: ArtifactSources | None = None,
        deployments: ArtifactSources | None = None,
        formats: Mapping[str, str] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        jobs: int = JOBS,
        progress: NamedProgress | None = None,
        warn: Callable[[str], object] | None = None,
    ) -> RunVersion:
        """Create a version of *model* at the end of the run, if the run succeeds.

        *model* is a name or a `Model` with a description; if the registry has no such model, it is registered in the
        same commit. The other arguments are as in `Model.create_version`. Artifacts are stored now. The version also
        has the metadata and artifacts of the run; it gets its number at the end. A run creates at most one version.

        Raises UsageError for a second version, and the errors of `Model.create_version`.

        >>> version = run.create_version("iris", model_objects={"clf": clf})              # doctest: +SKIP
        >>> version.set_stage("staging")                                                  # doctest: +SKIP
        """
        self._refuse_ended()
        if self._version is not None:
            raise UsageError(
                f"run {self.name} creates a version of {self._version.model} already",
                hint="start another run for another version",
            )
        given = storing.artifacts_by_kind(data, model_objects, deployments, formats, jobs, progress, warn, follow_links)
        with self._keeping_values(given.sources):
            described = model if isinstance(model, Model) else Model(model)
            self._check_text("description", description)
            draft = Draft(name, description, tuple(tags), self._read_metadata(metadata or {}))
            chosen, register = self._check_version(described, draft, [(key, kind) for key, _, kind in given.sources])
            version = RunVersion(self, chosen, draft, register)
            self._store(given, model=chosen.model)
        self._version = version
        return version

    def _find(self, source: str | VersionRef | ModelVersion | Artifact, name: str | None) -> Artifact:
        """Return the artifact that `use` names."""
        if isinstance(source, (str, VersionRef)):
            ref = VersionRef.parse(source) if isinstance(source, str) else source
            try:
                return ModelVersion._find(self._opened, ref).get_artifact(name)
            except NotFound as error:
                if isinstance(source, str) and os.path.exists(source):
                    error.hint = f"for a file: run.link_artifact({os.path.basename(source)!r}, {source!r})"
                raise
        if not isinstance(source, (Artifact, ModelVersion)):
            raise UsageError(
                f"run.use takes a version, its reference or its artifact, not {with_article(type(source).__name__)}",
                hint='for a value or a file: run.link_artifact("NAME", VALUE_OR_PATH)',
            )
        if isinstance(source, ModelVersion):
            found = source.get_artifact(name)
        elif name is not None:
            raise UsageError(f"{source!r} is an artifact already", hint=f"leave {name!a} out")
        else:
            found = source
        of = found.version.reference
        if isinstance(found, Attached):
            raise UsageError(
                f"{found.name} of {of} is an attachment, which lineage does not follow",
                hint="link it to a version as an artifact, and use that",
            )
        theirs, ours = found.version._opened.repository, self._opened.repository
        if (theirs.url, theirs.common_dir) != (ours.url, ours.common_dir):
            raise UsageError(
                f"{found.name} of {of} is in another registry, {theirs.url or theirs.common_dir}",
                hint="import its version into this one: version.export(FILE), client.import_version(FILE)",
            )
        return found

    def _refuse_ended(self) -> None:
        """Raise UsageError if the run has ended, or if this is a process that the run's process forked."""
        if self._status != "running":
            raise UsageError(f"run {self.id} has ended; nothing was recorded", hint="record it inside the `with` block")
        if os.getpid() != self._start.process:
            raise UsageError(
                f"run {self.id} belongs to another process; nothing was recorded",
                hint="return the value to the process that called start_run()",
            )

    def _check_stage(self, stage: str) -> None:
        """Raise UsageError if the registry has no *stage*."""
        from gitmodel.domain.schema.names import ARCHIVED, NONE

        known = (*self._opened.writer.read(lambda snapshot: snapshot.registry().stage_names), ARCHIVED, NONE)
        if stage not in known:
            raise UsageError(f"there is no stage {stage!a} to set", hint=f"the stages are {', '.join(known)}")

    def _check_text(self, what: str, text: str) -> None:
        """Raise Refused if *text* holds the value of a Secret or looks like a credential."""
        self._refuse_secrets({what: text}, f"run {self.name}")

    def _read_metadata(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return *values* as a record holds them. Raises UsageError, Refused."""
        read = read_values(values)
        self._refuse_secrets(read, f"the metadata of run {self.name}")
        return read

    def _change_link(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Add *metadata* to the artifact *name*. Raises UsageError if the run has not linked it."""
        if name not in self._links:
            there = ", ".join(self._links) or "none"
            raise UsageError(f"run {self.name} has no artifact {name!a}", hint=f"its artifacts: {there}")
        link = self._links[name]
        self._links[name] = replace(link, metadata={**link.metadata, **metadata})

    def __repr__(self) -> str:
        return f"ScriptRun({self.id!r}, {self._status!r})"

    def _check_version(
        self, model: Model, draft: Draft, artifacts: list[tuple[str, str]]
    ) -> tuple[ModelRef, dict[str, Any] | None]:
        """Check that the version can be created. Return its model, and the description of one to be registered."""
        repository = self._opened.repository
        exists = repository.read(lambda snapshot: snapshot.has_model(model.name))
        given = None if exists else model.description_given()
        trial = Batch(repository, f"Run {self.name}")
        try:
            if given is not None:
                models.register_model(trial, model.name, given)
            linked = [(link.name, link.kind) for link in self._links.values()]
            chosen = versions.check_creation(trial, model.name, draft, artifacts=[*linked, *artifacts])
        finally:
            trial.abandon()
        return chosen, given

    def _link(self, given: storing.GivenArtifacts) -> None:
        with self._keeping_values(given.sources):
            self._store(given)

    def _store(self, given: storing.GivenArtifacts, *, model: str = "") -> None:
        """Store artifacts and link them. Raises before the first is stored if one of them cannot be linked."""
        self._refuse_ended()
        for name, _, kind in given.sources:
            planned = ArtifactLink(name=check_name(name, "artifact"), kind=kind, digest=NO_DIGEST, size=0)
            check_artifacts([*self._links.values(), planned], f"run {self.name}")
        storing.check_formats(given)
        given = given._replace(metadata=self._read_metadata(given.metadata or {}))
        model = model or (self._version.model if self._version is not None else "")
        secrets = self._known.values()

        def check(each: LocalArtifact, value: Any, root: Path | None) -> None:
            refuse_secrets(f"the artifact {each.name}", value, each.path, secrets, follow_links=root)

        found = storing.store_given(self._opened, model, given, check)
        self._notes.note_stored([(link.digest, link.format) for link in found])
        self._links.update({link.name: replace(link, pipeline=self.name) for link in found})

    @contextmanager
    def _keeping_values(self, given: Iterable[storing.Given]) -> Iterator[None]:
        """Keep the objects among *given* in files of this machine if the block raises; the error names the files."""
        try:
            yield
        except BaseException as error:
            self._incomplete |= isinstance(error, SystemExit)
            secrets, kept = self._known.values(), []
            for index, (name, value, _) in enumerate(given):
                if storing.is_path(value) or secrets.holds(value):
                    continue
                file = f"value-{index}" if fault_in(str(name)) else name
                self._tries[file] += 1
                if self._tries[file] > 1:  # another value of this name was kept before
                    file = f"{file}-{self._tries[file]}"
                holds = partial(holds_secret, secrets)
                kept.append(keep_value(file, value, self._notes.kept_values, holds_secret=holds))
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

    def _refuse_secrets(self, values: Mapping[str, Any], of: str) -> None:
        hint = "leave it out: the history is permanent"
        refuse_credentials(values, of, hint)
        if self._known.values().holds(values):
            raise Refused("the metadata, description or reason holds the value of a Secret", hint=hint)

    def _check_length(self, values: Mapping[str, Any], what: str) -> None:
        if len(repr(values)) > _LONGEST_VALUES:
            raise UsageError(
                f"the {what} of run {self.name} are too long to be recorded",
                hint="store long values as an artifact: run.link_artifact(NAME, VALUE)",
            )

    def _succeed(self, notes: RunJournal) -> None:
        """Commit the run with its version. Raises Conflict, Refused and other errors if that is not possible."""
        rules = _rules(self._opened)
        self._refuse_removed()
        leave_out = ""
        for attempt in range(_TRIES):
            try:
                written = self._commit(rules, with_stages=not leave_out)
                break
            except Refused as error:  # a signature or a tag is needed, which only the commit shows
                if leave_out or self._version is None or not self._version._changes:
                    raise
                leave_out = f"{error.message}; {error.hint}"
            except Conflict:
                if attempt == _TRIES - 1:
                    raise
        if leave_out:
            log.warning("%s; the run is recorded without it", leave_out)
        self._status = "succeeded"
        notes.note(status="succeeded")
        if written:
            notes.discard()

    def _refuse_removed(self) -> None:
        """Raise Conflict if an artifact of the run is no longer in its store. Renews the timestamps of old ones."""
        keep_packages(self._opened.store)
        store = self._opened.access.everywhere()
        for name, link in self._links.items():
            if not keep_artifact(store, link.digest, folder=link.is_folder):
                raise Conflict(
                    f"{name} was removed from {store.url} during run {self.name}", hint="run the script again"
                )

    def _commit(self, rules: RunRules, *, with_stages: bool) -> bool:
        """Write one commit. Return False if *rules* exclude the run."""
        version = self._version
        with self._opened.transaction(f"Run {self.name}") as inside:
            batch = inside.writer
            assert isinstance(batch, Batch)
            made = None
            if version is not None:
                made = self._create(inside, version)
                batch.message = f"Run {self.name}: add {made.model.name} {made.number}"
                for what, change in version._changes if with_stages else ():
                    try:
                        change(made)
                    except Refused as error:
                        log.warning("%s: %s (%s); the run is recorded without it", what, error.message, error.hint)
            record = self._record("succeeded", rules, made=made)
            if not self._is_recorded(rules, record):
                return False
            batch.transact(lambda snapshot: plan_run(snapshot, record))
            self._refuse_secrets_in(batch)
        if version is not None:
            version._made = made
        return True

    def _create(self, inside: OpenRegistry, version: RunVersion) -> ModelVersion:
        if version._register is not None:
            models.register_model(inside.writer, version._model.model, version._register, exist_ok=True)
        made = versions.make_version(
            inside.writer,
            version._model,
            version._draft._replace(metadata={**self._metadata, **(version._draft.metadata or {})}),
            artifacts=self._links.values(),
            code=self._start.code,
            runs=(self.id,),
        )
        return ModelVersion._of(inside, made.ref, is_new=True)

    def _refuse_secrets_in(self, batch: Batch) -> None:
        files = [content for content in batch.planned_files().values() if content]
        if self._known.values().are_in_bytes(files):
            raise Refused(
                f"the records of run {self.name} hold the value of a Secret",
                hint="leave it out of names, metadata and reasons: the history is permanent",
            )

    def _fail(self, error: BaseException, notes: RunJournal) -> None:
        """Record the run as failed or cancelled. If that fails too, log it: *error* is more important."""
        status: Status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
        repository = self._opened.repository
        repository.reader.close()  # Ctrl-C also ended the git process that reads objects
        frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
        text = ErrorText.with_frames(error, frames).hidden(self._known.values())
        self._status = status
        try:
            notes.note(error=asdict(text))
            rules = _rules(self._opened)
            record = self._record(status, rules, error=text)
            if self._is_recorded(rules, record):
                transact(repository, lambda snapshot: plan_run(snapshot, record))
            notes.note(status=status)
            log.warning("run %s %s; `git model runs show %s` shows it", self.id, status, self.id)
        except Exception as second:
            files = self._stored_files()
            told, hint = told_kept(files)
            there = {file.name for file in files}
            told += told_stored((name, link.digest) for name, link in self._links.items() if name not in there)
            said = "; ".join(filter(None, (f"{second}{told}", hint)))
            log.error("run %s, which %s, could not be recorded: %s", self.id, status, said)
            with suppress(GitModelError):
                notes.note(status=status)

    def _is_recorded(self, rules: RunRules, record: RunRecord) -> bool:
        has_journal = not (self._opened.repository.url or in_ci(self._opened.environ))
        return is_recorded(rules, record, changes=False, has_journal=has_journal)

    def _stored_files(self) -> list[KeptValue]:
        """Return the files in a store on this machine that hold the artifacts of the run."""
        store, found = self._opened.access.everywhere(), []
        for name, link in self._links.items():
            with suppress(GitModelError):
                path = None if link.is_folder else verified_path(store, link.digest, link.size)
                found += [KeptValue(name, path, link.format)] if path is not None else []
        return found

    def _record(
        self, status: Status, rules: RunRules, *, made: ModelVersion | None = None, error: ErrorText | None = None
    ) -> RunRecord:
        start = self._start
        record = RunRecord(
            id=start.id,
            pipeline=start.name,
            status=status,
            started=start.started,
            finished=max(start.started, self._opened.writer.moment()),
            script=start.script,
            module=start.module,
            python=platform.python_version(),
            packages=start.packages,
            error=error.line(rules) if error else "",
            traceback=error.recorded_traceback(rules) if error else "",
            versions=(made.reference,) if made is not None else (),
            code=start.code,
            parameters=self.parameters,
            metadata=self._metadata,
            steps=(
                StepRecord(
                    name=start.name,
                    status="succeeded" if status == "succeeded" else "failed",
                    seconds=round(time.perf_counter() - start.clock, 3),
                    inputs=dict(sorted(self._inputs.items())),
                    outputs={name: link.digest for name, link in sorted(self._links.items())},
                ),
            ),
        )
        return store_details(record, self._opened.store)


@contextmanager
def start_run(opened: OpenRegistry, name: str) -> Iterator[ScriptRun]:
    """Start a run of a script, and commit it with its version when the block ends; see `Client.start_run`."""
    check_name(name, "run")
    opened.require_branch("start_run")
    refuse_inside_run(f"run {name}")
    if is_loading():
        raise UsageError(
            f"run {name} is not started: the script was imported to load an artifact",
            hint="start the run below `if __name__ == '__main__':`",
        )
    repository = opened.repository
    repository.git.refuse_read_only()
    if repository.url:
        check_push(repository)
    repository.identity.now()  # a missing identity is an error before hours of training, not after
    _rules(opened)
    started = opened.writer.moment()
    code = opened.record_code()
    packages = keep_packages(opened.store)
    repository.share()
    journal = Journal(repository.common_dir)
    facts = {"pipeline": name, "started": started.isoformat(), "pid": os.getpid(), "executor": ""}
    known = RunSecrets()
    with (
        cleaning_up_when_terminated(),
        journal.open_run(lambda: new_run_id(name, started), facts) as notes,
        collecting_secrets(known.secrets),
        inside_run(f"run {name}"),
    ):
        notes.note_stored([(packages, "text")])
        run = ScriptRun(opened, _Start(name, notes.id, started, code, packages, *_find_script(opened)), known, notes)
        leaving: SystemExit | None = None
        try:
            try:
                yield run
            except SystemExit as end:
                if end.code or run._incomplete:
                    raise
                leaving = end
            run._refuse_ended()
            run._succeed(notes)
        except BaseException as error:
            if os.getpid() == run._start.process:  # a forked process does not end the run
                run._fail(error, notes)
            raise
        made = [run.version.reference] if run.version is not None else []
        print_result(repository, opened.environ, run.id, made=made, code=code)
        if leaving is not None:
            raise leaving


def _rules(opened: OpenRegistry) -> RunRules:
    """Return the registry's rules on runs. Raises Invalid if they cannot be read."""
    return opened.repository.read(lambda snapshot: snapshot.registry().require("runs").runs) or RunRules()


def _find_script(opened: OpenRegistry) -> tuple[str | None, str | None]:
    """Return the script of this process, relative to the code repository, and its name for `python -m`; else None."""
    main, code = sys.modules.get("__main__"), opened.find_code()
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    place = Path(file).resolve() if file else None
    if code is None or not code.worktree or place is None or not place.is_relative_to(code.git.top):
        return None, None
    return place.relative_to(code.git.top).as_posix(), spec.name if spec is not None else None
