"""`apply --push`: put the changes that a remote's metadata branch records in force there. Pushes all tags or none."""

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
    models: tuple[str, ...],
    timeout: float,
) -> Applied:
    """Pull from *remote*, call *apply*, which moves local stage tags, and push the tags that differ at the remote.

    Pushes only the tags of *models*; if it is (), those of all models and the rules tag. Pushes no local commits. Adds
    the result of each pull to *pulled*. If the remote refuses a tag, moves the local tags back. If the remote changes
    before the push, repeats all steps, for at most *timeout* seconds. After an interruption, a second call pushes the
    remaining tags.

    Returns the changes that this call put in force, without those that another apply made at the same time. Raises the
    errors of *apply* and `pulling.pull`, and Refused with the host's message if a rule of the host forbids the tags.
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
        names = {repository.snapshot().current_name(name) for name in models}
        moves = synced_tag_moves.tag_moves(repository, state, state.tip)
        moves = {ref: move for ref, move in moves.items() if not names or ref.model in names}
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
    for ref, move in moves.items():
        if ref.full in sent:
            new, old = (_version(repository, state, ref, id) for id in (move.new, move.old))
            changes[ref] = InForce(ref, new, old, pushed=True)
    return tuple(change for _, change in sorted(changes.items()))


def _version(repository: Repository, state: RemoteState, ref: StageRef, id: Oid | None) -> int | None:
    """Return the version that the tag object *id* puts into the stage *ref*, if the tag counts at the remote."""
    try:
        judged = repository.tags.judge(ref, repository.reader.get(id), state.tip) if id else None
    except Invalid:
        return None
    return judged.record.version if judged and judged.record else None
