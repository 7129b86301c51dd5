"""The tag of the rules in force: formatting and parsing the commits that it lists. Pure.

The tag points at the commit whose rules were last put in force. The message of the tag lists the commits to which
it pointed earlier, newest first. Putting rules in force adds a commit to the list and removes none.
"""

from __future__ import annotations

import re

from gitmodel.domain.schema.object_ids import Oid

# The maximum number of listed commits, so that the tag stays small. Rules change rarely.
MOST = 1_000
_LINE = r"Before: ([0-9a-f]{40})"


def rules_message(branch: str, before: tuple[Oid, ...]) -> str:
    """Return the message of the rules tag of the metadata branch *branch*.

    *before* are the commits to which the tag pointed earlier, newest first. Only the newest are listed (see `MOST`).

    >>> print(rules_message("gitmodel", ("1" * 40,)), end="")
    Rules of gitmodel in force
    <BLANKLINE>
    Before: 1111111111111111111111111111111111111111
    """
    lines = "".join(f"Before: {commit}\n" for commit in before[: MOST - 1])
    return f"Rules of {branch} in force\n" + (f"\n{lines}" if lines else "")


def read_before(message: str) -> tuple[Oid, ...] | None:
    """Return the commits that `rules_message` wrote into *message*; None for any other message.

    >>> read_before(rules_message("gitmodel", ("1" * 40, "2" * 40))) == ("1" * 40, "2" * 40)
    True
    """
    subject, _, body = message.partition("\n\n")
    found = [re.fullmatch(_LINE, line) for line in body.splitlines()]
    if not subject.startswith("Rules of ") or len(found) >= MOST or not all(found):
        return None
    return tuple(Oid(match[1]) for match in found if match)


def extends(new: tuple[Oid, ...], old: tuple[Oid, ...]) -> bool:
    """Return True if the list of commits *new* is *old*, possibly with newer commits before it.

    >>> extends(("c", "b", "a"), ("b", "a")), extends(("b", "a"), ("c", "b", "a")), extends(("c", "a"), ("b", "a"))
    (True, False, False)
    """
    if not old:
        return True
    if old[0] not in new:
        return False
    rest = new[new.index(old[0]) :]
    shared = min(len(rest), len(old))
    return rest[:shared] == old[:shared] and (len(rest) == len(old) or len(new) == MOST)
