"""The addresses at which interrupted uploads continue. These addresses are kept on this machine between processes.

S3 and Azure tell any client which parts of an upload they have. To continue an upload to Google's store or an OCI
registry, a client needs an address that the server returned at the beginning. The file `<root>/uploads/<64 hex digits>`
has this address. The name of the file is the SHA-256 of the store and the digest. The sending process locks the file
(flock).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gitmodel.domain.schema.digests import Digest, digest_of, hex_of
from gitmodel.files.locks import open_locked

LONGEST = 16 << 10


class ResumableUpload:
    """An upload that continues at the address *where*, or a new upload if *where* is "".

    The address is read from the locked file *path*, which is open as *descriptor*. If *path* is None, there is no file.
    """

    def __init__(self, path: Path | None, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.where = ""
        if path is not None:
            self.where = os.pread(descriptor, LONGEST, 0).decode(errors="replace")

    def keep(self, where: str) -> None:
        """Write the address to the file. An error of writing is ignored."""
        self.where = where
        content = where.encode()
        if self._path is None or len(content) > LONGEST:
            return
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, content, 0)

    def forget(self) -> None:
        """Delete the file, because the upload has ended."""
        self.where = ""
        if self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)
        self.pause()

    def pause(self) -> None:
        """Close the file, which stays for a later attempt."""
        if self._path is not None:
            os.close(self._descriptor)
            self._path = None


class ResumableUploads:
    """The uploads that began on this machine. Their files are in *folder*, which is created when needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hold(self, url: str, digest: Digest) -> ResumableUpload:
        """Return the upload of *digest* to the store *url*.

        If another process is sending the object, returns a new upload, whose address is not written to a file.
        """
        path = self._folder / hex_of(digest_of(f"{url} {digest}".encode()))
        descriptor = open_locked(path)
        return ResumableUpload(None, -1) if descriptor is None else ResumableUpload(path, descriptor)
