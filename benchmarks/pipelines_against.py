"""Compare the speed of pipelines of this checkout with another commit.

`python benchmarks/pipelines_against.py COMMIT [--pairs N] [--only WORD]` starts a process with the gitmodel of each
commit. Both run the same pipelines alternately, so that the load of the machine is the same for both. Use the ratios of
CPU times for a comparison: they depend least on the load. CPU times include workers and git.
"""

import gc
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pipelines
import registries
from against import ROOT, extract
from measuring import Table, cpu_seconds

EXECUTORS = ("in-order", "threads", "processes", "dask")
MEASURED = (
    *((f"{executor}, a run of one step", executor, "idle", 1) for executor in EXECUTORS),
    *((f"{executor}, each of {pipelines.STEPS} steps", executor, "idle", pipelines.STEPS) for executor in EXECUTORS),
    ("in-order, each of 100 steps with an output", "in-order", "values", pipelines.STEPS),
    ("in-order, a run of one cached step", "in-order", "cached", 1),
    ("in-order, a run of 100 cached steps", "in-order", "cached", 0),
)


class Checkout:
    """A process that measures pipelines with the gitmodel in the folder *place*, in a repository at *repo*."""

    def __init__(self, place: Path, repo: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(place), str(repo)],
            env={**environ, "PYTHONPATH": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # hides the progress messages of the runs
            text=True,
        )

    def measure(self, executor: str, pipeline: str, count: int) -> float:
        """Run *pipeline* with *count* steps in the process, and return the CPU time in ms that the process answers.

        This is the time of the run, or the mean time of a step if the run has many steps.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(executor, pipeline, count, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(place: str, repo: str) -> None:
    """Run as the process of a `Checkout`: measure the pipeline in each line of stdin, and print the CPU time in ms."""
    import gitmodel

    assert gitmodel.__file__.startswith(place), gitmodel.__file__
    with pipelines.open_client(Path(repo), None) as client:
        for line in sys.stdin:
            executor, name, count = line.split()
            print(_measure(client, executor, getattr(pipelines, name), int(count)), flush=True)


def _measure(client: Any, executor: str, pipeline: Any, count: int) -> float:
    gc.collect()
    if count == pipelines.STEPS:
        return pipelines.by_step(client, executor, pipeline).cpu
    before = cpu_seconds()
    pipeline.run(client=client, executor=executor, count=count or pipelines.STEPS)
    return (cpu_seconds() - before) * 1000


def compare(table: Table, checkouts: list[Checkout], pairs: int, only: str) -> None:
    """Measure each pipeline *pairs* times in both *checkouts*, and print the medians and the quartiles of their ratios.

    If *only* is not "", measures only the pipelines that contain it in their names.
    """
    for what, executor, name, count in MEASURED:
        if only not in what:
            continue
        for checkout in checkouts:
            checkout.measure(executor, name, count)
        found = []
        for number in range(pairs):
            turn = [checkout.measure(executor, name, count) for checkout in checkouts[:: 1 if number % 2 else -1]]
            found.append(turn[:: 1 if number % 2 else -1])
        ours, theirs = (statistics.median(turn[place] for turn in found) for place in (0, 1))
        ratios = [mine / other for mine, other in found]
        low, middle, high = statistics.quantiles(ratios, n=4)
        shown = f"{middle:.2f} ({low:.2f} to {high:.2f}); {theirs:.2f} -> {ours:.2f} ms"
        table.value(what, shown, "<= 1.1 x", middle <= 1.1)


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print what pipelines cost, beside those of another commit.")
    parser.add_argument("commit", metavar="COMMIT")
    parser.add_argument("--pairs", type=int, default=15, metavar="N", help="repetitions of each measurement")
    parser.add_argument("--only", default="", metavar="WORD", help="measure only the lines that contain WORD")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        places = [ROOT, extract(given.commit, folder / "theirs")]
        checkouts = [Checkout(place, folder / f"repo-{number}", environ) for number, place in enumerate(places)]
        table.section(f"ratios of CPU to those of {given.commit[:8]}, median and quartiles of {given.pairs} pairs")
        try:
            compare(table, checkouts, given.pairs, given.only)
        finally:
            for checkout in checkouts:
                checkout.end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        main()
