"""Proposals: a stage change on a branch of its own, for a pull request, and the list of those that are open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitmodel.domain import gates, paths
from gitmodel.domain import stages as planning
from gitmodel.domain.gates import Outcome
from gitmodel.domain.hosts import find_host
from gitmodel.domain.references import VersionRef
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.domain.stages import Promotion
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, Unreachable
from gitmodel.registry import admission
from gitmodel.registry.stages import plan_rollback
from gitmodel.storage import remotes
from gitmodel.storage.log import changed_paths
from gitmodel.storage.repository import Repository

PROPOSALS = "refs/heads/propose/"

Plan = Callable[[Snapshot], Change[Promotion]]


@dataclass(frozen=True)
class Proposal:
    """A stage change on a branch: *version* (None: nobody) is to hold the *stage* instead of *previous*.

    *outcomes* are what the stage's rules say of it now; *conflict* says what has come in between; *address* is where
    the pull request is opened ("": the remote is on no known host); *pushed* whether the remote has the branch.
    """

    branch: str
    commit: str
    base: str
    model: str
    stage: str
    version: int | None
    previous: int | None
    author: str
    subject: str
    outcomes: tuple[Outcome, ...] = ()
    conflict: str = ""
    address: str = ""
    pushed: bool = False

    @property
    def ready(self) -> bool:
        """Whether it can be merged and put in force, as far as the rules of the stage say."""
        return not self.conflict and not any(outcome.stops for outcome in self.outcomes)


def propose(
    repository: Repository,
    ref: VersionRef,
    stage: str,
    *,
    reason: str = "",
    force: bool = False,
    remote: str = "",
    push: bool = False,
) -> Proposal:
    """Put the promotion of the version *ref* names to *stage* on a branch off the remote's tip.

    Raises Refused for a version that the remote does not hold byte for byte, GateRefused for one that fails a rule of
    the stage (unless *force*, with a *reason*), Conflict where there is nothing to change.
    """
    model, number = repository.read(lambda snapshot: snapshot.resolve(ref))

    def plan(base: Snapshot) -> Change[Promotion]:
        _check_held(repository, base, model, number)
        return gates.plan_gated_promotion(base, model, number, admission.judge, to=stage, reason=reason, force=force)

    return _propose(repository, plan, remote=remote, push=push)


def propose_demotion(
    repository: Repository, model: str, stage: str, *, reason: str = "", remote: str = "", push: bool = False
) -> Proposal:
    """Put on a branch that *stage* of *model* is left empty. Raises NotFound if nobody is in it."""
    name = repository.read(lambda snapshot: snapshot.current_name(model))
    return _propose(
        repository, lambda base: planning.plan_demotion(base, name, stage, reason=reason), remote=remote, push=push
    )


def propose_rollback(
    repository: Repository,
    model: str,
    stage: str,
    *,
    reason: str = "",
    force: bool = False,
    remote: str = "",
    push: bool = False,
) -> Proposal:
    """Put on a branch that the previous holder returns to *stage* of *model*. Raises NotFound if there is none."""

    def plan(base: Snapshot) -> Change[Promotion]:
        return plan_rollback(repository, base, model, stage, reason=reason, force=force)

    return _propose(repository, plan, remote=remote, push=push)


def list_proposals(repository: Repository, remote: str = "") -> list[Proposal]:
    """The proposals that are open, here and at the remote, by branch: with what the rules say of each as of now.

    One is open until the branch records what it proposes. Raises Unreachable if the remote cannot be asked.
    """
    chosen = _choose(repository, remote)
    found = {ref.removeprefix("refs/heads/"): (id, False) for ref, id in _refs(repository, PROPOSALS)}
    base = repository.tip()
    if chosen:
        base = remotes.fetch(repository, chosen).tip or base
        copies = f"refs/gitmodel/remotes/{chosen}/propose/"
        try:
            repository.git.run(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--no-recurse-submodules",
                "--no-auto-maintenance", "--end-of-options", chosen, f"+{PROPOSALS}*:{copies}*",
            )  # fmt: skip
        except GitModelError as error:
            said = remotes.without_secrets(error.message)
            raise Unreachable(
                f"{chosen} cannot be asked for proposals: {said}", hint="try again when it can be reached"
            ) from None
        repository.reader.close()
        found |= {f"propose/{ref.removeprefix(copies)}": (id, True) for ref, id in _refs(repository, copies)}
    proposals = []
    for branch, (commit, pushed) in sorted(found.items()):
        proposals += _read(repository, base, branch, commit, chosen, pushed)
    return proposals


def _propose(repository: Repository, plan: Plan, *, remote: str, push: bool) -> Proposal:
    chosen = _choose(repository, remote)
    if push and not chosen:
        raise NotFound("this repository has no remote to push to", hint="run `git remote add origin URL`")
    base = remotes.fetch(repository, chosen).tip if chosen else repository.tip()
    if not base:
        where = f"{chosen} has no registry yet" if chosen else "there is no registry yet"
        raise NotFound(where, hint="run `git model push` first" if chosen else "run `git model init`")
    snapshot = repository.recorded(base)
    change = plan(snapshot)
    done = change.result
    if not change.files:
        raise Conflict(
            f"{done.model}@{done.version} is recorded in {done.stage} already",
            hint="there is nothing to propose; `git model apply` puts in force what is recorded",
        )
    commit = repository.commit_on(base, change)
    number = done.version if done.version is not None else "none"
    branch = f"propose/{done.model}/{done.stage}/{number}-{commit[:7]}"
    if repository.reader.resolve(f"refs/heads/{branch}") is None:
        repository.move([f"create refs/heads/{branch} {commit}"], f"gitmodel: {change.subject}")
    if push:
        remotes.push(repository, chosen, {f"refs/heads/{branch}": (commit, "")})
    found = _read(repository, base, branch, commit, chosen, push)
    if found:
        return found[0]
    who = repository.tags.commit(commit).author.partition(" <")[0]
    address = _address(repository, chosen, branch, change.subject)
    return Proposal(
        branch, commit, base, done.model, done.stage, done.version, done.previous, who, change.subject,
        address=address, pushed=push,
    )  # fmt: skip


def _check_held(repository: Repository, base: Snapshot, model: str, number: int) -> None:
    """Refuse a version that others could not review: one that is not on *base* as it is here."""
    path = paths.version_file(model, number)
    here, there = repository.snapshot().files.read(path), base.files.read(path)
    if here == there:
        return
    what = f"{model} {number} is not on the remote" if there is None else f"{model} {number} is another on the remote"
    raise Refused(
        f"{what}, and nobody else could review it", hint="run `git model push`, then propose what it is called then"
    )


def _read(repository: Repository, base: str, branch: str, commit: str, remote: str, pushed: bool) -> list[Proposal]:
    """What the branch proposes on top of *base*; nothing if *base* records it already."""
    shared = repository.git.lines("merge-base", base, commit, answers=(0, 1))
    if not shared or shared[0] == commit:
        return []
    before, now, then = repository.recorded(base), repository.files(shared[0]), repository.recorded(commit)
    said = repository.tags.commit(commit)
    address = _address(repository, remote, branch, said.message.partition("\n")[0])
    proposals = []
    for path in changed_paths(repository, shared[0], commit):
        what = paths.parse_path(path)
        if what is None or what.kind != "stage" or before.files.read(path) == then.files.read(path):
            continue
        ref = StageRef(what.model, what.key)
        old, new = before.recorded(ref.model, ref.stage), then.recorded(ref.model, ref.stage)
        conflict = "" if now.read(path) == before.files.read(path) else f"somebody else changed {ref.stage} meanwhile"
        outcomes: tuple[Outcome, ...] = ()
        try:
            if new is not None:
                outcomes = gates.judge_entry(
                    before, then, ref, new.version, admission.judge, forced=new.forced if new.reason.strip() else ()
                )
                planning.promotable(before, ref.model, new.version)
        except GitModelError as error:
            conflict = conflict or error.message
        proposals.append(
            Proposal(
                branch,
                commit,
                base,
                ref.model,
                ref.stage,
                new.version if new else None,
                old.version if old else None,
                said.author.partition(" <")[0],
                said.message.partition("\n")[0],
                outcomes,
                conflict,
                address,
                pushed,
            )
        )
    # a version that moves from one stage to another leaves the first: that is one proposal
    entering = [one for one in proposals if one.version is not None]
    return entering or proposals[:1]


def _choose(repository: Repository, named: str) -> str:
    return remotes.choose_remote(repository, named) if named or repository.git.lines("remote") else ""


def _refs(repository: Repository, prefix: str) -> list[tuple[str, str]]:
    lines = repository.git.lines("for-each-ref", "--format=%(objecttype) %(objectname) %(refname)", prefix)
    found = [line.split(" ", 2) for line in lines]
    return [(ref, id) for kind, id, ref in found if kind == "commit"]


def _address(repository: Repository, remote: str, branch: str, title: str) -> str:
    if not remote:
        return ""
    urls = repository.git.lines("remote", "get-url", "--end-of-options", remote, answers=(0, 2, 128, 129))
    host = find_host(urls[0], repository.config.get("gitmodel.host", "")) if urls else None
    base = repository.branch.removeprefix("refs/heads/")
    return host.new_pull_request(base, branch, title) if host else ""
