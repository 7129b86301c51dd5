"""Queries about commits that git answers: the commit of a name, and the content of a history."""

from __future__ import annotations

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.process import Git

# gitmodel searches this many parents itself before it asks git to walk.
PARENTS_BEFORE_WALK = 32


def find_commit(git: Git, named: str) -> Oid | None:
    """Return the id of the commit that *named* means to git, None if there is none."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}")
    return git.oid(*asked, answers=(0, 1))


def list_commits(git: Git, named: str) -> list[Oid]:
    """Return the commits of BASE..HEAD, by the first parents of HEAD, or the one commit *named*.

    Raises GitModelError if git does not find the commits.
    """
    walk = "--first-parent" if ".." in named else "--max-count=1"
    return git.oids("rev-list", walk, "--end-of-options", named, "--")


def merge_base(git: Git, one: Oid, other: Oid) -> Oid | None:
    """Return the newest commit that both commits have in their history, None if there is none."""
    return git.oid("merge-base", one, other, answers=(0, 1))


def reaches(git: Git, tip: Oid, commit: Oid) -> bool:
    """Return True if *commit* is *tip* or in its history."""
    return tip == commit or merge_base(git, tip, commit) == commit


def count_first_parents(git: Git, tip: Oid, *, without: Oid | None = None) -> int:
    """Count *tip* and its first parents, leaving out those in the history of the commit *without*."""
    excluded = [f"^{without}"] if without else []
    return int(git.lines("rev-list", "--count", "--first-parent", tip, *excluded)[0])


def first_parents(git: Git, tip: Oid) -> list[Oid]:
    """Return *tip* and its chain of first parents, newest first."""
    return git.oids("rev-list", "--first-parent", tip)


def commits_saying(git: Git, tip: Oid, text: str) -> list[Oid]:
    """Return the commits in the history of *tip* whose message contains *text*, newest first."""
    return git.oids("log", "--fixed-strings", f"--grep={text}", "--format=%H", tip)


def has_merge(git: Git, tip: Oid) -> bool:
    """Return True if *tip* or one of its first parents is a merge."""
    return bool(git.lines("rev-list", "--first-parent", "--merges", "--max-count=1", tip))


def roots(git: Git, tip: Oid) -> list[Oid]:
    """Return the first commit of the chain of first parents of *tip*, or where a shallow clone cuts it off."""
    return git.oids("rev-list", "--first-parent", "--max-parents=0", tip)


def newest_before(git: Git, tip: Oid, seconds: int) -> Oid | None:
    """Return the newest of the first parents of *tip* that was committed at *seconds* or before; None if none was."""
    return git.oid("rev-list", "--first-parent", "--max-count=1", f"--min-age={seconds}", tip)


def commit_times(git: Git, tip: Oid, most: int) -> list[tuple[Oid, int]]:
    """Return *tip* and its first parents, at most *most*, each with the time of its committer in seconds."""
    lines = git.lines("rev-list", "--first-parent", "--timestamp", f"--max-count={most}", tip)
    return [(Oid(commit), int(stamp)) for stamp, commit in map(str.split, lines)]


def commits_changing(git: Git, tip: Oid, path: str) -> list[Oid]:
    """Return the first parents of *tip* that changed the file *path*, newest first."""
    return git.oids("log", "--first-parent", "-m", "--format=%H", tip, "--", path)


def commit_adding(git: Git, tip: Oid, path: str) -> list[Oid]:
    """Return the newest first parent of *tip* that added the file *path*, followed by its parents; [] if none did."""
    asked = ("log", "-1", "--first-parent", "-m", "--diff-filter=A", "--format=%H %P", tip, "--", path)
    return [Oid(id) for line in git.lines(*asked) for id in line.split()]


def trailer_values(git: Git, tip: Oid, base: Oid, key: str) -> dict[Oid, list[str]]:
    """Map the first parents of *tip* that are not in the history of *base* to the values of their trailer *key*."""
    form = f"--format=%H %(trailers:key={key},valueonly,separator=%x20)"
    lines = (line.split() for line in git.lines("log", "--first-parent", form, tip, f"^{base}"))
    return {Oid(commit): values for commit, *values in lines}
