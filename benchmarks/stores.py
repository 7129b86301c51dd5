"""Artifact stores: one large file and one folder of many small ones.

In a folder against `sha256sum` and `cp` of the same, on S3 against the clients that people use.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Cost, Table, measure

from gitmodel.storage.artifacts import get_file, get_folder, put_path, verify_file, verify_folder
from gitmodel.storage.local_store import LocalStore

TIMES = 3
ROUNDS = 3


def measure_stores(table: Table, folder: Path, *, size: int, files: int) -> None:
    """Put, get and verify a file of *size* bytes, and a folder of *files* files."""
    folder.mkdir()
    _large_file(table, folder, size)
    _many_files(table, folder, files)


def measure_s3(table: Table, folder: Path, *, size: int, files: int) -> None:
    """The same on S3, against `aws s3 cp` and `rclone` on the same server in the same run."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from store_servers import BUCKET, seaweedfs

    folder.mkdir()
    with seaweedfs(folder / "server") as server:
        environ = {**os.environ, **server.environ(), **_rclone_settings(server.endpoint)}
        environ.pop("AWS_CA_BUNDLE", None)  # the server speaks plain HTTP, and rclone stumbles over it
        clients = _clients(folder, environ)
        os.environ.update(server.environ())
        large, many = folder / "large", folder / "many"
        _random_file(large, size)
        many.mkdir()
        for number in range(files):
            (many / f"{number:05}").write_bytes(f"{number:016}".encode() * 64)
        table.section(f"Artifact store on S3 (SeaweedFS on this machine): one file of {size >> 20:,} MiB")
        _against(table, clients, server.prefix(), BUCKET, large, folder, environ)
        table.section(f"Artifact store on S3 (SeaweedFS on this machine): a folder of {files:,} files of 1 KiB")
        _against(table, clients, server.prefix(), BUCKET, many, folder, environ)


Client = Callable[[str, str, bool], list[str]]
"""The command by which a client copies from one place to another; whether it is a folder."""

