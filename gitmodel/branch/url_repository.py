"""A registry by URL: reads fetch what they need into the user's cache, writes are pushed before they are done."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from gitmodel.branch import remotes
from gitmodel.branch.opening import checked_branch, read_config
from gitmodel.branch.remotes import RemoteMoved
from gitmodel.branch.repository import Repository
from gitmodel.branch.retrying import Tries
from gitmodel.branch.single_commits import FILTER, SingleCommits, files_of, id_of
from gitmodel.branch.stage_tags import TagAim
from gitmodel.branch.url_cache import ALL, BRANCH, PROPOSED, REMOTE, SINGLE, UrlCache
from gitmodel.domain.addresses import Address, Terms
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import RegistryRecord
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import DEFAULT_BRANCH, PROPOSALS, RULES_TAGS, SEEN_RULES, STAGE_TAGS, StageRef
from gitmodel.domain.schema.renumbering import Renumberings
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.errors import Conflict, GitModelError, Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.git.objects import NewObject
from gitmodel.git.partial_clone import PromisedFiles, PromisedTrees
from gitmodel.git.process import FETCH, ZERO, Answer, Git, GitError, Locked, Moved, check_git
from gitmodel.git.refs import RefMove

T = TypeVar("T")

# Of more files than these, only those that nearly every question reads are fetched before one asks for them: versions,
# names and runs are many.
_FEW = 2_000
_WANTED = frozenset({"registry", "model", "stage", "alias", "archived"})
# Ids of 41 bytes on one command line, of which Linux takes 2 MiB.
_MOST = 20_000
# A pause is at most as long as so many tries.
_MOST_TRIES = 8


class UrlRepository(Repository):
    """The registry at a URL; open it with `open_url`.

    The cache holds a bare clone of the branch and the stage tags without the bytes of files, and apart from it single
    commits without their history, for readers that need no more. Refs there say what the server said last; no commit
    gets a ref there before the server has it.
    """

    def __init__(self, address: Address, cache: UrlCache, branch: str) -> None:
        self.url = address.shown
        self._cache = cache
        git, single = cache.git(BRANCH), cache.git(SINGLE)
        config = read_config(git)
        name = checked_branch(branch or config.get("gitmodel.branch", "") or DEFAULT_BRANCH)
        super().__init__(
            git, branch=name, config=config, objects_folder=git.git_dir / "objects", shallow=False,
            trees=partial(PromisedTrees, git, partial(self._fetch_blobs, git)),
        )  # fmt: skip
        self.tags.also = self.sealing.judged_by_own_signers
        self._single = Repository(
            single, branch=name, config=config, objects_folder=single.git_dir / "objects", shallow=True,
            trees=partial(PromisedTrees, single, partial(self._fetch_blobs, single)),
        )  # fmt: skip
        self._commits = SingleCommits(self, self._single, cache)
        # whether all of the branch was asked for since the last `renew`
        self._current = False
        self._ends = 0.0
        self._pushed = False
        # the stage tags that `put_in_force` did not move after all: somebody else had, or the server refused it
        self._left: frozenset[str] = frozenset()
        self._mended = False

    @property
    def timeout(self) -> float:
        """The seconds for which a write is retried while others write."""
        return self._cache.terms.timeout

    def close(self) -> None:
        super().close()
        self._single.close()

    def renumberings(self) -> Renumberings:
        return Renumberings()  # nothing is here that the server does not have

    def renew(self) -> None:
        self._current = False
        self._commits.renew()

    def tip(self) -> str:
        self._refresh()
        return super().tip()

    def writable_tip(self) -> str:
        self._refresh()
        return super().writable_tip()

    def files(self, commit: str) -> PromisedFiles:
        return files_of(self, commit)

    def head(self) -> Snapshot:
        return self._mending(lambda: self.snapshot() if self._current else self._commits.tip())

    def read(self, question: Callable[[Snapshot], T], *, about: VersionRef | None = None) -> T:
        def ask() -> T:
            if about is not None and not self._has_whole(about):
                least = self._commits.least(about)
                # whether a signature counts is for those to say whom the commit before lists
                waits = least.frozen is None and _is_recorded(least, about)
                if not waits and (least.frozen is None or not _may_be_signed(least, least.frozen)):
                    return question(least)
            return super(UrlRepository, self).read(question)

        return self._mending(ask)

    def transact(self, plan: Callable[[Snapshot], Change[T]]) -> T:
        return self.writing(lambda: super(UrlRepository, self).transact(plan))

    def reserve(
        self, model: str, next_number: Callable[[Snapshot], int], *, name: str | None = None, run: str = ""
    ) -> int:
        return self.writing(lambda: super(UrlRepository, self).reserve(model, next_number, name=name, run=run))

    def put_in_force(
        self, choose: Callable[[Snapshot], Iterable[TagAim]], *, rules: bool = False
    ) -> tuple[list[StageRef], list[tuple[StageRef, str]]]:
        self._left = frozenset()
        moved, refused = self.writing(lambda: super(UrlRepository, self).put_in_force(choose, rules=rules))
        return [ref for ref in moved if ref.full not in self._left], refused

    def release(self, model: str, numbers: list[int], tip_number: int) -> None:
        with self._cache.lock():
            super().release(model, numbers, tip_number)

    def release_names(self, run: str) -> None:
        with self._cache.lock():
            super().release_names(run)

    def begin(self, registry: RegistryRecord) -> bool:
        return self.writing(lambda: super(UrlRepository, self).begin(registry))

    def move(self, moves: Sequence[RefMove], message: str, new: Sequence[NewObject] = ()) -> None:
        """Move refs on the server, all or nothing; those that are never pushed, here. Raises Moved, Locked, Refused."""
        self.objects.write(new)
        own = [move for move in moves if not _is_shared(move.ref, self.branch)]
        seen = [move for move in own if move.ref.startswith(SEEN_RULES)]
        pushed = {
            move.ref: (move.new or "", move.old or "")
            for move in moves
            if not move.verifies and _is_shared(move.ref, self.branch)
        }
        if not pushed:
            super().move(moves, message)
            return
        if own != seen:
            super().move([move for move in own if move not in seen], message)
        self._push(pushed)
        if seen:  # what the server took
            super().move(seen, message)

    def _latest(self) -> str:
        return self.writable_tip()

    def remember_remote(self) -> None:
        """No-op: the refs of the cache are the server's own."""

    def _tries(self) -> Tries:
        return _UrlTries(self)

    def _drop(self, drops: list[tuple[StageRef, str]]) -> None:
        for ref, old in drops:
            try:
                self._push({ref.full: ("", old)})
            except (Moved, Locked, Refused):  # the tag stands and is pending, or somebody else has deleted it
                self._left |= {ref.full}

    # Reading

    def _has_whole(self, about: VersionRef) -> bool:
        """Return True if the whole branch is cached, fresh enough and not older than what was fetched of *about*."""
        if self._current:
            return True
        return not self._commits.has_newer(about) and self._may_answer()

    def _may_answer(self) -> bool:
        """Return True if the last fetch of the whole branch is fresh enough to be used again, and is still there."""
        found = self._cache.fresh(ALL)
        return found is not None and found.id == self._find_tip()

    def _refresh(self) -> None:
        """Have the branch and all stage tags in the cache, as old as they may be."""
        if self._current and self._cache.asked(ALL) is not None:
            return
        if not self._may_answer():
            self._cache.refuse_offline("the registry")
            with self._cache.lock():
                self.fetch_all()
        self._current = True

    def fetch_all(self) -> None:
        """Fetch the branch and the stage tags, and the files that most questions ask for. Raises Unreachable."""
        before = self.reader.resolve(self.branch)
        tags = [f"+{prefix}*:{prefix}*" for prefix in (STAGE_TAGS, RULES_TAGS)]
        answer = self._ask_for(f"+{self.branch}:{self.branch}", *tags)
        if answer == "gone":
            if before is not None:
                self.git.run("update-ref", "--no-deref", "-d", self.branch)
            self._ask_for(*tags)
        self.reader.close()
        self._current = True
        self._commits.renew()
        tip = self._find_tip()
        if tip and (before is None or tip != before.id):
            self._prefetch(before.id if before else "", tip)
        self._cache.note_asked(ALL, tip)

    def _ask_for(self, *refspecs: str) -> str:
        answer = remotes.talk(
            self, *FETCH, "--progress", "--atomic", "--prune", FILTER, "--end-of-options", REMOTE, *refspecs,
        )  # fmt: skip
        if answer.code and f"couldn't find remote ref {self.branch}" in answer.stderr:
            return "gone"
        if answer.code:
            raise self._cache.out_of_reach(remotes.unreachable(self.url, "fetched", answer), ALL)
        return ""

    def renew_branches(self) -> None:
        self._refresh()
        if self._cache.fresh(PROPOSED) is not None:
            return
        self._cache.refuse_offline("the list of proposals")
        with self._cache.lock():
            answer = remotes.talk(
                self, *FETCH, "--progress", "--prune", FILTER, "--end-of-options", REMOTE,
                f"+{PROPOSALS}*:{PROPOSALS}*",
            )  # fmt: skip
            if answer.code:
                raise self._cache.out_of_reach(remotes.unreachable(self.url, "fetched", answer), PROPOSED)
            self.reader.close()
            self._cache.note_asked(PROPOSED, "")

    def _prefetch(self, old: str, new: str) -> None:
        """Fetch what changed from *old* ("": nothing) to *new* of the files that are likely to be read."""
        command = ("diff-tree", "-r", "--raw", "--no-renames", "-z", old, new) if old else ("ls-tree", "-r", "-z", new)
        said = self.git.run(*command).decode("utf-8", "surrogateescape").split("\0")
        if old:
            # ":<old mode> <new mode> <old id> <new id> <status>", then the path
            found = ((facts.split(" ")[3], path) for facts, path in zip(said[0::2], said[1::2], strict=False))
        else:
            # "<mode> <type> <id>", a tab, and the path
            found = ((facts.split(" ")[2], path) for facts, _, path in (line.partition("\t") for line in said if line))
        blobs = [(id, path) for id, path in found if id != ZERO]
        self._promised.ensure(id for id, path in blobs if len(blobs) <= _FEW or _is_wanted(path))

    def _fetch_blobs(self, git: Git, ids: list[str]) -> None:
        self._cache.refuse_offline("a part")
        repository = self if git is self.git else self._single
        with self._cache.lock():
            for begin in range(0, len(ids), _MOST):
                # as git itself fetches what it comes to miss (promisor-remote.c), but many at once
                answer = remotes.talk(
                    repository, "-c", "fetch.negotiationAlgorithm=noop", *FETCH, "--progress", "--no-prune",
                    FILTER, "--end-of-options", REMOTE, *ids[begin : begin + _MOST],
                )  # fmt: skip
                if answer.code and "unadvertised object" in answer.stderr:
                    answer = self._fetch_unfiltered(repository)
                if answer.code:
                    raise remotes.unreachable(self.url, "fetched", answer)

    def _fetch_unfiltered(self, repository: Repository) -> Answer:
        """Fetch all files after all, from a server that leaves them out and then gives none by its id.

        It is one that speaks an old protocol: sshd must be told to let GIT_PROTOCOL through.
        """
        refs = repository.git.lines("for-each-ref", "--format=%(refname)", self.branch, STAGE_TAGS)
        depth = ["--depth=1"] if repository is self._single else []
        return remotes.talk(
            repository, *FETCH, "--progress", "--no-prune", "--refetch", "--no-filter", *depth,
            "--end-of-options", REMOTE, *(f"+{ref}:{ref}" for ref in refs),
        )  # fmt: skip

    # Writing

    def writing(self, work: Callable[[], T]) -> T:
        """Do *work*, which plans and pushes, on the tip fetched now, and again while others push first."""
        if self._cache.terms.offline:
            raise Unreachable(f"nothing can be written to {self.url} offline", hint="run it without --offline")

        self._ends, self._pushed = time.monotonic() + self.timeout, False

        def attempt() -> T:
            with self._cache.lock():
                self.fetch_all()
                return work()

        return self._mending(attempt)

    def _push(self, moves: Mapping[str, tuple[str, str]]) -> None:
        try:
            self._left |= remotes.push(self, REMOTE, moves).left
        except RemoteMoved as error:
            raise Moved(error.message, hint="try again") from error
        except Unreachable as error:
            if not self._landed(moves, error):
                raise
            self._pushed = True
            return
        self._pushed = True
        lines = [f"update {ref} {new}" if new else f"delete {ref}" for ref, (new, _) in moves.items()]
        with suppress(GitModelError):  # it is done, whatever becomes of the cache
            self.git.run("update-ref", "--no-deref", "--stdin", input="".join(f"{line}\n" for line in lines).encode())
            self._cache.note_asked(ALL, id_of(self, self.branch))

    def _check_effect(self, commit: str) -> None:
        """Nothing: the server said that it has it."""

    def _landed(self, moves: Mapping[str, tuple[str, str]], error: Unreachable) -> bool:
        """Return True if a push that reports failure went through all the same."""
        try:
            self.fetch_all()
        except Unreachable:
            raise Unreachable(
                f"{error.message}; whether it went through is not known",
                hint="run it again when the server can be reached; a new version needs the same --idempotency-key then",
            ) from None
        wanted = moves.get(self.branch)
        if wanted is not None:
            return self.tags.is_on_chain(self._find_tip(), wanted[0])
        return all(id_of(self, ref) == new for ref, (new, _) in moves.items())

    # The cache

    @property
    def _promised(self) -> PromisedTrees:
        assert isinstance(self.trees, PromisedTrees)
        return self.trees

    def _mending(self, work: Callable[[], T]) -> T:
        """Call *work* and return its result; retry once, with a new cache, if the cache is damaged or gone."""
        try:
            return work()
        except (Invalid, GitError, NotFound, Unreachable, Locked, Moved) as error:
            if self._mended or self._pushed or self._cache.terms.offline or self._is_whole(error):
                raise
            self._mended = True
            self._make_anew()
            return work()

    def _is_whole(self, error: GitModelError) -> bool:
        if isinstance(error, NotFound):
            return all((git.git_dir / "HEAD").is_file() for git in (self.git, self._single.git))
        return not isinstance(error, Locked) and self._cache.is_sound()

    def _make_anew(self) -> None:
        with self._cache.lock():
            self.close()
            self._cache.remove()
            for name in (BRANCH, SINGLE):
                self._cache.git(name)
        for trees in (self.trees, self._single.trees):
            if isinstance(trees, PromisedTrees):
                trees.forget()
        self.renew()


