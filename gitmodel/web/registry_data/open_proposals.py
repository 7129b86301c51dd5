"""The open proposals that would change the stages and aliases of a model, in the words of pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitmodel.frozen import Frozen
from gitmodel.teams.plans import plan_texts

if TYPE_CHECKING:
    from gitmodel.teams.proposing.proposals import Proposal


class OpenProposal(Frozen):
    """An open proposal: the *id* in the address of its page, and its *changes* in words."""

    id: str
    changes: str


def find_open(proposals: Mapping[str, Proposal], model: str, number: int | None = None) -> tuple[OpenProposal, ...]:
    """Return each of *proposals* that changes stages of *model*; with *number*, only those that move this version."""
    found = []
    for id, proposal in proposals.items():
        changes = [each for each in proposal.plan.changes if each.model == model]
        texts = [plan_texts.place_text(each, "→") for each in changes if number in (None, each.old, each.new)]
        if texts:
            found.append(OpenProposal(id, ", ".join(text.removeprefix(f"{model}: ") for text in texts)))
    return tuple(found)
