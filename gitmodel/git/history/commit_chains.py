"""Reading commits and their files, and finding out if a commit is on the chain of first parents of another commit."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from gitmodel.domain.schema.object_ids import Oid
from gitmodel.errors import Invalid
from gitmodel.git.history.commits import PARENTS_BEFORE_WALK, commits_changing, first_parents, read_edge, roots
from gitmodel.git.objects.object_formats import Commit, parse_commit
from gitmodel.git.objects.trees import BoundedCache, CommitFiles, Trees
from gitmodel.git.running.process import Git

_COMMITS_KEPT = 5_000


class Commits:
    """The commits of one repository, with caches. *shallow* is True in a shallow clone, which lacks older commits."""

    def __init__(self, git: Git, trees: Trees, *, shallow: bool) -> None:
        self.trees = trees
        self.shallow = shallow
        self._git = git
        self._reader = trees.reader
        self._facts = trees.facts
        self._parsed = BoundedCache(_COMMITS_KEPT)
        self._chain_lock = threading.RLock()
        self._chain_tip: Oid | None = None
        self._on_chain: set[Oid] = set()

    def read(self, id: Oid) -> Commit:
        """Return the commit *id*. Raises Invalid if the repository does not have the commit."""
        found: Commit | None = self._parsed.get(id)
        if found is None:
            found = parse_commit(id, self._reader.get(id).data)
            self._parsed.remember(id, found)
        return found

    def files(self, id: Oid) -> CommitFiles:
        """Return the files of the commit *id*."""
        return self.trees.files(self.read(id).tree)

    def read_ahead(self, ids: Iterable[Oid]) -> None:
        """Read the commits *ids* into the cache, in one request. Ignores errors: a later call of `read` raises them."""
        uncached = [id for id in dict.fromkeys(ids) if id not in self._parsed]
        for found in self._reader.get_many(uncached):
            if not isinstance(found, Invalid):
                self._parsed.remember(found.id, parse_commit(found.id, found.data))

    def merged_by(self, tip: Oid, commit: Oid) -> Oid | None:
        """Return the commit on the chain of first parents of *tip* that merged *commit*.

        Returns None if *tip* does not descend from *commit*.
        """
        cached = self._facts.get_oid("merged", commit)
        if cached and self.is_on_chain(tip, cached):
            return cached
        after = set(self._git.oids("rev-list", "--ancestry-path", f"{commit}..{tip}"))
        chain = self._git.oids("rev-list", "--first-parent", "--reverse", tip, f"^{commit}") if after else []
        merge = next((id for id in chain if id in after), None)
        if merge:
            self._facts.put("merged", commit, merge)
        return merge

    def is_on_chain(self, tip: Oid | None, commit: Oid) -> bool:
        """Return True if *commit* is *tip* or on its chain of first parents. Caches the chain of the last *tip*."""
        if not tip:
            return False
        # The cache holds the chain of one tip, and another thread may ask about another tip at the same time.
        with self._chain_lock:
            self._follow(tip)
            if commit in self._on_chain:
                return True
            if self.reaches(tip, commit):
                self._on_chain.add(commit)
                return True
            return False

    def read_chain(self, tip: Oid) -> None:
        """Cache the whole chain of first parents of *tip*, for many calls of `is_on_chain`."""
        with self._chain_lock:
            self._follow(tip)
            self._on_chain.update(first_parents(self._git, tip))

    def changed_by(self, tip: Oid, *paths: str) -> Oid | None:
        """Return the newest commit on the chain of first parents of *tip* that changed one of *paths*, or None.

        Raises Invalid if the clone is shallow and may lack this commit.
        """
        found = next(iter(commits_changing(self._git, tip, *paths, most=1)), None)
        if self.is_hidden(found) if found else self.is_cut(tip):
            raise Invalid(
                f"this clone is too shallow to tell who changed {paths[0]}", hint="run `git fetch --unshallow`"
            )
        return found

    def author(self, commit: Commit, path: str) -> str:
        """Return the author of the change of *path* in *commit*, as `Name <email> seconds zone`.

        If *commit* is a merge, this is the author of the newest merged commit that changed *path*.
        """
        if len(commit.parents) < 2:
            return commit.author
        parent, *others = commit.parents
        if len(others) == 1 and not self.shallow:
            merged = self.read(others[0])
            # If the merged branch is a single commit that changed *path*, which is the usual case, git need not search.
            if len(merged.parents) == 1:
                id = self.files(merged.id).id(path)
                if id == self.files(commit.id).id(path) != self.files(merged.parents[0]).id(path):
                    return merged.author
        newest = self._git.oid("log", "-1", "--format=%H", commit.id, f"^{parent}", "--", path)
        return self.read(newest).author if newest else commit.author

    def is_hidden(self, commit: Oid) -> bool:
        """Return True if the clone is shallow, and lacks *commit* or the parents of *commit*."""
        return self.shallow and (commit in read_edge(self._git.common_dir) or not self.is_here(commit))

    def is_cut(self, tip: Oid) -> bool:
        """Return True if the chain of first parents of *tip* ends at the edge of a shallow clone."""
        return self.shallow and not read_edge(self._git.common_dir).isdisjoint(roots(self._git, tip))

    def is_here(self, id: Oid) -> bool:
        """Return True if the repository has the commit *id*, which a shallow clone may lack."""
        try:
            self.read(id)
        except Invalid:
            return False
        return True

    def _follow(self, tip: Oid) -> None:
        """Make *tip* the tip of the cached chain. Clear the cache first, unless that chain is part of the new one."""
        if tip == self._chain_tip:
            return
        if not (self._chain_tip and self.reaches(tip, self._chain_tip)):
            self._on_chain = set()
        self._on_chain.add(tip)
        self._chain_tip = tip

    def reaches(self, tip: Oid, commit: Oid) -> bool:
        """Give the same answer as `is_on_chain` without its cache: faster if each call is about another *tip*."""
        # The fact cache maps *commit* to an earlier tip with *commit* on its chain. So each chain that contains this
        # earlier tip also contains *commit*.
        earlier = self._facts.get_oid("chain", commit)
        at = tip
        for _ in range(PARENTS_BEFORE_WALK):
            if at in (commit, earlier):
                return True
            try:
                parents = self.read(at).parents
            except Invalid:
                return False
            if not parents:
                return False
            at = parents[0]
        if not (earlier and self._walks_to(at, earlier)) and not self._walks_to(at, commit):
            return False
        self._facts.put("chain", commit, tip)
        return True

    def _walks_to(self, at: str, commit: Oid) -> bool:
        """Return True if git finds *commit* on the chain of first parents of *at*."""
        walked = self._git.lines("rev-list", "--first-parent", "--parents", at, f"^{commit}", answers=(0, 128))
        last = walked[-1].split() if walked else [at, commit if at == commit else ""]
        return len(last) > 1 and last[1] == commit