class _UrlTries(Tries):
    """Tries until the time is over, with the server's refs fetched again before each.

    Pauses grow with what a try takes: on a slow line others need as long, and all would meet again.
    """

    def __init__(self, repository: UrlRepository) -> None:
        super().__init__(repository.reader, lambda: repository.writers)
        self._repository = repository
        self._count = 0
        self._began = time.monotonic()

    def failed(self, error: Conflict) -> None:
        repository, now = self._repository, time.monotonic()
        left = repository._ends - now
        if left <= 0:
            raise Conflict(
                f"others kept changing {repository.url} for {repository.timeout:g} s, and nothing was changed: "
                f"{error.message}",
                hint="try again, or give it longer: --timeout SECONDS",
            )
        self._count += 1
        if isinstance(error, Locked):
            super().failed(error)
        else:
            longest = (now - self._began) * min(2**self._count, _MOST_TRIES)
            time.sleep(random.uniform(0, min(longest, left)))
        self._began = time.monotonic()
        repository.fetch_all()


def open_url(
    address: Address,
    *,
    environ: Mapping[str, str],
    branch: str = "",
    terms: Terms | None = None,
    clock: Callable[[], float] = time.time,
) -> UrlRepository:
    """The registry at *address*; nothing is fetched before something is asked. A damaged cache is made anew.

    Raises UsageError for a git that gitmodel cannot work with, Unreachable for a cache that cannot be written.
    """
    check_git(environ)
    cache = UrlCache(address, environ, terms or Terms(), clock)
    open_it = partial(UrlRepository, address, cache, branch)
    try:
        return open_it()
    except (GitError, Invalid, UsageError):
        cache.remove()
        return open_it()


def _is_recorded(snapshot: Snapshot, about: VersionRef) -> bool:
    """Return True if *about* names a stage or alias recorded on the branch. If not, a former name's tag may stand."""
    if about.number is not None or about.is_latest:
        return False
    with suppress(GitModelError):
        name = snapshot.current_name(about.model)
        return bool(snapshot.recorded(name, about.selector) or snapshot.recorded_alias(name, about.selector))
    return False


def _is_shared(ref: str, branch: str) -> bool:
    """Return True if *ref* is the server's; reservations are never pushed."""
    return ref == branch or ref.startswith((STAGE_TAGS, RULES_TAGS))


def _may_be_signed(snapshot: Snapshot, ref: StageRef) -> bool:
    """Return whether the stage *ref* is `signed`, or may have been until a commit switched off all such rules."""
    rules = snapshot.registry()
    switched_off = paths.SIGNERS in snapshot.files.names("") and not any(rule.signed for rule in rules.stages)
    return rules.rule(ref.stage).signed or switched_off


def _is_wanted(path: str) -> bool:
    found = paths.parse_path(path)
    return found is not None and found.kind in _WANTED
