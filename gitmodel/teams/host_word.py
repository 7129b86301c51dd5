"""The host's word for what came through review, where merges prove nothing because they can be pushed by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from gitmodel.domain import paths
from gitmodel.domain.records import StageRule
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import Unreachable
from gitmodel.registry import admission
from gitmodel.storage import host_api
from gitmodel.storage.host_api import Job
from gitmodel.storage.log import stage_events
from gitmodel.storage.repository import Repository

Approved = Callable[[str], bool]
Doubt = Callable[[Snapshot, StageRef], str]


def doubt_by(repository: Repository, job: Job, vouched: Collection[str] = ()) -> Doubt:
    """Why a recorded change of a `proposal_only` stage is not put in force as far as the host of *job* knows, or "".

    The host must know the commit as merged by a pull request that somebody else approved, or the caller has *vouched*
    for it; and if the rules of the stage were changed since it was `proposal_only`, for that change as well.
    """
    branch = repository.branch.removeprefix("refs/heads/")

    @cache
    def approved(commit: str) -> bool:
        return commit in vouched or host_api.is_approved(job, commit, branch)

    def doubt(snapshot: Snapshot, ref: StageRef) -> str:
        found = admission.entered_by(repository, snapshot.commit, ref)
        parents = repository.tags.commit(found[1]).parents if found else ()
        if found is None or not parents:
            return ""
        place, commit = found
        try:
            why = _rules_doubt(repository, parents[0], place.stage, approved)
            rule = repository.snapshot(parents[0]).registry().rule(place.stage)
            if why or not rule.proposal_only or approved(commit) or _returns(repository, commit, place, rule, approved):
                return why
            return f"the host knows of no approved pull request that brought {commit[:10]}"
        except Unreachable as error:
            return error.message

    return doubt


class AnyCommit(frozenset[str]):
    """Every commit: whether it was reviewed is asked elsewhere."""

    def __contains__(self, _: object) -> bool:
        return True


def _rules_doubt(repository: Repository, tip: str, stage: str, approved: Approved) -> str:
    """Why the rules of *stage* at *tip* may have been loosened by somebody who may not, or ""."""
    for commit in repository.git.lines("log", "--first-parent", "-m", "--format=%H", tip, "--", paths.REGISTRY):
        parents = repository.tags.commit(commit).parents
        if not parents:
            return ""
        before = repository.snapshot(parents[0]).registry().rule(stage)
        if before == repository.snapshot(commit).registry().rule(stage):
            continue
        if approved(commit):
            return ""
        if before.proposal_only:
            return f"{commit[:10]} changed the rules of {stage}, and the host knows of no approved pull request"
    return ""


def _returns(repository: Repository, commit: str, ref: StageRef, rule: StageRule, approved: Approved) -> bool:
    """Whether *commit* takes the stage back to a holder that came by an approved change, and *rule* lets it do so."""
    record = repository.snapshot(commit).recorded(ref.model, ref.stage)
    if rule.rollback != "direct" or record is None:
        return False
    for event in stage_events(repository, repository.tags.commit(commit).parents[0], ref):
        then = repository.snapshot(event.commit).recorded(event.model, ref.stage)
        same = then is not None and (then.version, then.artifacts) == (record.version, record.artifacts)
        if same and approved(event.commit):
            return True
    return False
