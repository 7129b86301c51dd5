"""Reading a range of commits BASE..HEAD, where HEAD would be merged into BASE, and choosing the default range."""

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
    """Return the ids of BASE and HEAD in the text *named*, which is BASE..HEAD. An empty BASE is the metadata branch.

    Raises UsageError for a text of another form, NotFound if a commit does not exist.
    """
    base, dots, head = named.partition("..")
    if not dots or not head or head.startswith("."):
        raise UsageError(f"{named!a} is not BASE..HEAD", hint="name two commits, for example gitmodel..HEAD")
    repository.renew_branches()
    return find_commit(repository, base) if base else repository.existing_tip(), find_commit(repository, head)


def default_range(repository: Repository) -> tuple[Oid, Oid]:
    """Return the default base and head of a plan, as commit ids.

    The base is the metadata branch of the remote at the last contact or, if there is no remote, the local metadata
    branch. The head is the checked-out commit if it contains a registry, as a proposal does, and is not in the history
    of the base; otherwise the only local proposal that the base does not contain; otherwise the local metadata branch.

    Raises UsageError if there are several proposals and none is checked out, NotFound if there is no registry.
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
    """Return the commits that `check` examines by default: the newest of the metadata branch, and the checked-out one.

    Leaves out the checked-out commit if it contains no registry, or if it is in the history of the metadata branch.
    Raises NotFound if no commit is left.
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
    """Return the checked-out commit if it has a registry and is not in the history of *base*, otherwise None."""
    head = None if repository.url else commits.find_commit(repository.git, "HEAD")
    if not head or not holds_registry(repository.files(head)):
        return None
    return None if base and commits.is_ancestor(repository.git, head, base) else head


def upstream(repository: Repository) -> Oid | None:
    """Return the commit of the remote's metadata branch at the last contact.

    Returns None if there is no remote, or if it had no metadata branch then.
    """
    try:
        remote = remotes.choose_remote(repository)
    except (NotFound, UsageError):  # there is no remote, or the registry is by URL
        return None
    return remotes.last_state(repository, remote).tip


def find_commit(repository: Repository, named: str) -> Oid:
    """Return the id of the commit *named*, such as a branch or the start of an id. Raises NotFound if there is none."""
    found = commits.find_commit(repository.git, named)
    if not found:
        raise NotFound(f"there is no commit {named!a}", hint="name one as `git log` shows it")
    return found
