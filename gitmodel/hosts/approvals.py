"""Reviews that the git host confirms. Merge commits prove no review, because everybody who may push can make one."""

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
    """The ids of approved commits: those in *vouched*, and the commits that the git host of *job* reports as approved.

    `commit in approvals` asks the host once for each commit. It raises Unreachable if the host cannot be reached,
    Refused if the host refuses to answer. Iteration yields the commits *vouched* and those that the host has reported
    as approved so far.
    """

    def __init__(self, repository: Repository, job: CiJob, vouched: Collection[str] = ()) -> None:
        self._branch = repository.branch_name
        self._job = job
        self._answers = dict.fromkeys(vouched, True)

    def __contains__(self, commit: object) -> bool:
        id = cast("Oid", commit)
        if id not in self._answers:
            self._answers[id] = api.is_approved(self._job, id, self._branch)
        return self._answers[id]

    def __iter__(self) -> Iterator[str]:
        return (commit for commit, approved in self._answers.items() if approved)

    def __len__(self) -> int:
        return sum(self._answers.values())


def objection_by(repository: Repository, approved: HostApprovals) -> Objection:
    """Return a function that `apply` calls for each pending stage: it returns a reason not to move the tag, or None.

    If the stage is `proposal_only` and not `signed`, the commit that changed it last must be confirmed: in *approved*,
    or signed by a signer whom its first parent lists. Only a rollback that the rules of the stage allow without a
    review needs no confirmation. For every stage, a commit that changed the rules of the stage while it was
    `proposal_only` or `signed` must be confirmed, too, unless a later commit that changed these rules is confirmed.
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
            if not rule.proposal_only or rule.signed or _is_confirmed(repository, commit, approved):
                return None
            if _is_free_rollback(repository, commit, place, rule, approved):
                return None
            return Refusal(f"the host knows of no approved pull request that brought {commit[:10]}")
        except (Refused, Unreachable) as error:
            return Refusal(error.message)

    return objection


def _is_confirmed(repository: Repository, commit: Oid, approved: HostApprovals) -> bool:
    """Return True if a signer whom the first parent of *commit* lists signed *commit*, or if it is in *approved*."""
    return not repository.tags.signatures.commit_fault(commit) or commit in approved


def _rules_fault(repository: Repository, tip: Oid, stage: str, approved: HostApprovals) -> str:
    """Return a reason if an unconfirmed commit up to *tip* changed rules of *stage* that were protected; or "".

    Rules are protected if they require proposals or signatures. Ignores commits before the newest confirmed change.
    """
    for commit in commits_changing(repository.git, tip, paths.REGISTRY):
        parents = repository.commits.read(commit).parents
        if not parents:
            return ""
        before = repository.snapshot_at(parents[0]).registry().rule(stage)
        if before == repository.snapshot_at(commit).registry().rule(stage):
            continue
        if _is_confirmed(repository, commit, approved):
            return ""
        if before.proposal_only or before.signed:
            return f"{commit[:10]} changed the rules of {stage}, and the host knows of no approved pull request"
    return ""


def _is_free_rollback(
    repository: Repository, commit: Oid, ref: StageRef, rule: StageRule, approved: HostApprovals
) -> bool:
    """Return True if *rule* allows direct rollbacks, and *commit* puts back what a confirmed commit put into *ref*."""
    record = repository.snapshot_at(commit).recorded(ref.model, ref.stage)
    if rule.rollback != "direct" or record is None:
        return False
    for event in stage_events(repository, repository.commits.read(commit).parents[0], ref):
        then = repository.snapshot_at(event.commit).recorded(event.model, ref.stage)
        same = then is not None and (then.version, then.artifacts) == (record.version, record.artifacts)
        if same and _is_confirmed(repository, event.commit, approved):
            return True
    return False
