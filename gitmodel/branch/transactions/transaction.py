"""The transaction: one commit of the metadata branch and the refs that move with it, all or nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from gitmodel.branch.ref_moves.retrying import half_done_error
from gitmodel.branch.remotes import tags_prefix
from gitmodel.branch.repository import Repository
from gitmodel.branch.stages.rules_in_force import have_same_rules
from gitmodel.branch.tip_without_history import WholeBranchNeeded, require_only_files
from gitmodel.branch.transactions.foreign_tags import refuse_second_registry
from gitmodel.branch.transactions.new_commits import BEGIN, check_paths, first_commit, made_commit, refuse_credentials
from gitmodel.branch.transactions.stage_tag_moves import stage_tag_moves
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.recorded_renumberings import Renumberings
from gitmodel.domain.schema.refs import remote_branch_ref, remote_rules_ref, reserved_name_ref, reserved_ref
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord
from gitmodel.domain.snapshots.commit_records import read_registry
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Unreachable
from gitmodel.git.objects.object_formats import NewObject, parse_commit
from gitmodel.git.objects.trees import changed_tree
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.failures import GitError, Moved

T = TypeVar("T")


def transact(repository: Repository, plan: Callable[[Snapshot], Change[T]]) -> T:
    """Call *plan* with a snapshot, and write the change that it returns as one commit with its tags, all or nothing.

    Returns the result of the change. The first change also creates the registry. If another process moves a ref first,
    nothing is written, and *plan* is called again with a new snapshot. Raises Conflict after too many attempts, Refused
    if the change contains text that looks like a credential, UsageError before *plan* is called if the repository is
    read-only, and the errors of *plan*.
    """
    repository.git.refuse_read_only()
    if repository.server is not None:
        with suppress(WholeBranchNeeded):
            return repository.server.change_tip(partial(_change_tip, plan))

    def make() -> T:
        snapshot = repository.snapshot_at(repository.latest())
        change = plan(snapshot)
        refuse_credentials(repository, snapshot, change)
        kinds = {what.kind for what in map(paths.parse_path, change.files) if what is not None}
        if snapshot.commit and (change.apply or not kinds.isdisjoint({"stage", "registry"})):
            repository.rules.check_branch(snapshot.commit)
        _make(repository, snapshot, change)
        return change.result

    return repository.refs.retry(make)


def _change_tip(plan: Callable[[Snapshot], Change[T]], repository: Repository, tip: Snapshot) -> T:
    """Write the change that *plan* returns for *tip*, a snapshot without history, and return its result.

    Raises WholeBranchNeeded if the change needs more than the files of the tip.
    """
    change = plan(tip)
    require_only_files(change)
    refuse_credentials(repository, tip, change)
    _make(repository, tip, change)
    return change.result


def begin(repository: Repository, registry: RegistryRecord) -> bool:
    """Write the first commit of the branch with the record *registry*, and return True.

    Returns False without writing if there is a branch or a remote-tracking branch.
    """

    def make() -> bool:
        if repository.writable_tip():
            return False
        first, new = first_commit(repository, registry)
        try:
            refuse_second_registry(repository, None)
            repository.refs.move([RefMove(repository.branch, first.id, None)], f"gitmodel: {BEGIN}", [*new, first])
        except Moved:
            return False
        return True

    return repository.refs.retry(make)


def adopt(repository: Repository, commit: Oid) -> None:
    """Create the local branch at *commit*, the tip that was fetched from a remote, if there is no local branch."""
    with suppress(Moved):
        repository.refs.move([RefMove(repository.branch, commit, None)], "gitmodel: adopt the registry of a remote")


def reserve(
    repository: Repository,
    model: str,
    next_number: Callable[[Snapshot], int],
    *,
    name: str | None = None,
    run: str = "",
) -> int:
    """Reserve the number from *next_number* for a version of *model* that is not created yet, and return it.

    Other writers skip this number. If *name* is not None, also reserves this name for the version until the run with
    the id *run* ends. Raises Conflict if another run has reserved the name.
    """
    repository.git.refuse_read_only()

    def make() -> int:
        snapshot = repository.snapshot_at(repository.latest())
        if name is not None:
            snapshot.check_not_reserved(model, name)
        number = next_number(snapshot)
        local = repository.reader.resolve(repository.branch)
        # The ref of a reserved number points at the tip. If there is no registry, it points at a first commit that no
        # branch has: only the first change creates the branch.
        commit, _, new = _base(repository, snapshot)
        held = snapshot.commit if local else None
        moves = [RefMove(repository.branch, held, held), RefMove(reserved_ref(model, number), commit, None)]
        if name is not None:
            new = [*new, NewObject("blob", run.encode())]
            ref = reserved_name_ref(model, name)
            left = repository.reader.resolve(ref)  # a killed run may have left the ref
            moves.append(RefMove(ref, new[-1].id, left.id if left else None))
        repository.refs.move(moves, f"reserve {model} {number}", new)
        return number

    return repository.refs.retry(make)


def remember_remote(repository: Repository) -> None:
    """If gitmodel never fetched or pushed in this clone, record the refs that git fetched as the remote's state.

    Without this, the next pull could not distinguish tags that this clone moved from tags that moved on the remote.
    """
    remote = repository.tips.remote_name()
    if not remote or repository.reader.resolve(remote_branch_ref(remote, repository.branch)) is not None:
        return
    found = repository.reader.resolve(repository.tips.fetched_ref(remote))
    if found is None or found.type != "commit":
        return
    tags = repository.tags.all()
    seen = {f"{tags_prefix(remote)}{ref.model}/{ref.stage}": id for ref, id in tags.items()}
    if rules := repository.rules.id():
        seen[remote_rules_ref(remote, repository.branch)] = rules
    seen = {copy: id for copy, id in seen.items() if repository.reader.resolve(copy) is None}
    seen[remote_branch_ref(remote, repository.branch)] = found.id
    with suppress(Moved):
        repository.refs.move([RefMove(copy, id, None) for copy, id in seen.items()], f"gitmodel: clone of {remote}")


def _make(repository: Repository, snapshot: Snapshot, change: Change[Any]) -> None:
    """Write *change*, which was planned on *snapshot*: its commit, and the refs that move with the branch.

    Raises Moved, without writing anything, if the branch is no longer at the commit of *snapshot*.
    """
    if not change.files and not (change.apply and snapshot.commit) and not change.settled:
        return
    local = repository.reader.resolve(repository.branch)
    old = local.id if local else None
    if old and old != snapshot.commit:
        raise Moved("the branch moved while the change was planned", hint="try again")
    check_paths(change.files)
    remember_remote(repository)
    commit, made, objects = _new_commit(repository, snapshot, change)
    settling, notes = _settling(repository, change)
    rules, rules_tag = _rules_moves(repository, snapshot, change, made)
    tags, new_tags, removed_tags = stage_tag_moves(repository, snapshot, change, made)
    # git moves refs in this order. Because the branch is first, a crash can leave a new branch with old tags, which is
    # a pending change, but never a new tag with an old branch.
    moves = [
        RefMove(repository.branch, commit, old),
        *settling,
        *_reservation_moves(repository, snapshot, change),
        *rules,
        *tags,
    ]
    try:
        repository.refs.move(moves, f"gitmodel: {change.subject}", [*objects, *notes, *rules_tag, *new_tags])
    except (Unreachable, GitError) as error:
        # A disk error may have stopped git after it moved the branch.
        repository.reader.close()
        tip = repository.reader.resolve(repository.branch)
        if made and tip is not None and tip.id == made.id:
            raise half_done_error(error) from error
        raise
    repository.refs.drop(removed_tags)


def _new_commit(
    repository: Repository, snapshot: Snapshot, change: Change[Any]
) -> tuple[Oid, NewObject | None, list[NewObject]]:
    """Return the id of the commit to which *change* moves the branch, the new commit itself, and all objects to write.

    If *change* alters no file, the new commit is None, and the id is that of the current commit.
    """
    parent, root, new = _base(repository, snapshot)
    if not change.files:
        return parent, None, new
    tree, folders = changed_tree(repository.trees, root, change.files)
    if tree == root:
        return parent, None, [*new, *folders]
    must_sign = repository.signing.is_required(snapshot, change.files)
    made = made_commit(repository, parent, tree, change, sign=must_sign)
    if must_sign:
        repository.signing.check_commit(made)
    return made.id, made, [*new, *folders, made]


def _reservation_moves(repository: Repository, snapshot: Snapshot, change: Change[Any]) -> list[RefMove]:
    """Return the ref moves that verify that new numbers are not reserved, and copy reservations of renamed models."""
    moves = [RefMove(reserved_ref(model, number), None, None) for model, number in change.numbers]
    if any(what is not None and what.kind == "model" for what in map(paths.parse_path, change.files)):
        after = replace(snapshot, files=ChangedFiles(snapshot.files, change.files))
        moves += repository.reservations.moves_to_new_names(after)
    return moves


def _rules_moves(
    repository: Repository, snapshot: Snapshot, change: Change[Any], made: NewObject | None
) -> tuple[list[RefMove], list[NewObject]]:
    """Return the ref moves that put changed rules of the commit *made* in force, and the rules tag for them."""
    if made is None or not _changes_rules(repository, snapshot, change):
        return [], []
    tag = repository.rules.next_tag(made.data, made.id)
    return repository.rules.moves(tag.id), [tag]


def _settling(repository: Repository, change: Change[Any]) -> tuple[list[RefMove], list[NewObject]]:
    """Return the ref move that updates the renumberings for *change*, and the object to write for it.

    After the update, gitmodel accepts writes with the old references in `change.settled` again, and knows the
    renumberings in `change.renumbered`. Returns empty lists if *change* has neither. Raises Moved if another process
    has already made this update.
    """
    if not change.settled and not change.renumbered:
        return [], []

    def noted(found: Renumberings) -> Renumberings:
        left = found.without_notes(change.settled)
        return left.with_pull(change.renumbered) if change.renumbered else left

    moves, new = repository.renumbered.moves(noted)
    if not moves:
        raise Moved("another process settled a renumbering meanwhile", hint="try again")
    return moves, new


def _base(repository: Repository, snapshot: Snapshot) -> tuple[Oid, Oid, list[NewObject]]:
    """Return the commit on which a change planned on *snapshot* is made, and its tree.

    If there is no registry, this is a first commit, and the list has the objects to write for it.
    """
    if snapshot.commit:
        return snapshot.commit, repository.commits.read(snapshot.commit).tree, []
    refuse_second_registry(repository, None)
    first, new = first_commit(repository, RegistryRecord())
    return first.id, parse_commit(first.id, first.data).tree, [*new, first]


def _changes_rules(repository: Repository, snapshot: Snapshot, change: Change[Any]) -> bool:
    """Return True if *change* alters the rules of *snapshot*.

    If no rules were ever in force, new rules that restrict nothing do not count as a change.
    """
    if not {paths.REGISTRY, paths.SIGNERS} & change.files.keys():
        return False
    after = ChangedFiles(snapshot.files, change.files)
    if not repository.rules.id() and snapshot.registry().is_open and read_registry(after).is_open:
        return False
    return not have_same_rules(snapshot.files, after)
