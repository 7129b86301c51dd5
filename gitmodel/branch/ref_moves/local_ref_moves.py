"""Moving refs of the repository on this machine in one transaction, despite a running gc and killed writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from gitmodel.branch.ref_moves.retrying import Retries, half_done_error, retry
from gitmodel.domain.schema import messages
from gitmodel.errors import Conflict, Invalid, Refused, Unreachable
from gitmodel.git.objects.loose_objects import LooseObjects
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.refs.ref_commands import delete_ref
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.refs.ref_transactions import RefTransactions
from gitmodel.git.running.failures import GitError, Moved
from gitmodel.git.running.process import Git, check_git

if TYPE_CHECKING:
    from gitmodel.git.refs.ref_locks import WriterMarks

T = TypeVar("T")

# Attempts to write a pack. One fails only if a gc deletes the unfinished pack, so no pauses are needed.
_GC_ATTEMPTS = 10


class Refs(Protocol):
    """An object that moves the refs of a registry, on this machine or on the server of a registry by URL."""

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        """Write the objects *new*, then make *moves*, all or nothing. Return the refs that already had the new value.

        *message* is for the reflogs. If Moved, Locked or Refused is raised, no ref has moved.
        """

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        """Make *drops*, which delete refs, one by one. Called after the branch moved.

        Return the refs that were not deleted.
        """

    def retry(self, work: Callable[[], T]) -> T:
        """Call *work* and return its result. If *work* raises Moved or Locked, call it again.

        Raises Conflict after too many attempts.
        """


@dataclass(eq=False)
class LocalRefs:
    """`Refs` of the repository on this machine. *share* creates the folder for gitmodel's own files."""

    git: Git
    reader: ObjectReader
    objects: LooseObjects
    transactions: RefTransactions
    marks: WriterMarks
    share: Callable[[], None]

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        self.git.refuse_read_only()
        check_git(self.git.environ)
        self.share()
        self.transactions.move(moves, messages.one_line(message), partial(self.objects.write, new))
        if new:
            self._outlast_gc(new)
        self._check_effect(moves)
        return frozenset()

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        # One by one: to delete a ref, git locks packed-refs, and a crash could lose other moves of the transaction.
        left = set()
        for drop in drops:
            try:
                if not self.retry(partial(self._delete, drop)):
                    left.add(drop.ref)
            except (Conflict, Refused, Unreachable, GitError) as error:
                raise half_done_error(error) from error
        return frozenset(left)

    def retry(self, work: Callable[[], T]) -> T:
        return retry(work, Retries(self.reader, self.marks))

    def _delete(self, drop: RefMove) -> bool:
        """Delete the ref of *drop*. If another process moved the ref, return False without deleting it."""
        try:
            delete_ref(self.git, drop.ref, old=drop.old)
        except Moved:
            return False
        return True

    def _outlast_gc(self, new: Sequence[NewObject]) -> None:
        """If a gc is running, write the objects *new* again.

        The gc may have started before a ref named these objects, and delete them.
        """
        from gitmodel.git.refs.ref_locks import gc_runs

        for _ in range(_GC_ATTEMPTS):
            if not gc_runs(self.git.common_dir):
                break
            from gitmodel.git.repositories.maintenance import write_pack  # imported here: a gc is rarely running

            # As a pack, because a gc may delete loose objects and unfinished packs, but never a finished pack.
            with suppress(Unreachable, GitError):
                write_pack(self.git, new)
                return
        self.objects.write(new)

    def _check_effect(self, moves: Sequence[RefMove]) -> None:
        """Raise Invalid if git reported success, but a branch in *moves* is still at its old commit."""
        for move in moves:
            moves_branch = move.ref.startswith("refs/heads/") and not move.verifies
            if moves_branch and self.reader.resolve_id(move.ref) == move.old:
                raise Invalid(f"git said that {move.ref} moved, but it did not", hint="run `git fsck`")
