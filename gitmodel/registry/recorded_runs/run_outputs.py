"""Outputs of runs that worked on an existing version, which only the records of these runs list."""

from __future__ import annotations

from collections.abc import Callable

from gitmodel.domain.changes.runs import named_run
from gitmodel.domain.changes.versions import missing_artifact
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.records import ArtifactLink, RunRecord, StepRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.linked_artifacts.linking import only_artifact
from gitmodel.registry.recorded_runs.run_details import with_details
from gitmodel.registry.records.finding import Found
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.interface import ArtifactStore


class VersionArtifact(Frozen):
    """An artifact of a version, or an output of the run with the id *run*, which worked on the version."""

    link: ArtifactLink
    run: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The names by which `find_artifact` finds the artifact: NAME and, for outputs of equal name, STEP.NAME."""
        return self.link.name, f"{self.link.step}.{self.link.name}"


def list_outputs(writer: Writer, ref: VersionRef, *, store: Callable[[], ArtifactStore]) -> list[VersionArtifact]:
    """Return the outputs of the runs that worked on the existing version *ref*, the oldest run first.

    Leaves out records that cannot be read. *store* opens the store that has the steps of long runs.
    """
    return writer.read(lambda snapshot: outputs_in(snapshot, *snapshot.resolve(ref), store))


def find_artifact(
    writer: Writer, found: Found, name: str | None, *, run: str | None, store: Callable[[], ArtifactStore]
) -> VersionArtifact:
    """Return the artifact *name* of a version, or else the output *name* of a run that worked on the version.

    If *run* is given, searches only the outputs of this run. If *name* is None, returns the only artifact or output.
    Raises NotFound if there is none, UsageError if there are several.
    """
    return _choose(found, name, run, lambda: list_outputs(writer, found.ref, store=store))


def artifact_of(
    snapshot: Snapshot, ref: VersionRef, name: str, *, run: str | None, store: Callable[[], ArtifactStore]
) -> tuple[str, ArtifactLink]:
    """Return the current name of the model in *ref*, and the link of the artifact that `find_artifact` finds."""
    model, number = snapshot.resolve(ref)
    found = Found(model, snapshot.version(model, number))
    return model, _choose(found, name, run, lambda: outputs_in(snapshot, model, number, store)).link


def outputs_in(
    snapshot: Snapshot, model: str, number: int, store: Callable[[], ArtifactStore]
) -> list[VersionArtifact]:
    """Do the same as `list_outputs`, for version *number* of *model* in *snapshot*."""
    places = filter(None, map(paths.run_file, snapshot.version(model, number).runs))
    outputs = []
    for record in snapshot.files.load_many(places, records.RunRecord, newer=snapshot.newer):
        if isinstance(record, Invalid):
            continue
        record = with_details(record, store)
        for step in record.steps:
            if step.version and _is_of(snapshot, step.version, model, number):
                outputs += [VersionArtifact(link, record.id) for link in _links(record, step)]
    return outputs


def _choose(
    found: Found, name: str | None, run: str | None, list_all: Callable[[], list[VersionArtifact]]
) -> VersionArtifact:
    if run is None and (name is None or found.record.artifact(name)):
        return VersionArtifact(only_artifact(found.record, found.model, name))
    outputs = list_all()
    run = named_run(run, (str(output.run) for output in outputs)) or run if run is not None else None
    ours = [output for output in outputs if run in (None, output.run)]
    matching = [output for output in ours if name is None or name in output.names]
    if not matching:
        raise _not_found(found, name, run, outputs)
    if len({(output.link.name, output.link.digest, output.link.format) for output in matching}) > 1:
        raise _ambiguous(found.reference, name, run, matching)
    return matching[-1]


def _not_found(found: Found, name: str | None, run: str | None, outputs: list[VersionArtifact]) -> NotFound:
    names = list(dict.fromkeys(output.link.name for output in outputs if run in (None, output.run)))
    if run is None and name is not None:
        return missing_artifact(found.reference, name, found.record, names)
    if not names:
        known = ", ".join(dict.fromkeys(str(output.run) for output in outputs)) or "none"
        return NotFound(f"{found.reference} has no outputs of a run {run!a}", hint=f"the runs with outputs: {known}")
    return NotFound(f"run {run} made no output {name!a} on {found.reference}", hint=f"its outputs: {', '.join(names)}")


def _ambiguous(reference: str, name: str | None, run: str | None, matching: list[VersionArtifact]) -> UsageError:
    runs = list(dict.fromkeys(str(output.run) for output in matching))
    if run is None and len(runs) > 1:
        return UsageError(
            f"{len(runs)} runs on {reference} made different outputs {name}: {', '.join(runs)}",
            hint=f"choose a run: `git model get {reference} {name} --run {runs[-1]}`, "
            f'in Python get_artifact("{name}", run="{runs[-1]}"), as the input of a step '
            f'ExternalArtifact("{reference.partition("@")[0]}", "{name}", {reference.partition("@")[2]}, '
            f'run="{runs[-1]}")',
        )
    plain = [output.link.name for output in matching]
    names = [output.names[plain.count(output.link.name) > 1] for output in matching]
    return UsageError(
        f"run {runs[0]} on {reference} made {len(matching)} outputs{f' {name}' if name else ''}",
        hint=f"name one of: {', '.join(names)}",
    )


def _is_of(snapshot: Snapshot, reference: str, model: str, number: int) -> bool:
    named, _, told = reference.partition("@")
    return told == str(number) and snapshot.current_name(named) == model


def _links(record: RunRecord, step: StepRecord) -> list[ArtifactLink]:
    return [
        ArtifactLink(
            name=name,
            kind=step.kinds.get(name, "data"),
            digest=digest,
            size=step.sizes[name],
            format=step.formats[name],
            file=step.files.get(name),
            pipeline=record.pipeline,
            step=step.name,
        )
        for name, digest in step.outputs.items()
        if name in step.sizes and name in step.formats
    ]
