"""Measure questions about the past of a registry with many commits, before and after `git model maintenance`."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice
from pathlib import Path

import registries
from measuring import Table, measure, measure_once
from registries import File, measure_fresh

from gitmodel.client import Client
from gitmodel.code.kept_commits import KeptCommits
from gitmodel.code.repository import open_code
from gitmodel.domain.changes.runs import run_id
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import (
    ArtifactLink,
    ModelRecord,
    RunRecord,
    StageRecord,
    StepRecord,
    VersionRecord,
    links_digest,
)
from gitmodel.domain.schema.refs import kept_ref
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord

TARGET = 200
# Each version with a number divisible by EVERY is promoted, so that 10,000 commits have about 900 promotions.
EVERY = 10
# The number of runs between a run that creates a dataset and the next. They all use this dataset.
BATCH = 100


def measure_lineage(table: Table, folder: Path, environ: dict[str, str], sizes: tuple[int, ...]) -> None:
    """Measure `questions` with clients that have read nothing yet, in a registry of each number of commits in *sizes*.

    Measures before and after `git model maintenance`.
    """
    for size in sizes:
        path = registries.new_repository(folder / f"commits-{size}", environ)
        registries.write(path, islice(_commits(), size), environ)
        for kept in (False, True):
            if kept:
                with Client(path, environ=environ) as client:
                    table.section(f"{size:,} commits: git model maintenance")
                    table.cost("the first time", measure_once(client.maintain))
                    table.cost("again", measure_once(client.maintain))
            table.section(f"{size:,} commits, {'after' if kept else 'before'} maintenance; nothing in memory")
            for what, question in questions(size).items():
                most = TARGET if size == 10_000 and kept else None
                table.cost(what, measure_fresh(path, environ, question), wall=most)


def measure_kept_code(table: Table, folder: Path, environ: dict[str, str], count: int) -> None:
    """Measure git commands in a code repository with *count* kept commits, and keeping and pushing such commits."""
    table.section(f"{count:,} code commits kept by refs/gitmodel/code/<commit>")
    path, remote = registries.new_repository(folder / "code", environ), folder / "remote.git"

    def git(*arguments: str, input: bytes = b"") -> bytes:
        command = ["git", "-C", str(path), *arguments]
        return subprocess.run(command, check=True, env=environ, input=input, capture_output=True).stdout

    def push_one() -> None:
        git("commit", "-q", "--allow-empty", "-m", "More")
        git("push", "-q", "origin", "main")

    registries.fast_import(path, _side_commits(count), environ)
    side = git("for-each-ref", "--format=%(objectname) %(refname)", "refs/side").decode().split()
    moves = (f"create {kept_ref(Oid(id))} {id}\ndelete {ref}\n" for id, ref in zip(side[::2], side[1::2], strict=True))
    git("update-ref", "--stdin", input="".join(moves).encode())
    git("pack-refs", "--all")
    git("reset", "-q", "--hard", "main")
    git("clone", "-q", "--bare", "--single-branch", "--branch=main", path.as_uri(), str(remote))
    git("remote", "add", "origin", str(remote))
    before = measure(push_one, times=5)
    code = open_code(path, environ=environ)
    assert code is not None
    head, keeping = code.find("main"), KeptCommits(code)
    table.cost("keep one more", measure(lambda: KeptCommits(code).keep(head), times=20))
    kept = keeping.kept()
    table.value("packed-refs", f"{(path / '.git' / 'packed-refs').stat().st_size / len(kept):.0f} bytes each")
    table.cost("git status", measure(lambda: git("status"), times=5))
    table.cost("git commit and git push, none of them on the remote", before)
    table.cost("push all of them, once", measure_once(lambda: keeping.push(kept, "origin")))
    table.cost("git commit and git push, all of them on the remote", measure(push_one, times=5))
    clones = itertools.count()
    clone = measure(lambda: git("clone", "-q", remote.as_uri(), str(folder / f"clone-{next(clones)}")), times=3)
    table.cost("git clone of that remote, which brings none of them", clone)


def _side_commits(count: int) -> Iterator[bytes]:
    """Yield input of `git fast-import`: a main branch of *count* commits, each of them with a child on its own ref."""
    for number in range(count):
        when = f"{registries.WHO} {int(registries.START.timestamp()) + 60 * number} +0000"
        text = str(number).encode()
        file = b"data %d\n%s\n" % (len(text), text)
        main = f"commit refs/heads/main\nmark :{number + 1}\ncommitter {when}\ndata 2\nm\nM 100644 inline f\n"
        beside = f"commit refs/side/{number}\ncommitter {when}\ndata 2\ns\nfrom :{number + 1}\nM 100644 inline g\n"
        yield main.encode() + file + beside.encode() + file


def questions(size: int) -> dict[str, Callable[[Client], object]]:
    """Return the questions to measure in a registry of *size* commits: a function by the name of each question."""
    half = registries.START + timedelta(minutes=size // 2)
    old = f"gitmodel~{size // 2}"
    return {
        "history of a stage: all its holders": lambda client: list(client.history("iris", "production")),
        "history of a stage: the newest": lambda client: next(client.history("iris", "production")),
        "what was in production on a day half-way": lambda client: client.at(half).get_version("iris@production"),
        "what was in production at a commit half-way": lambda client: client.at(old).get_version("iris@production"),
        "which commit set each field of a version": lambda client: client.blame(f"iris@{size // 4}"),
        "all that happened to a version": lambda client: list(client.log(f"iris@{size // 4}")),
        "the versions at that commit: the newest 50": lambda client: client.at(old).get_model("iris").versions,
    }


def measure_graph(table: Table, folder: Path, environ: dict[str, str], size: int) -> None:
    """Measure questions about lineage in a registry of *size* commits, each of which adds a run and its version."""
    path = registries.new_repository(folder / f"runs-{size}", environ)
    registries.write(path, islice(_runs(), size), environ)
    subprocess.run(["git", "-C", str(path), "repack", "-adq"], check=True, env=environ)
    table.section(f"{size:,} runs and {size:,} versions: lineage")
    index = path / ".git" / "gitmodel"
    dataset = f"sha256:{size // 2 // BATCH * BATCH:064x}"
    asked: dict[str, Callable[[Client], object]] = {
        "of a version, all that it was made from": lambda client: client.lineage(f"iris@{size // 2}", down=False),
        f"of a dataset, all that it went into ({BATCH} runs)": lambda client: client.lineage(dataset, up=False),
        "of a digest, who uses it": lambda client: client.lineage(dataset, depth=1),
        "diff of two versions": lambda client: client.diff(f"iris@{size // 2}", f"iris@{size // 2 + 1}"),
    }

    def ask_first(client: Client) -> object:
        for file in index.glob("index-*"):
            file.unlink()
        return next(iter(asked.values()))(client)

    table.cost("the first question ever, which reads every record", measure_fresh(path, environ, ask_first))
    for what, question in asked.items():
        table.cost(f"{what}; nothing in memory", measure_fresh(path, environ, question), wall=TARGET)
    size_of_index = sum(file.stat().st_size for file in index.glob("index-*"))
    table.value("the index, which may be deleted", f"{size_of_index / 1e6:.1f} MB")


def _first_commit() -> tuple[list[File], str]:
    model = paths.model_file("iris"), codec.encode(ModelRecord(created=registries.START))
    return [(paths.REGISTRY, codec.encode(RegistryRecord())), model], "Begin the registry"


def _commits() -> Iterator[tuple[list[File], str]]:
    """Yield the files and the subject of each commit, without an end. A commit adds a version or is a promotion."""
    yield _first_commit()
    for number in count(1):
        version = registries.version(number)
        yield [(paths.version_file("iris", number), codec.encode(version))], f"Add iris {number}"
        if number % EVERY == 0:
            held = StageRecord(
                version=number, artifacts=links_digest(version.artifacts), reason="better than the one before"
            )
            file = paths.stage_file("iris", "production"), codec.encode(held)
            yield [file], f"Promote iris {number} to production"


def _runs() -> Iterator[tuple[list[File], str]]:
    """Yield the files and the subject of a commit for each run, without an end.

    One run in `BATCH` creates a dataset, and the others train a version of iris with the newest dataset.
    """
    yield _first_commit()
    for number in count():
        when = registries.START + timedelta(minutes=10 * number)
        data, made = f"sha256:{number // BATCH * BATCH:064x}", f"sha256:{number + (1 << 40):064x}"
        gathers = number % BATCH == 0
        pipeline, name, kind, digest = (
            ("collect", "data", "data", data) if gathers else ("train", "classifier", "model", made)
        )
        step = StepRecord(name=pipeline, status="succeeded", seconds=1.0, outputs={name: digest})
        if not gathers:
            step = replace(step, parameters={"rate": number / 1000}, inputs={"data": data})
        id = run_id(pipeline, when, f"{number % 65536:04x}")
        link = ArtifactLink(name=name, kind=kind, digest=digest, size=1)
        version = VersionRecord(
            number=number + 1, created=when, runs=(id,), metadata={"accuracy": 0.9}, artifacts=(link,)
        )
        run = RunRecord(
            id=id,
            pipeline=pipeline,
            status="succeeded",
            started=when,
            finished=when,
            versions=(f"iris@{number + 1}",),
            steps=(step,),
        )
        files = [
            (paths.version_file("iris", number + 1), codec.encode(version)),
            (paths.run_file(id), codec.encode(run)),
        ]
        yield files, f"Run {pipeline}: add iris {number + 1}"
