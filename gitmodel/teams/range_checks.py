"""`check BASE..HEAD`: what a change may not do to a registry, by its name, judged on what a merge would make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from gitmodel.branch.changed_paths import changed_paths
from gitmodel.branch.first_parents import refuse_edge
from gitmodel.branch.git_index import staged_tree
from gitmodel.branch.merged_tree import merged_tree
from gitmodel.branch.repository import Repository
from gitmodel.domain import gates
from gitmodel.domain.changes.stages import held_files, stage_states
from gitmodel.domain.related_records import related
from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import VersionRecord, links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid
from gitmodel.git.commits import find_commit, merge_base
from gitmodel.git.trees import CommitFiles
from gitmodel.registry import in_force
from gitmodel.registry.checking import check_files
from gitmodel.registry.recorded_credentials import credentials_in

# What a change may not do, as `docs/reference/format.md` names it.
RULES: Mapping[str, str] = {
    "change.lineage": "both sides of a change share their history",
    "change.conflict": "the two sides did not change the same lines",
    "change.gone": "no version, name or model disappears without a tombstone",
    "change.number": "a new version has a number above all previous ones, and skips at most 1,000 numbers unless "
    "its model is new; a deleted version stays deleted",
    "change.version": "a version keeps its name, creation time, code and runs; and its artifacts while it is in a "
    "stage, archived or under an alias",
    "change.name": "a name always leads to the same version",
    "change.model": "a model keeps its creation time; a deleted or renamed model stays so",
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


@dataclass(frozen=True)
class RangeCheck:
    """The problems of a change, and its *rules*: the files it changes that decide *who may* and *what passes*.

    *tree* is the result of the merge (None: there is none), *changed* are the paths in it that differ from the base.
    *not_to_forward* is the merge that brought the base into the change, as hosts make to update a branch, or None:
    after a fast-forward to it, the first parents of the branch would not lead to the base. *credentials* are fields
    in what changes that look like one, such as "metadata.password of iris@4 looks like ...".
    """

    problems: tuple[Problem, ...]
    rules: tuple[str, ...] = ()
    tree: Oid | None = None
    changed: tuple[str, ...] = ()
    not_to_forward: Oid | None = None
    credentials: tuple[str, ...] = ()


def check_between(repository: Repository, base: Oid, head: Oid, *, force: bool = False) -> RangeCheck:
    """Find the problems of merging the commit *head* into *base*: new faults of records, and rules of a change.

    *force* allows the change to delete what is in use, and many records at once.
    """
    shared = merge_base(repository.git, base, head)
    if not shared:
        for commit in (base, head):
            refuse_edge(repository, commit)
        return RangeCheck((Problem("", "", "change.lineage", "the two have no commit in common"),))
    try:
        changed_paths(repository, shared, head)
    except Invalid as error:
        return RangeCheck((Problem("", "", "change.size", error.message),))
    tree, conflicts = merged_tree(repository, base, head)
    problems = [Problem(path, "", "change.conflict", "was changed on both sides") for path in conflicts]
    if tree is None or conflicts:
        return RangeCheck(tuple(problems))
    found = _judge_tree(repository, base, head, tree, force)
    behind = shared == base and not repository.tags.is_on_chain(head, base)
    return replace(found, not_to_forward=repository.tags.merged_by(head, base)) if behind else found


def check_staged(repository: Repository, index: Path | None = None, *, force: bool = False) -> RangeCheck | None:
    """Find the problems of the staged files, in *index* or the work tree's own, on the commit that is checked out.

    None if that is not of the metadata branch or a proposal, or nothing is staged.
    """
    head, tip = find_commit(repository.git, "HEAD"), repository.tip()
    if not head or not tip or not merge_base(repository.git, head, tip):
        return None
    tree = staged_tree(repository, index)
    if tree == repository.tags.commit(head).tree:
        return None
    return _judge_tree(repository, head, head, tree, force)


def _judge_tree(repository: Repository, base: Oid, head: Oid, tree: Oid, force: bool) -> RangeCheck:
    """Find the problems of the *tree* that results from merging *head* into the commit *base*."""
    before = repository.recorded(base)
    after = replace(before, commit=head, files=CommitFiles(repository.trees, tree))
    try:
        changed = changed_paths(repository, base, tree)
    except Invalid as error:
        return RangeCheck((Problem("", "", "change.size", error.message),))
    problems = _new_problems(before, after, changed)
    both = _Both(repository, before, after, force)
    for path in changed:
        what = paths.parse_path(path)
        if what is not None:
            try:
                problems += _judge(both, path, what)
            except Invalid:
                continue  # `check_files` has said so
    problems += [] if force else _size_faults(before, after, changed)
    rules = tuple(path for path in changed if paths.is_rule(path))
    found = tuple(credentials_in(after.files, changed))
    return RangeCheck(tuple(problems), rules, tree, tuple(changed), credentials=found)


def _new_problems(before: Snapshot, after: Snapshot, changed: list[str]) -> list[Problem]:
    """Return the problems that the records have after the change and did not have before."""
    old, new = before.files, after.files
    assert isinstance(old, CommitFiles)
    assert isinstance(new, CommitFiles)
    wanted = None
    if paths.REGISTRY not in changed or _same_for_all(before, after):
        wanted = related(old, changed) | related(new, changed)
    known = set(check_files(old, wanted))
    return [problem for problem in check_files(new, wanted) if problem not in known]


def _same_for_all(before: Snapshot, after: Snapshot) -> bool:
    """Return True if a change of `gitmodel.toml` keeps the format and stages by which other records are judged."""
    try:
        old, new = before.registry(), after.registry()
    except Invalid:
        return False
    return (old.format, old.stage_names) == (new.format, new.stage_names)


@dataclass(frozen=True)
class _Both:
    """The branch *before* and *after* a change, to judge the change on, and whether it was made with *force*."""

    repository: Repository
    before: Snapshot
    after: Snapshot
    force: bool

    @cached_property
    def last_number(self) -> Callable[[str], int]:
        """The highest number that a model had before."""
        return cache(self.before.last_number)


def _skipped(after: Snapshot, model: str, number: int) -> int:
    """Count the numbers directly before *number* that no version of *model* has."""
    files = after.files
    assert isinstance(files, CommitFiles)
    near = range(number - 1, max(0, number - paths.MOST_SKIPPED - 2), -1)
    below = next((other for other in near if files.id(paths.version_file(model, other)) is not None), None)
    if below is None:
        below = next((other for other in after.newest_numbers(model) if other < number), 0)
    return number - below - 1


def _judge(both: _Both, path: str, what: RecordPath) -> Iterator[Problem]:
    before, after = both.before, both.after
    if what.kind == "version":
        yield from _version_faults(both, path, what)
    elif what.kind == "model":
        yield from _model_faults(before, after, path, what, both.force)
    elif what.kind == "name":
        yield from _name_faults(before, after, path, what)
    elif what.kind == "stage":
        yield from _stage_faults(both.repository, before, after, path, what)
    elif what.kind == "run" and before.files.read(path) is not None:
        yield Problem(path, "", "change.run", "is changed or gone")
    elif what.kind == "purge" and before.files.read(path) is not None:
        yield Problem(path, "", "change.purge", "is changed or gone")
    elif what.kind == "registry":
        old, new = before.registry().format, after.registry().format
        if tuple(map(int, new.split("."))) < tuple(map(int, old.split("."))):
            yield Problem(path, "format", "change.format", f"is lowered from {old} to {new}")


def _version_faults(both: _Both, path: str, what: RecordPath) -> Iterator[Problem]:
    before, after, number = both.before, both.after, int(what.key)
    old, new = before.load(path, records.VersionRecord), after.load(path, records.VersionRecord)
    if old is None:
        last = both.last_number(what.model)
        if number <= last:
            yield Problem(path, "number", "change.number", f"is new, and {last} was given already")
        elif _is_there(before, what.model):
            skipped = _skipped(after, what.model, number)
            if skipped > paths.MOST_SKIPPED:
                yield Problem(path, "number", "change.number", f"is new, and leaves out {skipped} numbers before it")
        return
    if new is None:
        if _is_there(after, what.model):
            yield Problem(path, "", "change.gone", "is gone without leaving its number")
        return
    if old.deleted is not None:
        if new.deleted is None:
            yield Problem(path, "deleted", "change.number", "is taken back")
        return
    held = held_files(before, what.model, number)
    if new.deleted is not None:
        if held and not both.force:
            yield Problem(path, "deleted", "change.held", f"is set, and {_places(held)} names this version")
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
    if new.failed and not old.failed:
        yield "failed"
    if not set(old.runs) <= set(new.runs):
        yield "runs"
    if held and links_digest(new.artifacts) != links_digest(old.artifacts):
        yield "artifacts"


def _model_faults(before: Snapshot, after: Snapshot, path: str, what: RecordPath, force: bool) -> Iterator[Problem]:
    old, new = before.load(path, records.ModelRecord), after.load(path, records.ModelRecord)
    if old is None:
        return
    if new is None:
        yield Problem(path, "", "change.gone", "is gone without leaving its name")
    elif not old.exists:
        yield Problem(path, "", "change.model", "is of a model that is gone, and changed")
    elif old.created != new.created:
        yield Problem(path, "created", "change.model", "is changed")
    elif new.deleted is not None and not force:
        held = [state.name for state in stage_states(before, what.model)]
        if held:
            yield Problem(path, "deleted", "change.held", f"is set, and {' and '.join(held)} has a version of it")


def _name_faults(before: Snapshot, after: Snapshot, path: str, what: RecordPath) -> Iterator[Problem]:
    old, new = before.load(path, records.NameRecord), after.load(path, records.NameRecord)
    if old is None or not _is_there(after, what.model) or (new is not None and new.version == old.version):
        return
    version = after.load(paths.version_file(what.model, old.version), records.VersionRecord)
    if new is not None:
        yield Problem(path, "version", "change.name", f"is {new.version}, and was {old.version}")
    elif version is not None and version.deleted is None:
        yield Problem(path, "", "change.name", f"is gone, and version {old.version} is there")


def _stage_faults(
    repository: Repository, before: Snapshot, after: Snapshot, path: str, what: RecordPath
) -> Iterator[Problem]:
    record = after.load(path, records.StageRecord)
    if record is None or _is_carried(before, after, path, what):
        return
    if in_force.may_return(repository, before, StageRef(what.model, what.key), record):
        return
    try:
        outcomes = gates.judge_entry(
            before,
            after,
            StageRef(what.model, what.key),
            record.version,
            in_force.judge,
            forced=record.forced if record.reason.strip() else (),
        )
    except GitModelError as error:
        yield Problem(path, "version", "change.gate", error.message)
        return
    for outcome in outcomes:
        if outcome.stops:
            yield Problem(path, "version", "change.gate", f"version {record.version} fails {outcome}")


def _is_carried(before: Snapshot, after: Snapshot, path: str, what: RecordPath) -> bool:
    """Return True if the stage's file moved with its model, which was renamed."""
    if before.load(paths.model_file(what.model), records.ModelRecord) is not None:
        return False
    former = [
        name for name in after.former_names(what.model) if before.load(paths.model_file(name), records.ModelRecord)
    ]
    data = after.files.read(path)
    return any(before.files.read(paths.stage_file(name, what.key)) == data for name in former)


