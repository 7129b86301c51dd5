"""The worker: runs a step in this process or another, and returns errors as text instead of raising them."""

from __future__ import annotations

import copy
import itertools
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from gitmodel.branch.runs.step_logs import LogWriter, is_reachable, read_files
from gitmodel.domain.schema.names import with_article
from gitmodel.domain.schema.records import FOLDER_FORMAT
from gitmodel.domain.secrets.credentials import OVERRIDE, redacted
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import RunSecrets, Secret, SecretValues, collecting_secrets
from gitmodel.errors import NotFound, Refused, Unreachable, UsageError, message_of
from gitmodel.files.temporary import TemporaryFiles
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.formats import materializers, trust
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.catalogue.detection import PICKLES, is_value
from gitmodel.formats.catalogue.plugins import suffix_of
from gitmodel.formats.kept_values import KeptValue, keep_value, told_kept
from gitmodel.formats.loading import called
from gitmodel.formats.script_names import UNNAMED
from gitmodel.pipelines.declarations.config import ModelConfig
from gitmodel.pipelines.declarations.nested_inputs import places_of, put_together, types_of_inputs
from gitmodel.pipelines.declarations.steps import OutputSpec, Step
from gitmodel.pipelines.project.opened_files import recording_opened_files, texts_that_may_name_files
from gitmodel.pipelines.project.project_modules import project_modules_of
from gitmodel.pipelines.workers import step_modules
from gitmodel.pipelines.workers.context import PlannedVersion, StepContext, using_context
from gitmodel.pipelines.workers.step_output import keeping_output
from gitmodel.pipelines.workers.step_requests import InputReference, Request, StoreRequest
from gitmodel.pipelines.workers.step_results import AliasPlan, Plan, StagePlan, StepResult, StoredOutput, UpdatePlan
from gitmodel.registry.linked_artifacts.artifact_warnings import told_pickled
from gitmodel.registry.linked_artifacts.new_artifacts import LocalArtifact, store_artifact
from gitmodel.registry.named_stores.store_access import open_place, open_urls
from gitmodel.stores.artifacts import fetching
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.sources.source_credentials import (
    describe_credentials,
    find_credentials,
    holds_secret,
    refuse_secrets,
)

log = logging.getLogger("gitmodel.pipelines")


def run_step(request: Request, step: Step[..., Any] | None = None) -> StepResult:
    """Run one step: load its inputs, call it, and store its outputs, except files that seem to hold credentials.

    *step* is given where the worker shares memory with the coordinator. Elsewhere, the step is imported by its name.
    """
    clock = time.perf_counter()
    given = [value for value in request.values.values() if isinstance(value, Secret)]
    known = RunSecrets(given, list(request.parameters.values()))
    made: list[Secret] = []
    log = _StepLog(request, known, made)
    stored: list[StoredOutput] = []
    try:
        result = _run(request, step, known, made, stored, log.writer)
    except KeyboardInterrupt as interrupt:
        if step is not None and threading.current_thread() is threading.main_thread():
            raise
        result = StepResult("cancelled", error=ErrorText.of(interrupt).hidden(known.values()))
    except _NotStored as failure:
        text = _describe(_explain(failure.error, request), known.values())
        result = StepResult(
            "failed",
            outputs=failure.stored,
            error=failure.told(text, elsewhere=not (step or request.keep)),
            may_pass_later=_may_pass_later(failure.error),
        )
    except BaseException as error:
        known.secrets += made
        text = _describe(_explain(error, request), known.values())
        result = StepResult("failed", outputs=tuple(stored), error=text, may_pass_later=_may_pass_later(error))
    return replace(
        result,
        output=log.end(result.error.traceback if result.error is not None else ""),
        seconds=time.perf_counter() - clock,
        secrets=tuple(secret.value for secret in made),
        read_version=request.facts.has_read_version,
    )


