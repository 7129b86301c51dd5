"""Measure artifact stores with one large file, and with a folder of many small files.

Compares a store in a folder with `sha256sum` and `cp`, and a store on S3 with `aws s3 cp` and `rclone`.

`python benchmarks/stores.py [--size MIB] [--files N] [--rounds N] [--lots N]` prints only the figures of S3. `--lots`
measures commands with a folder of N files.
"""

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import registries
from measuring import Cost, Table, measure, measure_once

from gitmodel.stores.artifacts.fetching import get_file, get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_file, verify_folder
from gitmodel.stores.local_store import LocalStore

TIMES = 3
ROUNDS = 3


def measure_stores(table: Table, folder: Path, *, size: int, files: int) -> None:
    """Measure put, get and verify of a store in a folder, with a file of *size* bytes and a folder of *files* files."""
    folder.mkdir()
    _large_file(table, folder, size)
    _many_files(table, folder, files)


def measure_s3(table: Table, folder: Path, *, size: int, files: int, rounds: int = ROUNDS) -> None:
    """Measure put, get and verify with a store on S3, and for comparison `aws s3 cp` and `rclone` on the same server.

    Transfers a file of *size* bytes and a folder of *files* files (0: leaves it out), *rounds* times.
    """
    folder.mkdir()
    with _server(folder) as server:
        bench = _Bench(table, server, _clients(folder), folder, rounds)
        large, many = folder / "large", folder / "many"
        if size:
            _random_file(large, size)
            table.section(f"Artifact store on S3 (SeaweedFS on this machine): one file of {size >> 20:,} MiB")
            bench.compare(large)
        if files:
            _small_files(many, files)
            table.section(f"Artifact store on S3 (SeaweedFS on this machine): a folder of {files:,} files of 1 KiB")
            bench.compare(many)


def measure_lots(table: Table, folder: Path, *, files: int) -> None:
    """Measure the time and memory of commands of gitmodel with a folder of *files* files, on S3."""
    folder.mkdir()
    lots, target = folder / "lots", folder / "got"
    _small_files(lots, files)
    with _server(folder) as server:
        environ = {**registries.hermetic_environment(folder / "home"), **server.environ()}
        clone = registries.new_repository(folder / "clone", environ)
        bench = _Bench(table, server, {}, folder, 1)

        def run(*words: str) -> None:
            took, said = bench.took([sys.executable, "-c", COMMAND, *words], environ=environ, cwd=clone)
            bench.say(f"git model {' '.join(words[:2])}", took)
            table.number("    most memory", int(said.split()[-1]) / 1024, "MB", 200)

        for words in (["init", "--store", server.prefix()], ["register", "iris"]):
            bench.took([sys.executable, "-m", "gitmodel", *words], environ=environ, cwd=clone)
        table.section(f"A folder of {files:,} files of 1 KiB, on S3 (SeaweedFS on this machine), by the commands")
        run("version", "create", "iris", "--data", f"lots={lots}")
        run("store", "status")
        run("get", "iris@1", "lots", "-o", str(target))
        run("verify", "iris@1")


Client = Callable[[str, str, bool], list[str]]
"""The command by which a client copies from one place to another; whether it is a folder."""

WORK = """
import sys
from pathlib import Path
from gitmodel.stores.artifacts.fetching import get_file, get_folder
from gitmodel.stores.artifacts.storing import put_path
from gitmodel.stores.artifacts.verifying import verify_file, verify_folder
from gitmodel.stores.opening import open_store
what, url, copies, path, digest = sys.argv[1:]
store, path = open_store(url, default_root=Path(copies)), Path(path)
if what == "put":
    print(put_path(store, path).digest)
elif what == "get":
    (get_folder if path.name == "many.got" else get_file)(store, digest, path)
else:
    (verify_folder if path.is_dir() else verify_file)(store, digest)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
COMMAND = """
import atexit
def tell():
    print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
atexit.register(tell)
from gitmodel.cli import main
main(prog_name="gitmodel")
"""


class _Took(NamedTuple):
    """The times of a command in milliseconds: its wall time, its CPU time, and the server's CPU time while it ran."""

    wall: float
    cpu: float
    server: float

    @property
    def work(self) -> float:
        """The sum of the CPU times of the command and the server."""
        return self.cpu + self.server


