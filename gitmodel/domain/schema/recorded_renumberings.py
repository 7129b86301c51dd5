"""The versions that pulls renumbered in a clone, with their old and new references. Pure.

An old reference means another version now. So gitmodel warns a user who reads by an old reference, and refuses a write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen

# A model and the number of one of its versions; the number 0 stands for the model itself.
Numbered = tuple[str, int]

_HEAD = "gitmodel-renumbered 1"
_LINE = r"([1-9][0-9]*) (\S+) ([0-9]+) (\S+) ([0-9]+)( noted)?"
# The most renumberings that a clone keeps. For each further one, gitmodel forgets the oldest one, and no longer warns
# about its old reference.
_MOST = 20_000


class Renumbered(Frozen):
    """A version or model whose reference was *old* in this clone, and is *new* since the pull number *event*.

    If *noted* is True, gitmodel refuses writes with the old reference, until the user confirms its new meaning.
    """

    event: int
    old: Numbered
    new: Numbered
    noted: bool = True

    @property
    def warning(self) -> str:
        """The warning for a user who reads the old reference, and may mean the version that had it before the pull."""
        if not self.old[1]:
            old, new = self.old[0], self.new[0]
            return f"{old} names another model since a pull: your {old} is now {new}, and this is the new {old}"
        old, new = (f"{model}@{number}" for model, number in (self.old, self.new))
        return f"{old} was renumbered by a pull: your {old} is now {new}, and this is the new {old}"


class Renumberings(Frozen):
    """The renumberings of pulls in a clone, oldest first.

    >>> found = Renumberings().with_pull({("iris", 4): ("iris", 5)}).with_pull({("iris", 5): ("iris", 6)})
    >>> found.follow(("iris", 4), since=0), found.follow(("iris", 5), since=1), found.follow(("iris", 5), since=2)
    (('iris', 6), ('iris', 6), ('iris', 5))
    >>> found.noted(4)[0].new, Renumberings.parse(found.encode()) == found
    (('iris', 6), True)
    """

    moves: tuple[Renumbered, ...] = ()

    @property
    def count(self) -> int:
        """The number of the last pull that renumbered versions, or 0."""
        return self.moves[-1].event if self.moves else 0

    def follow(self, old: Numbered, *, since: int) -> Numbered:
        """Return the current reference of the version whose reference was *old* after the pull number *since*."""
        now, event = old, since
        for move in self.moves:
            if move.event > event and move.old == now:
                now, event = move.new, move.event
        return now

    def noted(self, number: int) -> list[Renumbered]:
        """Return the *noted* renumberings of old references with *number* (0: those of models), newest first.

        In each of them, `new` is the reference after all later pulls. `Renumbered` describes *noted*.
        """
        found = [move for move in self.moves if move.noted and move.old[1] == number]
        return [replace(move, new=self.follow(move.new, since=move.event)) for move in reversed(found)]

    @property
    def noted_references(self) -> frozenset[Numbered]:
        """The old references with which gitmodel refuses writes, until the user confirms their new meaning."""
        return frozenset(move.old for move in self.moves if move.noted)

    def notes_under(self, model: str) -> frozenset[Numbered]:
        """Return those of `noted_references` that name *model* or one of its versions."""
        return frozenset(old for old in self.noted_references if old[0] == model)

    def with_pull(self, moves: Mapping[Numbered, Numbered]) -> Renumberings:
        """Return a copy with the renumberings of another pull, all *noted*. *moves* maps old references to new ones."""
        event = self.count + 1
        new = tuple(Renumbered(event, old, now) for old, now in sorted(moves.items()))
        return Renumberings((*self.moves, *new)[-_MOST:])

    def without_notes(self, on: Iterable[Numbered]) -> Renumberings:
        """Return a copy without *noted* for the old references *on*, whose new meaning the user confirmed."""
        gone = frozenset(on)
        return Renumberings(
            tuple(replace(move, noted=False) if move.noted and move.old in gone else move for move in self.moves)
        )

    def encode(self) -> bytes:
        """Return the bytes for the blob at `refs/gitmodel/renumbered`."""
        lines = [
            f"{move.event} {move.old[0]} {move.old[1]} {move.new[0]} {move.new[1]}{' noted' if move.noted else ''}"
            for move in self.moves
        ]
        return "".join(f"{line}\n" for line in [_HEAD, *lines]).encode()

    @staticmethod
    @lru_cache(maxsize=4)
    def parse(data: bytes) -> Renumberings:
        """Parse the output of `encode`. Raises Invalid for other bytes."""
        head, *lines = data.decode("utf-8", "replace").splitlines()[:] or [""]
        found = [re.fullmatch(_LINE, line) for line in lines]
        if head != _HEAD or None in found:
            raise Invalid(
                "the record of renumbered versions in refs/gitmodel/renumbered cannot be read",
                hint="a newer gitmodel may have written them; `git update-ref -d refs/gitmodel/renumbered` deletes it",
            )
        moves = (match.groups() for match in found if match is not None)
        return Renumberings(
            tuple(
                Renumbered(int(event), (model, int(number)), (now, int(now_number)), bool(noted))
                for event, model, number, now, now_number, noted in moves
            )
        )
