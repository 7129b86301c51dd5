"""The cost of scale: lists of many models, a first write by URL, and a clone: `python benchmarks/scale.py`."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import registries
from by_url import serve
from measuring import Cost, Table, describe_machine, measure, measure_command

from gitmodel.client import Client
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import ModelRecord, RegistryRecord

_PER_COMMIT = 100


def main() -> None:
    """Measure, print a line for each figure, and end with 1 if a target was missed."""
    parser = argparse.ArgumentParser(description="Print the figures of large registries.")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the sizes")
    parser.add_argument("--folder", type=Path, help="where registries are made (on a disk, not in memory)")
    given = parser.parse_args()
    part = 100 if given.quick else 1
    with tempfile.TemporaryDirectory(prefix="gitmodel-scale-", dir=given.folder) as temporary:
        folder, table = Path(temporary), Table()
        print(describe_machine(folder))
        environ = registries.hermetic_environment(folder / "home")
        for count in (10_000, 50_000):
            _measure_models(table, folder / f"models-{count}", environ, count // part, is_full=part == 1)
        _measure_by_url(table, folder, environ, 100_000 // part, is_full=part == 1)
    raise SystemExit(1 if table.missed else 0)


def _measure_models(table: Table, path: Path, environ: dict[str, str], count: int, *, is_full: bool) -> None:
    """Print what lists of *count* models with one version each cost."""
    table.section(f"{count:,} models with a version each")
    registries.new_repository(path, environ)
    registries.write(path, lambda begun: _models(count), environ)

    def line(words: list[str], *, first: bool, most: float | None = None) -> None:
        """Print the cost of a command; *most* is the target in ms of wall time."""
        name = " ".join(["git model", *words]) + (", the first in the clone" if first else "")
        cost = _once(words, environ, path) if first else _command(words, environ, path)
        judged = is_full and most is not None
        table.cost(name, cost, f"<= {most:g} ms wall" if judged else "", cost.wall <= most if judged else None)

    page, many = ["list", "--limit", "50"], count * (1 if is_full else 100) > 10_000
    line(page, first=True, most=3_000 if many else None)
    line(["list"], first=True)
    line(["list"], first=False, most=None if many else 600)
    line(page, first=False)


def _models(count: int) -> Iterator[tuple[list[registries.File], str]]:
    """Yield commits that together register *count* models with a version each."""
    yield [(paths.REGISTRY, codec.encode(RegistryRecord()))], "Begin the registry"
    for start in range(0, count, _PER_COMMIT):
        files: list[registries.File] = []
        for number in range(start, min(start + _PER_COMMIT, count)):
            name = f"model-{number:05}"
            record = ModelRecord(created=registries.START, license="Apache-2.0", description=f"Knows {name}.")
            files.append((paths.model_file(name), codec.encode(record)))
            files.append((paths.version_file(name, 1), codec.encode(registries.version(1, shift=number))))
        yield files, f"Register models from {start}"


def _measure_by_url(table: Table, folder: Path, environ: dict[str, str], count: int, *, is_full: bool) -> None:
    """Print what a first write and a first clone cost with *count* versions, each a commit, over HTTP."""
    table.section(f"{count:,} versions by URL, with empty caches")
    made = registries.new_repository(folder / "made", environ)
    registries.build(made, {"iris": range(1, count + 1)}, environ)
    with serve(folder, made, environ) as server:
        url = f"{server.url}/remote.git"

        def create() -> None:
            cache = tempfile.mkdtemp(dir=folder)
            with Client(folder, repo=url, environ={**environ, "XDG_CACHE_HOME": cache}, timeout=600) as client:
                client.get_model("iris").create_version(metadata={"accuracy": 0.9})

        def clone() -> None:
            shutil.rmtree(folder / "clone", ignore_errors=True)
            command = [str(Path(sys.executable).parent / "git-model"), "clone", url, str(folder / "clone")]
            subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)

        for what, work, most in (("create a version", create, 1_500), ("git model clone", clone, 10_000)):
            cost = measure(work, times=3, warm=0)
            table.cost(what, cost, f"<= {most:,} ms wall" if is_full else "", cost.wall <= most if is_full else None)


def _command(words: list[str], environ: dict[str, str], path: Path) -> Cost:
    return measure_command([str(Path(sys.executable).parent / "git-model"), *words], environ, path, times=5)


def _once(words: list[str], environ: dict[str, str], path: Path) -> Cost:
    """Return the cost of a command in a clone without an index."""
    shutil.rmtree(path / ".git" / "gitmodel", ignore_errors=True)
    command = [str(Path(sys.executable).parent / "git-model"), *words]
    done = {"check": True, "env": environ, "cwd": path, "stdout": subprocess.DEVNULL}
    return measure(lambda: subprocess.run(command, **done), times=1, warm=0)


if __name__ == "__main__":
    main()
