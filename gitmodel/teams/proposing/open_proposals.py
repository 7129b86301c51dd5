"""The list of open proposals, of this repository and of its remote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gitmodel.branch import remotes
from gitmodel.branch.repository import Repository
from gitmodel.domain.addresses import hide_credentials
from gitmodel.domain.schema.codec import Problem
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import PROPOSALS
from gitmodel.errors import Conflict, GitModelError, Unreachable
from gitmodel.git.refs.ref_commands import list_branches
from gitmodel.git.repositories.remote_commands import fetch_refs, silence_timeout
from gitmodel.teams.plans.planning import Plan, plan
from gitmodel.teams.proposing.proposals import Proposal, address_of, choose_remote, read_proposal


def list_proposals(repository: Repository, remote: str = "") -> list[Proposal]:
    """Return the open proposals of this repository and of *remote*, sorted by branch, each with its plan.

    Fetches the proposals of *remote* ("": the remote for pushes). A proposal is open until the metadata branch records
    its changes. Raises Unreachable if the remote cannot be reached.
    """
    chosen = choose_remote(repository, remote)
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
    """Return the same as `list_proposals`, but with the proposals of the remote as last fetched; contact no remote."""
    try:
        chosen = choose_remote(repository, "")
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
    """Yield the proposals of the branches *found* whose merge into the commit *base* would change something.

    *found* maps the name of each branch to a pair: its commit, and True if *remote* has the branch.
    """
    for branch, (commit, pushed) in sorted(found.items()):
        planned = _planned(repository, base, commit) if base else None
        if planned is not None and not planned.is_empty:
            read = replace(read_proposal(repository, branch, commit, planned), remote=remote, pushed=pushed)
            yield replace(read, address=address_of(repository, read, ""))


def _planned(repository: Repository, base: Oid, commit: Oid) -> Plan:
    """Plan the merge of *commit* into *base*. An error becomes a problem of the plan.

    So the other proposals are still listed.
    """
    try:
        return plan(repository, base, commit)
    except GitModelError as error:
        return Plan(base, commit, (), (), (Problem("", "", "change.conflict", error.message),), ())


def _copies(remote: str) -> str:
    """Return the prefix of the local refs to which listing proposals fetches the proposals of *remote*."""
    return f"refs/gitmodel/remotes/{remote}/propose/"


def _fetch_proposals(repository: Repository, remote: str) -> Iterator[tuple[str, Oid]]:
    git, copies, silence = repository.git, _copies(remote), silence_timeout(repository.config)
    try:
        repository.refs.retry(lambda: fetch_refs(git, remote, f"+{PROPOSALS}*:{copies}*", prune=True, silence=silence))
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
