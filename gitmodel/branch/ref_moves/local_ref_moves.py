"""Moves of refs in the repository on this machine: one transaction of git that survives a gc and killed writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from gitmodel.branch.retrying_ref_moves import Retries, half_done_error, retry
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

# Attempts to write a pack, which fail only if a gc deletes the unfinished pack. No pauses are needed.
_GC_ATTEMPTS = 10


class Refs(Protocol):
    """The shared refs of a registry, and moving them."""

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        """Write the objects *new*, then make *moves*, all or nothing.

        Return the refs that another process had already moved to the new value. Raises Moved, Locked or
        Refused; then nothing has changed.
        """

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        """Delete refs one by one after the branch moved. Return the refs that another process moved, which stay."""

    def retry(self, work: Callable[[], T]) -> T:
        """Call *work*, and call it again if another process moved or locked a ref. Return its result.

        Raises Conflict.
        """


@dataclass(eq=False)
class LocalRefs:
    """`Refs` of the repository on this machine.

    *marks* returns the marks of processes that move its refs, and *share* creates the folder for gitmodel's own files.
    """

    git: Git
    reader: ObjectReader
    objects: LooseObjects
    transactions: RefTransactions
    marks: Callable[[], WriterMarks]
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
        # To delete a ref, git locks packed-refs. In the transaction of the branch, a crash could then lose the branch's
        # move.
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
        """Delete a ref and return True; return False if another process moved it."""
        try:
            delete_ref(self.git, drop.ref, old=drop.old)
        except Moved:
            return False
        return True

    def _outlast_gc(self, new: Sequence[NewObject]) -> None:
        """Write *new* again if a running gc may delete it, because it started before refs named *new*."""
        from gitmodel.git.refs.ref_locks import gc_runs

        for _ in range(_GC_ATTEMPTS):
            if not gc_runs(self.git.common_dir):
                break
            from gitmodel.git.repositories.maintenance import write_pack  # imported here: a gc is rarely running

            # A gc may prune loose objects and unfinished packs, but never a finished pack.
            with suppress(Unreachable, GitError):
                write_pack(self.git, new)
                return
        self.objects.write(new)

    def _check_effect(self, moves: Sequence[RefMove]) -> None:
        """Raise Invalid if git reported success, but did not move a branch."""
        for move in moves:
            moves_branch = move.ref.startswith("refs/heads/") and not move.verifies
            if moves_branch and self.reader.resolve_id(move.ref) == move.old:
                raise Invalid(f"git said that {move.ref} moved, but it did not", hint="run `git fsck`")
