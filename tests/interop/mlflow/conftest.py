"""Fixtures for the tests with a real MLflow, which the session `mlflow` of nox installs.

Each test module skips itself if MLflow is not installed. It asks for `mlflow.version`: pytest puts folders of tests on
the import path, so that `mlflow` alone could be this folder.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def outside_of_the_checkout(tmp_path, monkeypatch) -> None:
    """Run each test in its own folder: a version created in this checkout would keep its commit with a ref."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mlflow_script(tmp_path, monkeypatch) -> Callable[..., str]:
    """Run a script that uses MLflow in a process of its own, in the test's folder; return its output."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)

    def run(script: str, *arguments: str, folder: Path = tmp_path) -> str:
        command = [sys.executable, "-W", "ignore", "-c", script, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        assert not result.returncode, result.stderr[-4000:]
        return result.stdout

    return run
