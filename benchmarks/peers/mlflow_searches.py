"""Measure searches of MLflow's registry on SQLite, in one process.

MLflow creates one version. For the other versions, the script copies the rows of the first in the database, because
MLflow would need minutes.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from contextlib import closing

from mlflow import MlflowClient

from peers.reporting import COUNT, FOLDER, report

logging.disable(logging.INFO)
warnings.simplefilter("ignore")
uri = f"sqlite:///{FOLDER}/mlflow.db"
client = MlflowClient(tracking_uri=uri, registry_uri=uri)
client.create_registered_model("iris")
tags = {"accuracy": "0.9", "epochs": "2", "framework": "sklearn"}
client.create_model_version("iris", source="/artifacts/1", description="Trained on the data of day 1.", tags=tags)


def copy(database: sqlite3.Connection, table: str, changed: dict[str, object], **where: str) -> None:
    """Copy a row of version 1 in *table*, with the values in *changed* by column.

    *where* has values that select the row.
    """
    condition = " AND ".join(f"{column} = ?" for column in where)
    found = database.execute(f"SELECT * FROM {table} WHERE version = 1 AND {condition or '1'}", [*where.values()])
    row = {column[0]: value for column, value in zip(found.description, found.fetchone(), strict=True)} | changed
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", [*row.values()])


with closing(sqlite3.connect(f"{FOLDER}/mlflow.db")) as database, database:
    for number in range(2, COUNT + 1):
        described = {"source": f"/artifacts/{number}", "description": f"Trained on the data of day {number}."}
        copy(database, "model_versions", {"version": number, **described})
        for key, value in (("accuracy", 0.9 + number % 100 / 1000), ("epochs", number % 50 + 1)):
            copy(database, "model_version_tags", {"version": number, "value": str(value)}, key=key)
        copy(database, "model_version_tags", {"version": number}, key="framework")


def search() -> None:
    """Search versions by their metadata, which is tags in MLflow. Two in a hundred versions match."""
    found = client.search_model_versions("name = 'iris' and tags.epochs = '25'", max_results=10_000)
    assert len(found) == COUNT // 50, len(found)


report("search", search, COUNT, times=10)
