"""Files of which only the names were fetched: their bytes come when they are asked for, many in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gitmodel.domain.schema.codec import R
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.fact_cache import FactCache
from gitmodel.git.object_reader import ObjectReader
from gitmodel.git.process import Git
from gitmodel.git.trees import CommitFiles, Trees

# A caller that reads more versions of a model than this usually reads all of them.
_FEW = 60


class PartialCloneTrees(Trees):
    """`Trees` of a repository that was fetched with `--filter=blob:none`.

    git would fetch each missing file by itself when it comes upon it, a process and a round trip or two for one.
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
        """Fetch what is missing of the blobs *ids*, in one go. Raises Unreachable."""
        missing = [id for id in dict.fromkeys(ids) if id not in self._here and id not in self._blobs]
        if not missing:
            return
        # other processes also fetch and write into this repository
        self._here = self._list()
        missing = [id for id in missing if id not in self._here]
        if missing:
            self._fetch(missing)
            self._here |= frozenset(missing)

    def forget(self) -> None:
        """The repository was made anew: nothing is known to be in it."""
        self._here = frozenset()

    def _list(self) -> frozenset[Oid]:
        command = ("cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)")
        return frozenset(self._git.oids(*command))


class PartialCloneFiles(CommitFiles):
    """The files of one commit, of which those that are read together are fetched together."""

    def __init__(self, trees: PartialCloneTrees, root: Oid | None) -> None:
        super().__init__(trees, root)
        self._lazy_trees = trees

    def load_many(self, found: Iterable[str], kind: type[R], *, newer: bool) -> Iterator[R | Invalid]:
        wanted = list(found)
        self.ensure(wanted if len(wanted) <= _FEW else [*wanted, *self._beside(wanted)])
        return super().load_many(wanted, kind, newer=newer)

    def ensure(self, wanted: Iterable[str]) -> None:
        """Fetch what is missing of the files at the paths *wanted*."""
        self._lazy_trees.ensure(id for path in wanted if (id := self._known(path)))

    def _beside(self, wanted: Iterable[str]) -> Iterator[str]:
        """The versions of the models that *wanted* are versions of: who reads a hundred reads the next one, too."""
        folders = {path.partition("/versions/")[0] for path in wanted if "/versions/" in path}
        for folder in folders:
            yield from (path for path, _ in self.walk(f"{folder}/versions"))

    def _known(self, path: str) -> Oid | None:
        try:
            return self.id(path)
        except Invalid:  # reading the file reports the error
            return None
