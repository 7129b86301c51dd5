"""The open proposals that would change the stages and aliases of a model, as other pages name them."""

from __future__ import annotations

from gitmodel.frozen import Frozen
from gitmodel.teams import plan_texts
from gitmodel.web.registry_data import RegistryData


class OpenProposal(Frozen):
    """A proposal by the *id* of its page, with its *changes* in words."""

    id: str
    changes: str


def open_proposals(registry: RegistryData, model: str, number: int | None = None) -> tuple[OpenProposal, ...]:
    """Return the proposed changes of *model*; with *number*, those by which this version enters or leaves a stage."""
    found = []
    for id, proposal in registry.proposals.items():
        changes = [each for each in proposal.plan.changes if each.model == model]
        texts = [plan_texts.place_text(each, "→") for each in changes if number in (None, each.old, each.new)]
        if texts:
            found.append(OpenProposal(id, ", ".join(text.removeprefix(f"{model}: ") for text in texts)))
    return tuple(found)
