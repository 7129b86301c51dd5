"""Reading one model or many, from the index if it has them, otherwise from their records."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import ModelRecord, VersionRecord
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
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.registry.lists.index_access import count_present, open_index
from gitmodel.registry.lists.known_tags import KnownTags
from gitmodel.registry.lists.selecting import parse_filter
from gitmodel.registry.writing.writer import Writer

if TYPE_CHECKING:
    from gitmodel.index.model_lists import ModelLists

# The number of models that are read together, because their trees and records fit into the caches of `ObjectReader`.
_TOGETHER = 100
# If a model has more versions than this, only the record of the newest is read in advance: the other records would be
# read to count the versions, and the index may have this number.
_FEW_VERSIONS = 100

SORT_KEYS = ("name", "created", "latest", "versions", "updated")


def get_model(writer: Writer, model: str | ModelRef) -> ModelView:
    """Return the view of *model*, which may be a former name. Raises NotFound."""

    def question(snapshot: Snapshot) -> ModelView:
        name = snapshot.model_to_read(model)
        count = partial(count_present, snapshot, writer.index_folder)
        return view_model(snapshot, name, summarize(snapshot, name, snapshot.model(name), count))

    return writer.read(question)


def list_models(
    writer: Writer, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[ModelView], list[Invalid]]:
    """Return the models that match *filter* (CEL), and an error for each damaged model.

    *sort* is one of SORT_KEYS, "" for "name", or a key of the metadata; "-" before it reverses the order. Raises
    UsageError for a key that no model has. If the models are sorted by name and *filter* is "", does not read the
    models that *limit* cuts off, and reports no errors of them.
    """
    page = read_page(limit, offset)

    def question(snapshot: Snapshot) -> tuple[list[ModelView], list[Invalid]]:
        wanted = parse_filter(filter, model_names(snapshot.registry().stage_names))
        is_by_name = sort.removeprefix("-") in ("", "name")
        end = page.stop if wanted is None and is_by_name else None
        names = sorted(snapshot.model_names(), reverse=sort.startswith("-"))
        views: list[ModelView] = []
        damaged: list[Invalid] = []
        lister = _Lister(snapshot, writer.index_folder)
        for view in lister.views(names, few=end):
            if isinstance(view, Invalid):
                damaged.append(view)
            elif wanted is None or wanted.matches(view.fields()):
                views.append(view)
                if len(views) == end:
                    break
        lister.write()
        if wanted is not None:
            wanted.check_searched("no model")
        if is_by_name:
            return views, damaged
        if sort.removeprefix("-") == "updated":
            return _by_last_change(writer, snapshot, views, reverse=sort.startswith("-")), damaged
        return _sorted(views, sort), damaged

    views, damaged = writer.read(question)
    return views[page], damaged


def count_models(writer: Writer) -> int:
    """Return the number of models whose records can be read. Reads neither versions nor stages."""

    def question(snapshot: Snapshot) -> int:
        return sum(isinstance(record, ModelRecord) for _, record in existing_models(snapshot))

    return writer.read(question)


def _by_last_change(writer: Writer, snapshot: Snapshot, views: list[ModelView], *, reverse: bool) -> list[ModelView]:
    """Return *views* sorted by the time of their last change, then by name. Those without a known time come last."""
    from gitmodel.registry.lists.authorship import read_authorships  # imported here: few lists need it

    found = read_authorships(writer.repository, snapshot.commit, writer.index_folder)
    dated = [view for view in views if view.name in found]
    dated.sort(key=lambda view: (found[view.name].updated, view.name), reverse=reverse)
    return [*dated, *(view for view in views if view.name not in found)]


def _sorted(views: list[ModelView], sort: str) -> list[ModelView]:
    """Return *views* sorted by *sort*, which is neither "name" nor "updated"; see `list_models`."""
    key = sort.removeprefix("-")
    if key in SORT_KEYS:

        def value(view: ModelView) -> Any:
            return {"created": view.record.created, "latest": view.latest or 0, "versions": view.count}[key]

        return sorted(views, key=lambda view: (value(view), view.name), reverse=sort.startswith("-"))
    from gitmodel.expressions.fields import read_order  # imported here because few lists are sorted by metadata

    order = read_order(sort, {"metadata": RECORDED})
    fields = {view.name: {"metadata": view.record.metadata} for view in views}
    if order is None or (views and all(order.field.value(one) is None for one in fields.values())):
        known = f"{', '.join(SORT_KEYS)} or a key of the metadata that a model has"
        raise UsageError(f"models cannot be sorted by {key!a}", hint=f"sort by {known}; -KEY reverses")
    return order.sort(views, lambda view: fields[view.name])


class _Lister:
    """Reads the views of many models of *snapshot* together. *folder* is the folder of the index."""

    def __init__(self, snapshot: Snapshot, folder: Path | None) -> None:
        self._snapshot = snapshot
        self._count = partial(count_present, snapshot, folder)
        index = open_index(snapshot, folder, snapshot.model_names())
        self._lists = index.lists if index is not None else None
        self._tags = KnownTags(snapshot, self._lists)

    def views(self, names: list[str], *, few: int | None) -> Iterator[ModelView | Invalid]:
        """Yield the view, or the error, of each model in *names* that exists.

        Reads ahead at most *few* models (None: all), the number that the caller needs.
        """
        size = len(names) if few is None else few
        for asked in _parts(names, size):
            known = self._lists.read_models(asked) if self._lists is not None else {}
            self._tags.read(asked)
            for part in _parts(asked, _TOGETHER):
                yield from self._views(part, known)

    def write(self) -> None:
        """Add to the index the models that were read from records."""
        self._tags.write()
        if self._lists is not None:
            self._lists.write_models()

    def _views(self, names: list[str], known: Mapping[str, ModelSummary]) -> Iterator[ModelView | Invalid]:
        self._tags.read_ahead(names)
        unknown = [name for name in names if name not in known]
        _read_ahead(self._snapshot, unknown)
        records = dict(existing_models(self._snapshot, unknown))
        for name in names:
            found = known.get(name) or records.get(name)
            try:
                if isinstance(found, ModelRecord):
                    found = summarize(self._snapshot, name, found, self._count)
                    if found.is_sound and self._lists is not None:
                        self._lists.add_model(name, found)
                if isinstance(found, ModelSummary):
                    yield view_model(self._snapshot, name, found, self._tags.of(name))
                elif found is not None:
                    yield found
            except Invalid as error:
                yield error


def _read_ahead(snapshot: Snapshot, models: Sequence[str]) -> None:
    """Read the git trees of *models* and the records of their newest versions into memory, in few requests to git."""
    files = snapshot.files
    if not isinstance(files, CommitFiles) or not models:
        return
    folders = [paths.model_folder(name) for name in models]
    files.read_ahead(folders)
    files.read_ahead(f"{folder}/{inner}" for folder in folders for inner in ("versions", "stages", "aliases"))
    newest = []
    for name in models:
        with suppress(Invalid):  # reading the model reports the error
            numbers = list(islice(snapshot.newest_numbers(name), _FEW_VERSIONS + 1))
            newest += [(name, number) for number in numbers[: 1 if len(numbers) > _FEW_VERSIONS else None]]
    files_of = [paths.version_file(name, number) for name, number in newest]
    deque(files.load_many(files_of, VersionRecord, newer=snapshot.newer), maxlen=0)


def _parts(names: list[str], size: int) -> Iterator[list[str]]:
    return (names[start : start + size] for start in range(0, len(names), max(size, 1)))


def find_wrong(snapshot: Snapshot, lists: ModelLists) -> list[str]:
    """Return the models, sorted, for which the index *lists* contradicts records or stage tags."""
    known = lists.read_models(snapshot.model_names())
    read = {name: record for name, record in existing_models(snapshot, known) if isinstance(record, ModelRecord)}
    wrong = {name for name in known if name not in read or known[name] != summarize(snapshot, name, read[name])}
    tags = KnownTags(snapshot, lists)
    tags.read(snapshot.model_names())
    for ref, (id, state) in tags.counting.items():
        tag = snapshot.tags.get(ref)
        if tag is None or (tag.id, tag.state) != (id, state):
            wrong.add(ref.model)
    return sorted(wrong)
