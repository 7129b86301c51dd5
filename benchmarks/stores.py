"""The artifact store: one large file and one folder of many small ones, against `sha256sum` and `cp` of the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from measuring import Cost, Table, measure

from gitmodel.storage.artifacts import get_file, get_folder, put_path, verify_file, verify_folder
from gitmodel.storage.local_store import LocalStore

TIMES = 3


def measure_stores(table: Table, folder: Path, *, size: int, files: int) -> None:
    """Put, get and verify a file of *size* bytes, and a folder of *files* files."""
    folder.mkdir()
    _large_file(table, folder, size)
    _many_files(table, folder, files)


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
