"""Asking git about commits: the commit that a name stands for, its history, and the files that changed.

Here, the chain of first parents of *tip* includes *tip* itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import NO_OBJECT, Oid
from gitmodel.git.running.process import Git, run

# To find a commit on a chain of first parents, gitmodel reads this many commits itself before it runs `git rev-list`.
PARENTS_BEFORE_WALK = 32
# The id of the empty tree, which git knows in every repository.
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


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
    """Return those of *commits* that are in the history of *tips* or of a ref that matches one of *patterns*."""
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
    """Return the commit that *named* names. If *named* is BASE..HEAD, return several commits instead.

    These are the commits on the chain of first parents of HEAD that are not in the history of BASE, newest first.
    """
    walk = "--first-parent" if ".." in named else "--max-count=1"
    return git.oids("rev-list", walk, "--end-of-options", named, "--")


def merge_base(git: Git, one: Oid, other: Oid) -> Oid | None:
    """Return the newest commit that is in the histories of both *one* and *other*, or None."""
    return git.oid("merge-base", one, other, answers=(0, 1))


def is_ancestor(git: Git, commit: Oid, tip: Oid) -> bool:
    """Return True if *commit* is *tip* or in the history of *tip*, which includes the commits of merged branches."""
    return tip == commit or merge_base(git, tip, commit) == commit


def first_parents(git: Git, tip: Oid, *, excluding: Oid | None = None) -> list[Oid]:
    """Return the chain of first parents of *tip*, newest first, without the commits in the history of *excluding*."""
    return git.oids("rev-list", "--first-parent", tip, *_excluded(excluding))


def commits_saying(git: Git, tip: Oid, text: str) -> list[Oid]:
    """Return the commits in the history of *tip* whose message contains *text*, newest first."""
    return git.oids("log", "--fixed-strings", f"--grep={text}", "--format=%H", tip)


def has_merge(git: Git, tip: Oid) -> bool:
    """Return True if a commit on the chain of first parents of *tip* is a merge."""
    return bool(git.lines("rev-list", "--first-parent", "--merges", "--max-count=1", tip))


def roots(git: Git, tip: Oid) -> list[Oid]:
    """Return, as a list of one, the oldest commit that this clone has on the chain of first parents of *tip*."""
    return git.oids("rev-list", "--first-parent", "--max-parents=0", tip)


def newest_before(git: Git, tip: Oid, seconds: int) -> Oid | None:
    """Return the newest commit on the chain of first parents of *tip* from *seconds* since 1970 or before, or None."""
    return git.oid("rev-list", "--first-parent", "--max-count=1", f"--min-age={seconds}", tip)


def commit_times(git: Git, tip: Oid, most: int = -1) -> list[tuple[Oid, int]]:
    """Return the newest *most* commits (-1: all) on the chain of first parents of *tip*, each with its time of commit.

    The time is in seconds since 1970.
    """
    lines = git.lines("rev-list", "--first-parent", "--timestamp", f"--max-count={most}", tip)
    return [(Oid(commit), int(stamp)) for stamp, commit in map(str.split, lines)]


def commits_changing(git: Git, tip: Oid, *paths: str, most: int = -1) -> list[Oid]:
    """Return the newest *most* commits (-1: all) on the chain of first parents of *tip* that changed one of *paths*."""
    return git.oids("log", f"--max-count={most}", "--first-parent", "-m", "--format=%H", tip, "--", *paths)


def author_of_addition(git: Git, tips: Iterable[Oid], without: Oid, path: str) -> str:
    """Return the name of the author of the newest commit in the history of *tips* that added *path*.

    Leaves out the commits in the history of *without*. Returns "" if there is no such commit.
    """
    asked = ("log", "-1", "--format=%an", "--diff-filter=A", *tips, f"^{without}", "--", path)
    return "".join(git.lines(*asked))


def commits_without_merges(git: Git, tip: Oid, base: Oid, most: int) -> list[Oid]:
    """Return the newest *most* commits in the history of *tip* but not in that of *base*, without merges."""
    return git.oids("rev-list", f"--max-count={most}", "--no-merges", tip, f"^{base}", "--")


def raw_changes(
    git: Git, tip: str, *pathspecs: str, most: int = -1, kinds: str = "", excluding: Oid | None = None
) -> list[tuple[Oid, list[str]]]:
    """Return the newest *most* commits (-1: all) on the chain of first parents of *tip* that changed *pathspecs*.

    Leaves out the commits in the history of *excluding*. *kinds* are the letters of the kinds of changes, as in git's
    option `--diff-filter`; "" for all kinds. Each commit comes with a list that has two items for each changed file:
    its line of `git diff-tree --raw`, and its path.
    """
    chosen = (f"--diff-filter={kinds}",) if kinds else ()
    said = git.run(
        "log", "--first-parent", "-m", "--root", "--raw", "--no-abbrev", "--no-renames", "-z", "--format=%x01%H",
        *chosen, f"--max-count={most}", tip, *_excluded(excluding), "--", *pathspecs,
    ).decode("utf-8", "surrogateescape")  # fmt: skip
    found: list[tuple[Oid, list[str]]] = []
    words = iter(said.split("\0"))
    for word in words:
        line = word.lstrip("\n")
        if line.startswith("\x01"):
            found.append((Oid(line[1:]), []))
        elif line.startswith(":"):
            # The path follows as the next word: git ends each word with NUL, because a path can contain a line feed.
            found[-1][1].extend((line, next(words, "")))
    return found


def list_tree(git: Git, commit: Oid, *folders: str) -> bytes:
    """Return the files of *commit*, or only those in *folders*, as `git ls-tree -r -z` prints them."""
    return git.run("ls-tree", "-r", "-z", commit, "--", *folders)


def differing_files(git: Git, old: Oid | None, new: Oid) -> list[tuple[str, Oid]]:
    """Return path and object id of each file of the commit *new* that *old* lacks or has with other content.

    If *old* is None, returns all files of *new*.
    """
    said = git.run("diff-tree", "-r", "--raw", "--no-renames", "-z", old or _EMPTY_TREE, new)
    words = said.decode("utf-8", "surrogateescape").split("\0")
    # git prints ":<old mode> <new mode> <old id> <new id> <status>" and then the path, each ended by NUL.
    found = ((path, Oid(line.split(" ")[3])) for line, path in zip(words[0::2], words[1::2], strict=False))
    return [(path, id) for path, id in found if id != NO_OBJECT]


def commit_adding(git: Git, tip: Oid, path: str) -> list[Oid]:
    """Return the newest commit on the chain of first parents of *tip* that added *path*, then its parents; or []."""
    asked = ("log", "-1", "--first-parent", "-m", "--diff-filter=A", "--format=%H %P", tip, "--", path)
    return [Oid(id) for line in git.lines(*asked) for id in line.split()]


def trailer_values(git: Git, tip: Oid, base: Oid, key: str) -> dict[Oid, list[str]]:
    """Map the commits on the chain of first parents of *tip* to the values of their trailer *key*.

    The newest commit comes first. Leaves out the commits in the history of *base*.
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


def _excluded(commit: Oid | None) -> list[str]:
    """Return the arguments with which git leaves out the history of *commit*; none if *commit* is None."""
    return [f"^{commit}"] if commit else []


def _id_lines(ids: Iterable[Oid]) -> bytes:
    return "".join(f"{id}\n" for id in ids).encode()
