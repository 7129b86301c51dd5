"""Asking git about commits: the commit that a name stands for, and the commits in the history of a commit.

Here, the chain of first parents of *tip* includes *tip* itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.git.running.process import Git, run

# To find a commit on a chain of first parents, gitmodel reads this many commits itself before it runs `git rev-list`.
PARENTS_BEFORE_WALK = 32


def find_commit(git: Git, named: str) -> Oid | None:
    """Return the id of the commit that git finds under the name *named*, or None."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}")
    return git.oid(*asked, answers=(0, 1))


def missing_commits(git: Git, commits: Iterable[Oid]) -> frozenset[Oid]:
    """Return those of *commits* that the repository does not have."""
    wanted = sorted(set(commits))
    if not wanted:
        return frozenset()
    said = git.lines("cat-file", "--batch-check=%(objecttype)", input=_id_lines(wanted))
    return frozenset(commit for commit, answer in zip(wanted, said, strict=True) if answer != "commit")


def descendants(git: Git, ancestor: Oid, commits: Iterable[Oid]) -> frozenset[Oid]:
    """Return those of *commits* that are *ancestor* or descend from it. The repository must have all *commits*."""
    wanted = frozenset(commits)
    if not wanted:
        return frozenset()
    asked = ("rev-list", "--ancestry-path", "--stdin", f"^{ancestor}")
    return wanted & frozenset((ancestor, *git.oids(*asked, input=_id_lines(sorted(wanted)))))


def contained(git: Git, commits: Iterable[Oid], tips: Iterable[Oid], patterns: Iterable[str] = ()) -> frozenset[Oid]:
    """Return those of *commits* that are in the history of *tips* or of a ref that matches one of *patterns*.

    The repository must have all *commits* and *tips*.
    """
    wanted = frozenset(commits)
    if not wanted:
        return frozenset()
    excluded = "".join(f"^{tip}\n" for tip in tips).encode()
    asked = ("rev-list", "--stdin", "--not", *(f"--glob={pattern}" for pattern in patterns))
    return wanted - frozenset(git.oids(*asked, input=_id_lines(sorted(wanted)) + excluded))


def commits_of_either(git: Git, one: Oid, other: Oid) -> list[Oid]:
    """Return the commits that are in the history of exactly one of the commits *one* and *other*."""
    return git.oids("rev-list", f"{one}...{other}", "--")


def log_text(git: Git, old: Oid, new: Oid) -> str:
    """Return the output of `git log OLD..NEW`, without colours, with the user's settings."""
    command = ["git", f"--git-dir={git.git_dir}", "-c", "color.ui=false", "log", f"{old}..{new}", "--"]
    return run(command, git.environ, cwd=git.top).decode("utf-8", "replace")


def log_fields(git: Git, old: Oid, new: Oid) -> list[list[str]]:
    """Return id, author, author's time and subject of each commit in the history of *new* but not in that of *old*."""
    said = git.run("log", "-z", "--format=%H%x01%an%x01%at%x01%s", f"{old}..{new}", "--")
    return [entry.split("\x01", 3) for entry in said.decode("utf-8", "replace").split("\0") if entry]


def author_name(git: Git, named: str) -> str:
    """Return the name of the author of the commit *named*."""
    return "".join(git.lines("log", "-1", "--format=%an", named))


def list_commits(git: Git, named: str) -> list[Oid]:
    """Return the commits that *named* stands for: one commit, or several for BASE..HEAD.

    BASE..HEAD stands for the chain of first parents of HEAD without the history of BASE.

    Raises GitModelError if git does not find the commits.
    """
    walk = "--first-parent" if ".." in named else "--max-count=1"
    return git.oids("rev-list", walk, "--end-of-options", named, "--")


def merge_base(git: Git, one: Oid, other: Oid) -> Oid | None:
    """Return the newest commit that is in the histories of both *one* and *other*, or None."""
    return git.oid("merge-base", one, other, answers=(0, 1))


def is_ancestor(git: Git, commit: Oid, tip: Oid) -> bool:
    """Return True if *commit* is *tip* or in the history of *tip*, which includes the commits of merged branches."""
    return tip == commit or merge_base(git, tip, commit) == commit


def count_first_parents(git: Git, tip: Oid, *, without: Oid | None = None) -> int:
    """Count *tip* and its chain of first parents, except the commits in the history of the commit *without*."""
    excluded = [f"^{without}"] if without else []
    return int(git.lines("rev-list", "--count", "--first-parent", tip, *excluded)[0])


def first_parents(git: Git, tip: Oid) -> list[Oid]:
    """Return *tip* and its chain of first parents, newest first."""
    return git.oids("rev-list", "--first-parent", tip)


def commits_saying(git: Git, tip: Oid, text: str) -> list[Oid]:
    """Return the commits in the history of *tip* whose message contains *text*, newest first."""
    return git.oids("log", "--fixed-strings", f"--grep={text}", "--format=%H", tip)


def has_merge(git: Git, tip: Oid) -> bool:
    """Return True if *tip* or a commit on its chain of first parents is a merge."""
    return bool(git.lines("rev-list", "--first-parent", "--merges", "--max-count=1", tip))


def roots(git: Git, tip: Oid) -> list[Oid]:
    """Return, as a list of one, the oldest commit that this clone has on the chain of first parents of *tip*."""
    return git.oids("rev-list", "--first-parent", "--max-parents=0", tip)


def newest_before(git: Git, tip: Oid, seconds: int) -> Oid | None:
    """Return the newest commit on the chain of first parents of *tip* from *seconds* since 1970 or before, or None."""
    return git.oid("rev-list", "--first-parent", "--max-count=1", f"--min-age={seconds}", tip)


