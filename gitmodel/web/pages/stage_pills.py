"""The stages and aliases of a model as pages show them: which version, since when, by whom, and whether it counts."""

from __future__ import annotations

from datetime import datetime

from gitmodel.domain.changes.stages import StageState
from gitmodel.frozen import Frozen
from gitmodel.web.registry_data import RegistryData


class StagePill(Frozen):
    """A stage or alias: the *version* in force, and the version *recorded* if it is another.

    *state* is "in force", "pending" (recorded, waits for `git model apply`), "forged" (a tag that does not count) or
    "empty"; *note* explains it.
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


def stage_pills(registry: RegistryData, model: str) -> tuple[StagePill, ...]:
    """Return the stages and aliases of *model*, stages first, in their order."""
    return tuple(_pill(registry, model, state) for state in registry.model(model).stages)


def pills_of(registry: RegistryData, model: str, number: int) -> tuple[StagePill, ...]:
    """Return the stages and aliases in which the version *number* of *model* is, or is recorded."""
    return tuple(_pill(registry, model, state) for state in registry.states_of(model, number))


def _pill(registry: RegistryData, model: str, state: StageState) -> StagePill:
    word, note = _state(state)
    event = None if state.in_force is None else registry.entered(model, state.name, state.in_force)
    if event is None:
        return StagePill(state.name, state.alias, state.in_force, state.recorded, word, note)
    return StagePill(
        state.name,
        state.alias,
        state.in_force,
        state.recorded,
        word,
        note,
        event.when,
        event.author,
        event.merged_by,
        event.reason,
        event.pull_request,
        event.forced,
    )


def _state(state: StageState) -> tuple[str, str]:
    if state.forged:
        return "forged", f"its tag does not count: {state.forged}"
    if state.pending:
        recorded = "leaving it empty" if state.recorded is None else f"version {state.recorded}"
        return "pending", f"{recorded} is recorded and {state.doubt or 'waits for `git model apply`'}"
    return ("empty", "") if state.in_force is None else ("in force", "")
