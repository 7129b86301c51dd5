"""What a replay carries from commit to commit: new numbers, other names of models, and messages that follow. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_MARK = "\x01"

# The number that a version made here gets where its own was taken meanwhile: (model, ours) -> theirs to be.
Renumbering = dict[tuple[str, int], int]


@dataclass
class Carried:
    """What the commits replayed so far changed for those after them.

    *numbers* and *models* say what our names stand for there, by the names that our commits use; *changed_there* are
    the models that the other side changed.
    """

    numbers: Renumbering = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    changed_there: frozenset[str] = frozenset()

    def model(self, name: str) -> str:
        """What the model that we call *name* is called there."""
        return self.models.get(name, name)

    def follow(self, old: str, new: str, there: str) -> None:
        """Our model *old* is *new* from now on, and *there* on the other side."""
        if new == there:
            self.models.pop(new, None)
        else:
            self.models[new] = there
        self.numbers.update({(new, ours): theirs for (model, ours), theirs in self.numbers.items() if model == old})


def reworded(message: str, carried: Carried, lost_names: Iterable[str] = ()) -> str:
    """A commit's message with the new numbers and without lost names in its subject and trailers; prose stays.

    >>> print(reworded("Add iris 4\\n\\nModel: iris\\nVersion: 4\\nTxn: 4f\\n", Carried({("iris", 4): 5})))
    Add iris 5
    <BLANKLINE>
    Model: iris
    Version: 5
    Txn: 4f
    <BLANKLINE>
    """
    subject, separator, rest = message.partition("\n")
    body, gap, trailers = rest.rpartition("\n\n")
    for name in lost_names:
        subject = subject.replace(f" ({name})", "")
    for (model, old), new in carried.numbers.items():
        # The mark keeps a number that was just written from being taken for one that is still to be replaced.
        subject = re.sub(rf"(?<![\w.+-]){re.escape(model)} {old}(?![\w.+-])", f"{model} {_MARK}{new}", subject)
        if re.search(rf"^Model: {re.escape(model)}$", trailers, re.MULTILINE):
            pattern = rf"^((?:Previous-)?Version: ){old}$"
            trailers = re.sub(pattern, rf"\g<1>{_MARK}{new}", trailers, flags=re.MULTILINE)
    for ours, theirs in carried.models.items():
        subject = re.sub(rf"(?<![\w.+-]){re.escape(ours)}(?![\w.+-])", theirs, subject)
        trailers = re.sub(rf"^Model: {re.escape(ours)}$", f"Model: {theirs}", trailers, flags=re.MULTILINE)
    return (subject + separator + body + gap + trailers).replace(_MARK, "")