class _StepLog:
    """The log of an attempt of a step: in the folder of the request, or else in a temporary one."""

    def __init__(self, request: Request, known: RunSecrets, made: list[Secret]) -> None:
        self._own = None if is_reachable(request.log) else TemporaryFiles("gitmodel-log-")
        self._shared = request.log
        self._secrets: tuple[int, SecretValues] | None = None
        self._known = known
        self._made = made
        self.writer = LogWriter(self._folder, request.attempt, self._hide) if request.attempt else None

    def _folder(self) -> Path:
        return self._shared if self._own is None else self._own.path("log")

    def end(self, traceback: str) -> tuple[tuple[str, bytes], ...]:
        """Write the *traceback* of a failed step, and return the files if they are in a temporary folder."""
        if self.writer is None:
            return ()
        if traceback:
            self.writer.write(2, traceback.encode(errors="backslashreplace"))
        self.writer.close()
        if self._own is None or self.writer.is_empty:
            return ()
        with self._own:
            return read_files(self._folder())

    def _hide(self, text: str) -> str:
        made = list(self._made)
        if self._secrets is None or len(made) != self._secrets[0]:
            self._secrets = len(made), RunSecrets([*self._known.secrets, *made], self._known.given).values()
        return redacted(self._secrets[1].hide(text))


def _run(
    request: Request,
    given: Step[..., Any] | None,
    known: RunSecrets,
    made: list[Secret],
    stored: list[StoredOutput],
    log: LogWriter | None,
) -> StepResult:
    """Run the step and return its result; add the Secrets that it makes to *made*, and then to *known*.

    Outputs are added to *stored* as soon as they are in the store.
    """
    step = given
    if step is None:
        assert request.step is not None
        step = step_modules.find_step(request.step)
    config = ModelConfig(**request.config) if request.config else None
    with TemporaryFiles("gitmodel-step-", request.scratch or None) as scratch:
        store = _open_store(request.store, shared=given is not None)
        arguments = _load_inputs(request, step, store, scratch)
        outputs = _Outputs(request, store, scratch, stored)
        files = _StepFiles(request, store, scratch, outputs, lambda: RunSecrets([*known.secrets, *made], known.given))
        context = StepContext(request.facts, request.outputs, config, files)
        with (
            recording_opened_files(
                request.root, request.code, request.unloaded, texts_that_may_name_files(step.function, arguments)
            ) as opened,
            collecting_secrets(made),
            keeping_output(log, alone=request.alone),
        ):
            value = _call_step(step, arguments, context, own_process=given is None)
        known.secrets += made
        outputs.secrets = known.values()
        try:
            state = opened.finish()
            refuse_secrets_in_plans(context.plans, outputs.secrets)
            matched = _match_outputs(step, request.outputs, value)
        except BaseException as error:
            outputs.keep(step.name, value)
            raise outputs.failure(error) from None
        # The coordinator ends the processes of its workers by SIGTERM when it is interrupted.
        with cleaning_up_when_terminated() if given is None else nullcontext():
            outputs.store(matched)
    changes_stages = any(isinstance(plan, (StagePlan, AliasPlan, UpdatePlan)) for plan in context.plans)
    withheld = outputs.withheld
    return StepResult(
        "succeeded",
        plans=tuple(context.plans),
        outputs=tuple(outputs.stored),
        withheld=withheld,
        left_out=tuple(context.left_out),
        read=context.read,
        opened=state,
        particular=context.is_particular or opened.reads_registry or changes_stages or bool(made or withheld),
    )


def _open_store(wanted: StoreRequest, *, shared: bool) -> ArtifactStore:
    store = open_urls(wanted.urls, Path(wanted.root))
    # A worker on another machine would create its own store, which no other machine can read.
    if not shared and not store.holds(wanted.probe):
        raise Unreachable(
            "this worker cannot reach the artifact store of the run",
            hint="configure a store that all machines can reach: git config gitmodel.store file:///shared/folder",
        )
    return store


def _call_step(step: Step[..., Any], arguments: dict[str, Any], context: StepContext, *, own_process: bool) -> Any:
    process = os.getpid()
    main = own_process and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler) if main else None
    try:
        with using_context(context), step_modules.running_step():
            return step.function(**arguments)
    finally:
        if os.getpid() != process:
            os._exit(1)  # a child process that the step forked must not run the rest of this function
        if main and before is not None:
            signal.signal(signal.SIGINT, before)


