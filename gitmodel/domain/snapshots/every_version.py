"""Reading all versions of a model, even if records are damaged, to find the artifacts that stores must keep. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitmodel.domain.schema import paths, records
from gitmodel.domain.schema.records import VersionRecord
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid


def every_version(snapshot: Snapshot, model: str) -> Iterator[tuple[str, VersionRecord | Invalid]]:
    """Yield the reference `MODEL@NUMBER` of each version of *model*, ascending, with its record or its error.

    For a folder of versions that cannot be read, yields *model* and the error.
    """
    folder = f"{paths.model_folder(model)}/versions"
    folders = [folder]
    while folders:
        at = folders.pop(0)
        try:
            inside = [f"{at}/{name}" for name in snapshot.files.names(at)]
        except Invalid as error:
            yield model, Invalid(f"{at}: {error.message}", hint=error.hint)
            continue
        found = {path: paths.parse_path(path) for path in inside}
        numbers = sorted((int(what.key), path) for path, what in found.items() if what is not None)
        read = snapshot.files.load_many((path for _, path in numbers), records.VersionRecord, newer=snapshot.newer)
        yield from zip((f"{model}@{number}" for number, _ in numbers), read, strict=True)
        if at == folder:
            folders += sorted((path for path in inside if path.endswith("xx")), key=lambda path: (len(path), path))
