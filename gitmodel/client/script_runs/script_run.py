"""A run of a script without steps: one commit at its end records its parameters, metadata, artifacts and version."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from gitmodel.branch.by_url.pushed_ref_moves import check_push
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.client import storing
from gitmodel.client.handles.models_and_versions import Artifact, Attached, Model, ModelVersion, NamedProgress
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.client.script_runs import run_ending
from gitmodel.client.script_runs.result_line import print_result
from gitmodel.client.script_runs.run_recording import NewVersion, RunRecording, RunStart
from gitmodel.client.script_runs.run_version import RunPart, RunVersion
from gitmodel.domain.arguments.checking import ArtifactSources, checked_arguments
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.schema.names import check_name, with_article
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.secrets.secret_values import RunSecrets, collecting_secrets
from gitmodel.errors import Conflict, NotFound, UsageError
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.formats.loading import is_loading
from gitmodel.registry.recorded_runs.new_runs import inside_run, keep_packages, new_run_id, refuse_inside_run
from gitmodel.registry.records import models, versions
from gitmodel.registry.records.versions import Draft
from gitmodel.registry.writing.batch import Batch
from gitmodel.stores.transfer import JOBS


@checked_arguments
@shows_our_form
class ScriptRun(RunPart):
    """A run of a script, which `Client.start_run` starts.

    One commit at the end of the run records everything that was logged, stored and created by its methods.
    """

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

    def __init__(self, run: RunRecording) -> None:
        self._run = run
        self._version: RunVersion | None = None

    @property
    def id(self) -> str:
        """The id of the run, which `git model runs show` and `Client.get_run` accept."""
        return self._run.start.id

    @property
    def name(self) -> str:
        """The name that was given to `start_run`."""
        return self._run.start.name

    @property
    def status(self) -> str:
        """The status: "running" until the `with` block ends, then "succeeded", "failed" or "cancelled"."""
        return self._run.status

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that were logged so far. Values of secrets are replaced by "(secret)"."""
        return self._run.shown_parameters

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that was logged so far."""
        return dict(self._run.metadata)

    @property
    def version(self) -> RunVersion | None:
        """The version that the run creates; None if `create_version` was not called yet."""
        return self._version

    def log_parameters(self, parameters: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Record parameters of the run, such as hyperparameters.

        A value replaces an earlier value of the same parameter. A value may have the types of metadata, or be a
        `gitmodel.Secret`, which is recorded as "(secret)". Raises UsageError for a value that cannot be recorded,
        Refused for a value that looks like a credential.

        >>> run.log_parameters(max_depth=3, learning_rate=0.1)                             # doctest: +SKIP
        """
        self._run.log_parameters({**(parameters or {}), **values})

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Record metadata of the run, such as metrics, and of the version that the run creates.

        Raises UsageError for a value that cannot be recorded, Refused for one that looks like a credential.

        >>> run.log_metadata(accuracy=0.94)                                                # doctest: +SKIP
        """
        self._run.log_metadata({**(metadata or {}), **values})

    def use(
        self,
        source: str | VersionRef | ModelVersion | Artifact,
        artifact: str | None = None,
        *,
        name: str | None = None,
    ) -> Artifact:
        """Record an artifact of a version as an input of the run, and return the artifact.

        *source* is a version, the reference of a version, or the artifact itself. If it is not the artifact itself,
        *artifact* is the name of an artifact of the version; the default is the only model object, or the only
        artifact. *name* is the name of the input; the default is the artifact's name. Lineage shows all versions that
        have this artifact as sources of the version that the run creates.

        Raises NotFound if there is no such version or artifact, Conflict if the run has a different input of this name,
        and UsageError for an artifact of another registry. Raises UsageError for an attachment, too, because lineage
        does not follow attachments.

        >>> train = run.use("sales@production", "train").load()                            # doctest: +SKIP
        """
        self._run.refuse_ended()
        found = self._find(source, artifact)
        link = found.link
        key = check_name(name if name is not None else link.name, "input")
        if self._run.inputs.get(key, link.digest) != link.digest:
            raise Conflict(
                f"run {self.name} has another input {key}",
                hint=f'give this input another name: run.use("{found.version.reference}", "{link.name}", name="NAME")',
            )
        self._run.inputs[key] = link.digest
        return found

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

        *model* is the name of a model, or a `Model` with a description. If the registry has no model of this name, the
        commit of the run registers it. The other arguments are as in `Model.create_version`. The artifacts are stored
        immediately. The version also gets the metadata and artifacts that are logged in the run. It gets its number at
        the end of the run. A run creates at most one version.

        Raises UsageError if it was called before in this run, and the errors of `Model.create_version`.

        >>> version = run.create_version("iris", model_objects={"clf": clf})              # doctest: +SKIP
        >>> version.set_stage("staging")                                                  # doctest: +SKIP
        """
        self._run.refuse_ended()
        if self._version is not None:
            raise UsageError(
                f"run {self.name} creates a version of {self._version.model} already",
                hint="start another run for another version",
            )
        given = storing.artifacts_by_kind(data, model_objects, deployments, formats, jobs, progress, warn, follow_links)
        with self._run.keeping_values(given.sources):
            described = model if isinstance(model, Model) else Model(model)
            self._run.check_text("description", description)
            draft = Draft(name, description, tuple(tags), self._run.read_metadata(metadata or {}))
            chosen, register = self._check_version(described, draft, given.kinds)
            self._run.store(given, model=chosen.model)
        self._run.version = NewVersion(chosen, draft, register)
        self._version = RunVersion(self._run, self._run.version)
        return self._version

    def _find(self, source: str | VersionRef | ModelVersion | Artifact, name: str | None) -> Artifact:
        """Return the artifact *source*, or the artifact *name* of the version *source*; see `use`."""
        if isinstance(source, (str, VersionRef)):
            ref = VersionRef.parse(source) if isinstance(source, str) else source
            try:
                return ModelVersion._find(self._run.opened, ref).get_artifact(name)
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
                hint="link it to a version as an artifact, and use the artifact",
            )
        theirs, ours = found.version._opened.repository, self._run.opened.repository
        if (theirs.url, theirs.common_dir) != (ours.url, ours.common_dir):
            raise UsageError(
                f"{found.name} of {of} is in another registry, {theirs.url or theirs.common_dir}",
                hint="import its version into this registry: version.export(FILE), client.import_version(FILE)",
            )
        return found

    def __repr__(self) -> str:
        return f"ScriptRun({self.id!r}, {self._run.status!r})"

    def _check_version(
        self, model: Model, draft: Draft, artifacts: list[tuple[str, str]]
    ) -> tuple[ModelRef, dict[str, Any] | None]:
        """Raise an error if a version with *draft* and *artifacts*, pairs of a name and a kind, cannot be created.

        Return its model, and the description of the model if the commit of the run must register it, else None.
        """
        repository = self._run.opened.repository
        exists = repository.read(lambda snapshot: snapshot.has_model(model.name))
        given = None if exists else model.description_given()
        trial = Batch(repository, f"Run {self.name}")
        try:
            if given is not None:
                models.register_model(trial, model.name, given)
            linked = [(link.name, link.kind) for link in self._run.links.values()]
            chosen = versions.check_creation(trial, model.name, draft, artifacts=[*linked, *artifacts])
        finally:
            trial.abandon()
        return chosen, given


