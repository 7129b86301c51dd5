"""The result of a step, which its process sends to the run, and which the journal may keep for later runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, replace
from typing import Any, Literal

from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import GitModelError, Refused
from gitmodel.frozen import Frozen
from gitmodel.pipelines.project.file_states import OpenedState


class StagePlan(Frozen):
    """A promotion of the version *of*, which takes effect if the run succeeds."""

    of: Numbered
    stage: str
    why: Justification
    leave: bool

    @property
    def texts(self) -> Any:
        """The texts that the step gave, which may hold a secret."""
        return self.why.reason


class AliasPlan(Frozen):
    """An alias that the version *of* gets if the run succeeds."""

    of: Numbered
    alias: str
    reason: str

    @property
    def texts(self) -> Any:
        return self.alias, self.reason


class UpdatePlan(Frozen):
    """A name, description and tags that the version *of* gets if the run succeeds."""

    of: Numbered
    name: str | None
    description: str | None
    tags: TagChanges

    @property
    def texts(self) -> Any:
        return self.name, self.description, *(self.tags.whole or ()), *self.tags.add


class MetadataPlan(Frozen):
    """Metadata that gitmodel sets on the version *of*, or on its *artifact*, if the run succeeds.

    *of* is the version that the step works on, or a reference to another version.
    """

    of: Numbered | VersionRef
    values: Mapping[str, Any]
    artifact: str | None

    @property
    def texts(self) -> Any:
        return self.values, self.artifact, str(self.of) if isinstance(self.of, VersionRef) else ""


Plan = StagePlan | AliasPlan | UpdatePlan | MetadataPlan


def refuse_secrets_in_plans(plans: Iterable[Plan], secrets: SecretValues) -> None:
    """Raise Refused if a text of a planned change holds the value of a Secret."""
    if secrets.holds([plan.texts for plan in plans]):
        raise Refused(
            "the metadata or reason holds the value of a Secret", hint="leave it out: the history is permanent"
        )


class StoredOutput(Frozen):
    """An output of a step that is in the store.

    *needs_trust* has the full names of the classes and functions that a machine must trust to load the output.
    *modules* has the modules of the project that the output uses. *file* is the name of the stored file or folder.
    """

    name: str
    kind: str
    digest: str
    size: int
    format: str
    materializer: str
    needs_trust: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    file: str | None = None


class StepResult(Frozen):
    """The result of a step.

    *withheld* has the outputs that were not stored because they seem to hold credentials, each with a message.
    *left_out* has the metadata and other fields that were left out because they looked like credentials, each with the
    kind of credential. *opened* is the state of the files that the step opened, or None if a file changed during the
    step. *depends_on_run* is True if the same step could have another result in another run. *read* has the digests, by
    name, of artifacts that the step loaded from its version. *secrets* has the values of the Secrets that the step
    made. *read_version* is True if the step read a fact about its version. *may_pass_later* is True if the step failed
    and another attempt may succeed. *output* has what a step on another machine printed, as log files by name.
    """

    status: Literal["succeeded", "cached", "failed", "cancelled"]
    seconds: float = 0.0
    plans: tuple[Plan, ...] = ()
    outputs: tuple[StoredOutput, ...] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[tuple[str, str], ...] = ()
    opened: OpenedState | None = None
    depends_on_run: bool = False
    error: ErrorText | None = None
    secrets: tuple[Any, ...] = ()
    read_version: bool = False
    read: Mapping[str, str] = field(default_factory=dict)
    may_pass_later: bool = False
    output: tuple[tuple[str, bytes], ...] = ()

    @property
    def is_reusable(self) -> bool:
        """True if a later run may use the result instead of running the step."""
        return self.status == "succeeded" and not self.depends_on_run and self.opened is not None


def to_json(result: StepResult) -> dict[str, Any]:
    """Return the parts of a reusable *result* that a later run needs, as JSON values."""
    plans = [_plan_to_json(plan) for plan in result.plans if isinstance(plan, MetadataPlan)]
    outputs = [asdict(output) for output in result.outputs]
    opened = asdict(result.opened) if result.opened is not None else None
    return {"plans": plans, "outputs": outputs, "left_out": result.left_out, "opened": opened}


def from_json(data: Mapping[str, Any]) -> StepResult | None:
    """Return the result that `to_json` wrote as *data*; None if *data* has another form."""
    try:
        return StepResult(
            "cached",
            plans=tuple(map(_plan_from_json, data["plans"])),
            outputs=tuple(
                StoredOutput(
                    **{**output, "needs_trust": tuple(output["needs_trust"]), "modules": tuple(output["modules"])}
                )
                for output in data["outputs"]
            ),
            left_out=tuple((name, what) for name, what in data["left_out"]),
            opened=OpenedState.from_json(data["opened"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, GitModelError):
        return None


def _plan_to_json(plan: MetadataPlan) -> dict[str, Any]:
    if isinstance(plan.of, VersionRef):
        of = {"ref": str(plan.of), "renumbered": plan.of.renumbered}
    else:
        of = {"model": plan.of[0], "number": plan.of[1]}
    return {"verb": "metadata", **of, "on": plan.artifact, "values": plan.values}


def _plan_from_json(data: Mapping[str, Any]) -> MetadataPlan:
    of: Numbered | VersionRef
    if "ref" in data:
        of = replace(VersionRef.parse(data["ref"]), renumbered=bool(data["renumbered"]))
    else:
        of = (data["model"], data["number"])
    return MetadataPlan(of, data["values"], data["on"])
