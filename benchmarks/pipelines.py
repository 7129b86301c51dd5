"""Measure the overhead of pipelines: `python benchmarks/pipelines.py [--quick]`.

The overhead of a step is the cost of each of 100 steps that do nothing. CPU time includes workers and git.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import registries
from measuring import Cost, Table, cpu_seconds, measure, measure_once, middle

from gitmodel import ModelConfig, pipeline, step
from gitmodel.client import Client
from gitmodel.pipelines.execution import running

STEPS = 100
DEMO = ModelConfig(name="demo", create_new_model_version=True)


@step
def nothing() -> None:
    """Do nothing."""


@step
def value(number: int) -> int:
    """Return *number*."""
    return number


@pipeline(enable_cache=False)
def idle(count: int) -> None:
    """Run *count* steps that do nothing."""
    for _ in range(count):
        nothing()


@pipeline(enable_cache=False, model_config=DEMO)
def values(count: int) -> None:
    """Run *count* steps that each add an artifact to the version."""
    for number in range(count):
        value(number)


@pipeline(model_config=DEMO)
def cached(count: int) -> None:
    """Run *count* steps that each add an artifact, with the cache on."""
    for number in range(count):
        value(number)


def measure_pipelines(table: Table, folder: Path, environ: dict[str, str], *, quick: bool = False) -> None:
    """Print all figures of pipelines. Measures each in a new repository in *folder*; fewer times if *quick*."""
    times = 3 if quick else 7
    with in_environment(environ):
        _overheads(table, folder, environ, times)
        _whole_runs(table, folder, environ, times)
        _saving(table, folder / "saved", times, 1_000_000)


@contextmanager
def in_environment(environ: dict[str, str]) -> Iterator[None]:
    """Inside the `with` block, give this process the environment variables *environ*.

    Some executors run steps in this process, and these steps use its variables instead of those of the client.
    """
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _overheads(table: Table, folder: Path, environ: dict[str, str], times: int) -> None:
    table.section(f"Overhead of each of {STEPS} steps that do nothing")
    for executor in ("in-order", "threads", "processes", "dask"):
        cost = overhead_of_step(folder / executor, environ, executor, idle, times)
        table.cost(executor, cost, cpu=10 if executor in ("in-order", "threads") else None)
    cost = overhead_of_step(folder / "values", environ, "in-order", values, times)
    table.cost("in-order, with one small output each, on disk", cost)


def overhead_of_step(path: Path, environ: dict[str, str], executor: str, measured: Any, times: int) -> Cost:
    """Return the median cost of a step over *times* runs of the pipeline *measured*, in a new registry at *path*."""
    with open_client(path, environ) as client:
        return middle([by_step(client, executor, measured) for _ in range(times)])


def _whole_runs(table: Table, folder: Path, environ: dict[str, str], times: int) -> None:
    table.section(f"A run of {STEPS} steps with an output each, linked to a new version")
    with open_client(folder / "cached", environ) as client:
        run_cached = partial(cached.run, client=client, count=STEPS)
        table.cost("first run", measure_once(run_cached))
        table.cost("everything cached", measure(run_cached, times=times, warm=0), wall=2000)
        before = _commits(client)
        commits = []
        for count in (1, 10, STEPS):
            values.run(client=client, count=count)
            commits.append(_commits(client) - before)
            before = _commits(client)
        table.value(
            "commits of runs of 1, 10 and 100 steps", ", ".join(map(str, commits)), "1 each", commits == [1] * 3
        )
        for count in (1, STEPS):
            waits = [_from_last_step(client, count) for _ in range(times)]
            table.cost(f"from the last of {count} steps to the committed transaction", middle(waits))


def _saving(table: Table, folder: Path, times: int, rows: int) -> None:
    """Print the cost of saving and verifying values of *rows* rows with gitmodel, and only with pandas or NumPy.

    pandas and NumPy write the value once, read it twice and compare it once. gitmodel also saves the properties of a
    value that Parquet files of pandas lose.
    """
    import numpy as np
    import pandas as pd

    from gitmodel.formats import materializers

    folder.mkdir()
    table.section(f"Saving and proving, {rows:,} rows, beside one write, two reads and one comparison by the library")
    random = np.random.default_rng(7)
    words = np.array([f"word {number}" for number in range(1_000)], dtype=object)
    frames = {
        "a frame of 4 columns of numbers": pd.DataFrame({name: random.random(rows) for name in "abcd"}),
        "a frame with a column of text": pd.DataFrame({"text": random.choice(words, rows)}),
        "a frame with a categorical": pd.DataFrame({"kind": pd.Categorical(random.choice(words[:20], rows))}),
        "a frame with dates": pd.DataFrame({"at": pd.date_range("2020", periods=rows, freq="min")}),
    }
    path = folder / "plain"

    def plain_frame(frame: pd.DataFrame) -> None:
        frame.to_parquet(path)
        pd.read_parquet(path)
        assert pd.read_parquet(path).equals(frame)

    def plain_array(array: Any) -> None:
        with path.open("wb") as file:
            np.save(file, array)
        np.load(path)
        assert np.array_equal(np.load(path), array)

    for what, value, plain in (
        *((what, frame, plain_frame) for what, frame in frames.items()),
        ("an array of 8 columns", random.random((rows, 8)), plain_array),
    ):
        ours = measure(partial(materializers.save, value, folder / "ours", "x", ""), times=times, warm=0)
        theirs = measure(partial(plain, value), times=times, warm=0)
        table.cost(what, ours)
        table.ratio("  beside the library", ours, theirs, 1.5, "wall")


def open_client(path: Path, environ: dict[str, str] | None) -> Client:
    """Create a repository at *path*, run a pipeline with one step in it, and return a client of its registry."""
    registries.new_repository(path, environ)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "Begin"], cwd=path, check=True, env=environ)
    client = Client(path, environ=environ)
    idle.run(client=client, count=1)
    return client


def by_step(client: Client, executor: str, measured: Any) -> Cost:
    """Run the pipeline *measured*. Return the mean cost of a step, without the start of the workers."""
    times: list[tuple[float, float]] = []

    def listen(event: str, name: str, seconds: float) -> None:
        if event == "succeeded":
            times.append((cpu_seconds(), time.perf_counter()))

    measured.run(client=client, executor=executor, count=STEPS, listener=listen)
    # leaves out the first quarter of the steps, which wait for the workers to start
    begun = STEPS // 4
    cpu, wall = (last - first for first, last in zip(times[begun], times[-1], strict=True))
    return Cost(cpu * 1000 / (STEPS - 1 - begun), wall * 1000 / (STEPS - 1 - begun))


def _from_last_step(client: Client, count: int) -> Cost:
    """Run the pipeline `values` with *count* steps. Return the cost from the end of the last step to the commit."""
    moments: list[tuple[float, float]] = []
    patched: Any = running
    real = patched.commit_run

    def commit(*args: Any) -> Any:
        done = real(*args)
        moments.append((cpu_seconds(), time.perf_counter()))
        return done

    def listen(event: str, name: str, seconds: float) -> None:
        if event == "succeeded":
            moments[:] = [(cpu_seconds(), time.perf_counter())]

    patched.commit_run = commit
    try:
        values.run(client=client, count=count, listener=listen)
    finally:
        patched.commit_run = real
    (cpu, wall), (cpu_end, wall_end) = moments
    return Cost((cpu_end - cpu) * 1000, (wall_end - wall) * 1000)


def _commits(client: Client) -> int:
    return int(client.repository.git.lines("rev-list", "--count", client.repository.branch)[0])


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print the figures of pipelines.")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        measure_pipelines(table, folder, environ, quick=given.quick)


if __name__ == "__main__":
    main()
