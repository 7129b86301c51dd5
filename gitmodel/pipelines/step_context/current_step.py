"""Finding the context of the step that is running, and setting metadata of its version by a function call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from gitmodel.domain.arguments.checking import checked
from gitmodel.domain.arguments.names_of_other_tools import refuse_other_keywords
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import UsageError
from gitmodel.pipelines.step_context.context import StepContext
from gitmodel.pipelines.step_context.step_results import MetadataPlan
from gitmodel.registry.recorded_runs.new_runs import inside_run

_current: ContextVar[StepContext | None] = ContextVar("gitmodel_step", default=None)


def current_step() -> StepContext | None:
    """Return the context of the step that is running in this thread; None outside of a step."""
    return _current.get()


def get_step_context() -> StepContext:
    """Return the context of the step that is running. Raises UsageError outside of a step.

    >>> get_step_context().model_version.set_stage("staging")      # doctest: +SKIP
    """
    context = _current.get()
    if context is None:
        raise UsageError("no step is running here", hint="call get_step_context() inside a step of a pipeline")
    return context


@contextmanager
def using_context(context: StepContext) -> Iterator[StepContext]:
    """Make *context* the current context during the block."""
    token = _current.set(context)
    try:
        with inside_run(f"step {context.step}"):
            yield context
    finally:
        _current.reset(token)


@checked
def log_model_metadata(
    metadata: Mapping[str, Any] | None = None, *, version: str = "", renumbered: bool = False, **values: Any
) -> None:
    """Set metadata of the version that the step works on, or of *version*, a reference such as `"demo@3"`.

    In a step, the change takes effect if the run succeeds. Outside of steps, *version* is required, and gitmodel writes
    the change at once. *renumbered* confirms a number that a pull has given to another version. Raises NotFound for an
    unknown version, and UsageError for a value that a record cannot hold.

    >>> log_model_metadata(accuracy=0.97, version="demo@3")      # doctest: +SKIP
    """
    form = 'write version="demo@3"; a step may leave it out to mean the version that it works on'
    refuse_other_keywords("log_model_metadata", values, form)
    _log({**(metadata or {}), **values}, None, version, renumbered)


@checked
def log_artifact_metadata(
    metadata: Mapping[str, Any] | None = None,
    *,
    artifact: str | None = None,
    version: str = "",
    renumbered: bool = False,
    **values: Any,
) -> None:
    """Set metadata of *artifact*. If *artifact* is None, set metadata of the only output of the running step.

    *artifact* belongs to the version that the step works on, or to *version*. *version* and *renumbered* are those of
    `log_model_metadata`. Raises NotFound for an unknown version or artifact. Raises UsageError for a value that a
    record cannot hold. If *artifact* is None, also raises UsageError if *version* is given, or if the step does not
    have exactly one output. Artifacts that the step linked with `get_step_context().link_artifact` are outputs, too.

    >>> log_artifact_metadata(rows=150, artifact="train", version="demo@3")      # doctest: +SKIP
    """
    form = 'write artifact="NAME", and version="demo@3" for a version that the step does not work on'
    refuse_other_keywords("log_artifact_metadata", values, form)
    if artifact is None:
        context = get_step_context()
        if version or len(context.outputs) != 1:
            known = f"one of: {', '.join(context.outputs)}" if context.outputs else "an artifact of the version"
            raise UsageError(
                f"step {context.step} does not name the artifact to which the metadata belongs",
                hint=f"write artifact= with {known}",
            )
        artifact = context.outputs[0]
    _log({**(metadata or {}), **values}, artifact, version, renumbered)


def _log(values: Mapping[str, Any], artifact: str | None, version: str, renumbered: bool) -> None:
    context = current_step()
    if context is not None and not version:
        context.model_version.log_metadata(values, artifact=artifact)
        return
    if not version:
        raise UsageError("no step is running here", hint='name the version, as in version="demo@3"')
    read = read_values(values)
    ref = VersionRef.parse(version)
    if context is not None:
        context.plans.append(MetadataPlan(replace(ref, renumbered=renumbered), context.keep(read), artifact))
        return
    from gitmodel.client import Client

    with Client() as client:
        client.get_version(str(ref), renumbered=renumbered).log_metadata(read, artifact=artifact)
