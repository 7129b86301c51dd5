"""Measure calls of MLflow's model registry with gitmodel and with SQLite: `python benchmarks/mlflow_plugin.py`.

Run it with a Python that has MLflow, such as `.nox/mlflow-3-17-2/bin/python`, which the nox session `mlflow` creates.
"""

import itertools
import logging
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import registries
from measuring import Cost, Table, make_fresh_folder, measure

TITLES = {"gitmodel": "gitmodel", "sqlite": "MLflow's SQLite store"}


def open_stores(folder: Path) -> dict[str, Any]:
    """Create an empty registry of gitmodel and one on SQLite in *folder*. Return a client of MLflow for each."""
    from mlflow import MlflowClient

    subprocess.run(["git", "init", "-q", folder / "models"], check=True)
    database = f"sqlite:///{folder}/mlflow.db"
    # MLflow stores only the location of the files. gitmodel does the same here, so that both do the same work.
    uris = {"gitmodel": f"gitmodel:{folder}/models?artifacts=link", "sqlite": database}
    return {kind: MlflowClient(tracking_uri=database, registry_uri=uri) for kind, uri in uris.items()}


def creation(client: Any, numbers: Iterator[int]) -> Callable[[], None]:
    """Return a function that creates a version through *client*, with tags computed from the next of *numbers*."""

    def create() -> None:
        number = next(numbers)
        tags = {"accuracy": str(0.9 + number % 100 / 1000), "epochs": str(number % 50 + 1), "framework": "sklearn"}
        client.create_model_version("iris", f"/artifacts/{number}", description=f"Day {number}", tags=tags)

    return create


def measure_all(table: Table, clients: dict[str, Any], versions: int, times: int) -> None:
    """Create *versions* versions in the registries of both *clients*, and measure each call *times* times in both."""
    table.section(f"calls of MLflow, at {versions:,} versions of a model")
    costs: dict[tuple[str, str], Cost] = {}
    creates = {kind: creation(client, itertools.count(1)) for kind, client in clients.items()}
    for kind, client in clients.items():
        client.create_registered_model("iris")
        for _ in range(versions):
            creates[kind]()
        client.set_registered_model_alias("iris", "champion", 7)
    targets = {"search": 13.0, "get by alias": 1.0}
    for kind, client in clients.items():
        calls: dict[str, tuple[Callable[[], object], int]] = {
            "create": (creates[kind], 100),
            "search": (partial(client.search_model_versions, "name = 'iris'", max_results=10_000), times),
            "search by a tag": (partial(client.search_model_versions, "tags.epochs = '25'"), times),
            "get by alias": (partial(client.get_model_version_by_alias, "iris", "champion"), 100),
            "get by number": (partial(client.get_model_version, "iris", "7"), 100),
        }
        for what, (call, repeats) in calls.items():
            cost = costs[kind, what] = measure(call, times=repeats)
            table.cost(f"{what}: {TITLES[kind]}", cost, wall=targets.get(what) if kind == "gitmodel" else None)

    def create_and_search() -> None:
        creates["gitmodel"]()
        clients["gitmodel"].search_model_versions("name = 'iris'", max_results=10_000)

    table.cost("create, then search all: gitmodel", measure(create_and_search, times=times))
    table.ratio("create: gitmodel to SQLite", costs["gitmodel", "create"], costs["sqlite", "create"], 2, "wall")


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print what MLflow's registry calls cost on gitmodel and on SQLite.")
    parser.add_argument("--versions", type=int, default=1000, metavar="N", help="versions of the model")
    parser.add_argument("--times", type=int, default=20, metavar="N", help="repetitions of each search")
    given = parser.parse_args()
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    with registries.benchmark(given.folder) as (table, parent, environ):
        folder = make_fresh_folder(parent, "registries")
        os.environ.update(environ, MLFLOW_DISABLE_TELEMETRY="true")
        os.chdir(folder)
        measure_all(table, open_stores(folder), given.versions, given.times)


if __name__ == "__main__":
    main()
