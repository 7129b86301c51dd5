"""Pull: fetch the registry of a remote, and replay local commits on it without losing a change silently."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gitmodel.branch import remotes
from gitmodel.branch.history.changed_paths import changed_paths
from gitmodel.branch.history.stage_history import changes_between
from gitmodel.branch.remotes import RemoteState
from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.new_commits import add_commit
from gitmodel.branch.transactions.transaction import remember_remote
from gitmodel.domain.replay.renumbering import ReplayState, renumbered
from gitmodel.domain.replay.replayed_changes import reworded
from gitmodel.domain.replay.replaying import replay
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import StageRef, remote_branch_ref, remote_rules_ref
from gitmodel.domain.schema.registry_rules.rules_tag import extends
from gitmodel.errors import Conflict, Refused, Unsigned
from gitmodel.git.history.commits import first_parents, is_ancestor, merge_base, trailer_values
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.refs.ref_commands import delete_ref
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.signatures import object_signatures
from gitmodel.registry.health.checking import MOST_PULLED, find_credentials
from gitmodel.registry.promotion.put_in_force import Merged, merged_tags
from gitmodel.teams.sync import synced_tag_moves


@dataclass
class Pulled:
    """The result of a pull: the local metadata branch moved from the commit *before* (None: no branch) to *tip*.

    *commits* is the number of fetched commits, *replayed* that of replayed local commits. *renumbered* has a text for
    each version that got another number ("iris 4 -> 5"), *conflicts* for each local change that the pull left out
    because the remote changed the same record, and *credentials* for each fetched field that looks like a credential.
    *moved* are the stages whose local tags moved. *set_back* are the names of the remote's stage tags that somebody
    moved since the last fetch, so that they no longer agree with the remote's branch. *merged* are merges by plain git
    after which `apply` must set stage tags again; it is empty if neither the local nor the remote branch moved.
    """

    remote: str
    tip: Oid | None
    before: Oid | None = None
    commits: int = 0
    replayed: int = 0
    renumbered: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    moved: list[StageRef] = field(default_factory=list)
    set_back: list[str] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)
    credentials: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """True if the branch or a stage tag moved."""
        return self.tip != self.before or bool(self.moved)


def pull(repository: Repository, remote: str, *, rewound: bool = False) -> Pulled:
    """Combine the metadata branch and the stage tags of *remote* with the local branch and tags. Pushes nothing.

    Replays the local commits that the remote lacks, record by record, on top of the remote's branch. Raises Conflict if
    the remote's rules tag is unreadable or, unless *rewound*, if this tag was deleted or set back, or if the remote's
    branch does not descend from its commit at the last contact; Refused if the two histories have no common commit, or
    if a replay would lose the signature of a local commit; Unreachable if the remote cannot be reached.
    """

    def attempt() -> Pulled:
        if repository.reader.resolve(repository.branch) is None:
            remember_remote(repository)
        state = remotes.fetch(repository, remote)
        if not rewound:
            _refuse_rewound(repository, state)
        _refuse_other_rules(repository, state, rewound=rewound)
        return _join(repository, state)

    return repository.refs.retry(attempt)


def left_out(pulled: Sequence[Pulled]) -> list[str]:
    """Return a text for each local change that the pulls *pulled* left out, without duplicates."""
    return list(dict.fromkeys(conflict for one in pulled for conflict in one.conflicts))


def had_before(commit: Oid | None) -> str:
    """Return the hint for finding the local changes that a pull left out. *commit* is the local tip before the pull."""
    return f"`git log -p {(commit or '')[:10]}` shows your state before; repeat the changes if they still apply"


def _refuse_rewound(repository: Repository, state: RemoteState) -> None:
    if not state.last_seen or (state.tip and is_ancestor(repository.git, state.last_seen, state.tip)):
        return
    what = (
        f"{state.remote} was rewound: its metadata branch no longer has the commit {state.last_seen[:10]} seen there"
        if state.tip
        else f"the metadata branch of {state.remote} was deleted"
    )
    raise Conflict(
        f"{what}; nothing was changed here",
        hint="find out who did it; `git model pull --rewound` accepts the remote's state and keeps your "
        "commits for the next push",
    )


def _refuse_other_rules(repository: Repository, state: RemoteState, *, rewound: bool) -> None:
    """Raise Conflict if the remote's rules tag is unreadable or, unless *rewound*, was deleted or set back."""
    rules = repository.rules
    what, takes_it = "was set back" if state.rules else "was deleted", "; `git model pull --rewound` takes it as it is"
    try:
        if extends(rules.read(state.rules), rules.read(state.last_rules)) or rewound:
            return
    except Refused:
        what, takes_it = "is not a tag that gitmodel made", ""
    for blocking in remotes.blocking_rules(repository, state.remote):
        raise Conflict(
            f"{state.remote} has {blocking}, so that the tag {rules.name}, which says which rules are in force, cannot "
            "be there; nothing was changed here",
            hint=f"if nobody needs it, type: {remotes.removal_command(state.remote, blocking)}; then run `git push "
            f"{shlex.quote(state.remote)} {shlex.quote(rules.ref)}` to set the tag of the rules there again",
        )
    where = shlex.quote(state.remote)
    again = (
        f"`git push --force {where} {shlex.quote(rules.ref)}` sets it there as it is here"
        if rules.commits_in_force()
        else f"`git push {where} {shlex.quote(':' + rules.ref)}` deletes it there, and `git model apply --push` sets it"
    )
    raise Conflict(
        f"the tag {rules.name} of {state.remote}, which says which rules are in force, {what}; nothing was "
        "changed here",
        hint=f"find out who did it; {again}{takes_it}",
    )


