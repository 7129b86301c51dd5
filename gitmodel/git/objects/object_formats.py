"""The formats of git objects: the bytes of trees, commits, tags and packs, and their parts as values.

The formats are those of git's own documentation: `git help format-loose`, `gitformat-pack`, and the trees,
commits and tags of "Git Internals" in the Pro Git book.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from sys import intern
from typing import Any, NamedTuple

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen

FILE = "100644"
FOLDER = "40000"
FILE_MODES = frozenset({FILE, "100755"})
_TREE_ENTRY = re.compile(rb"([0-7]+) ([^\0]+)\0(.{20})", re.DOTALL)
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
        """The first parent; None if the commit has no parent."""
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
    """Return the entries of a tree, in the order of the tree. Bytes that are not UTF-8 become surrogates."""
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
    return order_tree(entries)[1]


def order_tree(entries: Mapping[str, Entry]) -> tuple[dict[str, Entry], bytes]:
    """Return *entries* in git's order, in which `parse_tree` returns those of a tree, and the bytes of the tree."""
    lines = {name: _tree_line(name, entry) for name, entry in entries.items()}
    names = sorted(lines, key=lines.__getitem__)
    return {name: entries[name] for name in names}, b"".join([lines[name][1] for name in names])


# Cached, because a writer formats the same folder many times, with one changed entry each time.
@lru_cache(1 << 12)
def _tree_line(name: str, entry: Entry) -> tuple[bytes, bytes]:
    """Return the key by which git sorts an entry of a tree, and the bytes of the entry in the tree."""
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
    """Return the bytes of an annotated tag *name* of the commit *target*."""
    return f"object {target}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}".encode()


def format_pack(objects: Iterable[NewObject]) -> bytes:
    """Return the bytes of a pack (`git help gitformat-pack`) with each of *objects* once, and none as a delta."""
    distinct = {new.id: new for new in objects}
    packed = b"".join(_packed_head(new) + zlib.compress(new.data, 1) for new in distinct.values())
    pack = b"PACK" + struct.pack(">II", 2, len(distinct)) + packed
    return pack + _sha1(pack)


def _sha1(data: bytes) -> bytes:
    import hashlib  # imported here: it loads OpenSSL, which takes 2 ms, and only writers need it

    return hashlib.sha1(data).digest()


def _packed_head(new: NewObject) -> bytes:
    """Return the header of an object in a pack: its type and size.

    Each byte has seven bits of data. The first has three bits of the type and four of the size.
    """
    size = len(new.data)
    head = [_PACK_TYPES[new.type] << 4 | size & 0xF]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head)
