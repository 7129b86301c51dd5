"""Reading the files of a commit by object id, and writing new trees for a change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.objects.fact_cache import FactCache
from gitmodel.git.objects.object_formats import FILE, FILE_MODES, FOLDER, Entry, NewObject, order_tree, parse_tree
from gitmodel.git.objects.object_reader import GitObject, ObjectReader

_HINT = "run `git model check` to see everything that is wrong with the registry"
_DEEPEST = 32  # levels of folders; records are at most 6 deep, files of the git host may be deeper
# The numbers of entries of the caches. Cached values are never outdated, because object ids are their keys.
_TREES_KEPT = 2_000
_RECORDS_KEPT = 12_000
_BLOBS_KEPT = 2_000
_FOLDERS_KEPT = 2_000
_SHORT = 1_024  # bytes; longer blobs are not cached
_BATCH = 500
# All requests of a batch must fit into a pipe. These batches are smaller, because their requests contain paths.
_NAMED_BATCH = 100


class BoundedCache(OrderedDict[Any, Any]):
    """A cache of at most *kept* entries that drops its oldest entry first; `recall` makes an entry the newest."""

    def __init__(self, kept: int) -> None:
        super().__init__()
        self._kept = kept

    def remember(self, key: Any, value: Any) -> None:
        self[key] = value
        if len(self) > self._kept:
            self.popitem(last=False)

    def recall(self, key: Any) -> Any:
        """Return the value of *key* or None, and make this entry the newest."""
        try:
            self.move_to_end(key)
        except KeyError:  # not cached, or another thread has just dropped it
            return None
        return self.get(key)


class Trees:
    """A reader of trees and records by object id, with caches, for all commits of one repository."""

    def __init__(self, reader: ObjectReader, facts: FactCache) -> None:
        self.reader = reader
        self.facts = facts
        # The caches: the entries of trees by id, and those of folders by the id of a top tree and the path; records by
        # the arguments of `decoded` (id, kind, newer); the bytes of blobs by id.
        self.cached_trees = BoundedCache(_TREES_KEPT)
        self.cached_folders = BoundedCache(_FOLDERS_KEPT)
        self.cached_records = BoundedCache(_RECORDS_KEPT)
        self.cached_blobs = BoundedCache(_BLOBS_KEPT)

    def tree(self, id: Oid) -> Mapping[str, Entry]:
        """Return the entries of the tree *id* by name."""
        found: Mapping[str, Entry] | None = self.cached_trees.recall(id)
        return self._parsed(self.reader.get(id)) if found is None else found

    def read_ahead(self, ids: Iterable[Oid]) -> None:
        """Read the trees *ids* into the cache, in one request. Ignores errors: a later call of `tree` raises them."""
        uncached = [id for id in dict.fromkeys(ids) if id not in self.cached_trees]
        for found in self.reader.get_many(uncached):
            if not isinstance(found, Invalid):
                with suppress(Invalid):
                    self._parsed(found)

    def _parsed(self, read: GitObject) -> Mapping[str, Entry]:
        """Return the entries of the tree *read*, and cache them."""
        if read.type != "tree":
            raise Invalid(f"git object {read.id} is not a tree", hint="run `git fsck`")
        found = parse_tree(read.data)
        self.cached_trees.remember(read.id, found)
        return found

    def entry(self, root: Oid, path: str) -> Entry | None:
        """Return the entry at *path* below the tree *root*, or None if the path does not exist."""
        folder, _, name = path.rpartition("/")
        return self.folder(root, folder).get(name)

    def folder(self, root: Oid, path: str) -> Mapping[str, Entry]:
        """Return the entries of the folder at *path* ("": the top) in the tree *root*; {} if *path* is no folder."""
        if not path:
            return self.tree(root)
        key = (root, path)
        found: Mapping[str, Entry] | None = self.cached_folders.recall(key)
        if found is None:
            entry = self.entry(root, path)
            found = self.tree(entry.id) if entry is not None and entry.mode == FOLDER else {}
            self.cached_folders.remember(key, found)
        return found

    def read_folders(self, found: Iterable[tuple[Oid, str]]) -> None:
        """Read folders into the cache, in few requests to git. *found* has the id of a top tree and a path for each.

        git follows the path, so that gitmodel does not parse large folders on the way. Ignores errors and missing
        folders.
        """
        left = iter(dict.fromkeys(found))
        while batch := list(islice(left, _NAMED_BATCH)):
            with suppress(Invalid):
                read = self.reader.resolve_many([f"{root}:{path}" for root, path in batch])
                for key, folder in zip(batch, read, strict=True):
                    if folder is not None and folder.type == "tree":
                        self.cached_folders.remember(key, self._parsed(folder))

    def decoded(self, id: Oid, data: bytes | None, path: str, kind: type[R], newer: bool) -> R:
        """Return the record of the type *kind* in the blob *id*, from the cache or by decoding *data*, and cache it.

        If *data*, the content of the blob, is None, reads the blob. *path* is only for error messages. If *newer* is
        True, the record keeps keys that this gitmodel does not know; otherwise such a key raises Invalid.
        """
        key = (id, kind, newer)
        record: R | None = self.cached_records.get(key)
        if record is None:
            bytes_ = self.blob(id, path) if data is None else data
            record = codec.decode(kind, bytes_, path, newer=newer)
            self.cached_records.remember(key, record)
        return record

    def blob(self, id: Oid, path: str) -> bytes:
        """Return the bytes of the blob *id*. Raises Invalid, which names *path*, if it is too long for a record."""
        found: bytes | None = self.cached_blobs.get(id)
        if found is None:
            try:
                found = self.reader.get(id, limit=codec.MAX_BYTES).data
            except Invalid as error:
                raise Invalid(f"{path}: {error.message} [record.size]", hint=error.hint) from None
            if len(found) <= _SHORT:
                self.cached_blobs.remember(id, found)
        return found

    def files(self, root: Oid | None) -> CommitFiles:
        """Return the files below the tree *root* (None: no files)."""
        return CommitFiles(self, root)


class CommitFiles:
    """The files of one commit, found in its tree; implements `domain.snapshots.snapshot_sources.Files`."""

    def __init__(self, trees: Trees, root: Oid | None) -> None:
        self.trees = trees
        self.root = root

    def read(self, path: str) -> bytes | None:
        entry = self._file(path)
        return None if entry is None else self.trees.blob(entry.id, path)

    def load(self, path: str, kind: type[R], *, newer: bool) -> R | None:
        entry = self._file(path)
        return None if entry is None else self.trees.decoded(entry.id, None, path, kind, newer)

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        return self.load_blobs(((path, None) for path in found), kind, newer=newer)

    def load_blobs(
        self, found: Iterable[tuple[str, Oid | None]], kind: type[R], *, newer: bool
    ) -> Iterator[R | Invalid]:
        """Yield the records as `load_many` does. *found* has each path with its blob's id, or None to look it up."""
        left = iter(found)
        batch = self._entries(islice(left, _BATCH))
        while batch:
            wanted = self._unread(batch, kind, newer)
            read = dict(zip(wanted, self.trees.reader.get_many(wanted, limit=codec.MAX_BYTES), strict=True))
            following = self._entries(islice(left, _BATCH))
            self.trees.reader.get_soon(self._unread(following, kind, newer))
            yield from self._decoded(batch, read, kind, newer)
            batch = following

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(self.entries(folder))

    def entries(self, folder: str) -> Mapping[str, Entry]:
        """Return the entries of the folder at the path *folder* by name; {} if there is no such folder."""
        return self.trees.folder(self.root, folder) if self.root else {}

    def read_ahead(self, folders: Iterable[str]) -> None:
        """Read the trees of the folders at the paths *folders* into the cache, in one request. Ignores errors.

        The parents of *folders* should already be cached.
        """
        found = []
        for folder in folders:
            with suppress(Invalid):
                found.append(self.entry(folder))
        self.trees.read_ahead(entry.id for entry in found if entry is not None and entry.mode == FOLDER)

    def id(self, path: str) -> Oid | None:
        """Return the object id of the entry at *path*, of any type; None if there is none."""
        entry = self.entry(path)
        return entry.id if entry else None

    def entry(self, path: str) -> Entry | None:
        """Return the entry at *path*, of any type; None if there is none."""
        return self.trees.entry(self.root, path) if self.root else None

    def walk(
        self, folder: str = "", depth: int = 0, *, into: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[str, Entry | Invalid]]:
        """Yield every path below *folder* that is not a folder, with its entry, in git's order.

        For a folder that git cannot read, yields an error instead of its files. For a folder that is too deep for
        records, or for whose path *into* returns False, yields the folder itself. The recursion counts its levels in
        *depth*.
        """
        if not self.root:
            return
        entry = self.trees.entry(self.root, folder) if folder else Entry(FOLDER, self.root)
        if entry is None:
            return
        try:
            entries = self.trees.tree(entry.id)
        except Invalid as error:
            yield folder, error
            return
        for name, found in entries.items():
            path = f"{folder}/{name}" if folder else name
            if found.mode == FOLDER and depth < _DEEPEST and (into is None or into(path)):
                yield from self.walk(path, depth + 1, into=into)
            else:
                yield path, found

    def _entries(self, found: Iterable[tuple[str, Oid | None]]) -> list[tuple[str, Entry | Invalid | None]]:
        found = list(found)
        folders = dict.fromkeys(path.rpartition("/")[0] for path, blob in found if blob is None)
        if len(folders) > 1 and not all((self.root, folder) in self.trees.cached_folders for folder in folders):
            with suppress(Invalid):  # a later read of a path in the damaged folder raises the error
                self.read_ahead(folders)
        entries: list[tuple[str, Entry | Invalid | None]] = []
        for path, blob in found:
            try:
                entries.append((path, Entry(FILE, blob) if blob else self._file(path)))
            except Invalid as error:
                entries.append((path, error))
        return entries

    def _unread(self, batch: list[tuple[str, Entry | Invalid | None]], kind: type[R], newer: bool) -> list[Oid]:
        """Return the ids of the blobs in *batch* whose decoded records are not cached, without duplicates."""
        ids = dict.fromkeys(entry.id for _, entry in batch if isinstance(entry, Entry))
        return [id for id in ids if (id, kind, newer) not in self.trees.cached_records]

    def _decoded(
        self,
        batch: list[tuple[str, Entry | Invalid | None]],
        read: Mapping[Oid, GitObject | Invalid],
        kind: type[R],
        newer: bool,
    ) -> Iterator[R | Invalid]:
        for path, entry in batch:
            try:
                if isinstance(entry, Invalid):
                    raise entry
                if entry is None:
                    raise Invalid(f"{path}: is missing [record.required]", hint=_HINT)
                found = read.get(entry.id)
                if isinstance(found, Invalid):
                    raise Invalid(f"{path}: {found.message} [record.size]", hint=_HINT)
                yield self.trees.decoded(entry.id, found.data if found else None, path, kind, newer)
            except Invalid as error:
                yield error

    def _file(self, path: str) -> Entry | None:
        entry = self.entry(path)
        if entry is not None and entry.mode not in FILE_MODES:
            what = {FOLDER: "a folder", "120000": "a symbolic link", "160000": "a submodule"}.get(
                entry.mode, entry.mode
            )
            raise Invalid(f"{path}: is {what}, not a file [tree.file]", hint=_HINT)
        return entry


