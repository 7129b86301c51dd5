"""The changes that a proposal makes to stages, names of models and rules, planned on the commit that it starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes import models
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.rule_edits import RulesEdit, plan_rules
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.rules import gates
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import NONE, check_name
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, Refused
from gitmodel.frozen import Frozen
from gitmodel.registry.promotion import judging
from gitmodel.registry.promotion.rolling_back import plan_rollback


class ProposedChanges(Frozen):
    """Changes to propose: versions to *promote*, stages to *demote* or *roll_back*, models to *rename*, and *rules*.

    *promote* has a stage for each version, *demote* and *roll_back* have models with stages, and *rename* has a new
    name for each model. *why* has the reason, and can override rules of a stage that a version fails. If *leave*, a
    version may move out of a later stage, which becomes empty. If a pull gave the number or name in a reference to
    another version or model, *renumbered* confirms that the user means this other one. *meant* are the names of models
    that `confirm_renumbered` marks as confirmed.
    """

    promote: tuple[tuple[VersionRef, str], ...] = ()
    demote: tuple[tuple[str, str], ...] = ()
    roll_back: tuple[tuple[str, str], ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    rules: tuple[RulesEdit, ...] = ()
    why: Justification = Justification()
    leave: bool = False
    renumbered: bool = False
    meant: frozenset[str] = frozenset()

    @property
    def models(self) -> list[str]:
        """The models to demote, roll back or rename. These changes name no version."""
        return [model for model, _ in (*self.demote, *self.roll_back, *self.rename)]


def plan_proposed(repository: Repository, wanted: ProposedChanges) -> Iterator[Callable[[Snapshot], Change[Promotion]]]:
    def of_model(model: str, plan: Callable[..., Change[Promotion]]) -> Callable[[Snapshot], Change[Promotion]]:
        def planned(base: Snapshot) -> Change[Promotion]:
            name, settled = _find_model(repository, wanted, model, base)
            change = _changing(plan(base, name))
            return replace(change, settled=change.settled | settled)

        return planned

    for ref, stage in wanted.promote:
        yield partial(_plan_promotion, repository, wanted, ref, stage)
    for model, stage in wanted.demote:
        yield of_model(model, partial(planning.plan_demotion, stage=stage, reason=wanted.why.reason))
    for model, stage in wanted.roll_back:
        yield of_model(model, partial(plan_rollback, repository, stage=stage, why=wanted.why, leave=wanted.leave))
    for old, new in wanted.rename:
        yield of_model(old, partial(_plan_rename, new=new))
    for edit in wanted.rules:
        yield partial(_plan_rules, wanted, edit)


def confirm_renumbered(repository: Repository, wanted: ProposedChanges) -> ProposedChanges:
    """Return *wanted*. If `wanted.renumbered`, marks the references whose meaning a pull changed as confirmed.

    If a pull changed the meaning of none, marks all, so that planning raises UsageError: there is nothing to confirm.
    """
    if not wanted.renumbered:
        return wanted
    models = [*map(ModelRef.of, wanted.models)]
    references: list[VersionRef | ModelRef] = [*(ref for ref, _ in wanted.promote), *models]
    noted = repository.read(lambda snapshot: {ref for ref in references if snapshot.note_on(ref)})
    promote = ((replace(ref, renumbered=ref in noted or not noted), stage) for ref, stage in wanted.promote)
    meant = frozenset(ref.model for ref in models if ref in noted or not noted)
    return replace(wanted, promote=tuple(promote), meant=meant)


def _plan_promotion(
    repository: Repository, wanted: ProposedChanges, ref: VersionRef, stage: str, base: Snapshot
) -> Change[Promotion]:
    def question(snapshot: Snapshot) -> tuple[str, int, frozenset[Numbered], bool]:
        model, number, settled = snapshot.resolve_to_change(ref)
        states = planning.stage_states(snapshot, model)
        return model, number, settled, any(state.name == stage and state.pending for state in states)

    model, number, settled, pending = repository.read(question)
    _check_held(repository, base, model, number)
    change = gates.plan_gated_promotion(
        base, model, number, judging.judge, to=stage, why=wanted.why, leave=wanted.leave, again=pending
    )
    return replace(_changing(change), settled=settled)


def _plan_rename(base: Snapshot, name: str, *, new: str) -> Change[Promotion]:
    change = models.plan_rename(base, name, new)
    # proposals recognize a rename by a result without a stage
    return replace(change, result=Promotion(new, None, ""))  # type: ignore[arg-type, return-value]


def _plan_rules(wanted: ProposedChanges, edit: RulesEdit, base: Snapshot) -> Change[Promotion]:
    change = plan_rules(base, edit, judging.expression_fault, reason=wanted.why.reason)
    if not change.result.changed:
        raise Conflict(f"{edit.stage} has these rules already", hint="`git model stage list` shows them")
    # proposals recognize a change of rules by a result without a model
    return replace(change, result=Promotion("", None, edit.stage))  # type: ignore[arg-type, return-value]


def _find_model(
    repository: Repository, wanted: ProposedChanges, model: str, base: Snapshot
) -> tuple[str, frozenset[Numbered]]:
    """Return the name of *model* on *base*, and the renumberings about which gitmodel stops warning after the change.

    Raises Refused if *base* and the local branch have different models of this name, and the errors of
    `Snapshot.model_to_change`.
    """
    ref = ModelRef(check_name(model, "model"), renumbered=model in wanted.meant)

    def question(snapshot: Snapshot) -> tuple[frozenset[Numbered], str | None]:
        known_as, settled = snapshot.model_to_change(ref)
        name = snapshot.current_name(known_as)
        return settled, _first_name(snapshot, name) if snapshot.has_model(name) else None

    settled, here = repository.read(question)
    name = base.current_name(model)
    if here is not None and base.has_model(name) and _first_name(base, name) != here:
        raise Refused(
            f"{model} is another model on the remote than here",
            hint="run `git model pull`, which prints the new name of your model",
        )
    return name, settled


def _first_name(snapshot: Snapshot, name: str) -> str:
    return [name, *snapshot.former_names(name)][-1]


def _changing(change: Change[Promotion]) -> Change[Promotion]:
    """Return *change*. Raises Conflict if it changes no record."""
    if not change.files:
        done = change.result
        where = "in no stage already" if done.stage == NONE else f"already recorded in {done.stage}"
        raise Conflict(
            f"{done.model}@{done.version} is {where}",
            hint=f"`git model show {done.model}` shows its stages; if one is pending, run `git model apply`",
        )
    return change


def _check_held(repository: Repository, base: Snapshot, model: str, number: int) -> None:
    """Raise Refused if *base* lacks version *number* of *model* or has another record for it."""
    path = paths.version_file(model, number)
    here, there = repository.snapshot().files.read(path), base.files.read(path)
    if here == there:
        return
    what = "not on the remote" if there is None else "not the same on the remote"
    raise Refused(
        f"{model} {number} is {what}, so nobody else could review it",
        hint="run `git model push`; if this changes the number of your version, propose the new number",
    )
