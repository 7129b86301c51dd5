"""The configuration of pipelines, steps and their outputs: ModelConfig, ArtifactConfig, ExternalArtifact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError, field_validator, model_validator

from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.arguments.description import Description, Word
from gitmodel.domain.schema.names import (
    LATEST,
    STAGE_WORDS,
    check_name,
    check_version_name,
    did_you_mean,
    fault_in,
    fold,
    with_article,
)
from gitmodel.domain.schema.record_values import check_kind
from gitmodel.domain.schema.records import DESCRIPTIVE
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import GitModelError, UsageError

_STAGES = STAGE_WORDS | {"staging", "production"}


class _ModelConfig(Description):  # type: ignore[misc]
    name: str
    version: str | int | None = None
    create_new_model_version: bool = False
    delete_new_version_on_failure: bool = True
    renumbered: bool = False
    version_description: str | None = None
    version_tags: list[Word] | None = None

    @field_validator("name")
    @classmethod
    def _valid_name(cls, name: str) -> str:
        return check_name(name, "model")

    @model_validator(mode="after")
    def _one_meaning(self) -> _ModelConfig:
        for field in ("version_description", "version_tags"):
            if getattr(self, field) is not None and not self.create_new_model_version:
                raise UsageError(
                    f"{field} is for a new version of {self.name}",
                    hint="add create_new_model_version=True; in a step, model_version.update(...) changes a version",
                )
        if self.version is None:
            return self
        version = str(getattr(self.version, "value", self.version))
        if not self.create_new_model_version:
            VersionRef.of(self.name, version)
        elif version.isdigit() or fold(version) in _STAGES:
            raise UsageError(
                f"a new version of {self.name} cannot have version={version}",
                hint="leave version out, or give the new version a name; gitmodel assigns numbers, and stages are set "
                "afterwards",
            )
        else:
            check_version_name(version)
        return self


class ModelConfig(_ModelConfig):
    """The model and version that a pipeline or step works on.

    *version* is the number, name, stage or alias of an existing version, or "latest" (the default). If
    *create_new_model_version* is True, the run creates a version, and *version* is its name. If
    *delete_new_version_on_failure* is True, a failed run leaves no version; otherwise a failed run leaves a version
    that is marked as failed. *renumbered* confirms the number of a version, or the name of a model, after a pull has
    given the number or name to another version or model. *version_description* and *version_tags* describe the new
    version. The other fields are the descriptive fields of `Model`. gitmodel uses these if the run creates the model.

    Raises UsageError for a new version whose name is a number or a stage, and for invalid names and fields.

    >>> ModelConfig(name="demo", create_new_model_version=True).name
    'demo'
    """

    _other_arguments: ClassVar[Mapping[str, str]] = {
        "alias": 'write version="champion"',
        "model": "write name",
        "model_name": "write name",
        **dict.fromkeys(("model_version", "version_name", "version_number"), "write version"),
        "stage": 'write version="production"',
    }

    def __init__(self, *unnamed: Any, **given: Any) -> None:
        """Set the fields *given*. Raises UsageError for values without a field name, and unknown or invalid fields."""
        if unnamed:
            raise UsageError("the fields of ModelConfig are given by name", hint='write ModelConfig(name="iris")')
        try:
            super().__init__(**given)
        except ValidationError as error:
            cause = error.errors()[0]
            inner = cause.get("ctx", {}).get("error")
            if isinstance(inner, GitModelError):
                raise inner from None
            where = ".".join(map(str, cause["loc"]))
            fields = type(self).model_fields
            hint = f"its fields are {', '.join(fields)}; see help(gitmodel.ModelConfig)"
            if cause["type"] != "extra_forbidden":
                raise UsageError(f"ModelConfig: {where}: {cause['msg'].lower()}", hint=hint) from None
            form = type(self)._other_arguments.get(where) or did_you_mean(where, fields, hint)
            raise UsageError(f"ModelConfig has no field {where}", hint=form) from None

    @property
    def selector(self) -> str:
        """The part of the version's reference after `@`, such as `3`, `production` or `latest`."""
        return LATEST if self.version is None else str(getattr(self.version, "value", self.version))

    @property
    def new_name(self) -> str | None:
        """The name of the new version; None for a new version without a name, and for an existing version."""
        return self.selector if self.create_new_model_version and self.version is not None else None

    def described(self) -> dict[str, Any]:
        """The descriptive fields of the model that the user gave, with their values."""
        return {field: getattr(self, field) for field in DESCRIPTIVE if getattr(self, field)}


