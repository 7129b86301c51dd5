"""Reading a registry by URL from one commit without its history: the commit of a stage tag, or the tip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice

from gitmodel.branch import remotes
from gitmodel.branch.by_url.url_cache import ALL, COMMITS, HEAD, REMOTE, UrlCache
from gitmodel.branch.repository import Repository
from gitmodel.branch.stages.stage_tags import target_of
from gitmodel.branch.tip_without_history import WholeBranchNeeded
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import fault_in
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import MOST_RENAMES
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import StageTag
from gitmodel.errors import NotFound
from gitmodel.git.history.commits import commits_saying, first_parents
from gitmodel.git.objects.partial_clone import PartialCloneFiles
from gitmodel.git.refs.ref_commands import named_id, set_refs
from gitmodel.git.repositories.remote_commands import ask_refs, fetch, refs_in, silence_timeout
from gitmodel.git.running.silence_timeout import GitOutput

FILTER = "--filter=blob:none"
# With this filter, git fetches the trees of folders down to `models/NAME/versions`, and no files. The folders in
# `versions` have up to a hundred versions each. There can be thousands of these folders, so gitmodel fetches each one
# when it is read.
_FEW_FOLDERS = "--filter=tree:4"
_NO_FILES = "--filter=tree:0"
# Finds the version number 4 in the first line of a stage tag's message, such as "iris 3 -> 4 in production".
_GUESS = re.compile(rb"\n\n[^\n]*?([1-9][0-9]{0,17}) in [^\n]*\n")


class SingleStageTag:
    """The stage tags of a snapshot with at most one tag; implements `domain.snapshots.snapshot_sources.Tags`."""

    all_known = False

    def __init__(self, tag: StageTag | None = None) -> None:
        self._tag = tag

    def get(self, ref: StageRef) -> StageTag | None:
        return self._tag if self._tag is not None and self._tag.ref == ref else None

    def of(self, model: str) -> Mapping[str, StageTag]:
        return {self._tag.ref.stage: self._tag} if self._tag is not None and self._tag.ref.model == model else {}

    def models(self) -> frozenset[str]:
        return frozenset({self._tag.ref.model} if self._tag is not None else ())


class SingleCommits:
    """Reads single commits of a registry by URL, from the repositories of its cache.

    *whole* may have the whole branch. Commits that it lacks are fetched one by one into the repository *single*,
    without their history. The server's answers are cached until a call of `renew`.
    """

    def __init__(self, whole: Repository, single: Repository, cache: UrlCache) -> None:
        self._whole = whole
        self._single = single
        self._cache = cache
        self._tagged: dict[StageRef, Snapshot | None] = {}
        self._tip: Snapshot | None = None

    def renew(self) -> None:
        """Make the next read contact the server again, unless the last answer in the cache is recent enough."""
        self._tagged.clear()
        self._tip = None

    def has_newer(self, ref: VersionRef) -> bool:
        """Return True if the cache has a newer answer of the server about *ref* than about the whole branch."""
        question = _tag_question(StageRef(ref.model, ref.selector)) if _may_be_tag(ref) else HEAD
        own, whole = self._cache.asked(question), self._cache.asked(ALL)
        return own is not None and (whole is None or own.when > whole.when)

    def read_single_commit(self, ref: VersionRef) -> Snapshot:
        """Return a snapshot of the commit that says which version *ref* is: that of its stage tag, or else the tip."""
        name, by_tag = ref.model, _may_be_tag(ref)
        snapshot = None
        for _ in range(MOST_RENAMES):
            snapshot = self.tagged(StageRef(name, ref.selector)) if by_tag else None
            if snapshot is None:
                snapshot = self.tip()
                _expect(snapshot, name, ref)
            now = snapshot.current_name(name)
            if now == name:
                break
            name = now
        return snapshot or self.tip()

    def tagged(self, ref: StageRef) -> Snapshot | None:
        """Return the snapshot at the commit to which the stage tag of *ref* points; None if there is no such tag."""
        if ref not in self._tagged:
            at = self._find(_tag_question(ref), ref.full, "--tags", f"{ref.model}@{ref.stage}")
            self._tagged[ref] = self._read(at, ref) if at is not None else None
        return self._tagged[ref]

    def tip(self) -> Snapshot:
        """Return a snapshot of the branch at its tip, without stage tags."""
        if self._tip is None:
            self._tip = self._tip_in(self._find(HEAD, self._whole.branch, "--heads", "the branch"))
        return self._tip

    def fetch_tip(self) -> None:
        """Fetch the tip of the branch, even if the server's last answer is recent enough. Raises Unreachable."""
        self.renew()
        self._tip = self._tip_in(self._ask(HEAD, self._whole.branch, "--heads"))

    def move_tip(self) -> None:
        """Make `tip` return the branch's commit in the repository *single*, which this process has pushed."""
        self.renew()
        self._tip = self._tip_in(self._single)

    def find_message(self, tip: Oid, text: str) -> list[Oid]:
        """Return the commits in the history of *tip* with *text* in their message, newest first.

        Fetches all commits without files for the search, then the found commits with their parents and folders. Raises
        Unreachable if the server cannot be reached, WholeBranchNeeded if the server does not send single commits or no
        longer has *tip* on the branch.
        """
        git, branch, silence = self._cache.git(COMMITS), self._whole.branch, silence_timeout(self._whole.config)
        with self._cache.lock():
            answer = fetch(git, REMOTE, [f"+{branch}:{branch}"], "--no-prune", _NO_FILES, silence=silence)
            if answer.code:
                raise self._cache.out_of_reach(remotes.unreachable(self._whole.url, "fetched", answer), HEAD)
            newest = named_id(git, branch)
            # gitmodel searches *tip* in the list of commits, because a git command that names a missing commit would
            # fetch this commit with its history.
            if newest is None or (tip != newest and tip not in first_parents(git, newest)):
                raise WholeBranchNeeded
            found = commits_saying(git, tip, text)
            if found and self._fetch_commits(found, depth=2).code:
                raise WholeBranchNeeded
        return found

    def _tip_in(self, at: Repository | None) -> Snapshot:
        commit = at.reader.resolve_id(self._whole.branch) if at else None
        files = files_of(at or self._whole, commit)
        if commit:
            self._whole.tips.require_registry(files, NotFound)
        return Snapshot(commit, files, SingleStageTag(), lambda _, __: False)

    def _read(self, at: Repository, ref: StageRef) -> Snapshot | None:
        found = at.tags.read(ref)
        if found is None:
            return None
        commit, fault = target_of(ref, found)
        if fault:
            here, tag = self.tip(), StageTag(ref, found.id, commit, None, fault)
            return Snapshot(here.commit, here.files, SingleStageTag(tag), here.is_reserved, frozen=ref)
        files = files_of(at, commit)
        # The number in the tag's message is only a hint which file to fetch. If it is wrong, no harm is done.
        guess = _GUESS.search(found.data)
        version = [paths.version_file(ref.model, int(guess[1]))] if guess else []
        stage = [paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage)]
        files.ensure([paths.REGISTRY, paths.model_file(ref.model), *stage, *version])
        tag = at.signing.judged_by_own_signers(at.tags.judge_alone(ref, found), found)
        return Snapshot(commit, files, SingleStageTag(tag), lambda _, __: False, frozen=ref)

    def _find(self, question: str, ref: str, kind: str, what: str) -> Repository | None:
        """Return the repository of the cache that has *ref* as the server has it; None if the server has no such ref.

        If the cached answer to *question* is not recent enough, asks the server and fetches the commit. *kind* is an
        option of `git ls-remote`, and *what* describes *ref* in an error.
        """
        answer = self._cache.fresh(question)
        if answer is not None:
            at = self._at(ref, answer.id)
            if at is not None or answer.id is None:
                return at
        self._cache.refuse_offline(what)
        return self._ask(question, ref, kind)

    def _at(self, ref: str, id: Oid | None) -> Repository | None:
        """Return the repository of the cache in which *ref* is at the object *id*, or None."""
        both = (self._single, self._whole) if id else ()
        return next((repository for repository in both if repository.reader.resolve_id(ref) == id), None)

    def _ask(self, question: str, ref: str, kind: str) -> Repository | None:
        """Ask the server for *ref*, and return the repository of the cache that has it; None if there is no such ref.

        As soon as this method unlocks the cache, another process may set *ref* to an earlier or later answer of the
        server.
        """
        called = self._whole.url
        git, silence = self._single.git, silence_timeout(self._single.config)
        answer = ask_refs(git, REMOTE, ref, options=("--quiet", kind), silence=silence)
        if answer.code:
            raise self._cache.out_of_reach(remotes.unreachable(called, "read", answer), question)
        id = refs_in(answer).get(ref)
        with self._cache.lock():
            at = self._at(ref, id)
            if id and not at:
                answer = self._fetch_commits([id], depth=1)
                if answer.code:
                    raise self._cache.out_of_reach(remotes.unreachable(called, "fetched", answer), question)
                set_refs(git, {ref: id})
                self._single.reader.close()
                at = self._single
            self._cache.note_asked(question, id)
        return at

    def _fetch_commits(self, ids: list[Oid], *, depth: int) -> GitOutput:
        """Fetch the commits *ids*, with *depth* - 1 generations of parents, into the repository of single commits.

        Fetches no files, and only the upper folders if the server supports such a filter.
        """
        git, silence = self._single.git, silence_timeout(self._single.config)
        options = ("--no-prune", f"--depth={depth}")
        answer = fetch(git, REMOTE, ids, *options, _FEW_FOLDERS, silence=silence)
        if answer.code and "filter" in answer.stderr:  # some hosts only support the filter that leaves out files
            answer = fetch(git, REMOTE, ids, *options, FILTER, silence=silence)
        return answer


def _expect(snapshot: Snapshot, model: str, ref: VersionRef) -> None:
    """Fetch, for all at once, the files in *snapshot* that the search for *ref* of the model *model* will read."""
    wanted = [paths.REGISTRY, paths.model_file(model)]
    if ref.number is not None:
        wanted.append(paths.version_file(model, ref.number))
    elif ref.is_latest:
        wanted += [paths.version_file(model, number) for number in islice(snapshot.newest_numbers(model), 1)]
    else:
        wanted += [paths.name_file(model, ref.selector), paths.stage_file(model, ref.selector)]
        wanted.append(paths.alias_file(model, ref.selector))
    files = snapshot.files
    assert isinstance(files, PartialCloneFiles)
    files.ensure(wanted)


def _may_be_tag(ref: VersionRef) -> bool:
    return ref.number is None and not ref.is_latest and not fault_in(ref.selector)


def _tag_question(ref: StageRef) -> str:
    return f"tag/{ref.model}@{ref.stage}"


def files_of(repository: Repository, commit: Oid | None) -> PartialCloneFiles:
    """Return the files of *commit* (None: no files) in *repository*, one of the cache of a registry by URL."""
    files = repository.files(commit)
    assert isinstance(files, PartialCloneFiles)
    return files
