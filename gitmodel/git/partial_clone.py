"""The files of a partial clone: git fetched only their names.

Their content is fetched on demand, many files at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.fact_cache import FactCache
from gitmodel.git.object_reader import ObjectReader
from gitmodel.git.process import Git
from gitmodel.git.trees import CommitFiles, Trees

# A caller that reads more versions of a model than this will probably read all of them.
_FEW = 60


class PartialCloneTrees(Trees):
    """`Trees` of a repository that was fetched with `--filter=blob:none`.

    git itself would fetch each missing file separately, with a process and one or two round trips.
    """

    def __init__(self, git: Git, fetch: Callable[[list[Oid]], None], reader: ObjectReader, facts: FactCache) -> None:
        super().__init__(reader, facts)
        self._git = git
        self._fetch = fetch
        self._here: frozenset[Oid] = frozenset()

    def blob(self, id: Oid, path: str) -> bytes:
        self.ensure([id])
        return super().blob(id, path)

    def files(self, root: Oid | None) -> PartialCloneFiles:
        return PartialCloneFiles(self, root)

    def ensure(self, ids: Iterable[Oid]) -> None:
        """Fetch the missing blobs among *ids* at once. Raises Unreachable."""
        missing = [id for id in dict.fromkeys(ids) if id not in self._here and id not in self._blobs]
        if not missing:
            return
        # Listed again, because other processes also fetch into this repository.
        self._here = self._list()
        missing = [id for id in missing if id not in self._here]
        if missing:
            self._fetch(missing)
            self._here |= frozenset(missing)

    def forget(self) -> None:
        """Forget which files were fetched. Called after the repository was created again."""
        self._here = frozenset()

    def _list(self) -> frozenset[Oid]:
        command = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
        return frozenset(self._git.oids(*command))


class PartialCloneFiles(CommitFiles):
    """The files of one commit. Files that are read together are fetched in one request."""

    def __init__(self, trees: PartialCloneTrees, root: Oid | None) -> None:
        super().__init__(trees, root)
        self._lazy_trees = trees

    def load_blobs(
        self, found: Iterable[tuple[str, Oid | None]], kind: type[R], *, newer: bool
    ) -> Iterator[R | Invalid]:
        found = list(found)
        wanted = [path for path, _ in found]
        self.ensure(wanted if len(wanted) <= _FEW else [*wanted, *self._beside(wanted)])
        return super().load_blobs(found, kind, newer=newer)

    def ensure(self, wanted: Iterable[str]) -> None:
        """Fetch the missing files at the paths *wanted*."""
        self._lazy_trees.ensure(id for path in wanted if (id := self._known(path)))

    def _beside(self, wanted: Iterable[str]) -> Iterator[str]:
        """Yield the other versions of the models in *wanted*, because a reader of many versions usually reads all."""
        folders = {path.partition("/versions/")[0] for path in wanted if "/versions/" in path}
        for folder in folders:
            yield from (path for path, _ in self.walk(f"{folder}/versions"))

    def _known(self, path: str) -> Oid | None:
        try:
            return self.id(path)
        except Invalid:  # reading the file reports the error
            return None