def _load_inputs(
    request: Request, step: Step[..., Any], store: ArtifactStore, scratch: TemporaryFiles
) -> dict[str, Any]:
    arguments = {
        name: value.value if isinstance(value, Secret) else copy.deepcopy(value)
        for name, value in request.values.items()
    }
    types = types_of_inputs(step, request.shapes)
    for index, (name, ref) in enumerate(request.inputs.items()):
        target = scratch.path(f"input-{index}{suffix_of(ref.format)}")
        arguments[name] = _load_input(request, store, target, name, ref, types.get(name))
    parts = {name for shape in request.shapes.values() for name in places_of(shape)}
    whole = {name: put_together(shape, arguments) for name, shape in request.shapes.items()}
    return {**{name: value for name, value in arguments.items() if name not in parts}, **whole}


def _load_input(
    request: Request, store: ArtifactStore, target: Path, name: str, ref: InputReference, wanted: Any
) -> Any:
    """Return the input *name* for a step that annotates it as *wanted*: the loaded value, or a path."""
    source = open_place(ref.place, store, Path(request.store.root))
    if ref.format == FOLDER_FORMAT:
        fetching.get_folder(source, ref.digest, target, size=ref.size)
    else:
        fetching.get_file(source, ref.digest, target, size=ref.size)
    is_path = wanted is Path or ref.materializer == "path"
    as_path = is_path or (ref.format == FOLDER_FORMAT and not ref.materializer and not is_value(target))
    if as_path and ref.file:
        target = _renamed(target, ref.file)
    if as_path:
        return target
    with (
        called(target, f"the input {name}"),
        trust.trusting(partial(tuple, ref.names), partial(tuple, ref.suggested)),
    ):
        return materializers.load(target, ref.format, ref.materializer, wanted=wanted, trusted=ref.trusted)


def _renamed(path: Path, file: str) -> Path:
    """Move the file or folder *path* to a new folder beside it, under the name *file*, and return its new path."""
    folder = path.with_name(f"{path.name}.folder")
    folder.mkdir()
    return path.rename(folder / file)


def _match_outputs(step: Step[..., Any], names: list[str], value: Any) -> list[tuple[OutputSpec, str, Any]]:
    specs = step.outputs
    if not specs:
        if value is not None:
            raise UsageError(
                f"step {step.name} is annotated to return nothing, but returned {with_article(type(value).__name__)}",
                hint="annotate the return value",
            )
        return []
    if not step.many:
        return [] if value is None and not step.is_annotated else [(specs[0], names[0], value)]
    if not isinstance(value, (tuple, list)) or len(value) != len(specs):
        got = f"{len(value)} outputs" if isinstance(value, (tuple, list)) else with_article(type(value).__name__)
        raise UsageError(
            f"step {step.name} declares {len(specs)} outputs, but returned {got}",
            hint="return a tuple of that many values",
        )
    return list(zip(specs, names, value, strict=True))


class _StepFiles:
    """Loads the artifacts of the version of a step, and stores those that the step links."""

    def __init__(
        self,
        request: Request,
        store: ArtifactStore,
        scratch: TemporaryFiles,
        outputs: _Outputs,
        secrets: Callable[[], RunSecrets],
    ) -> None:
        self._request = request
        self._store = store
        self._scratch = scratch
        self._outputs = outputs
        self._secrets = secrets
        self._count = itertools.count()

    def load(self, name: str, ref: InputReference, *, trusted: bool) -> Any:
        """Return the object in an artifact. *trusted* allows formats that run code."""
        ref = replace(ref, trusted=True) if trusted else ref
        return _load_input(self._request, self._store, self._target(ref), name, ref, None)

    def path(self, name: str, ref: InputReference) -> Path:
        """Return a file or folder with the content of an artifact."""
        found: Path = _load_input(self._request, self._store, self._target(ref), name, ref, Path)
        return found

    def link(self, name: str, source: Any, kind: str, format: str) -> None:
        """Store *source*, a value or a path, as the artifact *name*."""
        value = Path(source) if isinstance(source, (str, os.PathLike)) else source
        if isinstance(value, Path) and not value.exists():
            raise NotFound(f"there is no file or folder {value}", hint="to store a text, write it to a file")
        self._outputs.secrets = self._secrets().values()
        self._outputs.link(name, value, OutputSpec(name, kind, format))

    def _target(self, ref: InputReference) -> Path:
        return self._scratch.path(f"read-{next(self._count)}{suffix_of(ref.format)}")


