"""Finding the records that a change of other records can make invalid. Pure: files are read through `Files`."""

from __future__ import annotations

from collections.abc import Collection

from gitmodel.domain.schema import names, paths, records
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.domain.snapshots.snapshot_sources import Files
from gitmodel.errors import Invalid


def related(files: Files, changed: Collection[str]) -> set[str]:
    """Return the paths *changed*, and the paths of all records that the invariants compare with these records.

    For each model with a changed record, these are the records of the model and of its stages and aliases, the versions
    to which these records or a changed name or archived marker refer, and the names and archived markers of these
    versions. A check that reads only these records stays fast in a large registry.
    """
    return set(changed).union(*(_Related(files, what).found for what in _by_model(changed)))


def _by_model(changed: Collection[str]) -> list[list[RecordPath]]:
    by_model: dict[str, list[RecordPath]] = {}
    for path in changed:
        what = paths.parse_path(path)
        if what is not None and what.model:
            by_model.setdefault(what.model, []).append(what)
    return list(by_model.values())


def _load(files: Files, path: str, kind: type[R]) -> R | None:
    try:
        return files.load(path, kind, newer=True)
    except Invalid:
        return None


class _Related:
    """The paths that `related` returns for *changed* records of one model."""

    def __init__(self, files: Files, changed: list[RecordPath]) -> None:
        self.files = files
        self.model = changed[0].model
        folder = paths.model_folder(self.model)
        self.found = {paths.model_file(self.model)}
        for what in changed:
            if what.kind in ("version", "archived"):
                self._add_version(int(what.key))
            if what.kind in ("name", "alias"):
                self._add_names(what.key)
        for place in ("stages", "aliases"):
            for name in files.names(f"{folder}/{place}"):
                if name.endswith(".toml"):
                    self._add_place(f"{folder}/{place}/{name}")

    def _add_place(self, path: str) -> None:
        self.found.add(path)
        record = _load(self.files, path, records.StageRecord)
        if record is not None:
            self._add_version(record.version)

    def _add_version(self, number: int) -> None:
        path = paths.version_file(self.model, number)
        if path in self.found:
            return
        self.found |= {path, paths.archived_file(self.model, number)}
        record = _load(self.files, path, records.VersionRecord)
        if record is not None and record.name is not None:
            self._add_names(record.name)

    def _add_names(self, name: str) -> None:
        """Add the files of *name* and of names that differ only in case, and the versions that these files name."""
        folder = paths.name_folder(self.model, name)
        for file in self.files.names(folder):
            path = f"{folder}/{file}"
            if names.fold(file.removesuffix(".toml")) == names.fold(name) and path not in self.found:
                self.found.add(path)
                record = _load(self.files, path, records.NameRecord)
                if record is not None:
                    self._add_version(record.version)
