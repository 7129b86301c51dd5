"""Measure searches with the index: building it, updating it and querying it, for one model and for many models."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import registries
from measuring import Cost, Table, measure, measure_command, middle, peak_memory
from peers import Peer, run_peer
from registries import measure_fresh

from gitmodel.client import Client
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.lists import version_lists
from gitmodel.registry.promotion import stages

FILTER = "metadata.epochs == 25"  # matches two in a hundred versions
BEST = "metadata.accuracy > 0.9"
MLFLOW = Peer("MLflow", "mlflow", "mlflow_searches.py", "SQLite store")


def measure_searches(
    table: Table, folder: Path, environ: dict[str, str], *, count: int, models: int, cache: Path | None
) -> None:
    """Print the figures of searches in one model and in *models* models.

    The one model has *count* versions, and then ten times as many. *cache* is the folder in which MLflow is installed;
    if it is None, there is no comparison with MLflow.
    """
    for size in (count, 10 * count):
        warm = _measure_one_model(table, folder / f"of-{size}", environ, size, has_targets=count == 10_000)
        if cache is not None and size == count:  # with ten times as many, MLflow would need minutes
            _compare(table, warm, size, folder / "peer", cache)
    _measure_models(table, folder / "models", environ, models, has_targets=models == 1_000)


def _compare(table: Table, ours: Cost, count: int, folder: Path, cache: Path) -> None:
    """Print the cost of a search in MLflow, compared with *ours*, that of a client of gitmodel that searched before."""
    folder.mkdir()
    theirs = run_peer(MLFLOW, count, folder, cache=cache, seconds=600)
    if "search" not in theirs.costs:
        print(f"{theirs.title} does not run here: {theirs.problem}")
        return
    table.cost(f"the same, warm: {theirs.title}", theirs.costs["search"])
    table.ratio("  gitmodel against it", ours, theirs.costs["search"], 1)


def _measure_one_model(table: Table, path: Path, environ: dict[str, str], count: int, *, has_targets: bool) -> Cost:
    """Print the figures of searches in one model of *count* versions, in a new registry at *path*.

    Returns the cost of a search in a client that has searched before. If *has_targets*, prints the targets, too.
    """
    table.section(f"Searches in one model with {count:,} versions")
    large = count > 10_000

    def line(what: str, cost: Cost, most: float | None) -> None:
        table.cost(what, cost, cpu=most if has_targets else None)

    registries.new_repository(_new_folder(path), environ)
    registries.build(path, {"iris": range(1, count + 1)}, environ, versions_per_commit=100)
    line("build the index, for the first search", _fresh(path, environ, _search), 9_000 if large else 900)
    size = sum(file.stat().st_size for file in (path / ".git/gitmodel").glob("index-*")) / count / 1024
    table.number("the index, for each version", size, "KiB", 0.5)
    line(f"{FILTER} (2 %), new client", _fresh(path, environ, _search, times=5), 400 if large else 30)
    with Client(path, environ=environ) as client:
        warm = measure(lambda: _search(client), times=10, warm=2)
        line(f"{FILTER} (2 %), warm", warm, 40 if large else 8)
        best = measure(lambda: client.find_versions("iris", sort="-accuracy", limit=50), times=10, warm=2)
        line("sorted by accuracy, the best 50, warm", best, None if large else 5)
        read = measure(
            lambda: version_lists.list_versions(client.writer, "iris", filter=f"number > 0 && {BEST}"), times=3
        )
        table.cost(f"{BEST} (all), warm", read)
        handles = client.get_model("iris").list_versions(limit=1_000)
        asked = measure(lambda: [handle.stage for handle in handles], times=3)
        line("the stages of 1,000 handles of one list", asked, None if large else 5)
    for more, times, most in ((1, 5, 15), (1_000, 1, 150)):
        costs = []
        for _ in range(times):
            registries.build(path, {"iris": range(count + 1, count + 1 + more)}, environ, versions_per_commit=100)
            count += more
            costs.append(_fresh(path, environ, _search_few))
        what = f"after {more:,} new version{'s' if more > 1 else ''}, new client: update and search"
        line(what, middle(costs), None if large else most)
    if large:
        code = "import os, sys; sys.stdout = open(os.devnull, 'w'); from gitmodel.cli import run; run(sys.argv[1:])"
        code += "; sys.stdout = sys.__stdout__"
        peak = peak_memory(code, environ, "-C", str(path), "version", "list", "iris")
        table.number("git model version list iris, memory", peak, "MB", 200)
        return warm
    listing = ["version", "list", "iris"]
    for words, most in ((listing, 300), ([*listing, "--filter", FILTER], 120), (["list"], 120)):
        line(" ".join(["git model", *words]), _command(words, environ, path), most)
    return warm


def _measure_models(table: Table, path: Path, environ: dict[str, str], count: int, *, has_targets: bool) -> None:
    table.section(f"Searches over {count:,} models with 10 different versions and a tag each")
    registries.new_repository(_new_folder(path), environ)
    names = [f"model-{number:04}" for number in range(count)]
    registries.build(path, {name: range(1, 11) for name in names}, environ, versions_per_commit=10)
    with Client(path, environ=environ) as client:
        for name in names:
            stages.promote(client.writer, VersionRef.of(name, 3), "production")
    table.cost("build the index, for the first search", _fresh(path, environ, _find_best))
    table.cost(f"{BEST}, the best 50, new client", _fresh(path, environ, _find_best, times=5))
    with Client(path, environ=environ) as client:
        best = measure(lambda: _find_best(client), times=10, warm=2)
        table.cost(f"{BEST}, the best 50, warm", best, cpu=20 if has_targets else None)
    table.cost("git model version list --sort=-accuracy --limit 50", _command(
        ["version", "list", "--sort=-accuracy", "--limit", "50"], environ, path
    ))  # fmt: skip
    table.cost("list the models for the first time, new client", _fresh(path, environ, Client.view_models))
    table.cost("git model list", _command(["list"], environ, path), cpu=200 if has_targets else None)


def _search(client: Client) -> None:
    version_lists.list_versions(client.writer, "iris", filter=FILTER)


def _search_few(client: Client) -> None:
    version_lists.list_versions(client.writer, "iris", filter=FILTER, limit=1)


def _find_best(client: Client) -> None:
    client.find_versions(filter=BEST, sort="-accuracy", limit=50)


def _fresh(path: Path, environ: dict[str, str], search: Callable[[Client], object], *, times: int = 1) -> Cost:
    """Return the median cost of *search* over *times* new clients, which have read only `gitmodel.toml` before."""
    return measure_fresh(
        path, environ, search, times=times, before=lambda client: client.repository.snapshot().registry()
    )


def _command(words: list[str], environ: dict[str, str], path: Path) -> Cost:
    return measure_command([str(Path(sys.executable).parent / "git-model"), *words], environ, path, times=5)


def _new_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
