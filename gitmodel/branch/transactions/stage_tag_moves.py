"""The moves of stage tags that follow from a change of the stages, such as a promotion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.branch.transactions.foreign_tags import refuse_foreign, refuse_second_registry
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.changes.stages import leftovers
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import place_at
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.git.objects.object_formats import NewObject, parse_tag
from gitmodel.git.objects.object_reader import GitObject
from gitmodel.git.refs.ref_move import RefMove


def stage_tag_moves(
    repository: Repository, snapshot: Snapshot, change: Change[Any], made: NewObject | None
) -> tuple[list[RefMove], list[NewObject], list[RefMove]]:
    """Return the ref moves that set stage tags, the tag objects to write, and the ref moves that delete stage tags.

    Raises ForeignTag if one of these tags belongs to another registry.
    """
    moves: list[RefMove] = []
    new: list[NewObject] = []
    removals: list[RefMove] = []
    for ref, wanted, found in _with_former(repository, snapshot, _follow(repository, snapshot, change, made)):
        tag = found.id if found else None
        if wanted is None and tag:
            refuse_foreign(repository, snapshot.commit, ref, found, repairs=False)
            removals.append(RefMove(ref.full, None, tag))
        elif wanted is not None and not repository.tags.agrees(ref, tag, wanted, made):
            if tag:
                repairs = made is None or parse_tag(wanted.data).target != made.id
                refuse_foreign(repository, snapshot.commit, ref, found, repairs=repairs)
            elif not moves:
                refuse_second_registry(repository, snapshot.commit, ref.stage)
            signed = repository.signing.tag(ref, wanted, made, new_registry=not snapshot.commit)
            new.append(signed)
            moves.append(RefMove(ref.full, signed.id, tag))
    return moves, new, removals


def _with_former(
    repository: Repository, snapshot: Snapshot, moves: Iterable[tuple[StageRef, NewObject | None]]
) -> Iterator[tuple[StageRef, NewObject | None, GitObject | None]]:
    """Yield each stage and new tag of *moves* (None: delete the tag), with the current tag object of the stage.

    If a renamed model has no tag of the stage under its current name, the tag under a former name counted. Then also
    yields the deletion of that tag.
    """
    for ref, wanted in moves:
        tag = repository.tags.read(ref)
        yield ref, wanted, tag
        if tag is None:
            former = (StageRef(name, ref.stage) for name in snapshot.former_names(ref.model))
            yield from ((old, None, found) for old in former if (found := repository.tags.read(old)) is not None)


def _follow(
    repository: Repository, snapshot: Snapshot, change: Change[Any], commit: NewObject | None
) -> Iterator[tuple[StageRef, NewObject | None]]:
    """Yield each stage whose tag *change* with the new *commit* may change, with its new tag (None: delete the tag)."""
    followed = set()
    for path, data in change.files.items():
        found = paths.parse_path(path)
        ref = place_at(snapshot.registry(), found)
        if found is None or ref is None or commit is None:
            continue
        followed.add(ref)
        if data is not None and data == snapshot.files.read(path):
            # *change* does not change this file, so its tag belongs at the earlier commit that changed the file.
            yield ref, repository.tags.recorded_at(snapshot.commit, ref)
            continue
        if data is None:
            yield ref, None
            continue
        before = snapshot.files.load(path, records.StageRecord, newer=True)
        after = codec.decode(records.StageRecord, data, path, newer=True)
        yield ref, repository.tags.new_tag(ref, commit.id, commit.data, before, after)
    for ref in change.drop:
        followed.add(ref)
        yield ref, None
    for ref in change.apply:
        if ref not in followed:
            yield ref, recorded_tag(repository, snapshot, ref)


def recorded_tag(repository: Repository, snapshot: Snapshot, ref: StageRef) -> NewObject | None:
    """Return the tag of *ref* that agrees with the branch; None if the stage is empty.

    A merge without conflicts can leave the file of a stage whose version is now in another stage. Such a stage is
    empty, too.
    """
    if paths.stage_file(ref.model, ref.stage) in leftovers(snapshot, ref.model):
        return None
    return repository.tags.recorded_at(snapshot.commit, ref)