def check_options(owner: str, model_config: Any, unknown: Mapping[str, Any], options: Iterable[str]) -> None:
    """Raise UsageError if *model_config* is neither None nor a ModelConfig, or if there are *unknown* options.

    *owner* is the step or pipeline that messages name, such as "step train". *options* has the names of the valid
    options.
    """
    form = 'model_config=ModelConfig(name="NAME", create_new_model_version=True)'
    if model_config is not None and not isinstance(model_config, ModelConfig):
        raise UsageError(
            f"model_config of {owner} is {with_article(type(model_config).__name__)}, not a ModelConfig",
            hint=f"write {_shown_form(form, model_config)}",
        )
    for other in ("model", "model_version"):
        if other in unknown:
            raise UsageError(f"{owner} has no option {other}", hint=f"write {_shown_form(form, unknown[other])}")
    if unknown:
        raise UsageError(f"{owner} has no option {min(unknown)}", hint=f"its options are {', '.join(options)}")


def _shown_form(form: str, config: Any) -> str:
    name = config if isinstance(config, str) else getattr(config, "name", None)
    return form.replace("NAME", name) if isinstance(name, str) and fault_in(name) is None else form


@checked_arguments
@dataclass(frozen=True)
class ArtifactConfig:
    """The name, kind and format of an output, for the annotation `Annotated[T, ArtifactConfig(name="train")]`.

    *kind* is "data", "model" or "deployment". *format* is the name of a format in `gitmodel.formats`. If *kind* or
    *format* is "", gitmodel chooses it by the type of the value. Raises UsageError for an invalid name or kind.

    >>> ArtifactConfig(name="train", format="csv").kind
    ''
    """

    _other_arguments: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("artifact_type", "is_model_artifact"), 'write kind="model", or use ModelArtifactConfig'),
        "artifact_name": "write name",
        "is_deployment_artifact": 'write kind="deployment", or use DeploymentArtifactConfig',
        **dict.fromkeys(("model_name", "model_version"), "give the step a model_config"),
        "run_metadata": "use log_artifact_metadata in the step",
    }

    name: str | None = None
    kind: str = ""
    format: str = ""

    def __post_init__(self) -> None:
        if self.name is not None:
            check_name(self.name, "artifact")
        if self.kind:
            check_kind(self.kind)


@checked_arguments
@dataclass(frozen=True)
class ModelArtifactConfig(ArtifactConfig):
    """An ArtifactConfig for an output that is a model object.

    >>> ModelArtifactConfig(name="classifier").kind
    'model'
    """

    kind: str = "model"


@checked_arguments
@dataclass(frozen=True)
class DeploymentArtifactConfig(ArtifactConfig):
    """An ArtifactConfig for an output that is a deployment.

    >>> DeploymentArtifactConfig(name="api").kind
    'deployment'
    """

    kind: str = "deployment"


@checked_arguments
@dataclass(frozen=True)
class ExternalArtifact:
    """An artifact of an existing version as the input of a step.

    As an argument, a step also accepts the text MODEL@VERSION:ARTIFACT, such as `"demo@production:classifier"`.
    gitmodel finds the version once, when the run starts. If the version has no artifact *name*, the step gets the
    output *name* of a run that worked on the version. If several runs have an output of this name, *run* is the id of
    the run to use. If *trusted* is True, the artifact may have a format that runs code when it is loaded, and types
    that this machine does not trust.

    >>> ExternalArtifact.parse("demo@production:classifier").name
    'classifier'
    """

    _other_arguments: ClassVar[Mapping[str, str]] = {
        "value": "pass the value itself to the step",
        "id": "write model, version and name",
    }

    model: str
    name: str
    version: str | int | None = None
    trusted: bool = False
    run: str | None = None

    @classmethod
    def parse(cls, text: str) -> ExternalArtifact | None:
        """Return the artifact that a text such as `model@version:artifact` names; None for any other text."""
        reference, colon, name = text.partition(":")
        if not colon or "@" not in reference:
            return None
        try:
            ref = VersionRef.parse(reference)
            return cls(ref.model, check_name(name, "artifact"), ref.selector)
        except UsageError:
            return None

    @property
    def ref(self) -> VersionRef:
        """The reference of the version to which the artifact belongs."""
        return VersionRef.of(self.model, self.version)
