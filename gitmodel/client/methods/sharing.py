"""The methods of `Client` that exchange changes with a remote, and propose changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, version_ref
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import UsageError
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from gitmodel.domain.changes.rule_edits import RulesEdit
    from gitmodel.hosts.addresses import Host
    from gitmodel.registry.promotion.put_in_force import Applied
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.proposing.proposals import Proposal
    from gitmodel.teams.sync.pulling import Pulled
    from gitmodel.teams.sync.pushing import Pushed


class SharingMethods(OpenedClient):
    """The methods of `Client` that exchange changes with a remote, and propose changes."""

    def pull(self, remote: str = "", *, rewound: bool = False) -> Pulled:
        """Fetch the registry of *remote* and replay local changes on top.

        The default of *remote* is `git config gitmodel.remote`, then `origin`. Local versions whose numbers were taken
        by others get new numbers. Artifacts are fetched when they are read, or by `pull_artifacts`. Raises Conflict if
        the remote was rewound or deleted, unless *rewound* allows it. Raises Refused for unrelated registries and for
        local commits that others signed, and Unreachable.
        """
        from gitmodel.branch import remotes
        from gitmodel.registry.writing.transacting import pack_when_many
        from gitmodel.teams.sync import pulling

        self._opened.require_branch("pull")
        pulled = pulling.pull(self.repository, remotes.choose_remote(self.repository, remote), rewound=rewound)
        pack_when_many(self.repository)
        return pulled

    def pull_artifacts(self, *, jobs: int = JOBS, progress: Progress | None = None) -> int:
        """Fetch the artifacts of versions that are in a stage, have an alias or are the latest. Return their number.

        *jobs* artifacts are fetched at a time. Artifacts that are already on this machine are skipped. Raises
        Unreachable, Refused.
        """
        from gitmodel.stores.local_store import LocalStore
        from gitmodel.teams.sync import transfers

        local = LocalStore(self.store_root, synced=False)
        return transfers.download(self.repository, local, self.access.of_model, transfer=Transfer(jobs, progress))

    def push(
        self,
        remote: str = "",
        *,
        timeout: float = 60.0,
        jobs: int = JOBS,
        progress: Progress | None = None,
        code: bool = False,
    ) -> Pushed:
        """Upload artifacts, *jobs* at a time, then push the branch and stage tags to *remote* atomically.

        The remote of the code repository also keeps the code commits of versions, if one of its branches has ever
        contained these commits. With *code*, it keeps all of them, including snapshots of uncommitted changes.

        If others have pushed, their changes are pulled first; pull and push are retried for *timeout* seconds. Raises
        Invalid for changed records that break the format, Unreachable if the remote or a store cannot be reached,
        Refused with the host's message if a rule of the host refuses the push, and Conflict as `pull` does. Raises
        Conflict at the end if the pull could not keep some local changes: the error names these changes, and its
        attribute `done` is the value that is normally returned.
        """
        from gitmodel.client import sharing

        self._opened.require_branch("push")
        return sharing.push(self._opened, remote, timeout=timeout, transfer=Transfer(jobs, progress), code=code)

    def apply(
        self,
        *names: str,
        reviewed: Iterable[str] = (),
        ask_host: bool = False,
        push: bool = False,
        remote: str = "",
        timeout: float = 60.0,
    ) -> Applied:
        """Put recorded changes in force, for all models or only for *names*. Sets stage tags.

        *reviewed* lists the ids of commits of which you know that they were reviewed, although the history does not
        show it. With *ask_host*, in a job of GitHub, GitLab or Forgejo, the host says which changes were reviewed, and
        the history does not count. With *push*, *remote* is pulled first, and then only the tags are pushed,
        atomically. Pull and push are retried for *timeout* seconds while others push. If the settings of this machine
        name a URL for notices, the changes are posted to this URL afterwards, for at most 10 seconds; if that fails,
        `notice` of the result has the reason.

        Raises Refused if the branch does not descend from the commits of the tags, and UsageError for *ask_host*
        outside of a job. Raises Conflict at the end if the pull could not keep some local changes: the error names
        these changes, and its attribute `done` is the value that is normally returned.
        """
        from gitmodel.client import sharing

        if remote and not push:
            raise UsageError(f"the remote {remote} is used only with push", hint="add push, or leave the remote out")
        self._opened.require_branch("apply")
        there = remote if push else None
        vouched = frozenset(reviewed)
        return sharing.apply(self._opened, names, reviewed=vouched, ask_host=ask_host, remote=there, timeout=timeout)

    def propose(
        self,
        *promotions: tuple[str | VersionRef, str],
        demote: Iterable[tuple[str, str]] = (),
        rollback: Iterable[tuple[str, str]] = (),
        rename: Iterable[tuple[str, str]] = (),
        rules: Iterable[RulesEdit] = (),
        reason: str = "",
        force: bool = False,
        leave: bool = False,
        renumbered: bool = False,
        remote: str = "",
        push: bool = False,
        open: bool = False,
    ) -> Proposal:
        """Write changes of stages to a new branch for a pull request, in one commit on top of the remote's branch.

        *promotions* are pairs of a version and a stage, *demote* and *rollback* pairs of a model and a stage, *rename*
        pairs of a model and its new name. *rules* are changes of the rules of stages: AddStage, UpdateStage,
        RemoveStage, AddGate and RemoveGate. *push* pushes the branch; in a registry by URL, the branch is always
        pushed. *open* also opens the pull request on the host. *leave* allows moving a version to an earlier stage when
        that empties its later stage. If a pull gave a number to another version, *renumbered* confirms that you mean
        the version that has the number now. Raises Refused for a version that the remote does not have. Raises
        GateRefused if a version fails a rule, unless *force* overrides the rule with a *reason*. Raises Conflict,
        NotFound, Unreachable.

        >>> client.propose(("iris@4", "production"), rollback=[("rose", "staging")], push=True)    # doctest: +SKIP
        """
        from gitmodel.domain.changes.planned_change import Justification

        self._opened.require_branch("propose")
        from gitmodel.teams.proposing import proposals, proposed_changes

        wanted = proposed_changes.ProposedChanges(
            tuple((version_ref(ref).required("propose"), str(stage)) for ref, stage in promotions),
            tuple(demote), tuple(rollback), tuple(rename), tuple(rules), Justification(reason, force), leave,
            renumbered,
        )  # fmt: skip
        made = proposals.propose(self.repository, wanted, remote=remote)
        return proposals.publish(self.repository, made, open=open) if push or open or self.repository.url else made

    def find_host(self) -> Host | None:
        """Return the git host of the registry, which gives the addresses of its pages; None if the host is unknown.

        >>> client.find_host().pull_request("#12")                     # doctest: +SKIP
        'https://github.com/org/models/pull/12'
        """
        from gitmodel.teams.proposing.proposals import registry_host

        return registry_host(self.repository)

    def list_proposals(self, remote: str = "") -> list[Proposal]:
        """Return the open proposals, local and on *remote*, with the effects of merging each of them now.

        Raises Unreachable if the remote cannot be reached.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.list_proposals(self.repository, remote)

    def known_proposals(self) -> list[Proposal]:
        """Return the open proposals that this repository has, without asking a remote.

        Proposals on a remote are those that the last `git fetch` or `list_proposals` found.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.known_proposals(self.repository)

    def plan(self, commits: str = "", *, force: bool = False) -> Plan:
        """Return what a merge would change in the stages, without merging.

        *commits* is "BASE..HEAD". The default HEAD is the proposal that is checked out, else the only proposal, else
        the local commits that are not pushed. *force* allows the merge to delete versions in use.

        Packages and text artifacts that differ are read from the stores that this machine has.

        Raises NotFound and UsageError for commits that do not exist.
        """
        from gitmodel.teams.checks import commit_ranges
        from gitmodel.teams.plans import planning
        from gitmodel.teams.plans.stored_contents import StoredContents

        with self.repository.git.explaining_not_found():
            named = commit_ranges.read_range(self.repository, commits) if commits else None
            base, head = named or commit_ranges.default_range(self.repository)
        contents = StoredContents(lambda: self.access.everywhere(), lambda model, link: self.access.source(model, link))
        return planning.plan(self.repository, base, head, force=force, contents=contents)
