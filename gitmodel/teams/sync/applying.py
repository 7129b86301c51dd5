"""`apply --push`: put the changes that a remote's metadata branch records in force at the remote.

Pushes only tags, either all or none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from gitmodel.branch import remotes
from gitmodel.branch.remotes import RemoteState
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef
from gitmodel.errors import Invalid, Refused
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.registry.promotion.put_in_force import Applied, InForce
from gitmodel.teams.sync import pulling, pushing, synced_tag_moves
from gitmodel.teams.sync.pulling import Pulled


def apply_at_remote(
    repository: Repository,
    remote: str,
    apply: Callable[[], Applied],
    pulled: list[Pulled],
    *,
    models: tuple[str, ...] = (),
    timeout: float = 60.0,
) -> Applied:
    """Pull from *remote*, call *apply*, which moves local stage tags, and push the stage tags that differ at the
    remote.

    Pushes only the tags of *models*; an empty tuple means all models and also the rules tag. Does not push local
    commits and their tags. Adds the result of each pull to *pulled*. If the remote refuses a tag, moves the local tags
    back. If the remote changes before the push, repeats all steps, for at most *timeout* seconds. After an
    interruption, a second call pushes the remaining tags.

    Returns the changes that this call put in force, without the changes that another apply made at the same time.
    Raises the errors of *apply* and `pulling.pull`, and Refused with the host's message if a rule of the host forbids
    the tags.
    """
    ends = time.monotonic() + timeout
    local: dict[StageRef, InForce] = {}
    rules: Oid | None = None
    ours: Oid | None = None
    unguarded = False
    while True:
        pulled.append(pulling.pull(repository, remote))
        before = repository.tags.all()
        if repository.rules.id() != ours:  # the pull moved the tag, so this is the tag to restore after a refusal
            rules = repository.rules.id()
        done = apply()
        ours, unguarded = repository.rules.id(), unguarded or done.unguarded
        local.update({change.ref: change for change in done.changes})
        state = remotes.last_state(repository, remote)
        moves = _moves_of(repository, state, models)
        last = time.monotonic() > ends
        try:
            pushed = [*moves.values(), *synced_tag_moves.vouched_moves(repository, state)]
            pushed += [] if models else synced_tag_moves.rules_move(repository, state, state.tip)
            sent = pushing.send(repository, remote, pushed, last=last) if pushed else frozenset()
        except Refused:
            synced_tag_moves.reset_tags(repository, {ref: before.get(ref) for ref in done.moved}, rules)
            raise
        if sent is None:
            continue
        changes = _changes(repository, state, local, moves, sent)
        return replace(
            done, changes=changes, rules=(ours or "") if rules not in (None, ours) else "", unguarded=unguarded
        )


def _moves_of(repository: Repository, state: RemoteState, models: tuple[str, ...]) -> dict[StageRef, RefMove]:
    """Return the moves that give the remote the local stage tags of *models* (an empty tuple: of all models)."""
    names = {repository.snapshot().current_name(name) for name in models}
    moves = synced_tag_moves.tag_moves(repository, state, state.tip)
    return {ref: move for ref, move in moves.items() if not names or ref.model in names}


def _changes(
    repository: Repository,
    state: RemoteState,
    local: Mapping[StageRef, InForce],
    moves: Mapping[StageRef, RefMove],
    sent: Collection[str],
) -> tuple[InForce, ...]:
    """Return the changes that this apply made: tags that it moved at the remote, and tags that it moved only here.

    *local* has the changes of local tags, *moves* the moves to push, and *sent* the refs that the push moved. Leaves
    out the tags that another apply moved at the remote at the same time, because that apply reports them.
    """
    now = {**state.tags, **{ref: move.new for ref, move in moves.items()}}
    changes = {ref: change for ref, change in local.items() if now.get(ref) != repository.tags.id(ref)}
    changes |= _pushed(repository, state, {ref: move for ref, move in moves.items() if ref.full in sent})
    return tuple(change for _, change in sorted(changes.items()))


def _pushed(repository: Repository, state: RemoteState, moves: Mapping[StageRef, RefMove]) -> dict[StageRef, InForce]:
    """Map each stage tag in *moves* to the versions that are in force at the remote after and before its move."""
    return {
        ref: InForce(
            ref,
            _version(repository, state, ref, move.new),
            _version(repository, state, ref, move.old),
            pushed=True,
        )
        for ref, move in moves.items()
    }


def _version(repository: Repository, state: RemoteState, ref: StageRef, id: Oid | None) -> int | None:
    try:
        judged = repository.tags.judge(ref, repository.reader.get(id), state.tip) if id else None
    except Invalid:
        return None
    return judged.record.version if judged and judged.record else None
