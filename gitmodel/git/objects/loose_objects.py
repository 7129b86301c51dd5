"""Writing loose objects and flushing them to disk, so that a later ref never names an object that is not on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.errors import Unreachable
from gitmodel.files.open_flags import RAW
from gitmodel.files.permissions import SharedPermissions
from gitmodel.git.objects.object_formats import NewObject

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

# The number of threads that flush files at the same time, so that the file system writes its journal once for them.
_FLUSHERS = 7
_CAN_START_WRITING = hasattr(os, "posix_fadvise")  # macOS lacks it
# Attempts to move a file into a new folder. One fails only if `git gc` deletes the folder while it is empty, so no
# pauses are needed.
_FOLDER_ATTEMPTS = 10


class LooseObjects:
    """Writes new objects into the object folder *folder* (in a hook of a server, this is git's quarantine folder)."""

    def __init__(self, folder: Path, permissions: SharedPermissions) -> None:
        self._folder = os.fspath(folder)  # as text, because joining a `Path` takes as long as writing a small file
        self._permissions = permissions
        self._flushers: ThreadPoolExecutor | None = None
        self._owner = 0

    def write(self, objects: Iterable[NewObject]) -> None:
        """Write *objects* and flush them to disk. Raises Unreachable if writing fails."""
        pending: list[tuple[int, str, str]] = []
        try:
            for new in objects:
                final = f"{self._folder}/{new.id[:2]}/{new.id[2:]}"
                try:
                    os.utime(final)  # so that a running gc keeps an existing object
                except (FileNotFoundError, PermissionError):
                    # The time of another user's file cannot be set. Like git, gitmodel then writes a new file.
                    pending.append(self._begin(final, new.compressed()))
            self._flush([descriptor for descriptor, _, _ in pending])
            for _, temporary, final in pending:
                self._place(temporary, final)
        except OSError as error:
            for _, temporary, _ in pending:
                _unlink(temporary)
            raise Unreachable(
                f"git objects cannot be written to {self._folder}: {error.strerror}",
                hint="nothing was changed; free space on the disk or repair it, then try again",
            ) from error
        finally:
            for descriptor, _, _ in pending:
                os.close(descriptor)

    def close(self) -> None:
        """End the threads that flush files, if there are any."""
        if self._flushers is not None:
            self._flushers.shutdown()
            self._flushers = None

    def _begin(self, final: str, data: bytes) -> tuple[int, str, str]:
        # All temporary files are in one folder: the file system flushes them in half the time that it needs for files
        # in the folders of the objects. `git gc` deletes files with names like this one that a killed writer left.
        temporary = f"{self._folder}/tmp_obj_{os.urandom(8).hex()}"
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | RAW, 0o444)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if self._permissions:
                os.fchmod(descriptor, self._permissions.mode(os.fstat(descriptor).st_mode))
        except OSError:
            os.close(descriptor)
            _unlink(temporary)
            raise
        return descriptor, temporary, final

    def _place(self, temporary: str, final: str) -> None:
        for _ in range(_FOLDER_ATTEMPTS):
            # The folder of the object may not exist yet, and `git gc` may delete it again while it is empty.
            with suppress(FileNotFoundError):
                os.replace(temporary, final)
                return
            with suppress(FileNotFoundError):
                self._permissions.make_folder(Path(final).parent)
        os.replace(temporary, final)

    def _flush(self, descriptors: list[int]) -> None:
        if len(descriptors) < 2:
            for descriptor in descriptors:
                os.fsync(descriptor)
            return
        if self._flushers is None or self._owner != os.getpid():  # a forked process has no threads of its parent
            from concurrent.futures import ThreadPoolExecutor  # imported here: only writers need it, and it costs 5 ms

            self._flushers = ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="gitmodel-fsync")
            self._owner = os.getpid()
        for descriptor in descriptors if _CAN_START_WRITING else ():
            # This makes Linux start to write the file to disk in the background, before `fsync` waits for it.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        others = [self._flushers.submit(os.fsync, descriptor) for descriptor in descriptors[1:]]
        try:
            os.fsync(descriptors[0])
        finally:
            for other in others:
                other.result()


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