def commit_times(git: Git, tip: Oid, most: int = -1) -> list[tuple[Oid, int]]:
    """Return the commits on the chain of first parents of *tip*, each with its committer's time in seconds.

    Returns only the newest *most* commits; -1: all.
    """
    lines = git.lines("rev-list", "--first-parent", "--timestamp", f"--max-count={most}", tip)
    return [(Oid(commit), int(stamp)) for stamp, commit in map(str.split, lines)]


def commits_changing(git: Git, tip: Oid, *paths: str) -> list[Oid]:
    """Return the commits on the chain of first parents of *tip* that changed one of *paths*, newest first."""
    return git.oids("log", "--first-parent", "-m", "--format=%H", tip, "--", *paths)


def newest_changing(git: Git, tip: Oid, *paths: str) -> Oid | None:
    """Return the newest commit on the chain of first parents of *tip* that changed one of *paths*, or None."""
    return git.oid("log", "-1", "--first-parent", "-m", "--format=%H", tip, "--", *paths)


def newest_merged_changing(git: Git, merge: Oid, parent: Oid, path: str) -> Oid | None:
    """Return the newest commit that changed *path*, of those that *merge* merged into its first parent *parent*."""
    return git.oid("log", "-1", "--format=%H", merge, f"^{parent}", "--", path)


def author_of_addition(git: Git, tips: Iterable[Oid], without: Oid, path: str) -> str:
    """Return the author of the newest commit that added *path*, or "".

    Searches the history of *tips*, except the commits in the history of the commit *without*.
    """
    asked = ("log", "-1", "--format=%an", "--diff-filter=A", *tips, f"^{without}", "--", path)
    return "".join(git.lines(*asked))


def commits_without_merges(git: Git, tip: Oid, base: Oid, most: int) -> list[Oid]:
    """Return the newest *most* commits in the history of *tip* but not in that of *base*, without merges."""
    return git.oids("rev-list", f"--max-count={most}", "--no-merges", tip, f"^{base}", "--")


def find_merge_of(git: Git, tip: Oid, commit: Oid) -> Oid | None:
    """Return the commit on the chain of first parents of *tip* that merged *commit*, or None."""
    after = set(git.oids("rev-list", "--ancestry-path", f"{commit}..{tip}"))
    chain = git.oids("rev-list", "--first-parent", "--reverse", tip, f"^{commit}") if after else []
    return next((id for id in chain if id in after), None)


def raw_changes(git: Git, tip: str, count: int, pathspecs: Iterable[str], kinds: str) -> list[tuple[Oid, list[str]]]:
    """Return the newest *count* commits on the chain of first parents of *tip* that changed files in *pathspecs*.

    *kinds* are the letters of the kinds of changes, as in git's option `--diff-filter`; "" for all kinds. The list of
    each commit has, for each changed file, its line of `git diff-tree --raw`, followed by its path.
    """
    chosen = (f"--diff-filter={kinds}",) if kinds else ()
    said = git.run(
        "log", "--first-parent", "-m", "--root", "--raw", "--no-abbrev", "--no-renames", "-z", "--format=%x01%H",
        *chosen, f"--max-count={count}", tip, "--", *pathspecs,
    ).decode("utf-8", "surrogateescape")  # fmt: skip
    found: list[tuple[Oid, list[str]]] = []
    words = iter(said.split("\0"))
    for word in words:
        line = word.lstrip("\n")
        if line.startswith("\x01"):
            found.append((Oid(line[1:]), []))
        elif line.startswith(":"):
            # The path is the next word. It is not parsed with the line, because it can contain any character.
            found[-1][1].extend((line, next(words, "")))
    return found


def changed_files(git: Git, tip: Oid, *, without: Oid | None = None) -> list[tuple[Oid, list[str]]]:
    """Return *tip* and its chain of first parents, each commit with the paths that it changed.

    Leaves out the commits in the history of the commit *without*.
    """
    options = ("--first-parent", "-m", "--name-only", "--no-renames", "-z", "--format=%x01%H")
    said = git.run("log", *options, tip, *([f"^{without}"] if without else []), "--").decode("utf-8", "surrogateescape")
    blocks = ([part.strip("\n") for part in block.split("\0") if part.strip("\n")] for block in said.split("\x01")[1:])
    return [(Oid(commit), files) for commit, *files in blocks]


def commit_adding(git: Git, tip: Oid, path: str) -> list[Oid]:
    """Return the newest commit on the chain of first parents of *tip* that added the file *path*, or [].

    The parents of this commit follow it in the list.
    """
    asked = ("log", "-1", "--first-parent", "-m", "--diff-filter=A", "--format=%H %P", tip, "--", path)
    return [Oid(id) for line in git.lines(*asked) for id in line.split()]


def trailer_values(git: Git, tip: Oid, base: Oid, key: str) -> dict[Oid, list[str]]:
    """Map the commits on the chain of first parents of *tip* to the values of their trailer *key*, newest first.

    Leaves out the commits in the history of *base*.
    """
    form = f"--format=%H %(trailers:key={key},valueonly,separator=%x20)"
    lines = (line.split() for line in git.lines("log", "--first-parent", form, tip, f"^{base}"))
    return {Oid(commit): values for commit, *values in lines}


def read_edge(common_dir: Path) -> frozenset[Oid]:
    """Return the commits in git's file `shallow`: the oldest commits of a shallow clone, whose parents git hides."""
    try:
        text = (common_dir / "shallow").read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(cast("list[Oid]", text.split()))


def _id_lines(ids: Iterable[Oid]) -> bytes:
    return "".join(f"{id}\n" for id in ids).encode()
