"""The changes that put versions into stages and give them aliases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.names import ARCHIVED, LATEST, NONE, check_alias, fault_in, fold
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import ARCHIVED_MARKER, StageRecord, VersionRecord, links_digest
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshots.commit_records import check_stage
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.snapshots.snapshot_sources import Refusal, StageTag, TagState
from gitmodel.errors import Conflict, Invalid, NotFound, Refused, UsageError
from gitmodel.frozen import Frozen


class Promotion(Frozen):
    """The result of changing a stage or alias: it now has *version* (None: it is empty), and had *previous* before.

    *archived* is the version that the change archived. *left* are the stages from which the change removed the version,
    perhaps "archived". *changed* is False if there was nothing to change.
    """

    model: str
    version: int | None
    stage: str
    previous: int | None = None
    archived: int | None = None
    left: tuple[str, ...] = ()
    changed: bool = True


class StageState(Frozen):
    """A stage or alias of a model: the version *recorded* on the branch, and the version *in_force* by the tag.

    *forged* is the reason why readers refuse the tag, or "". *refusal* is the reason why a rule keeps the recorded
    change from coming into force, or None. *merged_by* is None if the tag's commit is on the
    branch's chain of first parents; else it is the commit that merged the tag's commit. *former* is True if the tag
    still has a former name of the model. *untagged* is True if the stage is `signed` and has no tag: its first
    promotion is pending, or somebody deleted the tag.
    """

    name: str
    recorded: int | None
    in_force: int | None
    forged: str = ""
    alias: bool = False
    refusal: Refusal | None = None
    merged_by: Oid | None = None
    former: bool = False
    untagged: bool = False

    @property
    def doubt(self) -> str:
        """The text of `refusal`, or ""."""
        return str(self.refusal or "")

    @property
    def pending(self) -> bool:
        """True if the version in force is not the recorded version."""
        return self.recorded != self.in_force


class RecordedPlaces(NamedTuple):
    """The versions that the branch records for a model, by stage (see `recorded_places`) and by alias."""

    stages: Mapping[str, int]
    aliases: Mapping[str, int]

    @classmethod
    def read(cls, snapshot: Snapshot, model: str) -> RecordedPlaces:
        """Read the records of the stages and aliases of *model*. Raises Invalid for a damaged record."""
        stages = recorded_places(snapshot, model)
        found = ((alias, snapshot.recorded_alias(model, alias)) for alias in snapshot.recorded_aliases(model))
        return cls(stages, {alias: record.version for alias, record in found if record is not None})


def recorded_places(snapshot: Snapshot, model: str) -> dict[str, int]:
    """Return, by exclusive stage, the number of the version that the branch records for the stage.

    If a merge left a version in the files of two stages, only the stage that `gitmodel.toml` lists last counts.
    """
    held: dict[str, int] = {}
    taken: set[int] = set()
    for stage in reversed(snapshot.registry().stage_names):
        record = snapshot.recorded(model, stage)
        if record is not None and record.version not in taken:
            held[stage] = record.version
            taken.add(record.version)
    return held


def leftovers(snapshot: Snapshot, model: str) -> list[str]:
    """Return the paths of stage files of *model* that do not count, because their version is in another stage.

    Merges without conflicts leave such files: a file of a stage, although a stage that `gitmodel.toml` lists later has
    the same version, and archived markers of versions in a stage.
    """
    held = recorded_places(snapshot, model)
    files = []
    for stage in snapshot.registry().stage_names:
        if stage not in held and snapshot.recorded(model, stage) is not None:
            files.append(paths.stage_file(model, stage))
    files += [paths.archived_file(model, n) for n in held.values() if snapshot.is_archived(model, n)]
    return files


def without_leftovers(snapshot: Snapshot, model: str, files: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    """Return *files*, the new contents of files by path, together with the deletion of the `leftovers` of *model*.

    A path in *files* keeps its content. Files of `proposal_only` stages stay, because only a proposal may change them.
    Raises Invalid for a damaged stage or alias, because then the current state is unknown.
    """
    for alias in snapshot.recorded_aliases(model):
        snapshot.recorded_alias(model, alias)
    found = leftovers(snapshot, model)
    closed = {paths.stage_file(model, stage) for stage in snapshot.closed_stages} if found else ()
    return {**dict.fromkeys(path for path in found if path not in closed), **files}


def stage_states(
    snapshot: Snapshot,
    model: str,
    recorded: RecordedPlaces | None = None,
    tags: Mapping[str, TagState] | None = None,
) -> list[StageState]:
    """Return every stage and alias of *model* that the branch or a tag has: first the stages, then the aliases.

    The stages are in the order of `gitmodel.toml`, the aliases by name. *recorded* are the versions that the branch
    records, *tags* the states of the stage tags by stage or alias. Each of them is read if it is None.
    """
    if tags is None:
        tags = {stage: tag.state for stage, tag in snapshot.tags.of(model).items()}
    registry = snapshot.registry()
    places = RecordedPlaces.read(snapshot, model) if recorded is None else recorded
    tagged = {name for name in tags if name not in registry.stage_names and not registry.alias_fault(name)}
    states = []
    for name in [*registry.stage_names, *sorted({*places.aliases, *tagged})]:
        alias = name not in registry.stage_names
        number = (places.aliases if alias else places.stages).get(name)
        tag: TagState | None = tags.get(name)
        former = False
        if tag is None and number is not None:
            former_tag = snapshot.former_tag(StageRef(model, name))
            tag, former = former_tag.state if former_tag else None, former_tag is not None
        if number is None and tag is None:
            continue
        tag_state = tag or TagState(None)
        in_force = tag_state.version
        refusal = snapshot.refusal(StageRef(model, name)) if number != in_force and not alias else None
        untagged = tag is None and not alias and registry.rule(name).signed
        states.append(
            StageState(name, number, in_force, tag_state.forged, alias, refusal, tag_state.merged_by, former, untagged)
        )
    return states


def stray_tags(snapshot: Snapshot, model: str) -> list[StageTag]:
    """Return the tags of *model* with a name that no stage or alias can have, such as `latest`. They are never read."""
    registry = snapshot.registry()
    tags = sorted(snapshot.tags.of(model).items())
    return [tag for name, tag in tags if name not in registry.stage_names and registry.alias_fault(name)]


def plan_promotion(
    snapshot: Snapshot,
    model: str,
    number: int,
    *,
    to: str,
    reason: str = "",
    forced: tuple[str, ...] = (),
    leave: bool = False,
    verb: str = "Promote",
    again: bool = False,
) -> Change[Promotion]:
    """Put version *number* into the stage *to* (or "archived" or "none"), and archive the version that was there.

    Does not check the rules of the stage; `gates.plan_gated_promotion` does. *leave* allows a later stage to become
    empty because the version leaves it. *forced* are the names of the failed gates that the user overrides. If the
    branch already records the version for the stage, writes a new record, which the rules judge as a new change, only
    if *again* is True or *forced* is not empty. Raises NotFound if the version does not exist, UsageError for an
    unknown stage, Refused for a version from a failed run. *verb* begins the subject of the commit.
    """
    if to == LATEST:
        raise UsageError("'latest' is computed and cannot be set", hint="name a stage, or use `git model alias set`")
    if to in (ARCHIVED, NONE):
        return _plan_leaving(snapshot, model, number, archive=to == ARCHIVED, reason=reason)
    check_stage(to, snapshot.registry())
    version = promotable(snapshot, model, number)
    held = recorded_places(snapshot, model)
    previous = held.get(to)
    ref = StageRef(model, to)
    record = StageRecord(
        version=number, artifacts=links_digest(version.artifacts), reason=reason.strip(), forced=tuple(sorted(forced))
    )
    recorded = snapshot.recorded(model, to)
    if previous == number and _same_links(recorded, record) and not forced and not again:
        result = Promotion(model, number, to, number)
        return _applied(snapshot, ref, result)
    while record == recorded:  # an equal record would not change the file
        record = replace(record, reason=f"{record.reason} (again)" if record.reason else "promoted again")
    files: dict[str, bytes | None] = {paths.stage_file(model, to): codec.encode(record)}
    left = tuple(stage for stage, holder in held.items() if holder == number and stage != to)
    files.update({paths.stage_file(model, stage): None for stage in left})
    if snapshot.is_archived(model, number):
        files[paths.archived_file(model, number)] = None
        left += (ARCHIVED,)
    archived = previous if previous is not None and previous != number else None
    if archived is not None and is_present(snapshot, model, archived):
        files[paths.archived_file(model, archived)] = ARCHIVED_MARKER
    return Change(
        Promotion(model, number, to, previous, archived, left),
        subject=f"{verb} {model} {number} to {to}",
        reason=reason,
        files=without_leftovers(snapshot, model, files),
        trailers=_trailers(model, number, to, previous, version, forced),
        drop=tuple(_still_in_force(snapshot, model, number, to=to, leave=leave)),
        may_empty=frozenset(StageRef(model, stage) for stage in left if leave),
    )


def _still_in_force(snapshot: Snapshot, model: str, number: int, *, to: str, leave: bool) -> Iterator[StageRef]:
    """Yield the stages, except *to*, whose tags still name version *number* after the branch emptied the stage.

    Leaves out the stages that only a proposal may change and, if *leave* is False, those that `gitmodel.toml` lists
    after *to*.
    """
    stages = snapshot.registry().stage_names
    closed = snapshot.closed_stages
    for stage in stages if leave else stages[: stages.index(to)]:
        if stage == to or stage in closed or snapshot.recorded(model, stage) is not None:
            continue
        tag = snapshot.tags.get(StageRef(model, stage))
        if tag is not None and tag.in_force is not None and tag.in_force.version == number:
            yield tag.ref


def plan_demotion(snapshot: Snapshot, model: str, stage: str, *, reason: str = "") -> Change[Promotion]:
    """Empty the exclusive stage *stage* of *model*, which may be a former name. Raises NotFound if it is empty."""
    check_stage(stage, snapshot.registry())
    model = snapshot.current_name(model)
    snapshot.model(model)
    ref = StageRef(model, stage)
    held = snapshot.recorded(model, stage)
    if held is None:
        if snapshot.tags.get(ref) is not None:
            return Change(Promotion(model, None, stage), apply=(ref,))
        raise NotFound(f"no version of {model} is in {stage}", hint=f"run `git model version list {model}`")
    return Change(
        Promotion(model, None, stage, held.version, left=(stage,)),
        subject=f"Demote {model} {held.version} from {stage}",
        reason=reason,
        files=without_leftovers(snapshot, model, {paths.stage_file(model, stage): None}),
        trailers=(("Model", model), ("Version", str(held.version)), ("Stage", NONE), ("Previous-Stage", stage)),
    )


def plan_alias(snapshot: Snapshot, model: str, number: int, alias: str, *, reason: str = "") -> Change[Promotion]:
    """Point *alias* at version *number*; nothing is archived. Raises the errors of `promotable`.

    Raises UsageError if *alias* is invalid or a stage; Conflict if a version of *model* has this name, if a run
    reserved it, or if another alias differs from it only in case.
    """
    _check_free_alias(snapshot, model, alias)
    version = promotable(snapshot, model, number)
    record = StageRecord(version=number, artifacts=links_digest(version.artifacts), reason=reason.strip())
    old = snapshot.recorded_alias(model, alias)
    previous = old.version if old else None
    result = Promotion(model, number, alias, previous)
    if previous == number and _same_links(old, record):
        return _applied(snapshot, StageRef(model, alias), result)
    return Change(
        result,
        subject=f"Give {model} {number} the alias {alias}",
        reason=reason,
        files=without_leftovers(snapshot, model, {paths.alias_file(model, alias): codec.encode(record)}),
        trailers=_trailers(model, number, alias, previous, version, (), key="Alias"),
    )


def plan_alias_removal(snapshot: Snapshot, model: str, alias: str, *, reason: str = "") -> Change[Promotion]:
    """Remove *alias* of *model*, which may be a former name of the model. Raises NotFound if the alias does not exist.

    If no alias may have this name, for example because it is the name of a stage, only removes the file of the alias,
    which readers ignore.
    """
    model = snapshot.current_name(model)
    snapshot.model(model)
    path = paths.alias_file(model, alias)
    if not fault_in(alias) and snapshot.registry().alias_fault(alias) and snapshot.files.read(path) is not None:
        return Change(
            Promotion(model, None, alias),
            subject=f"Remove {path}, which is never read",
            reason=reason,
            files=without_leftovers(snapshot, model, {path: None}),
            trailers=(("Model", model),),
        )
    check_alias(alias)
    old = snapshot.recorded_alias(model, alias)
    if old is None:
        ref = StageRef(model, alias)
        if alias not in snapshot.registry().stage_names and snapshot.tags.get(ref) is not None:
            return Change(Promotion(model, None, alias), apply=(ref,))
        known = ", ".join(snapshot.recorded_aliases(model)) or "none"
        raise NotFound(f"{model} has no alias {alias}", hint=f"its aliases: {known}")
    return Change(
        Promotion(model, None, alias, old.version),
        subject=f"Take the alias {alias} from {model} {old.version}",
        reason=reason,
        files=without_leftovers(snapshot, model, {paths.alias_file(model, alias): None}),
        trailers=(("Model", model), ("Version", str(old.version)), ("Alias", alias)),
    )


def promotable(snapshot: Snapshot, model: str, number: int) -> VersionRecord:
    """Return the version if it can enter a stage. Raises NotFound for a deleted version, Refused for a failed one."""
    snapshot.model(model)
    version = snapshot.present_version(model, number)
    if version.failed:
        raise Refused(
            f"version {number} of {model} is from a failed run", hint="promote a version of a run that succeeded"
        )
    return version


def places_of(snapshot: Snapshot, model: str, number: int) -> list[str]:
    """Return the stages and aliases in which version *number* is recorded or in force, and "archived" if it is."""
    found = [state.name for state in stage_states(snapshot, model) if number in (state.recorded, state.in_force)]
    return [*found, ARCHIVED] if snapshot.is_archived(model, number) else found


def held_files(snapshot: Snapshot, model: str, number: int) -> list[str]:
    """Return the paths of the stage, alias and archived files that name version *number*."""
    places = {
        paths.stage_file(model, stage): snapshot.recorded(model, stage) for stage in snapshot.registry().stage_names
    }
    for alias in snapshot.recorded_aliases(model):
        places[paths.alias_file(model, alias)] = snapshot.recorded_alias(model, alias)
    files = [path for path, record in places.items() if record is not None and record.version == number]
    return files + ([paths.archived_file(model, number)] if snapshot.is_archived(model, number) else [])


def _plan_leaving(snapshot: Snapshot, model: str, number: int, *, archive: bool, reason: str) -> Change[Promotion]:
    snapshot.model(model)
    snapshot.present_version(model, number)  # raises NotFound
    stage = ARCHIVED if archive else NONE
    held = recorded_places(snapshot, model)
    left = tuple(name for name, holder in held.items() if holder == number)
    files: dict[str, bytes | None] = {paths.stage_file(model, name): None for name in left}
    archived = snapshot.is_archived(model, number)
    if archive and (files or not archived):
        # The marker is written even if it exists already: `without_leftovers` would delete it as a leftover if *files*
        # did not have its path.
        files[paths.archived_file(model, number)] = ARCHIVED_MARKER
    if archived and not archive:
        files[paths.archived_file(model, number)] = None
        left += (ARCHIVED,)
    pending = tuple(
        StageRef(model, state.name)
        for state in stage_states(snapshot, model)
        if not state.alias and state.in_force == number and state.recorded is None
    )
    result = Promotion(model, number, stage, None, number if archive else None, left, bool(files or pending))
    if not files:
        return Change(result, apply=pending)
    trailers = (("Model", model), ("Version", str(number)), ("Stage", stage), ("Previous-Stage", ", ".join(left)))
    subject = f"Archive {model} {number}" if archive else f"Take {model} {number} out of {' and '.join(left)}"
    return Change(result, subject, reason, without_leftovers(snapshot, model, files), trailers, apply=pending)


def _applied(snapshot: Snapshot, ref: StageRef, result: Promotion) -> Change[Promotion]:
    """Return a change that only moves the tag of *ref* to the version in *result*, unless the tag names it already."""
    tag = snapshot.tags.get(ref)
    current = tag is not None and not tag.forged and tag.record is not None and tag.record.version == result.version
    return Change(replace(result, changed=not current), apply=() if current else (ref,))


def _check_free_alias(snapshot: Snapshot, model: str, alias: str) -> None:
    check_alias(alias)
    snapshot.model(model)
    stages = {fold(stage) for record in (snapshot.committed or snapshot).registries for stage in record.stage_names}
    if fold(alias) in stages:
        raise UsageError(f"{alias} is a stage", hint=f"run `git model promote {model}@VERSION {alias}`")
    for file in snapshot.files.names(paths.name_folder(model, alias)):
        name = file.removesuffix(".toml")
        if fold(name) == fold(alias):
            number = snapshot.number_named(model, name)
            raise Conflict(f"{name} is the name of {model} {number}", hint="choose another alias")
    snapshot.check_not_reserved(model, alias)
    for other in snapshot.recorded_aliases(model):
        if other != alias and fold(other) == fold(alias):
            raise Conflict(
                f"{model} has the alias {other}, which differs only in upper and lower case", hint=f"use {other}"
            )


def _trailers(
    model: str,
    number: int,
    place: str,
    previous: int | None,
    version: VersionRecord,
    forced: tuple[str, ...],
    *,
    key: str = "Stage",
) -> tuple[tuple[str, str], ...]:
    return (
        ("Model", model),
        ("Version", str(number)),
        (key, place),
        ("Previous-Version", str(previous) if previous is not None else ""),
        ("Run", version.runs[-1] if version.runs else ""),
        ("Code-Commit", (version.code.commit if version.code else None) or ""),
        ("Forced", ", ".join(sorted(forced))),
    )


def _same_links(old: StageRecord | None, new: StageRecord) -> bool:
    if old is not None and old.version == new.version and old.artifacts != new.artifacts:
        raise Invalid(
            f"the artifacts of version {new.version} are not those that were promoted",
            hint="demote the stage first, find out who changed the links, then promote again",
        )
    return old is not None


def is_present(snapshot: Snapshot, model: str, number: int) -> bool:
    """Return True if *model* has the version *number* and it was not deleted."""
    try:
        return snapshot.version(model, number).deleted is None
    except NotFound:
        return False
