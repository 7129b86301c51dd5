"""The base class of model handles: description, metadata, stages and history of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gitmodel.client.handles.record_field import Field
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.schema.records import DESCRIPTIVE, ModelRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.views.record_views import ModelView
from gitmodel.errors import UsageError
from gitmodel.registry.lists import model_views
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import models
from gitmodel.registry.writing.batch import Batch
from gitmodel.registry.writing.writer import Writer

if TYPE_CHECKING:
    from typing_extensions import Self

    from gitmodel.branch.history.stage_history import StageEvent


class ModelHandle:
    """The base class of a handle of a model: its description, metadata, stages and history, without its versions."""

    title, license, description = Field(str), Field(str), Field(str)
    audience, use_cases, limitations = Field(str), Field(str), Field(str)
    trade_offs, ethics = Field(str), Field(str)
    tags: Field[list[str]] = Field(list)
    owners: Field[list[str]] = Field(list)
    metadata: Field[dict[str, Any]] = Field(dict)
    _ref: ModelRef
    # The reference that the user wrote, if it may mean another model, because a pull gave its name to this model. None
    # in all other cases, and after the user has confirmed that this model is meant.
    _unconfirmed: ModelRef | None
    # The descriptive fields that were passed to `Model(...)`; {} for a handle.
    _given: Mapping[str, Any]
    _origin: OpenRegistry | None
    # The values that a list had for this model, if the handle is an item of a list; else None.
    _listed: ModelView | None

    @classmethod
    def _current(cls, opened: OpenRegistry, name: str) -> Self:
        return cls._from_ref(opened, ModelRef(name, since=opened.repository.renumberings().count))

    @classmethod
    def _from_ref(cls, opened: OpenRegistry, ref: ModelRef, *, unconfirmed: ModelRef | None = None) -> Self:
        model = cls.__new__(cls)
        model._ref, model._unconfirmed, model._given, model._origin, model._listed = ref, unconfirmed, {}, opened, None
        return model

    @classmethod
    def _of(cls, opened: OpenRegistry, view: ModelView, since: int) -> Self:
        """Return a handle that keeps *view*, the values that a list has for the model.

        *since* is the number of the last pull before the list was read that renumbered versions. If a later pull
        renames the model, the handle still names the same model.
        """
        model = cls._from_ref(opened, ModelRef(view.name, since=since))
        model._listed = view
        return model

    @classmethod
    def _find(cls, opened: OpenRegistry, ref: ModelRef, *, for_change: bool = False) -> Self:
        """Return a handle of the model that *ref*, which a user wrote, names now. Raises NotFound if there is none.

        If a pull gave the name in *ref* to another model, warns or, if *for_change* is True, raises Refused.
        """
        if ref.renumbered or for_change:
            return cls._from_ref(opened, models.find_to_change(opened.writer, ref))
        found, noted = models.find(opened.writer, ref)
        return cls._from_ref(opened, found, unconfirmed=ref if noted else None)

    @property
    def name(self) -> str:
        """The current name of the model. A pull may change it, if the remote has another model with this name."""
        if self._opened is None:
            return self._ref.model
        followed = self._opened.repository.renumberings().follow((self._ref.model, 0), since=self._ref.since or 0)
        return followed[0]

    def description_given(self) -> dict[str, Any]:
        """Return the descriptive fields that were passed to `Model(...)`, without empty fields."""
        return {field: value for field, value in self._given.items() if value}

    @property
    def view(self) -> ModelView:
        """The record, stages and number of versions of the model, as an immutable value that does not change later."""
        return self._listed or model_views.get_model(self._writer(), self._ref)

    def refresh(self) -> Self:
        """Forget the values that a list had for this model, so that the next use reads it again. Return self."""
        self._listed = None
        return self

    @property
    def record(self) -> ModelRecord:
        """The current record of the model."""
        return self.view.record

    @property
    def created(self) -> datetime:
        """The time when the model was registered, in UTC."""
        return self.record.created

    def update(
        self,
        *,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        remove_metadata: Iterable[str] = (),
        **description: Any,
    ) -> Self:
        """Change descriptive fields of the model, and add or remove tags and metadata, in one commit.

        *description* are new values of descriptive fields, such as `license="MIT"`. Keys of `metadata` are added to the
        existing keys. Raises NotFound if the model does not have a tag in *remove_tags* or a key in *remove_metadata*,
        UsageError for an unknown field or an invalid value.
        """
        ref, opened = self._to_change(), self._registered()
        tags = TagChanges.read(description.get("tags"), add_tags, remove_tags)
        return self._update(opened, ref, None, description, tags, remove_metadata)

    def log_metadata(self, metadata: Mapping[str, Any] | None = None, **values: Any) -> None:
        """Set metadata of the model. The arguments are as in `ModelVersion.log_metadata`.

        >>> model.log_metadata(contact="#flowers", reviewed=True)             # doctest: +SKIP
        """
        self.set_metadata({**(metadata or {}), **values})

    def set_metadata(
        self, values: Mapping[str, Any] | None = None, *, remove: Iterable[str] = (), table: str = ""
    ) -> None:
        """Set *values* in the model's metadata and remove the keys *remove*; see `ModelVersion.set_metadata`.

        Raises NotFound if the metadata does not have a key in *remove*, and UsageError for a key that is in *values*
        and in *remove*.
        """
        writer, given = self._writer(), {"metadata": dict(values or {})}
        chosen = models.find_to_change(writer, self._to_change())
        models.update_model(writer, chosen, given, remove_metadata=remove, table=table)

    @classmethod
    def _update(
        cls,
        opened: OpenRegistry,
        ref: ModelRef,
        new_name: str | None,
        description: Mapping[str, Any],
        tags: TagChanges = TagChanges(),
        remove_metadata: Iterable[str] = (),
    ) -> Self:
        if new_name is not None and not isinstance(opened.writer, Batch):
            with opened.transaction(f"Rename {ref} to {new_name}") as change:
                return cls._update(change, ref, new_name, description, tags, remove_metadata)
        chosen = models.find_to_change(opened.writer, ref)
        now = models.update_model(opened.writer, chosen, description, tags=tags, remove_metadata=remove_metadata)
        if new_name is not None:
            now = models.rename_model(opened.writer, chosen, new_name)
        return cls._current(opened, now)

    def rename(self, new_name: str) -> Self:
        """Rename the model. Its previous name still names this model, and no other model can get that name."""
        return self._update(self._registered(), self._to_change(), new_name, {})

    def delete(self, *, reason: str = "", force: bool = False) -> None:
        """Delete the model.

        Raises Refused if one of its versions is in a stage or has an alias, unless *force* is True.
        """
        models.delete_model(self._writer(), self._to_change(), why=Justification(reason, force))

    @property
    def stages(self) -> list[StageState]:
        """All stages and aliases of the model, each with the recorded version and the version in force."""
        return list(self._listed.stages) if self._listed else stages.list_stages(self._writer(), self._ref)

    def demote(self, stage: str, *, reason: str = "") -> Promotion:
        """Remove the version of this model that is in *stage* from the stage."""
        return stages.demote(self._writer(), self._to_change(), str(stage), reason=reason)

    def remove_alias(self, alias: str, *, reason: str = "") -> None:
        """Remove *alias* from the version that has it."""
        stages.remove_alias(self._writer(), self._to_change(), alias, reason=reason)

    def history(self, stage: str | ModelStages = "") -> list[StageEvent]:
        """Return the changes of all stages and aliases, or only of *stage*, newest first."""
        from gitmodel.lineage.history.holdings import history

        return list(history(self._registered().repository, self._ref, str(stage)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelHandle) and self.name == other.name and self._opened is other._opened

    def __hash__(self) -> int:
        return hash(self._ref.model)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it
        from gitmodel.domain.views.cell_text import stages_of_model

        view = self.view if self._opened else None
        rows = [("name", self.name), *((field, getattr(self, field)) for field in DESCRIPTIVE)]
        if view:
            rows += [("versions", view.count), ("latest", view.latest), ("stages", stages_of_model(view))]
        return html.fields_table(rows)

    @property
    def _opened(self) -> OpenRegistry | None:
        return self._origin.lasting if self._origin is not None else None

    def _registered(self) -> OpenRegistry:
        if self._opened is None:
            raise UsageError(f"{self!r} is only a description", hint="register it first: client.register_model(model)")
        return self._opened

    def _writer(self) -> Writer:
        return self._registered().writer

    def _to_change(self) -> ModelRef:
        """Return a reference for a change of the model, and forget the values that a list had for it.

        Raises Refused if the user named the model by a name that a pull gave to it, and did not pass `renumbered=True`
        to confirm that this model is meant.
        """
        writer = self._writer()
        self._listed = None
        if self._unconfirmed is not None:
            models.find_to_change(writer, self._unconfirmed)
        return self._ref

    def _field(self, name: str) -> Any:
        return self._given[name] if self._opened is None else getattr(self.record, name)
