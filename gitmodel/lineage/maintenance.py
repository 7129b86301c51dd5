"""Maintenance that keeps questions about the past fast when there are many commits."""

from __future__ import annotations

from dataclasses import dataclass

from gitmodel.branch.repository import Repository


@dataclass(frozen=True)
class Maintained:
    """The result of `maintain`: *commits* of the metadata branch that git finds by path now, loose objects *packed*."""

    commits: int
    packed: int


def maintain(repository: Repository) -> Maintained:
    """Write git's commit-graph of the metadata branch with changed-path filters, and pack loose objects.

    Nothing of what it writes says anything new: it can be deleted at any time, and git goes on without it. It does not
    touch what no ref names. Raises Unreachable if the disk is full.
    """
    tip = repository.tip()
    if not tip:
        return Maintained(0, 0)
    before = _loose(repository)
    repository.git.run("maintenance", "run", "--quiet", "--auto", "--task=loose-objects")
    # A layer of its own: the graph that git keeps of the code stays as it is.
    options = ("--split", "--stdin-commits", "--changed-paths", "--no-progress")
    repository.git.run("commit-graph", "write", *options, input=f"{tip}\n".encode())
    commits = int(repository.git.lines("rev-list", "--count", "--first-parent", tip)[0])
    return Maintained(commits, max(before - _loose(repository), 0))


def _loose(repository: Repository) -> int:
    """Count the loose objects."""
    return int(repository.git.lines("count-objects")[0].split()[0])
