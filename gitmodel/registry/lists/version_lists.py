"""Lists of the versions of a model. The index finds the few records that must be read."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from gitmodel.branch.repository import Repository
from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.changes.stages import StageState, stage_states
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.version_numbers import hundred_of, number_of
from gitmodel.domain.views.authorship import AUTHORSHIP_NAMES, Authorship
from gitmodel.domain.views.record_views import Places, VersionView, searched_names
from gitmodel.domain.views.version_summaries import VersionRow, VersionSummary
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen
from gitmodel.git.objects.trees import CommitFiles
from gitmodel.registry.lists.index_access import count_present, open_index
from gitmodel.registry.lists.selecting import parse_filter
from gitmodel.registry.records.finding import existing_model
from gitmodel.registry.writing.writer import Writer

# Versions are read newest first, in pieces that double in size, so that few reads find the newest matches.
_FIRST_PIECE, _PIECE = 20, 500


def list_versions(
    writer: Writer, model: str | ModelRef, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[VersionView], list[Invalid]]:
    """Return the versions of *model* that match *filter* (CEL), newest first, and an error for each damaged version."""
    views: list[VersionView] = []
    damaged: list[Invalid] = []
    with _without_collector():
        for found in VersionListing(writer, model, filter=filter, limit=limit, offset=offset):
            if isinstance(found, Invalid):
                damaged.append(found)
            else:
                views.append(found)
    return views, damaged


class VersionIds(Frozen):
    """The git object ids of the record and of the archived marker of a version (None: the version is not archived)."""

    record: Oid
    archived: Oid | None


def version_ids(repository: Repository, model: str | ModelRef) -> dict[int, VersionIds]:
    """Return the git object ids of the files of each version of *model*, also of deleted ones, by number."""

    def question(snapshot: Snapshot) -> dict[int, VersionIds]:
        files, name = repository.files(snapshot.commit), existing_model(snapshot, model)
        folders = (paths.version_file(name, 1), paths.archived_file(name, 1))
        found, archived = (_ids_below(files, path.rpartition("/")[0]) for path in folders)
        return {number: VersionIds(found[number], archived.get(number)) for number in sorted(found, reverse=True)}

    return repository.read(question)


def _ids_below(files: CommitFiles, folder: str) -> dict[int, Oid]:
    """Return the git object id of each file in *folder*, or in its subfolders for hundreds, by version number."""
    found: dict[int, Oid] = {}
    for name, entry in files.entries(folder).items():
        hundred = hundred_of(name)
        inside = files.entries(f"{folder}/{name}") if hundred else {name: entry}
        ids = ((number_of(each), one.id) for each, one in inside.items())
        found.update((number, id) for number, id in ids if number and number // 100 == hundred)
    return found


def read_records(
    repository: Repository, model: str | ModelRef, numbers: Iterable[int]
) -> list[VersionRecord | Invalid]:
    """Return the records, or the errors of damaged records, of the versions of *model* with *numbers*."""
    numbers = tuple(numbers)

    def question(snapshot: Snapshot) -> list[VersionRecord | Invalid]:
        name = existing_model(snapshot, model)
        files = (paths.version_file(name, number) for number in numbers)
        return list(snapshot.files.load_many(files, VersionRecord, newer=snapshot.newer))

    with _without_collector():
        return repository.read_records(question)


def count_versions(writer: Writer, model: str | ModelRef) -> int:
    """Count the versions of *model* that are not deleted. Raises NotFound."""
    return writer.read(lambda snapshot: count_present(snapshot, writer.index_folder, snapshot.model_to_read(model))[0])


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable Python's garbage collector, which takes a quarter of the time of a list of 10,000 versions."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if not gc.get_freeze_count():
                # Both calls together move new objects to the oldest generation without a collection.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


# Reads the next records of a list: at most as many as the argument says (None: all).
_Reader = Callable[[int | None], Iterator[VersionRecord | Invalid]]


class VersionListing:
    """The versions that `list_versions` returns, as an iterable that reads them when needed, without a list in memory.

    Lists them as the branch and the stage tags are when this object is created, even if these move later. For a damaged
    version, yields the error.
    """

    def __init__(
        self,
        writer: Writer,
        model: str | ModelRef,
        *,
        filter: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> None:
        def question(snapshot: Snapshot) -> tuple[Snapshot, str, list[StageState]]:
            name = existing_model(snapshot, model)
            return snapshot, name, list(stage_states(snapshot, name))

        self._page = read_page(limit, offset)
        self._index_folder = writer.index_folder
        self.snapshot, self.model, states = writer.read(question)
        self.since = self.snapshot.renumberings.count
        self._places = Places(self.snapshot, self.model, states)
        names = searched_names(self.snapshot.registry().stage_names) if filter else {}
        self._wanted = parse_filter(filter, names)
        self._authors: Mapping[str, Authorship] = {}
        if self._wanted is not None and not self._wanted.names.isdisjoint(AUTHORSHIP_NAMES):
            from gitmodel.registry.lists.authorship import read_authorships  # imported here: few filters read authors

            self._authors = read_authorships(writer.repository, self.snapshot.commit, self._index_folder)

    def rows(self) -> Iterator[VersionView | VersionRow | Invalid]:
        """Yield the versions for a table, as a `VersionRow` if the index has the values, so that no record is read."""
        if self._wanted is None and self._page == slice(0, None):
            index = open_index(self.snapshot, self._index_folder, (self.model,))
            found = index.list_versions(self.model) if index else None
            if found is not None:
                return map(self._row, found)
        return iter(self)

    def _row(self, found: VersionSummary | VersionRecord | Invalid) -> VersionView | VersionRow | Invalid:
        if isinstance(found, VersionSummary):
            return VersionRow(self.model, found, *self._places.of(found.number))
        return found if isinstance(found, Invalid) else self._view(found)

    def _view(self, record: VersionRecord) -> VersionView:
        authorship = self._authors.get(f"{self.model}@{record.number}") if self._authors else None
        return VersionView(self.model, record, *self._places.of(record.number), authorship)

    def __iter__(self) -> Iterator[VersionView | Invalid]:
        found = self._each(self._reader())
        if self._wanted is None:
            return found
        # Read all versions before yielding the first: a name in the filter that no version has is an error.
        return self._checked(iter(list(found)) if self._wanted.unseen else found)

    def _checked(self, found: Iterator[VersionView | Invalid]) -> Iterator[VersionView | Invalid]:
        assert self._wanted is not None
        nothing = f"no version of {self.model}"
        if self._wanted.unseen:
            self._wanted.check_searched(nothing)
        yield from found
        self._wanted.check_searched(nothing)

    def _reader(self) -> _Reader:
        """Return a function that reads the records of the next versions that may match the filter, newest first.

        Those are the versions that the index finds, or all versions if the index cannot be used.
        """
        if self._wanted is not None and self._wanted.expression.conditions:
            index = open_index(self.snapshot, self._index_folder, (self.model,))
            found = index.find_versions(self.model, self._wanted) if index else None
            if index is not None and found is not None:
                self._wanted.accept_terms()
                candidates = iter(sorted((*found.versions, *found.damaged), key=lambda one: -one.number))
                return lambda most: index.read(islice(candidates, most))
        numbers = self.snapshot.newest_numbers(self.model)
        return lambda most: self.snapshot.versions(self.model, islice(numbers, most))

    def _each(self, read: _Reader) -> Iterator[VersionView | Invalid]:
        last = self._page.stop
        piece = last if last is None or self._wanted is None else max(last, _FIRST_PIECE)
        passed, is_left = 0, True
        while is_left and (passed != last or self._is_searching):
            is_left = False
            for record in read(piece):
                is_left = True
                if isinstance(record, Invalid):
                    if passed != last:
                        yield record
                    continue
                is_listed = record.deleted is None and passed != last
                if not is_listed and not self._is_searching:
                    continue
                view = self._view(record)
                if not is_listed:
                    assert self._wanted is not None
                    self._wanted.search(view.filtered_fields(self._wanted.names))
                elif self._wanted is None or self._wanted.matches(view.filtered_fields(self._wanted.names)):
                    passed += 1
                    if passed > self._page.start:
                        yield view
            piece = None if piece is None else max(piece, min(2 * piece, _PIECE))

    @property
    def _is_searching(self) -> bool:
        """Return True while the filter uses a name or type that no version read so far has.

        It is an error if no version has it. So while this is True, deleted versions and those after the limit are read,
        too.
        """
        return self._wanted is not None and self._wanted.unseen
