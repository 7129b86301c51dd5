"""Listing the tags of a repository with their commits, times and authors, and reading the files of a commit."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

from gitmodel.git.running.process import Git

_FORMAT = "%(refname:strip=2)%00%(objectname)%00%(*objectname)%00%(creatordate:unix)%00%(taggername)%(authorname)"
_MISSING = 128


class TaggedCommit(NamedTuple):
    """A tag and the commit that it names. Time and author are those of an annotated tag, or else of the commit."""

    tag: str
    commit: str
    time: datetime
    author: str


def list_tags(git: Git) -> list[TaggedCommit]:
    """Return all tags that name a commit, sorted by name."""
    found = []
    for line in git.lines("for-each-ref", f"--format={_FORMAT}", "refs/tags"):
        tag, own, target, time, author = line.split("\0")
        if time:  # a tag without a time names a tree or a file
            found.append(TaggedCommit(tag, target or own, datetime.fromtimestamp(int(time), timezone.utc), author))
    return found


def read_file_at(git: Git, commit: str, path: str) -> bytes | None:
    """Return the content of the file *path* of *commit*; None if it is empty or the commit has no such file."""
    return git.run("cat-file", "blob", f"{commit}:{path}", answers=(0, _MISSING)) or None


def pack_files_at(git: Git, commit: str, path: str) -> bytes:
    """Return the file or folder *path* of *commit* as a tar archive. Raises GitModelError if it does not exist."""
    return git.run("archive", "--format=tar", commit, "--", path)
