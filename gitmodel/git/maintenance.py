"""Maintenance that git does on its files, so that it finds commits and objects faster."""

from __future__ import annotations

from collections.abc import Sequence

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.objects import NewObject, format_pack
from gitmodel.git.process import Git


def pack_loose_objects(git: Git) -> int:
    """Pack loose objects, if git finds that there are many; returns how many fewer are loose now."""
    before = _count_loose(git)
    git.run("maintenance", "run", "--quiet", "--auto", "--task=loose-objects")
    return max(before - _count_loose(git), 0)


def write_path_filters(git: Git, tip: Oid) -> None:
    """Write a commit-graph of the history of *tip*, with the filters by which git finds changed paths."""
    # A separate layer, so that git's graph of the code does not change.
    options = ("--split", "--stdin-commits", "--changed-paths", "--no-progress")
    git.run("commit-graph", "write", *options, input=f"{tip}\n".encode())


def check_objects(git: Git) -> None:
    """Raise the error for git's message if `git fsck` finds a damaged or missing object."""
    git.run("fsck", "--no-progress", "--no-dangling")


def write_pack(git: Git, objects: Sequence[NewObject]) -> None:
    """Write *objects* as a pack, which a `git gc` that is under way never deletes, unlike loose objects."""
    git.run("index-pack", "--stdin", input=format_pack(objects))


def _count_loose(git: Git) -> int:
    return int(git.lines("count-objects")[0].split()[0])
