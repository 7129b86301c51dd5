"""The history of stages, read from the commits that changed their files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitmodel.branch.history.first_parents import (
    BranchCommit,
    FileChange,
    parse_person,
    walk_branch,
    walk_branch_by_path,
)
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema import codec, messages, paths, records
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import place_at
from gitmodel.domain.snapshots.snapshot_sources import Refusal
from gitmodel.errors import Invalid, NotFound
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import changed_files, commits_saying


class StageEvent(Frozen):
    """A commit that changed a stage or alias: *version* entered it (None: it became empty) after *previous*.

    *model* is the name of the model at that time. *author* made the change at *authored*. The change came to the branch
    at *when*. If a merge brought the change in, *merged_by* made the merge, and *pull_request* is its number ("#12",
    "!12") if the commit names one. The commit *ended_by* replaced the version at *until* ("" and None for the current
    version). *refusal* is the reason why the change was never in force, or "".
    """

    model: str
    stage: str
    version: int | None
    previous: int | None
    commit: Oid
    author: str
    when: datetime
    reason: str
    forced: tuple[str, ...] = ()
    authored: datetime | None = None
    merged_by: str = ""
    pull_request: str = ""
    until: datetime | None = None
    ended_by: str = ""
    refusal: Refusal | None = None

    @property
    def fault(self) -> str:
        """The refusal in words; "" if there is none."""
        return str(self.refusal or "")

    @property
    def counts(self) -> bool:
        """True if the change counts by the rules of its time."""
        return self.refusal is None


def stage_events(repository: Repository, tip: Oid | None, ref: StageRef | None = None) -> Iterator[StageEvent]:
    """Yield the changes of the stage or alias *ref*, newest first.

    Without a stage in *ref*, yield the changes of all stages of its model; without *ref*, those of all models. Includes
    changes under previous names of the model. Leaves out commits inside pull requests. Raises Invalid after the last
    available change if a shallow clone lacks older changes.
    """
    if not tip:
        return
    walk = walk_branch if ref is None else walk_branch_by_path  # git's changed-path filters do not work with patterns
    registry = repository.recorded(tip).registry()
    for wanted in _walks(repository, tip, ref):
        for entry in walk(repository, tip, *wanted):
            for change in entry.changes:
                found = paths.parse_path(change.path)
                if found is not None and place_at(registry, found) is not None:
                    yield from _events(repository, entry, change, found)


def find_transaction(repository: Repository, tip: Oid | None, txn: str) -> tuple[Repository, Oid] | None:
    """Return the newest commit in the history of *tip* with the transaction id *txn*, and its repository; else None.

    For a registry by URL, this repository may have only this commit and its parents.
    """
    if tip is None:
        return None
    server, text = repository.server, f"Txn: {txn}"
    at, found = server.find_message(tip, text) if server else (repository, commits_saying(repository.git, tip, text))
    carries = ((at, id) for id in found if messages.carries_transaction(at.commits.read(id).message, txn))
    return next(carries, None)


def changes_between(repository: Repository, old: Oid | None, new: Oid) -> list[tuple[Oid, list[str]]]:
    """Return the first parents of *new* that *old* does not have, oldest first, each with the paths that it changed."""
    return changed_files(repository.git, new, without=old)[::-1]


def _walks(repository: Repository, tip: Oid, ref: StageRef | None) -> Iterator[list[str]]:
    """Yield the pathspecs for each walk of git: the files of *ref* under each name of its model."""
    if ref is None:
        yield [f":(glob){paths.MODELS}/*/stages/*.toml", f":(glob){paths.MODELS}/*/aliases/*.toml"]
        return
    yield _places(repository, tip, ref)
    for name in repository.recorded(tip).former_names(ref.model):
        yield _places(repository, tip, StageRef(name, ref.stage))


def _places(repository: Repository, tip: Oid, ref: StageRef) -> list[str]:
    """Return the pathspecs of the files that *ref* has or had."""
    if not ref.stage:
        folder = paths.model_folder(ref.model)
        return [f"{folder}/stages", f"{folder}/aliases"]
    stage, alias = paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)
    # git's changed-path filters work for one path at a time, and few names were both a stage and an alias.
    first, other = (stage, alias) if ref.stage in repository.recorded(tip).registry().stage_names else (alias, stage)
    return [first, other] if repository.shallow or any(walk_branch(repository, tip, other)) else [first]


def _events(repository: Repository, entry: BranchCommit, change: FileChange, found: RecordPath) -> Iterator[StageEvent]:
    """Yield the event of one stage or alias in *entry*. Renaming a model moves its stages and is no event."""
    before, after = _record(change.before, change.path), _record(change.after, change.path)
    if change.after is None and _carried_away(repository, entry, found.model):
        return
    if change.before is None and entry.commit.parent:
        former = _carried_from(repository, entry, entry.commit.parent, found)
        if former is not None and former == after:
            return
        before = former or before
    commit = entry.commit
    author, _, authored = parse_person(author_of(repository, entry, change.path))
    merger, _, _ = parse_person(commit.author)
    yield StageEvent(
        found.model,
        found.key,
        after.version if after else None,
        before.version if before else None,
        commit.id,
        author,
        parse_person(commit.committer)[2],
        after.reason if after else messages.prose(commit.message),
        after.forced if after else (),
        authored,
        merger if len(commit.parents) > 1 else "",
        messages.pull_request(commit.message),
    )


def author_of(repository: Repository, entry: BranchCommit, path: str) -> str:
    """Return the author of the change, as a commit records it. Does not run git for a merge of a single commit."""
    commit = entry.commit
    if len(commit.parents) == 2:
        merged = repository.commits.read(commit.parents[1])
        if len(merged.parents) == 1:
            id = repository.files(merged.id).id(path)
            if id == repository.files(commit.id).id(path) != repository.files(merged.parents[0]).id(path):
                return merged.author
    return repository.commits.author(commit, path)


def _carried_away(repository: Repository, entry: BranchCommit, model: str) -> bool:
    try:
        record = repository.recorded(entry.commit.id).load(paths.model_file(model), records.ModelRecord)
    except Invalid:
        return False
    return record is not None and record.renamed_to is not None


def _carried_from(repository: Repository, entry: BranchCommit, parent: Oid, found: RecordPath) -> StageRecord | None:
    """Return the record of the stage or alias under the former name of a model that *entry* renamed."""
    before = repository.recorded(parent)
    if before.files.names(paths.model_folder(found.model)):
        return None
    for former in repository.recorded(entry.commit.id).former_names(found.model):
        try:
            before.model(former)
            load = before.recorded if found.kind == "stage" else before.recorded_alias
            return load(former, found.key)
        except (Invalid, NotFound):
            continue
    return None


def _record(data: bytes | None, path: str) -> StageRecord | None:
    try:
        return None if data is None else codec.decode(records.StageRecord, data, path, newer=True)
    except Invalid:
        return None
