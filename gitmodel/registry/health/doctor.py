"""`doctor`: find problems of this clone (not of the branch), and make safe repairs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.branch.checked_out import find_behind
from gitmodel.branch.remotes import blocking_tags, overwriting_refspecs, removal_command
from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.foreign_tags import refuse_foreign
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.models import left_behind, plan_clearance
from gitmodel.domain.changes.purging import purge_of
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.refs import RULES_TAGS, StageRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW
from gitmodel.domain.views.record_views import usable
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, Unreachable
from gitmodel.files.permissions import user_id
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import list_refs
from gitmodel.git.running.failures import Moved
from gitmodel.registry.lists.authorship import find_wrong_authors
from gitmodel.registry.lists.model_views import find_wrong
from gitmodel.registry.promotion import judging, put_in_force
from gitmodel.registry.writing.transacting import transact
from gitmodel.stores.interface import ArtifactStore, where_else
from gitmodel.stores.local_store import LocalStore

if TYPE_CHECKING:
    from gitmodel.index.searching import Index


class Finding(Frozen):
    """A problem of this clone, or information about it, that `examine` returns.

    *about* is its kind, one of `ABOUTS`, and *hint* says what the user can do. If *fixable*, `doctor --fix` removes the
    problem. A *grave* finding makes commands fail; the other findings are for information.
    """

    about: str
    message: str
    hint: str
    fixable: bool = False
    grave: bool = True


def examine(repository: Repository, store: ArtifactStore | None) -> list[Finding]:
    """Return the problems of this clone, such as old locks, wrong stage tags and artifacts that *store* lacks.

    If *store* is None, does not look for artifacts.
    """
    repository.git.check_settings()
    found = []
    for about, look in (
        ("lock", _locks),
        ("clone", _clone),
        ("permissions", _permissions),
        ("tag", _blocking),
        ("checkout", _checkouts),
        ("identity", _identity),
    ):
        found += _safely(about, look, repository)
    try:
        found += _rules(repository)
        found += repository.read(
            lambda snapshot: [*_tags(repository, snapshot), *_records(snapshot), *_artifacts(snapshot, store)]
        )
    except GitModelError as error:
        found.append(Finding("branch", error.message, error.hint or "run `git model check`"))
    found += _safely("index", _index, repository)
    found += _safely("reservation", _reservations, repository)
    return found + _safely("leftover", lambda repository: _leftovers(repository, store), repository)


def repair(repository: Repository, store: ArtifactStore | None) -> list[Finding]:
    """Repair the problems of this clone that `examine` calls fixable, and return the findings that were repaired.

    Removes locks and temporary files of killed processes of gitmodel, reservations that are no longer needed, and an
    index with wrong values. Sets every stage tag to the version that the branch records, unless the rules of the stage
    refuse it. Commits the deletion of files that the rename of a model left under its former name. Never deletes
    anything that a version needs.
    """
    repaired = [finding for finding in examine(repository, store) if finding.fixable]
    abouts = {finding.about for finding in repaired}
    if "permissions" in abouts:
        repository.permissions.repair(repository.own_folder)
    if abouts & {"lock", "leftover"}:
        repository.writer_marks.remove_dead()
    if "rules" in abouts:
        _restore_rules(repository)
    if "tag" in abouts:
        moved = [ref.name for ref in put_in_force.apply(repository, rewound=True).moved]
        repaired = [one for one in repaired if one.about != "tag" or any(name in one.message.split() for name in moved)]
    if "record" in abouts:
        transact(repository, plan_clearance)
    if "index" in abouts and (index := _open_index(repository)) is not None:
        index.delete()
    if "reservation" in abouts:
        for model, number in _used_up(repository):
            repository.reservations.release(model, number)
        repository.reservations.release_abandoned_names()
    if "leftover" in abouts and isinstance(store, LocalStore):
        for leftover in store.leftovers():
            store.remove_leftover(leftover)
    return repaired


def _safely(about: str, look: Callable[[Repository], Iterable[Finding]], repository: Repository) -> list[Finding]:
    """Return the findings of the check *look*. An error becomes a finding of the kind *about*, and other checks run."""
    try:
        return list(look(repository))
    except GitModelError as error:
        return [Finding(about, error.message, error.hint or "look at the permissions of the repository")]
    except OSError as error:
        message = f"{error.filename or repository.common_dir} cannot be read: {error.strerror}"
        return [Finding(about, message, "look at the permissions of the repository")]


def _permissions(repository: Repository) -> Iterator[Finding]:
    """Find folders to which this user cannot write, and files of a shared repository that other users cannot use."""
    own = repository.own_folder
    faults = list(repository.permissions.faults(own))
    for fixable in (True, False):
        paths = [path for path, of_mine in faults if of_mine is fixable]
        if paths:
            more = f", and {len(paths) - 1} more below {own}" if len(paths) > 1 else ""
            message = f"other users cannot use {paths[0]}{more}, although core.sharedRepository shares the repository"
            hint = f"its owner can run `git model doctor --fix`, or: chmod -R g+rwX {shlex.quote(str(own))}"
            yield Finding("permissions", message, _FIX if fixable else hint, fixable)
    closed = [path for path in (own, *(own / name for name in _WRITTEN)) if _is_closed(path)]
    # If `core.sharedRepository` is set, the owner may have given this user only read access on purpose.
    if closed and not faults and not repository.permissions:
        message = f"{closed[0]} belongs to another user, and you may not write to it"
        hint = "to share the repository: git config core.sharedRepository group; then its owner: git model doctor --fix"
        yield Finding("permissions", message, hint)


def _is_closed(path: Path) -> bool:
    """Return True if *path* belongs to another user and this user may not write to it."""
    try:
        return os.stat(path).st_uid != user_id() and not os.access(path, os.W_OK | os.X_OK)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _locks(repository: Repository) -> Iterator[Finding]:
    for lock in repository.writer_marks.locks():
        message = f"the lock {lock.path} has existed for {lock.age:.0f} s"
        if lock.dead:
            yield Finding("lock", f"{message}; its process has ended", _FIX, True)
        else:
            hint = f"if no git process is running on this repository, type: rm {shlex.quote(str(lock.path))}"
            yield Finding("lock", message, hint)


def _clone(repository: Repository) -> Iterator[Finding]:
    if repository.shallow:
        message = "this clone is shallow: the commits that promoted versions may be missing"
        yield Finding("shallow", message, "run `git fetch --unshallow`", grave=False)
    for setting in overwriting_refspecs(repository):
        message = f"{setting} lets `git fetch` overwrite {repository.branch}, with commits that are not pushed"
        yield Finding("fetch", message, "run `git model push` before you run `git fetch`", grave=False)
    if list_refs(repository.git, "refs/replace/"):
        message = "this repository has replace refs, which plain git follows and gitmodel does not"
        yield Finding("replace", message, "run `git replace -l` to see them", grave=False)


def _blocking(repository: Repository) -> Iterator[Finding]:
    for remote, ref in blocking_tags(repository):
        where = f"{remote} has the tag" if remote else "there is a tag"
        kind = "the tag of the rules in force" if ref.startswith(RULES_TAGS) else "a stage tag"
        name = ref.removeprefix("refs/tags/")
        removing = removal_command(remote, ref) if remote else f"git tag -d {shlex.quote(name)}"
        message = f"{where} {name}, which prevents git from creating {kind}"
        yield Finding("tag", message, f"if nobody needs it, type: {removing}")


def _checkouts(repository: Repository) -> Iterator[Finding]:
    branch = repository.branch_name
    for folder in find_behind(repository):
        message = (
            f"{folder} has the branch {branch} checked out with files of an earlier commit: a commit there would "
            "revert what was recorded since"
        )
        hint = f"if `git status` shows none of your changes, type: git -C {shlex.quote(str(folder))} reset --hard"
        yield Finding("checkout", message, hint, grave=False)


def _identity(repository: Repository) -> Iterator[Finding]:
    try:
        repository.identity.now()
    except GitModelError as error:
        yield Finding("identity", error.message, error.hint)


def _rules(repository: Repository) -> Iterator[Finding]:
    tip, rules = repository.tip(), repository.rules
    if not tip:
        return
    try:
        positions = rules.commits_in_force()
        rules.check_branch(tip)
    except Refused as error:
        yield Finding("rules", error.message, _FIX, True)
        return
    if positions and rules.are_pending(tip):
        message = f"the rules of {paths.REGISTRY} are not in force yet: {rules.name} is at {positions[0][:10]}"
        yield Finding("pending rules", message, _APPLY, grave=False)
    elif not positions and not repository.recorded(tip).registry().is_open:
        message = f"there is no tag {rules.name}, which says which rules are in force"
        fetched = "run `git model pull`, then `git model apply --push`"
        yield Finding("pending rules", message, fetched if repository.tips.remote_name() else _APPLY, grave=False)


def _restore_rules(repository: Repository) -> None:
    """Set the rules tag to list the same commits as when this clone saw it last, as far as the branch still has them.

    If the branch has none of them, the tag lists only the newest commit of the branch.
    """
    rules, tip = repository.rules, repository.existing_tip()
    kept = tuple(commit for commit in rules.seen() if repository.commits.reaches(tip, commit)) or (tip,)
    tag = rules.next_tag(repository.reader.get(kept[0]).data, kept[0], kept=kept[1:])
    repository.refs.move(rules.moves(tag.id), "gitmodel: set the rules in force back as seen last", [tag])


def _tags(repository: Repository, snapshot: Snapshot) -> Iterator[Finding]:
    tagged = snapshot.tags.models()
    for model in sorted({*snapshot.model_names(), *tagged}):
        try:
            for tag in planning.stray_tags(snapshot, model):
                fault = snapshot.registry().alias_fault(tag.ref.stage)
                why = f"{tag.ref.stage} is no alias, because it {fault}"
                yield _uncounted(repository, snapshot, tag.ref, why, None)
            for state in planning.stage_states(snapshot, model):
                ref = StageRef(model, state.name)
                if state.forged == TOO_SHALLOW:
                    yield Finding("tag", f"{ref.name}: {TOO_SHALLOW}", "run `git fetch --unshallow`")
                elif state.forged:
                    yield _uncounted(repository, snapshot, ref, state.forged, state)
                elif state.merged_by:
                    merge = f"the merge {state.merged_by[:10]}, which was made with plain git"
                    message = f"{ref.name} points at a commit that came in by {merge}"
                    yield Finding("tag", message, "run `git model apply --push`", True, grave=False)
                elif state.pending:
                    recorded = state.recorded or "nothing"
                    message = f"{ref.name} is at {state.in_force or 'nothing'}, and the branch records {recorded}"
                    refusal = None if state.alias else judging.refusal(repository, snapshot, ref)
                    if refusal is not None:
                        hint = f"run `git model rollback {model} {state.name}` to undo the recorded change"
                        hint = hint if snapshot.current_name(model) == model else refusal.way_out or ""
                        yield Finding("tag", f"{message}: {refusal.reason}", hint, grave=False)
                    else:
                        yield Finding("tag", message, "run `git model apply`", True, grave=False)
        except Moved:  # another process is moving the branch or a tag, which is no fault of the clone
            continue
        except GitModelError as error:
            yield Finding("model", f"{model}: {error.message}", error.hint or "run `git model check`")


def _uncounted(
    repository: Repository, snapshot: Snapshot, ref: StageRef, why: str, state: StageState | None
) -> Finding:
    """Return the finding that the tag *ref* does not count, for the reason *why*.

    *state* is the state of its stage or alias; None if the registry has no stage or alias of this name.
    """
    repairs = state is not None and state.recorded is not None
    try:
        refuse_foreign(repository, snapshot.commit, ref, repository.tags.read(ref), repairs=repairs)
    except Refused as error:
        return Finding("foreign tag", error.message, error.hint)
    message = f"the tag {ref.name} does not count: {why}"
    is_stage = state is not None and not state.alias
    if is_stage and repository.tags.signed_by(ref, snapshot.commit) and not repository.signing.signer.has_key:
        branch = repository.branch_name
        ask = f"ask a signer (`git show {branch}:{paths.SIGNERS}`) to run `git model doctor --fix` and push"
        return Finding("tag", message, ask)
    return Finding("tag", message, _FIX, True)


def _records(snapshot: Snapshot) -> Iterator[Finding]:
    for path in left_behind(snapshot):
        message = f"{path} was left behind when a model was renamed; nothing reads it"
        yield Finding("record", message, _FIX, True)


def _artifacts(snapshot: Snapshot, store: ArtifactStore | None) -> Iterator[Finding]:
    if store is None:
        return
    for model in snapshot.model_names():
        try:
            found = list(usable(snapshot.versions(model, snapshot.numbers(model))))
        except Invalid as error:
            yield Finding("model", f"{model}: {error.message}", error.hint)
            continue
        for record in found:
            for link in record.links:
                if link.is_external or purge_of(snapshot, link.digest) is not None:
                    continue
                try:
                    there = store.holds(link.digest)
                except Unreachable as error:
                    yield Finding("store", error.message, error.hint)
                    return
                if not there:
                    message = f"{link.name} of {model}@{record.number} ({link.digest}) is not in the store {store.url}"
                    yield Finding("artifact", message, where_else(store.url, shared=store.shared))


def _index(repository: Repository) -> Iterator[Finding]:
    index = _open_index(repository)
    if index is None:
        return
    try:
        wrong = {*index.find_wrong(), *find_wrong(repository.snapshot(), index.lists)}
        wrong |= find_wrong_authors(repository, repository.own_folder)
    except Invalid as error:
        yield Finding("index", f"the index is damaged: {error.message}", _FIX, True, grave=False)
        return
    if wrong:
        message = f"the index has wrong values for {', '.join(sorted(wrong))}: searches and lists may be wrong"
        yield Finding("index", message, _FIX, True)


def _open_index(repository: Repository) -> Index | None:
    """Return the index of the registry; None if there is no registry, or if Python was built without SQLite."""
    tip = repository.tip()
    try:
        from gitmodel.index.searching import Index  # imported here: loading SQLite takes longer than the other checks
    except ImportError:
        return None
    return Index(repository.own_folder, repository.files(tip), newer=repository.recorded(tip).newer) if tip else None


def _reservations(repository: Repository) -> Iterator[Finding]:
    for model, number in _used_up(repository):
        message = f"number {number} of {model} is reserved, but no longer needed"
        yield Finding("reservation", message, _FIX, True, grave=False)
    for model, name, _ in repository.reservations.abandoned_names():
        message = f"the name {name} of {model} is reserved by a run that has ended"
        yield Finding("reservation", message, _FIX, True, grave=False)


def _leftovers(repository: Repository, store: ArtifactStore | None) -> Iterator[Finding]:
    found = [str(path) for path in repository.writer_marks.leftovers()]
    if isinstance(store, LocalStore):
        with suppress(Unreachable):  # the check of the artifacts reports an unreachable store
            found += [leftover.name for leftover in store.leftovers()]
    for path in found:
        yield Finding("leftover", f"{path} was left by a writer that was killed", _FIX, True, grave=False)


def _used_up(repository: Repository) -> list[tuple[str, int]]:
    try:
        return repository.reservations.used_up(repository.snapshot())
    except NotFound:  # another finding reports the missing registry
        return []


# The kinds of findings.
ABOUTS = (
    "artifact", "branch", "checkout", "clone", "fetch", "foreign tag", "identity", "index", "leftover", "lock", "model",
    "pending rules", "permissions", "record", "replace", "reservation", "rules", "shallow", "store", "tag",
)  # fmt: skip
# The folders in `.git/gitmodel` that a writer needs.
_WRITTEN = ("writers", "store", "store/tmp", "runs")
_APPLY = "run `git model apply`"
_FIX = "run `git model doctor --fix`"
