"""The methods of `Client` that look for problems in the records and artifacts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.client.methods.opened import OpenedClient, version_ref
from gitmodel.domain.schema.references import VersionRef
from gitmodel.stores.transfer import JOBS, Progress, Transfer

if TYPE_CHECKING:
    from gitmodel.domain.schema.codec import Problem
    from gitmodel.registry.linked_artifacts.verifying import Verified
    from gitmodel.teams.checks.range_checks import RangeCheck


class CheckMethods(OpenedClient):
    """The methods of `Client` that look for problems in the records and artifacts."""

    def check(self, commit: str = "") -> list[Problem]:
        """Return the problems of the records on the metadata branch, or in *commit*.

        Without *commit*, the checked-out commit is checked too if it has a registry that is not on the branch yet, such
        as the merge of a pull request. Raises NotFound without a registry.
        """
        from gitmodel.registry.health import checking
        from gitmodel.teams.checks import commit_ranges

        if commit:
            with self.repository.git.explaining_not_found():
                return checking.check(self.repository, commit_ranges.find_commit(self.repository, commit))
        found = (checking.check(self.repository, one) for one in commit_ranges.current_states(self.repository))
        return list(dict.fromkeys(problem for problems in found for problem in problems))

    def list_problems(self) -> list[Problem]:
        """Return the problems that `check` finds on the branch now, for programs that ask again and again.

        The clone remembers which commits had no problems, so that only later changes are checked again.
        """
        from gitmodel.teams.checks.range_checks import list_problems

        self.repository.renew()
        return list_problems(self.repository)

    def find_credentials(self, commit: str = "") -> list[str]:
        """Return a message for each recorded value that looks like a credential.

        A message begins like "metadata.password of iris@4 looks like ...". Searches the metadata branch, or *commit*.
        `check_between` searches only the values that a change adds.
        """
        from gitmodel.registry.health import recorded_credentials
        from gitmodel.teams.checks import commit_ranges

        at = commit_ranges.find_commit(self.repository, commit) if commit else self.repository.tip()
        return recorded_credentials.find_credentials(self.repository, at) if at else []

    def check_staged(self, index: str | os.PathLike[str] | None = None, *, force: bool = False) -> RangeCheck | None:
        """Return the problems of the staged files; None if neither the metadata branch nor a proposal is checked out.

        *index* is the index file that git passes to a hook; the default is the index of the work tree. Raises
        Unreachable.
        """
        from gitmodel.teams.checks import range_checks

        path = Path(index).absolute() if index is not None else None
        return range_checks.check_staged(self.repository, path, force=force)

    def check_between(self, commits: str, *, force: bool = False) -> RangeCheck:
        """Return the problems of merging HEAD into BASE; *commits* is "BASE..HEAD".

        *force* allows the merge to delete versions in use, and many models at once. Raises NotFound and UsageError for
        commits that do not exist.
        """
        from gitmodel.teams.checks import commit_ranges, range_checks

        with self.repository.git.explaining_not_found():
            base, head = commit_ranges.read_range(self.repository, commits)
            return range_checks.check_between(self.repository, base, head, force=force)

    def verify(
        self, *references: str | VersionRef, jobs: int = JOBS, progress: Progress | None = None
    ) -> Iterator[Verified]:
        """Hash each artifact of the versions that *references* name once; by default, the artifacts of all versions.

        *jobs* files of a folder are hashed at a time. A problem, such as an unreachable store or an unreadable record,
        is in a yielded value and not raised.

        >>> [found.digest for found in client.verify("iris@3") if found.error]     # doctest: +SKIP
        []
        """
        from gitmodel.registry.linked_artifacts import verifying

        refs = list(map(version_ref, references))
        return verifying.verify(self.writer, self.access.source, refs, transfer=Transfer(jobs, progress))
