"""The state of a file, its size, times and hash, by which gitmodel finds out later if the file has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gitmodel.frozen import Frozen
from gitmodel.pipelines.project.installed import is_library

Stamp = tuple[int, int, int]
_IGNORED = frozenset({".git", "__pycache__"})


class FileState(NamedTuple):
    """The state of a file: its size, `st_mtime_ns`, `st_ctime_ns`, and the SHA-256 of its content."""

    size: int
    modified: int
    changed: int
    digest: str


class OpenedState(Frozen):
    """The state of the *files* that a step opened, and the hash of the listing of each of the *folders* that it listed.

    A missing file has the state None.
    """

    files: Mapping[str, FileState | None]
    folders: Mapping[str, str]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OpenedState:
        """Return the state whose JSON form is *data*. Raises TypeError or KeyError if *data* is not such a form."""
        files = {path: None if state is None else FileState(*state) for path, state in data["files"].items()}
        return cls(files, data["folders"])

    def first_change(self, root: str, code: Collection[str]) -> str | None:
        """Return a text that names the first file or folder that has changed since this state; None if none has.

        The paths in this state are relative to *root*. Ignores changes of the files *code*, because gitmodel compares
        the statements in these files instead.
        """
        for name, state in self.files.items():
            path = os.path.join(root, name)
            if os.path.realpath(path) not in code and not _is_same(path, state):
                return f"file {name}"
        for name, digest in self.folders.items():
            if hash_listing(os.path.join(root, name)) != digest:
                return f"the list of files in {name}"
        return None


def hash_declared(patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Return the path and SHA-256 of each file that *patterns* name: paths of files, of folders, or globs.

    Raises FileNotFoundError for a pattern that names no file.
    """
    import glob

    found: dict[str, str] = {}
    for pattern in patterns:
        paths = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        files = [file for path in paths for file in _files_below(path)]
        if not files:
            raise FileNotFoundError(pattern)
        found.update((file, hash_file(file)) for file in files)
    return sorted(found.items())


def is_below(root: str, path: str) -> bool:
    """Return True if *path* is below *root*, and neither in a library nor in a folder `.git` or `__pycache__`."""
    if not path.startswith(root + os.sep):
        return False
    return _IGNORED.isdisjoint(path[len(root) :].split(os.sep)) and not is_library(path)


def stamp_of(path: str) -> Stamp | None:
    """Return the size and times of *path*, which change if the file changes; None for a missing file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_same(path: str, state: FileState | None) -> bool:
    now = stamp_of(path)
    if now is None or state is None:
        return now is None and state is None
    return now == state[:3] or hash_file(path) == state.digest


def hash_file(path: str) -> str:
    """Return the SHA-256 of the content of *path*; "" if the file cannot be read."""
    try:
        hashed = hashlib.sha256()
        with open(path, "rb") as opened:
            while piece := opened.read(1 << 20):
                hashed.update(piece)
        return hashed.hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=1024)
def hash_stamped(path: str, _: Stamp) -> str:
    """Return the SHA-256 of the file *path*. The second argument is the result of `stamp_of` for this file.

    The cache has a hash for each pair of arguments, so gitmodel reads an unchanged file only once.
    """
    return hash_file(path)


def hash_listing(path: str) -> str:
    """Return the SHA-256 of the names in the folder *path*; "" if the folder cannot be read."""
    try:
        names = sorted(set(os.listdir(path)) - _IGNORED)
    except OSError:
        return ""
    return hashlib.sha256(json.dumps(names).encode("utf-8", "surrogatepass")).hexdigest()


def _files_below(path: str) -> list[str]:
    if os.path.isdir(path):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
    return [path] if os.path.isfile(path) else []
