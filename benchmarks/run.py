"""Print all figures of size and speed with their targets: `python benchmarks/run.py [--quick]`.

CPU and wall times are medians in milliseconds. CPU times include the git processes. `git fast-import` creates the
registries, then gitmodel reads and writes them. All data is on disk (`fsync`) when a write returns.
"""

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import registries
from lineage import measure_graph, measure_kept_code, measure_lineage
from measuring import (
    Cost,
    Table,
    make_fresh_folder,
    mean,
    measure,
    measure_command,
    measure_once,
    middle,
    peak_memory,
)
from peers import PEERS, Peer, run_peer
from plumbing import Plumbing, Recorder, Written
from searches import measure_searches
from store_care import measure_care
from stores import measure_s3, measure_stores

from gitmodel import __version__
from gitmodel.client import Client
from gitmodel.domain.schema.references import VersionRef
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.registry.health import checking
from gitmodel.registry.lists import model_views, version_lists
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding, versions

SEARCH = "metadata.epochs == 25"


class Work:
    """The operations to measure on a model with *count* versions. Each method performs its operation once."""

    def __init__(self, client: Client, model: str, count: int) -> None:
        self.client = client
        self.model = model
        self.newest = count
        self.others = itertools.cycle((1, 2))

    def create(self) -> None:
        number = self.newest + 1
        given = registries.version(number)
        made = versions.make_version(
            self.client.writer,
            self.model,
            versions.Draft(None, given.description, given.tags, given.metadata),
            artifacts=given.artifacts,
            code=given.code,
            runs=(),
        )
        self.newest = made.ref.number or 0

    def promote(self) -> None:
        """Put version 1 into production, or version 2 in the next call, and so on. This archives the current holder."""
        ref = VersionRef.of(self.model, next(self.others))
        stages.promote(self.client.writer, ref, "production")

    def resolve(self) -> None:
        finding.find(self.client.writer, VersionRef.of(self.model, "production"))

    def list_newest(self) -> None:
        version_lists.list_versions(self.client.writer, self.model, limit=50)

    def list_all(self) -> None:
        version_lists.list_versions(self.client.writer, self.model)

    def search(self) -> None:
        version_lists.list_versions(self.client.writer, self.model, filter=SEARCH)

    def list_models(self) -> None:
        model_views.list_models(self.client.writer)


