"""`maintenance`: write git's own indexes, so that queries about the past stay fast in a registry with many commits."""

from __future__ import annotations

from gitmodel.branch.repository import Repository
from gitmodel.frozen import Frozen
from gitmodel.git.history.commits import first_parents
from gitmodel.git.repositories.maintenance import pack_loose_objects, write_path_filters


class Maintained(Frozen):
    """The result of `maintain`: the number of *commits* that git can find by path, and of *packed* loose objects."""

    commits: int
    packed: int


def maintain(repository: Repository) -> Maintained:
    """Write git's commit-graph of the metadata branch with changed-path filters, and pack loose objects.

    Loose objects are packed only if there are many. The commit-graph can be deleted at any time. Git objects that no
    ref or reflog reaches are neither packed nor deleted. Raises Unreachable if the disk is full.
    """
    tip = repository.tip()
    if not tip:
        return Maintained(0, 0)
    packed = pack_loose_objects(repository.git)
    write_path_filters(repository.git, tip)
    return Maintained(len(first_parents(repository.git, tip)), packed)
