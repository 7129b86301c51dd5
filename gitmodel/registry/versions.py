"""The verbs of versions: create, get, list, update, delete, metadata."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gitmodel.branch.repository import Repository
from gitmodel.domain.arguments.paging import read_page
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes import versions as planning
from gitmodel.domain.changes.models import TagChanges, read_words
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.runs import with_runs
from gitmodel.domain.changes.stages import StageState, stage_states
from gitmodel.domain.schema import codec, messages, paths
from gitmodel.domain.schema.names import check_version_name
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import NO_DIGEST, ArtifactLink, Code, Imported, RunRecord, VersionRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.version_numbers import hundred_of, number_of
from gitmodel.domain.views.authorship import AUTHORSHIP_NAMES, Authorship
from gitmodel.domain.views.record_views import Places, VersionView, searched_names, view_version
from gitmodel.domain.views.version_summaries import VersionRow, VersionSummary
from gitmodel.errors import Invalid, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.trees import CommitFiles
from gitmodel.registry import models
from gitmodel.registry.finding import find
from gitmodel.registry.models import choose_to_change, parse_filter
from gitmodel.registry.writer import Writer, change_model, change_version

if TYPE_CHECKING:
    from gitmodel.index.searching import Candidate, Index

# Versions are read newest first, in pieces that double. So a page of the newest matches needs few reads.
_FIRST_PIECE, _PIECE = 20, 500
# Below this many folders of a hundred versions, reading all records is as fast as opening the index.
_HUNDREDS_FOR_INDEX = 2
# For more models than this, counting their versions takes longer than opening the index.
_MODELS_FOR_INDEX = 50


class Draft(NamedTuple):
    """The values that a person gives a new version: its own name, if it has one, description, tags and metadata.

    *number* is the number that the version must get; None: the next free number.
    """

    name: str | None = None
    description: str = ""
    tags: Iterable[str] = ()
    metadata: Mapping[str, Any] | None = None
    number: int | None = None


class Made(NamedTuple):
    """A reference that follows a version; *new* is False if the version already existed under its idempotency key."""

    ref: VersionRef
    new: bool


def make_version(
    writer: Writer,
    model: str | ModelRef,
    draft: Draft = Draft(),
    *,
    artifacts: Iterable[ArtifactLink] = (),
    code: Code | None = None,
    runs: Iterable[str] = (),
    new_runs: Sequence[RunRecord] = (),
    imported: Imported | None = None,
    key: str = "",
) -> Made:
    """Create a version of *model*, and return a reference that follows the version. *runs* made it.

    The records of *new_runs*, which made it too, are written in the same commit. *imported* are the claims of the
    registry from which the version is imported. If a version was already created with
    the idempotency *key* ("": none), on any machine, that version is returned. Raises NotFound if the model does not
    exist, Conflict if the name or number is taken, UsageError for bad input.
    """
    is_found = isinstance(model, ModelRef) and model.since is not None
    chosen = ModelRef.of(model) if is_found else models.find_to_change(writer, model)
    record = _record(writer, chosen.model, draft, artifacts, code, (*runs, *(run.id for run in new_runs)))
    record = replace(record, imported=imported)
    reserved = None
    if not key and draft.number is None:
        current = chosen.model
        reserved = writer.take_number(current, lambda snapshot: planning.plan_version(snapshot, current, record))

    def plan(snapshot: Snapshot, current: str) -> Change[Made]:
        known = _find_keyed(writer, snapshot, current, key) if key else None
        if known is not None:
            change = Change(known)
        else:
            txn = messages.keyed_transaction(current, key) if key else ""
            change = planning.plan_version(snapshot, current, record, reserved=reserved, wanted=draft.number, txn=txn)
            made_here = {f"{current}@{change.result}"}
            change = with_runs(
                snapshot,
                change,
                [replace(run, versions=tuple(sorted({*run.versions, *made_here}))) for run in new_runs],
            )
        made = VersionRef(current, str(change.result), since=snapshot.renumberings.count)
        return replace(change, result=Made(made, new=known is None))  # type: ignore[arg-type, return-value]

    return change_model(writer, chosen, plan)


def check_creation(
    writer: Writer, model: str | ModelRef, draft: Draft, *, artifacts: Iterable[tuple[str, str]] = ()
) -> ModelRef:
    """Check, before artifacts are stored, that `make_version` would accept these values.

    Return a reference to the model. *artifacts* are names and kinds. Raises the errors of `make_version`.
    """
    links = [ArtifactLink(name=link, kind=kind, digest=NO_DIGEST, size=0, format="json") for link, kind in artifacts]

    def plan(snapshot: Snapshot) -> Change[ModelRef]:
        chosen = choose_to_change(snapshot, ModelRef.of(model))
        record = _record(writer, chosen.model, draft, links)
        planned = planning.plan_version(snapshot, chosen.model, record, wanted=draft.number)
        return replace(planned, result=chosen)  # type: ignore[arg-type, return-value]

    return writer.check(plan)


def find_keyed(writer: Writer, model: str | ModelRef, key: str) -> int | None:
    """Return the version of *model* that was created with the idempotency *key*, or None. Raises NotFound, Conflict."""
    return writer.read_records(lambda snapshot: _find_keyed(writer, snapshot, existing_model(snapshot, model), key))


def get_version(writer: Writer, ref: VersionRef) -> VersionView:
    """Return the version that *ref* names; for a stage or alias, the version in force. Raises NotFound, Invalid."""

    def question(snapshot: Snapshot) -> VersionView:
        model, number = snapshot.resolve(ref)
        return view_version(snapshot, model, snapshot.version(model, number), stage_states(snapshot, model))

    return writer.read(question)


def resolve(writer: Writer, ref: VersionRef) -> tuple[str, VersionRecord]:
    """Return the current name of the model and the record of the version that *ref* names."""
    found = find(writer, ref)
    return found.model, found.record


def list_versions(
    writer: Writer, model: str | ModelRef, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[VersionView], list[Invalid]]:
    """Return the versions of *model* that match *filter* (CEL), newest first, and an error for each damaged version."""
    listing = _Listing(writer, model, filter, limit, offset)
    views: list[VersionView] = []
    damaged: list[Invalid] = []
    with _without_collector():
        for found in listing:
            if isinstance(found, Invalid):
                damaged.append(found)
            else:
                views.append(found)
    return views, damaged


class VersionIds(Frozen):
    """The git object ids of the record of a version, and of the file by which it is archived (None: it is not)."""

    record: Oid
    archived: Oid | None


def version_ids(repository: Repository, model: str | ModelRef) -> dict[int, VersionIds]:
    """Return the object ids of the files of each version of *model*, also of deleted ones. Raises NotFound."""

    def question(snapshot: Snapshot) -> dict[int, VersionIds]:
        files, name = repository.files(snapshot.commit), existing_model(snapshot, model)
        folders = (paths.version_file(name, 1), paths.archived_file(name, 1))
        found, archived = (_ids_below(files, path.rpartition("/")[0]) for path in folders)
        return {number: VersionIds(found[number], archived.get(number)) for number in sorted(found, reverse=True)}

    return repository.read(question)


def _ids_below(files: CommitFiles, folder: str) -> dict[int, Oid]:
    """Return the object ids of the files of versions in *folder* and its folders of a hundred, by number."""
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
    """Return the records of the versions *numbers* of *model*, and an error for a damaged one. Raises NotFound."""
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


def count_present(snapshot: Snapshot, folder: Path | None, model: str) -> tuple[int, bool]:
    """Do the same as `Snapshot.count_present`, with the index in *folder* if that is faster."""
    index = open_index(snapshot, folder, (model,))
    found = None if index is None else index.count_versions(model)
    return snapshot.count_present(model) if found is None else (found, True)


def each_version(
    writer: Writer, model: str | ModelRef, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> _Listing:
    """Iterate over the versions of `list_versions` without a list in memory.

    Damaged versions are included as errors.
    """
    return _Listing(writer, model, filter, limit, offset)


def each_row(
    writer: Writer, model: str | ModelRef, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> Iterator[VersionView | VersionRow | Invalid]:
    """Iterate over `each_version` for a table. Reads few records, because the index has the fields that tables show."""
    return _Listing(writer, model, filter, limit, offset).rows()


def existing_model(snapshot: Snapshot, model: str | ModelRef) -> str:
    """Return the current name of *model*, which exists. Raises NotFound."""
    name = snapshot.model_to_read(model)
    snapshot.model(name)
    return name


def open_index(snapshot: Snapshot, folder: Path | None, models: Iterable[str]) -> Index | None:
    """Return the index in *folder*; None if it cannot search *snapshot*, or if reading records is faster."""
    files, models = snapshot.files, tuple(models)
    if folder is None or not isinstance(files, CommitFiles):
        return None
    if len(models) < _MODELS_FOR_INDEX:
        names = (name for model in models for name in files.names(f"{paths.model_folder(model)}/versions"))
        try:
            if sum(100 if hundred_of(name) else 1 for name in names) < 100 * _HUNDREDS_FOR_INDEX:
                return None
        except Invalid:  # reading the records reports the damaged folder
            return None
    try:
        from gitmodel.index.searching import Index  # imported here: only searches of many versions need SQLite
    except ImportError:  # Python can be built without SQLite
        return None
    return Index(folder, files, newer=snapshot.newer)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable the garbage collector: with 10,000 versions, it takes a quarter of the time and frees nothing."""
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


