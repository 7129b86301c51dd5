"""`log` and `blame`: the events of a model or version, the changes of its fields, and who last set each field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from gitmodel.branch.history.first_parents import (
    BranchCommit,
    FileChange,
    parse_person,
    walk_branch,
    walk_branch_by_path,
)
from gitmodel.branch.history.stage_history import stage_events
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.stages import stage_states
from gitmodel.domain.record_fields import changed_fields, fields_of
from gitmodel.domain.schema import messages, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import place_at
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen
from gitmodel.registry.promotion import judging

_CREATED = "created"
# An event: the number of the version (None: of the model itself), what happened, and the changed fields.
_Told = tuple["int | None", str, tuple[str, ...]]


class Event(Frozen):
    """A change of one record by a commit of the branch: *what* happened in words, and the changed *fields*.

    *fields* are dotted names. *model* is the name that the model had at that time. If *version* is None, the record is
    that of the model itself. *author* made the change. *when* is the committer date of *commit*.
    """

    model: str
    version: int | None
    what: str
    fields: tuple[str, ...]
    commit: Oid
    author: str
    when: datetime
    reason: str
    pull_request: str = ""


class FieldOrigin(Frozen):
    """The commit that set a *field* to its current *value*, and the *author* and date (*when*) of this change."""

    field: str
    value: Any
    commit: Oid
    author: str
    when: datetime
    pull_request: str = ""


class FieldChange(Frozen):
    """A change of a *field* (a dotted name): its values *before* and *after* a commit (None: not set)."""

    field: str
    before: Any
    after: Any


class VersionChange(Frozen):
    """A *commit* that changed the record of a version. *author* made the change, which came to the branch at *when*."""

    commit: Oid
    author: str
    when: datetime
    reason: str
    pull_request: str
    fields: tuple[FieldChange, ...]


def log(repository: Repository, ref: VersionRef | None = None) -> Iterator[Event]:
    """Yield the events of the version *ref*, of the model if *ref* names only a model, or of all models, newest first.

    Includes the events from the time when a model had a former name. Raises NotFound if the model or version does not
    exist. If a shallow clone lacks older events, raises Invalid after the last event that can be read.
    """
    snapshot = repository.snapshot()
    if not snapshot.commit:
        return iter(())
    if ref is None:
        return _all_events(repository, snapshot, walk_branch(repository, snapshot.commit, paths.MODELS))
    name = snapshot.current_name(ref.model)
    if not ref.selector:
        snapshot.warn_of(ref)
        if not snapshot.files.names(paths.model_folder(name)):
            snapshot.model(name)
        return _events_of(repository, snapshot, name)
    name, number = _number(snapshot, ref)
    return _events_of(repository, snapshot, name, number)


def blame(repository: Repository, ref: VersionRef) -> list[FieldOrigin]:
    """Return the commit that last set each field of the version *ref*, also its stage and its aliases.

    Raises NotFound if the version does not exist, Invalid if a shallow clone lacks one of these commits.
    """
    snapshot = repository.snapshot()
    name, number = _number(snapshot, ref)
    tip = snapshot.commit
    assert tip is not None  # the version exists, so the branch has commits
    path = paths.version_file(name, number)
    now = fields_of(snapshot.files.read(path), path)
    origins: dict[str, FieldOrigin] = {}
    for at in (name, *snapshot.former_names(name)):
        if len(origins) == len(now):
            break
        _set_origins(repository, tip, at, number, now, origins)
    found = [origins[field] for field in now if field in origins]
    return [*found, *_places(repository, snapshot, tip, name, number)]


def _number(snapshot: Snapshot, ref: VersionRef) -> tuple[str, int]:
    """Return the model and number of the version that *ref* names. A version named by its number may be deleted."""
    name = snapshot.current_name(ref.model)
    if ref.number is not None:
        snapshot.version(name, ref.number)
        snapshot.warn_of(ref)
        return name, ref.number
    return snapshot.resolve(ref)


def _set_origins(
    repository: Repository, tip: Oid, model: str, number: int, now: dict[str, Any], origins: dict[str, FieldOrigin]
) -> None:
    """Add to *origins* the commits that last set fields of the version while the model had the name *model*.

    *now* has the current values of the fields. Entries that *origins* already has stay unchanged.
    """
    path = paths.version_file(model, number)
    for step in walk_branch(repository, tip, path):
        for change in step.changes:
            if change.after is None or (change.before is None and _other_name(repository, step, model)):
                continue
            for field in changed_fields(fields_of(change.before, path), fields_of(change.after, path)):
                if field in now and field not in origins:
                    origins[field] = _origin(repository, step, path, field, now[field])
        if len(origins) == len(now):
            return


def _places(repository: Repository, snapshot: Snapshot, tip: Oid, name: str, number: int) -> Iterator[FieldOrigin]:
    states = stage_states(snapshot, name)
    for state in states:
        if (state.recorded if state.refusal is None else state.in_force) != number:
            continue
        events = stage_events(repository, tip, StageRef(name, state.name))
        event = next(event for event in events if event.version == number)
        what = f"aliases.{state.name}" if state.alias else "stage"
        value = event.version if state.alias else state.name
        yield FieldOrigin(what, value, event.commit, event.author, event.when, event.pull_request)
    still = any(state.refusal is not None and state.in_force == number for state in states)
    if snapshot.is_archived(name, number) and not still:
        path = paths.archived_file(name, number)
        step = next(walk_branch(repository, tip, path))
        yield _origin(repository, step, path, "stage", "archived")


def _origin(repository: Repository, step: BranchCommit, path: str, field: str, value: Any) -> FieldOrigin:
    author, when, request = _facts(repository, step, path)
    return FieldOrigin(field, value, step.commit.id, author, when, request)


def _facts(repository: Repository, step: BranchCommit, path: str) -> tuple[str, datetime, str]:
    author = parse_person(repository.commits.author(step.commit, path))[0]
    return author, parse_person(step.commit.committer)[2], messages.pull_request(step.commit.message)


def _events_of(repository: Repository, snapshot: Snapshot, name: str, number: int | None = None) -> Iterator[Event]:
    """Yield the events of the model *name*, or only of its version *number*, also those under its previous names."""
    made = False
    for at in (name, *snapshot.former_names(name)):
        folder = paths.model_folder(at)
        wanted = [folder]
        if number is not None:
            wanted = [paths.version_file(at, number), f"{folder}/stages", f"{folder}/aliases"]
        walked = walk_branch_by_path(repository, snapshot.commit, *wanted) if snapshot.commit else ()
        for event in _all_events(repository, snapshot, walked, number):
            made = made or event.what == _CREATED
            yield event
        if made and number is not None:
            return


def _all_events(
    repository: Repository, snapshot: Snapshot, walked: Iterable[BranchCommit], number: int | None = None
) -> Iterator[Event]:
    registry = snapshot.registry()
    judged = judging.is_guarded(snapshot)
    for step in walked:
        names: dict[str, str] = {}
        made = False
        for change in step.changes:
            found = paths.parse_path(change.path)
            if found is None or not found.model or found.kind == "name":
                continue
            if found.kind in ("stage", "alias") and place_at(registry, found) is None:
                continue  # no record
            if number is not None and not _can_concern(change, found, number):
                continue
            carried = (change.before is None) != (change.after is None) or found.kind == "model"
            if carried and found.model not in names:
                names[found.model] = _other_name(repository, step, found.model)
            if carried and names[found.model]:
                # Renaming a model removes and adds each of its files. It is reported as one event, under the new name.
                is_new_name = found.kind == "model" and change.before is None and number is None
                told: Iterable[_Told] = [(None, f"renamed from {names[found.model]}", ())] if is_new_name else []
            else:
                told = _told(change, found)
            for version, what, fields in told:
                if number not in (None, version):
                    continue
                made = made or what == _CREATED
                if judged and found.kind in ("stage", "archived"):
                    what += _never(repository, step, found, version)
                author, when, request = _facts(repository, step, change.path)
                reason = messages.prose(step.commit.message)
                yield Event(found.model, version, what, fields, step.commit.id, author, when, reason, request)
        if made and number is not None:
            return  # a version has no events before its creation


def _never(repository: Repository, step: BranchCommit, path: RecordPath, version: int | None) -> str:
    """Return a text for an event about a stage if the change by the commit *step* never came into force; else "".

    *path* is the path of the changed file: that of a stage, or the archived marker of *version*, which belongs to the
    change of the stage that *version* left.
    """
    stages: Iterable[str] = [path.key]
    if path.kind == "archived":
        before, after = repository.recorded(step.commit.parent), repository.recorded(step.commit.id)
        sides = ((stage, before.recorded(path.model, stage)) for stage in after.registry().stage_names)
        stages = [stage for stage, record in sides if record is not None and record.version == version]
    refusals = (judging.change_refusal(repository, step.commit.id, StageRef(path.model, stage)) for stage in stages)
    refusal = next(filter(None, refusals), None)
    if refusal is None:
        return ""
    return " (recorded, not reviewed)" if refusal.unreviewed else " (recorded, refused by its rules)"


def _can_concern(change: FileChange, path: RecordPath, number: int) -> bool:
    """Return False if *change*, of the file at *path*, cannot concern the version *number*. Fast: parses no file."""
    if path.kind in ("version", "archived"):
        return int(path.key) == number
    digits = str(number).encode()
    return path.kind == "model" or digits in (change.before or b"") or digits in (change.after or b"")


def _told(change: FileChange, path: RecordPath) -> Iterator[_Told]:
    """Yield the events in *change*, of the file at *path*."""
    before, after = fields_of(change.before, change.path), fields_of(change.after, change.path)
    fields = changed_fields(before, after)
    if path.kind in ("stage", "alias"):
        old, new = before.get("version"), after.get("version")
        if new is not None:
            yield new, f"entered {path.key}" if path.kind == "stage" else f"got the alias {path.key}", fields
        if old is not None and old != new:
            yield old, f"left {path.key}" if path.kind == "stage" else f"lost the alias {path.key}", ()
        return
    version = None if path.kind == "model" else int(path.key)
    if path.kind == "archived":
        yield version, "archived" if change.after is not None else "no longer archived", ()
    elif change.before is None:
        yield version, "registered" if path.kind == "model" else _CREATED, fields
    elif change.after is None or ("deleted" in after and "deleted" not in before):
        yield version, "deleted", ()
    elif fields:
        yield version, "changed", fields


def _other_name(repository: Repository, step: BranchCommit, model: str) -> str:
    """Return the other name of the model if the commit *step* renamed it to *model* or from *model*; else ""."""
    if not step.commit.parent:
        return ""
    now, before = repository.recorded(step.commit.id), repository.recorded(step.commit.parent)
    new = now.current_name(model)
    if new != model:
        return new if before.current_name(model) == model else ""
    if before.files.names(paths.model_folder(model)):
        return ""
    formers = now.former_names(model)
    return next((name for name in formers if before.files.names(paths.model_folder(name))), "")


class VersionChanges:
    """The changes of the records of all versions. Creating this object walks through the history once.

    *fault* is the reason why older changes are missing, such as a shallow clone; "" if none are missing.
    """

    def __init__(self, repository: Repository) -> None:
        self.fault = ""
        self._repository = repository
        self._snapshot = repository.snapshot()
        self._found: dict[tuple[str, int], list[tuple[BranchCommit, FileChange]]] = {}
        tip = self._snapshot.commit
        # Kind M: only commits that modified an existing file. Creating a version or renaming its model adds and removes
        # files. The walk reads all files below `models`, because matching a pattern of version files would double git's
        # time.
        walked = walk_branch(repository, tip, paths.MODELS, kinds="M") if tip else ()
        try:
            for entry in walked:
                for file in entry.changes:
                    what = paths.parse_path(file.path)
                    if what is not None and what.kind == "version":
                        self._found.setdefault((what.model, int(what.key)), []).append((entry, file))
        except Invalid as error:
            self.fault = error.message

    def of(self, model: str, number: int) -> Iterator[VersionChange]:
        """Yield the changes of the version *number* of *model*, newest first, also those under former model names."""
        for name in (model, *self._snapshot.former_names(model)):
            for entry, file in self._found.get((name, number), ()):
                yield self._read(entry, file)

    def _read(self, entry: BranchCommit, file: FileChange) -> VersionChange:
        before, after = fields_of(file.before, file.path), fields_of(file.after, file.path)
        author, when, request = _facts(self._repository, entry, file.path)
        fields = tuple(FieldChange(name, before.get(name), after.get(name)) for name in changed_fields(before, after))
        return VersionChange(entry.commit.id, author, when, messages.prose(entry.commit.message), request, fields)
