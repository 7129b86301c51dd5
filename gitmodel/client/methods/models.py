"""The methods of `Client` for models."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from gitmodel.client.methods.opened import OpenedClient, model_ref
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.client.handles.models_and_versions import Model, Models
    from gitmodel.client.tables import ModelTable
    from gitmodel.domain.views.record_views import ModelView


class ModelMethods(OpenedClient):
    """The methods of `Client` for models."""

    def register_model(self, model: Model | str, *, exist_ok: bool = False, **description: Any) -> Model:
        """Register a model: `register_model(Model(name=..., ...))` or `register_model(name, license=..., ...)`.

        If *exist_ok* is True and the model already exists, it is returned unchanged, so that a script can run again.
        Raises UsageError for an invalid name or field, Conflict if a model has or had this name.

        >>> client.register_model("iris", license="MIT", exist_ok=True)  # doctest: +SKIP
        Model('iris')
        """
        from gitmodel.client.handles.models_and_versions import Model
        from gitmodel.registry.records import models

        if isinstance(model, Model):
            description = {**model.description_given(), **description}
            model = model.name
        return Model._current(self._opened, models.register_model(self.writer, model, description, exist_ok=exist_ok))

    def get_model(
        self,
        name: str | None = None,
        *,
        model_name: str | None = None,
        renumbered: bool = False,
        for_change: bool = False,
    ) -> Model:
        """Return the model *name*, which may also be passed as *model_name*. Raises NotFound if there is no such model.

        If a pull renamed a model, its previous name may belong to another model now. If you pass such a name, gitmodel
        issues a `RenumberedWarning`, and changes through the returned handle raise Refused. Pass `renumbered=True` to
        confirm that you mean the model that has the name now; after the first change through that handle, the name
        gives no warning any more. If *for_change* is True, such a name raises Refused immediately.
        """
        from gitmodel.client.handles.models_and_versions import Model

        wanted = name if name is not None else model_name
        if wanted is None:
            raise UsageError("get_model needs the name of a model", hint="write client.get_model('iris')")
        return Model._find(self._renewed(), model_ref(wanted, renumbered), for_change=for_change)

    def list_models(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> Models:
        """Return the models that match *filter* (see `docs/reference/expressions.md`).

        *sort* is "name" (the default), "created", "updated" (the time of the last change), "latest" (the number of the
        latest version), "versions" (how many versions the model has) or a key of the metadata, with a "-" before it for
        descending order. Skips the first *offset* models and returns at most *limit*. Raises UsageError for an invalid
        filter or sort key, or a negative *limit* or *offset*.
        """
        from gitmodel.client.handles.models_and_versions import Model, Models

        list = partial(self.view_models, filter=filter, sort=sort, limit=limit, offset=offset)
        found, since = self.repository.at_one_numbering(list)
        return Models(Model._of(self._opened, view, since) for view in found)

    def update_model(
        self,
        name: str,
        *,
        new_name: str | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
        remove_metadata: Iterable[str] = (),
        renumbered: bool = False,
        **description: Any,
    ) -> Model:
        """Change the descriptive fields, tags, metadata and name of the model *name* in one commit.

        *description* are new values of descriptive fields, such as `license="MIT"`. Keys of `metadata` are added to the
        existing keys. *renumbered* is as in `get_model`. Raises NotFound if there is no such model, or if it does not
        have a tag or key to remove; UsageError for an invalid field or name; Conflict if *new_name* is taken.
        """
        from gitmodel.client.handles.models_and_versions import Model
        from gitmodel.domain.changes.models import TagChanges

        model = model_ref(name, renumbered)
        tags = TagChanges.read(description.get("tags"), add_tags, remove_tags)
        return Model._update(self._opened, model, new_name, description, tags, remove_metadata)

    def delete_model(self, name: str, *, reason: str = "", force: bool = False, renumbered: bool = False) -> None:
        """Delete the model *name*. Its name is never used again.

        *renumbered* is as in `get_model`. Raises Refused if one of its versions is in a stage or has an alias, unless
        *force* is True; NotFound if there is no such model.
        """
        from gitmodel.registry.records import models

        models.delete_model(self.writer, model_ref(name, renumbered), why=Justification(reason, force))

    def view_model(self, name: str) -> ModelView:
        """Return the record, stages and number of versions of a model, as an immutable value.

        Raises NotFound if there is no such model.
        """
        from gitmodel.registry.lists import model_views

        return model_views.get_model(self._renewed().writer, name)

    def view_models(self, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0) -> ModelTable:
        """Return the models that `list_models` finds, as immutable values.

        >>> client.view_models(sort="-created").to_pandas()                              # doctest: +SKIP
        """
        from gitmodel.client.tables import ModelTable
        from gitmodel.registry.lists import model_views

        writer = self._renewed().writer
        found, damaged = model_views.list_models(writer, filter=filter, sort=sort, limit=limit, offset=offset)
        return ModelTable(found, damaged=damaged)
