"""The commit at the end of a run: the record of the run, the new versions, and the changes that steps planned."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.transaction import reserve
from gitmodel.client import Client
from gitmodel.client.opening.url_settings import in_ci
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import toml_values
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.records import ArtifactLink, RunRecord, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.domain.secrets.credentials import without_credentials
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, ForeignTag, Unsigned
from gitmodel.pipelines.active_runs.run_records import ActiveRun
from gitmodel.pipelines.active_runs.target_versions import Target
from gitmodel.pipelines.caching.dependencies import are_kept, are_stored
from gitmodel.pipelines.execution.run_changes import (
    NumberTaken,
    plan_change,
    plan_mention,
    plan_model,
    plan_new_version,
    plan_record,
)
from gitmodel.pipelines.step_context.step_results import AliasPlan, MetadataPlan, Plan, StagePlan, StepResult
from gitmodel.registry.recorded_runs.new_runs import is_recorded, keep_packages
from gitmodel.registry.recorded_runs.run_details import store_details
from gitmodel.registry.writing.batch import Batch
from gitmodel.stores.interface import ArtifactStore

log = logging.getLogger("gitmodel.pipelines")

_NOTHING: Mapping[str, str] = {}


def commit_run(client: Client, record: RunRecord, active: ActiveRun) -> RunRecord | None:
    """Commit the run *active*: its *record*, its new versions, and, if it succeeded, the steps' planned changes.

    Returns the record as gitmodel wrote it; None if the rules of the registry say that this run is not recorded, so
    that nothing was written. Applies the planned changes in the order of their steps in `active.order`. If a pull
    took the number of a new version during the run, gives the version another number.
    """
    targets: Mapping[str, Target] = active.targets
    results = {name: active.results[name] for name in active.order if name in active.results}
    renumbered: dict[Numbered, Numbered] = {}
    while True:
        try:
            return _commit(client, record, targets, results, renumbered)
        except NumberTaken as taken:
            old = taken.target
            new = _reserve_again(client.repository, old)
            # Maps the number that the steps used to the current number, even if pulls took several numbers in turn.
            was, now = old.numbered, new.numbered
            renumbered = {told: now if found == was else found for told, found in renumbered.items()} | {was: now}
            log.warning("%s; its version is %s", taken.message, new.reference)
            targets = {
                step: replace(target, model=new.model, number=new.number, since=new.since)
                if target.reference == old.reference
                else target
                for step, target in targets.items()
            }
            for step, result in results.items():
                plans = (replace(plan, of=new.numbered) if plan.of == was else plan for plan in result.plans)
                results[step] = replace(result, plans=tuple(plans))
            versions = {new.reference if name == old.reference else name for name in record.versions}
            record = replace(record, versions=tuple(sorted(versions)))


def _commit(
    client: Client,
    record: RunRecord,
    targets: Mapping[str, Target],
    results: Mapping[str, StepResult],
    renumbered: Mapping[Numbered, Numbered],
    left_out: Mapping[str, str] = _NOTHING,
) -> RunRecord | None:
    """Commit the run. Leave out the planned changes of the stages and aliases in *left_out*.

    *left_out* maps a stage or alias to the reason for leaving it out. The key "" stands for all stages. *renumbered*
    maps the numbers that the steps used to the current numbers. If a required signature cannot be made or would not
    count, tries again without all stages. If a tag that gitmodel did not create has the name of a stage tag, tries
    again without this stage or alias. Raises NumberTaken if a pull took the number of a new version.
    """
    chosen = {target.reference: target for target in targets.values()}
    rules = client.repository.snapshot().registry().require("runs").runs or RunRules()
    succeeded = record.status == "succeeded"
    kept = [target for target in chosen.values() if target.reference in record.versions and target.new]
    plans = _planned_changes(targets, results, left_out) if succeeded else []
    has_journal = not (client.repository.url or in_ci(os.environ))
    if not is_recorded(rules, record, changes=bool(plans), has_journal=has_journal):
        return None
    if succeeded:
        keep_packages(client.store)  # again, because `store gc` may have deleted this list during the run
        _check_outputs(client.access.everywhere(), results)
    record = store_details(record, client.store)
    batch = Batch(client.repository, _subject(record, kept))
    refused: dict[str, None] = {}

    def clear_refusals(snapshot: Snapshot) -> Change[None]:
        refused.clear()  # after a concurrent change of the branch, gitmodel plans again, and may refuse other changes
        return Change(None)

    batch.transact(clear_refusals)
    for target in kept:
        draft = _draft(record, target, targets, results)
        batch.transact(partial(plan_model, target=target, now=record.finished))
        batch.transact(partial(plan_new_version, target=target, draft=draft))
    for target in chosen.values():
        if succeeded and not target.new:
            batch.transact(partial(plan_mention, target=target, run=record.id))
    for plan in plans:
        batch.transact(partial(plan_change, plan=plan, chosen=chosen, refused=refused))
    batch.transact(lambda snapshot: replace(plan_record(snapshot, record, chosen), renumbered=renumbered))
    try:
        batch.commit()
    except (Unsigned, ForeignTag) as error:
        place = error.place if isinstance(error, ForeignTag) else ""
        more = {**left_out, place: error.message}
        if not any(_is_left_out(plan, more) for plan in plans):
            raise
        return _commit(client, record, targets, results, renumbered, more)
    for target in kept:
        for field, what in without_credentials(target.config.described())[1]:
            log.warning("%s of model %s looks like %s, and is left out", field, target.model, what)
    for message in [*refused, *left_out.values()]:
        log.warning("%s; the run is recorded without it", message)
    return record


def _planned_changes(
    targets: Mapping[str, Target], results: Mapping[str, StepResult], left_out: Mapping[str, str]
) -> list[Plan]:
    """Return the changes that steps planned, in the order of *results*.

    Leaves out changes of the stages and aliases in *left_out*, and metadata of outputs that were not stored because
    they seemed to hold credentials.
    """
    withheld = {
        (targets[step].numbered, name)
        for step, result in results.items()
        if step in targets and targets[step].new
        for name in result.withheld
    }
    return [
        plan
        for result in results.values()
        for plan in result.plans
        if not _is_left_out(plan, left_out)
        and not (isinstance(plan, MetadataPlan) and (plan.of, plan.artifact) in withheld)
    ]


def _draft(
    record: RunRecord, target: Target, targets: Mapping[str, Target], results: Mapping[str, StepResult]
) -> VersionRecord:
    """Return the record of the new version *target*, with the outputs of the steps that work on it as artifacts."""
    links = [
        ArtifactLink(
            name=output.name,
            kind=output.kind,
            digest=output.digest,
            size=output.size,
            format=output.format,
            needs_trust=output.needs_trust,
            file=output.file,
            pipeline=record.pipeline,
            step=step,
        )
        for step, result in results.items()
        if step in targets and targets[step].reference == target.reference
        for output in result.outputs
    ]
    return VersionRecord(
        number=target.number,
        created=record.finished,
        name=target.name,
        runs=(record.id,),
        failed=record.status != "succeeded",
        code=record.code,
        **_described(target),
        artifacts=tuple(links),
    )


def _is_left_out(plan: Plan, left_out: Mapping[str, str]) -> bool:
    if isinstance(plan, StagePlan):
        return "" in left_out or plan.stage in left_out
    return isinstance(plan, AliasPlan) and plan.alias in left_out


def _check_outputs(store: ArtifactStore, results: Mapping[str, StepResult]) -> None:
    """Raise Conflict if the store lost an output during the run.

    Verifies the bytes of the outputs of cached steps, except of those on servers.
    """
    for step, result in results.items():
        cached = result.status == "cached"
        there = are_stored(store, result.outputs, read_servers=False) if cached else are_kept(store, result.outputs)
        if not there:
            raise Conflict(
                f"{'a cached' if cached else 'an'} output of step {step} was removed from {store.url} during the run",
                hint="run the pipeline again",
            )


def _reserve_again(repository: Repository, target: Target) -> Target:
    """Reserve another number for the new version *target*. Return *target* with this number."""

    def question(snapshot: Snapshot) -> tuple[str, int]:
        return snapshot.current_name(snapshot.follow(target.model_ref)[0]), snapshot.renumberings.count

    model, since = repository.read(question)
    number = reserve(repository, model, lambda snapshot: snapshot.next_number(model))
    return replace(target, model=model, number=number, since=since)


def _described(target: Target) -> dict[str, Any]:
    """Return the description and tags of the new version *target*. Leave out text that looks like a credential."""
    given = {"description": target.config.version_description, "tags": target.config.version_tags}
    kept, found = without_credentials({name: value for name, value in given.items() if value})
    for field, what in found:
        log.warning("version_%s of model %s looks like %s, and is left out", field, target.model, what)
    return {
        "description": toml_values.text(kept.get("description", "")),
        "tags": tuple(sorted(set(kept.get("tags", ())))),
    }


def _subject(record: RunRecord, created: list[Target]) -> str:
    made = " and ".join(f"{target.model} {target.number}" for target in created)
    status = "" if record.status == "succeeded" else f" ({record.status})"
    return f"Run {record.pipeline}{status}" + (f": add {made}" if made else "")
