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
from gitmodel.client.opening.by_url import in_ci
from gitmodel.domain.arguments.description import read_description
from gitmodel.domain.changes import models as model_plans
from gitmodel.domain.changes import stages as stage_plans
from gitmodel.domain.changes import versions as version_plans
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.runs import plan_run, with_versions
from gitmodel.domain.changes.stage_changes import refuse_emptied
from gitmodel.domain.rules import gates as gate_plans
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.records import ArtifactLink, RunRecord, RunRules, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.secrets.credentials import without_credentials
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, ForeignTag, GitModelError, NotFound, Refused, Unsigned, UsageError
from gitmodel.pipelines.active_runs.pinned_references import Target
from gitmodel.pipelines.caching.dependencies import are_kept, are_stored
from gitmodel.pipelines.step_context.step_results import (
    AliasPlan,
    MetadataPlan,
    Plan,
    StagePlan,
    StepResult,
    UpdatePlan,
)
from gitmodel.registry.promotion.in_force import judge
from gitmodel.registry.recorded_runs.new_runs import is_recorded, keep_packages
from gitmodel.registry.recorded_runs.run_details import store_details
from gitmodel.registry.writing.batch import Batch
from gitmodel.stores.interface import ArtifactStore

log = logging.getLogger("gitmodel.pipelines")

_NOTHING: Mapping[str, str] = {}


class _NumberTaken(Conflict):
    """A pull fetched another version that has the number of the run's new version."""

    def __init__(self, target: Target) -> None:
        super().__init__(
            f"a pull brought another version {target.reference} during the run", hint="run the pipeline again"
        )
        self.target = target


def commit_run(
    client: Client, record: RunRecord, targets: Mapping[str, Target], results: Mapping[str, StepResult]
) -> RunRecord | None:
    """Commit the run, its versions and its planned changes. Leave out the planned changes of a failed run.

    Returns the record as gitmodel wrote it; None if the rules of the registry exclude records of such runs. Applies the
    planned changes in the order of *results*. If a pull took the number of a new version meanwhile, gives the version
    another number.
    """
    renumbered: dict[Numbered, Numbered] = {}
    while True:
        try:
            return _commit(client, record, targets, results, renumbered)
        except _NumberTaken as taken:
            old = taken.target
            new = _reserve_again(client.repository, old)
            # Maps the number that the steps know to the newest number, also after several changes of the number.
            was, now = old.numbered, new.numbered
            renumbered = {told: now if found == was else found for told, found in renumbered.items()} | {was: now}
            log.warning("%s; its version is %s", taken.message, new.reference)
            targets = {
                step: replace(target, model=new.model, number=new.number, since=new.since)
                if target.reference == old.reference
                else target
                for step, target in targets.items()
            }
            results = {step: _renumbered(result, old, new) for step, result in results.items()}
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
    """Try once to commit the run. Leave out the planned changes of the stages and aliases in *left_out*.

    *left_out* maps a stage or alias to the reason for leaving it out. The key "" stands for all stages.
    """
    chosen = {target.reference: target for target in targets.values()}
    rules = client.repository.snapshot().registry().require("runs").runs or RunRules()
    succeeded = record.status == "succeeded"
    kept = [target for target in chosen.values() if target.reference in record.versions and target.new]
    plans = [plan for result in results.values() for plan in result.plans] if succeeded else []
    withheld = _withheld(targets, results)
    plans = [plan for plan in plans if not _is_left_out(plan, left_out) and not _is_of_withheld(plan, withheld)]
    has_journal = not (client.repository.url or in_ci(os.environ))
    if not is_recorded(rules, record, changes=bool(plans), has_journal=has_journal):
        return None
    if succeeded:
        keep_packages(client.store)  # again, because `store gc` may have deleted the list since the start of the run
        _check_outputs(client.access.everywhere(), results)
    record = store_details(record, client.store)
    batch = Batch(client.repository, _subject(record, kept))
    refused: dict[str, None] = {}
    batch.transact(lambda snapshot: _clear_refusals(refused))
    for target in kept:
        draft = VersionRecord(
            number=target.number,
            created=record.finished,
            name=target.name,
            runs=(record.id,),
            failed=not succeeded,
            code=record.code,
            **_described(target),
            artifacts=_output_links(record, target, targets, results),
        )
        batch.transact(partial(_plan_model, target=target, now=record.finished))
        batch.transact(partial(_plan_version, target=target, draft=draft))
    for target in chosen.values():
        if succeeded and not target.new:
            batch.transact(partial(_plan_mention, target=target, run=record.id))
    for plan in plans:
        batch.transact(partial(_plan_change, plan=plan, chosen=chosen, refused=refused))
    batch.transact(lambda snapshot: replace(_plan_record(snapshot, record, chosen), renumbered=renumbered))
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


