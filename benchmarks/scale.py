"""Measure large registries: lists of many models, writes by URL, clones: `python benchmarks/scale.py [--only PART]`."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import registries
from by_url import serve
from measuring import Cost, Table, cpu_seconds, measure_command, measure_once, middle, run_command

from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import ModelRecord, StageRecord, links_digest
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord

_PER_COMMIT = 100
_GIT_MODEL = str(Path(sys.executable).parent / "git-model")
# A program that creates a version by URL. Its arguments are the URL, the model and the idempotency key.
_CREATE = """
import sys
from gitmodel import Client

with Client(repo=sys.argv[1], timeout=600) as client:
    client.get_model(sys.argv[2]).create_version(metadata={"accuracy": 0.9}, idempotency_key=sys.argv[3])
"""


def main() -> None:
    """Measure, print a line for each figure, and end with 1 if a target was missed."""
    parser = registries.parser_of_options("Print the figures of large registries.")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the sizes")
    parser.add_argument("--only", choices=("models", "url", "million"), help="one part")
    given = parser.parse_args()
    part = 100 if given.quick else 1
    with registries.benchmark(given.folder) as (table, folder, environ):
        if given.only in (None, "models"):
            for count in (10_000, 50_000):
                _measure_models(table, folder / f"models-{count}", environ, count // part, is_full=part == 1)
            _measure_tagged(table, folder / "tagged", environ, 10_000 // part)
        if given.only in (None, "url"):
            _measure_by_url(table, folder / "url", environ, 100_000 // part, is_full=part == 1)
        if given.only in (None, "million"):
            _measure_million(table, folder / "million", environ, 10_000 // part)


def _measure_models(table: Table, path: Path, environ: dict[str, str], count: int, *, is_full: bool) -> None:
    """Print the costs of lists of *count* models, each with one version. If *is_full*, prints the targets, too."""
    table.section(f"{count:,} models with a version each")
    registries.new_repository(path, environ)
    registries.write(path, _models(count), environ)

    def line(words: list[str], *, first: bool, most: float | None = None) -> None:
        """Print the cost of the command *words*. If *first*, deletes the index of the clone before it.

        The target is a wall time of at most *most* ms (None: there is no target).
        """
        name = " ".join(["git model", *words]) + (", the first in the clone" if first else "")
        cost = _once(words, environ, path) if first else _command(words, environ, path)
        table.cost(name, cost, wall=most if is_full else None)

    page, many = ["list", "--limit", "50"], count * (1 if is_full else 100) > 10_000
    line(page, first=True, most=3_000 if many else None)
    line(["list"], first=True)
    line(["list"], first=False, most=None if many else 600)
    line(page, first=False)


def _models(count: int) -> Iterator[tuple[list[registries.File], str]]:
    """Yield commits that together register *count* models, each with a version."""
    yield [(paths.REGISTRY, codec.encode(RegistryRecord()))], "Begin the registry"
    for start in range(0, count, _PER_COMMIT):
        files: list[registries.File] = []
        for number in range(start, min(start + _PER_COMMIT, count)):
            name = f"model-{number:05}"
            record = ModelRecord(created=registries.START, license="Apache-2.0", description=f"Knows {name}.")
            files.append((paths.model_file(name), codec.encode(record)))
            files.append((paths.version_file(name, 1), codec.encode(registries.version(1, shift=number))))
        yield files, f"Register models from {start}"


def _measure_tagged(table: Table, path: Path, environ: dict[str, str], count: int) -> None:
    """Print the costs of lists and of `apply` with *count* models. Each model has a stage tag, which they judge."""
    table.section(f"{count:,} models with a version and a stage tag each")
    registries.new_repository(path, environ)
    registries.write(path, _models(count), environ)
    registries.write(path, _promotions(count), environ)
    log = ["git", "-C", str(path), "rev-list", "--first-parent", "--reverse", registries.BRANCH]
    commits = subprocess.run(log, check=True, env=environ, capture_output=True, text=True).stdout.split()[-count:]
    tag = "tag model/model-%05d/production\nfrom %s\ntagger %s 1767225600 +0000\ndata 9\npromoted\n\n"
    stream = "".join(tag % (number, commit, registries.WHO) for number, commit in enumerate(commits))
    subprocess.run(["git", "-C", str(path), "fast-import", "--quiet"], input=stream.encode(), check=True, env=environ)
    table.cost("git model list, the first in the clone", _once(["list"], environ, path))
    table.cost("git model list", _command(["list"], environ, path))
    table.cost("git model apply", _once(["apply"], environ, path))


def _promotions(count: int) -> Iterator[tuple[list[registries.File], str]]:
    """Yield a commit for each of *count* models. The commit puts the version of the model into production."""
    for number in range(count):
        name = f"model-{number:05}"
        digest = links_digest(registries.version(1, shift=number).artifacts)
        record = StageRecord(version=1, artifacts=digest, reason="better")
        yield [(paths.stage_file(name, "production"), codec.encode(record))], f"Promote {name} 1 to production"


def _measure_by_url(table: Table, folder: Path, environ: dict[str, str], count: int, *, is_full: bool) -> None:
    """Print the costs of a first write by URL, and of a clone, of a registry with *count* versions and commits.

    If *is_full*, prints the targets, too.
    """
    table.section(f"{count:,} versions of a model, each a commit, by URL, with empty caches")
    made = registries.new_repository(folder / "made", environ)
    registries.build(made, {"iris": range(1, count + 1)}, environ)
    with serve(folder, made, environ) as server:
        _compare_by_url(table, folder, environ, server.url, "iris", is_full=is_full)


def _compare_by_url(
    table: Table, folder: Path, environ: dict[str, str], server: str, model: str, *, is_full: bool
) -> None:
    """Print the costs of writes and clones over HTTP and by path, and of git commands that fetch the same objects.

    The registry is served at the URL *server*, and is `remote.git` in *folder*. If *is_full*, prints the targets, too.
    """
    tip = ["git", "clone", "-q", "--bare", "--depth=1"]
    cases: list[tuple[str, Callable[[str, Path], list[str]], int | None]] = [
        ("create a version", lambda url, place: [sys.executable, "-c", _CREATE, url, model, ""], 1_500),
        ("  with a key", lambda url, place: [sys.executable, "-c", _CREATE, url, model, place.name], None),
        (
            "  git clone --depth=1 --filter=blob:none",
            lambda url, place: [*tip, "--filter=blob:none", url, str(place)],
            None,
        ),
        ("git model clone", lambda url, place: [_GIT_MODEL, "clone", url, str(place)], 10_000),
        (
            "  git clone --no-checkout",
            lambda url, place: ["git", "clone", "-q", "--no-checkout", url, str(place)],
            None,
        ),
    ]
    # uses a file: URL for the path, because git copies files instead of fetching objects if it gets a plain path
    for how, url in (("HTTP", f"{server}/remote.git"), ("path", (folder / "remote.git").as_uri())):
        for what, command, most in cases:
            times = 3 if "clone" in what else 7
            cost, own = _of_both_sides(command, url, folder, environ, times)
            table.cost(f"{what}, by {how}", cost, wall=most if is_full else None)
            table.spread(cost, own)


def _of_both_sides(
    command: Callable[[str, Path], list[str]], url: str, folder: Path, environ: dict[str, str], times: int
) -> tuple[Cost, float]:
    """Return the cost of a command including the server's CPU time, and the CPU time in ms of the client alone.

    *command* returns the words of the command for *url* and a new folder. Runs it *times* times, each with a new folder
    and an empty cache.
    """
    costs, own = [], []
    for number in range(times):
        place = folder / f"new-{number}-{os.urandom(4).hex()}"
        cpu, wall = cpu_seconds(), time.perf_counter()
        process = subprocess.Popen(
            command(url, place),
            env={**environ, "XDG_CACHE_HOME": f"{place}.cache"},
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - wall
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        costs.append(Cost((cpu_seconds() - cpu) * 1000, wall * 1000))
        own.append((usage.ru_utime + usage.ru_stime) * 1000)
        for made in (place, Path(f"{place}.cache")):
            shutil.rmtree(made, ignore_errors=True)
    return middle(costs), sorted(own)[times // 2]


def _measure_million(table: Table, folder: Path, environ: dict[str, str], models: int) -> None:
    """Print the costs of commands with *models* models of 100 versions. One commit adds all versions of a model."""
    table.section(f"{models:,} models of 100 versions each ({100 * models:,} versions)")
    made = registries.new_repository(folder / "made", environ)
    names = [f"model-{number:05}" for number in range(models)]
    built = measure_once(
        lambda: registries.build(made, {name: range(1, 101) for name in names}, environ, versions_per_commit=100)
    )
    table.cost("(git fast-import of this registry)", built)
    page = ["list", "--limit", "50"]
    for words in (page, ["list"], ["version", "list", "--filter", "metadata.epochs == 25", "--limit", "50"]):
        table.cost(" ".join(["git model", *words]) + ", the first in the clone", _once(words, environ, made))
        table.cost(" ".join(["git model", *words]), _command(words, environ, made))
    for words in (["resolve", f"{names[-1]}@latest"], ["version", "list", names[-1], "--limit", "50"]):
        table.cost(" ".join(["git model", *words]), _command(words, environ, made))
    table.cost("git model version create", _command(["version", "create", names[0]], environ, made))
    index = sum(path.stat().st_size for path in (made / ".git" / "gitmodel").rglob("*") if path.is_file())
    table.value("size of the index", f"{index >> 20} MB")
    with serve(folder, made, environ) as server:
        _compare_by_url(table, folder, environ, server.url, names[0], is_full=False)


def _command(words: list[str], environ: dict[str, str], path: Path) -> Cost:
    return measure_command([_GIT_MODEL, *words], environ, path, times=5)


def _once(words: list[str], environ: dict[str, str], path: Path) -> Cost:
    """Return the cost of the command *words* in the clone at *path*, whose index is deleted before."""
    shutil.rmtree(path / ".git" / "gitmodel", ignore_errors=True)
    return run_command([_GIT_MODEL, *words], environ, path)


if __name__ == "__main__":
    main()
