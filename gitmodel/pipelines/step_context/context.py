"""The context of a step: facts about its run and version, and the changes that it plans for the end of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.arguments.names_of_other_tools import refuse_other_keywords, shows_our_form
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.models import TagChanges, read_words
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.names import ARCHIVED, NONE, check_alias, check_name, check_version_name, fold
from gitmodel.domain.schema.record_values import check_kind
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.secrets.credentials import without_credentials
from gitmodel.errors import Conflict, NotFound, UsageError
from gitmodel.pipelines.declarations.config import ModelConfig
from gitmodel.pipelines.step_context.step_requests import Facts, InputReference, VersionFacts
from gitmodel.pipelines.step_context.step_results import AliasPlan, MetadataPlan, Plan, StagePlan, UpdatePlan


class StepFiles(Protocol):
    """Loads and stores artifacts for a step, in the process of the step."""

    def load(self, name: str, ref: InputReference, *, trusted: bool) -> Any: ...
    def path(self, name: str, ref: InputReference) -> Path: ...
    def link(self, name: str, source: Any, kind: str, format: str) -> None: ...


class VersionInput:
    """An artifact that the version of a step had before the run."""

    def __init__(self, name: str, ref: InputReference, context: StepContext) -> None:
        self.name = name
        self.digest = ref.digest
        self.format = ref.format
        self._ref = ref
        self._context = context

    def load(self, *, trusted: bool = False) -> Any:
        """Return the object in the artifact, as `Artifact.load` does. Record the artifact as an input of the step."""
        return self._used.load(self.name, self._ref, trusted=trusted)

    def path(self) -> Path:
        """Return the path of a file or folder with the content of the artifact. Record it as an input of the step.

        The file or folder exists until the step ends.
        """
        return self._used.path(self.name, self._ref)

    def __repr__(self) -> str:
        return f"VersionInput({self.name!r})"

    @property
    def _used(self) -> StepFiles:
        self._context.read[self.name] = self.digest
        assert self._context._files is not None
        return self._context._files


@checked_arguments
@shows_our_form
class PlannedVersion:
    """The version that a step works on. Changes of the version take effect only if the run succeeds."""

    _other_names: ClassVar[Mapping[str, str]] = {
        name: advice
        for advice, names in {
            'write get_artifact("NAME").load()': (
                "get_data_artifact get_deployment_artifact get_model_artifact load_artifact"
            ),
            'write get_step_context().link_artifact("NAME", VALUE_OR_PATH), or return the value from the step': (
                "add_artifact attach attach_all link_artifact link_artifacts link_external log_artifact save_artifact"
            ),
            "write log_metadata(accuracy=0.9)": "log_metric log_metrics set_metadata",
            "write artifacts": "data deployments model_objects",
            'write set_stage("production")': "promote",
            "write reference, number or name": "ref version",
            "use client.get_version(run.versions[0]) after the run": (
                "aliases attachments authorship card checkout code created delete detach export frozen get_attachment "
                "is_local outputs pending readers refresh remove_alias runs stage unlink view"
            ),
        }.items()
        for name in names.split()
    }

    def __init__(self, facts: VersionFacts, context: StepContext) -> None:
        self._facts = facts
        self._context = context

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._facts.model

    @property
    def number(self) -> int:
        """The version's number.

        If a step reads the number of a new version, gitmodel never gives the number to another version, even if the run
        fails. gitmodel assumes that the step has read the number if its process died or was ended by a timeout or an
        interrupt.
        """
        self._read()
        return self._facts.number

    @property
    def name(self) -> str | None:
        """The version's own name, if it has one."""
        self._read()
        return self._facts.name

    @property
    def is_new(self) -> bool:
        """True if this run creates the version."""
        return self._facts.new

    @property
    def reference(self) -> str:
        """The version's reference on the command line, such as `demo@3`."""
        return f"{self.model}@{self.number}"

    @property
    def description(self) -> str:
        """The description that the version had before the run; for a new version, the one in the ModelConfig."""
        if self._facts.record is None:
            return self._context.model_config.version_description or ""
        self._read()
        return self._facts.record.description

    @property
    def tags(self) -> list[str]:
        """The tags that the version had before the run; for a new version, those in the ModelConfig."""
        if self._facts.record is None:
            return sorted(set(self._context.model_config.version_tags or ()))
        self._read()
        return list(self._facts.record.tags)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that the version had before the run; empty for a new version."""
        if self._facts.record is None:
            return {}
        self._read()
        return dict(self._facts.record.metadata)

    @property
    def artifacts(self) -> list[VersionInput]:
        """The artifacts that the version had before the run; empty for a new version."""
        return [self.get_artifact(name) for name in self._facts.readable]

    def get_artifact(self, name: str) -> VersionInput:
        """Return an artifact that the version had before the run.

        If the step loads the artifact, the run records the artifact as an input of the step. Raises NotFound if the
        version had no such artifact. A new version had none: its artifacts are outputs of other steps, which a step
        takes as parameters.
        """
        if name not in self._facts.readable:
            there = ", ".join(self._facts.readable) or "none"
            hint = (
                "this run creates it: pass the output of its step to this step"
                if self._facts.new
                else f"its artifacts: {there}"
            )
            raise NotFound(f"{self.model} had no artifact {name!a} before the run", hint=hint)
        self._read()
        return VersionInput(name, self._facts.readable[name], self._context)

    def update(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> None:
        """Plan to change the description, the tags or the name of the version, if the run succeeds.

        Only a version without a name can get a name. The arguments are those of `ModelVersion.update`. If the change is
        impossible at the end of the run, for example because the name is taken, gitmodel warns and leaves the change
        out. The run succeeds nevertheless.
        """
        if name is not None:
            check_version_name(name)
        changes = TagChanges.read(tags, add_tags, remove_tags)
        whole = None if changes.whole is None else read_words(changes.whole)
        kept = self._context.keep({"description": description or ""}, "").get("description")
        said = description if kept else "" if description == "" else None
        self._context.plans.append(UpdatePlan(self._of, name, said, changes._replace(whole=whole)))

    def set_stage(self, stage: Any, *, reason: str = "", force: bool = False, leave: bool = False) -> None:
        """Plan to put the version into *stage* if the run succeeds. Raises UsageError for an unknown stage.

        The arguments are those of `ModelVersion.set_stage`. If a rule of the stage refuses the promotion, or if *leave*
        is False and the promotion would empty a stage that is later in the registry's list of stages, gitmodel warns
        and leaves the promotion out. The run succeeds nevertheless.
        """
        wanted = str(getattr(stage, "value", stage))
        known = [*self._facts.stages, ARCHIVED, NONE]
        if wanted not in known:
            raise UsageError(f"there is no stage {wanted!a} to set", hint=f"the stages are {', '.join(known)}")
        why = Justification(self._reason(reason), bool(force))
        self._context.plans.append(StagePlan(self._of, wanted, why, bool(leave)))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Plan to give the version *alias* if the run succeeds. gitmodel records the *reason* with the change."""
        self._context.plans.append(AliasPlan(self._of, check_alias(alias), self._reason(reason)))

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Plan to set metadata of the version, or of its *artifact*, if the run succeeds.

        Raises NotFound if the version does not have *artifact*, and no step of the run creates it.
        """
        refuse_other_keywords(
            "log_metadata", values, f"the metadata is of {self.model}; write artifact= for the metadata of an artifact"
        )
        if artifact is not None and artifact not in self._facts.artifacts:
            there = ", ".join(self._facts.artifacts) or "none"
            raise NotFound(
                f"{self.reference} will have no artifact {artifact!a}",
                hint=f"its artifacts: {there}",
            )
        kept = self._context.keep(read_values({**(metadata or {}), **values}))
        self._context.plans.append(MetadataPlan(self._of, kept, artifact))

    def __repr__(self) -> str:
        return f"PlannedVersion({self.reference!r})"

    def _read(self) -> None:
        """Remember that the step read a fact such as the number of its version.

        Then gitmodel does not cache the result of the step, and gives the number to no other version.
        """
        self._context.depends_on_run = True
        self._facts.read = True

    def _reason(self, text: str) -> str:
        return str(self._context.keep({"reason": text}, "").get("reason", ""))

    @property
    def _of(self) -> Numbered:
        return self._facts.model, self._facts.number


@shows_our_form
class StepContext:
    """The context of a running step: its run, its pipeline, and the model version on which it works.

    *depends_on_run* is True if the step read a value that is different in each run, so that its result is not cached.
    *left_out* has the fields that gitmodel does not record because they looked like credentials, each with the kind of
    credential.
    """

    _other_names: ClassVar[Mapping[str, str]] = {
        "model_version_config": "write model_config",
        "pipeline_run": "write run, the id of the run",
        "step_name": "write step",
        "step_run": "write step for the name of the step, or run for the id of the run",
    }

    def __init__(self, facts: Facts, outputs: list[str], config: ModelConfig | None, files: StepFiles | None) -> None:
        self._facts = facts
        self._files = files
        self.read: dict[str, str] = {}
        self.pipeline: str = facts.pipeline
        self.step: str = facts.step
        self.outputs = outputs
        self.plans: list[Plan] = []
        self.left_out: list[tuple[str, str]] = []
        self.depends_on_run = False
        self._config = config
        found = facts.version
        self._version = PlannedVersion(found, self) if found else None

    @property
    def run(self) -> str:
        """The id of the run."""
        self.depends_on_run = True
        return self._facts.run

    @property
    def model_config(self) -> ModelConfig:
        """The ModelConfig of the step, or else of the pipeline. Raises UsageError if both have none."""
        if self._config is None:
            raise self._no_model()
        return self._config

    @property
    def model_version(self) -> PlannedVersion:
        """The `PlannedVersion` on which the step works. Raises UsageError if step and pipeline have no ModelConfig.

        The version has `number`, `name`, `reference`, `is_new`, `description`, `tags` and `metadata`. `artifacts` and
        `get_artifact("NAME").load()` read the artifacts that the version had before the run. `update`, `set_stage`,
        `add_alias` and `log_metadata` plan changes, which take effect if the run succeeds. To add an artifact, use
        `link_artifact` of the context.
        """
        if self._version is None:
            raise self._no_model()
        return self._version

    @property
    def model(self) -> str:
        """The name of the model that the step works on."""
        return self.model_version.model

    def link_artifact(
        self,
        name: str,
        source: Any,
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Store *source*, a value or path, as the artifact *name* of the new version.

        *kind* and *format* are those of `ArtifactConfig`, and *metadata* is metadata of the artifact. If the run
        creates no version, *name* is an output of the step. gitmodel stores the value at once, so that a checkpoint or
        a plot stays even if the step fails later. Raises Conflict if another artifact of the version has the name,
        UsageError for *metadata* if the run creates no version, and the errors of saving the value.

        >>> get_step_context().link_artifact("checkpoint", weights, kind="model")      # doctest: +SKIP
        """
        check_name(name, "artifact")
        check_kind(kind)
        facts = self._facts.version
        taken = {fold(other) for other in (*self.outputs, *(facts.artifacts if facts and facts.new else ()))}
        if fold(name) in taken:
            raise Conflict(
                f"step {self.step} cannot link {name}: there is an output of this name",
                hint="give it another name, for example with the number of the round",
            )
        if metadata and not (facts and facts.new):
            raise UsageError(f"{name} is an output of the run, which cannot have metadata", hint="leave metadata out")
        assert self._files is not None
        self._files.link(name, source, kind, format)
        self.outputs = [*self.outputs, name]
        if facts is not None and facts.new:
            facts.artifacts = (*facts.artifacts, name)
            if metadata:
                self.model_version.log_metadata(metadata, artifact=name)

    def keep(self, values: Mapping[str, Any], where: str = "metadata") -> dict[str, Any]:
        """Return *values* without fields that look like credentials. Add the removed fields to `left_out`.

        *where* is the name of *values* in messages.
        """
        kept, found = without_credentials(values)
        self.left_out += [(f"{where}.{field}" if where else field, what) for field, what in found]
        return kept

    def _no_model(self) -> UsageError:
        return UsageError(f"step {self.step} has no model", hint="give the pipeline or the step a model_config")
