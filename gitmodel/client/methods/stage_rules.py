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

        return stage_rules.list_rules(self._renewed().writer)

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
        """Add the stage *name* in front of the stage *before* (default: as the last stage), and put its rules in force.

        *after* lists the stages from which a version may enter the new stage; it may contain "archived" and "none". If
        *proposal_only* is True, a change of the stage needs a reviewed proposal. If *signed* is True, the commit and
        the tag of a change need signatures. If *direct_rollback* is True, the version that was in the stage before may
        return without meeting these rules; only signatures are still required. If the stage exists with these rules,
        nothing changes. Raises UsageError for an invalid name or an unknown stage in *after*, Conflict if the name is
        taken.

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
        """Change the rules of the stage *name* that are given as arguments, and put the new rules in force.

        The arguments are those of `add_stage`. A rule whose argument is None stays as it is. `after=[]` allows versions
        to enter from any stage. Raises UsageError for an unknown stage. Raises Refused if the stage is `proposal_only`:
        then use `propose(rules=[UpdateStage(...)])`.

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
        """Remove the stage *name*, which no version may be in.

        Raises UsageError for an unknown stage. Raises Refused if a version is in the stage, if it is the only stage or
        `proposal_only`, or if it is in the `after` of another stage.

        >>> client.remove_stage("canary")                                                    # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveStage

        return self.change_rules(RemoveStage(name), reason=reason)

    def add_gate(
        self, stage: str, name: str, expression: str, *, message: str = "", replace: bool = False, reason: str = ""
    ) -> ChangedRules:
        """Add the gate *name* to *stage*: an *expression* that a version must satisfy to enter the stage.

        *message* is shown if the gate refuses a version. If the stage already has this gate with the same expression
        and message, nothing changes. If *replace* is True, a different gate with this name is replaced; otherwise
        raises Conflict. Raises UsageError for an unknown stage and for an expression that is invalid or reads an
        unknown field, Refused if the stage is `proposal_only`.

        >>> client.add_gate("production", "accuracy", "metadata.accuracy >= 0.9")            # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import AddGate

        return self.change_rules(AddGate(stage, name, expression, message, replace), reason=reason)

    def remove_gate(self, stage: str, name: str, *, reason: str = "") -> ChangedRules:
        """Remove the gate *name* from *stage*.

        Raises UsageError for an unknown stage, NotFound if it has no such gate, Refused if the stage is
        `proposal_only`.

        >>> client.remove_gate("production", "accuracy")                                     # doctest: +SKIP
        """
        from gitmodel.domain.changes.rule_edits import RemoveGate

        return self.change_rules(RemoveGate(stage, name), reason=reason)

    def change_rules(self, edit: RulesEdit, *, reason: str = "") -> ChangedRules:
        """Change the rules of a stage by *edit*: an AddStage, UpdateStage, RemoveStage, AddGate or RemoveGate.

        `add_stage` and the other methods for rules call this method. To propose such a change instead of making it, use
        `propose(rules=[...])`.
        """
        from gitmodel.registry.promotion import stage_rules

        return stage_rules.change_rules(self.writer, edit, reason=reason)