class _Bench:
    """Lets gitmodel and each of *clients* put, get and verify alternately, in several rounds. The best round counts."""

    def __init__(self, table: Table, server: Any, clients: dict[str, Client], folder: Path, rounds: int) -> None:
        self._table = table
        self._server = server
        self._bucket = server.bucket
        self._clients = clients
        self._folder = folder
        self._rounds = rounds
        self._environ = {**os.environ, **server.environ(), **_rclone_settings(server.endpoint)}
        self._environ.pop("AWS_CA_BUNDLE", None)  # rclone fails with it, and HTTP does not need it

    def took(
        self, command: list[str], *, environ: dict[str, str] | None = None, cwd: Path | None = None
    ) -> tuple[_Took, str]:
        """Run *command*, and return its times and output."""
        before, server, started = _spent(), self._server.cpu_seconds(), time.perf_counter()
        done = subprocess.run(
            command, env=environ or self._environ, cwd=cwd, capture_output=True, text=True, check=False
        )
        wall = time.perf_counter() - started
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        cpu = _spent() - before
        return _Took(wall * 1e3, cpu * 1e3, (self._server.cpu_seconds() - server) * 1e3), done.stdout

    def compare(self, source: Path) -> None:
        """Measure gitmodel and the clients with the file or folder *source*, and print their times and ratios."""
        found: dict[tuple[str, str], list[_Took]] = {}
        memory, digest, target = 0.0, "", self._folder / f"{source.name}.got"

        def note(who: str, what: str, command: list[str]) -> str:
            took, said = self.took(command)
            found.setdefault((who, what), []).append(took)
            return said

        def own(what: str, path: Path, number: int) -> list[str]:
            # uses a new store and a new folder for copies in each round, so that every object is sent and fetched
            copies = self._folder / f"copies-{what}"
            place = f"s3://{self._bucket}/own-{source.name}-{number}"
            shutil.rmtree(copies, ignore_errors=True)
            return note(
                "gitmodel", what, [sys.executable, "-c", WORK, what, place, str(copies), str(path), digest]
            ).split()

        for number in range(self._rounds):
            for name, client in self._clients.items():
                there = f"{self._bucket}/{name}-{source.name}-{number}"
                note(name, "put", client(str(source), there, source.is_dir()))
                note(name, "get", client(there, str(target), source.is_dir()))
                _cleared(target)
            digest, held = own("put", source, number)
            memory = max(memory, int(held) / 1024, int(own("get", target, number)[0]) / 1024)
            _cleared(target)
            memory = max(memory, int(own("verify", source, number)[0]) / 1024)
        best = {key: _Took(*map(min, zip(*tries, strict=True))) for key, tries in found.items()}
        for what in ("put", "get", "verify"):
            self._compare(what, best)
        self._table.number("most memory", memory, "MB", 200)

    def _compare(self, what: str, best: dict[tuple[str, str], _Took]) -> None:
        theirs = {name: best[name, "get" if what == "verify" else what] for name in self._clients}
        for name, took in theirs.items() if what != "verify" else ():
            self.say(f"{what}: {name}", took)
        mine = best["gitmodel", what]
        self.say(f"{what}: gitmodel", mine)
        name = "the faster's get" if what == "verify" else "the faster"
        wall = mine.wall / min(took.wall for took in theirs.values())
        self._table.number(f"{what} against {name}", wall, "x", 1.3)
        # also compares CPU times, which depend less on the other work of the machine than wall times
        work = mine.work / min(took.work for took in theirs.values())
        self._table.number("    the same in CPU of both sides", work, "x")

    def say(self, what: str, took: _Took) -> None:
        """Print the line *what* with the times *took* of a command."""
        self._table.cost(f"{what} (and {took.server / 1e3:,.1f} s of the server's CPU)", Cost(took.cpu, took.wall))


def _spent() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


@contextmanager
def _server(folder: Path) -> Iterator[Any]:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from store_servers import seaweedfs

    with seaweedfs(folder / "server") as server:
        yield server


def _clients(folder: Path) -> dict[str, Client]:
    """Return the clients to compare with: `aws s3 cp` in a separate environment, and `rclone` if it is installed."""
    home = folder / "awscli"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    subprocess.run([home / "bin" / "pip", "install", "-q", "awscli"], check=True, capture_output=True)

    def aws(source: str, target: str, whole_folder: bool) -> list[str]:
        places = [place if place.startswith("/") else f"s3://{place}" for place in (source, target)]
        return [str(home / "bin" / "aws"), "s3", "cp", "--quiet", *["--recursive"] * whole_folder, *places]

    def rclone(source: str, target: str, whole_folder: bool) -> list[str]:
        places = [place if place.startswith("/") else f"bench:{place}" for place in (source, target)]
        lanes = ["--transfers", "8", "--checkers", "8", "--s3-upload-concurrency", "8"]
        return ["rclone", "copy" if whole_folder else "copyto", *lanes, *places]

    found: dict[str, Client] = {"aws s3 cp": aws}
    if shutil.which("rclone"):
        found["rclone"] = rclone
    else:
        print("rclone is not installed (apt install rclone); only `aws s3 cp` is measured")
    return found


