"""Storing a file or folder as an artifact."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple

from gitmodel.domain.schema.digests import Digest
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest
from gitmodel.domain.schema.portable_paths import unportable_paths
from gitmodel.errors import Conflict, UsageError
from gitmodel.stores.artifacts.manifests import MANIFEST_LIMIT
from gitmodel.stores.artifacts.parallel_transfers import Tally, in_parallel
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.sources.source_credentials import refuse_credentials
from gitmodel.stores.sources.source_files import SourceFile, find_source, list_folder, open_source, refuse_git
from gitmodel.stores.sources.source_pictures import refuse_large_picture
from gitmodel.stores.transfer import Transfer


class StoredArtifact(NamedTuple):
    """An artifact in a store.

    For a folder, *digest* is the digest of the manifest, and *size* the total size of the files in bytes. *unportable*
    are those paths in the folder that Windows does not support, each with the reason.
    """

    digest: Digest
    size: int
    folder: bool
    unportable: tuple[str, ...] = ()


def put_path(
    store: ArtifactStore,
    path: Path,
    *,
    name: str = "",
    format: str = "",
    allow_credentials: bool = False,
    follow_links: Path | None = None,
    transfer: Transfer = Transfer(),
) -> StoredArtifact:
    """Store the file or folder *path*. For a folder, store every file, and last the manifest that names them.

    A symbolic link is stored as the content of its target. `find_source` says which targets are allowed if *path* is a
    link, `list_folder` says it for links in a folder; both depend on *follow_links*.

    Raises NotFound if *path* does not exist, UsageError for a file that cannot be stored, such as a large picture,
    Conflict for a file that changed while it was read, Refused for a git repository and, unless *allow_credentials* is
    True, for credentials. *name* is the artifact's name in messages, *format* the format that will be recorded ("": as
    detected).
    """
    refuse_git(path, follow_links)
    refuse_large_picture(path, name or path.name, format)
    if not allow_credentials:
        refuse_credentials(path, name or path.name, follow_links)
    place = find_source(path, follow_links)
    if place.is_dir():
        return _put_folder(store, place, follow_links, transfer)
    with open_source(place, str(path), linked=path.is_symlink()) as source:
        count = Tally(transfer.progress, source.seek(0, os.SEEK_END))
        source.seek(0)
        digest, size = store.put_stream(source, sent=count.add)
    return StoredArtifact(digest, size, folder=False)


def _put_folder(store: ArtifactStore, root: Path, follow_links: Path | None, transfer: Transfer) -> StoredArtifact:
    files = list_folder(root, follow_links)
    count = Tally(transfer.progress, sum(file.size for file in files))

    def put(file: SourceFile) -> ManifestEntry:
        with open_source(file.place, str(root / file.name), linked=file.linked) as source:
            digest, size = store.put_stream(source, sent=count.add)
        return ManifestEntry(digest, size, file.name)

    entries = in_parallel(put, files, transfer.jobs, count)
    if list_folder(root, follow_links) != files:
        raise Conflict(
            f"the folder {root} changed while it was being read; nothing was recorded",
            hint="wait until its writer is done and try again",
        )
    manifest = format_manifest(entries)
    if len(manifest) > MANIFEST_LIMIT:
        raise UsageError(f"the folder {root} has too many files ({len(files)})", hint="pack them into an archive")
    digest, _ = store.put_stream(io.BytesIO(manifest))
    unportable = unportable_paths(entry.path for entry in entries)
    return StoredArtifact(digest, sum(entry.size for entry in entries), True, tuple(unportable))
