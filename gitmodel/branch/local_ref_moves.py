"""Moves of refs in the repository on this machine: one transaction of git, safe from a gc and from killed writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from gitmodel.branch.retrying import Retries, half_done_error, retry
from gitmodel.domain.schema import messages
from gitmodel.errors import Conflict, Invalid, Refused, Unreachable
from gitmodel.git.failures import GitError, Moved
from gitmodel.git.object_reader import ObjectReader
from gitmodel.git.objects import LooseObjects, NewObject
from gitmodel.git.process import Git, check_git
from gitmodel.git.refs import RefMove, delete_ref, move_refs

if TYPE_CHECKING:
    from gitmodel.git.ref_locks import WriterMarks

T = TypeVar("T")

# Without pauses: each attempt writes a pack, and fails only if a gc deletes it half done.
_GC_ATTEMPTS = 10


class Refs(Protocol):
    """The shared refs of a registry, and moving them."""

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        """Write the objects *new*, then make *moves*, all or nothing. Return the refs that others had moved there.

        Raises Moved or Locked with nothing changed, and Refused.
        """

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        """Delete refs one by one after the branch moved. Return those that others moved and that stay."""

    def retry(self, work: Callable[[], T]) -> T:
        """Call *work*, and call it again if another process moved or locked a ref. Return its result.

        Raises Conflict.
        """


class LocalRefs:
    """`Refs` of the repository on this machine.

    *marks* returns the marks of processes that move its refs, and *share* creates the folder for gitmodel's own files.
    """

    def __init__(
        self,
        git: Git,
        reader: ObjectReader,
        objects: LooseObjects,
        marks: Callable[[], WriterMarks],
        share: Callable[[], None],
    ) -> None:
        self._git = git
        self._reader = reader
        self._objects = objects
        self._marks = marks
        self._share = share
        self._checked = False

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        self._git.refuse_read_only()
        if not self._checked:
            check_git(self._git.environ)
            self._checked = True
        # git locks what it verifies as well, with an empty lock.
        news = {move.ref: "" if move.verifies else move.new or "" for move in moves}

        self._share()
        with self._marks().announce(news) as mark:
            move_refs(self._git, moves, messages.one_line(message), partial(self._objects.write, new), mark)
        if new:
            self._outlast_gc(new)
        self._check_effect(moves)
        return frozenset()

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        # Deleting a ref needs the packed-refs lock; inside the transaction a crash could then lose the branch's move.
        left = set()
        for drop in drops:
            try:
                if not self.retry(partial(self._delete, drop)):
                    left.add(drop.ref)
            except (Conflict, Refused, Unreachable, GitError) as error:
                raise half_done_error(error) from error
        return frozenset(left)

    def retry(self, work: Callable[[], T]) -> T:
        return retry(work, Retries(self._reader, self._marks))

    def _delete(self, drop: RefMove) -> bool:
        """Delete a ref and return True; return False if somebody else moved it."""
        try:
            delete_ref(self._git, drop.ref, old=drop.old)
        except Moved:
            return False
        return True

    def _outlast_gc(self, new: Sequence[NewObject]) -> None:
        """Write *new*, which refs name by now, again if a gc that began before they did may delete it."""
        from gitmodel.git.ref_locks import gc_runs

        for _ in range(_GC_ATTEMPTS):
            if not gc_runs(self._git.common_dir):
                break
            from gitmodel.git.maintenance import write_pack  # imported here: a gc is rarely under way

            # It may prune unreferenced objects: loose objects and unfinished packs, but never a finished pack.
            with suppress(Unreachable, GitError):
                write_pack(self._git, new)
                return
        self._objects.write(new)

    def _check_effect(self, moves: Sequence[RefMove]) -> None:
        """Raise Invalid if git reported success, but left a branch where it was."""
        for move in moves:
            if move.ref.startswith("refs/heads/") and not move.verifies:
                found = self._reader.resolve(move.ref)
                if (found.id if found else None) == move.old:
                    raise Invalid(f"git said that {move.ref} moved, but it did not", hint="run `git fsck`")
