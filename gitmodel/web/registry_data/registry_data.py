"""The data of a registry that pages show: read in bulk through the client, and kept until the registry changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from gitmodel.frozen import Frozen
from gitmodel.teams.plans import plan_texts
from gitmodel.web.registry_data.artifact_data import ArtifactData

if TYPE_CHECKING:
    from gitmodel.domain.schema.codec import Problem
    from gitmodel.domain.views.lineage import Lineage
    from gitmodel.hosts.addresses import Host
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.proposing.proposals import Proposal

# If more versions than this have the same artifact, the page of a lineage shows only what the version was made from.
MOST_SHARED = 1_000


class OpenProposal(Frozen):
    """An open proposal: the *id* in the address of its page, and its *changes* in words."""

    id: str
    changes: str


class RegistryData(ArtifactData):
    """All data of the registry that pages show.

    Each base class adds a topic: versions, their changes, runs and artifacts. A page calls the methods of this class
    only, because an export records each call.
    """

    @cached_property
    def proposals(self) -> Mapping[str, Proposal]:
        """The open proposals whose branches the repository has, by the id in their address, sorted by branch."""
        return {found.plan.id: found for found in self.client.known_proposals()}

    def open_proposals(self, model: str, number: int | None = None) -> tuple[OpenProposal, ...]:
        """Return the open proposals that change stages or aliases of *model*.

        If *number* is given, only the proposals that move this version into a stage or out of it.
        """
        found = []
        for id, proposal in self.proposals.items():
            changes = [each for each in proposal.plan.changes if each.model == model]
            texts = [plan_texts.place_text(each, "→") for each in changes if number in (None, each.old, each.new)]
            if texts:
                found.append(OpenProposal(id, ", ".join(text.removeprefix(f"{model}: ") for text in texts)))
        return tuple(found)

    def lineage(self, model: str, number: int, down: bool) -> Lineage:
        """Return the lineage of the version *number* of *model*; only what it was made from if *down* is False."""
        return self.client.lineage(f"{model}@{number}", down=down, few_from=MOST_SHARED)

    @property
    def branch(self) -> str:
        """The name of the metadata branch."""
        return self.client.repository.branch_name

    def plan(self, commits: str) -> Plan:
        """Return the plan of merging *commits*, a range such as BASE..COMMIT, with packages and texts from the store.

        Raises the errors of `Client.plan`.
        """
        return self.client.plan(commits)

    def pull_request_url(self, request: str) -> str:
        """Return the URL of a pull request such as "#12" at the host of the registry; "" for an unknown host."""
        return self._host.pull_request(request) if request and self._host else ""

    @cached_property
    def _host(self) -> Host | None:
        return self.client.find_host()

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """The problems that `git model check` finds. Raises the errors of the check."""
        return list(self.client.list_problems())
