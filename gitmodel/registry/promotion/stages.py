"""Promoting versions into stages, emptying and rolling back stages, and setting aliases."""

from __future__ import annotations

from functools import partial

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.rules import gates
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.registry.promotion import judging
from gitmodel.registry.records.finding import existing_model
from gitmodel.registry.writing.writer import Writer, change_model, change_version


def promote(
    writer: Writer, ref: VersionRef, stage: str, *, why: Justification = Justification(), leave: bool = False
) -> Promotion:
    """Put the version *ref* into *stage* (which can be "archived" or "none"), and archive the previous holder.

    *why* can override failed rules of the stage; the override is recorded. `gitmodel.toml` lists the stages from early
    to late. If *leave*, the version may move to an earlier stage, so that its own becomes empty. Raises NotFound
    if the version does not exist, UsageError for an unknown stage, GateRefused if the version fails a rule, Refused if
    its run failed, or if a later stage would become empty and *leave* is False.
    """
    plan = gates.plan_gated_promotion
    return change_version(writer, ref, plan, judging.judge, to=stage, why=why, leave=leave)


def demote(writer: Writer, model: str | ModelRef, stage: str, *, reason: str = "") -> Promotion:
    """Empty *stage* of *model*. Raises NotFound if the stage is empty."""
    return change_model(writer, model, planning.plan_demotion, stage, reason=reason)


def rollback(
    writer: Writer,
    repository: Repository,
    model: str | ModelRef,
    stage: str,
    *,
    why: Justification = Justification(),
    leave: bool = False,
) -> Promotion:
    """Put the previous holder of *stage* back. A second rollback undoes the first.

    The rules of the stage apply as for a promotion, unless they allow a direct rollback. Skips versions whose deletion
    left the stage empty. Raises NotFound if there is no previous holder, or if it was replaced and then deleted;
    GateRefused if it fails a rule; Refused if its run failed, or if a later stage would become empty and *leave* is
    False.
    """
    # imported here because only a rollback searches the history
    from gitmodel.registry.promotion.rolling_back import plan_rollback

    return change_model(writer, model, partial(plan_rollback, repository), stage, why=why, leave=leave)


def set_alias(writer: Writer, ref: VersionRef, alias: str, *, reason: str = "") -> Promotion:
    """Point *alias* at the version *ref*.

    Raises NotFound if the version does not exist; Refused if it is from a failed run; UsageError if *alias* is invalid
    or a stage; Conflict if a version or a reservation has this name, or another alias differs from it only in case.
    """
    return change_version(writer, ref, planning.plan_alias, alias, reason=reason)


def remove_alias(writer: Writer, model: str | ModelRef, alias: str, *, reason: str = "") -> Promotion:
    """Remove *alias* from *model*. Raises NotFound if the alias does not exist."""
    return change_model(writer, model, planning.plan_alias_removal, alias, reason=reason)


def list_stages(writer: Writer, model: str | ModelRef) -> list[StageState]:
    """Return every stage and alias of *model*: the version that is recorded and the version that is in force."""
    return writer.read(lambda snapshot: planning.stage_states(snapshot, existing_model(snapshot, model)))
