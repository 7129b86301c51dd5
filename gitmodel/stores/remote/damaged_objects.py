"""Notes on damaged objects in stores on servers, made by readers on this machine.

gitmodel does not upload an object that a server has with the right size and metadata. So a reader that finds wrong
bytes makes a note, and the next process that stores the object replaces it. A note is an empty file `<root>/damaged/<64
hex digits>`, named by the SHA-256 of the store and the digest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gitmodel.domain.schema.digests import Digest, digest_of, hex_of
from gitmodel.files.open_flags import NOFOLLOW
from gitmodel.files.permissions import make_folder, open_file


class DamagedObjects:
    """The notes on objects of the store *url* that are known to be damaged.

    The notes are files in *folder*, where other processes find them. They are only in memory if *folder* is None or
    cannot be written.
    """

    def __init__(self, url: str, folder: Path | None = None) -> None:
        self._url = url
        self._folder = folder
        self._noted: set[Digest] = set()

    def note(self, digest: Digest) -> None:
        """Add a note that the object is damaged."""
        self._noted.add(digest)
        if self._folder is not None:
            with suppress(OSError):
                make_folder(self._folder)
                os.close(open_file(self._path(self._folder, digest), os.O_WRONLY | os.O_CREAT | NOFOLLOW))

    def forget(self, digest: Digest) -> None:
        """Remove the note, because the object is intact or deleted."""
        self._noted.discard(digest)
        if self._folder is not None:
            with suppress(OSError):
                os.unlink(self._path(self._folder, digest))

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._noted or (self._folder is not None and os.path.exists(self._path(self._folder, digest)))

    def _path(self, folder: Path, digest: Digest) -> Path:
        return folder / hex_of(digest_of(f"{self._url} {digest}".encode()))