def _rclone_settings(endpoint: str) -> dict[str, str]:
    settings = {"type": "s3", "provider": "Other", "env_auth": "true", "endpoint": endpoint, "region": "us-east-1"}
    return {f"RCLONE_CONFIG_BENCH_{key.upper()}": value for key, value in settings.items()}


def _cleared(target: Path) -> None:
    shutil.rmtree(target) if target.is_dir() else target.unlink()


def _random_file(path: Path, size: int) -> None:
    with path.open("wb") as out:
        for _ in range(size >> 20):
            out.write(os.urandom(1 << 20))


def _large_file(table: Table, folder: Path, size: int) -> None:
    table.section(f"Artifact store: one file of {size >> 20:,} MiB (in the page cache)")
    source = folder / "large"
    _random_file(source, size)
    rates = [
        f"hashlib {_rate(lambda: hash_file(source), size)}",
        f"sha256sum {_rate(_tool('sha256sum', source), size)}",
    ]
    if shutil.which("openssl"):
        rates.append(f"openssl {_rate(_tool('openssl', 'dgst', '-sha256', source), size)}")
    print(f"SHA-256 of this processor, MB/s: {', '.join(rates)}")
    tool = measure(_tool("sha256sum", source), times=TIMES)
    own = measure(lambda: hash_file(source), times=TIMES)
    copy = measure(lambda: _copied(source, folder / "copy"), times=TIMES)
    table.cost("sha256sum", tool)
    table.cost("SHA-256 by hashlib (OpenSSL)", own)
    table.cost("cp and sync of the copy", copy)
    store = LocalStore(folder / "store")
    digest = put_path(store, source).digest
    for what, operation in (
        ("put", lambda: put_path(store, source)),
        ("get", lambda: _get_and_delete(get_file, store, digest, folder / "got")),
        ("verify", lambda: verify_file(store, digest)),
    ):
        cost = measure(operation, times=TIMES, warm=0)
        table.cost(what, cost)
        table.ratio("    against sha256sum and cp", cost, tool + copy, 1.3, "wall")
        table.number("    against SHA-256 by OpenSSL and cp, wall", cost.wall / (own + copy).wall, "x")
    shutil.rmtree(store.root)
    source.unlink()


def _small_files(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number % 1000:03}"
        if not number % 1000:
            path.parent.mkdir(parents=True)
        path.write_bytes(f"{number:016}".encode() * 64)


def _many_files(table: Table, folder: Path, count: int) -> None:
    table.section(f"Artifact store: a folder of {count:,} files of 1 KiB")
    source = folder / "many"
    _small_files(source, count)
    table.cost("cp -r and sync", measure_once(lambda: _copied(source, folder / "copies")))
    store = LocalStore(folder / "store")
    table.cost("put", measure_once(lambda: put_path(store, source)))
    digest = put_path(store, source).digest
    table.cost("get", measure_once(lambda: _get_and_delete(get_folder, store, digest, folder / "got")))
    table.cost("verify", measure_once(lambda: verify_folder(store, digest)))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of the file *path*, read in parts of 1 MiB."""
    with path.open("rb", buffering=0) as source:
        hashed, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
        while count := source.readinto(buffer):
            hashed.update(buffer[:count])
    return hashed.hexdigest()


def _tool(*command: str | Path) -> Callable[[], object]:
    return lambda: subprocess.run([*map(str, command)], check=True, capture_output=True)


def _copied(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)
    # `cp` does not flush the copy to disk. gitmodel flushes the objects that it stores, so flush the copy, too.
    subprocess.run(["sync", *([target] if target.is_file() else ["-f", target])], check=True)
    subprocess.run(["rm", "-rf", target], check=True)


def _get_and_delete(get: Callable[..., object], store: LocalStore, digest: str, target: Path) -> None:
    get(store, digest, target)
    _cleared(target)


def _rate(operation: Callable[[], object], size: int) -> str:
    started = time.perf_counter()
    operation()
    return f"{size / 1e6 / (time.perf_counter() - started):,.0f}"


def main() -> None:
    """Print the figures of S3, and end with exit code 1 if a target was missed."""
    parser = registries.parser_of_options("Print what gitmodel takes on S3, and what other clients do.")
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the large file; 0: none")
    parser.add_argument("--files", type=int, default=10_000, metavar="N", help="in the folder of small ones; 0: none")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help="of each, of which the best counts")
    parser.add_argument("--lots", type=int, default=0, metavar="N", help="files in a folder that the commands take")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, _):
        if given.size or given.files:
            measure_s3(table, folder / "s3", size=given.size << 20, files=given.files, rounds=given.rounds)
        if given.lots:
            measure_lots(table, folder / "lots", files=given.lots)


if __name__ == "__main__":
    main()
