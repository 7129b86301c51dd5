"""The changes of stages, versions and rules of a registry, with their signatures, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from gitmodel.domain.rules.gates import Outcome, judge_again
from gitmodel.errors import GitModelError, Invalid
from gitmodel.registry.promotion.judging import judge
from gitmodel.teams.plans.gate_limits import Limit, gate_limits
from gitmodel.web.registry_data.version_data import VersionData, remembered

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.lineage.history.events import VersionChange, VersionChanges
    from gitmodel.lineage.history.rule_history import RuleChange


class HistoryData(VersionData):
    """The models and versions of a registry, and their changes."""

    def with_page(self, model: str) -> Sequence[int]:
        """Return the numbers of the versions of *model* that have a page of their own, newest first."""
        numbers = self.existing(model)
        if not self.options.only_staged:
            return numbers
        kept = {self.model(model).latest, *self._held.get(model, ())}
        return [number for number in numbers if number in kept or self.states_of(model, number)]

    def has_page(self, model: str, number: int) -> bool:
        """Return True if there is a page of the version *number* of *model*."""
        return model in self.models and number in self._neighbours(model)

    def neighbours(self, model: str, number: int) -> tuple[int | None, int | None]:
        """Return the next newer and the next older version than *number* that has a page; None if there is none."""
        return self._neighbours(model).get(number, (None, None))

    @remembered
    def _neighbours(self, model: str) -> Mapping[int, tuple[int | None, int | None]]:
        numbers = self.with_page(model)
        around = zip(numbers, [None, *numbers], [*numbers[1:], None], strict=False)
        return {number: (newer, older) for number, newer, older in around}

    @cached_property
    def _held(self) -> Mapping[str, set[int]]:
        """The versions of each model that are or were in a stage or had an alias."""
        return {
            model: {event.version for event in events if event.version is not None}
            for model, events in self._history[0].items()
        }

    @property
    def history_fault(self) -> str:
        """The reason why older changes of stages are missing; "" if none is."""
        return self._history[1]

    @cached_property
    def _history(self) -> tuple[Mapping[str, list[StageEvent]], str]:
        """The changes of stages and aliases, newest first, by the model's current name; and the `history_fault`."""
        found: dict[str, list[StageEvent]] = {}
        try:
            for event in self.client.history():
                found.setdefault(self._current_name(event.model), []).append(event)
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""

    @remembered
    def _current_name(self, model: str) -> str:
        if model not in self.models:
            with suppress(GitModelError):
                return self.client.view_model(model).name
        return model

    def events(self, model: str | None = None) -> Sequence[StageEvent]:
        """Return the changes of stages and aliases of *model*, or of all models, newest first."""
        if model is not None:
            return self._history[0].get(model, [])
        found = [event for events in self._history[0].values() for event in events]
        return sorted(found, key=lambda event: event.when, reverse=True)

    def events_of(self, model: str, number: int) -> Sequence[StageEvent]:
        """Return the changes by which a version of *model* entered or left a stage or alias, newest first."""
        return self._events_by_number(model).get(number, ())

    @remembered
    def _events_by_number(self, model: str) -> Mapping[int, list[StageEvent]]:
        found: dict[int, list[StageEvent]] = {}
        for event in self.events(model):
            for one in {event.version, event.previous} - {None}:
                found.setdefault(one, []).append(event)  # type: ignore[arg-type]
        return found

    def entered(self, model: str, stage: str, number: int) -> StageEvent | None:
        """Return the last change by which the version *number* of *model* entered *stage*; None if it is not known."""
        return next((e for e in self.events_of(model, number) if e.stage == stage and e.version == number), None)

    def changes_of(self, model: str, number: int) -> Sequence[VersionChange]:
        """Return the changes of the record of the version *number* after its creation, newest first."""
        return list(self._changes.of(model, number))

    @property
    def changes_fault(self) -> str:
        """The reason why older changes of versions are missing; "" if none are missing."""
        return self._changes.fault

    @cached_property
    def _changes(self) -> VersionChanges:
        return self.client.version_changes()

    @remembered
    def judged_again(self, model: str, stage: str, number: int) -> Sequence[Outcome]:
        """Return the results of the current gates of *stage* for the version *number* of *model*, which is in *stage*.

        Returns () if *stage* is an alias, or if the version is deleted or damaged.
        """
        rule = next((found.rule for found in self.stages if found.name == stage), None)
        version, event = self.versions(model).get(number), self.entered(model, stage, number)
        replaced = self.versions(model).get(event.previous or 0) if event else None
        if rule is None or version is None:
            return ()
        return judge_again(rule, version, replaced, self.model(model).record, judge)

    @remembered
    def limits(self, stage: str) -> Sequence[Limit]:
        """Return the limits that the current gates of *stage* set for numbers of metadata."""
        gates = (gate for found in self.stages if found.name == stage for gate in found.rule.gates)
        return gate_limits(Outcome(gate.name, passed=True, expression=gate.expression) for gate in gates)

    def signatures(self, commits: Sequence[str]) -> dict[str, str]:
        """Return "valid", "not signed" or the reason why the signature does not count, for each commit id in *commits*.

        If the registry lists no signers, a commit without a signature is "not checked".
        """
        missing = [commit for commit in dict.fromkeys(commits) if commit not in self._signatures]
        try:
            faults = self.client.signature_faults(missing)
        # raised in a shallow clone, or if the program that verifies signatures is not installed
        except GitModelError as error:
            faults = dict.fromkeys(missing, f"not checked: {error.message}")
        for commit, fault in faults.items():
            unsigned = "not signed" if self.signers else "not checked: the registry lists no signers"
            self._signatures[commit] = unsigned if fault is None else fault or "valid"
        return {commit: self._signatures[commit] for commit in commits}

    @cached_property
    def _signatures(self) -> dict[str, str]:
        return {}

    @cached_property
    def signers(self) -> tuple[str, ...]:
        """The persons whose signatures count."""
        return tuple(self.client.list_signers())

    @cached_property
    def rule_changes(self) -> tuple[Sequence[RuleChange], str]:
        """The changes of rules, newest first, and the reason why older changes are missing; "" if none are missing."""
        found: list[RuleChange] = []
        try:
            found.extend(self.client.rule_history())
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""