def _read_next(index: Index, left: Iterator[Candidate], most: int | None) -> Iterator[VersionRecord | Invalid]:
    return index.read(islice(left, most))


class _Listing:
    """The versions of a model at one commit, with the stages in force at the time of creation."""

    def __init__(self, writer: Writer, model: str | ModelRef, filter: str, limit: int | None, offset: int) -> None:
        self._page = read_page(limit, offset)
        self._index_folder = writer.index_folder
        self.snapshot, self.model, self.states, self.since = writer.read(lambda snapshot: _stages_of(snapshot, model))
        self._places = Places(self.snapshot, self.model, self.states)
        names = searched_names(self.snapshot.registry().stage_names) if filter else {}
        self._wanted = parse_filter(filter, names)
        self._authors: Mapping[str, Authorship] = {}
        if self._wanted is not None and not self._wanted.names.isdisjoint(AUTHORSHIP_NAMES):
            from gitmodel.registry.authorship import read_authorships  # imported here: few filters read authors

            self._authors = read_authorships(writer.repository, self.snapshot.commit, self._index_folder)

    def rows(self) -> Iterator[VersionView | VersionRow | Invalid]:
        """Iterate over the same versions, with a summary of those whose record need not be read."""
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
        # If no version that was read has a name in the filter, read all versions first: it is an error if none has the
        # name.
        return self._checked(iter(list(found)) if self._wanted.unseen else found)

    def _checked(self, found: Iterator[VersionView | Invalid]) -> Iterator[VersionView | Invalid]:
        assert self._wanted is not None
        nothing = f"no version of {self.model}"
        if self._wanted.unseen:
            self._wanted.check_searched(nothing)
        yield from found
        self._wanted.check_searched(nothing)

    def _reader(self) -> _Reader:
        """Return the reader of the versions that may match, newest first: versions that the index names, or all."""
        if self._wanted is not None and self._wanted.conditions:
            index = open_index(self.snapshot, self._index_folder, (self.model,))
            found = index.find_versions(self.model, self._wanted.conditions, self._wanted.asked) if index else None
            if index is not None and found is not None:
                self._wanted.settle()
                named = iter(sorted((*found.versions, *found.damaged), key=lambda one: -one.number))
                return partial(_read_next, index, named)
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
        """Return True while the filter uses a name or type that no version, even a deleted version, has had so far."""
        return self._wanted is not None and self._wanted.unseen


