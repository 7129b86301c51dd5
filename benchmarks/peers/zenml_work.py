"""Measure ZenML's models and versions on its local SQLite store, in one process."""

from __future__ import annotations

import itertools
import logging

logging.disable(logging.WARNING)

from zenml.client import Client  # noqa: E402

from peers.reporting import COUNT, fill, report  # noqa: E402

client = Client()
model = client.create_model("iris", license="Apache-2.0", description="Knows iris.")
numbers = itertools.count(1)


def create() -> None:
    number = next(numbers)
    version = client.create_model_version(
        "iris", name=f"v{number}", description=f"Trained on the data of day {number}.", tags=["baseline"]
    )
    client.create_run_metadata(
        metadata={"accuracy": 0.9 + number % 100 / 1000, "epochs": number % 50 + 1, "framework": "sklearn"},
        resources=[resource(version.id)],
    )


def resource(id: object) -> object:
    from zenml.enums import MetadataResourceTypes
    from zenml.models import RunMetadataResource

    return RunMetadataResource(id=id, type=MetadataResourceTypes.MODEL_VERSION)


others = itertools.cycle(("v1", "v2"))


def promote() -> None:
    client.update_model_version("iris", next(others), stage="production", force=True)


def list_all() -> None:
    page, pages = 1, 1
    while page <= pages:
        found = client.list_model_versions(model="iris", page=page, size=500)
        page, pages = page + 1, found.total_pages


count = fill(create, COUNT)
report("create", create, count)
report("promote", promote, count)
report("resolve", lambda: client.get_model_version("iris", "production"), count)
report("list", list_all, count, times=3)
report(
    "search",
    lambda: client.list_model_versions(model="iris", run_metadata=["epochs:25"], size=500),
    count,
    times=3,
)
