"""Create registries of any size in seconds: gitmodel encodes the records, and `git fast-import` writes them."""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import chain
from pathlib import Path

from measuring import Cost, Table, describe_machine, measure_once, middle

from gitmodel import __version__
from gitmodel.client import Client
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ArtifactLink, Code, ModelRecord, VersionRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord

BRANCH = "refs/heads/gitmodel"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)
WHO = "Ada Example <ada@example.com>"
CONFIG = "[user]\n\tname = Ada Example\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n"

File = tuple[str, bytes]


def hermetic_environment(home: Path) -> dict[str, str]:
    """Return environment variables for git and gitmodel with a new home folder and no settings of the user."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / ".gitconfig"
    config.write_text(CONFIG, encoding="utf-8")
    foreign = ("GIT_", "GITMODEL_", "XDG_", "PYTHON")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(foreign)},
        # Python caches compiled modules in this folder, because the checkout may be read-only.
        "PYTHONPYCACHEPREFIX": str(home / "bytecode"),
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
        "TZ": "UTC",
    }


@contextmanager
def benchmark(parent: Path | None = None) -> Iterator[tuple[Table, Path, dict[str, str]]]:
    """Yield a table for figures, a temporary folder in *parent*, and the variables of `hermetic_environment`.

    Creates *parent* if it does not exist. Prints the machine first. At the end, prints the targets that were missed,
    and exits with 1 if there is one.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gitmodel-bench-", dir=parent) as name:
        table, folder = Table(), Path(name)
        print(f"gitmodel {__version__}\n{describe_machine(folder)}")
        yield table, folder, hermetic_environment(folder / "home")
    print(f"\n{len(table.missed)} targets were missed" + "".join(f"\n- {what}" for what in table.missed))
    if table.missed:
        raise SystemExit(1)


def parser_of_options(description: str) -> argparse.ArgumentParser:
    """Return a parser with the option `--folder`, whose value is the argument of `benchmark`."""
    parser = argparse.ArgumentParser(description=description)
    help = "where registries are made: on a disk, because flushing to a file system in memory costs nothing"
    parser.add_argument("--folder", type=Path, help=help)
    return parser


def measure_fresh(
    path: Path,
    environ: dict[str, str],
    question: Callable[[Client], object],
    *,
    times: int = 5,
    before: Callable[[Client], object] = lambda client: None,
) -> Cost:
    """Return the median cost of calling *question* with each of *times* new clients of the registry at *path*.

    The cost of opening a client is not included, nor that of *before*, which is called with the client first.
    """
    costs = []
    for _ in range(times):
        with Client(path, environ=environ) as client:
            before(client)
            costs.append(measure_once(partial(question, client)))
    return middle(costs)


def new_repository(path: Path, environ: dict[str, str] | None) -> Path:
    """Create an empty repository at *path*, and return the path."""
    subprocess.run(["git", "init", "-q", str(path)], check=True, env=environ)
    return path


def links(number: int) -> tuple[ArtifactLink, ...]:
    """Return the artifact links of version *number*: training data and a classifier."""
    return (
        ArtifactLink(
            name="classifier",
            kind="model",
            digest=f"sha256:{number:064x}",
            size=48_211,
            format="skops",
            metadata={"features": 4},
        ),
        ArtifactLink(
            name="training-data",
            kind="data",
            digest=f"sha256:{1:064x}",
            size=2_048,
            format="csv",
            metadata={"rows": 150},
        ),
    )


def version(number: int, *, shift: int = 0) -> VersionRecord:
    """Return the record of version *number*, with the usual size of about 700 bytes.

    Records with the same *number* and different *shift* differ: each model has its own *shift*.
    """
    return VersionRecord(
        number=number,
        created=START + timedelta(minutes=number),
        description=f"Trained on the data of day {number}.",
        tags=("baseline",) if number % 10 else ("baseline", "weekly"),
        code=Code(commit=Oid(f"{number:040x}"), dirty=False, repository="https://example.com/iris.git"),
        metadata=metadata(number + shift),
        artifacts=links(number + shift),
    )


def metadata(number: int) -> dict[str, float | int | str]:
    """Return metadata as a training would log it for version *number*."""
    return {"accuracy": 0.9 + number * 37 % 100_000 / 1_000_000, "epochs": number % 50 + 1, "framework": "sklearn"}


def build(path: Path, models: dict[str, range], environ: dict[str, str], *, versions_per_commit: int = 1) -> None:
    """Add versions to the registry at *path*. Creates the registry and its models if they do not exist.

    *models* maps the name of each model to the numbers of the versions to add.
    """
    write(path, _changes(models, versions_per_commit, begun=bool(_tip(path, environ))), environ)


def write(path: Path, changes: Iterable[tuple[list[File], str]], environ: dict[str, str]) -> None:
    """Add a commit for each of *changes*, with its files and its subject, to the metadata branch at *path*."""
    fast_import(path, _stream(changes, _tip(path, environ)), environ)


def _tip(path: Path, environ: dict[str, str]) -> str:
    """Return the newest commit of the metadata branch at *path*; "" if there is no branch."""
    command = ["git", "-C", str(path), "rev-parse", "-q", "--verify", BRANCH]
    return subprocess.run(command, capture_output=True, env=environ, check=False, text=True).stdout.strip()


def fast_import(path: Path, pieces: Iterable[bytes], environ: dict[str, str]) -> None:
    """Write the commits in *pieces*, input of `git fast-import`, to the repository at *path*."""
    command = ["git", "-C", str(path), "fast-import", "--quiet", "--done", "--depth=50"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
    assert process.stdin is not None
    with process.stdin as out:
        for piece in chain([b"feature done\n"], pieces, [b"done\n"]):
            out.write(piece)
    if process.wait():
        raise SystemExit(f"git fast-import ended with {process.returncode}")


def _stream(changes: Iterable[tuple[list[File], str]], tip: str) -> Iterator[bytes]:
    for commits, (files, subject) in enumerate(changes):
        when = f"{WHO} {int(START.timestamp()) + 60 * commits} +0000"
        message = f"{subject}\n".encode()
        yield f"commit {BRANCH}\ncommitter {when}\ndata {len(message)}\n".encode() + message
        if tip and not commits:
            yield f"from {tip}\n".encode()
        for name, data in files:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(data), data)


def _changes(models: dict[str, range], versions_per_commit: int, *, begun: bool) -> Iterator[tuple[list[File], str]]:
    if not begun:
        yield [(paths.REGISTRY, codec.encode(RegistryRecord()))], "Begin the registry"
    for place, (model, numbers) in enumerate(models.items()):
        files: list[File] = []
        if numbers.start == 1:
            record = ModelRecord(created=START, license="Apache-2.0", description=f"Knows {model}.", tags=("sklearn",))
            files.append((paths.model_file(model), codec.encode(record)))
        for number in numbers:
            files.append((paths.version_file(model, number), codec.encode(version(number, shift=1_013 * place))))
            if number % versions_per_commit == 0:
                yield files, f"Create {model} {number}"
                files = []
        if files:
            yield files, f"Create {model} {numbers[-1]}"
