"""Importing models of another registry: reading them, planning the import, and writing versions with the client."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.domain.changes.stages import stage_states
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import ModelRecord, RunRecord, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, GitModelError, Invalid, Refused, UsageError
from gitmodel.frozen import Frozen
from gitmodel.interop.content_digest import content_digest
from gitmodel.interop.drafts import UNFIT, Draft, curves_file, draft_version, fit_values
from gitmodel.interop.import_plan import (
    ARCHIVED,
    Choices,
    HeldModel,
    HeldVersion,
    ModelPlan,
    Note,
    Target,
    plan_import,
)
from gitmodel.interop.sources.source_values import FilesUnavailable, Reader, SourceModel, SourceRun, SourceVersion

if TYPE_CHECKING:
    from gitmodel.client import Client, Model, ModelVersion

Progress = Callable[[int, int], object]
ARTIFACT, CURVES = "model", "metrics"
# The most versions in one commit. If an import is interrupted, a second import continues after the last commit.
_AT_ONCE = 100


class ImportedModel(Frozen):
    """The result of the import of the source's model *source* as the model *name* of the target registry.

    *versions*, *deleted*, *runs* and *artifacts* say how many versions, deleted versions, runs and artifacts the import
    created, and *known* how many versions an earlier import created. *stages* and *aliases* map each stage and alias
    that was set to the number of its version.
    """

    source: str
    name: str
    versions: int
    deleted: int
    known: int
    runs: int
    artifacts: int
    stages: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class ImportReport(Frozen):
    """The result of an import or a dry run: the models, and notes on renamed, changed and left out things."""

    models: tuple[ImportedModel, ...]
    notes: tuple[Note, ...]


def import_models(
    client: Client,
    reader: Reader,
    choices: Choices,
    *,
    with_artifacts: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import those models of *reader* that *choices* select, and return the report.

    Idempotent: versions that were imported before are not imported again. If *with_artifacts* is True, the files
    of versions are stored as artifacts. If *dry_run* is True, nothing is written. *progress* is called with the number
    of versions that are done and the number of all new versions. Raises the errors of *reader* and of writing. Versions
    that were committed before an error stay, and a second import continues after them.
    """
    plan = plan_import(reader.models(), client.writer.read(_target_in), choices)
    work = _Import(client, reader, with_artifacts, progress, sum(len(model.new) for model in plan.models))
    done = tuple(work.describe(model) if dry_run else work.write(model) for model in plan.models)
    notes = (*plan.notes, *(note for model in plan.models for note in model.notes), *work.notes)
    return ImportReport(models=done, notes=tuple(dict.fromkeys(notes)))


def _target_in(snapshot: Snapshot) -> Target:
    registry = snapshot.registry()
    models = {name: _model_in(snapshot, registry, name) for name in snapshot.model_names()}
    return Target(models=models, stages=registry.stage_names, alias_fault=registry.alias_fault)


def _model_in(snapshot: Snapshot, registry: RegistryRecord, name: str) -> HeldModel:
    record = snapshot.load(paths.model_file(name), ModelRecord)
    if record is None or not record.exists:
        return HeldModel(exists=False)
    versions = {}
    for found in snapshot.versions(name, snapshot.numbers(name)):
        if isinstance(found, VersionRecord):
            claims = found.imported
            versions[found.number] = HeldVersion(claims.id, claims.created) if claims else HeldVersion(None, None)
    stages, aliases = dict[str, int](), dict[str, int]()
    for state in stage_states(snapshot, name):
        if state.recorded is not None:
            (aliases if state.name not in registry.stage_names else stages)[state.name] = state.recorded
    return HeldModel(exists=True, title=record.title, versions=versions, stages=stages, aliases=aliases)


