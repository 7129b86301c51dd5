"""Committing and pushing proposals: changes on a separate branch, for a pull request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from gitmodel.branch import remote_pushes, remotes
from gitmodel.branch.by_url.url_cache import REMOTE
from gitmodel.branch.history.first_parents import parse_person
from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.new_commits import commit_on
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.changes.refused_stage_changes import refuse_emptied
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import NotFound, Unreachable, UsageError
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.settings.configuration import list_remotes, remote_urls
from gitmodel.hosts import pull_requests
from gitmodel.hosts.addresses import Host, find_host
from gitmodel.registry.writing.batch import plan_together
from gitmodel.teams.plans.plan_markdown import markdown
from gitmodel.teams.plans.planning import Plan, plan
from gitmodel.teams.proposing.proposed_changes import ProposedChanges, confirm_renumbered, plan_proposed

T = TypeVar("T")
_LONGEST_SUBJECT = 72


class Proposal(Frozen):
    """Changes of stages on a *branch* with one *commit*, for a pull request to the metadata branch.

    *plan* has the changes and problems of a merge now. *created* is the time of the commit. *pushed* is True if the
    remote named *remote* has the branch. *address* is the URL at which a person opens the pull request ("": the host of
    the remote is unknown). *text* is the path of a file with the text of the pull request, "" if *address* contains the
    text. *request* is the URL of the pull request that gitmodel opened, "" if it opened none.
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
    """Commit the *wanted* changes on a new local branch, which starts at the tip of the remote's metadata branch.

    *remote* is the name of the remote ("": the remote for pushes). If there is no remote, the branch starts at the tip
    of the local metadata branch. `publish` pushes the new branch. In a registry by URL, `propose` creates only the
    commit, because only the server has branches. Raises Refused if the remote lacks a version or has other content for
    it, GateRefused if a version fails a rule of its stage, Conflict if nothing would change, NotFound if a model, a
    version or the registry does not exist.
    """
    chosen = choose_remote(repository, remote)
    return repository.refs.retry(lambda: _propose(repository, wanted, chosen))


def _propose(repository: Repository, wanted: ProposedChanges, chosen: str) -> Proposal:
    base = remotes.fetch(repository, chosen).tip if chosen and not repository.url else repository.tip()
    if not base:
        where = f"{repository.url or chosen} has no registry yet" if chosen else "there is no registry yet"
        away = chosen and not repository.url
        raise NotFound(where, hint="run `git model push` first" if away else "run `git model init`")
    wanted = confirm_renumbered(repository, wanted)
    repository.rules.check()
    plans = list(plan_proposed(repository, wanted))
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
    """Call *plan* with a snapshot of the metadata branch, and commit the planned change on a new branch.

    *branch* returns the name of this branch from the result of the change, to which the first digits of the commit are
    added. In a registry by URL, only `publish` creates the branch. Raises NotFound if there is no registry.
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
    """Commit *change* with the parent *base*, and create the branch that *name* returns for the new commit."""
    commit = commit_on(repository, base, change)
    branch = name(commit)
    settling, notes = repository.renumbered.moves(lambda found: found.without_notes(change.settled))
    if not repository.url and repository.reader.resolve(f"refs/heads/{branch}") is None:
        settling = [RefMove(f"refs/heads/{branch}", commit, None), *settling]
    if settling:
        repository.refs.move(settling, f"gitmodel: {change.subject}", notes)
    return _with_text(
        repository, replace(read_proposal(repository, branch, commit, plan(repository, base, commit)), remote=remote)
    )


def publish(repository: Repository, proposal: Proposal, *, open: bool = False) -> Proposal:
    """Push the branch of *proposal*. If *open*, open a pull request to the metadata branch, with the plan as text.

    The programs `gh` (GitHub) and `glab` (GitLab) open the pull request if they are installed. If `glab` is not
    installed, gitmodel pushes with options that make GitLab open it. On other hosts, a person opens the pull request at
    the address of the returned proposal. Raises NotFound if there is no remote, Refused if the host refuses the push,
    Unreachable if the host cannot be reached or `gh` or `glab` fails.
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


def _subject(done: list[Promotion], last: str) -> str:
    """Return a subject that names the changes *done*, or only their number if they do not fit in a line.

    *last* is the subject of the last change. If there is only one change, returns *last*.
    """
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


def read_proposal(repository: Repository, branch: str, commit: Oid, planned: Plan) -> Proposal:
    said = repository.commits.read(commit)
    subject = said.message.partition("\n")[0]
    return Proposal(branch, commit, subject, said.author.partition(" <")[0], parse_person(said.committer)[2], planned)


def _with_text(repository: Repository, proposal: Proposal) -> Proposal:
    """Return *proposal* with the URL at which a person opens its pull request.

    The URL contains the text of the pull request, or its brief form if the text is too long for a URL. If the brief
    form is too long, too, writes the whole text to a file.
    """
    text, bare = markdown(proposal.plan), address_of(repository, proposal, "")
    for said in (text, markdown(proposal.plan, brief=True)):
        address = address_of(repository, proposal, said)
        if address != bare:
            return replace(proposal, address=address)
    kept = str(pull_requests.keep_text(repository.common_dir, proposal.branch, text))
    return replace(proposal, address=bare, text=kept)


def registry_host(repository: Repository) -> Host | None:
    """Return the git host of the registry's remote; None if there is no remote, or if its host is unknown."""
    try:
        return _host(repository, choose_remote(repository, ""))
    except NotFound:  # there are several remotes, and no setting names one
        return None


def address_of(repository: Repository, proposal: Proposal, text: str) -> str:
    host = _host(repository, proposal.remote)
    return host.new_pull_request(repository.branch_name, proposal.branch, proposal.subject, text) if host else ""


def _host(repository: Repository, remote: str) -> Host | None:
    if not remote:
        return None
    kind = repository.config.get("gitmodel.host", "")
    # `remote_urls` returns the URL before and after git applies `url.X.insteadOf`. Either can name the host, because
    # the setting can replace the host by a mirror, or an abbreviation by the name of the host.
    return next(filter(None, (find_host(url, kind) for url in remote_urls(repository.git, remote))), None)


def choose_remote(repository: Repository, named: str) -> str:
    if repository.url and not named:
        return REMOTE
    return remotes.choose_remote(repository, named) if named or list_remotes(repository.git) else ""
