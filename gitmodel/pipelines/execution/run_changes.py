"""Planning the changes of a run on a snapshot: new models and versions, the record, and the steps' planned changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitmodel.domain.arguments.description import read_description
from gitmodel.domain.changes import models as model_plans
from gitmodel.domain.changes import stages as stage_plans
from gitmodel.domain.changes import versions as version_plans
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.refused_stage_changes import refuse_emptied
from gitmodel.domain.changes.runs import plan_run, with_versions
from gitmodel.domain.rules import gates as gate_plans
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.records import RunRecord, VersionRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.secrets.credentials import without_credentials
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, UsageError
from gitmodel.pipelines.active_runs.target_versions import Target
from gitmodel.pipelines.step_context.step_results import AliasPlan, Plan, StagePlan, UpdatePlan
from gitmodel.registry.promotion.judging import judge


class NumberTaken(Conflict):
    """During the run, a pull fetched another version with the number that the run reserved for its new version."""

    def __init__(self, target: Target) -> None:
        super().__init__(
            f"a pull brought another version {target.reference} during the run", hint="run the pipeline again"
        )
        self.target = target


def plan_model(snapshot: Snapshot, target: Target, now: Any) -> Change[str]:
    """Plan to register the model of the new version *target*, if the model does not exist yet.

    Raises NumberTaken if a pull has given the name of this model to another model.
    """
    if snapshot.follow(target.model_ref)[0] != target.model:
        raise NumberTaken(target)
    model = snapshot.current_name(target.model)  # a pull may have renamed the model during the run
    if snapshot.load(paths.model_file(model), records.ModelRecord) is not None:
        snapshot.model(model)
        return Change(model)
    described = without_credentials(target.config.described())[0]
    return model_plans.plan_registration(snapshot, target.model, read_description(described), now=now)


def plan_new_version(snapshot: Snapshot, target: Target, draft: VersionRecord) -> Change[int]:
    """Plan to create the version *target* with the record *draft*.

    If the run continues a failed version, plans to replace the record of this version. Raises NumberTaken if another
    version has the number, Conflict if another run changed the failed version.
    """
    model = snapshot.current_name(target.model)
    if not target.continues:
        if snapshot.load(paths.version_file(model, target.number), records.VersionRecord) is not None:
            raise NumberTaken(target)
        made = version_plans.plan_version(snapshot, model, draft, reserved=target.number)
        return replace(made, settled=target.settled & snapshot.renumberings.noted_references)

    def change(old: VersionRecord) -> VersionRecord:
        if not old.failed:
            raise Conflict(f"another run changed {target.reference} in the meantime", hint="run the pipeline again")
        return replace(draft, created=old.created, name=old.name, runs=(*old.runs, *draft.runs), metadata=old.metadata)

    return version_plans.plan_change(snapshot, model, target.number, change, what=f"Go on with {target.reference}")


def plan_mention(snapshot: Snapshot, target: Target, run: str) -> Change[int]:
    """Plan to add the id *run* to the record of *target*, a version that existed before the run.

    The artifacts of the version stay unchanged, because other people may use them. The record of the run has the
    outputs.
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


def plan_record(snapshot: Snapshot, record: RunRecord, chosen: Mapping[str, Target]) -> Change[str]:
    """Plan to write *record*, the record of the run, with the current numbers of versions that a pull renumbered.

    *chosen* has the versions that steps work on, by `Target.reference`.
    """

    def now(target: Target) -> str | None:
        try:
            model, number = snapshot.resolve(target.ref)
        except GitModelError:  # raised if the version was deleted during the run
            return None
        return f"{model}@{number}"

    named = {reference: now(target) for reference, target in chosen.items() if not target.new}
    return plan_run(snapshot, with_versions(record, lambda reference: named.get(reference, reference)))


def plan_change(snapshot: Snapshot, plan: Plan, chosen: Mapping[str, Target], refused: dict[str, None]) -> Change[Any]:
    """Plan the change *plan* of a step. If a rule refuses this change, plan nothing, and add the reason to *refused*.

    *chosen* has the versions that steps work on, by `Target.reference`.
    """
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


def _plan_stage(snapshot: Snapshot, model: str, number: int, plan: StagePlan, refused: dict[str, None]) -> Change[Any]:
    reason = plan.why.reason
    why = Justification(reason, plan.why.force and bool(reason.strip()))  # without a reason, force has no effect
    try:
        change = gate_plans.plan_gated_promotion(
            snapshot, model, number, judge, to=plan.stage, why=why, leave=plan.leave
        )
        refuse_emptied(snapshot, change)
        # `may_empty` keeps `plan_together` from refusing the whole commit because a promotion empties a stage.
        # `refuse_emptied` has checked this promotion alone, so that a refusal leaves out only this promotion.
        return replace(change, may_empty=frozenset(StageRef(model, name) for name in snapshot.registry().stage_names))
    except Refused as error:  # not raised: the run is recorded without the promotion
        refused[f"{error.message} ({error.hint})"] = None
        return Change(None)
