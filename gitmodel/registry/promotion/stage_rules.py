"""Listing the rules of stages, and changing the rules of a stage."""

from __future__ import annotations

from functools import partial

from gitmodel.domain.changes.rule_edits import ChangedRules, RulesEdit, plan_rules
from gitmodel.domain.schema.registry_rules.registry_record import StageRule
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.frozen import Frozen
from gitmodel.registry.promotion.judging import expression_fault
from gitmodel.registry.writing.writer import Writer


class StageRules(Frozen):
    """The *rule* of a stage on the branch. If *in_force* is False, other rules are in force until `git model apply`."""

    rule: StageRule
    in_force: bool

    @property
    def name(self) -> str:
        return self.rule.name


def list_rules(writer: Writer) -> list[StageRules]:
    """Return the rules of each stage, in the order of `gitmodel.toml`."""

    def question(snapshot: Snapshot) -> list[StageRules]:
        return [StageRules(rule, len(snapshot.rules(rule.name)) == 1) for rule in snapshot.registry().stages]

    return writer.read(question)


def change_rules(writer: Writer, edit: RulesEdit, *, reason: str = "") -> ChangedRules:
    """Make the change *edit* to the rules of a stage, and put the rules in force. Raises the errors of `plan_rules`."""
    return writer.transact(partial(plan_rules, edit=edit, expression_fault=expression_fault, reason=reason))
