"""Handles of the outputs of a run, which can be loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from gitmodel.client.handles.models_and_versions import Artifact, ModelVersion
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.schema.records import ArtifactLink, StepRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import NotFound, Refused
from gitmodel.registry.recorded_runs.runs import RunView

if TYPE_CHECKING:
    from gitmodel.stores.interface import ArtifactStore


class MissingOutput(NotFound, KeyError):
    """A run has no output with the name that was looked up."""


@checked_arguments
class RunOutput(Artifact):
    """A handle of an output of a run. It is read like an artifact of a version."""

    _of_run: RunView
    _registry: OpenRegistry
    _step: StepRecord
    _found: ArtifactLink | None

    @classmethod
    def _made_by(
        cls, run: RunView, opened: OpenRegistry, step: StepRecord, name: str, link: ArtifactLink | None
    ) -> RunOutput:
        output = cls.__new__(cls)
        output._of_run, output._registry = run, opened
        output._step, output._name, output._found = step, name, link
        return output

    @property
    def version(self) -> ModelVersion:
        """The version that the step of this output created or worked on. Raises NotFound if there is none."""
        for reference in [self._step.version] if self._step.version else self._of_run.versions:
            with suppress(NotFound):
                found = ModelVersion._find(self._opened, VersionRef.parse(reference))
                if self._step.version or any(link.digest == self.link.digest for link in found._record().artifacts):
                    return found
        raise NotFound(f"{self._described} belongs to no version", hint="read it from the run")

    @property
    def run(self) -> str:
        """The id of the run that wrote this output."""
        return self._of_run.id

    @property
    def link(self) -> ArtifactLink:
        """The recorded values of the output: name, kind, digest, size in bytes, format.

        Raises NotFound if an old release of gitmodel did not record the size and format.
        """
        if self._found is None:
            raise NotFound(
                f"{self._described} has no format on record",
                hint=f"its digest is {self._step.outputs[self._name]}; an earlier release of gitmodel recorded the run",
            )
        return self._found

    def set_metadata(self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = ()) -> NoReturn:
        """Raise Refused: an output of a run cannot have metadata."""
        raise Refused(f"{self._described} cannot have metadata", hint="set metadata of the version")

    @property
    def _opened(self) -> OpenRegistry:
        return self._registry

    @property
    def _described(self) -> str:
        return f"{self._name} of run {self._of_run.id}"

    def _source(self, link: ArtifactLink) -> ArtifactStore:
        return self._opened.access.everywhere()

    def __repr__(self) -> str:
        return f"RunOutput({self._of_run.id!r}, {self._name!r})"


class Outputs(Mapping[str, RunOutput]):
    """The outputs of a run by their names, read-only. Looking up another name raises `MissingOutput`."""

    def __init__(self, run: str, outputs: Mapping[str, RunOutput]) -> None:
        self._run = run
        self._outputs = outputs

    def __getitem__(self, name: str) -> RunOutput:
        if name not in self._outputs:
            raise MissingOutput(
                f"run {self._run} has no output {name!a}", hint=f"its outputs: {', '.join(self) or 'none'}"
            )
        return self._outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        return f"Outputs({', '.join(self)})"


def outputs_of(run: RunView, steps: Sequence[StepRecord], opened: OpenRegistry) -> Outputs:
    """Return handles of the outputs of *steps*, the steps of *run*, in the open registry *opened*."""
    links: dict[tuple[str | None, str, str], ArtifactLink] = {}
    if any(step.outputs and not step.formats for step in steps):
        # An old release did not record the formats of the outputs. The artifacts of the run's versions have them.
        for reference in run.versions:
            with suppress(NotFound):  # ignored: the version was deleted
                artifacts = ModelVersion._find(opened, VersionRef.parse(reference))._record().artifacts
                links.update({(link.step, link.name, link.digest): link for link in artifacts})
    names = [name for step in steps for name in step.outputs]
    found = {}
    for step in steps:
        for name, digest in step.outputs.items():
            link = _link_of(step, name) or links.get((step.name, name, digest)) or links.get((None, name, digest))
            key = f"{step.name}.{name}" if names.count(name) > 1 else name
            found[key] = RunOutput._made_by(run, opened, step, name, link)
    return Outputs(run.id, found)


def _link_of(step: StepRecord, name: str) -> ArtifactLink | None:
    """Return the recorded values of the output *name* of *step*; None if its size and format are not recorded."""
    if name not in step.sizes or name not in step.formats:
        return None
    return ArtifactLink(
        name=name,
        kind=step.kinds.get(name, "data"),
        digest=step.outputs[name],
        size=step.sizes[name],
        format=step.formats[name],
        file=step.files.get(name),
        step=step.name,
    )
