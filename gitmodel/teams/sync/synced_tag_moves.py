"""Moves of stage tags and the rules tag: the moves of local tags by a pull, and of the remote's tags by a push."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitmodel.branch.history.stage_history import changes_between
from gitmodel.branch.remotes import RemoteState, tags_prefix
from gitmodel.branch.repository import Repository
from gitmodel.branch.stages.rules_in_force import have_same_rules
from gitmodel.branch.stages.stage_tags import target_of
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.refs import STAGE_TAGS, StageRef
from gitmodel.domain.schema.registry_rules.rules_tag import extends
from gitmodel.domain.snapshots.commit_records import place_at
from gitmodel.errors import Invalid, Refused, Unsigned
from gitmodel.frozen import Frozen
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.refs.ref_commands import delete_ref, list_refs
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.registry.promotion import judging


class LocalMoves(Frozen):
    """The moves of local stage tags by a pull: *moves* are part of its transaction, *drops* are deletions after it.

    *moved* are the stages of all these tags. *kept* are the stages whose local tags stay because the different tags of
    the remote do not count.
    """

    moves: tuple[RefMove, ...]
    drops: tuple[RefMove, ...]
    moved: tuple[StageRef, ...]
    kept: tuple[StageRef, ...] = ()


def local_moves(repository: Repository, state: RemoteState, tip: Oid | None) -> LocalMoves:
    """Return the ref moves that give local stage tags the remote's values.

    *tip* is the commit of the local branch after the pull. If unpushed commits changed a stage, its tag moves to the
    change at *tip* instead, unless the rules of the stage refuse this change. A tag that was set here, and did not move
    at the remote, stays for the next push. In a `signed` stage, a local tag that counts stays if the remote's does not.
    """
    ours = repository.tags.all()
    changed = _changed_stages(repository, state.tip, tip)
    after = repository.snapshot_at(tip)
    moves: list[RefMove] = []
    drops: list[RefMove] = []
    moved, kept = [], []
    for ref in sorted({*ours, *state.tags, *changed}):
        old, there = ours.get(ref), state.tags.get(ref)
        if ref not in changed and old == there:
            continue
        wanted = repository.tags.recorded_at(tip, ref)
        # If the tag at the remote or here agrees with *wanted*, as a signed tag can, use this tag instead of *wanted*.
        agreeing = (id for id in (there, old) if id and wanted and repository.tags.agrees(ref, id, wanted))
        recorded = next(agreeing, wanted.id) if wanted else None
        applied = old == recorded and there == state.last_tags.get(ref)
        new = recorded if ref in changed or applied else there
        if new == recorded != old and judging.entry_refusal(repository, after, ref):
            new = there  # the change stays pending until `apply`
        if wanted is not None and new == wanted.id not in (old, there):
            new = _write_tag(repository, ref, wanted) or there
        if old != new == there and old and _stays(repository, ref, tip, old, there):
            kept.append(ref)
            continue
        if new != old:
            (moves if new else drops).append(RefMove(ref.full, new, old))
            moved.append(ref)
    return LocalMoves(tuple(moves), tuple(drops), tuple(moved), tuple(kept))


def _stays(repository: Repository, ref: StageRef, tip: Oid | None, old: Oid, there: Oid | None) -> bool:
    """Return True if *ref* is a signed stage whose local tag *old* counts and whose remote tag *there* does not."""
    due = repository.tags.signed_by(ref, tip)
    judged = repository.tags.judge(ref, repository.reader.get(old), tip) if due else None
    if judged is None or judged.forged or judged.target != due:
        return False
    return not there or bool(repository.tags.judge(ref, repository.reader.get(there), tip).forged)


def tag_moves(repository: Repository, state: RemoteState, tip: Oid | None) -> dict[StageRef, RefMove]:
    """Return the moves that give the remote's stage tags the local values, if the remote's branch will be at *tip*.

    Leaves out tags of commits after *tip*. Raises Invalid if a local tag does not count.
    """
    ours = {ref: repository.tags.read(ref) for ref in repository.tags.all()}
    moves = {}
    for ref in sorted({*ours, *state.tags}):
        found, there = ours.get(ref), state.tags.get(ref)
        if (found.id if found else None) == there:
            continue
        if found is not None:
            judged = repository.tags.judge(ref, found, tip)
            if judged.forged and repository.tip() == tip:
                raise Invalid(
                    f"the tag {ref.name} does not count: {judged.forged}", hint="run `git model doctor --fix`"
                )
            if judged.forged:  # the tag belongs to a commit after *tip*
                continue
        moves[ref] = RefMove(ref.full, found.id if found else None, there)
    return moves


def rules_after(
    repository: Repository, state: RemoteState, tip: Oid | None
) -> tuple[Oid | None, tuple[NewObject, ...]]:
    """Return the id of the rules tag after a pull, and the objects to write for it. *tip* is the branch after the pull.

    Rules that are in force here, but not yet at the remote, stay in force if *tip* contains their commit or, after a
    replay, the same rules. If this repository and the remote put different rules in force, those of the remote count.
    """
    rules = repository.rules
    ours = rules.id()
    try:
        mine = rules.read(ours)
    except Refused:  # somebody set the tag by hand; the remote's tag replaces it
        ours, mine = None, ()
    if state.rules and not extends(mine, rules.read(state.rules)):
        return state.rules, ()
    kept = tuple(commit for commit in mine if tip and repository.commits.reaches(tip, commit))
    if kept == mine:
        return ours, ()
    if not state.rules and not kept and tip and have_same_rules(repository.files(mine[0]), repository.files(tip)):
        kept = (tip,)
    if state.rules or not kept:
        return state.rules, ()
    made = rules.next_tag(repository.reader.get(kept[0]).data, kept[0], kept=kept[1:])
    return made.id, (made,)


def rules_move(repository: Repository, state: RemoteState, tip: Oid | None) -> list[RefMove]:
    """Return the move that gives the remote the local rules tag; no move if *tip* lacks the commit with these rules."""
    ours = repository.rules.id()
    if ours in (None, state.rules) or not (tip and repository.commits.reaches(tip, repository.rules.read(ours)[0])):
        return []
    return [RefMove(repository.rules.ref, ours, state.rules)]


def reset_tags(repository: Repository, old: Mapping[StageRef, Oid | None], rules: Oid | None) -> None:
    """Move the local stage tags back to the ids *old*, and the rules tag to the id *rules*. None deletes the tag."""
    moves = [RefMove(ref.full, id, repository.tags.id(ref)) for ref, id in old.items() if id]
    if rules is not None and rules != repository.rules.id():
        moves += repository.rules.moves(rules)
    if moves:
        repository.refs.move(moves, "gitmodel: set back, because the remote refused")
    for ref, id in old.items():
        now = None if id else repository.tags.id(ref)
        if now:
            repository.refs.drop([RefMove(ref.full, None, now)])
    if not rules and repository.rules.id():
        for name in (repository.rules.ref, repository.rules.seen_ref):
            delete_ref(repository.git, name)


def vouched_moves(repository: Repository, state: RemoteState) -> list[RefMove]:
    """Return the moves that create the remote's missing tags for commits that a user vouched for (`vouched_ref`)."""
    here, there = (
        {ref.removeprefix(prefix): id for ref, id in list_refs(repository.git, f"{prefix}*@*/*").items()}
        for prefix in (STAGE_TAGS, tags_prefix(state.remote))
    )
    return [RefMove(f"{STAGE_TAGS}{name}", id, None) for name, id in here.items() if name not in there]


