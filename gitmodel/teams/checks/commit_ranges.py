"""Reading a range of commits BASE..HEAD, the base and head of a merge, and its defaults."""

from __future__ import annotations

from gitmodel.branch import remotes
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import PROPOSALS
from gitmodel.domain.snapshots.commit_records import holds_registry
from gitmodel.errors import NotFound, UsageError
from gitmodel.git.history import commits
from gitmodel.git.refs.ref_commands import current_branch, list_refs


def read_range(repository: Repository, named: str) -> tuple[Oid, Oid]:
    """Return the commits of BASE..HEAD; BASE defaults to the metadata branch. Raises UsageError, NotFound."""
    base, dots, head = named.partition("..")
    if not dots or not head or head.startswith("."):
        raise UsageError(f"{named!a} is not BASE..HEAD", hint="name two commits, for example gitmodel..HEAD")
    repository.renew_branches()
    return find_commit(repository, base) if base else repository.existing_tip(), find_commit(repository, head)


def default_range(repository: Repository) -> tuple[Oid, Oid]:
    """Return the default base and head of a plan.

    The head is the proposal or merge that is checked out; else the only open local proposal; else the local branch with
    its unpushed commits. The base is the remote's metadata branch as last seen; else the local branch. Raises
    UsageError for several proposals, NotFound without a registry.
    """
    repository.renew_branches()
    base = upstream(repository) or repository.existing_tip()
    proposals = list_refs(repository.git, PROPOSALS, without=base)
    current = current_branch(repository.git)
    if current in proposals:
        return base, proposals[current]
    out = checked_out(repository, base)
    if out:
        return base, out
    if len(proposals) > 1:
        shown = ", ".join(ref.removeprefix("refs/heads/") for ref in sorted(proposals)[:5])
        raise UsageError(f"there are {len(proposals)} proposals: {shown}", hint="name one: git model plan ..BRANCH")
    return base, next(iter(proposals.values()), None) or repository.existing_tip()


def current_states(repository: Repository) -> list[Oid]:
    """Return the tip of the metadata branch, and the checked-out commit if it has a registry that the tip lacks.

    Raises NotFound if neither exists.
    """
    try:
        tip = repository.existing_tip()
    except NotFound:
        out = checked_out(repository, None)
        if not out:
            raise
        return [out]
    out = checked_out(repository, tip)
    return [tip, out] if out else [tip]


def checked_out(repository: Repository, base: Oid | None) -> Oid | None:
    """Return the commit that is checked out if it has a registry that *base* does not contain; else None."""
    head = None if repository.url else commits.find_commit(repository.git, "HEAD")
    if not head or not holds_registry(repository.files(head)):
        return None
    return None if base and commits.is_ancestor(repository.git, head, base) else head


def upstream(repository: Repository) -> Oid | None:
    """Return the remote's metadata branch as last seen; None without a remote, or before the first contact."""
    try:
        remote = remotes.choose_remote(repository)
    except (NotFound, UsageError):  # a registry by URL has no remote besides its server
        return None
    return remotes.last_state(repository, remote).tip


def find_commit(repository: Repository, named: str) -> Oid:
    """Return the id of the commit that git finds under the name *named*. Raises NotFound, UsageError."""
    found = commits.find_commit(repository.git, named)
    if not found:
        raise NotFound(f"there is no commit {named!a}", hint="name one as `git log` shows it")
    return found
