"""Putting in force what the branch records: stage tags, and the tag of the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitmodel.branch.foreign_tags import refuse_foreign
from gitmodel.branch.repository import Repository
from gitmodel.branch.stage_tags import TagAim
from gitmodel.branch.transaction import recorded_tag, remember_remote
from gitmodel.domain.schema.refs import StageRef, vouched_ref
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import Refused
from gitmodel.git.objects import NewObject
from gitmodel.git.refs import RefMove


def put_in_force(
    repository: Repository, choose: Callable[[Snapshot], Iterable[TagAim]], *, rules: bool = False
) -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
    """Set the tags that *choose* aims at commits; drop those with no record there.

    With *rules* the rules of the branch come into force, for what is recorded after. Returns what moved, and what
    did not since its tag cannot be signed here, with why. *choose* is asked again when somebody moved first.
    """
    repository.git.refuse_contested()

    def once() -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
        snapshot = repository.snapshot()
        new: list[NewObject] = []
        moves: list[RefMove] = []
        drops, moved, gone, refused = [], [], [], []
        aims = list(choose(snapshot))
        rules_moves = _rules_moves(repository, snapshot, new) if rules and snapshot.commit else []
        for aim in aims:
            ref, tag = aim.ref, repository.tags.read(aim.ref)
            old = tag.id if tag else ""
            if aim.commit is None:
                wanted = recorded_tag(repository, snapshot, ref)
            else:
                wanted = repository.tags.set_at(ref, aim.commit) if aim.commit else None
            if wanted is None and old:
                try:
                    refuse_foreign(repository, snapshot.commit, ref, tag, repairs=False)
                except Refused as error:
                    refused.append((ref, f"{error.message}; {error.hint}"))
                    continue
                drops.append(RefMove(ref.full, None, old))
                gone.append(ref)
            elif wanted is not None and not repository.tags.agrees(ref, old, wanted):
                try:
                    refuse_foreign(repository, snapshot.commit, ref, tag, repairs=True)
                    wanted = repository.sealing.tag(ref, wanted)
                except Refused as error:
                    refused.append((ref, error.message))
                    continue
                new.append(wanted)
                moves.append(RefMove(ref.full, wanted.id, old or None))
                moved.append(ref)
                vouched = vouched_ref(ref, aim.vouched)
                if aim.vouched and repository.reader.resolve(vouched) is None:
                    moves.append(RefMove(vouched, aim.vouched, None))
        left: frozenset[str] = frozenset()
        if moves or rules_moves:
            remember_remote(repository)
            # only a remote may have the branch: it is created then
            held = snapshot.commit if repository.reader.resolve(repository.branch) else None
            branch = RefMove(repository.branch, snapshot.commit, held)
            left = repository.refs.move([branch, *rules_moves, *moves], "gitmodel: apply", new)
        left |= repository.refs.drop(drops)
        return [ref for ref in (*moved, *gone) if ref.full not in left], refused

    return repository.refs.retry(once)


def _rules_moves(repository: Repository, snapshot: Snapshot, new: list[NewObject]) -> list[RefMove]:
    """The moves that put the rules of *snapshot* in force, if others are; the tag that they need is added to *new*.

    Raises Refused if it is not known which are.
    """
    rules = repository.rules
    rules.check_branch(snapshot.commit)
    if not rules.are_pending(snapshot.commit) or not (rules.id() or not snapshot.registry().is_open):
        return rules.see()
    tag = rules.next_tag(repository.reader.get(snapshot.commit).data, snapshot.commit)
    new.append(tag)
    return rules.moves(tag.id)
