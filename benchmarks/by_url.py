"""Measure a registry by URL over HTTP on loopback: time, number of requests and size of the cache.

`python benchmarks/by_url.py` prints only these figures; `python benchmarks/teams.py` prints them at its end.
"""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import registries

from gitmodel.client import Client

sys.path.extend(str(Path(__file__).parents[1] / "tests" / folder) for folder in ("", "teams"))
from servers import http_server

SIZES = (10, 10_000)
ROUNDS = 3
JOBS = 20
WORKS: dict[str, Callable[[Client], Any]] = {
    "resolve": lambda client: client.get_version("iris@production").metadata,
    "list": lambda client: client.list_models(),
    "create a version": lambda client: client.get_model("iris").create_version(metadata={"accuracy": 0.9}),
}


def main() -> None:
    """Measure, and print a line for each figure."""
    with registries.benchmark() as (_, folder, environ):
        for size in SIZES:
            measure(folder / str(size), size, environ)


@contextmanager
def serve(place: Path, made: Path, environ: dict[str, str]) -> Iterator[Any]:
    """Copy the registry at *made* to the bare repository `remote.git` in *place*.

    Serve it by HTTP; yield the server.
    """
    remote = place / "remote.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(made), str(remote)], check=True, env=environ)
    subprocess.run(["git", "-C", str(remote), "symbolic-ref", "HEAD", registries.BRANCH], check=True, env=environ)
    # packs the repository as a host does, with a bitmap of the objects that each commit reaches, so that fetches are
    # fast
    subprocess.run(["git", "-C", str(remote), "repack", "-adbq"], check=True, env=environ)
    for key in ("uploadpack.allowFilter", "http.receivepack"):
        subprocess.run(["git", "-C", str(remote), "config", key, "true"], check=True, env=environ)
    with http_server(place) as server:
        yield server


def measure(place: Path, size: int, environ: dict[str, str]) -> None:
    """Serve a registry of *size* versions, and measure `WORKS` with an empty cache (cold) and a full one (warm)."""
    place.mkdir()
    made = registries.new_repository(place / "made", environ)
    registries.build(made, {"iris": range(1, size + 1)}, environ)
    with Client(made, environ=environ) as client:
        client.get_version(f"iris@{size // 2}").set_stage("production")
    with serve(place, made, environ) as server:
        caches = (place / f"cache-{number}" for number in count())

        def opened(cache: Path) -> Client:
            return Client(
                place, repo=f"{server.url}/remote.git", environ={**environ, "XDG_CACHE_HOME": str(cache)}, timeout=600
            )

        for name, work in WORKS.items():
            for warm in (False, True):
                seconds, trips, kept, cache = [], 0, 0, next(caches)
                for turn in range(ROUNDS + warm):
                    cache = cache if warm else next(caches)
                    with opened(cache) as client:
                        server.seen.clear()
                        begun = time.perf_counter()
                        work(client)
                        seconds += [time.perf_counter() - begun] if turn or not warm else []
                    trips = len(server.seen)
                    kept = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
                show(size, f"{name}, {'warm' if warm else 'cold'}", statistics.median(seconds), trips, kept)
        if size == SIZES[0]:
            clients = [opened(next(caches)) for _ in range(JOBS)]
            threads = [threading.Thread(target=WORKS["create a version"], args=(client,)) for client in clients]
            server.seen.clear()
            begun = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            show(size, f"{JOBS} versions by {JOBS} jobs at once", time.perf_counter() - begun, len(server.seen), 0)
            for client in clients:
                client.close()


def show(size: int, name: str, seconds: float, trips: int, kept: int) -> None:
    """Print a line with the time in *seconds*, the number of requests *trips*, and the bytes *kept* in the cache."""
    held = f"{kept / 1024:8.0f} KB cached" if kept else ""
    print(f"by URL, {size:6} versions: {name:28} {seconds * 1000:8.0f} ms {trips:4} round trips {held}", flush=True)


if __name__ == "__main__":
    main()
