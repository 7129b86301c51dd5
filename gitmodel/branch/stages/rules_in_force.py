"""The rules in force: the rules tag, which lists the commits with these rules, and later rules that also count.

`git model apply` moves the rules tag. A change of a stage must satisfy the rules in force, the rules of the first
parent of the change, and all versions of the rules in between. So stricter rules count immediately, but looser rules
count only after they come into force.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import rules_ref, seen_rules_ref
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.schema.registry_rules.rules_tag import extends, read_before, rules_message
from gitmodel.domain.snapshots.commit_records import read_registry
from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW, Files
from gitmodel.errors import Invalid, Refused
from gitmodel.git.history.commit_chains import Commits
from gitmodel.git.history.commits import PARENTS_BEFORE_WALK
from gitmodel.git.objects.object_formats import NewObject, format_tag, parse_tag
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.refs.ref_move import RefMove

# If a search takes more commits than this, gitmodel writes its result into the fact cache.
_FEW = 8
_RULES = "rules"


class RulesInForce:
    """The rules in force of one repository, whose metadata branch is *branch*.

    *ref* is the ref of the rules tag, and *name* is *ref* without `refs/tags/`. *seen_ref* records the rules tag that
    this clone saw last.
    """

    def __init__(self, commits: Commits, branch: str) -> None:
        self._reader = commits.trees.reader
        self._facts = commits.trees.facts
        self._commits = commits
        self._branch = branch.removeprefix("refs/heads/")
        self.ref = rules_ref(branch)
        self.name = self.ref.removeprefix("refs/tags/")
        self.seen_ref = seen_rules_ref(branch)
        self._assumed: Oid | None = None

    def id(self) -> Oid | None:
        """Return the id of the current object of the rules tag; None if there is no such tag."""
        return self._reader.resolve_id(self.ref)

    @contextmanager
    def assume(self, id: Oid) -> Iterator[None]:
        """During the block, act as if the rules tag were at the tag object *id*.

        The hook that judges a push uses this, because it runs before the refs move.
        """
        self._assumed = id
        try:
            yield
        finally:
            self._assumed = None

    def commits_in_force(self) -> tuple[Oid, ...]:
        """Return the commits that the rules tag lists: their rules came into force, newest first.

        If the tag is missing, was set back or is malformed, returns those of the last tag that this clone saw, or ().
        """
        if self._assumed:
            return self.read(self._assumed)
        try:
            return self.check()
        except Refused:
            return self.seen()

    def check(self) -> tuple[Oid, ...]:
        """Return the commits that the rules tag lists, newest first; () if there is no tag.

        Raises Refused if the tag is malformed, or if this clone saw it before and it is now missing or set back.
        """
        # `seen_ref` is read first, because processes move it last: so it is never newer than the tag.
        seen, now = self._reader.resolve_many([self.seen_ref, self.ref])
        if now is None:
            if seen is not None:
                raise self._refusal("is gone")
            return ()
        found = self._read(now)
        if (seen is None or seen.id != now.id) and not extends(found, self._read_seen(seen)):
            raise self._refusal("was set back")
        return found

    def read(self, id: Oid | None) -> tuple[Oid, ...]:
        """Return the commits that the tag object *id* lists; () for None. Raises Refused if it is no rules tag."""
        return self._read(self._reader.get(id)) if id else ()

    def seen(self) -> tuple[Oid, ...]:
        """Return the commits that the rules tag listed when this clone last saw it; () if it saw none or a bad one."""
        return self._read_seen(self._reader.resolve(self.seen_ref))

    def other_commits(self, parent: Oid | None) -> tuple[Oid, ...]:
        """Return the commits whose rules also count for a change on the commit *parent*, besides *parent* itself.

        These are the newest commit that the rules tag lists on the chain of first parents of *parent*, and each later
        commit up to *parent* that changed the rules. Returns () if the tag lists no commit on this chain.
        """
        if parent is None:
            return ()
        since = next((commit for commit in self.commits_in_force() if self._commits.reaches(parent, commit)), None)
        if since is None or since == parent:
            return (since,) if since else ()
        begin, at = self._changed(since), self._changed(parent)
        found = [since]
        while at and at != begin:
            found.append(at)
            parent = self._commits.read(at).parent
            at = self._changed(parent) if parent else None
        return tuple(found)

    def other_registries(self, parent: Oid | None) -> tuple[RegistryRecord, ...]:
        """Return the record `gitmodel.toml` of each of `other_commits`. Raises Invalid if one cannot be read."""
        return tuple(read_registry(self._commits.files(commit)) for commit in self.other_commits(parent))

    def are_pending(self, tip: Oid) -> bool:
        """Return True if no rules are in force, or if further rules than those in *tip* count for a change on *tip*."""
        now = self._commits.files(tip)
        return not self.commits_in_force() or any(
            not have_same_rules(self._commits.files(commit), now) for commit in self.other_commits(tip)
        )

    def check_branch(self, tip: Oid) -> None:
        """Raise Refused if `check` does, or if the rules tag points at a commit that is not on the branch at *tip*.

        Does not raise if another process has moved the branch, which has this commit now: then the write on *tip* fails
        and is retried. Raises Invalid if a shallow clone lacks the commits to decide this.
        """
        positions = self.check()
        if positions and not self._commits.reaches(tip, positions[0]):
            now = self._reader.resolve_id(f"refs/heads/{self._branch}")
            if now is not None and now != tip and self._commits.reaches(now, positions[0]):
                return
            if self._commits.shallow:
                raise _too_shallow()
            raise self._refusal(f"points at {positions[0][:10]}, which is not on the branch")

    def next_tag(self, data: bytes, id: Oid, *, kept: tuple[Oid, ...] | None = None) -> NewObject:
        """Return the rules tag, not written yet, that puts the rules of the commit *id* with the bytes *data* in force.

        *kept* are the commits that the tag lists after this one, by default `commits_in_force`.
        """
        before = self.commits_in_force() if kept is None else kept
        committer = next(line for line in data.decode("utf-8", "replace").split("\n") if line.startswith("committer "))
        message = rules_message(self._branch, before)
        return NewObject("tag", format_tag(id, self.name, committer.removeprefix("committer "), message))

    def moves(self, tag: Oid) -> list[RefMove]:
        """Return the ref moves that set the rules tag to the object *tag*, and record that this clone saw it."""
        now, seen = self._reader.resolve_many([self.ref, self.seen_ref])
        return [RefMove(self.ref, tag, now.id if now else None), *self._seen_moves(tag, seen)]

    def moves_to_remember(self) -> list[RefMove]:
        """Return the ref move that records that this clone saw the current rules tag; [] if this is recorded."""
        now, seen = self._reader.resolve_many([self.ref, self.seen_ref])
        return self._seen_moves(now.id, seen) if now else []

    def _seen_moves(self, tag: Oid, seen: GitObject | None) -> list[RefMove]:
        old = seen.id if seen else None
        return [RefMove(self.seen_ref, tag, old)] if tag != old else []

    def _read(self, found: GitObject) -> tuple[Oid, ...]:
        if found.type == "tag":
            tag, message = parse_tag(found.data), found.data.decode("utf-8", "replace").partition("\n\n")[2]
            before = read_before(message)
            if tag.name == self.name and tag.target_type == "commit" and before is not None:
                return (tag.target, *before)
        raise self._refusal("is not a tag that gitmodel made")

    def _read_seen(self, seen: GitObject | None) -> tuple[Oid, ...]:
        try:
            return self._read(seen) if seen else ()
        except Refused:
            return ()

    def _changed(self, commit: Oid) -> Oid | None:
        """Return the newest commit on the chain of first parents of *commit* that changed the rules, or None."""
        at = commit
        for step in range(PARENTS_BEFORE_WALK):
            known = self._facts.get_oid(_RULES, at)
            parents = self._commits.read(at).parents
            if known is None and self._commits.is_hidden(at):
                raise _too_shallow()
            if known is None and (not parents or self._ids(at) != self._ids(parents[0])):
                known = at
            if known is not None:
                if step > _FEW:
                    self._facts.put(_RULES, commit, known)
                return known
            at = parents[0]
        found = self._commits.changed_by(at, paths.REGISTRY, paths.SIGNERS)
        if found:
            self._facts.put(_RULES, commit, found)
        return found

    def _ids(self, commit: Oid) -> tuple[Oid | None, Oid | None]:
        files = self._commits.files(commit)
        return files.id(paths.REGISTRY), files.id(paths.SIGNERS)

    def _refusal(self, what: str) -> Refused:
        return Refused(
            f"the tag {self.name}, which says which rules are in force, {what}",
            hint="run `git model pull` to fetch it, or `git model doctor --fix` to set it as it was seen here last",
        )


def _too_shallow() -> Invalid:
    return Invalid(f"the rules in force are not known: {TOO_SHALLOW}", hint="run `git fetch --unshallow`")


def have_same_rules(one: Files, other: Files) -> bool:
    """Return True if the files *one* and *other* of two commits have the same rules of stages and list of signers."""
    try:
        return read_registry(one).stages == read_registry(other).stages and (
            one.read(paths.SIGNERS) == other.read(paths.SIGNERS)
        )
    except Invalid:
        return False
