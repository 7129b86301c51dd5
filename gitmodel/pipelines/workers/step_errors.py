"""The errors of a step as texts: with explanations of common mistakes, and tracebacks that begin in the step's code."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import BrokenExecutor
from types import TracebackType

from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import Refused, UsageError, message_of
from gitmodel.formats.script_names import UNNAMED
from gitmodel.pipelines.step_context.context import PlannedVersion
from gitmodel.pipelines.step_context.step_requests import Request
from gitmodel.pipelines.workers import step_modules

_WORKERS = os.path.dirname(__file__)


def may_pass_later(error: BaseException) -> bool:
    """Return True if another attempt may succeed after *error*. An interrupt and a refusal by gitmodel are final."""
    return isinstance(error, Exception) and not isinstance(error, (UsageError, Refused))


def _own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of *traceback* from the step's first frame on; if the step did not start, return all of it."""
    inner = traceback
    while inner is not None and os.path.dirname(inner.tb_frame.f_code.co_filename) == _WORKERS:
        inner = inner.tb_next
    return inner or traceback


def explain(error: BaseException, request: Request) -> BaseException:
    """If a common mistake caused *error*, return an error that explains what to do; otherwise, return *error*."""
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


def describe(error: BaseException, secrets: SecretValues) -> ErrorText:
    """Return *error* as a text with its traceback, in which the values of *secrets* are hidden."""
    return ErrorText.with_frames(error, _own_frames(error.__traceback__)).hidden(secrets)
