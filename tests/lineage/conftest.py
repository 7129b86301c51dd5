"""Fixtures for the tests of lineage: a repository with a long history, created once and copied for each test."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitmodel import Client

STORY = Path(__file__).parents[1] / "lineage_story.py"


@pytest.fixture(scope="session")
def told_once(tmp_path_factory):
    """The repository that `lineage_story.py` creates, once for all workers of pytest. Tests must not change it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the folder that all workers of this run of pytest share
    home = shared / "story-home"
    with (shared / "story.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "story-made").exists():
            shutil.rmtree(shared / "story", ignore_errors=True)
            home.mkdir(exist_ok=True)
            config = home / ".gitconfig"
            config.write_text(
                "[user]\n\tname = Ada Example\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"
            )
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "GIT_CONFIG_GLOBAL": str(config),
                "GIT_CONFIG_NOSYSTEM": "1",
                "TZ": "UTC",
                "LC_ALL": "C",
                "PYTHONPATH": str(STORY.parents[1]),
            }
            done = subprocess.run(
                [sys.executable, str(STORY), str(shared / "story")], env=environ, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            (shared / "story-made").touch()
    return shared / "story"


@pytest.fixture
def story(told_once, tmp_path, monkeypatch):
    """A copy of the repository of `lineage_story.py`, which is also the current folder."""
    folder = tmp_path / "story"
    shutil.copytree(told_once, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def past(story):
    """A client of the registry in the repository `story`."""
    with Client(story) as client:
        yield client
