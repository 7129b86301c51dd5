"""A repository with a history: three models, forty versions, a hundred runs of real pipelines over ten days.

`python lineage_story.py FOLDER` creates the repository. The tests create it once, and each test gets a copy.
"""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

from gitmodel import Client
from gitmodel.cli import run

DAYS = 10
FLOWS = '''\
"""The pipelines of a small project."""

from typing import Annotated

from gitmodel import ModelConfig, log_model_metadata, pipeline, step


@step
def gather(day: int) -> Annotated[list, "readings"]:
    return [day * number % 7 for number in range(20)]


@step
def fit(readings: list, rate: float) -> Annotated[dict, "classifier"]:
    return {"weight": sum(readings) * rate}


@step
def evaluate(classifier: dict) -> Annotated[dict, "report"]:
    log_model_metadata(accuracy=round(0.9 + classifier["weight"] % 10 / 100, 4))
    return {"seen": classifier["weight"]}


@step
def look(readings: list, classifier: dict, turn: int) -> Annotated[dict, "notes"]:
    return {"turn": turn, "sum": sum(readings) + classifier["weight"]}


def new(model):
    return ModelConfig(name=model, create_new_model_version=True, license="Apache-2.0")


@pipeline(model_config=new("measurements"), enable_cache=False)
def collect(day: int):
    gather(day)


@pipeline(model_config=new("iris"), enable_cache=False)
def train(rate: float, data: str = "measurements@latest:readings"):
    evaluate(fit(data, rate))


@pipeline(model_config=new("petals"), enable_cache=False)
def petals(rate: float, data: str = "measurements@latest:readings"):
    fit(data, rate)


@pipeline(enable_cache=False)
def explore(turn: int):
    look("measurements@latest:readings", "iris@latest:classifier", turn)
'''


def main(folder: Path) -> None:
    """Create the repository with its history in *folder*."""
    folder.mkdir(parents=True)
    _git(folder, "init", "-q")
    _git(folder, "remote", "add", "origin", "https://git.example.com/flowers.git")
    (folder / "flows.py").write_text(FLOWS, encoding="utf-8")
    (folder / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    os.chdir(folder)
    _on_day(1)
    assert run(["init", "--new", "--quiet"]) == 0  # --new: do not contact the remote, which does not exist
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    from gitmodel.registry.recorded_runs import new_runs

    numbers = count()
    new_runs._unique = lambda: f"{next(numbers):04x}"
    for day in range(1, DAYS + 1):
        _live_through(folder, day)
    _git(folder, "repack", "-a", "-d", "-q")  # so that each test copies one pack instead of thousands of files


def _on_day(day: int) -> None:
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        os.environ[name] = f"2026-10-{day:02}T10:00:00Z"


def _live_through(folder: Path, day: int) -> None:
    _on_day(day)
    (folder / "rates.txt").write_text(f"{day / 10}\n", encoding="utf-8")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", f"Set the rate of day {day}")
    import flows

    with Client(folder) as client:
        flows.collect.run(client=client, day=day)
        for part in (1, 2):
            flows.train.run(client=client, rate=(day + part) / 10)
        flows.petals.run(client=client, rate=day / 100)
        for turn in range(6):
            flows.explore.run(client=client, turn=turn)
        iris = client.get_model("iris")
        iris.get_version("latest").set_stage("staging", reason=f"day {day}")
        if day % 2 == 0:
            iris.get_version(str(2 * day - 1)).set_stage("production", reason=f"the better one of day {day}")
        if day % 3 == 0:
            client.get_model("petals").get_version("latest").set_stage("production")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
