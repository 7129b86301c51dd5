"""Pushing ref moves to a remote, all or nothing and with leases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from gitmodel.branch.remotes import (
    query,
    remote_message,
    removal_command,
    run_remote,
    silence_timeout,
    tags_prefix,
    unreachable,
)
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import STAGE_TAGS, remote_branch_ref, remote_rules_ref
from gitmodel.errors import Conflict, Refused
from gitmodel.git.process import Git, with_settings
from gitmodel.git.refs import RefMove, set_refs

# git's message if a lease or a fast-forward fails, locally or on the remote: another push was first.
_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|incorrect old value|failed to update ref"
    r"|atomic transaction failed|remote ref updated since checkout"
)
# git's message, before it pushes, if a ref to delete was already deleted.
_ALREADY_GONE = re.compile(r"^error: unable to delete '.*': remote ref does not exist$", re.MULTILINE)
# git's message for a ref that was rejected because another ref was.
_DRAGGED = re.compile(r"atomic push fail")
# The settings for reaching a remote by push, and a remote with only these settings.
_REACHING = ("url", "pushurl", "proxy", "proxyauthmethod", "receivepack", "vcs")
_OUTLET = "gitmodel-push"


class RemoteMoved(Conflict):
    """The remote was changed since it was fetched; nothing was pushed."""


@dataclass(frozen=True)
class PushResult:
    """The result of a push, and the refs that were *left* unchanged because they existed already."""

    said: str
    left: frozenset[str] = frozenset()


def push(repository: Repository, remote: str, moves: Sequence[RefMove], options: Sequence[str] = ()) -> PushResult:
    """Push *moves* atomically.

    A ref that another process already moved to its new id counts as pushed, and the result names it. *options* are push
    options; a remote that does not support them gets none. Push options of this single command, as in `git -c
    push.pushOption=gitmodel.force model push`, are sent as well. Raises RemoteMoved if the remote has unexpected refs,
    Refused with the host's message if a rule of the host refuses the push, Unreachable if it cannot be reached or its
    answer is lost.
    """
    # a thin pack would fetch the files that a registry by URL does not have
    unthinned = ["--no-thin"] if repository.url else []
    leases = [f"--force-with-lease={move.ref}:{move.old or ''}" for move in moves]
    refspecs = [f"{move.new or ''}:{move.ref}" for move in moves]
    outlet, given = _outlet(repository.git, remote)
    answer = outlet.run_remote(
        # git sends the options of the settings only if the command has none
        "-c", "push.pushOption=",
        "push", "--progress", "--atomic", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no",
        *unthinned, *leases, *(f"--push-option={option}" for option in (*given, *options)), "--end-of-options",
        _OUTLET, *refspecs, silence=silence_timeout(repository),
    )  # fmt: skip
    if options and answer.code and "does not support push options" in answer.stderr:
        return push(repository, remote, moves)
    if answer.code == 0:
        lines = (line.split("\t") for line in answer.stdout.splitlines() if line.startswith("=\t"))
        return PushResult(answer.stderr, frozenset(line[1].partition(":")[2] for line in lines))
    called = repository.url or remote
    if _ALREADY_GONE.search(answer.stderr):
        raise RemoteMoved(
            f"{called} was changed by somebody else: a ref to delete is gone", hint="run `git model pull`"
        )
    reasons = [line.split("\t")[2] for line in answer.stdout.splitlines() if line.count("\t") >= 2 and line[0] == "!"]
    own = [reason for reason in reasons if not _DRAGGED.search(reason)]
    said = remote_message(answer, own)
    if any(reason.startswith("[remote failure]") for reason in own) or not reasons:
        raise unreachable(called, "pushed to", answer)
    if "; cannot create" in answer.stderr:
        refuse_blocked(repository, remote, [move.ref for move in moves])
    hooked = "aborted by hook" in answer.stderr
    if not hooked and all(_LOST_RACE.search(reason) for reason in own):
        raise RemoteMoved(f"{called} was changed by somebody else: {said}", hint="run `git model pull`")
    raise Refused(f"{called} refused the push: {said}", hint="this is the host's message; nothing was changed there")


def refuse_blocked(repository: Repository, remote: str, refs: Iterable[str]) -> None:
    """Raise Conflict if *remote* has a ref where one of *refs* needs a folder, or a folder where it needs a file."""
    there = [line.split("\t")[1] for line in query(repository, remote, "ls-remote", "--refs", remote).splitlines()]
    for blocking in there:
        for ref in refs:
            if blocking.startswith(f"{ref}/") or ref.startswith(f"{blocking}/"):
                called = repository.url or remote
                raise Conflict(
                    f"{called} has {blocking}, so that git cannot create {ref} there; nothing was pushed",
                    hint=f"if nobody needs it, type: {removal_command(called, blocking)}",
                )


def has_ref(repository: Repository, remote: str, ref: str, id: Oid) -> bool:
    """Return True if *ref* of *remote* is *id*. Used after a push whose answer was lost."""
    answer = run_remote(repository, "ls-remote", "--end-of-options", remote, ref)
    return f"{id}\t{ref}" in answer.stdout.splitlines()


def move_copies(repository: Repository, remote: str, moves: Sequence[RefMove]) -> None:
    """Move the local copies of the remote's refs to the pushed ids."""
    repository.refs.retry(lambda: _move_copies(repository, remote, moves))


def _move_copies(repository: Repository, remote: str, moves: Sequence[RefMove]) -> None:
    new: dict[str, Oid | None] = {}
    for move in moves:
        if move.ref.startswith(STAGE_TAGS):
            copy = f"{tags_prefix(remote)}{move.ref.removeprefix(STAGE_TAGS)}"
        elif move.ref == repository.rules.ref:
            copy = remote_rules_ref(remote, repository.branch)
        else:
            copy = remote_branch_ref(remote, repository.branch)
        new[copy] = move.new
    set_refs(repository.git, new)


def _outlet(git: Git, remote: str) -> tuple[Git, list[str]]:
    """Return a Git with a remote `_OUTLET`, which pushes to the same place as *remote* and has no other settings.

    It includes the push options of this single command, from `git -c` or the environment. With the remote's fetch
    refspecs, a push would also update local refs: in a mirror it would undo a concurrent local commit.
    `remote.<name>.mirror` refuses refspecs.
    """
    found = git.run("config", "-z", "--show-scope", "--get-regexp", r"^(remote\.|push\.pushoption$)", answers=(0, 1))
    words = iter(os.fsdecode(found).split("\0"))
    names = {f"remote.{remote}.{part}": f"remote.{_OUTLET}.{part}" for part in _REACHING}
    settings: list[tuple[str, str]] = []
    given: list[str] = []
    for scope, entry in zip(words, words, strict=False):
        key, _, value = entry.partition("\n")
        if key in names:
            settings.append((names[key], value))
        elif key == "push.pushoption" and scope == "command":
            given = [*given, value] if value else []  # as in git: an empty value removes the previous ones
    if not any(key.endswith(".url") for key, _ in settings):
        settings.append((f"remote.{_OUTLET}.url", remote))  # then git uses the name as the URL
    return replace(git, environ=with_settings(git.environ, settings)), given
