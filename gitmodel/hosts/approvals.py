"""Asks the git host which commits were reviewed. A merge commit proves no review: all who may push can make one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import cast

from gitmodel.branch.history.stage_history import stage_events
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_rules.registry_record import StageRule
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Refusal
from gitmodel.errors import Refused, Unreachable
from gitmodel.git.history.commits import commits_changing
from gitmodel.hosts import api
from gitmodel.hosts.api import CiJob
from gitmodel.registry.promotion import judging

Objection = Callable[[Snapshot, StageRef], Refusal | None]


class HostApprovals(Collection[str]):
    """The ids of approved commits: those in *vouched*, and those that the git host of *job* reports as approved.

    `commit in approvals` asks the host about a commit once, and remembers the answer. It raises Unreachable if the host
    cannot be reached, Refused if the host refuses to answer. Iteration yields only commits that are known to be
    approved.
    """

    def __init__(self, repository: Repository, job: CiJob, vouched: Collection[str] = ()) -> None:
        self._branch = repository.branch_name
        self._job = job
        self._said = dict.fromkeys(vouched, True)

    def __contains__(self, commit: object) -> bool:
        id = cast("Oid", commit)
        said = self._said.get(id)
        if said is None:
            said = self._said[id] = api.is_approved(self._job, id, self._branch)
        return said

    def __iter__(self) -> Iterator[str]:
        return (commit for commit, said in self._said.items() if said)

    def __len__(self) -> int:
        return sum(self._said.values())


def objection_by(repository: Repository, approved: HostApprovals) -> Objection:
    """Return a function that says why the host does not confirm the newest change of a `proposal_only` stage.

    That function returns None if there is no objection: if the commit of the change is in *approved*, if it is signed
    by a signer who is listed in its first parent, or if it is a rollback that the rules allow without a review. It also
    objects if a commit changed the rules of the stage while the stage was `proposal_only` or `signed`, and no later
    change of the rules is approved or signed in this way.
    """

    def objection(snapshot: Snapshot, ref: StageRef) -> Refusal | None:
        found = judging.changed_by(repository, snapshot.commit, ref)
        parents = repository.commits.read(found.commit).parents if found else ()
        if found is None or not parents:
            return None
        place, commit = found.ref, found.commit
        try:
            why = _rules_fault(repository, parents[0], place.stage, approved)
            rule = repository.snapshot_at(parents[0]).registry().rule(place.stage)
            if why:
                return Refusal(why)
            if not rule.proposal_only or rule.signed or _is_seen(repository, commit, approved):
                return None
            if _returns(repository, commit, place, rule, approved):
                return None
            return Refusal(f"the host knows of no approved pull request that brought {commit[:10]}")
        except (Refused, Unreachable) as error:
            return Refusal(error.message)

    return objection


def _is_seen(repository: Repository, commit: Oid, approved: HostApprovals) -> bool:
    return not repository.tags.signatures.commit_fault(commit) or commit in approved


def _rules_fault(repository: Repository, tip: Oid, stage: str, approved: HostApprovals) -> str:
    """Return why the rules of *stage* at *tip* may have been loosened without approval; "" if they were not."""
    for commit in commits_changing(repository.git, tip, paths.REGISTRY):
        parents = repository.commits.read(commit).parents
        if not parents:
            return ""
        before = repository.snapshot_at(parents[0]).registry().rule(stage)
        if before == repository.snapshot_at(commit).registry().rule(stage):
            continue
        if _is_seen(repository, commit, approved):
            return ""
        if before.proposal_only or before.signed:
            return f"{commit[:10]} changed the rules of {stage}, and the host knows of no approved pull request"
    return ""


def _returns(repository: Repository, commit: Oid, ref: StageRef, rule: StageRule, approved: HostApprovals) -> bool:
    """Return True if *commit* rolls the stage *ref* back and *rule* allows this without a review.

    The rule must allow direct rollbacks, and an earlier change that is in *approved* or signed must have put the same
    version with the same artifacts into the stage.
    """
    record = repository.snapshot_at(commit).recorded(ref.model, ref.stage)
    if rule.rollback != "direct" or record is None:
        return False
    for event in stage_events(repository, repository.commits.read(commit).parents[0], ref):
        then = repository.snapshot_at(event.commit).recorded(event.model, ref.stage)
        same = then is not None and (then.version, then.artifacts) == (record.version, record.artifacts)
        if same and _is_seen(repository, event.commit, approved):
            return True
    return False
