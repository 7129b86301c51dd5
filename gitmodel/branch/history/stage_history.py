"""The history of stages and aliases, read from the commits that changed their files."""

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
from gitmodel.git.history.commits import commits_saying, raw_changes


class StageEvent(Frozen):
    """A change of a stage or alias by *commit*: it had the version *previous*, and has *version* (None: it is empty).

    *model* is the name of the model at that time. *author* made the change at the time *authored*. It came to the
    branch at *when*. If a merge brought the change in, *merged_by* made the merge. *pull_request* is the number of the
    pull request ("#12", "!12") if the message of the commit names one. At the time *until*, the commit *ended_by* made
    the next change of the stage or alias; *until* is None and *ended_by* is "" if there is none. *refusal* is the
    reason why the change was never in force, or None.
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
        """The text of *refusal*; "" if the change counts."""
        return str(self.refusal or "")

    @property
    def counts(self) -> bool:
        """True if the rules at the time of the change allowed it."""
        return self.refusal is None


def stage_events(repository: Repository, tip: Oid | None, ref: StageRef | None = None) -> Iterator[StageEvent]:
    """Yield the changes of the stage or alias *ref* in the history of *tip*, newest first.

    If *ref* has no stage, yields the changes of all stages and aliases of its model; if *ref* is None, those of all
    models. Includes changes under previous names of the model. In a shallow clone, raises Invalid after the last change
    that it has.
    """
    if not tip:
        return
    # Git's changed-path filters do not work for all models, because the paths then have wildcards.
    walk = walk_branch if ref is None else walk_branch_by_path
    registry = repository.recorded(tip).registry()
    for wanted in _walks(repository, tip, ref):
        for entry in walk(repository, tip, *wanted):
            for change in entry.changes:
                found = paths.parse_path(change.path)
                if found is not None and place_at(registry, found) is not None:
                    yield from _events(repository, entry, change, found)


def find_transaction(repository: Repository, tip: Oid | None, txn: str) -> tuple[Repository, Oid] | None:
    """Return the newest commit in the history of *tip* that has the transaction id *txn*, or None.

    The commit comes with the repository to read it from, which may have only this commit and its parents.
    """
    if tip is None:
        return None
    server, text = repository.server, f"Txn: {txn}"
    at, found = server.find_message(tip, text) if server else (repository, commits_saying(repository.git, tip, text))
    carries = ((at, id) for id in found if messages.carries_transaction(at.commits.read(id).message, txn))
    return next(carries, None)


def changes_between(repository: Repository, old: Oid | None, new: Oid) -> list[tuple[Oid, list[str]]]:
    """Return the commits on the chain of first parents of *new*, not in the history of *old*, oldest first.

    Each comes with the paths that it changed.
    """
    return [(commit, lines[1::2]) for commit, lines in reversed(raw_changes(repository.git, new, excluding=old))]


def _walks(repository: Repository, tip: Oid, ref: StageRef | None) -> Iterator[list[str]]:
    """Yield the pathspecs for each walk through the history: one walk for each name that the model of *ref* has or had.

    If *ref* is None, yields those for one walk with the stages and aliases of all models.
    """
    if ref is None:
        yield [f":(glob){paths.MODELS}/*/stages/*.toml", f":(glob){paths.MODELS}/*/aliases/*.toml"]
        return
    yield _places(repository, tip, ref)
    for name in repository.recorded(tip).former_names(ref.model):
        yield _places(repository, tip, StageRef(name, ref.stage))


def _places(repository: Repository, tip: Oid, ref: StageRef) -> list[str]:
    """Return the paths of the files of *ref*: of a stage, of an alias, or of both if the name was used for both."""
    if not ref.stage:
        folder = paths.model_folder(ref.model)
        return [f"{folder}/stages", f"{folder}/aliases"]
    stage, alias = paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)
    # One path if possible, for git's changed-path filters: few names were both a stage and an alias.
    first, other = (stage, alias) if ref.stage in repository.recorded(tip).registry().stage_names else (alias, stage)
    return [first, other] if repository.shallow or any(walk_branch(repository, tip, other)) else [first]


def _events(repository: Repository, entry: BranchCommit, change: FileChange, found: RecordPath) -> Iterator[StageEvent]:
    """Yield the event of the *change* in *entry* of the file *found*, unless *entry* only renamed the model."""
    before, after = _record(change.before, change.path), _record(change.after, change.path)
    if change.after is None and _carried_away(repository, entry, found.model):
        return
    if change.before is None and entry.commit.parent:
        former = _carried_from(repository, entry, entry.commit.parent, found)
        if former is not None and former == after:
            return
        before = former or before
    commit = entry.commit
    author, _, authored = parse_person(repository.commits.author(commit, change.path))
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


def _carried_away(repository: Repository, entry: BranchCommit, model: str) -> bool:
    try:
        record = repository.recorded(entry.commit.id).load(paths.model_file(model), records.ModelRecord)
    except Invalid:
        return False
    return record is not None and record.renamed_to is not None


def _carried_from(repository: Repository, entry: BranchCommit, parent: Oid, found: RecordPath) -> StageRecord | None:
    """Return the record of the stage or alias *found* under the former name of the model, if *entry* renamed it."""
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
