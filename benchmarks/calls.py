"""Measure two frequent calls and their spread: `python benchmarks/calls.py [--times N] [--folder DIR]`.

The calls are `create_version` with two files of 2 KB, in a code repository with one file and with 10,000 files, and the
command `resolve`.
"""

import os
import subprocess
import sys
from pathlib import Path

import registries
from measuring import Cost, Table, make_fresh_folder, measure_command, middle

LARGE = 10_000
UNTRACKED = 40_000
LONG_AGO = 1_600_000_000
# A program that creates versions, and prints a line for each: the CPU time and the wall time of its creation, in ms.
CREATE = """
import os, resource, sys, time
from pathlib import Path
from gitmodel import Client

times, files = int(sys.argv[1]), [Path(name) for name in sys.argv[2:]]

def spent():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

with Client() as client:
    model = client.register_model("iris", exist_ok=True)
    for _ in range(times + 1):
        for file in files:
            file.write_bytes(os.urandom(2048))
        cpu, wall = spent(), time.perf_counter()
        model.create_version(data={"train": files[0]}, model_objects={"classifier": files[1]})
        print((spent() - cpu) * 1000, (time.perf_counter() - wall) * 1000)
"""


def make_code(repo: Path, environ: dict[str, str], files: int) -> Path:
    """Create a repository at *repo* with one commit that contains *files* files, and return *repo*."""
    registries.new_repository(repo, environ)
    for number in range(files):
        folder = repo / str(number // 100)
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.py").write_text(f"x = {number}\n" * 100, encoding="utf-8")
    for command in (["add", "."], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *command], cwd=repo, env=environ, check=True)
    return repo


def create(repo: Path, environ: dict[str, str], times: int) -> list[Cost]:
    """Create *times* + 1 versions in one process, and return the cost of each. The first version costs more."""
    files = [str(repo.parent / name) for name in ("train.bin", "classifier.bin")]
    command = [sys.executable, "-c", CREATE, str(times), *files]
    done = subprocess.run(command, cwd=repo, env=environ, check=True, capture_output=True, text=True)
    return [Cost(float(cpu), float(wall)) for cpu, wall in map(str.split, done.stdout.splitlines())]


def measure_creation(table: Table, folder: Path, environ: dict[str, str], times: int) -> Path:
    """Measure `create_version` in code repositories that git checks for uncommitted changes at different speeds.

    These have one file, many files, many files whose times have changed, and many new files that git does not track.
    Returns the repository with one file.
    """
    table.section("create_version with two files of 2 KB")

    def line(what: str, costs: list[Cost], most: float | None = None) -> None:
        table.cost(what, middle(costs), wall=most)
        table.spread(middle(costs))

    small = make_code(make_fresh_folder(folder, "small"), environ, 1)
    line("first in a process", [create(small, environ, 0)[0] for _ in range(5)])
    line("later ones", create(small, environ, times)[1:], 12)
    large = make_code(make_fresh_folder(folder, "large"), environ, LARGE)
    line(f"in code of {LARGE:,} files", create(large, environ, times)[1:])
    for path in large.glob("*/*.py"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    first, *later = create(large, environ, times)
    table.cost("  after all times of the files changed, first", first)
    line("  after all times of the files changed, later", later)
    (small / "data").mkdir()
    for number in range(UNTRACKED):
        (small / "data" / str(number)).touch()
    line(f"beside a new folder of {UNTRACKED:,} files", create(small, environ, times)[1:])
    return small


def measure_resolve(table: Table, repo: Path, environ: dict[str, str], times: int) -> None:
    """Measure the command `resolve` in *repo*, and for comparison the start of Python and the import of click."""
    table.section("the command resolve, in small code")
    resolve = [str(Path(sys.executable).parent / "git-model"), "resolve", "iris@latest"]
    table.cost("git model resolve iris@latest", measure_command(resolve, environ, repo, times=times), cpu=60)
    for what in ("pass", "import click"):
        table.cost(f"(python -c '{what}')", measure_command([sys.executable, "-c", what], environ, repo, times=times))


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print what the calls and commands of users cost.")
    parser.add_argument("--times", type=int, default=40, metavar="N", help="repetitions of each measurement")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        small = measure_creation(table, folder, environ, given.times)
        measure_resolve(table, small, environ, given.times)


if __name__ == "__main__":
    main()
