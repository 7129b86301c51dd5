"""A replayed commit: its files, what it left out, and its message with the new numbers and names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gitmodel.domain.replay.renumbering import ReplayState
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import ARCHIVED, NONE

PLACES = ("stage", "alias", "archived")
_MARK = "\x01"


@dataclass
class Replayed:
    """A replayed commit: the *files* that it changes on the remote's branch.

    *conflicts* describe the local changes that the replay left out. *lost_names* are the names that new versions lost
    in the replay. For each stage and alias into which the commit puts a version, *previous* has the version that was
    there on the remote. *versions* maps each model to the numbers of the versions that the commit creates, changes or
    puts into stages. *kept_names* maps each rename that the replay left out, as (old, new) name, to the name that the
    model keeps.
    """

    files: dict[str, bytes | None] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    lost_names: list[str] = field(default_factory=list)
    previous: dict[str, int | None] = field(default_factory=dict)
    versions: dict[str, set[int]] = field(default_factory=dict)
    kept_names: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def changes_places(self) -> bool:
        """True if the commit puts a version into a stage, an alias or the archive, or removes one from it."""
        found = (paths.parse_path(path) for path in self.files)
        return any(what is not None and what.kind in PLACES for what in found)


def reworded(message: str, state: ReplayState, done: Replayed | None = None) -> str:
    r"""Return the message of the replayed commit *done*, from the *message* of the local commit.

    The subject and the trailers get the numbers and names in *state* and the remote's previous versions, and lose the
    changes that the replay left out. The body stays.

    >>> print(reworded("Add iris 4\n\nModel: iris\nVersion: 4\nTxn: 4f\n", ReplayState({("iris", 4): 5})))
    Add iris 5
    <BLANKLINE>
    Model: iris
    Version: 5
    Txn: 4f
    <BLANKLINE>
    """
    subject, separator, rest = message.partition("\n")
    body, gap, trailers = rest.rpartition("\n\n")
    for name in done.lost_names if done else ():
        subject = subject.replace(f" ({name})", "")
    for old_name, new_name in done.kept_names if done else ():
        subject = subject.replace(f"Rename {old_name} to {new_name}", f"Change {new_name}")
    for (model, old), new in state.numbers.items():
        # _MARK before the new number keeps a later iteration from replacing it as if it were an old number.
        subject = re.sub(rf"(?<![\w.+-]){re.escape(model)} {old}(?![\w.+-])", f"{model} {_MARK}{new}", subject)
        if re.search(rf"^Model: {re.escape(model)}$", trailers, re.MULTILINE):
            pattern = rf"^((?:Previous-)?Version: ){old}$"
            trailers = re.sub(pattern, rf"\g<1>{_MARK}{new}", trailers, flags=re.MULTILINE)
    for ours, theirs in state.models.items():
        subject = re.sub(rf"(?<![\w.+-]){re.escape(ours)}(?![\w.+-])", theirs, subject)
        trailers = re.sub(rf"^Model: {re.escape(ours)}$", f"Model: {theirs}", trailers, flags=re.MULTILINE)
    if done is not None:
        trailers = "\n".join(_true_of(done, trailers.split("\n")))
    return (subject + separator + body + gap + trailers).replace(_MARK, "")


def _true_of(done: Replayed, trailers: Iterable[str]) -> Iterator[str]:
    """Yield the lines of *trailers* that are true of the replayed commit *done*, with the remote's previous versions.

    If the trailers name several models, the numbers of its versions follow each model.
    """
    lines = list(trailers)
    several = sum(line.startswith("Model: ") for line in lines) > 1
    for line in lines:
        key, _, value = line.partition(": ")
        if several and key == "Model":
            yield line
            yield from (f"Version: {number}" for number in sorted(done.versions.get(value, ())))
            continue
        if several and key == "Version":
            continue
        if key in ("Stage", "Alias"):
            if value in done.previous:
                yield line
                if done.previous[value] is not None:
                    yield f"Previous-Version: {done.previous[value]}"
            elif value in (ARCHIVED, NONE) and done.changes_places:
                yield line
        elif key == "Previous-Model":
            if not done.kept_names:
                yield line
        elif key in ("Previous-Stage", "Forced"):
            if done.changes_places:
                yield line
        elif key != "Previous-Version" or (not done.previous and done.changes_places):
            yield line
