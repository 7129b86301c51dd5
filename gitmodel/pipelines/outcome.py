"""What a run does to the registry: which versions it works on, and the one commit it makes at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from gitmodel.client import Client
from gitmodel.domain import codec, paths, records
from gitmodel.domain import gates as gate_plans
from gitmodel.domain import models as model_plans
from gitmodel.domain import stages as stage_plans
from gitmodel.domain import versions as version_plans
from gitmodel.domain.description import read_description
from gitmodel.domain.names import fold
from gitmodel.domain.records import ArtifactLink, RunRecord, RunRules, VersionRecord
from gitmodel.domain.references import VersionRef
from gitmodel.domain.refs import reserved_ref
from gitmodel.domain.runs import plan_run
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.errors import Conflict, GateRefused, UsageError
from gitmodel.pipelines.config import ExternalArtifact, ModelConfig
from gitmodel.pipelines.graph import Graph
from gitmodel.pipelines.worker import Result
from gitmodel.registry.admission import judge
from gitmodel.registry.runs import fitting
from gitmodel.registry.writer import Batch
from gitmodel.storage.journal import Journal

log = logging.getLogger("gitmodel.pipelines")

_NO_DIGEST = "sha256:" + "0" * 64
# What else than links a version's record holds: metadata, description, code.
_RESERVE_BYTES = 8_192
_ANY_TIME = datetime.fromtimestamp(0, timezone.utc)


@dataclass(frozen=True)
class Target:
    """The version that a step works on: *new* if this run makes it, *again* if it goes on with a failed one.

    *artifacts* are the names of those that it has, or will have when the run succeeds.
    """

    config: ModelConfig
    model: str
    number: int
    name: str | None
    new: bool
    again: bool = False
    stages: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"{self.model}@{self.number}"

    @property
    def keeps_failed(self) -> bool:
        """Whether a failed run leaves the version, marked failed."""
        return not self.config.delete_new_version_on_failure

    def facts(self) -> dict[str, Any]:
        """What a worker is told of it."""
        return {
            "model": self.model,
            "number": self.number,
            "name": self.name,
            "new": self.new,
            "stages": list(self.stages),
            "artifacts": list(self.artifacts),
        }


@dataclass(frozen=True)
class Pinned:
    """What the names in a pipeline stood for when its run began: *targets* by step, *inputs* by step and parameter."""

    targets: dict[str, Target]
    inputs: dict[tuple[str, str], dict[str, Any]]


def pin(client: Client, pipeline: str, graph: Graph, default: ModelConfig | None, journal: Journal) -> Pinned:
    """Resolve every stage, name and version that the pipeline names, all at one moment, and reserve new numbers.

    Raises NotFound for an unknown version (saying what exists), Conflict and UsageError for configurations that
    disagree.
    """
    given = {node.name: node.step.model_config or default for node in graph.nodes.values()}
    chosen = {name: config for name, config in given.items() if config is not None}
    found = client.repository.read(lambda snapshot: _resolve(snapshot, graph, chosen))
    _report_differences(found)
    targets: dict[str, Target] = {}
    made: dict[str, Target] = {}
    for name, config in found.configs.items():
        key = _key(config)
        if key not in made:
            old = found.versions.get(key)
            if old is not None:
                names = tuple(link.name for link in old.artifacts)
                made[key] = Target(config, config.name, old.number, old.name, False, False, found.stages, names)
            else:
                steps = [step for step, other in found.configs.items() if _key(other) == key]
                names = _check_outputs(pipeline, graph, steps)
                number, again = _reserve(client, config, journal)
                made[key] = Target(config, config.name, number, config.new_name, True, again, found.stages, names)
        targets[name] = replace(made[key], config=config)
    return Pinned(targets, found.inputs)


class _Taken(Conflict):
    """A number that was reserved here is in use now: it came with a pull."""

    def __init__(self, target: Target) -> None:
        super().__init__(f"{target.reference} came from elsewhere meanwhile", hint="run the pipeline again")
        self.target = target


def commit_run(
    client: Client, record: RunRecord, targets: Mapping[str, Target], results: Mapping[str, Result]
) -> RunRecord | None:
    """Write the run and everything it made and planned in one commit; of a failed run, no stage and no metadata.

    Returns the record as it was written, None if the registry's rules do not want it. *results* are in the order in
    which their plans count. A new version whose number came with a pull meanwhile gets another.
    """
    while True:
        try:
            return _commit(client, record, targets, results)
        except _Taken as taken:
            old = taken.target
            number = client.repository.reserve(old.model, lambda snapshot, old=old: snapshot.next_number(old.model))  # type: ignore[misc]
            new = replace(old, number=number)
            log.warning("%s came from elsewhere while the run was under way; its version is %s", old.reference, number)
            targets = {
                step: replace(target, number=number) if target.reference == old.reference else target
                for step, target in targets.items()
            }
            results = {step: _renumbered(result, old, new) for step, result in results.items()}
            versions = {new.reference if name == old.reference else name for name in record.versions}
            record = replace(record, versions=tuple(sorted(versions)))


def _commit(
    client: Client, record: RunRecord, targets: Mapping[str, Target], results: Mapping[str, Result]
) -> RunRecord | None:
    chosen = {target.reference: target for target in targets.values()}
    rules = client.repository.snapshot().registry().runs or RunRules()
    succeeded = record.status == "succeeded"
    kept = [target for target in chosen.values() if target.reference in record.versions and target.new]
    plans = [plan for result in results.values() for plan in result["plans"]] if succeeded else []
    if rules.record == "versioned" and not (record.versions or plans):
        return None
    record = fitting(record, client.store)
    batch = Batch(client.repository, _subject(record, kept))
    refused: dict[str, None] = {}
    batch.transact(lambda snapshot: _forget(refused))
    for target in kept:
        draft = VersionRecord(
            target.number,
            record.finished,
            target.name,
            runs=(record.id,),
            failed=not succeeded,
            code=record.code,
            artifacts=_links(record, target, targets, results),
        )
        batch.transact(lambda snapshot, target=target, now=record.finished: _plan_model(snapshot, target, now))  # type: ignore[misc]
        batch.transact(lambda snapshot, target=target, draft=draft: _plan_version(snapshot, target, draft))  # type: ignore[misc]
    for target in chosen.values():
        if succeeded and not target.new:
            batch.transact(lambda snapshot, target=target: _plan_mention(snapshot, target, record.id))  # type: ignore[misc]
    for plan in plans:
        batch.transact(lambda snapshot, plan=plan: _plan(snapshot, plan, refused))  # type: ignore[misc]
    batch.transact(lambda snapshot: plan_run(snapshot, record))
    batch.commit()
    for message in refused:
        log.warning("%s; the run is recorded without it", message)
    return record


def _renumbered(result: Result, old: Target, new: Target) -> Result:
    plans = [
        {**plan, "number": new.number} if (plan.get("model"), plan.get("number")) == (old.model, old.number) else plan
        for plan in result["plans"]
    ]
    return {**result, "plans": plans}


def release_numbers(client: Client, targets: Iterable[Target], journal: Journal) -> None:
    """Drop the reservations of the run's models that the branch has caught up with, but those of living runs."""
    for model in sorted({target.model for target in targets if target.new}):
        folder = reserved_ref(model, 1).rpartition("/")[0]
        refs = client.repository.git.lines("for-each-ref", "--format=%(refname)", f"{folder}/*")
        numbers = [int(ref.rpartition("/")[2]) for ref in refs if ref.rpartition("/")[2].isdigit()]
        if not numbers:
            continue
        in_use = {name for noted in journal.living() for name in noted.get("reserved", ())}
        last = client.repository.read(lambda snapshot, model=model: snapshot.last_number(model))  # type: ignore[misc]
        client.repository.release(model, [n for n in numbers if f"{model}@{n}" not in in_use], last)


