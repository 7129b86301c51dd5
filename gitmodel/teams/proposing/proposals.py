"""Proposals: changes of stages on a separate branch, for a pull request; and the list of open proposals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from gitmodel.branch import remote_pushes, remotes
from gitmodel.branch.first_parents import parse_person
from gitmodel.branch.new_commits import commit_on
from gitmodel.branch.repository import Repository
from gitmodel.branch.url_cache import REMOTE
from gitmodel.domain.addresses import hide_credentials
from gitmodel.domain.changes import models
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.rule_edits import RulesEdit, plan_rules
from gitmodel.domain.changes.stage_changes import refuse_emptied
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.rules import gates
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.names import NONE, check_name
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.refs import PROPOSALS
from gitmodel.domain.schema.renumbering import Numbered
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.configuration import list_remotes, remote_urls
from gitmodel.git.refs import RefMove, list_branches
from gitmodel.git.remote_commands import fetch_refs
from gitmodel.hosts import pull_requests
from gitmodel.hosts.addresses import Host, find_host
from gitmodel.registry.promotion import in_force
from gitmodel.registry.promotion.gate_expressions import expression_fault
from gitmodel.registry.promotion.stages import plan_rollback
from gitmodel.registry.writing.joined_changes import plan_together
from gitmodel.teams.plans.plan_markdown import markdown
from gitmodel.teams.plans.planning import Plan, plan

T = TypeVar("T")
_LONGEST_SUBJECT = 72


class ProposedChanges(Frozen):
    """The changes to propose: versions to *promote*, each with its stage; models and stages to *demote* and
    *roll_back*; models to *rename*, each with its new name; changes of *rules* of stages.

    *why* can override rules of a stage that a version fails. *leave* lets a later stage become empty. A pull can give a
    number or name to another version or model; *renumbered* confirms that the references mean the current holders.
    *meant* are the names of models for which this was confirmed.
    """

    promote: tuple[tuple[VersionRef, str], ...] = ()
    demote: tuple[tuple[str, str], ...] = ()
    roll_back: tuple[tuple[str, str], ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    rules: tuple[RulesEdit, ...] = ()
    why: Justification = Justification()
    leave: bool = False
    renumbered: bool = False
    meant: frozenset[str] = frozenset()

    @property
    def models(self) -> list[str]:
        """The models that the changes name without a version."""
        return [model for model, _ in (*self.demote, *self.roll_back, *self.rename)]


class Proposal(Frozen):
    """Changes of stages on a *branch* with one *commit*, based on the commit *base* of the metadata branch.

    *plan* has the changes and problems of merging the proposal now. *created* is the time of the commit. *pushed* is
    True if *remote* has the branch. *address* is the URL that opens the pull request ("": the host of the remote is
    unknown). *text* is the file with the text of the pull request, "" if the address contains it. *request* is the pull
    request that was opened.
    """

    branch: str
    commit: Oid
    subject: str
    author: str
    created: datetime
    plan: Plan
    remote: str = ""
    pushed: bool = False
    address: str = ""
    text: str = ""
    request: str = ""

    @property
    def base(self) -> str:
        """The commit of the metadata branch into which the plan merges the proposal."""
        return self.plan.base

    @property
    def ready(self) -> bool:
        """True if the plan has no problems, so that the proposal may be merged."""
        return not self.plan.problems


def propose(repository: Repository, wanted: ProposedChanges, *, remote: str = "") -> Proposal:
    """Commit the *wanted* changes on a new branch, based on the remote's tip. `publish` pushes the branch.

    For a registry by URL, only the server has branches: before `publish` there is only a commit. Raises Refused for a
    version that the remote does not have with the same content, GateRefused for a version that fails a rule of the
    stage, Conflict if nothing would change, NotFound.
    """
    chosen = _choose(repository, remote)
    return repository.refs.retry(lambda: _propose(repository, wanted, chosen))


def _propose(repository: Repository, wanted: ProposedChanges, chosen: str) -> Proposal:
    base = remotes.fetch(repository, chosen).tip if chosen and not repository.url else repository.tip()
    if not base:
        where = f"{repository.url or chosen} has no registry yet" if chosen else "there is no registry yet"
        away = chosen and not repository.url
        raise NotFound(where, hint="run `git model push` first" if away else "run `git model init`")
    wanted = _with_renumbered(repository, wanted)
    repository.rules.check()
    plans = list(_plans(repository, wanted))
    if not plans:
        raise UsageError("there is nothing to propose", hint="name a version and a stage")
    before = replace(repository.recorded(base), proposed=True)
    change = plan_together(before, plans)
    refuse_emptied(before, change)
    change = replace(change, subject=_subject(change.result, change.subject))
    return _commit(repository, base, change, lambda commit: _branch_name(change.result, commit), chosen)


def propose_change(
    repository: Repository, plan: Callable[[Snapshot], Change[T]], branch: Callable[[T], str]
) -> tuple[T, Proposal]:
    """Commit the change that *plan* returns for the tip of the branch on a new branch with the name *branch*(result).

    In a registry by URL, there is only a commit before `publish`. Raises NotFound without a registry.
    """

    def make() -> tuple[T, Proposal]:
        base = repository.tip()
        if not base:
            raise NotFound("there is no registry yet", hint="run `git model init` in that repository")
        change = plan(replace(repository.recorded(base), proposed=True))
        remote = REMOTE if repository.url else ""
        name = branch(change.result)
        return change.result, _commit(repository, base, change, lambda commit: f"{name}-{commit[:7]}", remote)

    return repository.refs.retry(make)


def _commit(
    repository: Repository, base: Oid, change: Change[Any], name: Callable[[Oid], str], remote: str
) -> Proposal:
    """Commit *change* on *base*, on a branch with the *name* for its commit. By URL, the branch is not created."""
    commit = commit_on(repository, base, change)
    branch = name(commit)
    settling, notes = repository.renumbered.moves(lambda found: found.without_notes(change.settled))
    if not repository.url and repository.reader.resolve(f"refs/heads/{branch}") is None:
        settling = [RefMove(f"refs/heads/{branch}", commit, None), *settling]
    if settling:
        repository.refs.move(settling, f"gitmodel: {change.subject}", notes)
    return _with_text(
        repository, replace(_read(repository, branch, commit, plan(repository, base, commit)), remote=remote)
    )


def publish(repository: Repository, proposal: Proposal, *, open: bool = False) -> Proposal:
    """Push the branch of *proposal*; with *open*, also open the pull request on the host.

    On GitHub and GitLab, the programs `gh` and `glab` open it if they are installed. Without `glab`, push options do.
    The pull request goes to the metadata branch, and its text is the plan. Otherwise a person opens it at the
    proposal's URL. Raises NotFound without a remote, Refused and Unreachable.
    """
    if not proposal.remote:
        raise NotFound(
            "this repository has no remote to push to",
            hint=repository.git.read_only_hint or "run `git remote add origin URL`",
        )
    host = _host(repository, proposal.remote)
    program = pull_requests.find_program(host, repository.git.environ) if host and open else ""
    base, text = repository.branch_name, markdown(proposal.plan)
    options = host.push_options(base, proposal.subject, text) if host and open and not program else ()
    ref = f"refs/heads/{proposal.branch}"
    try:
        said = remote_pushes.push(repository, proposal.remote, [RefMove(ref, proposal.commit, None)], options).said
    except Unreachable:
        if not remote_pushes.has_ref(repository, proposal.remote, ref, proposal.commit):
            raise
        said = ""
    opened = pull_requests.find_address(said) if options else ""
    if host and program:
        try:
            opened = pull_requests.open_request(
                host, program, repository.git.environ,
                branch=proposal.branch, base=base, title=proposal.subject, text=text,
            )  # fmt: skip
        except Unreachable as error:
            hint = f"{proposal.branch} is pushed; open the pull request at {proposal.address}"
            raise Unreachable(error.message, hint=hint) from None
    return replace(proposal, pushed=True, request=opened)


def list_proposals(repository: Repository, remote: str = "") -> list[Proposal]:
    """Return the open proposals, local and on the remote, sorted by branch, each with its plan.

    A proposal is open until the branch records its changes. Raises Unreachable if the remote cannot be reached.
    """
    chosen = _choose(repository, remote)
    repository.renew_branches()
    away = bool(repository.url)
    here = list_branches(repository.git, PROPOSALS)
    found = {ref.removeprefix("refs/heads/"): (id, away) for ref, id in here.items()}
    base = repository.tip()
    if chosen and not away:
        base = remotes.fetch(repository, chosen).tip or base
        found |= {branch: (id, True) for branch, id in _fetch_proposals(repository, chosen)}
    return list(_open_proposals(repository, base, found, chosen))


def known_proposals(repository: Repository) -> list[Proposal]:
    """Return the open proposals that this repository has, as `list_proposals` does, without asking a remote.

    Those of a remote are as of the last `git fetch` or `list_proposals`.
    """
    try:
        chosen = _choose(repository, "")
    except GitModelError:  # there are several remotes, and no setting names one
        chosen = ""
    found: dict[str, tuple[Oid, bool]] = {}
    for folder in (_copies(chosen), f"refs/remotes/{chosen}/propose/") if chosen else ():
        copies = list_branches(repository.git, folder)
        found |= {f"propose/{ref.removeprefix(folder)}": (id, True) for ref, id in copies.items()}
    for ref, id in list_branches(repository.git, PROPOSALS).items():
        branch = ref.removeprefix("refs/heads/")
        found[branch] = (id, bool(repository.url) or found.get(branch) == (id, True))
    return list(_open_proposals(repository, repository.tip(), found, chosen))


def _open_proposals(
    repository: Repository, base: Oid | None, found: Mapping[str, tuple[Oid, bool]], remote: str
) -> Iterator[Proposal]:
    """Yield the proposals among *found*, commits by branch and whether they are pushed, that would change *base*."""
    for branch, (commit, pushed) in sorted(found.items()):
        planned = _planned(repository, base, commit) if base else None
        if planned is not None and not planned.is_empty:
            read = replace(_read(repository, branch, commit, planned), remote=remote, pushed=pushed)
            yield replace(read, address=_address(repository, read, ""))


def _planned(repository: Repository, base: Oid, commit: Oid) -> Plan:
    """Plan the merge of *commit*. An error becomes a problem of the plan, so that other proposals are listed."""
    try:
        return plan(repository, base, commit)
    except GitModelError as error:
        return Plan(base, commit, (), (), (Problem("", "", "change.conflict", error.message),), ())


def _plans(repository: Repository, wanted: ProposedChanges) -> Iterator[Callable[[Snapshot], Change[Promotion]]]:
    def of_model(model: str, plan: Callable[..., Change[Promotion]]) -> Callable[[Snapshot], Change[Promotion]]:
        def planned(base: Snapshot) -> Change[Promotion]:
            name, settled = _find_model(repository, wanted, model, base)
            change = _changing(plan(base, name))
            return replace(change, settled=change.settled | settled)

        return planned

    for ref, stage in wanted.promote:
        yield partial(_plan_promotion, repository, wanted, ref, stage)
    for model, stage in wanted.demote:
        yield of_model(model, partial(planning.plan_demotion, stage=stage, reason=wanted.why.reason))
    for model, stage in wanted.roll_back:
        yield of_model(model, partial(plan_rollback, repository, stage=stage, why=wanted.why, leave=wanted.leave))
    for old, new in wanted.rename:
        yield of_model(old, partial(_plan_rename, new=new))
    for edit in wanted.rules:
        yield partial(_plan_rules, wanted, edit)


def _with_renumbered(repository: Repository, wanted: ProposedChanges) -> ProposedChanges:
    """Return *wanted* with its renumbered references marked.

    Raises UsageError if *wanted* confirms renumbered references although it has none.
    """
    if not wanted.renumbered:
        return wanted
    names = [*map(ModelRef.of, wanted.models)]
    references: list[VersionRef | ModelRef] = [*(ref for ref, _ in wanted.promote), *names]

    def question(snapshot: Snapshot) -> set[VersionRef | ModelRef]:
        return {ref for ref in references if snapshot.note_on(ref)}

    noted = repository.read(question)
    promote = ((replace(ref, renumbered=ref in noted or not noted), stage) for ref, stage in wanted.promote)
    meant = frozenset(ref.model for ref in names if ref in noted or not noted)
    return replace(wanted, promote=tuple(promote), meant=meant)


def _plan_promotion(
    repository: Repository, wanted: ProposedChanges, ref: VersionRef, stage: str, base: Snapshot
) -> Change[Promotion]:
    def question(snapshot: Snapshot) -> tuple[str, int, frozenset[Numbered], bool]:
        model, number, settled = snapshot.resolve_to_change(ref)
        states = planning.stage_states(snapshot, model)
        return model, number, settled, any(state.name == stage and state.pending for state in states)

    model, number, settled, pending = repository.read(question)
    _check_held(repository, base, model, number)
    change = gates.plan_gated_promotion(
        base, model, number, in_force.judge, to=stage, why=wanted.why, leave=wanted.leave, again=pending
    )
    return replace(_changing(change), settled=settled)


def _plan_rename(base: Snapshot, name: str, *, new: str) -> Change[Promotion]:
    change = models.plan_rename(base, name, new)
    # a result without a stage means a rename
    return replace(change, result=Promotion(new, None, ""))  # type: ignore[arg-type, return-value]


def _plan_rules(wanted: ProposedChanges, edit: RulesEdit, base: Snapshot) -> Change[Promotion]:
    change = plan_rules(base, edit, expression_fault, reason=wanted.why.reason)
    if not change.result.changed:
        raise Conflict(f"the rules of {edit.stage} are these already", hint="`git model stage list` shows them")
    # a result without a model means the rules of a stage
    return replace(change, result=Promotion("", None, edit.stage))  # type: ignore[arg-type, return-value]


def _find_model(
    repository: Repository, wanted: ProposedChanges, model: str, base: Snapshot
) -> tuple[str, frozenset[Numbered]]:
    """Return the name of *model* on *base*, and the renumberings that a change of the model deletes in this clone.

    Raises Refused if *base* has another model of this name, and the errors of `Snapshot.model_to_change`.
    """
    ref = ModelRef(check_name(model, "model"), model in wanted.meant)

    def question(snapshot: Snapshot) -> tuple[frozenset[Numbered], str | None]:
        known_as, settled = snapshot.model_to_change(ref)
        name = snapshot.current_name(known_as)
        return settled, _first_name(snapshot, name) if snapshot.has_model(name) else None

    settled, here = repository.read(question)
    name = base.current_name(model)
    if here is not None and base.has_model(name) and _first_name(base, name) != here:
        raise Refused(
            f"{model} is another model on the remote than here",
            hint="run `git model pull`, which prints the new name of your model",
        )
    return name, settled


def _first_name(snapshot: Snapshot, name: str) -> str:
    return [name, *snapshot.former_names(name)][-1]


def _changing(change: Change[Promotion]) -> Change[Promotion]:
    """Return *change* if it changes any record. Raises Conflict."""
    if not change.files:
        done = change.result
        where = "in no stage already" if done.stage == NONE else f"already recorded in {done.stage}"
        raise Conflict(
            f"{done.model}@{done.version} is {where}",
            hint=f"`git model show {done.model}` shows its stages; if one is pending, run `git model apply`",
        )
    return change


def _check_held(repository: Repository, base: Snapshot, model: str, number: int) -> None:
    """Raise Refused for a version that others cannot review, because *base* lacks it or has other content for it."""
    path = paths.version_file(model, number)
    here, there = repository.snapshot().files.read(path), base.files.read(path)
    if here == there:
        return
    what = "not on the remote" if there is None else "not the same on the remote"
    raise Refused(
        f"{model} {number} is {what}, so nobody else could review it",
        hint="run `git model push`; if this changes the number of your version, propose the new number",
    )


def _subject(done: list[Promotion], last: str) -> str:
    """Return the subject of the commit: each change, or the number of each kind if that is too long."""
    if len(done) == 1:
        return last
    said = "Change " + ", ".join(map(_brief, done))
    if len(said) <= _LONGEST_SUBJECT:
        return said
    models = sorted({one.model for one in done if one.model})
    return f"Change {len(done)} stages of {models[0] if len(models) == 1 else f'{len(models)} models'}"


def _brief(done: Promotion) -> str:
    if not done.model:
        return f"the rules of {done.stage}"
    if not done.stage:
        return f"the name of {done.model}"
    return f"{done.model} {done.version} to {done.stage}" if done.version else f"{done.model} {done.stage} to (empty)"


def _branch_name(done: list[Promotion], commit: Oid) -> str:
    if len(done) > 1:
        return f"propose/several/{len(done)}-{commit[:7]}"
    (one,) = done
    if not one.model:
        return f"propose/rules/{one.stage}-{commit[:7]}"
    return f"propose/{one.model}/{one.stage or 'rename'}/{one.version or 'none'}-{commit[:7]}"


def _read(repository: Repository, branch: str, commit: Oid, planned: Plan) -> Proposal:
    said = repository.commits.read(commit)
    subject = said.message.partition("\n")[0]
    return Proposal(branch, commit, subject, said.author.partition(" <")[0], parse_person(said.committer)[2], planned)


def _with_text(repository: Repository, proposal: Proposal) -> Proposal:
    """Return *proposal* with the address that opens its pull request; the text is in the address or in a file.

    If the whole text is too long for an address, the brief one may fit.
    """
    text, bare = markdown(proposal.plan), _address(repository, proposal, "")
    for said in (text, markdown(proposal.plan, brief=True)):
        address = _address(repository, proposal, said)
        if address != bare:
            return replace(proposal, address=address)
    kept = str(pull_requests.keep_text(repository.common_dir, proposal.branch, text))
    return replace(proposal, address=bare, text=kept)


def registry_host(repository: Repository) -> Host | None:
    """Return the host of the remote that the registry is shared through; None if there is none, or it is not known."""
    try:
        return _host(repository, _choose(repository, ""))
    except NotFound:  # there are several remotes, and no setting names one
        return None


def _address(repository: Repository, proposal: Proposal, text: str) -> str:
    host = _host(repository, proposal.remote)
    return host.new_pull_request(repository.branch_name, proposal.branch, proposal.subject, text) if host else ""


def _host(repository: Repository, remote: str) -> Host | None:
    if not remote:
        return None
    kind = repository.config.get("gitmodel.host", "")
    # `url.X.insteadOf` can replace a host by a mirror, or an abbreviation by the host's name: try both forms
    return next(filter(None, (find_host(url, kind) for url in remote_urls(repository.git, remote))), None)


def _choose(repository: Repository, named: str) -> str:
    if repository.url and not named:
        return REMOTE
    return remotes.choose_remote(repository, named) if named or list_remotes(repository.git) else ""


def _copies(remote: str) -> str:
    """Return the folder of the refs at which the proposals of *remote* are kept when they are listed."""
    return f"refs/gitmodel/remotes/{remote}/propose/"


def _fetch_proposals(repository: Repository, remote: str) -> Iterator[tuple[str, Oid]]:
    copies = _copies(remote)
    try:
        repository.refs.retry(lambda: fetch_refs(repository.git, remote, f"+{PROPOSALS}*:{copies}*", prune=True))
    except Conflict:
        raise
    except GitModelError as error:
        said = hide_credentials(error.message)
        raise Unreachable(
            f"{remote} did not list its proposals: {said}", hint="try again when it can be reached"
        ) from None
    repository.reader.close()
    for ref, id in list_branches(repository.git, copies).items():
        yield f"propose/{ref.removeprefix(copies)}", id
