"""Measure storing and loading objects: `python benchmarks/objects.py [--quick]`.

The script stores a data frame and a random forest of 100 MB each in a version, and loads them. Alternately, it writes,
reads and hashes the same value only with pandas or skops. The time of gitmodel includes loading the stored value once
to verify it, and flushing to disk. Then the script measures a step that does nothing.
"""

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import registries
import skops.io
from measuring import Cost, Table, measure_once, middle
from pipelines import idle, in_environment, overhead_of_step
from sklearn.ensemble import RandomForestRegressor
from stores import hash_file

from gitmodel.client import Client


def frame_of(rows: int) -> pd.DataFrame:
    """Return a data frame of *rows* rows with numbers, text and a category.

    It needs 68 bytes of memory for each row.
    """
    random = np.random.default_rng(7)
    words = np.array([f"word {number}" for number in range(1_000)])
    numbers = {name: random.random(rows) for name in "abcdef"}
    text: dict[str, Any] = {"text": random.choice(words, rows), "kind": pd.Categorical(random.choice(words[:20], rows))}
    frame: pd.DataFrame = pd.DataFrame({**numbers, **text})
    return frame


def forest_of(rows: int) -> RandomForestRegressor:
    """Return a random forest of 20 trees, trained on *rows* rows. It needs 72 bytes for each node of a tree."""
    random = np.random.default_rng(7)
    return RandomForestRegressor(20, n_jobs=-1, random_state=7).fit(random.random((rows, 10)), random.random(rows))


def write_and_read_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write *frame* to the file *path* and read it, only with pandas, and hash the file."""
    frame.to_parquet(path)
    hash_file(path)
    pd.read_parquet(path)


def write_and_read_forest(forest: Any, path: Path) -> None:
    """Write *forest* to the file *path* and read it, only with skops, and hash the file."""
    skops.io.dump(forest, path)
    hash_file(path)
    skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def measure_objects(table: Table, folder: Path, environ: dict[str, str], *, quick: bool) -> None:
    """Measure storing and loading each value in a new registry, alternately with only pandas or skops."""
    scale, times = (10, 3) if quick else (1, 9)
    for what, value, plain, at_most in (
        ("frame", frame_of(1_900_000 // scale), write_and_read_frame, 2.5),
        ("forest", forest_of(55_000 // scale), write_and_read_forest, 1.3),
    ):
        plain(value, folder / what)
        megabytes = (folder / what).stat().st_size / 1e6
        table.section(f"A {what} in a file of {megabytes:.0f} MB, {times} pairs of gitmodel and its library")
        registries.new_repository(folder / f"of-{what}", environ)
        with Client(folder / f"of-{what}", environ=environ) as client:
            version = client.register_model("demo").create_version()
            _compare(table, version, what, value, plain, folder, at_most, times)


def _compare(
    table: Table,
    version: Any,
    what: str,
    value: Any,
    plain: Callable[[Any, Path], None],
    folder: Path,
    at_most: float,
    times: int,
) -> None:
    stored: list[Cost] = []
    loaded: list[Cost] = []
    theirs: list[Cost] = []
    for number in range(times + 1):  # once more than *times*, because the first costs are left out below
        name = f"{what}-{number}"
        stored.append(measure_once(partial(version.link_artifact, name, value)))
        loaded.append(measure_once(lambda name=name: version.get_artifact(name).load()))  # type: ignore[misc]
        theirs.append(measure_once(partial(plain, value, folder / what)))
    ours = [one + two for one, two in zip(stored, loaded, strict=True)]
    for costs in (stored, loaded, theirs, ours):
        del costs[0]
    table.cost("store it: save, read back, hash, flush, commit", middle(stored))
    table.cost("load it: verify its hash, read", middle(loaded))
    table.cost("the library's own write, read and SHA-256", middle(theirs))
    ratios = [(one.cpu / two.cpu, one.wall / two.wall) for one, two in zip(ours, theirs, strict=True)]
    table.ratio("storing and loading against the library", middle(ours), middle(theirs), at_most)
    for name, found in (("CPU", [cpu for cpu, _ in ratios]), ("wall", [wall for _, wall in ratios])):
        table.value(f"  by pair, {name}", f"{min(found):.2f} .. {statistics.median(found):.2f} .. {max(found):.2f} x")


def measure_step(table: Table, folder: Path, environ: dict[str, str], *, quick: bool) -> None:
    """Measure a run of a pipeline with one step that does nothing, with the executor `in-order`."""
    table.section("A step that does nothing, of 100 in a run, in order")
    with in_environment(environ):
        table.cost(
            "each step", overhead_of_step(folder / "steps", environ, "in-order", idle, 3 if quick else 7), cpu=10
        )


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print what storing and loading objects costs.")
    parser.add_argument("--quick", action="store_true", help="10 MB and fewer repetitions")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        measure_objects(table, folder, environ, quick=given.quick)
        measure_step(table, folder, environ, quick=given.quick)


if __name__ == "__main__":
    main()
