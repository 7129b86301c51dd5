"""The worker, which runs a step, in this process or another one. It returns errors as texts instead of raising them."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from gitmodel.branch.runs.step_logs import LogWriter, is_reachable, read_files
from gitmodel.domain.schema.names import with_article
from gitmodel.domain.secrets.credentials import redacted
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import RunSecrets, Secret, SecretValues, collecting_secrets
from gitmodel.errors import NotFound, UsageError
from gitmodel.files.temporary import TemporaryFiles
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.formats.catalogue.plugins import suffix_of
from gitmodel.pipelines.declarations.config import ArtifactConfig, ModelConfig
from gitmodel.pipelines.declarations.steps import Step
from gitmodel.pipelines.project.opened_files import recording_opened_files, texts_that_may_name_files
from gitmodel.pipelines.step_context.context import StepContext
from gitmodel.pipelines.step_context.current_step import using_context
from gitmodel.pipelines.step_context.step_requests import InputReference, Request
from gitmodel.pipelines.step_context.step_results import (
    AliasPlan,
    StagePlan,
    StepResult,
    StoredOutput,
    UpdatePlan,
    refuse_secrets_in_plans,
)
from gitmodel.pipelines.workers import step_modules
from gitmodel.pipelines.workers.loaded_inputs import load_input, load_inputs, open_store
from gitmodel.pipelines.workers.printed_output import keeping_output
from gitmodel.pipelines.workers.step_errors import describe, explain, may_pass_later
from gitmodel.pipelines.workers.stored_outputs import NotStored, StepOutputs
from gitmodel.stores.interface import ArtifactStore


def run_step(request: Request, step: Step[..., Any] | None = None) -> StepResult:
    """Run one step: load its inputs, call it, and store its outputs, except files that seem to hold credentials.

    In the process of the run, *step* is the step. In other processes, *step* is None, and the worker imports the step
    by its name.
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
    except NotStored as failure:
        text = describe(explain(failure.error, request), known.values())
        result = StepResult(
            "failed",
            outputs=failure.stored,
            error=failure.told(text, elsewhere=not (step or request.keep)),
            may_pass_later=may_pass_later(failure.error),
        )
    except BaseException as error:
        known.secrets += made
        text = describe(explain(error, request), known.values())
        result = StepResult("failed", outputs=tuple(stored), error=text, may_pass_later=may_pass_later(error))
    return replace(
        result,
        output=log.end(result.error.traceback if result.error is not None else ""),
        seconds=time.perf_counter() - clock,
        secrets=tuple(secret.value for secret in made),
        read_version=request.facts.has_read_version,
    )


class _StepLog:
    """The log of one attempt of a step, in the folder `log` of the request, or else in a temporary folder."""

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
        """Write the *traceback* of a failed step to the log. If the log is in a temporary folder, return its files."""
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
    own_step: Step[..., Any] | None,
    secrets: RunSecrets,
    made: list[Secret],
    stored: list[StoredOutput],
    log: LogWriter | None,
) -> StepResult:
    """Run the step and return its result. *own_step* is the step; if it is None, the worker imports the step.

    Adds the Secrets that the step makes to *made* at once, and to *secrets* when the step has ended. Adds each output
    to *stored* as soon as it is in the store.
    """
    step = own_step or step_modules.find_step(request.step)
    config = ModelConfig(**request.config) if request.config else None
    with TemporaryFiles("gitmodel-step-", request.scratch or None) as scratch:
        store = open_store(request.store, shared=own_step is not None)
        arguments = load_inputs(request, step, store, scratch)
        outputs = StepOutputs(request, store, scratch, stored)
        files = _StepFiles(
            request, store, scratch, outputs, lambda: RunSecrets([*secrets.secrets, *made], secrets.given)
        )
        context = StepContext(request.facts, request.outputs, config, files)
        with (
            recording_opened_files(
                request.root, request.code, request.unloaded, texts_that_may_name_files(step.function, arguments)
            ) as opened,
            collecting_secrets(made),
            keeping_output(log, alone=request.alone),
        ):
            value = _call_step(step, arguments, context, own_process=own_step is None)
        secrets.secrets += made
        outputs.secrets = secrets.values()
        try:
            state = opened.finish()
            refuse_secrets_in_plans(context.plans, outputs.secrets)
            matched = _match_outputs(step, request.outputs, value)
        except BaseException as error:
            outputs.keep(step.name, value)
            raise outputs.failure(error) from None
        # If the user interrupts the run, the process of the run ends its workers by SIGTERM.
        with cleaning_up_when_terminated() if own_step is None else nullcontext():
            outputs.store(matched)
    depends_on_run = context.depends_on_run or opened.reads_registry or bool(made or outputs.withheld)
    changes_stages = any(isinstance(plan, (StagePlan, AliasPlan, UpdatePlan)) for plan in context.plans)
    return StepResult(
        "succeeded",
        plans=tuple(context.plans),
        outputs=tuple(outputs.stored),
        withheld=outputs.withheld,
        left_out=tuple(context.left_out),
        read=context.read,
        opened=state,
        depends_on_run=depends_on_run or changes_stages,
    )


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


def _match_outputs(step: Step[..., Any], names: list[str], value: Any) -> list[tuple[ArtifactConfig, str, Any]]:
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
    """Loads artifacts of the step's version for the step, and stores artifacts that the step links."""

    def __init__(
        self,
        request: Request,
        store: ArtifactStore,
        scratch: TemporaryFiles,
        outputs: StepOutputs,
        secrets: Callable[[], RunSecrets],
    ) -> None:
        self._request = request
        self._store = store
        self._scratch = scratch
        self._outputs = outputs
        self._secrets = secrets
        self._count = itertools.count()

    def load(self, name: str, ref: InputReference, *, trusted: bool) -> Any:
        """Return the object in the artifact *ref*. *trusted* allows formats that run code."""
        ref = replace(ref, trusted=True) if trusted else ref
        return load_input(self._request, self._store, self._target(ref), name, ref, None)

    def path(self, name: str, ref: InputReference) -> Path:
        """Return the path of a file or folder with the content of the artifact *ref*."""
        found: Path = load_input(self._request, self._store, self._target(ref), name, ref, Path)
        return found

    def link(self, name: str, source: Any, kind: str, format: str) -> None:
        """Store *source*, a value or a path, as the artifact *name*."""
        value = Path(source) if isinstance(source, (str, os.PathLike)) else source
        if isinstance(value, Path) and not value.exists():
            raise NotFound(f"there is no file or folder {value}", hint="to store a text, write it to a file")
        self._outputs.secrets = self._secrets().values()
        self._outputs.link(name, value, ArtifactConfig(name, kind, format))

    def _target(self, ref: InputReference) -> Path:
        return self._scratch.path(f"read-{next(self._count)}{suffix_of(ref.format)}")
