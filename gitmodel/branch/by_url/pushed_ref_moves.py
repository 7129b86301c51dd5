"""Moves of refs in a registry by URL: pushed to the server first, then made in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from gitmodel.branch import remote_pushes
from gitmodel.branch.by_url.url_cache import REMOTE, UrlCache
from gitmodel.branch.ref_moves.local_ref_moves import Refs
from gitmodel.branch.ref_moves.retrying import Retries, pause, retry
from gitmodel.branch.remote_pushes import RemoteMoved
from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import RULES_TAGS, SEEN_RULES, STAGE_TAGS
from gitmodel.errors import Conflict, GitModelError, Refused, Unreachable
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.refs.ref_commands import set_refs
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import Locked, Moved

T = TypeVar("T")

# The longest pause between two attempts, as a multiple of the duration of the last attempt.
_LONGEST_PAUSE = 8


def check_push(repository: Repository) -> None:
    """Push the branch without a change, to verify that the server of a registry by URL accepts pushes from this user.

    The server's hooks do not run, so they can still refuse a later change. Raises Refused if the server refuses the
    push, Unreachable if it cannot be reached.
    """
    tip = repository.tip()
    if tip is not None:
        with suppress(RemoteMoved):  # the branch moved meanwhile, but the server accepts pushes
            remote_pushes.push(repository, REMOTE, [RefMove(repository.branch, tip, tip)])


@dataclass(eq=False)
class PushedRefs:
    """`Refs` of a registry by URL, whose cache is *repository*; *local* moves the refs that are never pushed.

    Before each attempt of a change, *fetch* fetches the refs from which the change is planned. The cache records the
    time and result of this fetch under the name *question*. *has_on_branch* returns True if the server's branch has the
    given commit. *retry_with_new_cache* is the method of `UrlServer`.
    """

    repository: Repository
    local: Refs
    cache: UrlCache
    question: str
    fetch: Callable[[], None]
    has_on_branch: Callable[[Oid], bool]
    retry_with_new_cache: Callable[[Callable[[], Any], Callable[[], bool]], Any]
    _pushed: bool = False

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> frozenset[str]:
        self.repository.objects.write(new)
        own = [move for move in moves if not self._is_shared(move.ref)]
        seen = [move for move in own if move.ref.startswith(SEEN_RULES)]
        pushed = [move for move in moves if not move.verifies and self._is_shared(move.ref)]
        with self.cache.lock():
            if not pushed:
                return self.local.move(moves, message)
            if own != seen:
                self.local.move([move for move in own if move not in seen], message)
            left = self._push(pushed)
            # gitmodel moves *seen* only after the push, which raises an error if the server refuses the rules tag.
            if seen:
                self.local.move(seen, message)
        return left

    def drop(self, drops: Iterable[RefMove]) -> frozenset[str]:
        left: frozenset[str] = frozenset()
        for drop in drops:
            try:
                left |= self._push([drop])
            except (Moved, Locked, Refused):  # the tag stays until `apply`, or another process has deleted it
                left |= {drop.ref}
        return left

    def retry(self, work: Callable[[], T]) -> T:
        if self.cache.terms.offline:
            what = f"nothing can be written to {self.repository.url} offline"
            raise Unreachable(what, hint="run it without --offline")
        ends = time.monotonic() + self.cache.terms.timeout
        self._pushed = False

        def attempt() -> T:
            with self.cache.lock():
                self.fetch()
                return retry(work, _UrlRetries(self.repository, self.fetch, self.cache.terms.timeout, ends))

        done: T = self.retry_with_new_cache(attempt, lambda: self._pushed)
        return done

    def _is_shared(self, ref: str) -> bool:
        """Return True if gitmodel pushes *ref* to the server. gitmodel does not push reservations, for example."""
        return ref == self.repository.branch or ref.startswith((STAGE_TAGS, RULES_TAGS))

    def _push(self, moves: Sequence[RefMove]) -> frozenset[str]:
        """Push *moves*, then make them in the cache. Return the refs that already had the new value on the server."""
        left: frozenset[str] = frozenset()
        try:
            left = remote_pushes.push(self.repository, REMOTE, moves).left
        except RemoteMoved as error:
            raise Moved(error.message, hint="try again") from error
        except Unreachable as error:
            if not self._landed(moves, error):
                raise
            self._pushed = True
            return left
        self._pushed = True
        with suppress(GitModelError):  # the change is on the server, even if updating the cache fails
            set_refs(self.repository.git, {move.ref: move.new for move in moves})
            self.cache.note_asked(self.question, self.repository.reader.resolve_id(self.repository.branch))
        return left

    def _landed(self, moves: Sequence[RefMove], error: Unreachable) -> bool:
        """Return True if the server made *moves*, although the push failed with *error*.

        Raises Unreachable if this cannot be found out.
        """
        try:
            for move in moves:
                if move.ref == self.repository.branch and move.new:
                    return self.has_on_branch(move.new)
            self.fetch()
        except Unreachable:
            raise Unreachable(
                f"{error.message}; it is not known whether the change was made",
                hint="run the command again when the server can be reached; for a new version, with the same "
                "--idempotency-key",
            ) from None
        return all(self.repository.reader.resolve_id(move.ref) == move.new for move in moves)


class _UrlRetries(Retries):
    """Retries a change until the time *ends* (of `time.monotonic`), and calls *fetch* before each further attempt.

    The limit is a time, because an attempt takes milliseconds on one server and seconds on another. The pauses grow
    with the duration of an attempt, because other writers also take long on a slow server.
    """

    def __init__(self, repository: Repository, fetch: Callable[[], None], timeout: float, ends: float) -> None:
        super().__init__(repository.reader, repository.writer_marks)
        self._repository = repository
        self._fetch = fetch
        self._timeout = timeout
        self._ends = ends
        self._count = 0
        self._began = time.monotonic()

    def failed(self, error: Conflict) -> None:
        now = time.monotonic()
        left = self._ends - now
        if left <= 0:
            raise Conflict(
                f"others kept changing {self._repository.url} for {self._timeout:g} s, and nothing was changed: "
                f"{error.message}",
                hint="try again, or allow more time: --timeout SECONDS",
            )
        self._count += 1
        if isinstance(error, Locked):
            super().failed(error)
        else:
            pause(min((now - self._began) * min(2**self._count, _LONGEST_PAUSE), left))
        self._began = time.monotonic()
        self._fetch()
