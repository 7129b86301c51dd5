"""Measure the maintenance of a store with many objects: `store status` and `store gc`.

`python benchmarks/store_care.py [--objects N]` prints only these figures.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import registries
from measuring import Table, describe_machine, measure, peak_memory

from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.records import ArtifactLink, ModelRecord
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord

A_VERSION = 100  # artifacts
STATUS = """
import os, sys
from gitmodel.client import Client
with Client(sys.argv[1]) as client:
    client.store_status()
"""


def measure_care(table: Table, folder: Path, environ: dict[str, str], *, objects: int) -> None:
    """Measure `store status` and `store gc` for a store of *objects* objects: artifacts, 100 for each version."""
    folder.mkdir()
    path = registries.new_repository(folder / "registry", environ)
    digests = _fill(path / ".git/gitmodel/store/sha256", objects)
    registries.write(path, lambda begun: _changes(digests), environ)
    table.section(f"A store of {objects:,} objects, artifacts of {len(digests) // A_VERSION:,} versions")
    with registries.open_registry(path, environ) as client:
        cold = measure(client.store_status, times=1, warm=0)
        found = client.store_status()
        assert (found.stores[0].objects, found.missing, found.models[0].artifacts) == (objects, (), objects)
        table.cost("store status, cold", cold)
        table.cost("store status, warm", measure(client.store_status, times=3, warm=0))
        table.cost("store gc, nothing to remove", measure(client.find_garbage, times=1, warm=0))
        assert client.find_garbage().needed == objects
    peak = peak_memory(STATUS, environ, str(path))
    table.value("store status, peak memory", f"{peak:.0f} MB", "<= 200 MB", peak <= 200)


def _fill(folder: Path, count: int) -> list[str]:
    digests = []
    for number in range(count):
        content = b"object %d" % number
        digest = hashlib.sha256(content).hexdigest()
        shard = folder / digest[:2]
        if number < 10_000:
            shard.mkdir(parents=True, exist_ok=True)
        (shard / digest[2:]).write_bytes(content)
        digests.append(f"sha256:{digest}")
    return digests


def _changes(digests: list[str]) -> Iterable[tuple[list[registries.File], str]]:
    yield [(paths.REGISTRY, codec.encode(RegistryRecord()))], "Begin the registry"
    model = ModelRecord(created=registries.START)
    yield [(paths.model_file("iris"), codec.encode(model))], "Register iris"
    for start in range(0, len(digests), A_VERSION):
        number = start // A_VERSION + 1
        links = (
            ArtifactLink(
                name=f"part-{place:03}",
                kind="data",
                digest=digest,
                size=len(b"object %d" % (start + place)),
                format="bytes",
            )
            for place, digest in enumerate(digests[start : start + A_VERSION])
        )
        record = replace(registries.version(number), artifacts=tuple(links))
        file = paths.version_file("iris", number), codec.encode(record)
        yield [file], f"Create iris {number}"


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = argparse.ArgumentParser(description="Print what it costs to look after a store of many objects.")
    parser.add_argument("--objects", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gitmodel-bench-") as name:
        folder = Path(name)
        print(describe_machine(folder))
        table = Table()
        environ = {**registries.hermetic_environment(folder / "home"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        started = time.monotonic()
        measure_care(table, folder / "care", environ, objects=asked.objects)
        print(f"in {time.monotonic() - started:.0f} s")
    raise SystemExit(1 if table.missed else 0)


if __name__ == "__main__":
    main()
