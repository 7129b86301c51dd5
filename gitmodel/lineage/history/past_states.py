"""Past states of the registry: finding the commit for a date or a git revision, and reading the registry there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any, NoReturn, TypeVar

from gitmodel.branch.history.first_parents import parse_person, refuse_edge, shallow_edge, too_shallow
from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.stages import recorded_places
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import StageRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import NoTags, StageTag
from gitmodel.errors import NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.history import commits
from gitmodel.registry.promotion import judging

T = TypeVar("T")

_BEGINS_AS_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}(-|$)")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?: ?(?:Z|([+-][0-9]{2}):?([0-9]{2})))?)?"
)
# The number of commits before the found one whose dates `find_state` compares, to notice clocks that disagree.
_LOOKED_BACK = 1_000


class State(Frozen):
    """A past state of the metadata branch: its *commit*, and the committer date *when* of this commit.

    If clocks disagreed, *ahead* is a commit that is before *commit* on the branch but has a date after the requested
    one; else it is "".
    """

    commit: Oid
    when: datetime
    ahead: str = ""

    def __str__(self) -> str:
        return f"{self.commit[:10]} ({self.when:%Y-%m-%d %H:%M} UTC)"


class Past:
    """A `Writer` that reads the registry at one past *state* of the branch, and refuses to write.

    The stages and aliases that the commit of *state* records count as in force, because nobody knows where the stage
    tags were then. But a change that the rules of its stage do not allow, such as one without a required review, counts
    as never in force.
    """

    def __init__(self, repository: Repository, state: State) -> None:
        self.repository = repository
        self.state = state

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        snapshot = self.repository.recorded(self.state.commit)
        counting = partial(self._counting, snapshot) if judging.is_guarded(snapshot) else None
        return question(replace(snapshot, tags=_RecordedTags(replace(snapshot, tags=NoTags()), counting)))

    def read_records(self, question: Callable[[Snapshot], T]) -> T:
        return self.read(question)

    def _counting(self, snapshot: Snapshot, ref: StageRef) -> StageRecord | None:
        """Return the record of the stage *ref* in its newest change that counts by the rules; None if none counts."""
        found, _ = judging.newest_counting(self.repository, snapshot.commit, ref)
        return found.record if found is not None else None

    def _refuse(self, *args: Any, **options: Any) -> NoReturn:
        raise UsageError(
            f"the state at {self.state} cannot be changed", hint="leave out --at to change the present state"
        )

    transact = find_made = check = take_number = _refuse

    @property
    def index_folder(self) -> None:
        return None


class _RecordedTags:
    """Stage tags derived from the files of one commit; implements `domain.snapshots.snapshot_sources.Tags`.

    *counting* returns the record of the newest change of a stage that the rules of the stage allowed. If *counting* is
    None, no rule can refuse a change, and the record in the file of the stage counts.
    """

    all_known = True

    def __init__(self, snapshot: Snapshot, counting: Callable[[StageRef], StageRecord | None] | None) -> None:
        self._snapshot = snapshot
        self._counting = counting

    def get(self, ref: StageRef) -> StageTag | None:
        return self.of(ref.model).get(ref.stage)

    def of(self, model: str) -> Mapping[str, StageTag]:
        past, commit = self._snapshot, self._snapshot.commit
        if commit is None:
            return {}
        if self._counting is None:
            records = {stage: past.recorded(model, stage) for stage in recorded_places(past, model)}
        else:
            records = {stage: self._counting(StageRef(model, stage)) for stage in past.registry().stage_names}
        records.update({alias: past.recorded_alias(model, alias) for alias in past.recorded_aliases(model)})
        return {
            name: StageTag(StageRef(model, name), commit, commit, record)
            for name, record in records.items()
            if record is not None
        }

    def models(self) -> frozenset[str]:
        return frozenset(self._snapshot.model_names())


def find_state(repository: Repository, named: str | datetime) -> State:
    """Return the state of the metadata branch at *named*: a date or time, or a git revision such as a commit id.

    For a date, this is the newest commit on the chain of first parents whose committer date is not later than *named*.
    If the committer dates disagree with the order of the commits, `ahead` of the result names a commit that shows this.
    Raises NotFound for a date before the registry was created and for a commit that was never the newest of the
    metadata branch, UsageError for an invalid date, Invalid if a shallow clone lacks the commit.
    """
    tip = repository.tip()
    if not tip:
        raise NotFound("there is no registry here yet", hint="run `git model init`, or `git model pull`")
    moment = _moment(named)
    if moment is None:
        return _state(repository, _named_commit(repository, tip, str(named)))
    seconds = int(moment.timestamp())
    found = commits.newest_before(repository.git, tip, seconds)
    if not found:
        raise _before_the_beginning(repository, tip, moment)
    before = commits.commit_times(repository.git, found, _LOOKED_BACK)
    return _state(repository, found, next((commit for commit, time in before if time > seconds), ""))


def read_moment(text: str) -> datetime | None:
    """Return the last second of the date or time *text*, in UTC; None if *text* is neither a date nor a time.

    A date means the whole day; a time without a zone is in UTC. Raises UsageError for an invalid date.

    >>> read_moment("2026-10-01").isoformat()
    '2026-10-01T23:59:59+00:00'
    >>> read_moment("2026-10-01T12:30+02:00").isoformat()
    '2026-10-01T10:30:00+00:00'
    >>> read_moment("9fceb02") is None
    True
    """
    found = _MOMENT.fullmatch(text)
    if found is None and not _BEGINS_AS_DATE.match(text):
        return None
    try:
        if found is None:
            raise ValueError
        day, clock, hours, minutes = found.groups()
        local = datetime.fromisoformat(f"{day}T{clock or '23:59:59'}{hours or '+00'}:{minutes or '00'}")
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!a} is not a date or time", hint="write 2026-10-01, 2026-10-01T12:30 (UTC) or 2026-10-01T12:30+02:00"
        ) from None


def _moment(named: str | datetime) -> datetime | None:
    if isinstance(named, str):
        return read_moment(named.strip())
    return named if named.tzinfo else named.replace(tzinfo=timezone.utc)


def _state(repository: Repository, commit: Oid, ahead: str = "") -> State:
    return State(commit, parse_person(repository.commits.read(commit).committer)[2], ahead)


def _before_the_beginning(repository: Repository, tip: Oid, moment: datetime) -> Exception:
    first = commits.roots(repository.git, tip)[0]
    if first in shallow_edge(repository):
        return too_shallow(repository, first)
    return NotFound(
        f"there was no registry on {moment:%Y-%m-%d %H:%M} UTC: it began with {_state(repository, first)}",
        hint="name a later date, or a commit",
    )


def _named_commit(repository: Repository, tip: Oid, named: str) -> Oid:
    """Return the commit *named*, a git revision; raise NotFound unless it is on the first-parent chain of *tip*."""
    branch = repository.branch_name
    hint = f"name one as `git log --first-parent {branch}` shows it, or a date such as 2026-10-01"
    commit = commits.find_commit(repository.git, named)
    if commit and repository.commits.is_on_chain(tip, commit):
        return commit
    refuse_edge(repository, tip)
    if not commit:
        raise NotFound(f"there is no commit {named!a} here", hint=hint)
    merge = repository.commits.merged_by(tip, commit)
    if merge:
        raise NotFound(
            f"{commit[:10]} was never the state of {branch}: it is part of the merge {merge[:10]}",
            hint=f"name the merge: --at {merge[:10]}",
        )
    raise NotFound(
        f"{commit[:10]} is not a commit of {branch}: it never was, or the branch was rewritten later", hint=hint
    )
