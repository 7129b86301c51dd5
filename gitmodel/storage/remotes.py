"""Remotes of the registry repository: fetching into refs of our own, and pushing all or nothing with leases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitmodel.domain.refs import STAGE_TAGS, StageRef
from gitmodel.errors import Conflict, GitModelError, NotFound, Refused, Unreachable
from gitmodel.storage.git import Locked, Moved
from gitmodel.storage.repository import Repository

_OURS = "refs/gitmodel/remotes/"
# What git says when a lease or a fast-forward fails: somebody pushed first.
_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|cannot lock ref|incorrect old value|failed to update ref"
)
_SCHEME = re.compile(r"://[^/@\s]*@")


class RemoteMoved(Conflict):
    """The remote was changed since it was fetched; nothing was pushed."""


@dataclass(frozen=True)
class RemoteState:
    """A remote as it was last fetched: the commit of its metadata branch ("": none) and its stage tags."""

    remote: str
    tip: str
    tags: Mapping[StageRef, str]
    last_seen: str


def choose_remote(repository: Repository, named: str = "") -> str:
    """The remote *named*, else `git config gitmodel.remote`, else `origin`, else the only one. Raises NotFound."""
    remotes = repository.git.lines("remote")
    wanted = named or repository.config.get("gitmodel.remote", "")
    if wanted:
        if wanted not in remotes:
            known = f"the remotes are {', '.join(remotes)}" if remotes else "run `git remote add origin URL`"
            raise NotFound(f"there is no remote {wanted!a}", hint=known)
        return wanted
    if "origin" in remotes:
        return "origin"
    if len(remotes) == 1:
        return remotes[0]
    if not remotes:
        raise NotFound("this repository has no remote", hint="run `git remote add origin URL`")
    raise NotFound("this repository has several remotes", hint="run `git config gitmodel.remote NAME` to choose one")


def branch_ref(remote: str) -> str:
    """Our own copy of the remote's metadata branch; a plain `git fetch` never moves it."""
    return f"{_OURS}{remote}/branch"


def tags_prefix(remote: str) -> str:
    """Where our own copies of the remote's stage tags are."""
    return f"{_OURS}{remote}/model/"


def fetch(repository: Repository, remote: str) -> RemoteState:
    """Fetch the metadata branch and the stage tags of *remote* into refs of our own. Raises Unreachable."""
    git = repository.git
    last_seen = repository.reader.resolve(branch_ref(remote))
    incoming = f"{_OURS}{remote}/incoming"
    name = repository.branch.removeprefix("refs/heads/")
    try:
        listed = git.lines("ls-remote", "--end-of-options", remote, repository.branch)
        branch = (
            [f"+{repository.branch}:{incoming}", f"+{repository.branch}:refs/remotes/{remote}/{name}"] if listed else []
        )
        git.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--end-of-options", remote,
            *branch, f"+{STAGE_TAGS}*:{tags_prefix(remote)}*",
        )  # fmt: skip
    except (Moved, Locked):
        raise
    except GitModelError as error:
        raise Unreachable(
            f"{remote} cannot be fetched: {without_secrets(error.message)}", hint="try again when it can be reached"
        ) from None
    repository.reader.close()
    found = repository.reader.resolve(incoming) if listed else None
    return RemoteState(
        remote, found.id if found else "", remote_tags(repository, remote), last_seen.id if last_seen else ""
    )


def remote_tags(repository: Repository, remote: str) -> dict[StageRef, str]:
    """The stage tags of *remote*, as last fetched."""
    prefix = tags_prefix(remote)
    tags = {}
    for line in repository.git.lines("for-each-ref", "--format=%(objectname) %(refname)", prefix):
        id, _, ref = line.partition(" ")
        parsed = StageRef.parse(STAGE_TAGS + ref.removeprefix(prefix))
        if parsed is not None:
            tags[parsed] = id
    return tags


def push(repository: Repository, remote: str, moves: Mapping[str, tuple[str, str]]) -> None:
    """Push *moves* (ref to new and expected old id, "" for none) all or nothing.

    Raises RemoteMoved if the remote is not as expected, Refused with the host's words if a rule forbids it,
    Unreachable if it cannot be reached or does not say what became of the push.
    """
    leases = [f"--force-with-lease={ref}:{old}" for ref, (_, old) in moves.items()]
    refspecs = [f"{new}:{ref}" for ref, (new, _) in moves.items()]
    try:
        repository.git.run(
            "push", "--atomic", "--porcelain", "--no-verify", *leases, "--end-of-options", remote, *refspecs
        )
    except GitModelError as error:
        said = without_secrets(error.message)
        if _LOST_RACE.search(said):
            raise RemoteMoved(f"{remote} was changed by somebody else: {said}", hint="run `git model pull`") from None
        if "rejected" in said or "declined" in said or "protected" in said or "denied" in said.lower():
            raise Refused(
                f"{remote} refused the push: {said}", hint="see the host's words; nothing was changed there"
            ) from None
        raise Unreachable(f"{remote} cannot be pushed to: {said}", hint="try again when it can be reached") from None


def without_secrets(text: str) -> str:
    """*text* with user names and passwords taken out of the URLs in it.

    >>> without_secrets("fatal: https://ada:pw@example.com/x")
    'fatal: https://example.com/x'
    """
    return _SCHEME.sub("://", text)
