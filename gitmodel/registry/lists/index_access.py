"""Opening the index for a list, if it can be used and is faster than reading the records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.domain.schema import paths
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.version_numbers import hundred_of
from gitmodel.errors import Invalid
from gitmodel.git.objects.trees import CommitFiles

if TYPE_CHECKING:
    from gitmodel.index.searching import Index

# Below this many folders of a hundred versions, reading all records is as fast as opening the index.
_HUNDREDS_FOR_INDEX = 2
# For more models than this, counting their versions takes longer than opening the index.
_MODELS_FOR_INDEX = 50


def count_present(snapshot: Snapshot, folder: Path | None, model: str) -> tuple[int, bool]:
    """Return the same as `Snapshot.count_present`, from the index in *folder* if that is faster than the records."""
    index = open_index(snapshot, folder, (model,))
    found = None if index is None else index.count_versions(model)
    return snapshot.count_present(model) if found is None else (found, True)


def open_index(snapshot: Snapshot, folder: Path | None, models: Iterable[str]) -> Index | None:
    """Return the index in *folder*; None if it cannot search *snapshot*, or is slower than the records of *models*."""
    files, models = snapshot.files, tuple(models)
    if folder is None or not isinstance(files, CommitFiles):
        return None
    if len(models) < _MODELS_FOR_INDEX:
        names = (name for model in models for name in files.names(f"{paths.model_folder(model)}/versions"))
        try:
            if sum(100 if hundred_of(name) else 1 for name in names) < 100 * _HUNDREDS_FOR_INDEX:
                return None
        except Invalid:  # reading the records reports the damaged folder
            return None
    try:
        from gitmodel.index.searching import Index  # imported here: only searches of many versions need SQLite
    except ImportError:  # Python can be built without SQLite
        return None
    return Index(folder, files, newer=snapshot.newer)