def _is_left_out(plan: Plan, left_out: Mapping[str, str]) -> bool:
    if isinstance(plan, StagePlan):
        return "" in left_out or plan.stage in left_out
    return isinstance(plan, AliasPlan) and plan.alias in left_out


def _withheld(targets: Mapping[str, Target], results: Mapping[str, StepResult]) -> frozenset[tuple[Numbered, str]]:
    """Return the version and name of each output of a new version that was not stored because of credentials."""
    return frozenset(
        (targets[step].numbered, name)
        for step, result in results.items()
        if step in targets and targets[step].new
        for name in result.withheld
    )


def _is_of_withheld(plan: Plan, withheld: frozenset[tuple[Numbered, str]]) -> bool:
    """Return True if *plan* sets metadata of an output that was not stored."""
    return isinstance(plan, MetadataPlan) and (plan.of, plan.artifact) in withheld


def _check_outputs(store: ArtifactStore, results: Mapping[str, StepResult]) -> None:
    """Raise Conflict if the store lost an output during the run. Verifies the bytes of the outputs of cached steps."""
    for step, result in results.items():
        cached = result.status == "cached"
        there = are_stored(store, result.outputs, read_servers=False) if cached else are_kept(store, result.outputs)
        if not there:
            raise Conflict(
                f"{'a cached' if cached else 'an'} output of step {step} was removed from {store.url} during the run",
                hint="run the pipeline again",
            )


def _reserve_again(repository: Repository, target: Target) -> Target:
    """Reserve another number for the new version *target*. Return it with this number and its model's current name."""

    def question(snapshot: Snapshot) -> tuple[str, int]:
        return snapshot.current_name(snapshot.follow(target.model_ref)[0]), snapshot.renumberings.count

    model, since = repository.read(question)
    number = reserve(repository, model, lambda snapshot: snapshot.next_number(model))
    return replace(target, model=model, number=number, since=since)


def _renumbered(result: StepResult, old: Target, new: Target) -> StepResult:
    plans = (replace(plan, of=new.numbered) if plan.of == old.numbered else plan for plan in result.plans)
    return replace(result, plans=tuple(plans))


def _described(target: Target) -> dict[str, Any]:
    """Return the description and tags of a new version, without text that looks like a credential."""
    given = {"description": target.config.version_description, "tags": target.config.version_tags}
    kept, found = without_credentials({name: value for name, value in given.items() if value})
    for field, what in found:
        log.warning("version_%s of model %s looks like %s, and is left out", field, target.model, what)
    return {
        "description": codec.text(kept.get("description", "")),
        "tags": tuple(sorted(set(kept.get("tags", ())))),
    }


def _plan_model(snapshot: Snapshot, target: Target, now: Any) -> Change[str]:
    if snapshot.follow(target.model_ref)[0] != target.model:
        raise _NumberTaken(target)
    model = snapshot.current_name(target.model)  # a pull may have renamed the model during the run
    if snapshot.load(paths.model_file(model), records.ModelRecord) is not None:
        snapshot.model(model)
        return Change(model)
    described = without_credentials(target.config.described())[0]
    return model_plans.plan_registration(snapshot, target.model, read_description(described), now=now)


def _plan_version(snapshot: Snapshot, target: Target, draft: VersionRecord) -> Change[int]:
    model = snapshot.current_name(target.model)
    if not target.again:
        if snapshot.load(paths.version_file(model, target.number), records.VersionRecord) is not None:
            raise _NumberTaken(target)
        made = version_plans.plan_version(snapshot, model, draft, reserved=target.number)
        return replace(made, settled=target.settled & snapshot.renumberings.noted_references)

    def change(old: VersionRecord) -> VersionRecord:
        if not old.failed:
            raise Conflict(f"another run changed {target.reference} in the meantime", hint="run the pipeline again")
        return replace(draft, created=old.created, name=old.name, runs=(*old.runs, *draft.runs), metadata=old.metadata)

    return version_plans.plan_change(snapshot, model, target.number, change, what=f"Go on with {target.reference}")


