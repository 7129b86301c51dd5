"""The page of the rules: stages and gates, who may sign, and who changed a rule, when and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.registry_data.registry_data import RegistryData

if TYPE_CHECKING:
    from gitmodel.domain.schema.registry_rules.registry_record import StageRule
    from gitmodel.lineage.history.rule_history import RuleChange

# The greatest number of changes in the table; the JSON has all changes.
MOST_ROWS = 200


class Gate(Frozen):
    """An expression that a version must satisfy to enter a stage, and the message for a version that does not."""

    name: str
    expression: str
    message: str


class StageLine(Frozen):
    """The rules of a stage. *conditions* are all rules except gates, in words.

    *in_force* is False for rules that are not in force yet: until `git model apply`, the earlier rules also apply.
    *faults* are problems of the rules in `gitmodel.toml`.
    """

    name: str
    conditions: tuple[str, ...]
    gates: tuple[Gate, ...]
    in_force: bool
    faults: tuple[str, ...]


class RulesPage(Frozen):
    """The rules at *commit* of the metadata branch. *incomplete* is the reason why older changes are missing, or "".

    *unknown* is the reason why the rules of the *stages* are not known, or "".
    """

    commit: str
    stages: tuple[StageLine, ...]
    signers: tuple[str, ...]
    changes: tuple[RuleChange, ...]
    incomplete: str
    unknown: str = ""


def read(registry: RegistryData) -> RulesPage:
    """Return the value of the page."""
    stages = tuple(
        StageLine(
            stage.name,
            tuple(_conditions(stage.rule)),
            tuple(Gate(gate.name, gate.expression, gate.message) for gate in stage.rule.gates),
            stage.in_force,
            tuple(fault.message for fault in stage.rule.faults),
        )
        for stage in registry.stages
    )
    unknown = registry.rules_fault
    changes, incomplete = registry.rule_changes
    return RulesPage(registry.commit, () if unknown else stages, registry.signers, tuple(changes), incomplete, unknown)


def _conditions(rule: StageRule) -> Iterator[str]:
    """Yield each condition of the stage except its gates, in words."""
    if rule.after:
        yield f"only versions in {', '.join(rule.after)} may enter"
    if rule.proposal_only:
        yield "each change needs a reviewed proposal"
    if rule.signed:
        yield "each change must be signed"
    if rule.rollback:
        yield "a previous version may return without these rules, except signatures"


PAGE = Page("rules", "/rules", read, template="rules.html", label="Rules")
