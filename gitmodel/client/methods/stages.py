"""The methods of `Client` that put versions into stages, and move aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, model_ref, version_ref
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.references import VersionRef

if TYPE_CHECKING:
    from gitmodel.client.model_stages import ModelStages
    from gitmodel.client.tables import VersionTable
    from gitmodel.domain.changes.stages import Promotion


class StageMethods(OpenedClient):
    """The methods of `Client` that put versions into stages, and move aliases."""

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The exclusive stages of the registry, in order."""
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
        """Return the version that is in force in *stage* for each model or, if *stage* is "", for each stage in order.

        *filter*, *sort*, *limit* and *offset* are as in `find_versions`.

        >>> client.view_stages("production").to_pandas()                                 # doctest: +SKIP

        Raises UsageError if the registry has no such stage, and the errors of `find_versions`.
        """
        from gitmodel.client.tables import VersionTable
        from gitmodel.registry.lists import version_search  # imported here: it imports the expressions

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
        """Give *alias* to the version that *reference* names. Another version of the model that has it loses it."""
        from gitmodel.registry.promotion import stages

        ref = version_ref(reference, renumbered).required("alias set")
        return stages.set_alias(self.writer, ref, alias, reason=reason)

    def remove_alias(self, model: str, alias: str, *, reason: str = "", renumbered: bool = False) -> Promotion:
        """Remove *alias* from the version of *model* that has it. Raises NotFound if the model has no such alias."""
        from gitmodel.registry.promotion import stages

        return stages.remove_alias(self.writer, model_ref(model, renumbered), alias, reason=reason)
