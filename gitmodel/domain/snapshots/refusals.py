"""The refusal to put a recorded change of a stage in force, as a value. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """The *reason* why a recorded change is not in force, and its *way_out*: the advice for the user.

    *unreviewed* is True if the change was made directly in a stage that takes only reviewed proposals.

    >>> str(Refusal("gate `tested` fails", "run `git model rollback iris production`"))
    'gate `tested` fails; run `git model rollback iris production`'
    """

    reason: str
    way_out: str | None = None
    unreviewed: bool = False

    def __str__(self) -> str:
        return self.reason if self.way_out is None else f"{self.reason}; {self.way_out}"
