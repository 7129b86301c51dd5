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
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.version_data import VersionData
from gitmodel.web.registry_data.version_facts import Facts

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.client.client import Client
    from gitmodel.lineage.history.rule_history import RuleChange
    from gitmodel.lineage.history.version_changes import VersionChange, VersionChanges


class HistoryData(VersionData):
    """The models and versions of a registry, and their changes."""

    def __init__(self, client: Client, options: SiteOptions, known: Facts | None = None) -> None:
        super().__init__(client, options, known)
        self._events_by_number: dict[str, dict[int, list[StageEvent]]] = {}
        self._judged: dict[tuple[str, str, int], Sequence[Outcome]] = {}
        self._limits: dict[str, Sequence[Limit]] = {}
        self._with_page: dict[str, frozenset[int]] = {}
        self._neighbours: dict[str, dict[int, tuple[int | None, int | None]]] = {}

    def with_page(self, model: str) -> Sequence[int]:
        """Return the numbers of the versions of *model* that have a page of their own, newest first."""
        numbers = self.existing(model)
        if not self.options.only_staged:
            return numbers
        kept = {self.model(model).latest, *self._held.get(model, ())}
        return [number for number in numbers if number in kept or self.states_of(model, number)]

    def has_page(self, model: str, number: int) -> bool:
        """Return True if there is a page of the version *number* of *model*."""
        if model not in self._with_page:
            self._with_page[model] = frozenset(self.with_page(model)) if model in self.models else frozenset()
        return number in self._with_page[model]

    def neighbours(self, model: str, number: int) -> tuple[int | None, int | None]:
        """Return the next newer and the next older version than *number* of those with a page.

        Returns None if there is none.
        """
        if model not in self._neighbours:
            numbers = self.with_page(model)
            around = zip(numbers, [None, *numbers], [*numbers[1:], None], strict=False)
            self._neighbours[model] = {number: (newer, older) for number, newer, older in around}
        return self._neighbours[model].get(number, (None, None))

    @cached_property
    def _held(self) -> Mapping[str, set[int]]:
        """The versions of each model that are or were in a stage or had an alias."""
        return {
            model: {event.version for event in events if event.version is not None}
            for model, events in self._events.items()
        }

    @property
    def _events(self) -> Mapping[str, list[StageEvent]]:
        """The changes of stages and aliases, newest first, by the current name of the model."""
        return self._history[0]

    @property
    def history_fault(self) -> str:
        """The reason why older changes of stages are missing; "" if none is."""
        return self._history[1]

    @cached_property
    def _history(self) -> tuple[Mapping[str, list[StageEvent]], str]:
        names: dict[str, str] = {}
        found: dict[str, list[StageEvent]] = {}
        try:
            for event in self.client.history():
                if event.model not in names:
                    names[event.model] = self._current_name(event.model)
                found.setdefault(names[event.model], []).append(event)
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""

    def _current_name(self, model: str) -> str:
        if model not in self.models:
            with suppress(GitModelError):
                return self.client.view_model(model).name
        return model

    def events(self, model: str | None = None) -> Sequence[StageEvent]:
        """Return the changes of stages and aliases of *model*, or of all models, newest first."""
        if model is not None:
            return self._events.get(model, [])
        found = [event for events in self._events.values() for event in events]
        return sorted(found, key=lambda event: event.when, reverse=True)

    def events_of(self, model: str, number: int) -> Sequence[StageEvent]:
        """Return the changes by which a version of *model* entered or left a stage or alias, newest first."""
        if model not in self._events_by_number:
            found: dict[int, list[StageEvent]] = {}
            for event in self.events(model):
                for one in {event.version, event.previous} - {None}:
                    found.setdefault(one, []).append(event)  # type: ignore[arg-type]
            self._events_by_number[model] = found
        return self._events_by_number[model].get(number, ())

    def entered(self, model: str, stage: str, number: int) -> StageEvent | None:
        """Return the last change by which the version *number* of *model* entered *stage*.

        Returns None if this change is not known.
        """
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

    def judged_again(self, model: str, stage: str, number: int) -> Sequence[Outcome]:
        """Return the results of the current gates of *stage* for the version *number* of *model*, which is there."""
        key = (model, stage, number)
        if key not in self._judged:
            rule = next((found.rule for found in self.stages if found.name == stage), None)
            version, event = self.versions(model).get(number), self.entered(model, stage, number)
            replaced = self.versions(model).get(event.previous or 0) if event else None
            if rule is None or version is None:
                return ()
            self._judged[key] = judge_again(rule, version, replaced, self.model(model).record, judge)
        return self._judged[key]

    def limits(self, stage: str) -> Sequence[Limit]:
        """Return the limits that the current gates of *stage* set for numbers of metadata."""
        if stage not in self._limits:
            gates = (gate for found in self.stages if found.name == stage for gate in found.rule.gates)
            self._limits[stage] = gate_limits(Outcome(g.name, passed=True, expression=g.expression) for g in gates)
        return self._limits[stage]

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
            unsigned = "not signed" if self.has_signers else "not checked: the registry lists no signers"
            self._signatures[commit] = unsigned if fault is None else fault or "valid"
        return {commit: self._signatures[commit] for commit in commits}

    @cached_property
    def _signatures(self) -> dict[str, str]:
        return {}

    @property
    def has_signers(self) -> bool:
        """True if the registry lists persons whose signatures count."""
        return bool(self.signers)

    @cached_property
    def signers(self) -> tuple[str, ...]:
        """The persons whose signatures count."""
        return tuple(self.client.list_signers())

    @property
    def rule_changes(self) -> Sequence[RuleChange]:
        """The changes of rules, newest first."""
        return self._rule_changes[0]

    @property
    def rule_changes_fault(self) -> str:
        """The reason why older changes of rules are missing; "" if none is."""
        return self._rule_changes[1]

    @cached_property
    def _rule_changes(self) -> tuple[list[RuleChange], str]:
        found: list[RuleChange] = []
        try:
            found.extend(self.client.rule_history())
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""