class Benchmark:
    """One run of the benchmarks: a folder for registries, an environment, and the table of figures."""

    def __init__(self, table: Table, folder: Path, environ: dict[str, str], *, quick: bool) -> None:
        self.table = table
        self.folder = folder
        self.environ = environ
        self.quick = quick
        self.times = 10 if quick else 50
        # the cost of creating and promoting a version, by the number of versions of the model
        self.writes: dict[int, Cost] = {}

    @property
    def large(self) -> int:
        """The number of versions of the largest registry, to which most targets apply."""
        return 1_000 if self.quick else 10_000

    def versions(self) -> None:
        """Measure the operations on a model with few versions, and with many."""
        for count in sorted({10, 1_000, self.large}):
            self.table.section(f"One model with {count:,} versions, in one process")
            path = self._registry(count)
            with Client(path, environ=self.environ) as client:
                work = Work(client, "iris", count)
                create, promote = measure(work.create, times=self.times), measure(work.promote, times=self.times)
                self.writes[count] = create + promote
                self.table.cost("create a version with two artifact links", create)
                self.table.cost("promote it, archiving who held the stage", promote)
                self.table.cost("resolve by stage, warm", measure(work.resolve, times=200), wall=1)
                self.table.cost("list the newest 50, warm", measure(work.list_newest, times=self.times))
            self._reads(path, count)
        self.table.section(f"Writing at {self.large:,} versions against 10")
        self.table.ratio("create + promote", self.writes[self.large], self.writes[10], 1.5)

    def _reads(self, path: Path, count: int) -> None:
        large = count == 10_000
        self.table.cost("list the newest 50, cold", self._fresh(path, Work.list_newest))
        self.table.cost("list all, cold", self._fresh(path, Work.list_all), wall=500 if large else None)
        with Client(path, environ=self.environ) as client:
            work = Work(client, "iris", 0)
            self.table.cost("list all, unchanged", measure(work.list_all, times=10), wall=50 if large else None)
            self.table.cost(f"search all by metadata ({SEARCH}), warm", measure(work.search, times=5))

    def _fresh(self, path: Path, operation: Callable[[Work], None]) -> Cost:
        return registries.measure_fresh(path, self.environ, lambda client: operation(Work(client, "iris", 0)))

    def plumbing(self) -> None:
        """Measure git's own commands writing the objects and refs that gitmodel writes for creations and promotions."""
        count = self.large
        self.table.section(f"The same objects and refs at {count:,} versions, written through git's plumbing")
        source = self._registry(count)
        copies = [shutil.copytree(source, self.folder / name) for name in ("script", "fast")]
        with Client(source, environ=self.environ) as client:
            work = Work(client, "iris", count)
            client.repository.tip()
            recorder = Recorder(client.repository)
            for _ in range(self.times):
                work.create()
            for _ in range(self.times):
                work.promote()
        created, promoted = recorder.changes[: self.times], recorder.changes[self.times :]
        for path, name, at_most in (
            (copies[0], "a process for each object, as a script", None),
            (copies[1], "unpack-objects and update-ref, flushing in one go", 3),
        ):
            git = Plumbing(path, self.environ)
            write = git.by_commands if at_most is None else git.by_two_processes
            both = _measure_each(write, created) + _measure_each(write, promoted)
            self.table.cost(f"create + promote: {name}", both)
            if at_most:
                self.table.ratio("gitmodel against that", self.writes[count], both, at_most, unit="wall")

    def commands(self) -> None:
        """Measure commands, from their start to their exit."""
        self.table.section(f"Whole commands on {self.large:,} versions; the promotion in force is as many commits old")
        path = self._registry(self.large, promoted=True)
        script = Path(sys.executable).parent / "git-model"
        for command, target in (
            (["--version"], 60),
            (["resolve", "iris@production"], 120),
            (["list"], 120),
            (["version", "list", "iris", "--limit", "50"], 120),
            (["version", "list", "iris"], None),
        ):
            for start in ([str(script)], [sys.executable, "-m", "gitmodel"]):
                if len(start) > 1 and command[0] == "version":
                    continue
                cost = measure_command([*start, *command], self.environ, path, times=5 if self.quick else 15)
                name = " ".join(["git model" if len(start) == 1 else "python -m gitmodel", *command])
                self.table.cost(name, cost, cpu=target)
        bare = measure_command([sys.executable, "-c", "pass"], self.environ, path, times=5 if self.quick else 15)
        self.table.cost("(python -c pass, for comparison)", bare)

    def models(self) -> None:
        """Measure a registry with many models, whose folders are all in models/: each commit writes this large tree."""
        count = 100 if self.quick else 1_000
        self.table.section(f"{count:,} models with 10 versions each; models/ is one flat folder")
        path = registries.new_repository(self.folder / "models", self.environ)
        names = [f"model-{number:04}" for number in range(count)]
        registries.build(path, {name: range(1, 11) for name in names}, self.environ, versions_per_commit=10)
        with Client(path, environ=self.environ) as client:
            work = Work(client, names[count // 2], 10)
            before = self._bytes(path)
            create = measure(work.create, times=self.times, warm=0)
            grown = (self._bytes(path) - before) / self.times
            promote = measure(work.promote, times=self.times)
            self.table.cost("create a version", create)
            self.table.cost("promote it, archiving who held the stage", promote)
            self.table.ratio("create + promote, against one model", create + promote, self.writes[10], 1.5)
            self.table.number("one version adds to .git", grown / 1024, "KiB")
            self.table.cost("resolve by stage, warm", measure(work.resolve, times=200), wall=1)
        with Client(path, environ=self.environ) as client:
            work = Work(client, "", 0)
            self.table.cost("list all models, cold", measure_once(work.list_models))
            self.table.cost("list all models, unchanged", measure(work.list_models, times=5))

    def growth(self) -> None:
        """Measure the disk space that a version adds to .git, with few and with many versions."""
        self.table.section("Growth of .git for each new version: of the disk (blocks, as `du` counts), and in bytes")
        disk: dict[int, float] = {}
        size: dict[int, float] = {}
        made: dict[int, Path] = {}
        for count in (10, self.large):
            path = made[count] = self._registry(count)
            before = self._bytes(path), self._blocks(path)
            with Client(path, environ=self.environ) as client:
                work = Work(client, "iris", count)
                for _ in range(50):
                    work.create()
            size[count], disk[count] = (self._bytes(path) - before[0]) / 50, (self._blocks(path) - before[1]) / 50
            said = f"{disk[count] / 1024:.1f} KiB, {size[count] / 1024:.1f} KiB of bytes"
            self.table.value(f"at {count:,} versions, as written (loose objects)", said)
        self.table.number("at many against few, disk", disk[self.large] / disk[10], "x", 2)
        self.table.number("at many against few, bytes", size[self.large] / size[10], "x")
        for count, path in made.items():
            subprocess.run(["git", "-C", path, "gc", "-q"], env=self.environ, check=True, capture_output=True)
            each = self._bytes(path) / (count + 50) / 1024
            self.table.number(f"{count + 50:,} versions after git gc, each", each, "KiB")

    def memory(self) -> None:
        """Measure the peak of the memory that the command for a list of versions needs."""
        count = 10_000 if self.quick else 100_000
        self.table.section(f"Peak memory of listing {count:,} versions")
        path = registries.new_repository(self.folder / "huge", self.environ)
        registries.build(path, {"iris": range(1, count + 1)}, self.environ, versions_per_commit=100)
        command = "import sys; sys.argv = ['gitmodel', *sys.argv[1:]]\nfrom gitmodel.cli import main\n"
        command += "import os; out = os.dup(1); os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
        command += "try: main()\nexcept SystemExit as done: assert not done.code, done.code\n"
        command += "sys.stdout.flush(); os.dup2(out, 1)"
        for form in ("table", "json"):
            arguments = ["-C", str(path), "--format", form, "version", "list", "iris"]
            peak = peak_memory(command, self.environ, *arguments)
            self.table.number(f"git model --format {form} version list iris", peak, "MB", 200)

    def validity(self) -> None:
        """Check a registry that `git fast-import` created, and end with an error if gitmodel finds a problem in it."""
        with Client(self._registry(1_000), environ=self.environ) as client:
            problems = checking.check(client.repository)
        if problems:
            raise SystemExit(f"the registry that was made for measuring is not valid: {problems[0]}")
        print("\n`git model check` finds nothing wrong with the registry of 1,000 versions that was made for this")

    def peers(self, chosen: list[Peer], cache: Path) -> None:
        """Measure the same work in the registries *chosen*, and print its cost beside that of gitmodel.

        The cost of gitmodel is the mean of two measurements, before and after the other registry.
        """
        count = 100 if self.quick else 1_000
        for peer in chosen:
            before = self._work_beside(count)
            place = make_fresh_folder(self.folder, "peer")
            found = run_peer(peer, count, place, cache=cache, seconds=60 if self.quick else 300)
            after = self._work_beside(count)
            ours = {what: mean([before[what], after[what]]) for what in before}
            self.table.section(f"{found.title}, against gitmodel {__version__} at {count:,} versions in the same run")
            if found.problem:
                print(f"does not run here: {found.problem}")
            for what, theirs in found.costs.items():
                mine = ours[what]
                self.table.cost(f"{what}: {found.name}, at {found.counts[what]:,} versions", theirs)
                must = found.name == "MLflow" and what in ("create", "promote")
                self.table.cost(f"{what}: gitmodel", mine, wall=3.6 if must and what == "create" else None)
                faster = "gitmodel" if mine.wall < theirs.wall else found.name
                ratio = max(mine.wall, theirs.wall) / min(mine.wall, theirs.wall)
                self.table.number(f"  {faster} is faster (wall)", ratio, "x")
                if must:
                    self.table.ratio(f"{what}: gitmodel / {found.name}", mine, theirs, 1.1, unit="wall")
                if must and what == "create":
                    self.table.spread(mine)

    def _work_beside(self, count: int) -> dict[str, Cost]:
        path = self._registry(count)
        with Client(path, environ=self.environ) as client:
            work = Work(client, "iris", count)
            costs = {
                "create": measure(work.create, times=self.times),
                "promote": measure(work.promote, times=self.times),
                "resolve": measure(work.resolve, times=self.times),
            }
        # Lists with new clients, because gitmodel caches lists and the peers do not. Searches with a client that has
        # read the records, because a search is usually not the first call.
        costs["list"] = self._fresh(path, Work.list_all)
        with Client(path, environ=self.environ) as client:
            costs["search"] = measure(Work(client, "iris", count).search, times=5)
        return costs

    def _registry(self, count: int, *, promoted: bool = False) -> Path:
        """Create a registry of *count* versions with version 3 in production, and return its path.

        Version 3 enters production after version 5 was created if *promoted*, otherwise after the last version.
        """
        path = make_fresh_folder(self.folder, f"versions-{count}")
        registries.new_repository(path, self.environ)
        first = 5 if promoted else count
        registries.build(path, {"iris": range(1, first + 1)}, self.environ)
        with Client(path, environ=self.environ) as client:
            stages.promote(client.writer, VersionRef.of("iris", 3), "production")
        if promoted:
            registries.build(path, {"iris": range(first + 1, count + 1)}, self.environ)
        return path

    def _bytes(self, path: Path) -> int:
        return sum(file.stat().st_size for file in (path / ".git").rglob("*") if file.is_file())

    def _blocks(self, path: Path) -> int:
        return sum(file.stat().st_blocks * 512 for file in (path / ".git").rglob("*"))


def _measure_each(write: Callable[[list[NewObject], list[str]], None], changes: list[Written]) -> Cost:
    return middle([measure_once(partial(write, change.objects, change.moves)) for change in changes])


def main() -> None:
    """Print the chosen figures, and end with exit code 1 if a target was missed."""
    parser = registries.parser_of_options("Print every figure of gitmodel's size and speed.")
    parser.add_argument("--quick", action="store_true", help="small sizes: a minute instead of a quarter of an hour")
    parts = (
        "validity",
        "versions",
        "plumbing",
        "commands",
        "models",
        "growth",
        "memory",
        "searches",
        "lineage",
        "stores",
        "care",
        "s3",
        "peers",
    )
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="these parts alone")
    parser.add_argument("--peers", nargs="*", choices=sorted(PEERS), default=sorted(PEERS), help="whom to compare with")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "gitmodel-benchmarks", help="where peers are installed"
    )
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        run = Benchmark(table, folder, environ, quick=given.quick)
        wanted = set(given.only)
        if wanted & {"plumbing", "models"}:
            wanted.add("versions")
        for part in parts:
            if part not in wanted:
                continue
            if part == "stores":
                measure_stores(table, folder / "stores", size=(64 if run.quick else 1024) << 20, files=run.large)
            elif part == "searches":
                models = 100 if run.quick else 1_000
                cache = given.cache if "mlflow" in given.peers else None
                searches = folder / "searches"
                measure_searches(table, searches, environ, count=run.large, models=models, cache=cache)
            elif part == "care":
                measure_care(table, folder / "care", environ, objects=10 * run.large)
            elif part == "s3":
                measure_s3(table, folder / "s3", size=(64 if run.quick else 1024) << 20, files=run.large)
            elif part == "lineage":
                sizes = (run.large,) if run.quick else (run.large, 10 * run.large)
                measure_lineage(table, folder / "lineage", environ, sizes)
                measure_kept_code(table, folder / "lineage", environ, run.large)
                measure_graph(table, folder / "lineage", environ, min(sizes))
            elif part == "peers":
                run.peers([PEERS[name] for name in given.peers], given.cache)
            else:
                getattr(run, part)()


if __name__ == "__main__":
    main()