@contextmanager
def start_run(opened: OpenRegistry, name: str) -> Iterator[ScriptRun]:
    """Start the run *name* of a script, and commit it with its version when the block ends; see `Client.start_run`."""
    _check_start(opened, name)
    repository = opened.repository
    started = opened.repository.identity.moment()
    code = opened.record_code()
    packages = keep_packages(opened.store)
    repository.share()
    journals = Journal(repository.common_dir)
    facts = {"pipeline": name, "started": started.isoformat(), "pid": os.getpid(), "executor": ""}
    secrets = RunSecrets()
    with (
        cleaning_up_when_terminated(),
        journals.open_run(lambda: new_run_id(name, started), facts) as journal,
        collecting_secrets(secrets.secrets),
        inside_run(f"run {name}"),
    ):
        journal.note_stored([(packages, "text")])
        start = RunStart(name, journal.id, started, code, packages, *_find_script(opened))
        run = RunRecording(opened, start, secrets, journal)
        leaving: SystemExit | None = None
        try:
            try:
                yield ScriptRun(run)
            except SystemExit as end:
                if end.code or run.incomplete:
                    raise
                leaving = end
            run.refuse_ended()
            run_ending.succeed(run)
        except BaseException as error:
            if os.getpid() == start.process:  # a forked process must not end its parent's run
                run_ending.fail(run, error)
            raise
        made = run.version.made if run.version is not None else None
        references = [made.reference] if made is not None else []
        print_result(repository, opened.environ, start.id, made=references, code=code)
        if leaving is not None:
            raise leaving


def _check_start(opened: OpenRegistry, name: str) -> None:
    """Raise an error if the run *name* cannot be started, or if it would not be possible to commit it at its end."""
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
    repository.identity.now()  # if git has no name and e-mail of the user, raises now and not after the training
    run_ending.read_rules(opened)


def _find_script(opened: OpenRegistry) -> tuple[str | None, str | None]:
    """Return the path of this process's script in the code repository, and its module name (None without `python -m`).

    Both are None if the script is not in the code repository.
    """
    main, code = sys.modules.get("__main__"), opened.find_code()
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    place = Path(file).resolve() if file else None
    if code is None or not code.worktree or place is None or not place.is_relative_to(code.git.top):
        return None, None
    return place.relative_to(code.git.top).as_posix(), spec.name if spec is not None else None
