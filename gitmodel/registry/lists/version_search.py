"""Searching the versions of one model or of all models, with an order and a limit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gitmodel.branch.stages.stage_tags import SnapshotTags
from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.changes.stages import StageState, stage_states
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.commit_records import check_stage
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import TagState
from gitmodel.domain.views.authorship import AUTHORSHIP_NAMES, Authorship
from gitmodel.domain.views.record_views import (
    VERSION_NAMES,
    VersionView,
    existing_models,
    searched_names,
    version_names,
    view_version,
)
from gitmodel.errors import Invalid
from gitmodel.expressions.fields import Order, missing_field, read_order
from gitmodel.expressions.filter import Filter
from gitmodel.registry.lists.authorship import read_authorships
from gitmodel.registry.lists.index_access import open_index
from gitmodel.registry.lists.known_tags import KnownTags
from gitmodel.registry.lists.selecting import Selection, parse_filter
from gitmodel.registry.records.finding import existing_model
from gitmodel.registry.writing.writer import Writer

if TYPE_CHECKING:
    from gitmodel.index.searching import Candidate, Candidates, Index


def find_versions(
    writer: Writer,
    model: str | ModelRef | None = None,
    *,
    filter: str = "",
    sort: str = "",
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[VersionView], list[Invalid]]:
    """Return the versions of *model* (None: of all models) that match *filter*, and an error for each damaged record.

    *sort* is a field or a key of the metadata; "-" before it sorts in descending order (see `read_order`). Versions
    without a value of *sort* come last. Versions with equal values, and all versions if *sort* is "", are sorted by
    model, and within a model from the newest to the oldest. Raises NotFound if *model* does not exist, UsageError if no
    version has a key that *filter* or *sort* uses.
    """
    page, order = read_page(limit, offset), read_order(sort, {**VERSION_NAMES, **AUTHORSHIP_NAMES})

    def question(snapshot: Snapshot) -> tuple[list[VersionView], list[Invalid]]:
        wanted = parse_filter(filter, searched_names(snapshot.registry().stage_names) if filter else {})
        return _Search(writer, snapshot, model, wanted, order).page(page)

    return writer.read(question)


def list_holders(
    writer: Writer, stage: str, *, filter: str, sort: str, limit: int | None, offset: int
) -> tuple[list[VersionView], list[Invalid]]:
    """Return the versions of all models in force in *stage* ("": in any), and an error for each damaged record.

    *filter* and *sort* are as in `find_versions`; if *sort* is "", the versions are in the order of the stages in
    `gitmodel.toml`, and within a stage sorted by model. Raises UsageError if there is no such stage, or if *filter* or
    *sort* uses a name that none of these versions has.
    """

    def question(snapshot: Snapshot) -> tuple[list[VersionView], list[Invalid]]:
        names = snapshot.registry().stage_names
        selection = Selection(version_names(names), filter=filter, sort=sort, limit=limit, offset=offset)
        stages = (check_stage(stage, snapshot.registry()),) if stage else names
        found, damaged = _Search(writer, snapshot, None, None, None).holders(stages)
        rows, _ = selection.of(found, VersionView.filtered_fields, nothing="no version in a stage")
        return rows, damaged

    return writer.read(question)


class _Search:
    """A search in *snapshot*; *wanted* is the filter or None, *order* the order of the results or None."""

    def __init__(
        self,
        writer: Writer,
        snapshot: Snapshot,
        model: str | ModelRef | None,
        wanted: Filter | None,
        order: Order | None,
    ) -> None:
        self._snapshot = snapshot
        self._wanted = wanted
        self._order = order
        # The names of the fields of versions that the filter and the order read.
        self._names = (wanted.names if wanted else frozenset()) | {str(order.field.steps[0]) if order else ""}
        self._damaged: list[Invalid] = []
        self._model = None if model is None else existing_model(snapshot, model)
        self._models = (self._model,) if self._model is not None else self._existing()
        self._index = open_index(snapshot, writer.index_folder, self._models)
        self._authors: Mapping[str, Authorship] = {}
        if not self._names.isdisjoint(AUTHORSHIP_NAMES):
            self._authors = read_authorships(writer.repository, snapshot.commit, writer.index_folder)
        self._states: dict[str, tuple[StageState, ...] | None] = {}
        # True until a version has the metadata key of the order. Until then, `_beside` collects the keys of versions,
        # because the error for a key that no version has suggests some of them.
        self._misses_order = order is not None and order.field.steps[0] == "metadata"
        self._beside: dict[str, None] = {}
        self._any_searched = False

    def page(self, page: slice) -> tuple[list[VersionView], list[Invalid]]:
        """Return the slice *page* of the versions found, and the errors of damaged records."""
        most = page.stop if self._wanted is None or not self._wanted.expression.can_raise else None
        while self._index is not None and (candidates := self._candidates(self._index, most)) is not None:
            self._misses_order = False
            if self._wanted is not None:
                self._wanted.accept_terms()
            found = self._read_candidates(self._index, candidates.versions)
            if candidates.complete or len(found) >= page.stop:
                self._read_candidates(self._index, candidates.damaged)
                return self._sorted(found)[page], self._sorted_errors()
            most = 10 * page.stop if most == page.stop else None
        found = self._read((model, number) for model in self._models for number in self._snapshot.newest_numbers(model))
        if self._wanted is not None:
            self._wanted.check_searched(self._nothing)
        if self._order is not None and self._misses_order and self._any_searched:
            raise missing_field(self._order.field, self._beside, self._nothing)
        return self._sorted(found)[page], self._sorted_errors()

    def _sorted(self, found: list[VersionView]) -> list[VersionView]:
        found.sort(key=lambda view: (view.model, -view.record.number))
        return found if self._order is None else self._order.sort(found, lambda view: view.filtered_fields(self._names))

    def _sorted_errors(self) -> list[Invalid]:
        return sorted(self._damaged, key=lambda error: error.message)

    def holders(self, stages: Iterable[str]) -> tuple[list[VersionView], list[Invalid]]:
        """Return the versions in force in *stages*, and the errors of damaged records."""
        tags = KnownTags(self._snapshot, self._index.lists if self._index is not None else None)
        tags.read(self._models)
        self._states = {model: self._read_states(model, tags.of(model)) for model in self._models}
        tags.write()
        held = {(model, state.name): state.in_force for model, states in self._states.items() for state in states or ()}
        places = [(model, held.get((model, stage))) for stage in stages for model in self._models]
        return self._read((model, number) for model, number in places if number is not None), self._sorted_errors()

    @property
    def _nothing(self) -> str:
        return "no version" if self._model is None else f"no version of {self._model}"

    def _existing(self) -> tuple[str, ...]:
        """Return the models that exist, sorted by name. Adds the errors of damaged models to those of this search."""
        found = list(existing_models(self._snapshot))
        self._damaged += [record for _, record in found if isinstance(record, Invalid)]
        return tuple(name for name, record in found if not isinstance(record, Invalid))

    def _candidates(self, index: Index, most: int | None) -> Candidates | None:
        """Return versions of *index* that may match; None if *index* cannot be used for this search.

        They are at least the first *most* versions in the order of this search, or all versions if *most* is None.
        """
        is_known = self._order is None or self._order.field.steps[0] == "metadata"
        return index.find_versions(
            self._models if self._model is None else self._model,
            self._wanted,
            order=self._order if is_known else None,
            most=most if is_known else None,
        )

    def _read(self, versions: Iterable[tuple[str, int]]) -> list[VersionView]:
        """Read the records of *versions*, given as model and number, and return the versions that match."""
        versions = list(versions)
        self._list_tags({model for model, _ in versions})
        files = (paths.version_file(*version) for version in versions)
        read = self._snapshot.files.load_many(files, VersionRecord, newer=self._snapshot.newer)
        return self._matching((model for model, _ in versions), read)

    def _read_candidates(self, index: Index, found: list[Candidate]) -> list[VersionView]:
        """Read the records of the versions *found* in *index*, and return the versions that match."""
        self._list_tags({one.model for one in found})
        return self._matching((one.model for one in found), index.read(found))

    def _matching(self, models: Iterable[str], records: Iterable[VersionRecord | Invalid]) -> list[VersionView]:
        """Return the versions that match the filter. *records* are their records or errors, *models* the model of each.

        Adds the errors to those of this search.
        """
        found = []
        for model, record in zip(models, records, strict=True):
            if isinstance(record, Invalid):
                self._damaged.append(record)
                continue
            searching = self._misses_order or (self._wanted is not None and self._wanted.unseen)
            if record.deleted is not None and not searching:
                continue
            if model not in self._states:
                self._states[model] = self._read_states(model)
            if (states := self._states[model]) is None:
                continue
            view = view_version(self._snapshot, model, record, states)
            if self._authors:
                view = replace(view, authorship=self._authors.get(str(view)))
            fields = view.filtered_fields(self._names)
            if self._order is not None and self._misses_order:
                self._any_searched = True
                self._misses_order = self._order.field.value(fields) is None
                self._beside.update(dict.fromkeys(self._order.field.beside(fields)))
            if record.deleted is not None:
                if self._wanted is not None:
                    self._wanted.search(fields)
            elif self._wanted is None or self._wanted.matches(fields):
                found.append(view)
        return found

    def _list_tags(self, models: Collection[str]) -> None:
        """List the tags of all *models* in one process of git, instead of one process for each model."""
        tags = self._snapshot.tags
        if isinstance(tags, SnapshotTags) and len(models) > 1:
            tags.list_of(models)

    def _read_states(self, model: str, tags: Mapping[str, TagState] | None = None) -> tuple[StageState, ...] | None:
        """Return the stages of *model*. *tags* are the states of its tags (None: reads them).

        If the record of a stage is damaged, raises Invalid in a search of one model. In a search of all models, adds
        this error to those of the search and returns None, to leave out the model.
        """
        try:
            return tuple(stage_states(self._snapshot, model, tags=tags))
        except Invalid as error:
            if self._model is not None:
                raise
            self._damaged.append(error)
            return None
