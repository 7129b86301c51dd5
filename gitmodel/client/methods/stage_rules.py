"""The methods of `Client` for the rules of stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient

if TYPE_CHECKING:
    from gitmodel.domain.changes.rule_edits import ChangedRules, RulesEdit
    from gitmodel.registry.promotion.stage_rules import StageRules


class StageRuleMethods(OpenedClient):
    """The methods of `Client` for the rules of stages."""

    def list_stages(self) -> list[StageRules]:
        """Return each stage with its rules, in the order of the stages.

        >>> [stage.name for stage in client.list_stages() if stage.rule.proposal_only]        # doctest: +SKIP
        ['production']
        """
        from gitmodel.registry.promotion import stage_rules

        self.repository.renew()
        return stage_rules.list_rules(self.writer)

    def add_stage(
        self,
        name: str,
        *,
        before: str | None = None,
        after: Iterable[str] | None = None,
        proposal_only: bool | None = None,
        signed: bool | None = None,
        direct_rollback: bool | None = None,
        reason: str = "",
    ) -> ChangedRules:
        """Add a stage in front of the stage *before*, or as the last one, and put its rules in force.

        *after* lists the places from which a version may enter: stages, "archived" and "none". With *proposal_only*, a
        change of the stage needs a reviewed proposal; with *signed*, its commit and tag need signatures. With
        *direct_rollback*, a version that was in the stage before may return without meeting these rules; only
        signatures are still required. If the stage has these rules already, nothing changes. Raises
        UsageError for an invalid name or place, Conflict if the name is taken.

        >>> client.add_stage("canary", before="production", after=["staging"])               # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import AddStage

        return self.change_rules(
            AddStage(name, after=after, proposal_only=proposal_only, signed=signed, direct_rollback=direct_rollback,
                     before=before),
            reason=reason,
        )  # fmt: skip

    def update_stage(
        self,
        name: str,
        *,
        before: str | None = None,
        after: Iterable[str] | None = None,
        proposal_only: bool | None = None,
        signed: bool | None = None,
        direct_rollback: bool | None = None,
        reason: str = "",
    ) -> ChangedRules:
        """Change those rules of a stage that are given as arguments, and put the new rules in force.

        The arguments are those of `add_stage`; `after=[]` allows any place. Raises UsageError for an unknown stage or
        place. Raises Refused if the stage is `proposal_only`: then use `propose(rules=[UpdateStage(...)])`.

        >>> client.update_stage("production", proposal_only=True).changes                    # doctest: +SKIP
        ('production: proposal_only false -> true',)
        """
        from gitmodel.domain.changes.rule_edits import UpdateStage

        return self.change_rules(
            UpdateStage(name, after=after, proposal_only=proposal_only, signed=signed, direct_rollback=direct_rollback,
                        before=before),
            reason=reason,
        )  # fmt: skip

    def remove_stage(self, name: str, *, reason: str = "") -> ChangedRules:
        """Remove a stage that no version is in.

        Raises UsageError for an unknown stage. Raises Refused if the stage is the only one, is `proposal_only`, holds a
        version, or is named in the `after` of another stage.

        >>> client.remove_stage("canary")                                                    # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveStage

        return self.change_rules(RemoveStage(name), reason=reason)

    def add_gate(
        self, stage: str, name: str, expression: str, *, message: str = "", replace: bool = False, reason: str = ""
    ) -> ChangedRules:
        """Add a gate to *stage*: an *expression* that a version must satisfy to enter, and the *message* of a refusal.

        With *replace*, an existing gate of this name is replaced. If the stage has this gate already, nothing changes.
        Raises UsageError for an unknown stage and for an expression that cannot be read or names an unknown field,
        Conflict if the stage has another gate of this name, Refused if the stage is `proposal_only`.

        >>> client.add_gate("production", "accuracy", "metadata.accuracy >= 0.9")            # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import AddGate

        return self.change_rules(AddGate(stage, name, expression, message, replace), reason=reason)

    def remove_gate(self, stage: str, name: str, *, reason: str = "") -> ChangedRules:
        """Remove a gate from *stage*. Raises UsageError, NotFound; Refused if the stage is `proposal_only`.

        >>> client.remove_gate("production", "accuracy")                                     # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveGate

        return self.change_rules(RemoveGate(stage, name), reason=reason)

    def change_rules(self, edit: RulesEdit, *, reason: str = "") -> ChangedRules:
        """Change the rules of a stage by an AddStage, UpdateStage, RemoveStage, AddGate or RemoveGate.

        `add_stage` and the other methods for rules call this method. `propose(rules=[...])` proposes such changes.
        """
        from gitmodel.registry.promotion import stage_rules

        return stage_rules.change_rules(self.writer, edit, reason=reason)