def set_back(repository: Repository, state: RemoteState) -> Iterator[str]:
    """Yield the names of the remote's stage tags that agreed with its branch at the last fetch and do not agree now.

    Ignores tags whose stage the branch changed since then. This finds tags that somebody set back to an earlier tag,
    whose signature is still valid.
    """
    for ref, last in state.last_tags.items():
        now = state.tags.get(ref)
        if now == last or not state.tip or not _has_same_record(repository, ref, last, state.tip):
            continue
        wanted = repository.tags.recorded_at(state.tip, ref)
        was, still = (wanted is not None and repository.tags.agrees(ref, id, wanted) for id in (last, now))
        if was and not still:
            yield ref.name


def _has_same_record(repository: Repository, ref: StageRef, tag: Oid, tip: Oid) -> bool:
    """Return True if the stage's file at *tip* is the same as at the commit that *tag* names."""
    try:
        target = target_of(ref, repository.reader.get(tag))[0]
        then, now = repository.files(target), repository.files(tip)
        files = (paths.stage_file(ref.model, ref.stage), paths.alias_file(ref.model, ref.stage))
        return any((id := now.id(path)) is not None and id == then.id(path) for path in files)
    except Invalid:
        return False


def _write_tag(repository: Repository, ref: StageRef, wanted: NewObject) -> Oid | None:
    """Write the tag object *wanted*, signed if git's configuration or the stage requires it, and return its id.

    Returns None if this user's signature would not count.
    """
    try:
        made = repository.signing.tag(ref, wanted)
    except Unsigned:
        return None
    repository.objects.write([made])
    return made.id


def _changed_stages(repository: Repository, old: Oid | None, new: Oid | None) -> set[StageRef]:
    """Return the stages that the commits from *old* to *new* changed, even if a later commit undid the change."""
    if old == new or new is None:
        return set()
    commits = changes_between(repository, old, new)
    registry = repository.recorded(new).registry()
    changed = {path for _, found in commits for path in found}
    places = (place_at(registry, paths.parse_path(path)) for path in changed)
    return {ref for ref in places if ref is not None}
