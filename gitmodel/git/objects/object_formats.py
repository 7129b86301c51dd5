"""git's objects: reading trees, commits and tags from their bytes, and writing loose objects and flushing them to disk.

The formats are those of git's own documentation: `git help format-loose`, `gitformat-pack`, and the trees,
commits and tags of "Git Internals" in the Pro Git book.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid, Unreachable
from gitmodel.files.open_flags import RAW
from gitmodel.files.permissions import SharedPermissions
from gitmodel.frozen import Frozen

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

FILE = "100644"
FOLDER = "40000"
FILE_MODES = frozenset({FILE, "100755"})
_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
# Threads flush at the same time, so that the file system writes its journal once for all of them.
_FLUSHERS = 7
_CAN_START_WRITING = hasattr(os, "posix_fadvise")  # macOS lacks it
# Attempts to move a file into a new folder, which `git gc` may delete while it is empty. No pauses are needed.
_FOLDER_ATTEMPTS = 10
_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


class Entry(NamedTuple):
    """An entry of a tree: mode as git writes it (`100644`, `40000`, ...) and the object's id."""

    mode: str
    id: Oid


class Commit(Frozen):
    """The parts of a commit that gitmodel reads; *author* and *committer* are `Name <email> seconds zone`."""

    id: Oid
    tree: Oid
    parents: tuple[Oid, ...]
    author: str
    committer: str
    message: str

    @property
    def parent(self) -> Oid | None:
        """The first parent; None for a first commit."""
        return self.parents[0] if self.parents else None


class Tag(Frozen):
    """The parts of a tag object that gitmodel reads: all except the tagger and the signature."""

    name: str
    target: Oid
    target_type: str


class NewObject(Frozen):
    """An object before it is written."""

    type: str
    data: bytes

    @cached_property
    def id(self) -> Oid:
        return Oid(_sha1(self._framed).hex())

    @property
    def _framed(self) -> bytes:
        return b"%s %d\0%s" % (self.type.encode(), len(self.data), self.data)

    def compressed(self) -> bytes:
        """The bytes of the loose object file."""
        return zlib.compress(self._framed, 1)


def parse_tree(data: bytes) -> dict[str, Entry]:
    """Return the entries of a tree, in its order. Bytes of names that are not UTF-8 become surrogates."""
    entries = {}
    position = 0
    while entry := _TREE_ENTRY.match(data, position):
        id: Any  # Any, because a conversion to Oid takes time for many entries
        mode, name, id = entry.groups()
        entries[name.decode("utf-8", "surrogateescape")] = Entry(intern(mode.decode()), id.hex())
        position = entry.end()
    if position != len(data):
        raise Invalid("a tree of the metadata branch is damaged", hint="run `git fsck`")
    return entries


def format_tree(entries: Mapping[str, Entry]) -> bytes:
    """Return the bytes of a tree, with its entries in git's order (folders as if their name ended in a slash)."""
    return b"".join(line for _, line in sorted(map(_tree_line, entries.keys(), entries.values())))


# A writer formats the same folder again and again, with one other entry each time.
@lru_cache(1 << 12)
def _tree_line(name: str, entry: Entry) -> tuple[bytes, bytes]:
    """Return the place of an entry in git's order, and its bytes in a tree."""
    raw = name.encode("utf-8", "surrogateescape")
    line = b"%s %s\0%s" % (entry.mode.encode(), raw, bytes.fromhex(entry.id))
    return raw + b"/" if entry.mode == FOLDER else raw, line


def parse_commit(id: Oid, data: bytes) -> Commit:
    head, _, message = data.decode("utf-8", "replace").partition("\n\n")
    lines = [line.partition(" ") for line in head.split("\n")]
    first = {key: value for key, _, value in reversed(lines)}
    parents = tuple(Oid(value) for key, _, value in lines if key == "parent")
    tree = Oid(first.get("tree", ""))
    return Commit(id, tree, parents, first.get("author", ""), first.get("committer", ""), message)


def format_commit(tree: Oid, parents: Iterable[Oid], author: str, committer: str, message: str) -> bytes:
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author}", f"committer {committer}"]
    return ("\n".join(lines) + "\n\n" + message).encode()


def parse_tag(data: bytes) -> Tag:
    head = data.decode("utf-8", "replace").partition("\n\n")[0]
    keys = {key: value for key, _, value in (line.partition(" ") for line in head.split("\n"))}
    return Tag(keys.get("tag", ""), Oid(keys.get("object", "")), keys.get("type", ""))


def format_tag(target: Oid, name: str, tagger: str, message: str) -> bytes:
    """Return the bytes of an annotated tag of a commit."""
    return f"object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}".encode()


def format_pack(objects: Iterable[NewObject]) -> bytes:
    """Return the bytes of a pack of *objects*, each once and complete (`git help gitformat-pack`)."""
    distinct = {new.id: new for new in objects}
    packed = b"".join(_packed_head(new) + zlib.compress(new.data, 1) for new in distinct.values())
    pack = b"PACK" + struct.pack(">II", 2, len(distinct)) + packed
    return pack + _sha1(pack)


def _sha1(data: bytes) -> bytes:
    import hashlib  # imported here: it loads OpenSSL, which takes 2 ms, and only writers need it

    return hashlib.sha1(data).digest()


def _packed_head(new: NewObject) -> bytes:
    """Return the header of an object in a pack: type and size, in bytes of seven bits (four of size in the first)."""
    size = len(new.data)
    head = [_PACK_TYPES[new.type] << 4 | size & 0xF]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)


class LooseObjects:
    """Writes new objects into a repository's object folder (in a hook of a server, into the quarantine folder)."""

    def __init__(self, folder: Path, shared: str) -> None:
        self._folder = os.fspath(folder)  # as text, because joining a `Path` takes as long as writing a small file
        self._permissions = SharedPermissions(shared)
        self._flushers: ThreadPoolExecutor | None = None
        self._owner = 0

    def write(self, objects: Iterable[NewObject]) -> None:
        """Write *objects* and flush them to disk. Raises Unreachable if writing fails."""
        pending: list[tuple[int, str, str]] = []
        try:
            for new in objects:
                id = new.id
                final = f"{self._folder}/{id[:2]}/{id[2:]}"
                if not _refreshed(final):
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
        """End the threads, if there are any."""
        if self._flushers is not None:
            self._flushers.shutdown()
            self._flushers = None

    def _begin(self, final: str, data: bytes) -> tuple[int, str, str]:
        # All temporary files are in one folder: the file system flushes them in half the time that it needs for files
        # in the folders of the objects. `git gc` deletes files of this name that a killed writer left.
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
            # The folder may not exist. While it is empty, `git gc` may delete it again.
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
        if self._flushers is None or self._owner != os.getpid():  # a forked process does not have the threads
            from concurrent.futures import ThreadPoolExecutor  # imported here: only writers need it, and it costs 5 ms

            self._flushers = ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="gitmodel-fsync")
            self._owner = os.getpid()
        for descriptor in descriptors if _CAN_START_WRITING else ():
            # Linux then starts to write the file in the background, while gitmodel writes the next file.
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


def _refreshed(path: str) -> bool:
    """Return True if the object exists; refresh its timestamp, as git does, so that a running gc keeps it."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    except PermissionError:  # Another user's file: its time cannot be set. Like git, write a new file.
        return False
    return True
