"""Maintenance of a repository by git, so that git finds commits and objects faster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.files.locks import open_locked
from gitmodel.git.objects.object_formats import NewObject, format_pack
from gitmodel.git.running.process import Git

# Packs only objects that refs and reflogs reach, and prunes nothing. Other objects stay loose, because a running writer
# may need them soon: a concurrent `git repack -ad` would delete them from a pack.
_REPACK = ("repack", "-d", "-n", "--quiet")
_FEW_LOOSE = 100
# Like git, count the objects in only one of the 256 folders. The limit is git's default of `gc.auto`.
_SAMPLE, _LOOSE_LIMIT = "17", 6_700


def pack_loose_objects(git: Git) -> int:
    """Pack the loose objects that refs and reflogs reach, if there are many. Return how many are no longer loose."""
    before = _count_loose(git)
    if before < _FEW_LOOSE:
        return 0
    git.run(*_REPACK)
    return max(before - _count_loose(git), 0)


def pack_in_background(git: Git, config: Mapping[str, str], lock: Path) -> bool:
    """If many objects were written since the last packing, start a process that packs them, and return True.

    `gc.auto` in *config* is the limit, as for git's own maintenance. The process locks the file *lock* until it ends,
    so that no second process packs. The time of the file is that of the last start.
    """
    limit = _loose_limit(config)
    if not limit or not _has_many_loose(git.common_dir / "objects" / _SAMPLE, limit, lock):
        return False
    descriptor = open_locked(lock)
    if descriptor is None:
        return False
    try:
        os.utime(descriptor)
        # The shell does not wait for git, so this process need not wait either.
        command = ["sh", "-c", 'nice "$@" &', "sh", *git.command(*_REPACK)]
        null = subprocess.DEVNULL
        return not subprocess.run(
            command, stdin=null, stdout=null, stderr=null, env=git.environ, cwd=git.top, pass_fds=[descriptor],
            start_new_session=True, check=False,
        ).returncode  # fmt: skip
    except OSError:  # without a packed repository, nothing fails; the next write tries again
        return False
    finally:
        os.close(descriptor)


def write_path_filters(git: Git, tip: Oid) -> None:
    """Write a commit-graph of the history of *tip*, with the filters by which git finds changed paths."""
    # --split adds a file to the commit-graph, and leaves the files that git wrote for the code.
    options = ("--split", "--stdin-commits", "--changed-paths", "--no-progress")
    git.run("commit-graph", "write", *options, input=f"{tip}\n".encode())


def check_objects(git: Git) -> None:
    """Raise the error for git's message if `git fsck` finds a damaged or missing object."""
    git.run("fsck", "--no-progress", "--no-dangling")


def write_pack(git: Git, objects: Sequence[NewObject]) -> None:
    """Write *objects* as a pack. Unlike loose objects, a running `git gc` never deletes a new pack."""
    git.run("index-pack", "--stdin", input=format_pack(objects))


def _loose_limit(config: Mapping[str, str]) -> int:
    """Return the number of loose objects after which git would pack them; 0 if automatic packing is disabled."""
    number = config.get("gc.auto", "")
    if config.get("maintenance.auto", "").lower() in ("false", "no", "off", "0"):
        return 0
    return max(int(number), 0) if number.lstrip("-").isdigit() else _LOOSE_LIMIT


def _has_many_loose(folder: Path, limit: int, lock: Path) -> bool:
    """Return True if *folder*, one of 256, has more than 1/256 of *limit* objects newer than *lock*."""
    most = -(-limit // 256)
    try:
        if len(os.listdir(folder)) <= most:
            return False
        last = lock.stat().st_mtime_ns if lock.exists() else 0
        return sum(entry.stat().st_mtime_ns > last for entry in os.scandir(folder)) > most
    except OSError:  # the folder does not exist, or another process packed an object meanwhile
        return False


def _count_loose(git: Git) -> int:
    return int(git.lines("count-objects")[0].split()[0])