def _key(config: ModelConfig) -> str:
    return f"{fold(config.name)}@" if config.create_new_model_version else f"{config.name}@{config.selector}"


@dataclass
class _Found:
    """What one snapshot says of a pipeline's configurations (by step, with the models' present names) and inputs."""

    stages: tuple[str, ...]
    configs: dict[str, ModelConfig]
    inputs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, VersionRecord] = field(default_factory=dict)
    models: dict[str, records.ModelRecord] = field(default_factory=dict)


def _resolve(snapshot: Snapshot, graph: Graph, chosen: Mapping[str, ModelConfig]) -> _Found:
    configs = {
        name: config.model_copy(update={"name": snapshot.current_name(config.name)}) for name, config in chosen.items()
    }
    found = _Found(snapshot.registry().stage_names, configs)
    for node in graph.nodes.values():
        for parameter, value in node.inputs.items():
            if isinstance(value, ExternalArtifact):
                model, number = snapshot.resolve(value.ref)
                link = version_plans.artifact(snapshot.version(model, number), model, value.name)
                reference = {"digest": link.digest, "format": link.format, "materializer": ""}
                found.inputs[node.name, parameter] = {**reference, "trusted": value.trusted}
    for config in configs.values():
        key = _key(config)
        if not config.create_new_model_version:
            model, number = snapshot.resolve(VersionRef.of(config.name, config.selector))
            found.versions[key] = snapshot.version(model, number)
            continue
        _check_agreement(config, [other for other in configs.values() if _key(other) == key])
        record = _check_new(snapshot, config)
        if record is not None:
            found.models[key] = record
    return found


