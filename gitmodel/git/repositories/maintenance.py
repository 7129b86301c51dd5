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

# Packs only objects that refs and reflogs reach, and deletes no other objects. New objects that no ref names yet stay
# loose, because their writer may still need them: a concurrent `git repack -ad` would delete them from a pack.
_REPACK = ("repack", "-d", "-n", "--quiet")
_FEW_LOOSE = 100
# Like git, gitmodel counts the loose objects in only one of the 256 folders, `17`. 6,700 is git's default of `gc.auto`.
_SAMPLE, _LOOSE_LIMIT = "17", 6_700


def pack_loose_objects(git: Git) -> int:
    """If there are many loose objects, pack those that refs and reflogs reach. Return how many are no longer loose."""
    before = _count_loose(git)
    if before < _FEW_LOOSE:
        return 0
    git.run(*_REPACK)
    return max(before - _count_loose(git), 0)


def pack_in_background(git: Git, config: Mapping[str, str], lock: Path) -> bool:
    """If many loose objects are newer than the file *lock*, start a process that packs objects, and return True.

    The limit is `gc.auto` in *config*, as for git's own maintenance. The process locks *lock* until it ends, so that no
    second process packs at the same time. Each start sets the time of *lock*.
    """
    limit = _loose_limit(config)
    if not limit or not _has_many_loose(git.common_dir / "objects" / _SAMPLE, limit, lock):
        return False
    descriptor = open_locked(lock)
    if descriptor is None:
        return False
    try:
        os.utime(descriptor)
        # The shell starts git in the background and ends, so that this process does not wait for git.
        command = ["sh", "-c", 'nice "$@" &', "sh", *git.command(*_REPACK)]
        null = subprocess.DEVNULL
        return not subprocess.run(
            command, stdin=null, stdout=null, stderr=null, env=git.environ, cwd=git.top, pass_fds=[descriptor],
            start_new_session=True, check=False,
        ).returncode  # fmt: skip
    except OSError:  # ignored, because packing only saves time; the next write tries again
        return False
    finally:
        os.close(descriptor)


def write_path_filters(git: Git, tip: Oid) -> None:
    """Write a commit-graph of the history of *tip*, with filters (`--changed-paths`) that make `git log PATH` fast."""
    # --split adds a file to the commit-graph, and preserves the files that git wrote for the history of the code.
    options = ("--split", "--stdin-commits", "--changed-paths", "--no-progress")
    git.run("commit-graph", "write", *options, input=f"{tip}\n".encode())


def check_objects(git: Git) -> None:
    """Run `git fsck`, and raise an error with git's message if it finds a damaged or missing object."""
    git.run("fsck", "--no-progress", "--no-dangling")


def write_pack(git: Git, objects: Sequence[NewObject]) -> None:
    """Write *objects* as a pack. `git gc` may delete new loose objects that no ref names, but not a new pack."""
    git.run("index-pack", "--stdin", input=format_pack(objects))


def _loose_limit(config: Mapping[str, str]) -> int:
    """Return the number of loose objects from which git would pack them; 0 if *config* disables automatic packing."""
    number = config.get("gc.auto", "")
    if config.get("maintenance.auto", "").lower() in ("false", "no", "off", "0"):
        return 0
    return max(int(number), 0) if number.lstrip("-").isdigit() else _LOOSE_LIMIT


def _has_many_loose(folder: Path, limit: int, lock: Path) -> bool:
    """Return True if the repository has more than about *limit* loose objects that are newer than the file *lock*.

    Counts only those in *folder*, one of the 256 folders for loose objects.
    """
    most = -(-limit // 256)
    try:
        if len(os.listdir(folder)) <= most:
            return False
        last = lock.stat().st_mtime_ns if lock.exists() else 0
        return sum(entry.stat().st_mtime_ns > last for entry in os.scandir(folder)) > most
    except OSError:  # the folder does not exist, or another process has just packed and deleted an object in it
        return False


def _count_loose(git: Git) -> int:
    return int(git.lines("count-objects")[0].split()[0])
