"""Parsing the refs that a push moves from the text that git passes to hooks. Pure: text in, values out."""

from __future__ import annotations

from typing import NamedTuple

from gitmodel.domain.schema.object_ids import NO_OBJECT, Oid, is_oid
from gitmodel.domain.schema.refs import STAGE_TAGS, rules_ref
from gitmodel.errors import UsageError

# The option of `git push -o` with which the hook of the server checks the push as `git model check --force` does.
FORCE_OPTION = "gitmodel.force"


class Update(NamedTuple):
    """A ref that a push moves: its full name, old id and new id (None: the ref did not exist, or is deleted)."""

    ref: str
    old: Oid | None
    new: Oid | None


def concerns(update: Update, branch: str) -> bool:
    """Return True if *update* moves the metadata branch *branch*, the rules tag of this branch, or a stage tag."""
    return update.ref in (branch, rules_ref(branch)) or update.ref.startswith(STAGE_TAGS)


def read_received(text: str) -> list[Update]:
    """Parse the lines that git passes to `pre-receive`. Raises UsageError for lines in another form.

    >>> read_received("0" * 40 + " " + "9" * 40 + " refs/heads/gitmodel\\n")[0].ref
    'refs/heads/gitmodel'
    """
    return [_update(line, *line.split(" ", 2)) for line in text.splitlines()]


def read_pushed(text: str) -> list[Update]:
    """Parse the lines that git passes to `pre-push` as updates of the remote's refs.

    Raises UsageError for lines in another form.
    """
    parted = [(line, line.rsplit(" ", 3)) for line in text.splitlines()]
    return [_update(line, *(words[3:] + words[1:2] + words[2:3])) for line, words in parted]


def _update(line: str, *words: str) -> Update:
    if len(words) == 3:
        old, new, ref = words
        if is_oid(old) and is_oid(new) and ref.startswith("refs/"):
            return Update(ref, *(None if id == NO_OBJECT else id for id in (old, new)))
    raise UsageError(f"{line!a} is not a line that git passes to this hook", hint="only git calls this hook")
