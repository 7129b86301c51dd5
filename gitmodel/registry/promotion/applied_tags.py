"""Setting and deleting stage tags, and the tag of the rules, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.foreign_tags import refuse_foreign
from gitmodel.branch.transactions.stage_tag_moves import recorded_tag
from gitmodel.branch.transactions.transaction import remember_remote
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef, vouched_ref
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Refused
from gitmodel.frozen import Frozen
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.refs.ref_move import RefMove


class TagAim(Frozen):
    """A planned change of the stage tag *ref*: move it to *commit* (None: to the newest change of its stage).

    If *goes*, delete the tag instead. *vouched* is the commit if it counts only because the user says that it was
    reviewed: then a second tag records this.
    """

    ref: StageRef
    commit: Oid | None = None
    vouched: Oid | None = None
    goes: bool = False


def set_tags(
    repository: Repository, choose: Callable[[Snapshot], Iterable[TagAim]], *, rules: bool = False
) -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
    """Set and delete the stage tags that *choose* plans for the current snapshot, in one transaction.

    If *rules*, also puts the rules on the branch in force, by which later changes are judged. Returns the stages whose
    tags moved, and the stages whose tags this user may not move or cannot sign, each with the reason. Calls *choose*
    again if another writer moves a ref first.
    """
    repository.git.refuse_read_only()

    def once() -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
        snapshot = repository.snapshot()
        aims = list(choose(snapshot))
        tags = _TagMoves(repository, snapshot)
        if rules and snapshot.commit:
            tags.add_rules(snapshot.commit)
        for aim in aims:
            tags.add(aim)
        return tags.write(), tags.refused

    return repository.refs.retry(once)


class _TagMoves:
    """Collects ref moves for `TagAim` values. *refused* are the stages whose tags this user may not move, and why."""

    def __init__(self, repository: Repository, snapshot: Snapshot) -> None:
        self._repository = repository
        self._snapshot = snapshot
        self._new: list[NewObject] = []
        self._rules_moves: list[RefMove] = []
        self._moves: list[RefMove] = []
        self._drops: list[RefMove] = []
        self._set: list[StageRef] = []
        self._deleted: list[StageRef] = []
        self.refused: list[tuple[StageRef, str]] = []

    def add(self, aim: TagAim) -> None:
        """Add the ref moves for *aim*. If this user may not make them, add the reason to `refused` instead."""
        tag, wanted = self._repository.tags.read(aim.ref), self._wanted(aim)
        try:
            if wanted is not None:
                self._add_set(aim, tag, wanted)
            elif tag is not None:
                refuse_foreign(self._repository, self._snapshot.commit, aim.ref, tag, repairs=False)
                self._drops.append(RefMove(aim.ref.full, None, tag.id))
                self._deleted.append(aim.ref)
        except Refused as error:
            self.refused.append((aim.ref, error.message if wanted else f"{error.message}; {error.hint}"))

    def _add_set(self, aim: TagAim, tag: GitObject | None, wanted: NewObject) -> None:
        repository, ref, old = self._repository, aim.ref, tag.id if tag else None
        if repository.tags.agrees(ref, old, wanted):
            return
        refuse_foreign(repository, self._snapshot.commit, ref, tag, repairs=True)
        signed = repository.signing.tag(ref, wanted)
        self._new.append(signed)
        self._moves.append(RefMove(ref.full, signed.id, old))
        self._set.append(ref)
        if aim.vouched and repository.reader.resolve(vouched_ref(ref, aim.vouched)) is None:
            self._moves.append(RefMove(vouched_ref(ref, aim.vouched), aim.vouched, None))

    def _wanted(self, aim: TagAim) -> NewObject | None:
        """Return the tag that *aim* sets, before it is signed; None to delete the tag."""
        if aim.goes:
            return None
        if aim.commit is None:
            return recorded_tag(self._repository, self._snapshot, aim.ref)
        return self._repository.tags.set_at(aim.ref, aim.commit)

    def add_rules(self, commit: Oid) -> None:
        """Add the moves that put the rules at *commit* in force. Raises Refused if it is unknown which are in force."""
        rules = self._repository.rules
        rules.check_branch(commit)
        if rules.are_pending(commit) and (rules.id() or not self._snapshot.registry().is_open):
            tag = rules.next_tag(self._repository.reader.get(commit).data, commit)
            self._new.append(tag)
            self._rules_moves = rules.moves(tag.id)
        else:
            self._rules_moves = rules.moves_to_remember()

    def write(self) -> list[StageRef]:
        """Execute the collected ref moves, and return the stages whose tags were set or deleted."""
        repository, left = self._repository, frozenset[str]()
        if self._moves or self._rules_moves:
            remember_remote(repository)
            # If only a remote has the branch, this transaction creates the local branch.
            held = self._snapshot.commit if repository.reader.resolve(repository.branch) else None
            branch = RefMove(repository.branch, self._snapshot.commit, held)
            left = repository.refs.move([branch, *self._rules_moves, *self._moves], "gitmodel: apply", self._new)
        left |= repository.refs.drop(self._drops)
        return [ref for ref in (*self._set, *self._deleted) if ref.full not in left]
