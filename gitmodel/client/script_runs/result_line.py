"""The line that gitmodel prints when a run of a script ends: the version that it created, the registry, the code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from gitmodel.branch.repository import Repository
from gitmodel.domain.schema.records import Code
from gitmodel.domain.urls import shown_url

_SHORT = 7


def print_result(
    repository: Repository,
    environ: Mapping[str, str],
    run: str,
    *,
    made: Sequence[str],
    used: Sequence[str] = (),
    code: Code,
) -> None:
    """Print the line of `result_line` about the run *run* on stderr, unless GITMODEL_QUIET in *environ* is set."""
    if environ.get("GITMODEL_QUIET", "0") not in ("", "0"):
        return
    place = shown_url(repository.url) if repository.url else str(repository.git.top)
    with suppress(OSError, ValueError, AttributeError):  # if stderr is closed or missing
        print(result_line(run, made, used, place=place, branch=repository.branch_name, code=code), file=sys.stderr)


def result_line(run: str, made: Sequence[str], used: Sequence[str], *, place: str, branch: str, code: Code) -> str:
    """Return the line about the run with the id *run*, whose registry is the *branch* at *place*, a path or URL.

    *made* are references of the versions that the run created, and *used* of the existing versions that it changed.

    >>> code = Code(commit="1a2b3c4d" * 5, dirty=True, changed=2)
    >>> result_line("r", ["iris@3"], [], place="/iris", branch="gitmodel", code=code)
    'gitmodel: created iris@3 in /iris (branch gitmodel), from commit 1a2b3c4, with 2 uncommitted changes (not stored)'
    """
    done = (
        f"created {', '.join(made)}" if made else f"run {run} used {', '.join(used)}" if used else f"recorded run {run}"
    )
    line = f"gitmodel: {done} in {place} (branch {branch}), from {_told(code)}"
    return line if line.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


def _told(code: Code) -> str:
    if code.outside:
        return "code outside of a git repository"
    start = f"commit {code.commit[:_SHORT]}" if code.commit else "code without a commit"
    if not code.dirty:
        return start
    count = "" if code.changed is None else f"{code.changed} "
    stored = f"stored as {code.snapshot[:_SHORT]}" if code.snapshot else "not stored"
    return f"{start}, with {count}uncommitted {'change' if code.changed == 1 else 'changes'} ({stored})"