class _NotStored(Exception):
    """Outputs of a step could not be stored because of *error*. *stored* has those in the store, *kept* local files."""

    def __init__(
        self, error: BaseException, stored: list[StoredOutput], kept: list[KeptValue], lost: list[str]
    ) -> None:
        super().__init__()
        self.error = error
        self.stored = tuple(stored)
        self._kept = kept
        self._lost = lost

    def told(self, text: ErrorText, *, elsewhere: bool) -> ErrorText:
        """Return *text* with the files of the kept values, *elsewhere* on another machine, and the way to load them."""
        kept, hint = told_kept(self._kept, machine=socket.gethostname() if elsewhere else "")
        lost = f"; no file keeps {', '.join(self._lost)}, which cannot be pickled or holds a Secret"
        message = f"{text.message}{kept}{lost if self._lost else ''}"
        return replace(text, message=message, hint="; ".join(filter(None, (text.hint, hint))))


class _Outputs:
    """Stores the outputs of a step. An output that cannot be stored is kept in a file on this machine."""

    def __init__(
        self, request: Request, store: ArtifactStore, scratch: TemporaryFiles, stored: list[StoredOutput]
    ) -> None:
        self._request = request
        self._store = store
        self._scratch = scratch
        self.secrets = SecretValues(())
        self.stored = stored
        self.withheld: dict[str, str] = {}
        self._kept: list[KeptValue] = []
        self._lost: list[str] = []

    def store(self, outputs: Iterable[tuple[OutputSpec, str, Any]]) -> None:
        """Store *outputs*, except files that seem to hold credentials.

        Raises _NotStored if an output could not be stored, KeyboardInterrupt after an interrupt. In both cases, values
        that are not stored are saved to local files.
        """
        failure: BaseException | None = None
        for index, (spec, name, item) in enumerate(outputs):
            written: list[tuple[Path, str]] = []
            try:
                if isinstance(failure, (Unreachable, KeyboardInterrupt)):  # the others cannot be stored either
                    raise failure
                self._store_one(spec, name, item, f"output-{index}", written)
            except BaseException as error:
                failure = failure or error
                self.keep(name, item, *written)
        if failure is not None:
            raise self.failure(failure) from None

    def keep(self, name: str, value: Any, *written: tuple[Path, str]) -> None:
        """Keep *value* in a file of this machine; *written* is a file that contains it already, with the format."""
        if value is None or self.secrets.holds(value):
            return
        if isinstance(value, Path):
            self._kept.append(KeptValue(name, value.absolute(), ""))
            return
        folder = Path(self._request.keep) if self._request.keep else None
        kept = keep_value(name, value, folder, holds_secret=partial(holds_secret, self.secrets), written=written)
        if kept is not None:
            self._kept.append(kept)
        else:
            self._lost.append(name)

    def failure(self, error: BaseException) -> BaseException:
        """Return the error for outputs that could not be stored because of *error*. An interrupt stays an interrupt."""
        failure = _NotStored(error, self.stored, self._kept, self._lost)
        if not isinstance(error, KeyboardInterrupt):
            return failure
        text = failure.told(ErrorText("", "interrupted while its outputs were stored"), elsewhere=False)
        error.args = ("; ".join(filter(None, (text.message, text.hint))),)
        log.warning("step %s was %s", self._request.facts.step, error)
        return error

    def link(self, name: str, value: Any, spec: OutputSpec) -> None:
        """Store the artifact *name*, which the step links itself. Raises Refused if it seems to hold credentials."""
        self._store_one(spec, name, value, f"linked-{len(self.stored)}", [])
        if name in self.withheld:
            raise Refused(self.withheld.pop(name), hint=f"link a copy without them; {OVERRIDE}")

    def _store_one(self, spec: OutputSpec, name: str, value: Any, file: str, written: list[tuple[Path, str]]) -> None:
        """Store one output; a value that is no path is first saved in *file*, whose path is added to *written*."""
        allow_credentials = self._request.allow_credentials
        if isinstance(value, Path) and not allow_credentials and (seen := find_credentials(value)):
            self.withheld[name] = describe_credentials(f"the artifact {name}", seen)
            return
        needs: list[str] = []
        modules: tuple[str, ...] = ()
        kept_name = None
        if isinstance(value, Path):
            format, kind, materializer, path = spec.format, "data", "path", value
        else:
            path = self._scratch.path(file)
            with trust.noting() as names:
                format, kind, materializer = materializers.save(
                    value,
                    path,
                    f"output {name}",
                    spec.format,
                    pickle=self._request.pickle,
                    allow_pickle="write @step(pickle=True)",
                )
                needs = names()
            written.append((path, format))
            kept_name = materializers.file_name(name, format, materializer)
            modules = project_modules_of(needs, path if plugins.find_format(format).unsafe else None)
        refuse_secrets(f"the output {name}", value, path, self.secrets)
        given = LocalArtifact(name, path, spec.kind or kind, "" if path.is_dir() else format, needs, kept_name)
        # The step's own files were searched before, and files that gitmodel writes need no search.
        link = store_artifact(self._store, given, allow_credentials=True, warn=partial(log.warning, "%s"))
        if format in PICKLES and not spec.format and not isinstance(value, Path):
            log.warning("%s", told_pickled(name, format))
        self.stored.append(
            StoredOutput(
                name, link.kind, link.digest, link.size, link.format, materializer, link.needs_trust, modules, link.file
            )
        )


