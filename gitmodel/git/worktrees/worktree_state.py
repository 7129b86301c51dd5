"""Finding all changes in the work tree, even if a setting or a flag in the index hides them from git.

gitmodel never writes the user's index. If entries of the index have such flags, git gets a copy of the index without
flags. If `git status` was slow, git gets a refreshed copy next time (`index_copies`).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from gitmodel.errors import GitModelError
from gitmodel.git.running.process import Git, with_settings
from gitmodel.git.worktrees.index_copies import Stamp, copied_index, refresh_copy, refreshed_copy, stamp_of

T = TypeVar("T")

# A slower `git status` counts as slow. For 5,000 files that have the times in the index, it takes 0.03 s.
SLOW = 0.1

# These settings override the user's settings that hide changes. In submodules, `_IN_SUBMODULES` does this.
SETTINGS = {
    "core.fsmonitor": "false",
    "core.checkStat": "default",
    "core.trustCtime": "true",
    "diff.ignoreSubmodules": "none",
    "status.showUntrackedFiles": "normal",
}
_IN_SUBMODULES = (
    "git status --porcelain --ignore-submodules=none --untracked-files=normal; git ls-files -v | grep '^[a-z]' || :"
)


def inspect_worktree(git: Git, index_file: Path, ask: Callable[[Git], T]) -> T:
    """Call *ask* with a `Git` that reports every change of the work tree, and return its result.

    This `Git` uses *index_file* or a copy of it. Calls *ask* again with a copy without flags if the index marks files
    as unchanged (`git update-index --assume-unchanged`), or leaves out existing files (`--skip-worktree`).
    """
    settings = {**SETTINGS, **_properties(git)}
    environ = with_settings(git.environ, settings.items())
    stamp = stamp_of(index_file)
    used = refreshed_copy(git, index_file, stamp)
    git = replace(git, environ={**environ, "GIT_INDEX_FILE": str(used)})
    began = time.perf_counter()
    found = ask(git)
    if time.perf_counter() - began > SLOW:
        refresh_copy(git, index_file, stamp)
    if stamp is None or _without_flags.get(index_file) == stamp:
        return found
    # git lists an entry with a flag that makes it ignore the file with a lower-case letter or an `S`.
    listed = git.run("ls-files", "-v", "-z").split(b"\0")
    flagged = [entry for entry in listed if entry[:1].islower() or entry[:1] == b"S"]
    if not flagged:
        _without_flags[index_file] = stamp
    hiding = _hiding(git, flagged)
    if not hiding:
        return found
    with copied_index(git, used) as aside:
        for option in ("--no-assume-unchanged", "--no-skip-worktree"):
            aside.run("update-index", option, "-z", "--stdin", input=b"".join(path + b"\0" for path in hiding))
        return ask(aside)


def list_changes(git: Git) -> list[str]:
    """Return the lines of `git status --porcelain=v2` for all changed files and all new files that are not ignored."""
    options = ("--porcelain=v2", "-z", "--untracked-files=all", "--ignore-submodules=none", "--no-renames")
    said = git.run("status", *options).decode("utf-8", "surrogateescape")
    return [line for line in said.split("\0") if line and not line.startswith("#")]


def submodules_changed(git: Git) -> bool:
    """Return True if a submodule at any depth has changes, or if its index marks a file as unchanged."""
    if not (git.top / ".gitmodules").is_file():
        return False
    try:
        return bool(git.run("submodule", "--quiet", "foreach", "--recursive", _IN_SUBMODULES).strip())
    except GitModelError:
        return True


# The index files of which no entry has a flag that hides changes, with their stamps.
_without_flags: dict[Path, Stamp] = {}


def _hiding(git: Git, entries: list[bytes]) -> list[bytes]:
    """Return the paths of those *entries* of the index whose flag can hide a change, so that it must be removed."""
    found = []
    for entry in entries:
        tag, path = entry[:1], entry[2:]
        # The tag `S` is the flag of a sparse checkout. A missing file with this flag was left out, so it is no change.
        if tag.islower() or (tag == b"S" and os.path.lexists(os.path.join(os.fsencode(git.top), path))):
            found.append(path)
    return found


def _properties(git: Git) -> dict[str, str]:
    """Return the settings `core.fileMode` and `core.ignoreCase` for the file system, which override the user's."""
    found = {} if (git.git_dir / "hEAD").exists() else {"core.ignoreCase": "false"}
    try:
        if os.stat(git.git_dir).st_dev == os.stat(git.top).st_dev and _keeps_modes(git.git_dir):
            found["core.fileMode"] = "true"
    except OSError:  # a read-only folder
        pass
    return found


def _keeps_modes(folder: Path) -> bool:
    if not hasattr(os, "fchmod"):  # Windows
        return False
    with tempfile.TemporaryFile(dir=folder) as file:
        before = os.fstat(file.fileno()).st_mode
        os.fchmod(file.fileno(), before ^ 0o100)
        return os.fstat(file.fileno()).st_mode == before ^ 0o100
