"""The named rules that a change must follow, and comparing the branch before and after a change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property

from gitmodel.domain.changes.stages import held_files, stage_states
from gitmodel.domain.rules import gates
from gitmodel.domain.rules.gates import Judge
from gitmodel.domain.schema import paths, record_values, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import StageRecord, VersionRecord, links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid
from gitmodel.frozen import Frozen

# The rules for changes by name; `docs/reference/format.md` lists them, too.
RULES: Mapping[str, str] = {
    "change.lineage": "both sides of a change have a common history",
    "change.conflict": "the two sides did not change the same lines",
    "change.gone": "no version, name or model disappears without a tombstone",
    "change.number": "a new version has a number above all previous ones, and skips at most 1,000 numbers unless "
    "its model is new; a deleted version stays deleted",
    "change.version": "a version keeps its name, creation time, code, origin and runs; in a stage, archived or under "
    "an alias, it also keeps its artifacts",
    "change.name": "a name always leads to the same version",
    "change.model": "a model keeps its creation time; a deleted model stays deleted, and a renamed one renamed",
    "change.run": "a run is never changed",
    "change.purge": "the tombstone of an artifact is never changed or removed",
    "change.format": "the format of the registry is not lowered",
    "change.held": "a version that is in a stage or under an alias is not deleted, unless by force",
    "change.gate": "a version that enters a stage meets the rules that the stage had before",
    "change.size": "at most one model is deleted, and at most 20 models or a tenth of them are changed, unless by "
    "force; at most 200,000 files are changed",
}
_MOST_DELETED = 1
_MOST_CHANGED = 20


class ChangedBranch(Frozen):
    """The branch *before* and *after* a change, with everything that is needed to judge the change.

    *judge* evaluates the expression of a gate. *may_return* tells if a stage's record may put a version back into the
    stage without a check of the gates, because the version was there before. If *force* is True, the change may delete
    versions in use, delete several models, and change many models.
    """

    before: Snapshot
    after: Snapshot
    judge: Judge
    may_return: Callable[[StageRef, StageRecord], bool]
    force: bool = False

    @cached_property
    def last_number(self) -> Callable[[str], int]:
        """A function that returns the highest number of a model before the change."""
        return cache(self.before.last_number)

    def problems(self, changed: Sequence[str]) -> Iterator[Problem]:
        """Yield a problem for each rule that the change of the paths *changed* breaks. Ignores damaged records."""
        for path in changed:
            what = paths.parse_path(path)
            if what is not None:
                try:
                    yield from _problems_at(self, path, what)
                except Invalid:
                    continue  # `check` reports the unreadable record as a broken invariant
        yield from () if self.force else _size_problems(self.before, self.after, changed)


def _problems_at(branch: ChangedBranch, path: str, what: RecordPath) -> Iterator[Problem]:
    before, after = branch.before, branch.after
    if what.kind == "version":
        yield from _version_problems(branch, path, what)
    elif what.kind == "model":
        yield from _model_problems(before, after, path, what, branch.force)
    elif what.kind == "name":
        yield from _name_problems(before, after, path, what)
    elif what.kind == "stage":
        yield from _stage_problems(branch, path, what)
    elif what.kind == "run" and before.files.read(path) is not None:
        yield Problem(path, "", "change.run", "is changed or gone")
    elif what.kind == "purge" and before.files.read(path) is not None:
        yield Problem(path, "", "change.purge", "is changed or gone")
    elif what.kind == "registry":
        old, new = before.registry().format, after.registry().format
        if record_values.format_version(new) < record_values.format_version(old):
            yield Problem(path, "format", "change.format", f"is lowered from {old} to {new}")


def _skipped(after: Snapshot, model: str, number: int) -> int:
    """Return the number of unused numbers of *model* directly before *number*."""
    near = range(number - 1, max(0, number - paths.MOST_SKIPPED - 2), -1)
    below = next((other for other in near if after.files.read(paths.version_file(model, other)) is not None), None)
    if below is None:
        below = next((other for other in after.newest_numbers(model) if other < number), 0)
    return number - below - 1


def _version_problems(branch: ChangedBranch, path: str, what: RecordPath) -> Iterator[Problem]:
    before, after, number = branch.before, branch.after, int(what.key)
    old, new = before.load(path, records.VersionRecord), after.load(path, records.VersionRecord)
    if old is None:
        last = branch.last_number(what.model)
        if number <= last:
            yield Problem(path, "number", "change.number", f"is new, but {last} was already given")
        elif before.has_model(what.model, tolerant=True):
            skipped = _skipped(after, what.model, number)
            if skipped > paths.MOST_SKIPPED:
                yield Problem(path, "number", "change.number", f"is new, and skips {skipped} numbers before it")
        return
    if new is None:
        if after.has_model(what.model, tolerant=True):
            yield Problem(path, "", "change.gone", "was removed without a tombstone")
        return
    if old.deleted is not None:
        if new.deleted is None:
            yield Problem(path, "deleted", "change.number", "was removed")
        return
    held = held_files(before, what.model, number)
    if new.deleted is not None:
        if held and not branch.force:
            yield Problem(path, "deleted", "change.held", f"is set, although {_places(held)} names this version")
        return
    for key in _changed_keys(old, new, held):
        yield Problem(path, key, "change.version", "is changed")


def _changed_keys(old: VersionRecord, new: VersionRecord, held: list[str]) -> Iterator[str]:
    if old.name is not None and new.name != old.name:
        yield "name"
    if old.created != new.created:
        yield "created"
    if not old.failed and new.code != old.code:
        yield "code"
    if new.origin != old.origin:
        yield "origin"
    if new.failed and not old.failed:
        yield "failed"
    if not set(old.runs) <= set(new.runs):
        yield "runs"
    if held and (links_digest(new.artifacts) != links_digest(old.artifacts) or _files(new) != _files(old)):
        yield "artifacts"


def _files(version: VersionRecord) -> dict[str, str | None]:
    return {link.name: link.file for link in version.artifacts}


def _model_problems(before: Snapshot, after: Snapshot, path: str, what: RecordPath, force: bool) -> Iterator[Problem]:
    old, new = before.load(path, records.ModelRecord), after.load(path, records.ModelRecord)
    if old is None:
        return
    if new is None:
        yield Problem(path, "", "change.gone", "was removed without a tombstone")
    elif not old.exists:
        yield Problem(path, "", "change.model", "was changed, although the model is deleted or renamed")
    elif old.created != new.created:
        yield Problem(path, "created", "change.model", "is changed")
    elif new.deleted is not None and not force:
        held = [state.name for state in stage_states(before, what.model)]
        if held:
            yield Problem(path, "deleted", "change.held", f"is set, although {' and '.join(held)} has a version of it")


def _name_problems(before: Snapshot, after: Snapshot, path: str, what: RecordPath) -> Iterator[Problem]:
    old, new = before.load(path, records.NameRecord), after.load(path, records.NameRecord)
    if old is None or (new is not None and new.version == old.version):
        return
    if not after.has_model(what.model, tolerant=True):
        return
    version = after.load(paths.version_file(what.model, old.version), records.VersionRecord)
    if new is not None:
        yield Problem(path, "version", "change.name", f"is {new.version}, and was {old.version}")
    elif version is not None and version.deleted is None:
        yield Problem(path, "", "change.name", f"was removed, although version {old.version} exists")


def _stage_problems(branch: ChangedBranch, path: str, what: RecordPath) -> Iterator[Problem]:
    before, after = branch.before, branch.after
    record, ref = after.load(path, records.StageRecord), StageRef(what.model, what.key)
    if record is None or _is_carried(before, after, path, what) or branch.may_return(ref, record):
        return
    try:
        outcomes = gates.judge_recorded(before, after, ref, record, branch.judge)
    except GitModelError as error:
        yield Problem(path, "version", "change.gate", error.message)
        return
    for outcome in outcomes:
        if outcome.stops:
            yield Problem(path, "version", "change.gate", f"version {record.version} fails {outcome}")


def _is_carried(before: Snapshot, after: Snapshot, path: str, what: RecordPath) -> bool:
    """Return True if a rename of the model moved a stage file to *path* unchanged.

    Then no version entered the stage. *what* is the parsed *path*.
    """
    if before.load(paths.model_file(what.model), records.ModelRecord) is not None:
        return False
    data, former = after.files.read(path), after.former_names(what.model)
    there = (name for name in former if before.load(paths.model_file(name), records.ModelRecord) is not None)
    return any(before.files.read(paths.stage_file(name, what.key)) == data for name in there)


def _size_problems(before: Snapshot, after: Snapshot, changed: Sequence[str]) -> Iterator[Problem]:
    found = (paths.parse_path(path) for path in changed)
    touched = {what.model for what in found if what is not None and what.model}
    there = {name for name in touched if before.has_model(name, tolerant=True)}
    gone = sorted(name for name in there if not after.has_model(name, tolerant=True))
    deleted = [name for name in gone if after.current_name(name, tolerant=True) == name]
    if len(deleted) > _MOST_DELETED:
        yield Problem(paths.MODELS, "", "change.size", f"{len(deleted)} models are deleted: {', '.join(deleted[:5])}")
    if len(there) > _MOST_CHANGED and len(there) * 10 > len(before.model_names()):
        message = f"{len(there)} of {len(before.model_names())} models are changed"
        yield Problem(paths.MODELS, "", "change.size", message)


def _places(files: list[str]) -> str:
    return " and ".join(path.rsplit("/", 2 if "/archived/" in path else 1)[-1].removesuffix(".toml") for path in files)