def _check_agreement(config: ModelConfig, others: list[ModelConfig]) -> None:
    for other in others:
        if (other.name, other.new_name) != (config.name, config.new_name):
            first, second = config.new_name or "no name", other.new_name or "no name"
            if config.name != other.name:
                first, second = config.name, other.name
            raise UsageError(
                f"two configurations disagree on the new version of {config.name}: {first} and {second}",
                hint="they share one version: give them one name",
            )


def _check_new(snapshot: Snapshot, config: ModelConfig) -> records.ModelRecord | None:
    """The model's record, or None if it has still to be made. Raises what making the new version would raise."""
    record = snapshot.load(paths.model_file(config.name), records.MODEL)
    if record is None:
        model_plans.plan_registration(snapshot, config.name, read_description(config.described()), now=_ANY_TIME)
    else:
        snapshot.model(config.name)
        if config.new_name and _failed(snapshot, config) is None:
            version_plans.check_free_name(snapshot, config.name, config.new_name)
    return record


def _failed(snapshot: Snapshot, config: ModelConfig) -> VersionRecord | None:
    """The version of a failed run that a run with *config* goes on with."""
    model = config.name
    number = snapshot.number_named(model, config.new_name) if config.new_name else snapshot.last_number(model)
    if not number:
        return None
    old = snapshot.version(model, number)
    return old if old.failed and old.deleted is None and old.name == config.new_name else None


def _reserve(client: Client, config: ModelConfig, journal: Journal) -> tuple[int, bool]:
    """The number for the new version, and whether it is that of a failed version to go on with."""
    again: set[int] = set()

    def take(snapshot: Snapshot) -> int:
        old = _failed(snapshot, config)
        if old is None:
            return snapshot.next_number(config.name)
        if not snapshot.is_reserved(config.name, old.number) or _is_stale(client, config.name, old.number, journal):
            again.add(old.number)
            return old.number
        if config.new_name:
            raise Conflict(
                f"another run goes on with {config.name} {config.new_name} now", hint="wait until it is over"
            )
        return snapshot.next_number(config.name)

    number = client.repository.reserve(config.name, take)
    return number, number in again


def _is_stale(client: Client, model: str, number: int, journal: Journal) -> bool:
    """Whether the reservation of a failed version is left of a run that was killed; then it is dropped."""
    if any(f"{model}@{number}" in noted.get("reserved", ()) for noted in journal.living()):
        return False
    client.repository.release(model, [number], number)
    return True


def _check_outputs(pipeline: str, graph: Graph, steps: list[str]) -> tuple[str, ...]:
    """The names of all outputs of *steps*. Raises UsageError for two of one name, or more than a version holds."""
    owners: dict[str, str] = {}
    size = _RESERVE_BYTES
    for step in steps:
        for name in graph.nodes[step].outputs:
            other = owners.setdefault(fold(name), step)
            if other != step:
                raise UsageError(
                    f"steps {other} and {step} both have an output called {name}",
                    hint='name them apart: -> Annotated[T, "name"]',
                )
            link = ArtifactLink(name, "deployment", _NO_DIGEST, 10**12, "safetensors", pipeline, step)
            size += len(codec.encode(records.LINK, link)) + len("[[artifacts]]\n\n")
    if size > codec.MAX_BYTES:
        raise UsageError(
            f"a version cannot hold the outputs of so many steps ({len(owners)})",
            hint="return several files as one folder, or leave steps without a model_config",
        )
    return tuple(name for step in steps for name in graph.nodes[step].outputs)


