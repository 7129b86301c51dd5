"""The files that `check` reads: all files of a branch, or those that a change can have made invalid."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gitmodel.domain.schema import paths, records
from gitmodel.errors import Invalid
from gitmodel.git.objects.object_formats import Entry
from gitmodel.git.objects.trees import CommitFiles

# A registry has few files for the git host, such as workflows. Without this limit, a small push with a folder that
# holds millions of files could keep the server busy.
_MOST_HOST_FILES = 10_000


def every_file(files: CommitFiles) -> Iterator[tuple[str, Entry | Invalid]]:
    """Yield the path and the entry of every file, except files for the git host after the first 10,000.

    Yields a folder instead of its files if it can hold neither records nor files for the git host.
    """
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
    """Yield the path and the entry of each file at the paths *wanted*, model by model.

    If one of these files belongs to a deleted model, yields all files that this model still has.
    """
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


def _is_gone(files: CommitFiles, model: str) -> bool:
    try:
        record = files.load(paths.model_file(model), records.ModelRecord, newer=True) if model else None
    except Invalid:
        return False
    return record is not None and not record.exists
