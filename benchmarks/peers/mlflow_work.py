"""Measure MLflow's registry on SQLite, in one process."""

from __future__ import annotations

import itertools
import logging
import warnings

from mlflow import MlflowClient

from peers.reporting import COUNT, FOLDER, fill, report

logging.disable(logging.INFO)
warnings.simplefilter("ignore")
uri = f"sqlite:///{FOLDER}/mlflow.db"
client = MlflowClient(tracking_uri=uri, registry_uri=uri)
client.create_registered_model("iris")
numbers = itertools.count(1)
others = itertools.cycle(("1", "2"))


def create() -> None:
    number = next(numbers)
    client.create_model_version(
        "iris",
        source=f"/artifacts/{number}",
        description=f"Trained on the data of day {number}.",
        tags={"accuracy": str(0.9 + number % 100 / 1000), "epochs": str(number % 50 + 1), "framework": "sklearn"},
    )


def promote() -> None:
    client.transition_model_version_stage("iris", next(others), "Production", archive_existing_versions=True)


def list_all() -> None:
    found = client.search_model_versions("name = 'iris'", max_results=10_000)
    while found.token:
        found = client.search_model_versions("name = 'iris'", max_results=10_000, page_token=found.token)


count = fill(create, COUNT)
report("create", create, count, times=50)
report("promote", promote, count, times=50)
report("resolve", lambda: client.get_latest_versions("iris", ["Production"]), count)
report("list", list_all, count, times=5)
report(
    "search",
    lambda: client.search_model_versions("name = 'iris' and tags.epochs = '25'", max_results=10_000),
    count,
    times=5,
)