def refuse_secrets_in_plans(plans: Iterable[Plan], secrets: SecretValues) -> None:
    """Raise Refused if a plan holds the value of a Secret."""
    if secrets.holds([plan.texts for plan in plans]):
        raise Refused(
            "the metadata or reason holds the value of a Secret", hint="leave it out: the history is permanent"
        )


def _may_pass_later(error: BaseException) -> bool:
    """Return True if another attempt may succeed after *error*: not after an interrupt or a refusal by gitmodel."""
    return isinstance(error, Exception) and not isinstance(error, (UsageError, Refused))


def _own_frames(found: TracebackType | None) -> TracebackType | None:
    """Return the part of the traceback that begins in the step's own code; all of it if the step did not start."""
    inner = found
    while inner is not None and inner.tb_frame.f_code.co_filename in (__file__, step_modules.__file__):
        inner = inner.tb_next
    return inner or found


def _explain(error: BaseException, request: Request) -> BaseException:
    """Return *error*, or an error that explains it if it comes from a common mistake."""
    message = message_of(error)
    if isinstance(error, AssertionError) and multiprocessing.current_process().daemon and "daemonic" in message:
        explained = UsageError(
            f"the worker of this step cannot start a process pool: {message}",
            hint="use the executor 'processes' or joblib, or start the Dask workers with the setting "
            "distributed.worker.daemon: false",
        )
        return explained.with_traceback(error.__traceback__)
    script = step_modules.unnamed_script()
    if script and (isinstance(error, BrokenExecutor) or UNNAMED in message):
        file = os.path.basename(script)
        explained = UsageError(
            f"other processes cannot import the functions of {file} by the name of that file: {message}",
            hint="rename the script (not like a standard module, and without a dot), or move the functions to "
            "another file",
        )
        return explained.with_traceback(error.__traceback__)
    version = request.facts.version
    if version is None or not isinstance(error, AttributeError) or type(error.obj) is not str:
        return error
    if error.name is None or error.obj != version.model:
        return error
    says = f"write get_step_context().model_version.{error.name}"
    if error.name == "name":
        says = "leave out .name"
    elif not hasattr(PlannedVersion, error.name):
        says = "get_step_context().model_version is the version that the step works on"
    explained = UsageError(f"get_step_context().model is the name of the model, and has no {error.name}", hint=says)
    return explained.with_traceback(error.__traceback__)


def _describe(error: BaseException, secrets: SecretValues) -> ErrorText:
    return ErrorText.with_frames(error, _own_frames(error.__traceback__)).hidden(secrets)
