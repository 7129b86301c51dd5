"""The files of a partial clone, which has the names of files, but not their contents.

gitmodel fetches contents when a caller reads them, many in one request.
"""

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
    given ids in one request. git itself would fetch each missing object separately, with a process and one or two round
    trips.
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
        self._lacks_folders = lacks_folders
        self._here: frozenset[Oid] = frozenset()

    def tree(self, id: Oid) -> Mapping[str, Entry]:
        if self._lacks_folders:
            self.ensure([id])
        return super().tree(id)

    def read_ahead(self, ids: Iterable[Oid]) -> None:
        wanted = list(ids)
        if self._lacks_folders:
            self.ensure(wanted)
        super().read_ahead(wanted)

    def blob(self, id: Oid, path: str) -> bytes:
        self.ensure([id])
        return super().blob(id, path)

    def files(self, root: Oid | None) -> PartialCloneFiles:
        return PartialCloneFiles(self, root)

    def ensure(self, ids: Iterable[Oid]) -> None:
        """Fetch those of the objects *ids* that the repository lacks, in one request. Raises Unreachable."""
        cached = (self._blobs, self._trees)
        missing = [id for id in dict.fromkeys(ids) if id not in self._here and not any(id in found for found in cached)]
        if not missing:
            return
        # The objects of the repository are listed again, because other processes also fetch into this repository.
        self._here = self._list()
        missing = [id for id in missing if id not in self._here]
        if missing:
            self._fetch(missing)
            self._here |= frozenset(missing)

    def has_blob(self, id: Oid) -> bool:
        """Return True if the blob *id* need not be fetched. False can also mean that nobody has checked yet."""
        return id in self._here or id in self._blobs

    def has_tree(self, id: Oid) -> bool:
        """Return True if the tree *id* need not be fetched. False can also mean that nobody has checked yet."""
        return not self._lacks_folders or id in self._here or id in self._trees

    def forget(self) -> None:
        """Forget which objects the repository has. Called after a damaged repository was deleted and created again."""
        self._here = frozenset()

    def _list(self) -> frozenset[Oid]:
        command = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
        return frozenset(self._git.oids(*command))


class PartialCloneFiles(CommitFiles):
    """The files of one commit in a partial clone.

    Missing files that a caller reads together are fetched in one request.
    """

    def __init__(self, trees: PartialCloneTrees, root: Oid | None) -> None:
        super().__init__(trees, root)
        self._lazy_trees = trees

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
        wanted = [path for path, _ in found]
        self.ensure(wanted if len(wanted) <= _FEW else [*wanted, *self._beside(wanted)])
        return super().load_blobs(found, kind, newer=newer)

    def ensure(self, wanted: Iterable[str]) -> None:
        """Fetch the files at the paths *wanted*, and the trees of the folders above them, as far as they are missing.

        Takes one request for all missing objects of a level of folders.
        """
        left = list(wanted)
        while left:
            found = [(path, *self._farthest(path)) for path in left]
            self._lazy_trees.ensure(id for _, id, _ in found if id)
            left = [path for path, _, is_file in found if not is_file]

    def _ensure_folder_of(self, path: str) -> None:
        """Fetch the file at *path* if it is missing, together with the other files of its folder if these are few."""
        entry = self.entry(path)
        if self.root is None or entry is None or self._lazy_trees.has_blob(entry.id):
            return
        files = [
            other.id
            for other in self._lazy_trees.folder(self.root, path.rpartition("/")[0]).values()
            if other.mode in FILE_MODES
        ]
        self._lazy_trees.ensure(files if entry.id in files and len(files) <= _FEW else [entry.id])

    def _beside(self, wanted: Iterable[str]) -> Iterator[str]:
        """Yield the paths of all versions of the models whose version files are in *wanted*.

        The caller fetches them together, because it usually reads all versions of a model.
        """
        folders = {path.partition("/versions/")[0] for path in wanted if "/versions/" in path}
        for folder in folders:
            yield from (path for path, _ in self.walk(f"{folder}/versions"))

    def _farthest(self, path: str) -> tuple[Oid | None, bool]:
        """Return the id of the file at *path* and True, or the id of a missing folder above it and False.

        The id is None if there is no such file.
        """
        at = self.root
        for name in path.split("/"):
            if at is None or not self._lazy_trees.has_tree(at):
                return at, at is None
            try:
                entry = self._lazy_trees.tree(at).get(name)
            except Invalid:  # the caller gets this error when it reads the file
                return None, True
            at = entry.id if entry else None
        return at, True
