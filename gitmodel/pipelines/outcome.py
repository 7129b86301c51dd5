"""What a run does to the registry: which versions it works on, and the one commit it makes at its end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gitmodel.client import Client
from gitmodel.domain import models as model_plans
from gitmodel.domain import paths, records
from gitmodel.domain import stages as stage_plans
from gitmodel.domain import versions as version_plans
from gitmodel.domain.description import read_description
from gitmodel.domain.records import ArtifactLink, RunRecord, RunRules, VersionRecord
from gitmodel.domain.references import VersionRef
from gitmodel.domain.runs import plan_run
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.errors import Conflict, UsageError
from gitmodel.pipelines.config import ModelConfig
from gitmodel.pipelines.graph import Graph
from gitmodel.pipelines.worker import Result
from gitmodel.registry.writer import Batch

log = logging.getLogger("gitmodel.pipelines")


@dataclass(frozen=True)
class Target:
    """The version that a step works on: *new* if this run makes it, *again* if it goes on with a failed one."""

    config: ModelConfig
    model: str
    number: int
    name: str | None
    new: bool
    again: bool = False

    @property
    def reference(self) -> str:
        return f"{self.model}@{self.number}"

    @property
    def keeps_failed(self) -> bool:
        """Whether a failed run leaves the version, marked failed."""
        return not self.config.delete_new_version_on_failure

    def facts(self) -> dict[str, Any]:
        """What a worker is told of it."""
        return {"model": self.model, "number": self.number, "name": self.name, "new": self.new}


def find_targets(client: Client, graph: Graph, default: ModelConfig | None) -> dict[str, Target]:
    """The version of each step, by the step's name: a stage is resolved once and pinned, a new number is reserved once.

    Raises NotFound for an unknown version (saying what exists), Conflict for configurations that disagree.
    """
    found: dict[tuple[str, str], Target] = {}
    targets: dict[str, Target] = {}
    for node in graph.nodes.values():
        config = node.step.model_config or default
        if config is None:
            continue
        key = (config.name, "" if config.create_new_model_version else config.selector)
        if key not in found:
            found[key] = _new_target(client, config) if config.create_new_model_version else _old_target(client, config)
        elif config.create_new_model_version and config.new_name not in (None, found[key].name):
            raise Conflict(
                f"two configurations name the new version of {config.name}: {found[key].name} and {config.new_name}",
                hint="give them one name",
            )
        targets[node.name] = found[key]
    return targets


def commit_run(client: Client, record: RunRecord, targets: Mapping[str, Target], results: Mapping[str, Result]) -> None:
    """Write the run and everything it made and planned in one commit; of a failed run, no stage and no link."""
    chosen = {target.reference: target for target in targets.values()}
    rules = client.repository.snapshot().registry().runs or RunRules()
    succeeded = record.status == "succeeded"
    kept = [target for target in chosen.values() if target.new and (succeeded or target.keeps_failed)]
    if not kept and not (succeeded and chosen) and rules.record == "versioned":
        return
    batch = Batch(client.repository, _subject(record, kept))
    now = client.writer.moment()
    for target in kept:
        batch.transact(lambda snapshot, target=target: _plan_model(snapshot, target, now))  # type: ignore[misc]
        links = _links(record, target, targets, results) if succeeded else ()
        draft = VersionRecord(
            target.number, now, target.name, runs=(record.id,), failed=not succeeded, code=record.code, artifacts=links
        )
        batch.transact(lambda snapshot, target=target, draft=draft: _plan_version(snapshot, target, draft))  # type: ignore[misc]
    if succeeded:
        for target in chosen.values():
            if not target.new:
                batch.transact(lambda snapshot, target=target: _plan_mention(snapshot, target, record.id))  # type: ignore[misc]
        for result in results.values():
            for plan in result["plans"]:
                batch.transact(lambda snapshot, plan=plan: _plan(snapshot, plan))  # type: ignore[misc]
    batch.transact(lambda snapshot: plan_run(snapshot, record))
    batch.commit()
    for target in kept:
        client.repository.release(target.model, [target.number], target.number)


def _new_target(client: Client, config: ModelConfig) -> Target:
    def question(snapshot: Snapshot) -> tuple[str, Target | None]:
        name = snapshot.current_name(config.name)
        record = snapshot.load(paths.model_file(name), records.MODEL)
        if record is None:
            return name, None
        snapshot.model(name)
        _report_differences(config, record)
        last = snapshot.last_number(name)
        number = snapshot.number_named(name, config.new_name) if config.new_name else last or None
        old = snapshot.version(name, number) if number else None
        if old is not None and old.failed and old.deleted is None:
            return name, Target(config, name, old.number, old.name, new=True, again=True)
        if config.new_name:
            version_plans.check_free_name(snapshot, name, config.new_name)
        return name, None

    model, again = client.repository.read(question)
    if again is not None:
        return again
    number = client.repository.reserve(model, lambda snapshot: snapshot.next_number(model))
    return Target(config, model, number, config.new_name, new=True)


def _old_target(client: Client, config: ModelConfig) -> Target:
    ref = VersionRef.of(config.name, config.selector)
    model, number = client.repository.read(lambda snapshot: snapshot.resolve(ref))
    record = client.repository.read(lambda snapshot: snapshot.version(model, number))
    return Target(config, model, number, record.name, new=False)


def _report_differences(config: ModelConfig, record: records.ModelRecord) -> None:
    given = read_description(config.described())
    differing = [field for field, value in given.items() if getattr(record, field) != value]
    if differing:
        log.warning(
            "%s of model %s differ from the ModelConfig; they stay as they are recorded",
            ", ".join(differing),
            config.name,
        )


def _plan_model(snapshot: Snapshot, target: Target, now: Any) -> Change[str]:
    if snapshot.load(paths.model_file(target.model), records.MODEL) is not None:
        snapshot.model(target.model)
        return Change(target.model)
    return model_plans.plan_registration(snapshot, target.model, read_description(target.config.described()), now=now)


def _plan_version(snapshot: Snapshot, target: Target, draft: VersionRecord) -> Change[int]:
    if not target.again:
        return version_plans.plan_version(snapshot, target.model, draft, reserved=target.number)

    def change(old: VersionRecord) -> VersionRecord:
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


def _plan(snapshot: Snapshot, plan: Mapping[str, Any]) -> Change[Any]:
    model, number = plan["model"], plan["number"]
    if plan["verb"] == "stage":
        return stage_plans.plan_promotion(snapshot, model, number, to=plan["stage"], reason=plan["reason"])
    if plan["verb"] == "alias":
        return stage_plans.plan_alias(snapshot, model, number, plan["alias"], reason=plan["reason"])
    if plan["verb"] == "metadata":
        return version_plans.plan_metadata(snapshot, model, number, plan["values"], on=plan["on"])
    raise UsageError(
        f"a step planned {plan['verb']!a}, which gitmodel does not know", hint="use one gitmodel everywhere"
    )


def _links(
    record: RunRecord, target: Target, targets: Mapping[str, Target], results: Mapping[str, Result]
) -> tuple[ArtifactLink, ...]:
    """The outputs of the steps that work on *target*, as links; the last of a name counts as another artifact."""
    links: dict[str, ArtifactLink] = {}
    for step, result in results.items():
        if targets.get(step) is None or targets[step].reference != target.reference:
            continue
        for output in result["outputs"]:
            name = output["name"] if output["name"] not in links else f"{step}-{output['name']}"
            links[name] = ArtifactLink(
                name,
                output["kind"],
                output["digest"],
                output["size"],
                output["format"],
                pipeline=record.pipeline,
                step=step,
            )
    return tuple(links.values())


def _subject(record: RunRecord, kept: list[Target]) -> str:
    made = " and ".join(f"{target.model} {target.number}" for target in kept)
    status = "" if record.status == "succeeded" else f" ({record.status})"
    return f"Run {record.pipeline}{status}" + (f": add {made}" if made else "")
