"""Writing an artifact, or one file of it, to this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from gitmodel.domain.schema.manifest import ManifestEntry
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.errors import UsageError
from gitmodel.registry.linked_artifacts.artifact_warnings import Warn, first_paths, log_warning
from gitmodel.stores.artifacts import fetching, manifests
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.transfer import Progress, Transfer


def fetch_artifact(
    store: ArtifactStore,
    link: ArtifactLink,
    target: Path,
    *,
    transfer: Transfer = Transfer(),
    warn: Warn | None = None,
) -> None:
    """Verify the artifact *link* and write it to *target*.

    Leaves out files that would make the folder *target* a git repository, and calls *warn* with a warning that names
    them. Raises Invalid if the bytes do not match the digest, NotFound if the store lacks the artifact, Unreachable.
    """
    if link.is_folder:
        left_out = fetching.get_folder(store, link.digest, target, size=link.size, transfer=transfer)
        if left_out:
            (warn or log_warning)(
                f"{link.name} holds a git repository, whose config can run commands: "
                f"{first_paths(left_out)} {'was' if len(left_out) == 1 else 'were'} verified and not written"
            )
    else:
        fetching.get_file(store, link.digest, target, size=link.size, progress=transfer.progress)


def target_of(link: ArtifactLink, target: Path) -> Path:
    """Return the path to which the artifact *link* is written: *target*, or a file in the existing folder *target*.

    The file gets the file name in the record. Raises UsageError if the folder already has a file of this name: the
    user did not choose this name, so the file is not overwritten.
    """
    if link.is_folder or not target.is_dir():
        return target
    place = target / link.file_name
    if os.path.lexists(place):
        raise UsageError(f"{place} already exists", hint="to overwrite it, name that file, or choose another path")
    return place


def fetch_file(
    store: ArtifactStore, link: ArtifactLink, name: str, target: Path, *, progress: Progress | None = None
) -> ManifestEntry:
    """Verify the file at the path *name* of a folder artifact and write it to *target*. Fetches no other files.

    Raises UsageError if the artifact is not a folder, NotFound if the folder has no file at this path, and the errors
    of `fetch_artifact`.
    """
    if not link.is_folder:
        raise UsageError(f"{link.name} is one file, not a folder of files", hint="leave --file out")
    return fetching.get_member(store, link.digest, name, target, progress=progress)


def list_files(store: ArtifactStore, link: ArtifactLink) -> tuple[ManifestEntry, ...]:
    """Return the files of a folder artifact, sorted by path. Raises UsageError if the artifact is one file."""
    if not link.is_folder:
        raise UsageError(f"{link.name} is one file, not a folder of files", hint="get it without naming a file")
    return manifests.members_of(store, link.digest, link.size)


def open_file(store: ArtifactStore, link: ArtifactLink, file: str) -> BinaryIO:
    """Open the file at the path *file* of a folder artifact, or if *file* is "", an artifact that is one file.

    Reading raises Invalid before the end if the bytes do not match the digest. Raises UsageError if *file* is "" and
    the artifact is a folder, or if *file* is a path and the artifact is one file; NotFound if the folder has no file
    at this path.
    """
    if not file and not link.is_folder:
        return store.open(link.digest, link.size)
    if not file:
        raise UsageError(f"{link.name} is a folder", hint="use .path(), or .open(FILE) with the path of a file in it")
    entry = manifests.find_member(list_files(store, link), file)
    return store.open(entry.digest, entry.size)
