"""What questions about the past cost: on a registry of many commits, before and after `git model maintenance`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import registries
from measuring import Cost, Table, measure
from registries import File

from gitmodel.client import Client
from gitmodel.domain import codec, paths, records
from gitmodel.domain.records import ModelRecord, RegistryRecord, StageRecord, links_digest

TARGET = 200
# Every so many versions one is promoted, so that a stage of 10,000 commits had some 900 holders.
EVERY = 10


def measure_lineage(table: Table, folder: Path, environ: dict[str, str], sizes: tuple[int, ...]) -> None:
    """Each question in a process that has read nothing yet, for each number of commits in *sizes*."""
    for size in sizes:
        path = registries.new_repository(folder / f"commits-{size}", environ)
        make_history(path, size, environ)
        for kept in (False, True):
            if kept:
                with registries.open_registry(path, environ) as client:
                    table.section(f"{size:,} commits: git model maintenance")
                    table.cost("the first time", measure(client.maintain, times=1, warm=0))
                    table.cost("again", measure(client.maintain, times=1, warm=0))
            table.section(f"{size:,} commits, {'after' if kept else 'before'} maintenance; nothing in memory")
            for what, question in questions(size).items():
                cost = fresh(path, environ, question)
                judged = size == 10_000 and kept
                reached = cost.wall <= TARGET if judged else None
                table.cost(what, cost, f"<= {TARGET} ms wall" if judged else "", reached)


def questions(size: int) -> dict[str, Callable[[Client], object]]:
    """What is asked of a registry of *size* commits."""
    half = registries.START + timedelta(minutes=size // 2)
    old = f"gitmodel~{size // 2}"
    return {
        "history of a stage: all its holders": lambda client: list(client.history("iris", "production")),
        "history of a stage: the newest": lambda client: next(client.history("iris", "production")),
        "what was in production on a day half-way": lambda client: client.at(half).get_version("iris@production"),
        "what was in production at a commit half-way": lambda client: client.at(old).get_version("iris@production"),
        "the versions at that commit: the newest 50": lambda client: client.at(old).get_model("iris").versions,
    }


def fresh(path: Path, environ: dict[str, str], question: Callable[[Client], object]) -> Cost:
    """The median of five, each by a client that was just opened."""
    costs = []
    for _ in range(5):
        with registries.open_registry(path, environ) as client:
            costs.append(measure(lambda client=client: question(client), times=1, warm=0))
    return sorted(costs, key=lambda cost: cost.wall)[2]


def make_history(path: Path, size: int, environ: dict[str, str]) -> None:
    """A registry of *size* commits at *path*: one model, each commit a version or a promotion."""
    command = ["git", "-C", str(path), "fast-import", "--quiet", "--done", "--depth=50"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
    assert process.stdin is not None
    began = int(registries.START.timestamp())
    with process.stdin as out:
        out.write(b"feature done\n")
        for number, (files, subject) in zip(range(size), _commits(), strict=False):
            when = f"{registries.WHO} {began + 60 * number} +0000"
            message = f"{subject}\n".encode()
            out.write(f"commit {registries.BRANCH}\ncommitter {when}\ndata {len(message)}\n".encode() + message)
            for name, data in files:
                out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data))
        out.write(b"done\n")
    if process.wait():
        raise SystemExit(f"git fast-import ended with {process.returncode}")


def _commits() -> Iterator[tuple[list[File], str]]:
    model = codec.encode(records.MODEL, ModelRecord(created=registries.START))
    registry = codec.encode(records.REGISTRY, RegistryRecord())
    yield [(paths.REGISTRY, registry), (paths.model_file("iris"), model)], "Begin the registry"
    number = 0
    while True:
        number += 1
        version = registries.version(number)
        yield [(paths.version_file("iris", number), codec.encode(records.VERSION, version))], f"Add iris {number}"
        if number % EVERY == 0:
            held = StageRecord(number, links_digest(version.artifacts), "better than the one before")
            file = paths.stage_file("iris", "production"), codec.encode(records.STAGE, held)
            yield [file], f"Promote iris {number} to production"
