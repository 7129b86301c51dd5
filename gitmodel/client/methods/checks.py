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
        """Return the problems of the records in *commit*, by default the newest commit of the metadata branch.

        If no *commit* is given, the checked-out commit is checked too if it has records that are not on the branch yet,
        such as the merge of a pull request. Raises NotFound if there is no registry.
        """
        from gitmodel.registry.health import checking
        from gitmodel.teams.checks import commit_ranges

        if commit:
            with self.repository.git.explaining_not_found():
                return checking.check(self.repository, commit_ranges.find_commit(self.repository, commit))
        found = (checking.check(self.repository, one) for one in commit_ranges.current_states(self.repository))
        return list(dict.fromkeys(problem for problems in found for problem in problems))

    def list_problems(self) -> list[Problem]:
        """Return the problems that `check` finds on the branch now.

        Faster than `check` if a program calls it repeatedly. gitmodel remembers in this clone which commits had no
        problems, and checks only later changes.
        """
        from gitmodel.teams.checks.range_checks import list_problems

        return list_problems(self._renewed().repository)

    def find_credentials(self, commit: str = "") -> list[str]:
        """Return a message for each recorded value that looks like a credential.

        A message begins like "metadata.password of iris@4 looks like ...". Searches the records in *commit*, by default
        the newest commit of the metadata branch. `check_between` searches only the values that a merge adds.
        """
        from gitmodel.registry.health import checking
        from gitmodel.teams.checks import commit_ranges

        at = commit_ranges.find_commit(self.repository, commit) if commit else self.repository.tip()
        return checking.find_credentials(self.repository, at) if at else []

    def check_staged(self, index: str | os.PathLike[str] | None = None, *, force: bool = False) -> RangeCheck | None:
        """Return the problems that a commit of the staged files would have; None if there is nothing to check.

        That is if nothing is staged, or if neither the metadata branch nor a proposal is checked out. *index* is the
        path of git's index file, which git passes to a hook; the default is the index of the work tree. *force* is as
        in `check_between`. Raises Unreachable if git cannot write temporary files.
        """
        from gitmodel.teams.checks import range_checks

        path = Path(index).absolute() if index is not None else None
        return range_checks.check_staged(self.repository, path, force=force)

    def check_between(self, commits: str, *, force: bool = False) -> RangeCheck:
        """Return the problems of merging the commit HEAD into the commit BASE. *commits* is the text "BASE..HEAD".

        If *force* is True, the merge may delete versions that are in a stage or have an alias, and many models at once.
        Raises NotFound if a commit does not exist, UsageError if *commits* is not such a text.
        """
        from gitmodel.teams.checks import commit_ranges, range_checks

        with self.repository.git.explaining_not_found():
            base, head = commit_ranges.read_range(self.repository, commits)
            return range_checks.check_between(self.repository, base, head, force=force)

    def verify(
        self, *references: str | VersionRef, jobs: int = JOBS, progress: Progress | None = None
    ) -> Iterator[Verified]:
        """Verify the artifacts of the versions *references* (default: all versions). Hashes each artifact once.

        Yields a result for each artifact. *jobs* files of a folder are hashed at the same time. *progress* is called
        with the number of bytes of an artifact that are hashed so far, and of all its bytes. Problems, such as an
        unreachable store or an unreadable record, are not raised: they are in `error` of a result.

        >>> [found.digest for found in client.verify("iris@3") if found.error]     # doctest: +SKIP
        []
        """
        from gitmodel.registry.linked_artifacts import verifying

        refs = list(map(version_ref, references))
        return verifying.verify(self.writer, self.access.source, refs, transfer=Transfer(jobs, progress))
