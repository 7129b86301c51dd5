"""A registry by URL: reads fetch the needed objects into the user's cache, and writes push before they return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gitmodel.branch import remotes
from gitmodel.branch.by_url.single_commits import FILTER, SingleCommits
from gitmodel.branch.by_url.url_cache import ALL, BRANCH, HEAD, PROPOSED, REMOTE, SINGLE, UrlCache
from gitmodel.branch.opening import checked_branch
from gitmodel.branch.repository import Repository
from gitmodel.branch.tip_without_history import WholeBranchNeeded, without_rest
from gitmodel.domain.addresses import Address, Terms
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import DEFAULT_BRANCH, PROPOSALS, RULES_TAGS, STAGE_TAGS, StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, Invalid, NotFound, Unreachable, UsageError
from gitmodel.git.history.commits import commits_saying, differing_files
from gitmodel.git.objects.partial_clone import PartialCloneTrees
from gitmodel.git.refs.ref_commands import delete_ref, list_refs
from gitmodel.git.repositories import remote_commands
from gitmodel.git.repositories.remote_commands import fetch_objects, silence_timeout
from gitmodel.git.running.failures import GitError, Locked, Moved
from gitmodel.git.running.process import check_git
from gitmodel.git.running.silence_timeout import GitOutput
from gitmodel.git.settings.configuration import read_config

if TYPE_CHECKING:
    from gitmodel.branch.ref_moves.local_ref_moves import LocalRefs, Refs

T = TypeVar("T")

# If more files than this have changed, gitmodel fetches only these kinds of files in advance: nearly every query reads
# them, and there are few of them. The files of versions, names and runs are many.
_FEW = 2_000
_KINDS_READ_OFTEN = frozenset({"registry", "model", "stage", "alias", "archived"})
# git fetches the whole history if the option `--depth` has this value.
_WHOLE_HISTORY = 2**31 - 1
# The most ids on one command line: an id takes 41 bytes, and Linux allows 2 MiB.
_MOST = 20_000


class UrlServer:
    """The server of a registry by URL; implements `Server` for the repository *whole* of its cache.

    The cache consists of three bare repositories. *whole* has the branch and the stage tags, and fetches contents of
    files when they are read. *single* has single commits without history, which suffice for some reads and writes. A
    third has all commits without files, for searches. Refs have the server's last known values: in the cache, a ref
    moves to a new commit only after the server has accepted it.
    """

    def __init__(self, whole: Repository, single: Repository, cache: UrlCache) -> None:
        self._whole = whole
        self._single = single
        self._cache = cache
        self._commits = SingleCommits(whole, single, cache)
        # True if the whole branch is as new as reads need: fetched, or found recent enough, after the last `renew`.
        self._current = False
        self._pushes_single = False  # True if the refs of *single* are pushed before they move
        self._repaired = False

    def close(self) -> None:
        self._single.close()

    def pushed(self, local: LocalRefs) -> Refs:
        return self._pushed(self._whole, local, ALL, self.fetch_all)

    def _pushed(self, repository: Repository, local: Refs, question: str, fetch: Callable[[], None]) -> Refs:
        from gitmodel.branch.by_url.pushed_ref_moves import PushedRefs  # imported here because only writes need it

        return PushedRefs(
            repository, local, self._cache, question, fetch, self._has_on_branch, self.retry_with_new_cache
        )

    def renew(self) -> None:
        self._current = False
        self._commits.renew()

    def head(self) -> Snapshot:
        return self.retry_with_new_cache(lambda: self._whole.snapshot() if self._current else self._commits.tip())

    def read_tip(self, question: Callable[[Snapshot], T]) -> T:
        def ask() -> T:
            self._require_no_branch()
            return question(without_rest(self._commits.tip()))

        return self.retry_with_new_cache(ask)

    def change_tip(self, change: Callable[[Repository, Snapshot], T]) -> T:
        single = self._single
        if not self._pushes_single:
            single.refs, self._pushes_single = self._pushed(single, single.refs, HEAD, self._fetch_tip), True
        done = single.refs.retry(lambda: change(single, without_rest(self._commits.tip())))
        if not self._current:
            self._commits.move_tip()
        return done

    def find_message(self, tip: Oid, text: str) -> tuple[Repository, list[Oid]]:
        if self._whole.reader.resolve_id(self._whole.branch):
            return self._whole, commits_saying(self._whole.git, tip, text)
        return self._single, self._commits.find_message(tip, text)

    def _fetch_tip(self) -> None:
        self._require_no_branch()
        self._commits.fetch_tip()

    def _require_no_branch(self) -> None:
        """Raise WholeBranchNeeded if *whole* has the branch: then it is faster to fetch its few new commits."""
        if self._current or self._whole.reader.resolve_id(self._whole.branch):
            raise WholeBranchNeeded

    def _has_on_branch(self, commit: Oid) -> bool:
        """Fetch the branch, and return True if *commit* is on it."""
        with self._cache.lock():
            self.fetch_all()
        return self._whole.commits.is_on_chain(self._whole.tips.find(), commit)

    def read_single_commit(self, about: VersionRef) -> Snapshot | None:
        if self._current or (not self._commits.has_newer(about) and self._may_answer()):
            return None  # the whole branch is cached, recent enough, and as new as the cached commit of *about*
        least = self._commits.read_single_commit(about)
        # gitmodel needs the whole branch in two cases. If the tip records a version in a stage that has no tag, a tag
        # under a former name of the model can count. If the stage may be signed, gitmodel needs the commit before
        # that of the tag, because its list of signers decides if the signature counts.
        if least.frozen is None:
            return None if _is_recorded(least, about) else least
        return None if _may_be_signed(least, least.frozen) else least

    def _may_answer(self) -> bool:
        """Return True if the last fetch of the whole branch is recent enough, and the cache still has its commit."""
        found = self._cache.fresh(ALL)
        return found is not None and found.id == self._whole.tips.find()

    def refresh(self) -> None:
        if self._current and self._cache.asked(ALL) is not None:
            return
        if not self._may_answer():
            self._cache.refuse_offline("the registry")
            with self._cache.lock():
                self.fetch_all()
        self._current = True

    def fetch_all(self) -> None:
        """Fetch the branch and the stage tags, and only the files that most queries read. Raises Unreachable."""
        whole = self._whole
        before = whole.reader.resolve_id(whole.branch)
        tags = [f"+{prefix}*:{prefix}*" for prefix in (STAGE_TAGS, RULES_TAGS)]
        if not self._fetch(ALL, f"+{whole.branch}:{whole.branch}", *tags, options=["--atomic"]):
            if before is not None:
                delete_ref(whole.git, whole.branch)
            self._fetch(ALL, *tags, options=["--atomic"])
        self._current = True
        self._commits.renew()
        tip = whole.tips.find()
        if tip and tip != before:
            self._prefetch(before, tip)
        self._cache.note_asked(ALL, tip)

    def _fetch(self, question: str, *refspecs: str, options: Sequence[str] = ()) -> bool:
        """Fetch *refspecs* into *whole*. Return False if the server does not have the branch.

        If the server cannot be reached, the error says when *question* was answered last.
        """
        git, silence = self._whole.git, silence_timeout(self._whole.config)
        answer = remote_commands.fetch(git, REMOTE, refspecs, *options, "--prune", FILTER, silence=silence)
        if answer.code and f"couldn't find remote ref {self._whole.branch}" in answer.stderr:
            return False
        if answer.code:
            raise self._cache.out_of_reach(remotes.unreachable(self._whole.url, "fetched", answer), question)
        self._whole.reader.close()
        return True

    def renew_branches(self) -> None:
        self.refresh()
        if self._cache.fresh(PROPOSED) is not None:
            return
        self._cache.refuse_offline("the list of proposals")
        with self._cache.lock():
            self._fetch(PROPOSED, f"+{PROPOSALS}*:{PROPOSALS}*")
            self._cache.note_asked(PROPOSED, None)

    def _prefetch(self, old: Oid | None, new: Oid) -> None:
        """Fetch those files that differ between the commits *old* and *new* and that queries will probably read.

        If *old* is None, all files of *new* count as different.
        """
        found = differing_files(self._whole.git, old, new)
        assert isinstance(self._whole.trees, PartialCloneTrees)
        self._whole.trees.ensure(id for path, id in found if len(found) <= _FEW or _is_read_often(path))

    def retry_with_new_cache(self, work: Callable[[], T], is_done: Callable[[], bool] = lambda: False) -> T:
        """Call *work* and return its result. If it fails because the cache is damaged, call it again with a new cache.

        Calls it again at most once, and not if *is_done* returns True: then the change is already on the server.
        """
        try:
            return work()
        except (Invalid, GitError, NotFound, Unreachable, Locked, Moved) as error:
            if self._repaired or is_done() or self._cache.terms.offline or self._has_sound_cache(error):
                raise
            self._repaired = True
            self._recreate_cache()
            return work()

    def _has_sound_cache(self, error: GitModelError) -> bool:
        """Return True if the cache is not damaged, so that *error* has another reason."""
        if isinstance(error, NotFound):
            return all((git.git_dir / "HEAD").is_file() for git in (self._whole.git, self._single.git))
        return not isinstance(error, Locked) and self._cache.is_sound()

    def _recreate_cache(self) -> None:
        with self._cache.lock():
            self._whole.close()
            self._cache.remove()
            for name in (BRANCH, SINGLE):
                self._cache.git(name)
        for trees in (self._whole.trees, self._single.trees):
            if isinstance(trees, PartialCloneTrees):
                trees.forget()
        self.renew()


def open_url(address: Address, *, environ: Mapping[str, str], branch: str, terms: Terms | None) -> Repository:
    """Open the registry at *address*, without contacting the server. If its cache is damaged, create the cache again.

    Raises UsageError if git is too old, Unreachable if the cache cannot be written.
    """
    check_git(environ)
    cache = UrlCache(address, environ, terms or Terms())
    try:
        return _open(cache, address.shown, branch)
    except (GitError, Invalid, UsageError):
        cache.remove()
        return _open(cache, address.shown, branch)


def _open(cache: UrlCache, url: str, branch: str) -> Repository:
    whole, single = cache.git(BRANCH), cache.git(SINGLE)
    # The settings of remotes are left out, because a registry by URL has no remotes: its server is the registry itself.
    config = {key: value for key, value in read_config(whole).items() if not key.startswith("remote.")}
    name = checked_branch(branch or config.get("gitmodel.branch", "") or DEFAULT_BRANCH)
    trees = partial(_partial_clone_trees, cache)
    build = partial(Repository, branch=name, config=config, url=url, trees=trees)
    commits = build(single, objects_folder=single.git_dir / "objects", shallow=True)
    repository = build(
        whole, objects_folder=whole.git_dir / "objects", shallow=False,
        connect=lambda repository: UrlServer(repository, commits, cache),
    )  # fmt: skip
    if config.get("gitmodel.allowedsigners"):
        repository.tags.extra_check = repository.signing.judged_by_own_signers
    return repository


def _partial_clone_trees(cache: UrlCache, repository: Repository) -> PartialCloneTrees:
    """Return the trees of *repository*, which is in *cache*. They fetch missing objects when these are read."""

    def fetch(ids: list[Oid]) -> None:
        cache.refuse_offline("a part")
        with cache.lock():
            for begin in range(0, len(ids), _MOST):
                # git itself fetches missing objects with the same options, but one at a time (promisor-remote.c).
                silence = silence_timeout(repository.config)
                answer = fetch_objects(repository.git, REMOTE, ids[begin : begin + _MOST], FILTER, silence=silence)
                if answer.code and "unadvertised object" in answer.stderr:
                    answer = _fetch_unfiltered(repository)
                if answer.code:
                    raise remotes.unreachable(repository.url, "fetched", answer)

    return PartialCloneTrees(
        repository.git, fetch, repository.reader, repository.facts, lacks_folders=repository.shallow
    )


def _fetch_unfiltered(repository: Repository) -> GitOutput:
    """Fetch all refs of *repository* with all files, from a server that cannot send objects by id.

    Such a server speaks an old protocol, for example because its sshd is not configured to accept GIT_PROTOCOL.
    """
    refs = list_refs(repository.git, repository.branch, STAGE_TAGS)
    # With the option `--depth`, git also fetches the files of commits that it already has. `git fetch --refetch` does
    # this, too, but needs git 2.36.
    depth = 1 if repository.shallow else _WHOLE_HISTORY
    refspecs = [f"+{ref}:{ref}" for ref in refs]
    silence = silence_timeout(repository.config)
    return fetch_objects(repository.git, REMOTE, refspecs, "--no-filter", f"--depth={depth}", silence=silence)


def _is_recorded(snapshot: Snapshot, about: VersionRef) -> bool:
    """Return True if the branch records a version in the stage or alias that *about* names."""
    if about.number is not None or about.is_latest:
        return False
    with suppress(GitModelError):
        name = snapshot.current_name(about.model)
        return snapshot.recorded_place(StageRef(name, about.selector)) is not None
    return False


def _may_be_signed(snapshot: Snapshot, ref: StageRef) -> bool:
    """Return True if the stage *ref* is `signed` in *snapshot*, or may have been before a commit removed that rule."""
    rules = snapshot.registry()
    switched_off = paths.SIGNERS in snapshot.files.names("") and not any(rule.signed for rule in rules.stages)
    return rules.rule(ref.stage).signed or switched_off


def _is_read_often(path: str) -> bool:
    found = paths.parse_path(path)
    return found is not None and found.kind in _KINDS_READ_OFTEN
