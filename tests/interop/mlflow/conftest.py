"""Fixtures for the tests with a real MLflow, which the nox session `mlflow` installs.

Each test module skips itself if MLflow is not installed. To find out, it imports `mlflow.version`, because pytest puts
the folders of tests on the import path, and `import mlflow` could import this folder.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def outside_of_the_checkout(tmp_path, monkeypatch) -> None:
    """Run each test in its own folder: a test that creates a version in this checkout would leave a ref here."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mlflow_script(tmp_path, monkeypatch) -> Callable[..., str]:
    """A function that runs a script in a new process, in the folder of the test, and returns what it prints."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)

    def run(script: str, *arguments: str, folder: Path = tmp_path) -> str:
        command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert not result.returncode, result.stderr[-4000:]
        return result.stdout

    return run
