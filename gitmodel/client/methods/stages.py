"""The methods of `Client` that put versions into stages, move aliases, and change the rules of stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, model_ref, version_ref
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.references import VersionRef

if TYPE_CHECKING:
    from gitmodel.client.model_stages import ModelStages
    from gitmodel.client.tables import VersionTable
    from gitmodel.domain.changes.rule_edits import ChangedRules, RulesEdit
    from gitmodel.domain.changes.stages import Promotion
    from gitmodel.registry.promotion.stage_rules import StageRules


class StageMethods(OpenedClient):
    """The methods of `Client` that put versions into stages, move aliases, and change the rules of stages."""

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The exclusive stages of the registry, in the order in `gitmodel.toml`, from early to late."""
        return self.writer.read(lambda snapshot: snapshot.registry().stage_names)

    def view_stages(
        self,
        stage: str | ModelStages = "",
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> VersionTable:
        """Return the version in force in *stage* of each model; "" means all stages, in the order of `stage_names`.

        *filter*, *sort*, *limit* and *offset* are as in `find_versions`.

        >>> client.view_stages("production").to_pandas()                                 # doctest: +SKIP

        Raises UsageError if the registry has no such stage, and the errors of `find_versions`.
        """
        from gitmodel.client.tables import VersionTable
        from gitmodel.registry.lists import version_search  # imported here: it takes long to import

        found, damaged = version_search.list_holders(
            self._renewed().writer, str(stage), filter=filter, sort=sort, limit=limit, offset=offset
        )
        return VersionTable(found, damaged=damaged)

    def promote(
        self,
        reference: str | VersionRef,
        stage: str | ModelStages,
        *,
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
    ) -> Promotion:
        """Put the version that *reference* names into *stage*, like `get_version(reference).set_stage(stage)`.

        *renumbered* is as in `get_version`, the other arguments as in `ModelVersion.set_stage`. Raises the errors of
        both, and UsageError if *reference* names only a model.

        >>> client.promote("iris@3", "production", reason="beats the baseline").previous      # doctest: +SKIP
        2
        """
        from gitmodel.registry.promotion import stages

        ref = version_ref(reference, renumbered).required("promote")
        return stages.promote(self.writer, ref, str(stage), why=Justification(reason, force), leave=leave)

    def demote(self, model: str, stage: str | ModelStages, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Remove the version of *model* that is in *stage* from the stage. Raises NotFound if the stage is empty."""
        from gitmodel.registry.promotion import stages

        return stages.demote(self.writer, model_ref(model, renumbered), str(stage), reason=reason)

    def rollback(
        self,
        model: str,
        stage: str | ModelStages,
        *,
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
    ) -> Promotion:
        """Put the previous version of *stage* of *model* back into the stage; see `Model.rollback`."""
        from gitmodel.registry.promotion import stages

        ref, why = model_ref(model, renumbered), Justification(reason, force)
        return stages.rollback(self.writer, self.repository, ref, str(stage), why=why, leave=leave)

    def set_alias(
        self, reference: str | VersionRef, alias: str, *, reason: str = "", renumbered: bool = False
    ) -> Promotion:
        """Give *alias* to the version that *reference* names, and remove it from any other version of the model."""
        from gitmodel.registry.promotion import stages

        ref = version_ref(reference, renumbered).required("alias set")
        return stages.set_alias(self.writer, ref, alias, reason=reason)

    def remove_alias(self, model: str, alias: str, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Remove *alias* from the version of *model* that has it. Raises NotFound if the model has no such alias."""
        from gitmodel.registry.promotion import stages

        return stages.remove_alias(self.writer, model_ref(model, renumbered), alias, reason=reason)

    def list_stages(self) -> list[StageRules]:
        """Return each stage with its rules, in the order of `stage_names`.

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

        *after* lists the stages from which a version may enter the new stage (default: any); it may contain "archived"
        and "none". If *proposal_only* is True, a change of the stage needs a reviewed proposal. If *signed* is True,
        the commit and the tag of a change need signatures. If *direct_rollback* is True, a version that has been in the
        stage may return without a review and even if *after* or a gate does not allow it; *signed* still applies. If
        the stage exists with these rules, nothing changes. Raises UsageError for an invalid name or an unknown stage in
        *after*, Conflict if the name is taken.

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

        The arguments are those of `add_stage`; *before* moves the stage. A rule whose argument is None stays as it is.
        `after=[]` allows versions to enter from any stage. Raises UsageError for an unknown stage. Raises Refused if
        the stage is `proposal_only`: then use `propose(rules=[UpdateStage(...)])`.

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
