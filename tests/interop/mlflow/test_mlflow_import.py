"""`git model import --from mlflow` from a store that the real MLflow filled. The result must agree with MLflow."""

import csv
import json
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest
from imports import import_from

from gitmodel.interop.content_digest import content_digest
from gitmodel.interop.foreign_names import original_name

pytest.importorskip("mlflow.version")
from mlflow.version import VERSION

MAKE = Path(__file__).with_name("fill_store.py")
NEWEST = not VERSION.startswith(("2.", "3.6."))
STATUSES = {"FINISHED": "succeeded", "FAILED": "failed"}


def make_source(folder: Path, store: str, models: int, versions: int, *, own_place: bool = False) -> list:
    """Let MLflow fill *store*, and return what MLflow says about its models, versions and runs.

    MLflow writes the artifacts to *folder* or, if *own_place* is True, to a place that MLflow chooses.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [
        sys.executable,
        str(MAKE),
        store,
        "" if own_place else str(folder / "artifacts"),
        str(models),
        str(versions),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ)
    assert not result.returncode, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("database")
    models, versions = (30, 1000) if NEWEST else (3, 24)
    return f"sqlite:///{folder}/mlflow.db", make_source(folder, f"sqlite:///{folder}/mlflow.db", models, versions)


@pytest.fixture(scope="session")
def file_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    return str(folder / "mlruns"), make_source(folder, str(folder / "mlruns"), 3, 24)


@contextmanager
def serving(folder: Path, *arguments: str):
    """Run MLflow's own server with the options *arguments*, and yield its URL when it answers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen([*command, *arguments], stdout=log, stderr=log, cwd=folder, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "server.log").read_text()[-3000:]
                time.sleep(0.1)  # waits until the server has started
        yield url
    finally:
        os.killpg(server.pid, 15)
        server.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    with serving(folder, *store, "--artifacts-destination", str(folder / "artifacts")) as url:
        said = make_source(folder, url, 3, 24, own_place=True)
        for version in (version for model in said for version in model["versions"]):
            assert version["source"].startswith("mlflow-artifacts:/")
            version["folder"] = str(folder / "artifacts" / version["source"].partition(":/")[2])
        yield url, said


@pytest.mark.parametrize("kind", ["database", "file_store", "server"])
def test_every_field_of_the_models_and_versions_in_the_source_is_imported(kind, client, request, tmp_path):
    source, said = request.getfixturevalue(kind)
    began = time.monotonic()
    report = import_from("mlflow", source, client, with_artifacts=True)
    print(f"{sum(model.versions for model in report.models)} versions in {time.monotonic() - began:.1f} s")
    found = {original_name(model.name, model.title): model for model in client.list_models()}
    assert sorted(found) == sorted(model["name"] for model in said)
    for model in said:
        compare_model(model, found[model["name"]], client, tmp_path)
    again = import_from("mlflow", source, client, with_artifacts=True)
    assert [model.versions for model in again.models] == [0] * len(said)
    assert {model.source: model.known for model in again.models} == {m["name"]: len(m["versions"]) for m in said}
    assert client.check() == []
    assert not [found for found in client.verify() if found.error]


def compare_model(said, model, client, folder):
    record = model.record
    assert record.description == said["description"]
    assert record.metadata["tags"] == said["tags"]
    assert record.metadata["imported"]["created"] == moment(said["created"])
    assert [version.number for version in model.versions] == [version["number"] for version in said["versions"]]
    holders = {}
    for version, expected in zip(model.versions, said["versions"], strict=True):
        compare_version(expected, version, said["name"])
        compare_run(expected, version, client)
        compare_files(expected, version, folder / expected["run"])
        if expected["stage"] in ("Production", "Staging"):
            holders[expected["stage"].lower()] = expected["number"]
    assert {state.name: state.in_force for state in model.stages if not state.alias} == holders
    legal = {alias: number for alias, number in said["aliases"].items() if alias not in ("staging", "_best")}
    assert {state.name: state.in_force for state in model.stages if state.alias} == legal


def compare_version(said, version, name):
    record = version.view.record
    claims = record.imported
    assert (claims.id, claims.author, claims.created) == (
        f"{name}/{said['number']}", said["author"], moment(said["created"]),
    )  # fmt: skip
    assert record.description == said["description"]
    assert record.metadata["tags"] == said["tags"]
    assert record.metadata["parameters"] == said["parameters"]
    for key, value in said["metrics"].items():
        found = record.metadata["tags.metric" if key == "tags" else key]
        assert found == float(value) or (math.isnan(found) and value == "nan")
    assert record.metadata["mlflow"]["source"] == said["source"]
    assert record.code.commit == said["run_tags"]["mlflow.source.git.commit"]
    expected = {"Archived": "archived", "Staging": "staging"}.get(said["stage"])
    if said["stage"] != "Production":
        assert version.stage == expected


def compare_run(said, version, client):
    (id,) = version.view.record.runs
    run = client.get_run(id)
    assert (run.status, run.started) == (STATUSES[said["status"]], moment(said["started"]))
    assert run.versions == (version.reference,)
    assert run.parameters == said["parameters"]
    assert run.metadata["tags"]["tags" if "tags" in said["run_tags"] else "note"] == said["run_tags"]["note"]
    assert run.metadata["imported"]["id"] == said["run"]
    assert run.record.finished == moment(said["ended"])


def compare_files(said, version, target):
    folder = Path(said.get("folder", said["source"].removeprefix("file://")))
    (artifact,) = version.artifacts
    assert (artifact.link.kind, artifact.link.digest) == ("model", content_digest(folder))
    if said["number"] == 1:
        artifact.download(target)
        files = {path.name: path.read_bytes() for path in target.iterdir()}
        assert files == {path.name: path.read_bytes() for path in folder.iterdir()}
    if said["loss"]:
        with version.get_attachment("metrics").open() as file:
            rows = list(csv.DictReader(file.read().decode().splitlines()))
        assert [[int(row["step"]), float(row["value"])] for row in rows if row["key"] == "loss"] == said["loss"]


def moment(milliseconds):
    return datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
