"""A script for MLflow works unchanged with a registry of gitmodel: by path, by URL, and through MLflow's server."""

import importlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("mlflow.version")
pytest.importorskip("sklearn")

from gitmodel import Client

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "mlflow-on-gitmodel.md"
SCRIPT = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs the script of the how-to page with a registry, in a new folder, and returns its output."""
    folder = tmp_path / "work"
    folder.mkdir()
    assert SCRIPT is not None
    (folder / "train.py").write_text(SCRIPT[1], encoding="utf-8")

    def run(registry: str, tracking: str = "sqlite:///mlflow.db") -> str:
        environ = {
            **os.environ,
            "MLFLOW_TRACKING_URI": tracking,
            "MLFLOW_REGISTRY_URI": registry,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "train.py"], cwd=folder, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


def check(printed: str, registry: Path) -> None:
    """Fail unless the script loaded its model, and gitmodel finds the version that the script created."""
    loaded = [line for line in printed.splitlines() if line.startswith("iris")]
    assert loaded == [f"{place} [0 0 0]" for place in ("iris@champion", "iris/Production", "iris/1")]
    with Client(registry) as client:
        version = client.get_version("iris@production")
        assert (version.number, version.aliases) == (1, ["champion"])
        assert version.metadata["accuracy"] > 0.9
        assert (version.get_artifact("model").path() / "MLmodel").exists()
        assert not client.check()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def test_the_script_of_the_page_works_on_a_path(run, models):
    check(run(f"gitmodel:{models}"), models)


def test_the_script_works_on_a_registry_by_url(run, models, monkeypatch):
    bare = models.parent / "models.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    store = models.parent / "store"
    monkeypatch.setenv("GITMODEL_STORE", store.as_uri())
    check(run(f"gitmodel:{bare.as_uri()}"), bare)


def test_the_script_works_on_a_registry_by_https(run, models, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "tests")
    monkeypatch.syspath_prepend(ROOT / "tests" / "teams")
    servers = importlib.import_module("servers")
    bare, certificate = tmp_path / "served" / "models.git", servers.make_certificate(tmp_path)
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    monkeypatch.setenv("GITMODEL_STORE", (tmp_path / "store").as_uri())
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    with servers.http_server(bare.parent, {"ada": "secret"}, certificate) as server:
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "credential.helper")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!printf 'username=ada\\npassword=secret\\n' #")
        check(run(f"gitmodel:{server.url}/models.git"), bare)


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a running server of MLflow that uses the registry of gitmodel."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--registry-store-uri", f"gitmodel:{models}",
        "--artifacts-destination", str(tmp_path / "logged"), "--workers", "2",
    ]  # fmt: skip
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _await(f"{address}/health", process)
            yield address
        finally:
            process.terminate()


def _await(address: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1800):
        assert process.poll() is None
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the server of MLflow did not answer in time")


def test_the_script_works_through_a_server_whose_workers_fork(run, server, models):
    with Client(models) as client:
        client.register_model("rose")
    check(run(server, server), models)
    import mlflow

    seen = mlflow.MlflowClient(server, server)
    assert {model.name for model in seen.search_registered_models()} == {"iris", "rose"}
    version = seen.get_model_version("iris", "1")
    assert (version.user_id, version.current_stage) == ("Ada Example", "Production")
    assert version.aliases == ["champion", "production"]
    with Client(models) as client:
        client.add_gate("production", "accurate", "metadata.accuracy >= 2")
    seen.create_model_version("iris", "models:/iris/1")
    with pytest.raises(mlflow.exceptions.MlflowException, match="accurate"):
        seen.transition_model_version_stage("iris", "2", "Production")
