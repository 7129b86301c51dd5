"""Compare the speed of this checkout with another commit: `python benchmarks/against.py COMMIT [--pairs N]`.

Measures commands, and many writes in one process. Runs both commits alternately, so that the load of the machine is the
same for both. Use the ratios of CPU times for a comparison: they depend least on the load.
"""

import subprocess
import sys
from pathlib import Path

import registries
from measuring import Cost, Table, measure_command, middle

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = 300
COMMANDS = (
    ("--version",),
    ("list",),
    ("resolve", "iris@production"),
    ("show", "iris@production"),
    ("version", "list", "iris"),
    ("history", "iris", "production"),
    ("version", "create", "iris", "--metadata", "accuracy=0.9"),
)
# A program that prints the mean CPU times, in ms, of creating a version and of promoting it. They include those of
# its git processes, also of those that have not ended yet.
WRITES = f"""
import sys
sys.path.append({str(ROOT / "benchmarks")!r})
from gitmodel import Client
from measuring import cpu_seconds as spent

model, times = Client().get_model("iris"), []
for number in range(60):
    before = spent()
    version = model.create_version(metadata={{"accuracy": number / 60}})
    between = spent()
    version.set_stage("staging")
    times.append((between - before, spent() - between))
print(*(sum(found) / len(found) * 1000 for found in zip(*times[10:])))
"""

MAKE = f"""
from gitmodel import Client

model = Client().register_model("iris")
for number in range({VERSIONS}):
    version = model.create_version(metadata={{"accuracy": number / {VERSIONS}, "rows": number}})
version.set_stage("production")
"""


def extract(commit: str, folder: Path) -> Path:
    """Write the package gitmodel of *commit* to *folder*."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit, "gitmodel"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def measure_commands(table: Table, repo: Path, environs: list[dict[str, str]], pairs: int) -> None:
    """Measure `import gitmodel` and each of `COMMANDS` *pairs* times with both commits in turn.

    *environs* are the environment variables that select this checkout and the other commit.
    """
    table.section(f"whole commands on a model of {VERSIONS} versions, and their ratio to those of the other commit")
    python = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    imported = [*python, "-c", "import gitmodel"]
    asked = [(" ".join(("git model", *words)), [*python, "-m", "gitmodel", *words]) for words in COMMANDS]
    for name, command in [("python -c 'import gitmodel'", imported), *asked]:
        costs: list[list[Cost]] = [[], []]
        for _ in range(pairs):
            for found, environ in zip(costs, environs, strict=True):
                found.append(measure_command(command, environ, repo, times=1))
        ours, theirs = map(middle, costs)
        table.cost(name, ours)
        table.ratio("its ratio", ours, theirs, 1.1)


def measure_writes(table: Table, repo: Path, environs: list[dict[str, str]], pairs: int) -> None:
    """Measure 50 creations and promotions of versions in a process, *pairs* times with both commits in turn.

    *environs* are the environment variables that select this checkout and the other commit.
    """
    table.section("writes in one process, CPU only")
    totals = [[0.0, 0.0], [0.0, 0.0]]
    for _ in range(pairs):
        for total, environ in zip(totals, environs, strict=True):
            command = [sys.executable, "-c", WRITES]
            done = subprocess.run(command, env=environ, cwd=repo, check=True, capture_output=True, text=True)
            for index, value in enumerate(done.stdout.split()):
                total[index] += float(value) / pairs
    for index, name in enumerate(("create a version", "promote it")):
        ours, theirs = (Cost(total[index], total[index]) for total in totals)
        table.cost(name, ours)
        table.ratio("its ratio", ours, theirs, 1.02)


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print what commands and writes cost, beside those of another commit.")
    parser.add_argument("commit", metavar="COMMIT")
    parser.add_argument("--pairs", type=int, default=9, metavar="N", help="repetitions of each measurement")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        places = [ROOT, extract(given.commit, folder / "theirs")]
        environs = [{**environ, "PYTHONPATH": str(place)} for place in places]
        repo = registries.new_repository(folder / "repo", environ)
        subprocess.run([sys.executable, "-c", MAKE], env=environs[1], cwd=repo, check=True)
        measure_commands(table, repo, environs, given.pairs)
        measure_writes(table, repo, environs, given.pairs)


if __name__ == "__main__":
    main()
