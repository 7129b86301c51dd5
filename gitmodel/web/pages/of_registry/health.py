"""The page about the health of the registry: the problems that `git model check` finds, and pending changes."""

from __future__ import annotations

from gitmodel.errors import GitModelError
from gitmodel.frozen import Frozen
from gitmodel.web.options import VerifiedArtifacts
from gitmodel.web.page import Page
from gitmodel.web.pages.parts.stage_pills import state_words
from gitmodel.web.registry_data.registry_data import RegistryData

# The greatest number of problems in the table; `git model check` shows all problems.
MOST_ROWS = 500


class Finding(Frozen):
    """A problem: the file of the record ("" for the whole registry), the rule that the record breaks, and a message."""

    path: str
    rule: str
    message: str


class WaitingChange(Frozen):
    """A recorded change of a stage or alias that is not in force, and the reason.

    *recorded* is the version that the change puts there, *in_force* the version that readers get until then.
    """

    model: str
    stage: str
    in_force: int | None
    recorded: int | None
    reason: str


class HealthPage(Frozen):
    """The findings of `git model check` at *commit*; *others* is the number of findings that are left out.

    *unchecked* is the reason why the registry could not be checked, or "". *waiting* are the changes that are not in
    force. *verified* is the result of `git model verify` that was given to the export; None if none was given.
    """

    commit: str
    models: int
    versions: int
    runs: int
    findings: tuple[Finding, ...]
    others: int
    unchecked: str
    waiting: tuple[WaitingChange, ...]
    verified: VerifiedArtifacts | None


def read(registry: RegistryData) -> HealthPage:
    """Return the value of the page."""
    unchecked = ""
    findings: list[Finding] = []
    try:
        findings = [Finding(one.path, one.rule, one.message) for one in registry.problems]
    except GitModelError as error:
        unchecked = error.message
    waiting = tuple(
        WaitingChange(name, state.name, state.in_force, state.recorded, state_words(state)[1])
        for name, view in registry.models.items()
        for state in view.stages
        if state.pending
    )
    return HealthPage(
        commit=registry.commit,
        models=len(registry.models),
        versions=sum(view.count for view in registry.models.values()),
        runs=len(registry.run_ids),
        findings=tuple(findings[:MOST_ROWS]),
        others=max(len(findings) - MOST_ROWS, 0),
        unchecked=unchecked,
        waiting=waiting,
        verified=registry.options.verified,
    )


PAGE = Page("health", "/health", read, template="health.html", label="Health")
