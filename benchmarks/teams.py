"""Measure the work of a team: pull, push, replay of local commits, plan and check of proposals, registries by URL."""

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import by_url
from registries import BRANCH, benchmark, build, new_repository

from gitmodel.client import Client
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.teams.checks.range_checks import check_between
from gitmodel.teams.plans.planning import plan

VERSIONS = 1_000
DIVERGENT = 200
ROUNDS = 3
# The number of versions that a proposal adds, and the sizes of the registries in which it is checked, in versions.
FILES = 1_000
REGISTRIES = (1_000, 10_000)


def main() -> None:
    """Measure, and print a line for each figure."""
    with benchmark() as (_, top, environ):
        begin(top, environ)
        figures: dict[str, list[float]] = {}
        for turn in range(ROUNDS):
            place = top / f"turn-{turn}"
            shutil.copytree(top / "start", place, symlinks=True)
            measure(place, environ, figures)
            shutil.rmtree(place)
        for versions in REGISTRIES:
            measure_proposals(top / f"registry-{versions}", versions, environ, figures)
    for name, seconds in figures.items():
        print(f"{name:62} {statistics.median(seconds) * 1000:9.0f} ms")
    replay = statistics.median(figures[f"replay of {DIVERGENT} divergent commits"])
    print(f"{'replay of one commit':62} {replay / DIVERGENT * 1000:9.1f} ms")
    by_url.main()


def begin(top: Path, environ: dict[str, str]) -> None:
    """Create `remote.git` with a model of ten versions, and the clones `ada` and `bob`, in the folder *top*/start."""
    start = top / "start"
    subprocess.run(["git", "init", "-q", "--bare", str(start / "remote.git")], check=True, env=environ)
    for name in ("ada", "bob"):
        subprocess.run(["git", "init", "-q", str(start / name)], check=True, env=environ)
        subprocess.run(["git", "-C", str(start / name), "remote", "add", "origin", "../remote.git"], check=True)
        with Client(start / name, environ=environ) as client:
            if name == "ada":
                client.register_model("iris")
                add(client, 10)
                client.push()
            else:
                client.pull()


def measure(place: Path, environ: dict[str, str], figures: dict[str, list[float]]) -> None:
    """Measure a push from the clone `ada`, and a pull of `bob`.

    Then both create versions, and push one after the other. The second push must replay the commits of `bob` on those
    of `ada`. Adds the seconds of each operation to *figures*.
    """

    def timed(name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        figures.setdefault(name, []).append(time.perf_counter() - begun)

    with Client(place / "ada", environ=environ) as ada, Client(place / "bob", environ=environ) as bob:
        add(ada, VERSIONS)
        timed(f"push of {VERSIONS} new versions", ada.push)
        timed(f"pull of {VERSIONS} new versions", bob.pull)
        timed("pull of nothing", bob.pull)
        add(ada, 1)
        ada.push()
        add(bob, DIVERGENT)
        timed(f"replay of {DIVERGENT} divergent commits", bob.pull)
        timed(f"push of {DIVERGENT} replayed commits", bob.push)


def measure_proposals(path: Path, versions: int, environ: dict[str, str], figures: dict[str, list[float]]) -> None:
    """Measure `check` and `plan` of a proposal with `FILES` new versions, and of a proposal with a single promotion.

    Creates a registry of *versions* versions at *path*. Adds the seconds of each operation to *figures*.
    """
    build(new_repository(path, environ), {"iris": range(1, versions + 1)}, environ)
    base = commit_at(path, BRANCH)
    with Client(path, environ=environ) as client:
        client.get_version(f"iris@{versions}").set_stage("production")
    proposals = {"1 promotion": (base, commit_at(path, BRANCH))}
    subprocess.run(["git", "-C", str(path), "update-ref", BRANCH, base], check=True, env=environ)
    build(path, {"iris": range(versions + 1, versions + FILES + 1)}, environ)
    proposals[f"{FILES:,} new files"] = (base, commit_at(path, BRANCH))
    for what, (old, new) in proposals.items():
        for verb, work in (("check", check_between), ("plan", plan)):
            for _ in range(ROUNDS):
                with Client(path, environ=environ) as client:
                    begun, busy = time.perf_counter(), time.process_time()
                    found = work(client.repository, old, new)
                    seconds, worked = time.perf_counter() - begun, time.process_time() - busy
                assert not found.problems, found.problems[:3]
                name = f"{verb} of {what}, on {versions:,} versions"
                figures.setdefault(name, []).append(seconds)
                figures.setdefault(f"{name}, CPU without git's", []).append(worked)


def commit_at(path: Path, ref: str) -> Oid:
    """Return the commit that *ref* names."""
    said = subprocess.run(["git", "-C", str(path), "rev-parse", ref], check=True, capture_output=True, text=True)
    return Oid(said.stdout.strip())


def add(client: Client, count: int) -> None:
    """Create *count* versions of iris through *client*, each in its own commit."""
    model = client.get_model("iris")
    for number in range(count):
        model.create_version(metadata={"accuracy": number / count, "of": count})


if __name__ == "__main__":
    main()
