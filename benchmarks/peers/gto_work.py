"""Measure the registry of GTO, which consists of git tags. Makes the same calls as GTO's commands, in one process."""

from __future__ import annotations

import itertools
import subprocess

import gto.api

from peers.reporting import COUNT, FOLDER, fill, report

path = f"{FOLDER}/repo"


def git(*arguments: str) -> None:
    subprocess.run(["git", "-C", path, *arguments], check=True, capture_output=True)


subprocess.run(["git", "init", "-q", path], check=True)
git("config", "user.name", "Ada Example")
git("config", "user.email", "ada@example.com")
git("commit", "-q", "--allow-empty", "-m", "Begin")
numbers = itertools.count(1)


def create() -> None:
    # Each version needs its own commit, because GTO allows at most one version of an artifact for a commit.
    git("commit", "-q", "--allow-empty", "-m", "Train")
    gto.api.register(path, name="iris", ref="HEAD", version=f"v1.0.{next(numbers)}", push=False)


others = itertools.cycle(("v1.0.1", "v1.0.2"))


def promote() -> None:
    gto.api.assign(path, name="iris", version=next(others), stage="production", force=True, push=False)


count = fill(create, COUNT)
report("create", create, count, times=5)
report("promote", promote, count, times=5)
report("resolve", lambda: gto.api.show(path, name="iris#production"), count, times=5)
report("list", lambda: gto.api.show(path, name="iris"), count, times=3)
