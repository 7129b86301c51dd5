"""The verbs of models: register, get, list, update, rename, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.changes import models as planning
from gitmodel.domain.changes.models import TagChanges
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.filter_names import RECORDED, Names
from gitmodel.domain.views.record_views import ModelView, model_names, view_model, view_models
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.writer import Writer, change_model

if TYPE_CHECKING:
    from gitmodel.expressions import Filter

SORT_KEYS = ("name", "created", "latest", "versions")


def register_model(writer: Writer, name: str, given: Mapping[str, Any], *, exist_ok: bool = False) -> str:
    """Create the model *name* with the descriptive fields *given*, and return its name.

    With *exist_ok*, a model that exists is left as it is. Raises UsageError for a bad name or field, Conflict if the
    name is or was in use.
    """
    now, read = writer.moment(), _read_description(given)
    return writer.transact(
        lambda snapshot: planning.plan_registration(snapshot, name, read, now=now, exist_ok=exist_ok)
    )


def get_model(writer: Writer, model: str | ModelRef) -> ModelView:
    """Return the view of *model*, which may be a former name. Raises NotFound."""
    return writer.read(lambda snapshot: view_model(snapshot, snapshot.model_to_read(model)))


def find(writer: Writer, model: str | ModelRef) -> tuple[ModelRef, bool]:
    """Return a reference that follows *model* by its current name, and True if a pull gave it this name.

    Raises NotFound, and Invalid if one of its records is damaged.
    """
    ref = ModelRef.of(model)

    def question(snapshot: Snapshot) -> tuple[ModelRef, bool]:
        name = view_model(snapshot, snapshot.model_to_read(ref)).name
        noted = ref.since is None and snapshot.note_on(ref) is not None
        return ModelRef(name, since=snapshot.renumberings.count), noted

    return writer.read(question)


def find_to_change(writer: Writer, model: str | ModelRef) -> ModelRef:
    """Return a reference, for a change, that follows *model* by its current name. Raises NotFound.

    Raises Refused for a name that a pull gave to another model, unless *model* confirms that this one is meant.
    """
    return writer.read(partial(choose_to_change, ref=ModelRef.of(model)))


def choose_to_change(snapshot: Snapshot, ref: ModelRef) -> ModelRef:
    """Return the reference that `find_to_change` returns, read from *snapshot*. Raises the same errors."""
    known_as, settled = snapshot.model_to_change(ref)
    name = snapshot.current_name(known_as)
    snapshot.model(name)
    return ModelRef(name, since=snapshot.renumberings.count, settles=settled)


def list_models(
    writer: Writer, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[ModelView], list[Invalid]]:
    """Return the models that match *filter* (CEL), and the damaged ones.

    *sort* is one of SORT_KEYS, "" for "name", or a key of the metadata; "-" before it reverses. Raises UsageError for a
    key that no model has.
    """
    page = read_page(limit, offset)

    def question(snapshot: Snapshot) -> tuple[list[ModelView], list[Invalid]]:
        wanted = parse_filter(filter, model_names(snapshot.registry().stage_names))
        views, damaged = [], []
        for view in view_models(snapshot):
            if isinstance(view, Invalid):
                damaged.append(view)
            elif wanted is None or wanted.matches(view.fields()):
                views.append(view)
        if wanted is not None:
            wanted.check_searched("no model")
        return views, damaged

    views, damaged = writer.read(question)
    return _sorted(views, sort)[page], damaged


def _sorted(views: list[ModelView], sort: str) -> list[ModelView]:
    """Return *views* sorted by *sort*; see `list_models`."""
    key = sort.removeprefix("-") or "name"
    if key in SORT_KEYS:
        return sorted(views, key=lambda view: _sort_value(view, key), reverse=sort.startswith("-"))
    from gitmodel.expressions.fields import read_order  # imported here because few lists are sorted by metadata

    order = read_order(sort, {"metadata": RECORDED})
    fields = {view.name: {"metadata": view.record.metadata} for view in views}
    if order is None or (views and all(order.field.value(one) is None for one in fields.values())):
        known = f"{', '.join(SORT_KEYS)} or a key of the metadata that a model has"
        raise UsageError(f"models cannot be sorted by {key!a}", hint=f"sort by {known}; -KEY reverses")
    return order.sort(views, lambda view: fields[view.name])


def update_model(
    writer: Writer,
    model: str | ModelRef,
    given: Mapping[str, Any],
    *,
    tags: TagChanges = TagChanges(),
    remove_metadata: Iterable[str] = (),
) -> str:
    """Change descriptive fields, tags and metadata of a model. Raises NotFound, UsageError, Refused."""
    read = _read_description(given)
    read.pop("metadata", None)  # a value of None is left out there, and removes a key here
    metadata, gone = given.get("metadata"), tuple(remove_metadata)
    plan = planning.plan_update
    return change_model(writer, model, plan, read, tags=tags, metadata=metadata, remove_metadata=gone)


def rename_model(writer: Writer, old: str | ModelRef, new: str) -> str:
    """Rename a model. The old name still leads to it and is never given to another model."""
    return change_model(writer, old, planning.plan_rename, new)


def delete_model(writer: Writer, model: str | ModelRef, *, why: Justification = Justification()) -> str:
    """Delete a model. Raises Refused if a stage or alias names one of its versions, unless *why* has `force`."""
    return change_model(writer, model, planning.plan_deletion, now=writer.moment(), why=why)


def parse_filter(text: str, known: Names) -> Filter | None:
    """Return the filter *text* of records whose names are *known*, None for "". Raises UsageError."""
    if not text:
        return None
    from gitmodel.expressions import Filter  # imported here because a list without a filter does not need it

    return Filter(text, known)


def _read_description(given: Mapping[str, Any]) -> dict[str, Any]:
    from gitmodel.domain.arguments.description import read_description  # pydantic costs more than a whole `list`

    return read_description(given)


def _sort_value(view: ModelView, key: str) -> Any:
    values = {"name": view.name, "created": view.record.created, "latest": view.latest or 0, "versions": view.count}
    return values[key], view.name
