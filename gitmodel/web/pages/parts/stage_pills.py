"""The stages and aliases of a model as coloured labels (pills): the version, its state, who put it there, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.views.cell_text import is_hidden_by_shallow_clone
from gitmodel.frozen import Frozen
from gitmodel.registry.promotion.judging import NEEDS_CEL
from gitmodel.web.registry_data.registry_data import RegistryData


class StagePill(Frozen):
    """A stage or alias: the *version* in force, and the *recorded* version, which differs while a change is pending.

    *state* is "in force", "pending" (recorded, waits for `git model apply`), "forged" (its tag does not count),
    "unknown" (a shallow clone lacks the commit of the tag) or "empty"; *note* explains the state. *forced* are the
    rules that the promotion overrode. *failing* are the current gates that the version in force does not pass.
    """

    name: str
    alias: bool
    version: int | None
    recorded: int | None
    state: str
    note: str = ""
    since: datetime | None = None
    author: str = ""
    merged_by: str = ""
    reason: str = ""
    pull_request: str = ""
    forced: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


class GateResult(Frozen):
    """The *result* of a current gate of *stage* for a version in that stage: passes, fails, or not judged.

    *found* has the values of the version that the *expression* reads, or the reason why the gate was not judged.
    """

    stage: str
    name: str
    result: str
    expression: str
    found: str
    message: str


def gate_results(registry: RegistryData, model: str, number: int) -> tuple[GateResult, ...]:
    """Return the results of the current gates of each stage in which the version *number* of *model* is."""
    held = [state.name for state in registry.states_of(model, number) if state.in_force == number]
    judged = ((stage, outcome) for stage in held for outcome in registry.judged_again(model, stage, number))
    return tuple(
        GateResult(stage, one.gate, _result(one), one.expression, one.explained, one.message) for stage, one in judged
    )


def _result(outcome: Outcome) -> str:
    return "passes" if outcome.passed else "not judged" if NEEDS_CEL in outcome.finding else "fails"


def stage_pills(registry: RegistryData, model: str) -> tuple[StagePill, ...]:
    """Return the stages of *model* in their order, then its aliases."""
    return tuple(_pill(registry, model, state) for state in registry.model(model).stages)


def pills_of(registry: RegistryData, model: str, number: int) -> tuple[StagePill, ...]:
    """Return the stages and aliases that have the version *number* of *model*, in force or only recorded."""
    return tuple(_pill(registry, model, state) for state in registry.states_of(model, number))


def _pill(registry: RegistryData, model: str, state: StageState) -> StagePill:
    pill = StagePill(state.name, state.alias, state.in_force, state.recorded, *state_words(state))
    if state.in_force is None:
        return pill
    judged = registry.judged_again(model, state.name, state.in_force)
    failing = tuple(outcome.gate for outcome in judged if _result(outcome) == "fails")
    event = registry.entered(model, state.name, state.in_force)
    if event is None:
        return replace(pill, failing=failing)
    return replace(
        pill, since=event.when, author=event.author, merged_by=event.merged_by, reason=event.reason,
        pull_request=event.pull_request, forced=event.forced, failing=failing,
    )  # fmt: skip


def state_words(state: StageState) -> tuple[str, str]:
    """Return the values of `StagePill.state` and `StagePill.note` for *state*."""
    if is_hidden_by_shallow_clone(state):
        return "unknown", state.forged
    if state.forged:
        return "forged", f"its tag does not count: {state.forged}"
    if state.pending:
        recorded = "leaving it empty" if state.recorded is None else f"version {state.recorded}"
        return "pending", f"{recorded} is recorded and {state.doubt or 'waits for `git model apply`'}"
    return ("empty", "") if state.in_force is None else ("in force", "")