@dataclass
class _Tally:
    """The records that an import has written for one model. *refused* versions could not be created."""

    runs: int = 0
    artifacts: int = 0
    refused: int = 0
    stages: dict[str, int] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class _Import:
    """Writes the models of an import. *notes* says what was left out or changed, besides the notes of the plan."""

    def __init__(
        self, client: Client, reader: Reader, with_artifacts: bool, progress: Progress | None, total: int
    ) -> None:
        self.notes: list[Note] = []
        self._client = client
        self._reader = reader
        self._with_artifacts = with_artifacts
        self._progress = progress
        self._done, self._total = 0, total

    def describe(self, plan: ModelPlan) -> ImportedModel:
        """Return the result that `write` would return, without writing anything, for a dry run."""
        tally = _Tally(stages=dict(plan.stages), aliases=dict(plan.aliases))
        for version in plan.new:
            if not version.is_deleted:
                tally.runs += self._draft(plan.source, version)[0].run is not None
            self._count()
        return self._result(plan, tally)

    def write(self, plan: ModelPlan) -> ImportedModel:
        """Import the model of *plan*: write its versions, stages and aliases, and propose stages that need a review."""
        tally = _Tally()
        proposed: list[tuple[str, int]] = []
        if plan.is_new and self._client.writer.read(lambda snapshot: not snapshot.commit):
            # The first commit creates only the model, and with it the metadata branch: without a branch, each read
            # would search for one again.
            self._model(self._client, plan)
            plan = replace(plan, is_new=False)
        chunks = [plan.new[start : start + _AT_ONCE] for start in range(0, len(plan.new), _AT_ONCE)] or [()]
        for chunk in chunks:
            is_last = chunk is chunks[-1]
            if not chunk and not plan.is_new:
                break
            with self._changing(plan, chunk) as change:
                model = self._model(change, plan)
                for version in chunk:
                    self._create(change, model, plan, version, tally)
                if is_last:
                    proposed = self._place(change, plan, tally)
            plan = replace(plan, is_new=False)
        for stage, number in proposed:
            self._propose(plan, stage, number)
        if self._with_artifacts:
            tally.artifacts += sum(self._compare(plan, version) for version in plan.known)
        return self._result(plan, tally)

    @contextmanager
    def _changing(self, plan: ModelPlan, chunk: Sequence[SourceVersion]) -> Iterator[Client]:
        """Yield a client whose changes during the block become one commit, for the versions *chunk* of *plan*.

        Raises Conflict if someone else changed the same model during the block.
        """
        try:
            with self._client.transaction(_subject(plan, chunk, self._reader.name)) as change:
                yield change
        except Conflict as error:
            raise Conflict(
                f"{plan.name} was changed by someone else during the import: {error.message}",
                hint="run the same command again: what was imported is not imported again",
            ) from error

    def _model(self, client: Client, plan: ModelPlan) -> Model:
        if not plan.is_new:
            return client.get_model(plan.name)
        source, title = plan.source, "" if plan.name == plan.source.name else plan.source.name
        claims = {"source": self._reader.url, "id": source.name, "created": source.created}
        values = {**({"tags": dict(source.tags)} if source.tags else {}), "imported": claims}
        metadata, _ = fit_values(values, source.name, self.notes)
        return client.register_model(plan.name, title=title, description=source.description, metadata=metadata)

    def _create(self, client: Client, model: Model, plan: ModelPlan, version: SourceVersion, tally: _Tally) -> None:
        self._count()
        if version.is_deleted:
            model.create_version(number=version.number).delete(
                reason=f"deleted in {self._reader.name} before the import"
            )
            return
        draft, run = self._draft(plan.source, version)
        with self._files(plan, version) as path:
            made = self._try_to_create(client, model, plan, version, draft, path)
        if made is None:
            tally.refused += 1
            return
        self._attach(made, draft, run)
        tally.runs += draft.run is not None
        tally.artifacts += len(made.artifacts)

    def _try_to_create(
        self, client: Client, model: Model, plan: ModelPlan, version: SourceVersion, draft: Draft, path: Path | None
    ) -> ModelVersion | None:
        """Create *version* with the file or folder *path*. If gitmodel refuses this, create the version without *path*.

        Returns None if gitmodel refuses the version without *path*, too. Adds a note about each refusal.
        """
        subject = f"{plan.source.name} {version.name or version.number}"
        for files in dict.fromkeys((path, None)):
            try:
                return model.create_version(
                    version.name,
                    number=version.number,
                    description=draft.description,
                    metadata=draft.metadata,
                    model_objects={ARTIFACT: files} if files else None,
                    code=draft.code,
                    runs=_runs_of(client, draft),
                    imported=draft.imported,
                    idempotency_key="",
                )
            except (Conflict, Invalid, Refused, UsageError) as error:
                self._leave_out(f"{subject} artifact" if files else subject, error)
        return None

    def _draft(self, model: SourceModel, version: SourceVersion) -> tuple[Draft, SourceRun | None]:
        run = self._reader.run(version.run) if version.run else None
        draft = draft_version(model, version, run, system=self._reader.name, url=self._reader.url)
        self.notes += draft.notes
        return draft, run

    def _attach(self, made: ModelVersion, draft: Draft, run: SourceRun | None) -> None:
        points = self._reader.points(run) if run else []
        files = {CURVES: ("metrics.csv", curves_file(points))} if points else {}
        if draft.unfit:
            files[UNFIT] = (f"{UNFIT}.json", draft.unfit)
        if not files:
            return
        with tempfile.TemporaryDirectory(prefix="gitmodel-") as folder:
            sources = {}
            for name, (file, data) in files.items():
                sources[name] = Path(folder, file)
                sources[name].write_bytes(data)
            made.attach_all(sources)

    @contextmanager
    def _files(self, plan: ModelPlan, version: SourceVersion) -> Iterator[Path | None]:
        """Yield the path of the files of *version*; None if files are not imported, or if they cannot be read.

        Adds a note if they cannot be read.
        """
        path = None
        with ExitStack() as opened:
            if self._with_artifacts and version.location:
                try:
                    path = opened.enter_context(self._reader.files(version))
                except FilesUnavailable as error:
                    self.notes.append(Note("left out", f"{plan.source.name} {version.number} artifact", str(error)))
            yield path

    def _place(self, client: Client, plan: ModelPlan, tally: _Tally) -> list[tuple[str, int]]:
        """Set the stages and aliases of *plan*, except stages that only proposals may change.

        Returns the stages that only proposals may change, each with the number of the version to propose. Adds a
        note about each change that the rules refuse.
        """
        reviewed = {rules.name for rules in client.list_stages() if rules.rule.proposal_only}
        proposed = []
        reason = f"as in {self._reader.name}"
        for stage, number in plan.stages:
            if stage in reviewed:
                proposed.append((stage, number))
                continue
            try:
                client.promote(f"{plan.name}@{number}", stage, reason=reason)
            except GitModelError as error:
                self._leave_out(f"{plan.source.name} {number} {stage}", error)
            else:
                tally.stages[stage] = number
        for alias, number in plan.aliases:
            try:
                client.set_alias(f"{plan.name}@{number}", alias, reason=reason)
            except GitModelError as error:
                self._leave_out(f"{plan.source.name} {alias}", error)
            else:
                tally.aliases[alias] = number
        return proposed

    def _propose(self, plan: ModelPlan, stage: str, number: int) -> None:
        subject = f"{plan.source.name} {number} {stage}"
        try:
            made = self._client.propose((f"{plan.name}@{number}", stage), reason=f"as in {self._reader.name}")
        except GitModelError as error:
            self._leave_out(subject, error)
        else:
            self.notes.append(Note("proposed", subject, f"{stage} needs a review: the branch is {made.branch}"))

    def _compare(self, plan: ModelPlan, version: SourceVersion) -> int:
        """Compare the files of *version*, which was imported before, with the artifact that the import made of them.

        If they differ, adds a note. If there is no such artifact, links the files to the version. Returns the number of
        artifacts that it linked: 1 or 0.
        """
        here = self._client.get_version(f"{plan.name}@{version.number}")
        subject = f"{plan.source.name} {version.number} artifact"
        held = next((link for link in here.view.record.artifacts if link.name == ARTIFACT), None)
        with self._files(plan, version) as path:
            if path is None:
                return 0
            if held is not None:
                now = content_digest(path)
                if now != held.digest:
                    kept = f"{held.digest[:19]} stays here, because artifacts are not replaced"
                    self.notes.append(Note("changed", subject, f"the source has {now[:19]} now; {kept}"))
                return 0
            try:
                here.link_artifact(ARTIFACT, path, kind="model")
            except GitModelError as error:
                self._leave_out(subject, error)
                return 0
        return 1

    def _leave_out(self, subject: str, error: GitModelError) -> None:
        self.notes.append(Note("left out", subject, f"{error.message}; {error.hint}" if error.hint else error.message))

    def _count(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _result(self, plan: ModelPlan, tally: _Tally) -> ImportedModel:
        gone = sum(version.is_deleted for version in plan.new)
        return ImportedModel(
            source=plan.source.name,
            name=plan.name,
            versions=len(plan.new) - gone - tally.refused,
            deleted=len(plan.gaps) + gone,
            known=len(plan.known),
            runs=tally.runs,
            artifacts=tally.artifacts,
            stages={stage: number for stage, number in tally.stages.items() if stage != ARCHIVED},
            aliases=tally.aliases,
        )


def _runs_of(client: Client, draft: Draft) -> tuple[RunRecord | str, ...]:
    """Return the run of *draft* for a new version: its record, or only its id if the registry already has this run."""
    run = draft.run
    if run is None:
        return ()
    known = client.writer.read(lambda snapshot: snapshot.files.read(paths.run_file(run.id)) is not None)
    return (run.id if known else run,)


def _subject(plan: ModelPlan, chunk: Sequence[SourceVersion], system: str) -> str:
    """Return the subject of the commit that adds the versions *chunk* from the system *system*."""
    if not chunk:
        return f"Import {plan.name} from {system}"
    first, last = chunk[0].number, chunk[-1].number
    return f"Import {plan.name} {first}" + (f" to {last}" if last != first else "") + f" from {system}"
