"""The files that `check` looks at: all of a branch, or those that a change can have made wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gitmodel.domain.schema import names, paths, records
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.paths import RecordPath
from gitmodel.errors import Invalid
from gitmodel.git.objects import Entry
from gitmodel.git.trees import CommitFiles

# A host's own files are few; what is cheap to push must not be dear to walk.
_MOST_HOST_FILES = 10_000


def every_file(files: CommitFiles) -> Iterator[tuple[str, Entry | Invalid]]:
    """Every path that is not a folder, with its entry; a folder that nothing of ours can be in comes as itself."""
    host_files = 0

    def into(folder: str) -> bool:
        nonlocal host_files
        host_files += paths.is_host_file(folder)
        return paths.holds_records(folder) or (paths.is_host_file(folder) and host_files < _MOST_HOST_FILES)

    for path, entry in files.walk(into=into):
        host_files += paths.is_host_file(path)
        if host_files < _MOST_HOST_FILES or not paths.is_host_file(path):
            yield path, entry


def files_at(files: CommitFiles, wanted: Collection[str]) -> Iterator[tuple[str, Entry | Invalid]]:
    """Yield the entries at the paths *wanted*, by model; of a model that is deleted but left files, all of them."""
    gone = {what.model for what in map(paths.parse_path, wanted) if what is not None and _is_gone(files, what.model)}
    for model in sorted(gone):
        yield from files.walk(paths.model_folder(model), into=paths.holds_records)
    for path in sorted(wanted, key=lambda path: path.split("/")):
        what = paths.parse_path(path)
        if what is None or what.model not in gone:
            try:
                entry = files.entry(path)
            except Invalid as error:
                yield path, error
                continue
            if entry is not None:
                yield path, entry


def related(files: CommitFiles, changed: Collection[str]) -> set[str]:
    """The paths *changed*, and those of the records that `check` judges together with them.

    Of each model its own record, stages and aliases; the version that a stage, alias, name or marker names; the name
    and the marker of a version. So it grows with the change, not with the registry.
    """
    return set(changed).union(*(_Related(files, what).found for what in _by_model(changed)))


def _by_model(changed: Collection[str]) -> list[list[RecordPath]]:
    by_model: dict[str, list[RecordPath]] = {}
    for path in changed:
        what = paths.parse_path(path)
        if what is not None and what.model:
            by_model.setdefault(what.model, []).append(what)
    return list(by_model.values())


def _is_gone(files: CommitFiles, model: str) -> bool:
    record = _load(files, paths.model_file(model), records.ModelRecord) if model else None
    return record is not None and not record.exists


def _load(files: CommitFiles, path: str, kind: type[R]) -> R | None:
    try:
        return files.load(path, kind, newer=True)
    except Invalid:
        return None


class _Related:
    """The paths that belong together with *changed* records of one model."""

    def __init__(self, files: CommitFiles, changed: list[RecordPath]) -> None:
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
        """The files of *name* and of those that differ from it by case only."""
        folder = paths.name_folder(self.model, name)
        for file in self.files.names(folder):
            path = f"{folder}/{file}"
            if names.fold(file.removesuffix(".toml")) == names.fold(name) and path not in self.found:
                self.found.add(path)
                record = _load(self.files, path, records.NameRecord)
                if record is not None:
                    self._add_version(record.version)
