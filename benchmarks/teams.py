"""What working with others costs: pull and push of 1,000 new versions, replay of 200 divergent commits."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from registries import hermetic_environment

from gitmodel.client import Client

VERSIONS = 1_000
DIVERGENT = 200
ROUNDS = 3


def main() -> None:
    """Measure, and print a line for each figure."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        environ = hermetic_environment(top / "home")
        begin(top, environ)
        figures: dict[str, list[float]] = {}
        for turn in range(ROUNDS):
            place = top / f"turn-{turn}"
            shutil.copytree(top / "start", place, symlinks=True)
            measure(place, environ, figures)
            shutil.rmtree(place)
    for name, seconds in figures.items():
        print(f"{name:44} {statistics.median(seconds) * 1000:9.0f} ms")
    replay = statistics.median(figures[f"replay of {DIVERGENT} divergent commits"])
    print(f"{'replay of one commit':44} {replay / DIVERGENT * 1000:9.1f} ms")


def begin(top: Path, environ: dict[str, str]) -> None:
    """A remote with a model of ten versions, and two clones that have it."""
    start = top / "start"
    subprocess.run(["git", "init", "-q", "--bare", str(start / "remote.git")], check=True, env=environ)
    for name in ("ada", "bob"):
        subprocess.run(["git", "init", "-q", str(start / name)], check=True, env=environ)
        subprocess.run(["git", "-C", str(start / name), "remote", "add", "origin", "../remote.git"], check=True)
        with opened(start / name, environ) as client:
            if name == "ada":
                client.register_model("iris")
                add(client, 10)
                client.push()
            else:
                client.pull()


def measure(place: Path, environ: dict[str, str], figures: dict[str, list[float]]) -> None:
    """One round: Ada pushes, Bob pulls; both go on apart, Ada pushes, Bob replays and pushes."""

    def timed(name: str, work: Callable[[], object]) -> None:
        begun = time.perf_counter()
        work()
        figures.setdefault(name, []).append(time.perf_counter() - begun)

    with opened(place / "ada", environ) as ada, opened(place / "bob", environ) as bob:
        add(ada, VERSIONS)
        timed(f"push of {VERSIONS} new versions", ada.push)
        timed(f"pull of {VERSIONS} new versions", bob.pull)
        timed("pull of nothing", bob.pull)
        add(ada, 1)
        ada.push()
        add(bob, DIVERGENT)
        timed(f"replay of {DIVERGENT} divergent commits", bob.pull)
        timed(f"push of {DIVERGENT} replayed commits", bob.push)


def add(client: Client, count: int) -> None:
    """Make *count* versions, each in a commit of its own."""
    model = client.get_model("iris")
    for number in range(count):
        model.create_version(metadata={"accuracy": number / count})


def opened(path: Path, environ: dict[str, str]) -> Client:
    """The registry at *path*."""
    return Client(path, environ=environ)


if __name__ == "__main__":
    sys.exit(main())
