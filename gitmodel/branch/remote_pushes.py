"""Pushing ref moves to a remote: all or nothing, and only if the remote's refs still have the expected old values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gitmodel.branch.remotes import checked, remote_message, removal_command, tags_prefix, unreachable
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import STAGE_TAGS, remote_branch_ref, remote_rules_ref
from gitmodel.errors import Conflict, Refused
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import set_refs
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.repositories.remote_commands import ask_refs, push_moves, refs_in, silence_timeout
from gitmodel.git.settings.configuration import push_urls

# git prints one of these messages if another push moved a ref of the remote first.
_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|incorrect old value|failed to update ref"
    r"|atomic transaction failed|remote ref updated since checkout"
)
# git prints this message, before it pushes anything, if a push deletes a ref that the remote no longer has.
_ALREADY_GONE = re.compile(r"^error: unable to delete '.*': remote ref does not exist$", re.MULTILINE)
# git's reason for a ref that the remote refused only because it refused another ref of the same push.
_DRAGGED = re.compile(r"atomic push fail")


class RemoteMoved(Conflict):
    """A ref of the remote is not at the expected old value, because somebody else moved it. Nothing was pushed."""


class PushResult(Frozen):
    """The result of a push: git's messages, and in *left* the refs that already had their new value on the remote."""

    said: str
    left: frozenset[str] = frozenset()


def push(repository: Repository, remote: str, moves: Sequence[RefMove], options: Sequence[str] = ()) -> PushResult:
    """Push *moves* to *remote* atomically. A ref that already has its new id there counts as pushed.

    *options* are push options; a remote that does not support push options gets none. The push also sends the push
    options that the user set for this command alone, as in `git -c push.pushOption=gitmodel.force model push`. Raises
    RemoteMoved if a ref of the remote is not at its expected old id, Refused with the host's message if a rule of the
    host refuses the push, Unreachable if the remote cannot be reached or its answer is lost.
    """
    # The cache of a registry by URL lacks files. For a thin pack, git would first fetch some of them.
    unthinned = ["--no-thin"] if repository.url else []
    silence = silence_timeout(repository.config)
    answer = push_moves(repository.git, remote, moves, options, *unthinned, silence=silence)
    if options and answer.code and "does not support push options" in answer.stderr:
        return push(repository, remote, moves)
    if answer.code == 0:
        lines = (line.split("\t") for line in answer.stdout.splitlines() if line.startswith("=\t"))
        return PushResult(answer.stderr, frozenset(line[1].partition(":")[2] for line in lines))
    called = repository.url or remote
    if not repository.url and _took_all(answer.stdout) and len(push_urls(repository.git, remote)) > 1:
        raise Refused(
            f"not all push URLs of {called} took the push: {remote_message(answer, [])}",
            hint=f"see `git remote -v`; give the others a remote of their own, and push there: `git push NAME "
            f"{repository.branch} 'refs/tags/model/*' 'refs/tags/gitmodel-rules/*'`",
        )
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


def _took_all(listing: str) -> bool:
    """Return True if the server at one of the URLs in *listing* accepted every ref.

    *listing* is the output of `git push --porcelain`. For each URL, git prints `To URL`, a line for each ref (`!` marks
    a refused ref), and `Done` if the server answered.
    """
    refused = False
    for line in listing.splitlines():
        if line.startswith("To "):
            refused = False
        refused = refused or line.startswith("!")
        if line == "Done" and not refused:
            return True
    return False


def refuse_blocked(repository: Repository, remote: str, refs: Iterable[str]) -> None:
    """Raise Conflict if a ref of *remote* keeps git from creating one of *refs*: `a` from `a/b`, or `a/b` from `a`."""
    asked = ask_refs(repository.git, remote, options=("--refs",), silence=silence_timeout(repository.config))
    there = refs_in(checked(remote, asked))
    for blocking in there:
        for ref in refs:
            if blocking.startswith(f"{ref}/") or ref.startswith(f"{blocking}/"):
                called = repository.url or remote
                raise Conflict(
                    f"{called} has {blocking}, so that git cannot create {ref} there; nothing was pushed",
                    hint=f"if nobody needs it, type: {removal_command(called, blocking)}",
                )


def has_ref(repository: Repository, remote: str, ref: str, id: Oid) -> bool:
    """Return True if *ref* of *remote* is at the object *id*. Called after a push whose answer was lost."""
    return refs_in(ask_refs(repository.git, remote, ref, silence=silence_timeout(repository.config))).get(ref) == id


def move_copies(repository: Repository, remote: str, moves: Sequence[RefMove]) -> None:
    """Set this clone's copies of the refs of *remote* to the new ids of *moves*, which were pushed."""
    new: dict[str, Oid | None] = {}
    for move in moves:
        if move.ref.startswith(STAGE_TAGS):
            copy = f"{tags_prefix(remote)}{move.ref.removeprefix(STAGE_TAGS)}"
        elif move.ref == repository.rules.ref:
            copy = remote_rules_ref(remote, repository.branch)
        else:
            copy = remote_branch_ref(remote, repository.branch)
        new[copy] = move.new
    repository.refs.retry(lambda: set_refs(repository.git, new))
