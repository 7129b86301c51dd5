"""Push: upload artifacts, then push the branch and its stage tags, after pulls if others have pushed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gitmodel.branch import remote_pushes, remotes
from gitmodel.branch.ref_moves.retrying import pause
from gitmodel.branch.remote_pushes import RemoteMoved
from gitmodel.branch.remotes import RemoteState
from gitmodel.branch.repository import Repository
from gitmodel.code.kept_commits import PushedCode
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import Conflict, GitModelError, Refused, Unreachable
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import is_ancestor
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.registry.promotion.put_in_force import Applied
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import Transfer
from gitmodel.teams.checks.range_checks import refuse_invalid
from gitmodel.teams.sync import synced_tag_moves
from gitmodel.teams.sync.pulling import Pulled, count_commits, had_before, left_out, pull
from gitmodel.teams.sync.transfers import upload

# A push ends before its timeout if the remote refused the same moves this often, and each pull in between found nothing
# new: the remote will never accept these moves.
_SAME_TRIES = 20


@dataclass
class Pushed:
    """The result of a push: the numbers of pushed *commits* and uploaded *artifacts*, and the stage tags that *moved*.

    *tip* is the pushed commit of the local metadata branch. *pulled* are the results of the pulls before the push,
    without pulls that changed and found nothing. *code* is the result of pushing the code commits of the versions.
    """

    remote: str
    tip: Oid | None
    commits: int = 0
    artifacts: int = 0
    moved: list[StageRef] = field(default_factory=list)
    pulled: list[Pulled] = field(default_factory=list)
    code: PushedCode = field(default_factory=PushedCode)


class LeftOut(Conflict):
    """Raised after a push or apply succeeded, if its pulls left out local changes. The message names these changes.

    *done* is the result of the push or apply. *conflicts* has a text for each change that was left out. The commit
    *before* still has these changes. *brief* is an error whose message gives only their number.
    """

    def __init__(self, done: Pushed | Applied, remote: str, pulled: Sequence[Pulled]) -> None:
        self.done = done
        self.conflicts = left_out(pulled)
        self.before = next((one.before for one in pulled if one.conflicts), None)
        count = len(self.conflicts)
        summary = (
            f"{'1 change' if count == 1 else f'{count} changes'} of yours {'was' if count == 1 else 'were'} left out, "
            f"because others changed the same at {remote}"
        )
        super().__init__(f"{summary}: {'; '.join(self.conflicts)}", hint=had_before(self.before))
        self.brief = Conflict(summary, hint=self.hint)


class Uploads(Frozen):
    """The stores of a push: *local*, and *store_of*, which opens the store for the artifacts of a model."""

    local: ArtifactStore
    store_of: Callable[[str], ArtifactStore]
    transfer: Transfer = Transfer()


def push(repository: Repository, remote: str, uploads: Uploads, *, timeout: float = 60.0) -> Pushed:
    """Pull from *remote*, upload the artifacts that the stores lack, then push the branch and its tags atomically.

    If the remote changes before the push, pulls and tries again, for at most *timeout* seconds. If a rule of the host
    refuses only stage tags, pushes the branch without them. Raises Invalid if a pushed record breaks the format,
    Unreachable if the remote cannot be reached or others could not download an artifact, Refused if a rule of the host
    refuses the branch or a tag.
    """
    done = Pushed(remote, repository.writable_tip())
    with telling_left_out(done.pulled):
        _push(repository, remote, uploads, done, time.monotonic() + timeout)
    return done


@contextmanager
def telling_left_out(pulled: Sequence[Pulled]) -> Iterator[None]:
    """If the block raises an error, add to its message the local changes that the pulls in *pulled* left out."""
    try:
        yield
    except GitModelError as error:
        conflicts = left_out(pulled)
        if conflicts:
            error.message += f"; before that, the pull left out changes of yours: {'; '.join(conflicts)}"
        raise


def _push(repository: Repository, remote: str, uploads: Uploads, done: Pushed, ends: float) -> None:
    tried: list[list[RefMove]] = []
    while True:
        pulled = pull(repository, remote)
        if pulled.changed or pulled.conflicts or pulled.set_back or pulled.merged:
            done.pulled.append(pulled)
        state = remotes.last_state(repository, remote)
        tip = repository.tip()
        moves, moved = _moves(repository, state, tip)
        done.tip, done.moved = tip, moved
        if not moves:
            return
        if tip and tip != state.tip:
            refuse_invalid(repository, state.tip, tip)
        done.commits = count_commits(repository, state.tip, tip)
        done.artifacts += upload(repository, state.tip, tip, uploads.local, uploads.store_of, transfer=uploads.transfer)
        try:
            same = tried.count(moves) >= _SAME_TRIES
            if send(repository, remote, moves, last=same or time.monotonic() > ends) is not None:
                return
            tried.append(moves)
        except RemoteMoved as error:
            if not same:
                raise
            raise Conflict(
                f"{remote} refused the push {len(tried)} times, and nothing changed there: {error.message}",
                hint="see `git remote -v`: a remote that is fetched from one repository and pushed to another cannot "
                "be used; set `git config gitmodel.remote` to another remote",
            ) from None
        except Refused as error:
            _push_apart(repository, state, moves, error)
            return


def send(repository: Repository, remote: str, moves: Sequence[RefMove], *, last: bool) -> frozenset[str] | None:
    """Push *moves*. If the connection is lost during the push, fetch to find out if the remote made the moves.

    Returns the refs that this push moved, without those that another process had moved to the same ids. If another
    process moved a ref to another id first, the remote makes none of *moves*: returns None after a short pause or, if
    *last* is True because the caller will not try again, raises RemoteMoved. Raises Refused if the host refuses the
    push, Unreachable if the remote cannot be reached.
    """
    left: frozenset[str] = frozenset()
    try:
        left = remote_pushes.push(repository, remote, moves).left
    except RemoteMoved:
        if last:
            remote_pushes.refuse_blocked(repository, remote, [move.ref for move in moves])
            raise
        pause(0.2)
        return None
    except Unreachable as error:
        if not _landed(repository, remote, moves, error):
            raise
    remote_pushes.move_copies(repository, remote, moves)
    return frozenset(move.ref for move in moves) - left


def _push_apart(repository: Repository, state: RemoteState, moves: Sequence[RefMove], error: Refused) -> None:
    """Push the branch, then each tag separately, after the remote refused all *moves* together with *error*.

    Moves each local tag that the remote refuses back to the remote's value: the change is recorded, but not in force.
    Raises *error* if the remote refuses the branch, Refused with their names if it refuses tags.
    """
    branch = [move for move in moves if move.ref == repository.branch]
    try:
        if branch:
            send(repository, state.remote, branch, last=True)
    except (Refused, RemoteMoved):
        raise error from None
    refused: dict[StageRef, str] = {}
    rules_refused: list[str] = []
    for move in moves:
        if move in branch:
            continue
        stage = StageRef.parse(move.ref)
        try:
            send(repository, state.remote, [move], last=True)
        except (Refused, RemoteMoved) as why:
            if stage is not None:
                refused[stage] = why.message
            elif move.ref == repository.rules.ref:
                rules_refused = [why.message]
    rules = state.rules if rules_refused else repository.rules.id()
    synced_tag_moves.reset_tags(repository, {ref: state.tags.get(ref) for ref in refused}, rules)
    if refused or rules_refused:
        names = " and ".join([*(ref.name for ref in sorted(refused)), *[repository.rules.name for _ in rules_refused]])
        said = "; ".join(dict.fromkeys([*(refused[ref] for ref in sorted(refused)), *rules_refused]))
        recorded = f"your change is recorded at {state.remote}, and" if branch else "the recorded change is"
        raise Refused(
            f"{recorded} not in force there: {said}",
            hint=f"an identity that may move {names} must run `git model apply --push`; "
            "the local tag was reset to the remote's",
        )


def _landed(repository: Repository, remote: str, moves: Sequence[RefMove], error: Unreachable) -> bool:
    """Fetch, and return True if the remote made *moves* although the push failed with *error*.

    Raises Unreachable if the fetch fails, too.
    """
    try:
        now = remotes.fetch(repository, remote)
    except Unreachable:
        raise Unreachable(
            f"{error.message}; it is not known whether the push reached the server",
            hint="run `git model push` again when it can be reached",
        ) from None
    for move in moves:
        if move.ref == repository.branch:
            return now.tip is not None and move.new is not None and is_ancestor(repository.git, move.new, now.tip)
    tags = {ref.full: id for ref, id in now.tags.items()}
    return all(tags.get(move.ref) == move.new for move in moves)


def _moves(repository: Repository, state: RemoteState, tip: Oid | None) -> tuple[list[RefMove], list[StageRef]]:
    """Return the ref moves that give the remote the local branch and tags, and the stages whose tags are among them."""
    moves = [] if tip == state.tip else [RefMove(repository.branch, tip, state.tip)]
    moves += synced_tag_moves.rules_move(repository, state, tip)
    tags = synced_tag_moves.tag_moves(repository, state, tip)
    return [*moves, *tags.values(), *synced_tag_moves.vouched_moves(repository, state)], [*tags]
