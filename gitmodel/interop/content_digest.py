"""The digest that a file or folder would have in a store, without storing it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gitmodel.domain.schema.digests import Digest, digest_of
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest

_PIECE = 1 << 20


def content_digest(path: Path) -> Digest:
    """Return the digest of the file, or of the manifest of the folder, at *path*."""
    if not path.is_dir():
        return _file_digest(path)
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    entries = (
        ManifestEntry(_file_digest(file), file.stat().st_size, file.relative_to(path).as_posix()) for file in files
    )
    return digest_of(format_manifest(entries))


def _file_digest(path: Path) -> Digest:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return Digest(f"sha256:{found.hexdigest()}")