def _plan_mention(snapshot: Snapshot, target: Target, run: str) -> Change[int]:
    """Plan to name the run in the record of an existing version.

    The artifacts of the version stay, because others may use them. The record of the run has the outputs.
    """
    model, number = snapshot.resolve(target.ref)
    change = version_plans.plan_change(
        snapshot,
        model,
        number,
        lambda old: replace(old, runs=(*old.runs, run)),
        what=f"Name the run in {model}@{number}",
    )
    return replace(change, settled=target.settled & snapshot.renumberings.noted_references)


def _plan_record(snapshot: Snapshot, record: RunRecord, chosen: Mapping[str, Target]) -> Change[str]:
    """Plan to write the record of the run. It names versions that a pull renumbered by their current numbers."""

    def now(target: Target) -> str | None:
        try:
            model, number = snapshot.resolve(target.ref)
        except GitModelError:  # raised if the version was deleted during the run
            return None
        return f"{model}@{number}"

    named = {reference: now(target) for reference, target in chosen.items() if not target.new}
    return plan_run(snapshot, with_versions(record, lambda reference: named.get(reference, reference)))


def _plan_change(snapshot: Snapshot, plan: Plan, chosen: Mapping[str, Target], refused: dict[str, None]) -> Change[Any]:
    if isinstance(plan.of, VersionRef):
        try:
            model, number, settled = snapshot.resolve_to_change(plan.of)
        except (Refused, UsageError) as error:  # not raised: the run is recorded without this metadata
            refused[f"{error.message}; {error.hint}"] = None
            return Change(None)
        return replace(_plan_verb(snapshot, model, number, plan, refused), settled=settled)
    model, number = plan.of
    target = chosen.get(f"{model}@{number}")
    if target is not None and not target.new:
        model, number = snapshot.resolve(target.ref)
    else:
        model = snapshot.current_name(model)
    return _plan_verb(snapshot, model, number, plan, refused)


def _plan_verb(snapshot: Snapshot, model: str, number: int, plan: Plan, refused: dict[str, None]) -> Change[Any]:
    if isinstance(plan, StagePlan):
        return _plan_stage(snapshot, model, number, plan, refused)
    if isinstance(plan, AliasPlan):
        return stage_plans.plan_alias(snapshot, model, number, plan.alias, reason=plan.reason)
    if isinstance(plan, UpdatePlan):
        return _plan_update(snapshot, model, number, plan, refused)
    return version_plans.plan_metadata(snapshot, model, number, plan.values, on=plan.artifact)


def _plan_update(
    snapshot: Snapshot, model: str, number: int, plan: UpdatePlan, refused: dict[str, None]
) -> Change[Any]:
    try:
        return version_plans.plan_version_update(
            snapshot, model, number, name=plan.name, description=plan.description, tags=plan.tags
        )
    except (Refused, Conflict, NotFound, UsageError) as error:  # not raised: the run is recorded without this change
        refused[f"{error.message} ({error.hint})"] = None
        return Change(None)


def _clear_refusals(refused: dict[str, None]) -> Change[None]:
    # After a concurrent change, gitmodel plans the commit again, and may refuse other promotions.
    refused.clear()
    return Change(None)


def _plan_stage(snapshot: Snapshot, model: str, number: int, plan: StagePlan, refused: dict[str, None]) -> Change[Any]:
    reason = plan.why.reason
    why = Justification(reason, plan.why.force and bool(reason.strip()))  # without a reason, force has no effect
    try:
        change = gate_plans.plan_gated_promotion(
            snapshot, model, number, judge, to=plan.stage, why=why, leave=plan.leave
        )
        refuse_emptied(snapshot, change)
        # `plan_together` must not refuse: each promotion was checked alone, so that a refusal does not stop the whole
        # commit
        return replace(change, may_empty=frozenset(StageRef(model, name) for name in snapshot.registry().stage_names))
    except Refused as error:  # not raised: the run is recorded without the promotion
        refused[f"{error.message} ({error.hint})"] = None
        return Change(None)


def _output_links(
    record: RunRecord, target: Target, targets: Mapping[str, Target], results: Mapping[str, StepResult]
) -> tuple[ArtifactLink, ...]:
    """Return artifact links to the outputs of the steps that work on *target*."""
    return tuple(
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
    )


def _subject(record: RunRecord, kept: list[Target]) -> str:
    made = " and ".join(f"{target.model} {target.number}" for target in kept)
    status = "" if record.status == "succeeded" else f" ({record.status})"
    return f"Run {record.pipeline}{status}" + (f": add {made}" if made else "")