def _join(repository: Repository, state: RemoteState) -> Pulled:
    ours, theirs = repository.reader.resolve_id(repository.branch), state.tip
    done, replay_state = Pulled(state.remote, ours or theirs, before=ours), ReplayState()
    if ours and theirs and not is_ancestor(repository.git, ours, theirs):
        if not is_ancestor(repository.git, theirs, ours):
            done.commits = count_commits(repository, ours, theirs)
            done.tip = _replay_all(repository, ours, theirs, done, replay_state)
    elif theirs:
        done.commits = count_commits(repository, ours, theirs)
        done.tip = theirs
    seen = remote_branch_ref(state.remote, repository.branch)
    notes, new = _note_renumbered(repository, ours, done.tip, replay_state)
    moves = [*notes, RefMove(repository.branch, done.tip, ours)] if done.tip != ours else []
    if theirs != state.last_seen and theirs:
        moves.append(RefMove(seen, theirs, state.last_seen))
    if theirs and done.commits:
        done.credentials = find_credentials(repository, theirs, ours, most=MOST_PULLED)
    set_back = list(synced_tag_moves.set_back(repository, state))
    tags = synced_tag_moves.local_moves(repository, state, done.tip)
    done.set_back = [*dict.fromkeys((*set_back, *(ref.name for ref in tags.kept)))]
    done.moved = [*tags.moved]
    if done.tip != ours:
        moves += repository.reservations.moves_to_new_names(repository.recorded(done.tip))
    rules, made = synced_tag_moves.rules_after(repository, state, done.tip)
    moves += [*_rules_moves(repository, state, rules), *tags.moves]
    if moves:
        repository.refs.move(moves, f"gitmodel: pull {state.remote}", [*new, *made])
    if state.last_rules and not state.rules:
        copy = remote_rules_ref(state.remote, repository.branch)
        delete_ref(repository.git, copy, old=state.last_rules)
    if state.last_seen and not theirs:
        delete_ref(repository.git, seen, old=state.last_seen)
    repository.refs.drop(tags.drops)
    if done.tip != ours or theirs != state.last_seen:
        done.merged = merged_tags(repository)
    return done


def _rules_moves(repository: Repository, state: RemoteState, rules: Oid | None) -> list[RefMove]:
    """Return the moves that set the local rules tag to the object *rules*, and record the remote's tag as fetched."""
    moves = (
        repository.rules.moves(rules)
        if rules and rules != repository.rules.id()
        else repository.rules.moves_to_remember()
    )
    if state.rules not in (None, state.last_rules):
        copy = remote_rules_ref(state.remote, repository.branch)
        moves = [*moves, RefMove(copy, state.rules, state.last_rules)]
    return moves


def _note_renumbered(
    repository: Repository, ours: Oid | None, tip: Oid | None, replay_state: ReplayState
) -> tuple[list[RefMove], list[NewObject]]:
    """Return the ref move and the object that record which names and numbers mean another model or version now.

    *ours* is the commit of the local branch before the pull, *tip* the commit after it.
    """
    moves = renumbered(replay_state, repository.recorded(ours), repository.recorded(tip)) if tip != ours else {}
    if not moves:
        return [], []
    return repository.renumbered.moves(lambda found: found.with_pull(moves))


