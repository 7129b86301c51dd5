"""An export as one file: a tar with a manifest and the objects that it lists. Equal content gives equal bytes.

The layout is described in `docs/reference/format.md`. A reader compares every name, size, kind of member and byte with
the manifest, and never writes to a path from the archive.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gitmodel.domain.changes.exports import OBJECTS
from gitmodel.domain.schema import codec
from gitmodel.domain.schema.digests import digest_of, object_path
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest, parse_manifest
from gitmodel.errors import Invalid, NotFound, Unreachable, UsageError
from gitmodel.files.open_flags import RAW
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.verified_reading import RawReader, buffered

INDEX = "gitmodel-export"
_BLOCK = 512
_CHUNK = 1 << 20
_LONGEST_INDEX = 64 << 20
_MOST_RECORDS = 64 << 20
_OTHERS = "; to import models of MLflow or GTO, add --from"
_HINT = "it was cut off, changed or made by something else: get it again from where it was exported"


def write_archive(
    target: Path, records: Mapping[str, bytes], artifacts: Iterable[tuple[str, int]], store: ArtifactStore
) -> int:
    """Write an export of *records* and *artifacts* to the file *target*, which appears only when it is complete.

    *records* are contents of files by their paths on the branch. *artifacts* are the digests and sizes of objects,
    which are read from *store*. Returns the length of the archive in bytes. Raises UsageError if *target* exists, and
    the errors of the store.
    """
    entries = [ManifestEntry(digest_of(data), len(data), path) for path, data in records.items()]
    entries += [ManifestEntry(digest, size, object_path(digest)) for digest, size in artifacts]
    index = format_manifest(entries)
    held = {digest_of(data): data for data in records.values()}
    if os.path.lexists(target):
        raise UsageError(f"{target} already exists", hint="name a new file")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {target.absolute().parent}", hint="create it first")
    temporary = target.absolute().parent / f".gitmodel-{os.urandom(8).hex()}.tmp"
    try:
        with temporary.open("xb") as out:
            _add(out, INDEX, len(index), io.BytesIO(index))
            for digest, size in sorted({entry.digest: entry.size for entry in entries}.items()):
                if digest in held:
                    _add(out, object_path(digest), size, io.BytesIO(held[digest]))
                else:
                    with store.open(digest, size) as source:
                        _add(out, object_path(digest), size, source)
            out.write(bytes(2 * _BLOCK))
        size = temporary.stat().st_size
        _place(temporary, target)
        return size
    except FileExistsError:
        raise UsageError(f"{target} already exists", hint="name a new file") from None
    except OSError as error:
        raise Unreachable(f"{target} cannot be written: {error.strerror}", hint="name another place") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _place(temporary: Path, target: Path) -> None:
    """Rename the file *temporary* to *target*. Raises FileExistsError if *target* exists."""
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
            raise
        # Without hard links, create an empty file first: this fails if another process has created *target*.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | RAW))
        os.replace(temporary, target)


class Archive:
    """An export that was read completely: every object has the digest and the length that the manifest says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = os.fstat(file.fileno()).st_size
        name, length = self._header()
        if name != INDEX or length > _LONGEST_INDEX:
            raise Invalid("this is not an export of gitmodel", hint=f"{_HINT}{_OTHERS}")
        self.entries = parse_manifest(b"".join(self._chunks(length)))
        self.sizes = _sizes_of(self.entries)
        expected = _padded(length) + sum(map(_padded, self.sizes.values())) + 2 * _BLOCK
        if size != expected:
            raise Invalid(f"the export has {size} bytes, and its manifest says {expected}", hint=_HINT)
        self._places: dict[str, int] = {}
        self.records = self._verified()

    def open(self, digest: str) -> BinaryIO:
        """Return a reader of the object *digest*, which must be a key of `sizes`."""
        return buffered(_Part(self._file, self._places[digest], self.sizes[digest]))

    def _verified(self) -> dict[str, bytes]:
        """Read and verify all objects, which are in the order of their digests, and return the records by path."""
        of_records = {entry.digest for entry in self.entries if not entry.path.startswith(f"{OBJECTS}/")}
        if sum(self.sizes[digest] for digest in of_records) > _MOST_RECORDS:
            raise Invalid("the records of the export are too long", hint=_HINT)
        found = {}
        for digest in sorted(self.sizes):
            if self._header() != (object_path(digest), self.sizes[digest]):
                raise Invalid(f"the export does not have {digest} where its manifest says", hint=_HINT)
            self._places[digest] = self._file.tell()
            sha, kept = hashlib.sha256(), bytearray()
            for chunk in self._chunks(self.sizes[digest]):
                sha.update(chunk)
                if digest in of_records:
                    kept += chunk
            if sha.hexdigest() != digest.removeprefix("sha256:"):
                raise Invalid(f"the bytes in the export do not match {digest}", hint=_HINT)
            if digest in of_records:
                found[digest] = bytes(kept)
        if self._file.read(2 * _BLOCK) != bytes(2 * _BLOCK):
            raise Invalid("the export has data after its end", hint=_HINT)
        return {entry.path: found[entry.digest] for entry in self.entries if entry.digest in found}

    def _header(self) -> tuple[str, int]:
        block = self._file.read(_BLOCK)
        try:
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError):
            raise Invalid("this is not an export of gitmodel, or a part of one", hint=f"{_HINT}{_OTHERS}") from None
        # This also refuses links, devices, sparse files, long names and extended headers.
        if block != _tar_header(member.name, member.size):
            raise Invalid(f"the export holds {member.name[:100]!a} in an unexpected form", hint=_HINT)
        return member.name, member.size

    def _chunks(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            chunk = self._file.read(min(left, _CHUNK))
            if not chunk:
                raise Invalid("the export is cut off", hint=_HINT)
            left -= len(chunk)
            yield chunk
        padding = self._file.read(-length % _BLOCK)
        if padding.strip(b"\0") or len(padding) != -length % _BLOCK:
            raise Invalid("the export is cut off, or contains unexpected data", hint=_HINT)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open and verify the export at *path*.

    Raises NotFound if there is no such file, Invalid if it is not an intact export, Unreachable if it cannot be
    read.
    """
    if not path.is_file():
        what = f"{path} is not a file" if path.exists() else f"there is no file {path}"
        raise NotFound(what, hint=f"name an export, as `git model export` writes it{_OTHERS}")
    try:
        with path.open("rb") as file:
            yield Archive(file)
    except OSError as error:
        raise Unreachable(
            f"{path} cannot be read: {error.strerror}", hint="check the permissions of the file"
        ) from error


def _sizes_of(entries: Iterable[ManifestEntry]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for entry in entries:
        is_object = entry.path.startswith(f"{OBJECTS}/")
        if sizes.setdefault(entry.digest, entry.size) != entry.size or (
            entry.path != object_path(entry.digest) if is_object else entry.size > codec.MAX_BYTES
        ):
            raise Invalid(f"the manifest of the export is wrong about {entry.path!a}", hint=_HINT)
    return sizes


def _add(out: BinaryIO, name: str, size: int, source: BinaryIO) -> None:
    out.write(_tar_header(name, size))
    left = size
    read: Callable[[int], bytes] = source.read
    while chunk := read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            break
        out.write(chunk)
    if left:
        raise Invalid(f"{name} does not have the {size} bytes that its record says", hint="run `git model verify`")
    out.write(bytes(-size % _BLOCK))


def _tar_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    # GNU's format, because every program can read how it encodes sizes that do not fit in octal digits.
    return member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")


def _padded(size: int) -> int:
    return _BLOCK + size + -size % _BLOCK


class _Part(RawReader):
    """Reads a part of a file as if that part were the whole file."""

    def __init__(self, file: BinaryIO, begin: int, size: int) -> None:
        self._file = file
        self._at = begin
        self._left = size

    def fill(self, view: memoryview) -> int:
        self._file.seek(self._at)
        data = self._file.read(min(len(view), self._left))
        view[: len(data)] = data
        self._at += len(data)
        self._left -= len(data)
        return len(data)