def update_version(
    writer: Writer,
    ref: VersionRef,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: TagChanges = TagChanges(),
) -> int:
    """Change the description and tags of a version, or give a name to a version without a name. Return its number."""
    said = None if description is None else _text(description)
    whole = None if tags.whole is None else read_words(tags.whole)
    tags = tags._replace(whole=whole)
    return change_version(writer, ref, planning.plan_version_update, name=name, description=said, tags=tags)


def delete_version(writer: Writer, ref: VersionRef, *, why: Justification = Justification()) -> int:
    """Delete a version and never use its number and name again.

    Raises Refused for a version in use, unless *why* forces the deletion.
    """
    return change_version(writer, ref, planning.plan_version_deletion, now=writer.moment(), why=why)


def set_metadata(
    writer: Writer,
    ref: VersionRef,
    values: Mapping[str, Any],
    *,
    on: str | None = None,
    attached: str | None = None,
    remove: Iterable[str] = (),
    table: str = "",
) -> int:
    """Set metadata of a version, or of its artifact *on* or attachment *attached*. Remove the keys *remove*.

    With *table*, the keys are those of an inner table. Returns the version's number.
    """
    plan, gone = planning.plan_metadata, tuple(remove)
    return change_version(writer, ref, plan, values, on=on, attached=attached, remove=gone, table=table)


def _record(
    writer: Writer,
    model: str,
    draft: Draft,
    artifacts: Iterable[ArtifactLink],
    code: Code | None = None,
    runs: Iterable[str] = (),
) -> VersionRecord:
    """Return the record of a new version, without its number, which the plan sets. Raises UsageError, Conflict."""
    links = tuple(artifacts)
    planning.check_artifacts(links, f"the new version of {model}")
    return VersionRecord(
        number=1,
        created=writer.moment(),
        name=None if draft.name is None else check_version_name(draft.name),
        description=_text(draft.description),
        tags=tuple(sorted(set(read_words(draft.tags)))),
        runs=tuple(runs),
        code=code,
        metadata=read_values(draft.metadata or {}),
        artifacts=links,
    )


def _find_keyed(writer: Writer, snapshot: Snapshot, model: str, key: str) -> int | None:
    for known_as in chain((model,), snapshot.former_names(model)):
        number = writer.find_made(snapshot, model, messages.keyed_transaction(known_as, key))
        if number is not None:
            return number
    return None


def _stages_of(snapshot: Snapshot, model: str | ModelRef) -> tuple[Snapshot, str, tuple[StageState, ...], int]:
    name = existing_model(snapshot, model)
    return snapshot, name, tuple(stage_states(snapshot, name)), snapshot.renumberings.count


def _text(value: str) -> str:
    try:
        return codec.text(value)
    except codec.Wrong as wrong:
        raise UsageError(f"a description {wrong}", hint="give text") from None
