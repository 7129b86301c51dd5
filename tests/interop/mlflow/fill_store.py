"""Fill a store of MLflow with models, versions and runs. Print as JSON what MLflow itself says about them.

A test runs `fill_store.py STORE ARTIFACTS MODELS VERSIONS` with a Python that has MLflow. If ARTIFACTS is "", MLflow
chooses the place of the artifacts. The first two models have entries of all kinds; the other models repeat them.
"""

import json
import os
import sys
import warnings
from pathlib import Path

COMMITS = [f"{number:040x}" for number in range(1, 8)]
LONG = "x" * 5000


def fill(client, artifacts: "Path | None", models: int, versions: int) -> None:
    """Create *models* models, which have *versions* versions in total that are not deleted.

    In each model, version 2 and the last version are deleted, and two versions are in Production.
    """
    experiment = client.create_experiment("Flowers / 2026", artifact_location=artifacts and artifacts.as_uri())
    for index in range(models):
        name = ("Iris (flowers)", "iris", "Iris")[index] if index < 3 else f"model-{index:02}"
        about = f"About {name}: a description\nwith two lines"
        client.create_registered_model(name, tags={"team": "Ada's"}, description=about)
        count = versions // models + (index < versions % models)
        for number in range(1, count + 3):
            run = make_run(client, experiment, index, number)
            folder = f"{run.info.artifact_uri}/model"
            tags = {"purpose": "test", "length": LONG if number == 1 else "0"}
            client.create_model_version(name, folder, run_id=run.info.run_id, tags=tags, description=f"number {number}")
        client.delete_model_version(name, "2")
        client.delete_model_version(name, str(count + 2))
        for number, stage in ((1, "Archived"), (3, "Production"), (4, "Production"), (5, "Staging")):
            if number <= count + 1:
                client.transition_model_version_stage(name, str(number), stage)
        for alias, number in (("champion", 3), ("staging", 4), ("_best", 4), ("Challenger", 3)):
            client.set_registered_model_alias(name, alias, str(number))
    client.delete_run(client.get_model_version("iris", "3").run_id)


def make_run(client, experiment: str, index: int, number: int):
    # imported here, because pytest also collects this module without MLflow
    from mlflow.entities import Metric, Param, RunTag

    tags = {"mlflow.user": "ada" if number % 2 else "ben", "mlflow.source.git.commit": COMMITS[number % 7]}
    run = client.create_run(experiment, tags=tags, run_name=f"run {index} {number}", start_time=1700000000123 + number)
    metrics = [Metric("accuracy", 0.5 + number / 1000, 1700000001000, 0), Metric("tags", 1.0, 1700000001000, 0)]
    if number == 1:
        metrics += [Metric("loss", 1 / step, 1700000000000 + step, step) for step in range(1, 12)]
        metrics += [Metric("worst", value, 1700000001000, 0) for value in (float("nan"),)]
    parameters = [Param("depth", str(number)), Param("layers/first", "[64, 32]")]
    client.log_batch(run.info.run_id, metrics, parameters, [RunTag("note", "a\nb")])
    folder = Path("files") / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(f"model {index} {number}\n")
    (folder / "weights.bin").write_bytes(bytes([index % 256, number % 256]) * 500)
    client.log_artifacts(run.info.run_id, str(folder), "model")
    client.set_terminated(run.info.run_id, "FAILED" if number == 6 else "FINISHED")
    return run


def described(client) -> list:
    """Return what MLflow's own client says about every model, version and run."""
    found = []
    for model in client.search_registered_models():
        versions = []
        for version in client.search_model_versions(f"name='{model.name}'"):
            run = client.get_run(version.run_id)
            versions.append(
                {
                    "number": int(version.version),
                    "created": version.creation_timestamp,
                    "stage": version.current_stage,
                    "description": version.description,
                    "tags": dict(version.tags),
                    "source": version.source,
                    "run": run.info.run_id,
                    "author": run.info.user_id,
                    "status": run.info.status,
                    "started": run.info.start_time,
                    "ended": run.info.end_time,
                    "metrics": {key: repr(value) for key, value in run.data.metrics.items()},
                    "parameters": dict(run.data.params),
                    "run_tags": dict(run.data.tags),
                    "loss": [[point.step, point.value] for point in client.get_metric_history(run.info.run_id, "loss")],
                }
            )
        aliases = {alias: int(number) for alias, number in client.get_registered_model(model.name).aliases.items()}
        versions.sort(key=lambda version: version["number"])
        found.append(
            {
                "name": model.name,
                "description": model.description,
                "created": model.creation_timestamp,
                "tags": dict(model.tags),
                "aliases": aliases,
                "versions": versions,
            }
        )
    return found


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow reads this variable when it is imported
    warnings.simplefilter("ignore")
    import mlflow

    store, artifacts, models, versions = sys.argv[1:]
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)
    theirs = mlflow.MlflowClient(store, store)
    fill(theirs, Path(artifacts) if artifacts else None, int(models), int(versions))
    print(json.dumps(described(theirs)))
