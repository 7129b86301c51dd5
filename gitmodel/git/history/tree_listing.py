"""Listing the files of a commit, or those that differ between two commits, by `git ls-tree` and `git diff-tree`."""

from __future__ import annotations

from typing import NamedTuple

from gitmodel.domain.schema.object_ids import NO_OBJECT, Oid
from gitmodel.git.running.process import Git


class ListedFile(NamedTuple):
    """A file, link or submodule in a tree."""

    mode: str
    id: Oid
    path: str


def list_tree(git: Git, commit: Oid, *folders: str) -> bytes:
    """Return the files of *commit*, or only those in *folders*, as `git ls-tree -r -z` prints them."""
    return git.run("ls-tree", "-r", "-z", commit, "--", *folders)


def list_files(git: Git, commit: Oid) -> list[ListedFile]:
    """Return the files of *commit*."""
    lines = list_tree(git, commit).decode("utf-8", "surrogateescape").split("\0")[:-1]
    found = ((facts.split(" "), path) for facts, _, path in (line.partition("\t") for line in lines))
    return [ListedFile(mode, Oid(id), path) for (mode, _, id), path in found]


def list_changed_files(git: Git, old: Oid, new: Oid) -> list[ListedFile]:
    """Return the files of the commit *new* that the commit *old* does not have or has with other content."""
    said = git.run("diff-tree", "-r", "--raw", "--no-renames", "-z", old, new).decode("utf-8", "surrogateescape")
    words = said.split("\0")
    # git prints ":<old mode> <new mode> <old id> <new id> <status>" and then the path, each ended by NUL.
    found = ((facts.split(" "), path) for facts, path in zip(words[0::2], words[1::2], strict=False))
    return [ListedFile(facts[1], Oid(facts[3]), path) for facts, path in found if facts[3] != NO_OBJECT]
