"""Writing verified objects of a store to files of the user."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.domain.schema.digests import Digest
from gitmodel.errors import NotFound, UsageError
from gitmodel.files import failures
from gitmodel.files.open_flags import NOFOLLOW, RAW
from gitmodel.files.temporary import folder_beside
from gitmodel.stores.artifacts.parallel_transfers import Tally
from gitmodel.stores.interface import ArtifactStore, wrong_size
from gitmodel.stores.verified_reading import CHUNK, chunks

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


def write_object(
    store: ArtifactStore, digest: Digest, size: int | None, path: Path, count: Tally, mode: int = 0o666
) -> None:
    """Write the object to *path*, which must not exist. After an error, the caller deletes *path*."""
    with store.open(digest, size) as reader:
        with writing(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOFOLLOW | RAW
            descriptor = os.open(path, flags, mode)
        try:
            with _WriteBehind(descriptor, path) as writer:
                read = 0
                for chunk in count.counted(chunks(reader)):
                    read += len(chunk)
                    writer.write(chunk)
        finally:
            os.close(descriptor)
    if size is not None and read != size:
        raise wrong_size(digest, size, read)


# The context manager `writing(path)` converts an OSError in its block to Unreachable.
writing = partial(failures.writing, or_else="choose another path")


class _WriteBehind:
    """Writes a file. A second thread writes a large file, while the caller fetches and hashes the next piece."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> _WriteBehind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()

    def write(self, chunk: memoryview) -> None:
        """Write *chunk*, a piece from `verified_reading.chunks`. A large piece may be written after this call returns.

        The next call waits until the piece is written, because `chunks` then uses the memory of the piece again.
        """
        if len(chunk) < CHUNK and self._pool is None:
            self._write(chunk)
            return
        from concurrent.futures import ThreadPoolExecutor

        self._pool = self._pool or ThreadPoolExecutor(1)
        self._wait()
        self._last = self._pool.submit(self._write, chunk)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
            self._last = None

    def _write(self, chunk: memoryview) -> None:
        with writing(self._path):
            while chunk:
                chunk = chunk[os.write(self._descriptor, chunk) :]


@contextmanager
def making_beside(target: Path) -> Iterator[Path]:
    """Create a temporary folder beside *target*, and delete it at the end of the block.

    Raises Unreachable if no folder can be created beside *target*.
    """
    with ExitStack() as opened:
        with writing(target):
            place = opened.enter_context(folder_beside(target))
        yield place


def require_parent(target: Path) -> None:
    parent = target.absolute().parent
    if not parent.is_dir():
        raise NotFound(f"there is no folder {parent}", hint=f"create it with `mkdir -p {shlex.quote(str(parent))}`")


def refuse_occupied(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{target} exists and is not a folder", hint="name a new folder")
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"the folder {target} is not empty", hint="name a new folder, or empty this one")
