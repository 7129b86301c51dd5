"""What a step can ask of the run it is in, and plan for when the run succeeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from gitmodel.domain import codec
from gitmodel.domain.names import check_alias
from gitmodel.domain.runs import refuse_secrets
from gitmodel.errors import UsageError

# What a worker returns and the coordinator carries out: plain data, so that it crosses any wire.
Plan = dict[str, Any]


class PlannedVersion:
    """The version that a step works on. What is set here takes effect when, and only if, the run succeeds."""

    def __init__(self, model: str, number: int, name: str | None, new: bool, plans: list[Plan]) -> None:
        self.model = model
        self.number = number
        self.name = name
        self.is_new = new
        self._plans = plans

    @property
    def reference(self) -> str:
        """How the command line names it, such as `demo@3`."""
        return f"{self.model}@{self.number}"

    def set_stage(self, stage: Any, force: bool = False, reason: str = "") -> None:
        """Put the version into *stage* when the run succeeds."""
        self._plan("stage", stage=str(getattr(stage, "value", stage)), reason=reason, force=bool(force))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Give the version an alias when the run succeeds."""
        self._plan("alias", alias=check_alias(alias), reason=reason)

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Set metadata of the version, or of its *artifact*, when the run succeeds."""
        self._plan("metadata", on=artifact, values=read_values({**(metadata or {}), **values}))

    def __repr__(self) -> str:
        return f"PlannedVersion({self.reference!r})"

    def _plan(self, verb: str, **details: Any) -> None:
        self._plans.append({"verb": verb, "model": self.model, "number": self.number, **details})


class StepContext:
    """The run, pipeline and step that are running, and the model version they work on."""

    def __init__(self, facts: Mapping[str, Any], outputs: list[str], config: Any) -> None:
        self.run: str = facts["run"]
        self.pipeline: str = facts["pipeline"]
        self.step: str = facts["step"]
        self.outputs = outputs
        self.plans: list[Plan] = []
        self.model_config = config
        found = facts.get("version")
        self._version = (
            PlannedVersion(found["model"], found["number"], found["name"], found["new"], self.plans) if found else None
        )

    @property
    def model_version(self) -> PlannedVersion:
        """The version that the step's model configuration names. Raises UsageError if there is none."""
        if self._version is None:
            raise UsageError(f"step {self.step} has no model", hint="give the pipeline or the step a model_config")
        return self._version

    @property
    def model(self) -> str:
        """The name of that model."""
        return self.model_version.model


_current: ContextVar[StepContext | None] = ContextVar("gitmodel_step", default=None)


def get_step_context() -> StepContext:
    """The context of the step that is running. Raises UsageError outside of one."""
    context = _current.get()
    if context is None:
        raise UsageError("there is no step running here", hint="call get_step_context() inside a step of a pipeline")
    return context


@contextmanager
def within(context: StepContext) -> Iterator[StepContext]:
    """Run the block as the step of *context*."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def log_model_metadata(metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
    """Set metadata of the version that the running step works on, when the run succeeds."""
    get_step_context().model_version.log_metadata(metadata, **values)


def log_artifact_metadata(
    metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
) -> None:
    """Set metadata of an artifact of the version: *artifact*, or the only output of the running step."""
    context = get_step_context()
    if artifact is None:
        if len(context.outputs) != 1:
            raise UsageError(
                f"step {context.step} does not have one output to log metadata on",
                hint=f"name one with artifact=: {', '.join(context.outputs) or 'it has none'}",
            )
        artifact = context.outputs[0]
    context.model_version.log_metadata(metadata, artifact=artifact, **values)


def read_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* as a record can hold them. Raises UsageError, or Refused for what looks like a secret."""
    plain = {
        key: value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
        for key, value in values.items()
    }
    try:
        read = codec.metadata(plain)
    except codec.Wrong as wrong:
        raise UsageError(
            f"the metadata {wrong}", hint="give text, numbers, booleans, times, lists and tables"
        ) from None
    refuse_secrets(read, "the metadata")
    return read