WORK = """
import sys
from pathlib import Path
from gitmodel.storage.artifacts import *
from gitmodel.storage.stores import open_store
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


def _against(
    table: Table, clients: dict[str, Client], url: str, bucket: str, source: Path, folder: Path, environ: dict[str, str]
) -> None:
    """Put, get and verify *source* by gitmodel and by each client, turn by turn; what counts is the best of them."""
    is_folder, target = source.is_dir(), folder / f"{source.name}.got"
    best: dict[tuple[str, str], float] = {}
    memory = 0.0
    digest = ""

    def took(who: str, what: str, command: list[str]) -> str:
        started = time.perf_counter()
        done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True).stdout
        spent = (time.perf_counter() - started) * 1e3
        best[who, what] = min(spent, best.get((who, what), spent))
        return done

    def own(what: str, path: Path, number: int) -> list[str]:
        # a store and copies that are new each time, so that everything is sent and fetched
        place, copies = f"{url}/{number}", folder / f"copies-{what}"
        shutil.rmtree(copies, ignore_errors=True)
        said = took("gitmodel", what, [sys.executable, "-c", WORK, what, place, str(copies), str(path), digest])
        return said.split()

    for number in range(ROUNDS):
        for name, client in clients.items():
            there = f"{bucket}/{name}-{source.name}-{number}"
            took(name, "put", client(str(source), there, is_folder))
            took(name, "get", client(there, str(target), is_folder))
            _cleared(target)
        digest, held = own("put", source, number)
        memory = max(memory, int(held) / 1024, int(own("get", target, number)[0]) / 1024)
        _cleared(target)
        memory = max(memory, int(own("verify", source, number)[0]) / 1024)
    for what in ("put", "get", "verify"):
        theirs = {name: best[name, "get" if what == "verify" else what] for name in clients}
        for name, spent in theirs.items() if what != "verify" else ():
            table.value(f"{what}: {name}", f"{spent:,.0f}")
        fastest = min(theirs.values())
        mine = best["gitmodel", what]
        table.value(f"{what}: gitmodel", f"{mine:,.0f}")
        name = "the faster's get" if what == "verify" else "the faster"
        table.value(f"{what} against {name}", f"{mine / fastest:.2f} x", "<= 1.3 x", mine <= 1.3 * fastest)
    table.value("most memory", f"{memory:.0f} MB", "<= 200 MB", memory <= 200)


def _clients(folder: Path, environ: dict[str, str]) -> dict[str, Client]:
    """`aws s3 cp` of an environment of its own, and `rclone` if it is installed."""
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
    with source.open("wb") as out:
        for _ in range(size >> 20):
            out.write(os.urandom(1 << 20))
    rates = [f"hashlib {_rate(lambda: _hash(source), size)}", f"sha256sum {_rate(_tool('sha256sum', source), size)}"]
    if shutil.which("openssl"):
        rates.append(f"openssl {_rate(_tool('openssl', 'dgst', '-sha256', source), size)}")
    print(f"SHA-256 of this processor, MB/s: {', '.join(rates)}")
    tool = measure(_tool("sha256sum", source), times=TIMES)
    own = measure(lambda: _hash(source), times=TIMES)
    copy = measure(lambda: _copied(source, folder / "copy"), times=TIMES)
    table.cost("sha256sum", tool)
    table.cost("SHA-256 by hashlib (OpenSSL)", own)
    table.cost("cp and sync of the copy", copy)
    limit, strict = _plus(tool, copy), _plus(own, copy)
    store = LocalStore(folder / "store")
    digest = put_path(store, source).digest
    for what, operation in (
        ("put", lambda: put_path(store, source)),
        ("get", lambda: _got(store, digest, folder / "got")),
        ("verify", lambda: verify_file(store, digest)),
    ):
        cost = measure(operation, times=TIMES, warm=0)
        table.cost(what, cost, "<= 1.3 x (sha256sum + cp)", cost.wall <= 1.3 * limit.wall)
        print(f"    {cost.wall / strict.wall:.2f} x the sum of SHA-256 by OpenSSL and cp")
    shutil.rmtree(store.root)
    source.unlink()


def _many_files(table: Table, folder: Path, count: int) -> None:
    table.section(f"Artifact store: a folder of {count:,} files of 1 KiB")
    source = folder / "many"
    source.mkdir()
    for number in range(count):
        (source / f"{number:05}").write_bytes(f"{number:016}".encode() * 64)
    table.cost("cp -r and sync", measure(lambda: _copied(source, folder / "copies"), times=1, warm=0))
    store = LocalStore(folder / "store")
    table.cost("put", measure(lambda: put_path(store, source), times=1, warm=0))
    digest = put_path(store, source).digest
    table.cost("get", measure(lambda: _got_folder(store, digest, folder / "got"), times=1, warm=0))
    table.cost("verify", measure(lambda: verify_folder(store, digest), times=1, warm=0))


def _hash(path: Path) -> str:
    with path.open("rb", buffering=0) as source:
        hashed, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
        while count := source.readinto(buffer):
            hashed.update(buffer[:count])
    return hashed.hexdigest()


def _tool(*command: str | Path) -> Callable[[], object]:
    return lambda: subprocess.run([*map(str, command)], check=True, capture_output=True)


def _copied(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", source, target], check=True)
    # What gitmodel stores is on disk when it returns, so the copy has to be, too.
    subprocess.run(["sync", *([target] if target.is_file() else ["-f", target])], check=True)
    subprocess.run(["rm", "-rf", target], check=True)


def _got(store: LocalStore, digest: str, target: Path) -> None:
    get_file(store, digest, target)
    target.unlink()


def _got_folder(store: LocalStore, digest: str, target: Path) -> None:
    get_folder(store, digest, target)
    shutil.rmtree(target)


def _rate(operation: Callable[[], object], size: int) -> str:
    started = time.perf_counter()
    operation()
    return f"{size / 1e6 / (time.perf_counter() - started):,.0f}"


def _plus(first: Cost, second: Cost) -> Cost:
    return Cost(first.cpu + second.cpu, first.wall + second.wall)