def _report_differences(found: _Found) -> None:
    """Say once of each model which fields of its configurations are not what the model's record says."""
    told: dict[str, dict[str, None]] = {}
    for config in found.configs.values():
        record = found.models.get(_key(config))
        if record is not None:
            given = read_description(config.described())
            fields = [field for field, value in given.items() if getattr(record, field) != value]
            told.setdefault(config.name, {}).update(dict.fromkeys(fields))
    for model, differing in told.items():
        if differing:
            log.warning(
                "%s of model %s differ from its ModelConfig; they stay as they are recorded (`git model update %s`)",
                ", ".join(differing),
                model,
                model,
            )


def _plan_model(snapshot: Snapshot, target: Target, now: Any) -> Change[str]:
    if snapshot.load(paths.model_file(target.model), records.MODEL) is not None:
        snapshot.model(target.model)
        return Change(target.model)
    return model_plans.plan_registration(snapshot, target.model, read_description(target.config.described()), now=now)


def _plan_version(snapshot: Snapshot, target: Target, draft: VersionRecord) -> Change[int]:
    if not target.again:
        if snapshot.load(paths.version_file(target.model, target.number), records.VERSION) is not None:
            raise _Taken(target)
        return version_plans.plan_version(snapshot, target.model, draft, reserved=target.number)

    def change(old: VersionRecord) -> VersionRecord:
        if not old.failed:
            raise Conflict(f"another run went on with {target.reference} meanwhile", hint="run the pipeline again")
        return replace(draft, created=old.created, name=old.name, runs=(*old.runs, *draft.runs), metadata=old.metadata)

    return version_plans.plan_change(
        snapshot, target.model, target.number, change, what=f"Go on with {target.reference}"
    )


def _plan_mention(snapshot: Snapshot, target: Target, run: str) -> Change[int]:
    """A run that works on an existing version is named in it; its outputs stay the run's, since links may be in use."""
    what = f"Name the run in {target.reference}"
    return version_plans.plan_change(
        snapshot, target.model, target.number, lambda old: replace(old, runs=(*old.runs, run)), what=what
    )


def _plan(snapshot: Snapshot, plan: Mapping[str, Any], refused: dict[str, None]) -> Change[Any]:
    if "ref" in plan:
        model, number = snapshot.resolve(VersionRef.parse(plan["ref"]))
    else:
        model, number = snapshot.current_name(plan["model"]), plan["number"]
    if plan["verb"] == "stage":
        return _plan_stage(snapshot, model, number, plan, refused)
    if plan["verb"] == "alias":
        return stage_plans.plan_alias(snapshot, model, number, plan["alias"], reason=plan["reason"])
    if plan["verb"] == "metadata":
        return version_plans.plan_metadata(snapshot, model, number, plan["values"], on=plan["on"])
    raise UsageError(
        f"a step planned {plan['verb']!a}, which gitmodel does not know", hint="use one gitmodel everywhere"
    )


def _forget(refused: dict[str, None]) -> Change[None]:
    # All plans are made again when somebody was first, and then another promotion may be refused.
    refused.clear()
    return Change(None)


def _plan_stage(
    snapshot: Snapshot, model: str, number: int, plan: Mapping[str, Any], refused: dict[str, None]
) -> Change[Any]:
    reason = plan["reason"]
    force = bool(plan.get("force")) and bool(reason.strip())  # without a reason nothing is forced
    try:
        return gate_plans.plan_gated_promotion(
            snapshot, model, number, judge, to=plan["stage"], reason=reason, force=force
        )
    except GateRefused as error:  # what was trained is worth more than where it was to go
        refused[error.message] = None
        return Change(None)


def _links(
    record: RunRecord, target: Target, targets: Mapping[str, Target], results: Mapping[str, Result]
) -> tuple[ArtifactLink, ...]:
    """The outputs of the steps that work on *target*, as links."""
    return tuple(
        ArtifactLink(
            output["name"],
            output["kind"],
            output["digest"],
            output["size"],
            output["format"],
            pipeline=record.pipeline,
            step=step,
        )
        for step, result in results.items()
        if step in targets and targets[step].reference == target.reference
        for output in result["outputs"]
    )


def _subject(record: RunRecord, kept: list[Target]) -> str:
    made = " and ".join(f"{target.model} {target.number}" for target in kept)
    status = "" if record.status == "succeeded" else f" ({record.status})"
    return f"Run {record.pipeline}{status}" + (f": add {made}" if made else "")
