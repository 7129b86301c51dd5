"""Models for readers, one or all of them: from the index if it knows them, otherwise from their records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.schema.records import ModelRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.filter_names import RECORDED
from gitmodel.domain.views.record_views import (
    ModelSummary,
    ModelView,
    existing_models,
    model_names,
    summarize,
    view_model,
)
from gitmodel.errors import Invalid, UsageError
from gitmodel.registry.known_tags import KnownTags
from gitmodel.registry.models import parse_filter
from gitmodel.registry.versions import count_present, open_index
from gitmodel.registry.writer import Writer

if TYPE_CHECKING:
    from gitmodel.index.model_lists import ModelLists

SORT_KEYS = ("name", "created", "latest", "versions")


def get_model(writer: Writer, model: str | ModelRef) -> ModelView:
    """Return the view of *model*, which may be a former name. Raises NotFound."""

    def question(snapshot: Snapshot) -> ModelView:
        name = snapshot.model_to_read(model)
        summary = summarize(snapshot, name, snapshot.model(name), _counter(snapshot, writer.index_folder))
        return view_model(snapshot, name, summary)

    return writer.read(question)


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
        for view in _views(snapshot, writer.index_folder):
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


def _views(snapshot: Snapshot, folder: Path | None) -> list[ModelView | Invalid]:
    """Return the view of every model, by name; for a damaged one, its error. *folder* is that of the index."""
    names = snapshot.model_names()
    index = open_index(snapshot, folder, names)
    lists = index.lists if index is not None else None
    known = lists.read_models() if lists is not None else {}
    records = dict(existing_models(snapshot, (name for name in names if name not in known)))
    new: dict[str, ModelSummary] = {}
    views: list[ModelView | Invalid] = []
    tags = KnownTags(snapshot, lists)
    for name in names:
        found = known.get(name) or records.get(name)
        try:
            if isinstance(found, ModelRecord):
                found = new[name] = summarize(snapshot, name, found, _counter(snapshot, folder))
            if isinstance(found, ModelSummary):
                views.append(view_model(snapshot, name, found, tags.of(name)))
            elif found is not None:
                views.append(found)
        except Invalid as error:
            views.append(error)
    tags.write()
    if lists is not None:
        lists.write_models({name: summary for name, summary in new.items() if summary.is_sound})
    return views


def find_wrong(snapshot: Snapshot, lists: ModelLists) -> list[str]:
    """Return the models of which *lists* know something else than their records and stage tags say, sorted."""
    known = lists.read_models()
    read = {name: record for name, record in existing_models(snapshot, known) if isinstance(record, ModelRecord)}
    wrong = {name for name in known if name not in read or known[name] != summarize(snapshot, name, read[name])}
    for ref, (id, state) in KnownTags(snapshot, lists).counting.items():
        tag = snapshot.tags.get(ref)
        if tag is None or (tag.id, tag.state) != (id, state):
            wrong.add(ref.model)
    return sorted(wrong)


def _counter(snapshot: Snapshot, folder: Path | None) -> Callable[[str], tuple[int, bool]]:
    return lambda name: count_present(snapshot, folder, name)


def _sort_value(view: ModelView, key: str) -> Any:
    values = {"name": view.name, "created": view.record.created, "latest": view.latest or 0, "versions": view.count}
    return values[key], view.name
