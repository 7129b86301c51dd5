"""The methods of `Client` that exchange changes with a remote, and propose changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, version_ref
from gitmodel.domain.changes.planned_change import Justification
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import UsageError
from gitmodel.registry.writing.transacting import pack_when_many
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
        """Fetch the registry of *remote*, and replay the local changes on top of its metadata branch.

        The default of *remote* is `git config gitmodel.remote`, then `origin`. If the remote has another version with
        the number of a local version, the local version gets a new number. Artifacts are not fetched before they are
        read, or before `pull_artifacts` is called. Raises Conflict if the branch of the remote was rewound or deleted
        since the last contact, unless *rewound* is True; Refused if the two registries have no common commit, or if the
        replay would lose the signature of a local commit; Unreachable if the remote cannot be reached.
        """
        from gitmodel.branch import remotes
        from gitmodel.teams.sync import pulling

        self._opened.require_branch("pull")
        pulled = pulling.pull(self.repository, remotes.choose_remote(self.repository, remote), rewound=rewound)
        pack_when_many(self.repository)
        return pulled

    def pull_artifacts(self, *, jobs: int = JOBS, progress: Progress | None = None) -> int:
        """Fetch the artifacts of versions that are in a stage, have an alias or are the latest of their model.

        Returns the number of fetched artifacts. *jobs* artifacts are fetched at the same time. *progress* is called
        with the number of bytes that are fetched so far, and of all bytes. Artifacts that are already on this machine
        are skipped. Raises Unreachable if a store cannot be reached, Refused if this machine does not trust it.
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
        """Upload artifacts, *jobs* at the same time, then push the branch and stage tags to *remote* atomically.

        Also pushes refs to the remote of the code repository, so that this remote keeps the code commits of versions.
        Only commits that a branch of this remote has ever contained get such a ref. If *code* is True, all code commits
        of versions get one, also snapshots of uncommitted changes.

        *progress* is called with the number of bytes of artifacts that are uploaded so far, and of all these bytes. If
        others have pushed, their changes are pulled first. If others push at the same time, pull and push are repeated
        for at most *timeout* seconds. Raises Invalid for changed records that break the format, Unreachable if the
        remote or a store cannot be reached, Refused with the host's message if a rule of the host refuses the push, and
        the errors of `pull`. If the pull could not keep some local changes, raises Conflict after the push: the error
        names these changes, and its attribute `done` is the value that is normally returned.
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
        """Put recorded changes of the models *names* (default: all models) in force, by setting their stage tags.

        *reviewed* are the ids of commits of which you know that they were reviewed, although the history of the branch
        does not show it. If *ask_host* is True, in a CI job of GitHub, GitLab or Forgejo, the host says which changes
        were reviewed, and the history is not used for this. If *push* is True, pulls from *remote* first, and then
        pushes only the tags, atomically. If others push at the same time, pull and push are repeated for at most
        *timeout* seconds. If the settings of this machine name a URL for notices, the changes are posted to this URL
        afterwards, for at most 10 seconds; if that fails, `notice` of the result has the reason.

        Raises Refused if the branch no longer contains the commit of one of the stage tags, and UsageError if
        *ask_host* is True outside of a CI job. If the pull could not keep some local changes, raises Conflict at the
        end: the error names these changes, and its attribute `done` is the value that is normally returned.
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
        """Write changes of stages to a new branch for a pull request, as one commit on top of the remote's branch.

        *promotions* are pairs of a version and a stage, *demote* and *rollback* pairs of a model and a stage, *rename*
        pairs of a model and its new name. *rules* are changes of the rules of stages: AddStage, UpdateStage,
        RemoveStage, AddGate and RemoveGate. If *push* is True, the new branch is pushed; in a registry by URL, it is
        always pushed. If *open* is True, it is pushed and the pull request is opened on the host, too. If *leave* is
        True, a version may move to a stage that is earlier in `stage_names`, although this empties the stage that the
        version leaves. If a pull gave the number in a reference to another version, *renumbered* confirms that you mean
        the version that has the number now. Raises Refused if the remote does not have one of the versions; GateRefused
        if a version fails a rule, unless *force* overrides the rule, which needs a *reason*; Conflict if nothing would
        change; NotFound if a model or version does not exist; Unreachable if the remote cannot be reached.

        >>> client.propose(("iris@4", "production"), rollback=[("rose", "staging")], push=True)    # doctest: +SKIP
        """

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
        """Return the git host of the registry, which has methods for addresses of its pages; None if it is unknown.

        >>> client.find_host().pull_request("#12")                     # doctest: +SKIP
        'https://github.com/org/models/pull/12'
        """
        from gitmodel.teams.proposing.proposals import registry_host

        return registry_host(self.repository)

    def list_proposals(self, remote: str = "") -> list[Proposal]:
        """Return the open proposals of this repository and of *remote*, each with the effects of merging it now.

        The default of *remote* is that of `push`. A proposal is open until the metadata branch has its changes. Raises
        Unreachable if *remote* cannot be reached.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.list_proposals(self.repository, remote)

    def known_proposals(self) -> list[Proposal]:
        """Return the open proposals of this repository and those that were fetched before, without contacting a remote.

        The proposals on a remote are as the last `git fetch` or `list_proposals` found them.
        """
        from gitmodel.teams.proposing import open_proposals

        return open_proposals.known_proposals(self.repository)

    def plan(self, commits: str = "", *, force: bool = False) -> Plan:
        """Return the effects that a merge would have, such as changes of stages. Merges nothing.

        *commits* is the text "BASE..HEAD": the commit HEAD is merged into the commit BASE. By default, BASE is the
        metadata branch of the remote at the last contact or, without a remote, the local metadata branch, and HEAD is
        the proposal that is checked out, else the only open proposal, else the newest local commit of the metadata
        branch. If *force* is True, the merge may delete versions that are in a stage or have an alias, and many models
        at once. To show differences of packages and of text artifacts, reads them from stores on this machine.

        Raises NotFound if a commit does not exist, UsageError if *commits* is not such a text.
        """
        from gitmodel.teams.checks import commit_ranges
        from gitmodel.teams.plans import planning
        from gitmodel.teams.plans.stored_contents import StoredContents

        with self.repository.git.explaining_not_found():
            named = commit_ranges.read_range(self.repository, commits) if commits else None
            base, head = named or commit_ranges.default_range(self.repository)
        contents = StoredContents(lambda: self.access.everywhere(), lambda model, link: self.access.source(model, link))
        return planning.plan(self.repository, base, head, force=force, contents=contents)