def changed_tree(trees: Trees, root: Oid | None, files: Mapping[str, bytes | None]) -> tuple[Oid, list[NewObject]]:
    """Return the id of the tree that *root* becomes by the changes *files*, and the new objects that must be written.

    *files* maps paths to new contents; None deletes the file.
    """
    new: list[NewObject] = []
    below: dict[str, Any] = {}
    for path, data in files.items():
        *folders, name = path.split("/")
        at = below
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = data
    return _changed(trees, root, below, new) or _written(trees, {}, new), new


def _changed(trees: Trees, id: Oid | None, below: Mapping[str, Any], new: list[NewObject]) -> Oid | None:
    """Return the id of the tree that the tree *id* becomes by the changes *below*; None if it becomes empty.

    *below* maps names to new contents (None: delete), or to such a mapping for a folder. Adds the new objects to *new*.
    """
    entries = dict(trees.tree(id)) if id else {}
    for name, data in below.items():
        if isinstance(data, dict):
            old = entries.get(name)
            changed = _changed(trees, old.id if old and old.mode == FOLDER else None, data, new)
            entry = Entry(FOLDER, changed) if changed else None
        elif data is None:
            entry = None
        else:
            blob = NewObject("blob", data)
            new.append(blob)
            entry = Entry(FILE, blob.id)
        if entry is None:
            entries.pop(name, None)
        else:
            entries[name] = entry
    # A tree in git has no empty folders, so the caller removes the entry of an empty one.
    return _written(trees, entries, new) if entries else None


def _written(trees: Trees, entries: Mapping[str, Entry], new: list[NewObject]) -> Oid:
    ordered, data = order_tree(entries)  # readers of the cache expect the order of a tree that is read
    tree = NewObject("tree", data)
    new.append(tree)
    trees.cached_trees.remember(tree.id, ordered)  # so that the next change need not read the tree
    return tree.id
