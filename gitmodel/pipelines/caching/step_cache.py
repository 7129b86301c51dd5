"""Using the cache in a run: finding the earlier result of a step, or the reason why the step must run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from gitmodel.branch.runs.cache_outcomes import CacheOutcome, earlier_outcomes, write_outcomes
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.client import Client
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.secrets.secret_values import HIDDEN
from gitmodel.pipelines.active_runs.run_records import ActiveRun
from gitmodel.pipelines.active_runs.target_versions import Target
from gitmodel.pipelines.caching.dependencies import are_stored, cache_parts, what_changed
from gitmodel.pipelines.declarations.graph import Node
from gitmodel.pipelines.project.project_code import ProjectCode, StepCode
from gitmodel.pipelines.project.project_modules import UnknownCode
from gitmodel.pipelines.project.source_statements import hash_json
from gitmodel.pipelines.step_context.step_requests import InputReference
from gitmodel.pipelines.step_context.step_results import StepResult, from_json, to_json

log = logging.getLogger("gitmodel.pipelines")


class StepCache:
    """Finds earlier results for the steps of one run, and keeps the new results for later runs.

    *codes* has the code of each step, except of steps that do not use the cache or whose code is unknown.
    *replaced* has the steps that run because outputs of their earlier result are missing or damaged.
    """

    def __init__(self, client: Client, active: ActiveRun, journal: Journal, code: ProjectCode, root: str) -> None:
        self._active = active
        self._journal = journal
        self._code = code
        self._root = root
        self._everywhere = client.access.everywhere()
        self._logs = journal.logs(active.id)
        self._outcomes: dict[str, CacheOutcome] = {}
        self._earlier: list[tuple[str, dict[str, CacheOutcome]]] | None = None
        self.codes: dict[str, StepCode] = {}
        self.replaced: set[str] = set()

    def find(self, node: Node, inputs: dict[str, InputReference]) -> StepResult | None:
        """Return an earlier result of the step *node* with the same *inputs*; None if the step must run.

        Remembers the reason why the step must run, which `end` writes. Raises UsageError if a file that the step
        declares is missing.
        """
        job = self._active.job
        found: StepResult | str
        if not (job.enable_cache if node.step.enable_cache is None else node.step.enable_cache):
            found = "the cache is off"
        elif HIDDEN in node.recorded_parameters().values():  # a Secret, or a value that contains a Secret
            found = "it has a Secret"
        else:
            try:
                found = self._look(node, inputs)
            except UnknownCode as error:
                found = str(error)
                log.info("step %s runs: %s", node.name, found)
        if isinstance(found, StepResult):
            return found
        self._note(node.name, reason=found)
        return None

    def keep(self, name: str, result: StepResult) -> bool:
        """Store the *result* of the step *name* in the cache, for later runs. Return False if it was not stored."""
        parts = self._outcomes[name].parts if name in self._outcomes else {}
        if not parts or result.status == "cached":
            return False
        if result.is_reusable:
            self._journal.keep_step(hash_json(parts), {**to_json(result), "made_by": f"{self._active.id} {name}"})
            return True
        self._note(name, not_kept=_not_reusable(result))
        return False

    def end(self) -> None:
        """Write to the logs of the run, for each step, its dependencies and the reason why it ran.

        `runs show` and `runs logs` print the reason.
        """
        if self._outcomes and not self._active.job.temporary:
            write_outcomes(self._logs, self._outcomes)

    def _look(self, node: Node, inputs: dict[str, InputReference]) -> StepResult | str:
        """Return an earlier result of the step *node*, or the reason why the step must run.

        Raises UnknownCode if gitmodel cannot find out on which code the step depends, or cannot compare a parameter.
        """
        target = self._active.targets.get(node.name)
        code = self._code.of(node.step, {module for ref in inputs.values() for module in ref.modules})
        types = node.input_types
        spelled = {name: ref.spelled(types.get(name)) for name, ref in inputs.items()}
        pickle = self._active.job.allows_pickle(node.step)
        parts = cache_parts(node, spelled, target.model if target else "", code.parts, pickle=pickle)
        self.codes[node.name] = code
        self._note(node.name, parts=parts)
        kept = self._journal.find_step(hash_json(parts))
        found = from_json(kept) if kept is not None else None
        if kept is None or found is None or found.opened is None:
            return self._change_since_earlier(node.name, parts)
        if changed := found.opened.first_change(self._root, code.files):
            return f"{changed} changed"
        if not are_stored(self._everywhere, found.outputs):
            self.replaced.add(node.name)
            return "one of its outputs is missing from the store, or damaged there"
        self._note(node.name, made_by=str(kept.get("made_by", "")))
        return _for_target(found, target)

    def _change_since_earlier(self, name: str, parts: Mapping[str, str]) -> str:
        """Return the reason why the step *name* must run: the changes of *parts* since the last run of this step."""
        if self._earlier is None:
            self._earlier = list(earlier_outcomes(self._logs))
        for run, outcomes in self._earlier:
            outcome = outcomes.get(name)
            if outcome is None or not outcome.parts:
                continue
            if changed := what_changed(outcome.parts, parts):
                return changed.replace(f"{self._root}/", "")
            if outcome.not_kept:
                return f"its result in run {run} is not in the cache: {outcome.not_kept}"
            return f"the cache no longer has its result of run {run}"
        return "there is no earlier result"

    def _note(self, name: str, **facts: object) -> None:
        self._outcomes[name] = replace(self._outcomes.get(name, CacheOutcome()), **facts)  # type: ignore[arg-type]


def _for_target(cached: StepResult, target: Target | None) -> StepResult:
    """Return *cached*, a result of an earlier run, whose planned changes of that run's version now change *target*."""
    of = target.numbered if target is not None else None
    plans = (replace(plan, of=of) if of and not isinstance(plan.of, VersionRef) else plan for plan in cached.plans)
    return replace(cached, plans=tuple(plans))


def _not_reusable(result: StepResult) -> str:
    """Return the reason why no later run can use *result*."""
    if result.status != "succeeded":
        return f"it {result.status}"
    if result.opened is None:
        return "a file changed while the step read it"
    return "it used a version, the registry, git or a Secret, or gitmodel did not store an output"