def _size_faults(before: Snapshot, after: Snapshot, changed: list[str]) -> Iterator[Problem]:
    found = (paths.parse_path(path) for path in changed)
    touched = {what.model for what in found if what is not None and what.model}
    there = {name for name in touched if _is_there(before, name)}
    deleted = sorted(name for name in there if not _is_there(after, name) and not _is_renamed(after, name))
    if len(deleted) > _MOST_DELETED:
        yield Problem(paths.MODELS, "", "change.size", f"{len(deleted)} models are deleted: {', '.join(deleted[:5])}")
    if len(there) > _MOST_CHANGED and len(there) * 10 > len(before.model_names()):
        yield Problem(
            paths.MODELS, "", "change.size", f"{len(there)} of {len(before.model_names())} models are changed"
        )


def _is_there(snapshot: Snapshot, model: str) -> bool:
    try:
        record = snapshot.load(paths.model_file(model), records.ModelRecord)
    except Invalid:
        return False
    return record is not None and record.exists


def _is_renamed(snapshot: Snapshot, model: str) -> bool:
    try:
        record = snapshot.load(paths.model_file(model), records.ModelRecord)
    except Invalid:
        return False
    return record is not None and record.renamed_to is not None


def _places(files: list[str]) -> str:
    return " and ".join(path.rsplit("/", 2 if "/archived/" in path else 1)[-1].removesuffix(".toml") for path in files)