def _replay_all(repository: Repository, ours: Oid, theirs: Oid, done: Pulled, replay_state: ReplayState) -> Oid:
    base = merge_base(repository.git, ours, theirs)
    if not base:
        branch = repository.branch_name
        raise Refused(
            f"the registry here and the one of {done.remote} have no common history",
            hint=f"keep one: `git branch -m {branch} {branch}-old` renames the local one, then pull again",
        )
    changed_there = (paths.parse_path(path) for path in changed_paths(repository, base, theirs))
    replay_state.changed_there = frozenset(what.model for what in changed_there if what is not None)
    # By the transaction id, find local commits that the remote has under another commit id. Leave out squashed commits,
    # which have several transaction ids, because they do not show the versions that one local commit created.
    ids = trailer_values(repository.git, theirs, base, "Txn")
    landed = {values[0]: commit for commit, values in ids.items() if len(values) == 1}
    onto = theirs
    for id, changed in changes_between(repository, theirs, ours):
        commit = repository.commits.read(id)
        twin = landed.get(_transaction(commit.message))
        if twin:
            _learn_numbers(repository, id, twin, replay_state)
            continue
        before = repository.recorded(commit.parents[0] if commit.parents else None)
        again = replay(before, repository.files(id), changed, repository.recorded(onto), replay_state)
        done.conflicts += again.conflicts
        if again.files:
            message = reworded(commit.message, replay_state, again)
            onto = _add(repository, id, onto, again.files, message, done.remote)
            done.replayed += 1
    done.renumbered = [f"{model} {old} -> {new}" for (model, old), new in replay_state.numbers.items() if old != new]
    return onto


def _add(
    repository: Repository, id: Oid, onto: Oid, files: Mapping[str, bytes | None], message: str, remote: str
) -> Oid:
    """Create a commit with the parent *onto* that replaces the local commit *id*, and return its id.

    *files* has the content of each file that it changes (None: deleted). If *id* is signed, signs the new commit, too;
    raises Refused if this machine does not have the same key.
    """
    author = repository.commits.read(id).author
    if not object_signatures.is_signed(repository.reader.get(id).data):
        return add_commit(repository, onto, files, author, message)
    refusal = Refused(
        f"commit {id[:10]} is signed, and replaying it would lose this signature",
        hint=f"make its change again on {remote}'s branch: `git show {id[:10]}` shows the change",
    )
    signer = _signer(repository, id)
    if not signer:
        raise refusal
    try:
        made = add_commit(repository, onto, files, author, message, sign=True)
    except Unsigned as error:
        raise refusal from error
    if _signer(repository, made) != signer:
        raise refusal
    return made


def _signer(repository: Repository, commit: Oid) -> str:
    """Return the signer whose key signed *commit*; "" if the commit has no valid signature of a listed signer."""
    found = object_signatures.of_commit(repository.reader.get(commit).data)
    return repository.signing.verifier.signer(found) if found else ""


def _transaction(message: str) -> str:
    last = message.rstrip().rpartition("\n")[2]
    return last.removeprefix("Txn: ") if last.startswith("Txn: ") else ""


def _learn_numbers(repository: Repository, ours: Oid, theirs: Oid, replay_state: ReplayState) -> None:
    """Add to *replay_state* the new numbers of the versions that the local commit *ours* created.

    The remote already has the change of *ours* as the commit *theirs*, which can have other numbers for these versions.
    """
    there = _new_versions(repository, theirs)
    for model, numbers in _new_versions(repository, ours).items():
        found = there.get(replay_state.model(model), [])
        if len(found) == len(numbers):
            pairs = zip(numbers, found, strict=True)
            replay_state.numbers.update({(model, old): new for old, new in pairs if old != new})


def _new_versions(repository: Repository, commit: Oid) -> dict[str, list[int]]:
    """Return the numbers of the versions that *commit* created, by model."""
    parent = repository.commits.read(commit).parent
    before = repository.files(parent)
    made: dict[str, list[int]] = {}
    for path in changed_paths(repository, parent, commit):
        what = paths.parse_path(path)
        if what is not None and what.kind == "version" and before.id(path) is None:
            made.setdefault(what.model, []).append(int(what.key))
    return {model: sorted(numbers) for model, numbers in made.items()}


def count_commits(repository: Repository, old: Oid | None, new: Oid | None) -> int:
    """Return the number of commits on the chain of first parents of *new* that are not in the history of *old*."""
    return len(first_parents(repository.git, new, excluding=old)) if new else 0
