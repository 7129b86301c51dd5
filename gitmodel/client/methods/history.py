"""The methods of `Client` for changes of the past, lineage and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient
from gitmodel.domain.schema.object_ids import is_oid
from gitmodel.domain.schema.references import DatedRef, VersionRef
from gitmodel.errors import UsageError

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.client.model_stages import ModelStages
    from gitmodel.client.tables import HistoryTable, VersionDiff
    from gitmodel.domain.views.lineage import Lineage
    from gitmodel.lineage.history.events import Event, FieldOrigin, VersionChanges
    from gitmodel.lineage.history.maintenance import Maintained
    from gitmodel.lineage.history.rule_history import RuleChange


class HistoryMethods(OpenedClient):
    """The methods of `Client` for changes of the past, lineage and comparisons."""

    def history(self, model: str | None = None, stage: str = "") -> Iterator[StageEvent]:
        """Yield the changes of stages and aliases of *model*, or of all models if it is None, newest first.

        If *stage* is given, only the changes of this stage or alias of *model*. Each change has the version that got
        the stage, the times when it got and lost it, the author and the reason. Raises NotFound if there is no such
        model or stage, UsageError if *stage* is given without *model*, and, if a shallow clone lacks older changes,
        Invalid after the last change that can be read.

        >>> for event in client.history("iris", "production"):          # doctest: +SKIP
        ...     print(event.version, event.when, event.until, event.author, event.reason)
        """
        from gitmodel.lineage.history.holdings import history

        with self.repository.git.explaining_not_found():
            return history(self.repository, model, str(stage))

    def view_history(
        self,
        model: str | None = None,
        stage: str | ModelStages = "",
        *,
        filter: str = "",
        sort: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> HistoryTable:
        """Return the changes that `history` yields, each with the record of the version that got the stage or alias.

        *filter* and *sort* read the fields of the change and the metadata of the version. This is the current metadata
        or, if the version was deleted, the metadata at the time of the change. The default order is newest first.
        `sort="when"` puts the oldest change first, in the order of the commits on the branch. Skips the first *offset*
        changes and returns at most *limit*.

        >>> found = client.view_history("iris", "production", sort="when")       # doctest: +SKIP
        >>> [(row.event.version, row.metadata.get("accuracy")) for row in found]      # doctest: +SKIP
        [(1, 0.91), (3, 0.95)]
        >>> found.to_pandas()                                           # doctest: +SKIP

        Raises the errors of `history`, and UsageError for an invalid filter or if no searched version has the key in
        *sort*.
        """
        from gitmodel.client.tables import HistoryTable
        from gitmodel.lineage.history.holdings import view_history

        with self.repository.git.explaining_not_found():
            found, damaged = view_history(
                self.repository, model, str(stage), filter=filter, sort=sort, limit=limit, offset=offset
            )
        return HistoryTable(found, damaged=damaged)

    def signature_faults(self, commits: Iterable[str]) -> dict[str, str | None]:
        """Return, for each of *commits*, the reason why its signature does not count; "" if the signature counts.

        A signature counts if its signer was on the list of signers that the branch had before the commit. The reason is
        None for a commit that is not signed. *commits* are full ids of commits on the metadata branch, which become the
        keys of the result.

        >>> events = list(client.history("iris", "production"))                 # doctest: +SKIP
        >>> client.signature_faults(event.commit for event in events)           # doctest: +SKIP
        {'8f41c02...': '', '13e33b3...': None}

        Raises UsageError for a text that is not a full commit id, and Invalid if a commit does not exist or a shallow
        clone lacks the list of signers before it.
        """
        from gitmodel.lineage.history.holdings import signature_faults

        ids = []
        for id in commits:
            if not is_oid(id):
                raise UsageError(
                    f"{id!a} is not the id of a commit", hint="give 40 hexadecimal digits, as in event.commit"
                )
            ids.append(id)
        return signature_faults(self.repository, ids)

    def rule_history(self) -> Iterator[RuleChange]:
        """Yield the changes of the rules of stages, of other settings in `gitmodel.toml`, and of the list of signers.

        The newest is first. If a shallow clone lacks older changes, raises Invalid after the last change that can be
        read.

        >>> for change in client.rule_history():                        # doctest: +SKIP
        ...     print(change.when, change.author, change.changes, change.reason)
        """
        from gitmodel.lineage.history.rule_history import rule_history

        with self.repository.git.explaining_not_found():
            return rule_history(self.repository)

    def list_signers(self) -> list[str]:
        """Return the persons whose signatures count, each with the type of the person's key.

        >>> client.list_signers()                                       # doctest: +SKIP
        ['ada@example.com (ssh-ed25519)']
        """
        from gitmodel.lineage.history.rule_history import list_signers

        return list_signers(self.repository)

    def log(self, reference: str = "") -> Iterator[Event]:
        """Yield the events of a version ("iris@3"), of a model ("iris"), or of all models (""), newest first.

        Raises NotFound if there is no such version or model. If a shallow clone lacks older events, raises Invalid
        after the last event that can be read.
        """
        from gitmodel.lineage.history.events import log

        with self.repository.git.explaining_not_found():
            return log(self.repository, VersionRef.parse(reference) if reference else None)

    def version_changes(self) -> VersionChanges:
        """Return the changes of all versions after their creation: who changed which fields, from and to which values.

        This method reads the history of the branch once. The method `of` of the result then returns the changes of one
        version.

        >>> for change in client.version_changes().of("iris", 4):        # doctest: +SKIP
        ...     print(change.author, [(one.field, one.before, one.after) for one in change.fields])
        Ada [('metadata.accuracy', 0.9, 0.95)]
        """
        from gitmodel.lineage.history.events import VersionChanges

        return VersionChanges(self._renewed().repository)

    def blame(self, reference: str) -> list[FieldOrigin]:
        """Return the commit that last set each field of a version, also its stage and its aliases.

        Raises NotFound if there is no such version, Invalid if a shallow clone lacks one of these commits.

        >>> {origin.field: origin.author for origin in client.blame("iris@4")}    # doctest: +SKIP
        {'number': 'Ada', 'metadata.accuracy': 'Bob', 'stage': 'Cleo'}
        """
        from gitmodel.lineage.history.events import blame

        with self.repository.git.explaining_not_found():
            return blame(self.repository, VersionRef.parse(reference))

    def lineage(
        self,
        subject: str,
        *,
        up: bool = True,
        down: bool = True,
        depth: int | None = None,
        few_from: int | None = None,
    ) -> Lineage:
        """Return the sources of *subject* (if *up* is True) and what was made from it (if *down* is True).

        *subject* is a version such as `"iris@4"`, the id of a run, or a digest, of which `sha256:` and the first 7
        digits are enough. *depth* is the maximum number of runs to follow in each direction (None: no limit). If more
        than *few_from* versions have the same artifact, the result names only 20 of these versions (None: it names
        all). A notebook shows the lineage as a drawing. Raises NotFound if *subject* names no version, run or artifact
        in the registry.

        >>> client.lineage("iris@production", down=False).nodes         # doctest: +SKIP
        """
        from gitmodel.client.drawn_lineage import DrawnLineage
        from gitmodel.lineage import graph

        walk = partial(graph.lineage, self.repository, store=lambda: self.store, kept=self._opened.lineage_at)
        found = walk(subject, up=up, down=down, depth=depth, few_from=few_from)
        return DrawnLineage(**vars(found))

    def diff(self, *references: str) -> VersionDiff:
        """Return the fields of two or more versions side by side, and the code commits from each version to the next.

        A reference is `"iris@3"` or, for a past state, `"iris@production@{2026-10-01}"`, with a date, a time or a
        commit of the metadata branch in the braces. `gaps` of the result names what could not be compared. Raises
        NotFound if a version does not exist, Invalid if its record is damaged, and UsageError for fewer than two
        references or a reference that is given twice.

        >>> found = client.diff("iris@3", "iris@4", "iris@production@{2026-10-01}")      # doctest: +SKIP
        >>> for row in found.differing:                                 # doctest: +SKIP
        ...     print(row.name, row.values)
        >>> found.to_pandas()                                           # doctest: +SKIP
        """
        from gitmodel.client.tables import VersionDiff
        from gitmodel.lineage import comparing

        refs = [DatedRef.parse(reference) for reference in references]
        self.repository.renew()
        with self.repository.git.explaining_not_found():
            return VersionDiff.of(
                comparing.compare(
                    self.repository, self.writer, refs, store=lambda: self.store, code=self._opened.open_code
                )
            )

    def maintain(self) -> Maintained:
        """Write git's commit-graph of the metadata branch and pack loose git objects, so that queries stay fast."""
        from gitmodel.lineage.history.maintenance import maintain

        return maintain(self.repository)
