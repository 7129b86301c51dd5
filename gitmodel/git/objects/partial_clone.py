"""The files of a partial clone, which lacks their contents. gitmodel fetches them when they are read, many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.objects.fact_cache import FactCache
from gitmodel.git.objects.object_formats import FILE_MODES, Entry
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.objects.trees import CommitFiles, Trees
from gitmodel.git.running.process import Git

# If a folder has at most this many files, gitmodel fetches all of them together with the first, because a caller that
# reads one file will probably read others. If a caller reads more than this many files of versions at once, gitmodel
# fetches those of all versions of the same models.
_FEW = 60


class PartialCloneTrees(Trees):
    """`Trees` of a repository that was fetched without the contents of files.

    If *lacks_folders* is True, the repository may also lack the trees of folders. *fetch* fetches the objects with the
    given ids in one request. git itself would fetch each missing object separately.
    """

    def __init__(
        self,
        git: Git,
        fetch: Callable[[list[Oid]], None],
        reader: ObjectReader,
        facts: FactCache,
        *,
        lacks_folders: bool,
    ) -> None:
        super().__init__(reader, facts)
        self._git = git
        self._fetch = fetch
        self.lacks_folders = lacks_folders
        self._here: frozenset[Oid] = frozenset()

    def tree(self, id: Oid) -> Mapping[str, Entry]:
        if self.lacks_folders:
            self.ensure([id])
        return super().tree(id)

    def read_ahead(self, ids: Iterable[Oid]) -> None:
        wanted = list(ids)
        if self.lacks_folders:
            self.ensure(wanted)
        super().read_ahead(wanted)

    def blob(self, id: Oid, path: str) -> bytes:
        self.ensure([id])
        return super().blob(id, path)

    def files(self, root: Oid | None) -> PartialCloneFiles:
        return PartialCloneFiles(self, root)

    def ensure(self, ids: Iterable[Oid]) -> None:
        """Fetch those of the objects *ids* that the repository lacks, in one request. Raises Unreachable."""
        missing = [id for id in dict.fromkeys(ids) if not self.has(id)]
        if not missing:
            return
        # The objects of the repository are listed again, because other processes also fetch into this repository.
        command = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
        self._here = frozenset(self._git.oids(*command))
        missing = [id for id in missing if id not in self._here]
        if missing:
            self._fetch(missing)
            self._here |= frozenset(missing)

    def has(self, id: Oid) -> bool:
        """Return True if the object *id* need not be fetched. False can also mean that nobody has checked yet."""
        return id in self._here or id in self.cached_blobs or id in self.cached_trees

    def forget(self) -> None:
        """Forget which objects the repository has. Called after a damaged repository was deleted and created again."""
        self._here = frozenset()


class PartialCloneFiles(CommitFiles):
    """The files of one commit in a partial clone. Files that a caller reads together are fetched in one request."""

    trees: PartialCloneTrees

    def read(self, path: str) -> bytes | None:
        self._ensure_folder_of(path)
        return super().read(path)

    def load(self, path: str, kind: type[R], *, newer: bool) -> R | None:
        self._ensure_folder_of(path)
        return super().load(path, kind, newer=newer)

    def load_blobs(
        self, found: Iterable[tuple[str, Oid | None]], kind: type[R], *, newer: bool
    ) -> Iterator[R | Invalid]:
        found = list(found)
        paths = [path for path, _ in found]
        if len(paths) > _FEW:
            # The caller usually reads all versions of the models, so they are fetched together.
            folders = {path.partition("/versions/")[0] for path in paths if "/versions/" in path}
            paths += [path for folder in folders for path, _ in self.walk(f"{folder}/versions")]
        self.ensure(paths)
        return super().load_blobs(found, kind, newer=newer)

    def ensure(self, paths: Iterable[str]) -> None:
        """Fetch missing files at *paths* and trees above them, in one request for each level of folders."""
        left = list(paths)
        while left:
            found = [(path, *self._farthest(path)) for path in left]
            self.trees.ensure(id for _, id, _ in found if id)
            left = [path for path, _, is_file in found if not is_file]

    def _ensure_folder_of(self, path: str) -> None:
        """Fetch the file at *path* if it is missing, together with the other files of its folder if these are few."""
        entry = self.entry(path)
        if entry is None or self.trees.has(entry.id):
            return
        beside = self.entries(path.rpartition("/")[0]).values()
        files = [other.id for other in beside if other.mode in FILE_MODES]
        self.trees.ensure(files if entry.id in files and len(files) <= _FEW else [entry.id])

    def _farthest(self, path: str) -> tuple[Oid | None, bool]:
        """Return the id of the file at *path* and True, or the id of a folder above it and False.

        This is the first folder whose tree the repository lacks. If the commit has no file at *path*, returns None and
        True.
        """
        at = self.root
        for name in path.split("/"):
            if at is None or (self.trees.lacks_folders and not self.trees.has(at)):
                return at, at is None
            try:
                entry = self.trees.tree(at).get(name)
            except Invalid:  # the caller gets this error when it reads the file
                return None, True
            at = entry.id if entry else None
        return at, True
