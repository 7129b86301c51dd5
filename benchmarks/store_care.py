"""Measure the maintenance of a store with many objects: `store status` and `store gc`.

`python benchmarks/store_care.py [--objects N]` prints only these figures.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import registries
from measuring import Table, measure, measure_once, peak_memory

from gitmodel.client import Client
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
    registries.write(path, _changes(digests), environ)
    table.section(f"A store of {objects:,} objects, artifacts of {len(digests) // A_VERSION:,} versions")
    with Client(path, environ=environ) as client:
        table.cost("store status, cold", measure_once(client.store_status))
        found = client.store_status()
        assert (found.stores[0].objects, found.missing, found.models[0].artifacts) == (objects, (), objects)
        table.cost("store status, warm", measure(client.store_status, times=3, warm=0))
        table.cost("store gc, nothing to remove", measure_once(client.find_garbage))
        assert client.find_garbage().needed == objects
    table.number("store status, peak memory", peak_memory(STATUS, environ, str(path)), "MB", 200)


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
    parser = registries.parser_of_options("Print what it costs to look after a store of many objects.")
    parser.add_argument("--objects", type=int, default=100_000)
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        environ["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
        measure_care(table, folder / "care", environ, objects=given.objects)


if __name__ == "__main__":
    main()
