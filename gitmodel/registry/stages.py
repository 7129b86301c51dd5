"""The verbs of stages and aliases: promote, demote, roll back, alias, apply."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from gitmodel.branch.changed_paths import changed_paths
from gitmodel.branch.repository import Repository
from gitmodel.branch.stage_tags import TagAim
from gitmodel.domain import gates
from gitmodel.domain.changes import stages as planning
from gitmodel.domain.changes.changed_files import Overlay
from gitmodel.domain.changes.stages import Promotion, StageState
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.records import StageRecord, links_digest
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.snapshot import TOO_SHALLOW, Change, Snapshot, check_stage
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused
from gitmodel.git.commits import has_merge
from gitmodel.registry import in_force
from gitmodel.registry.in_force import StageChange
from gitmodel.registry.writer import Writer, change_model, change_version


@dataclass(frozen=True)
class InForce:
    """A stage tag that moved: *version* is in force now, after *previous* (None: nobody).

    *pushed* says that it moved on the remote.
    """

    ref: StageRef
    version: int | None
    previous: int | None
    pushed: bool = False


@dataclass(frozen=True)
class Applied:
    """The result of `apply`: *changes* are the tags that it moved, *refused* ones come with the reason.

    *rules* is the tag that put other rules in force, "" if they are unchanged. *unguarded* is True if this clone had
    never seen which rules are in force, so that each change was judged by the rules of its first parent alone.
    """

    changes: tuple[InForce, ...] = ()
    refused: tuple[tuple[StageRef, str], ...] = ()
    rules: str = ""
    unguarded: bool = False

    @property
    def moved(self) -> tuple[StageRef, ...]:
        """The stages and aliases whose tags moved."""
        return tuple(change.ref for change in self.changes)


@dataclass(frozen=True)
class Merged:
    """A merge by plain git, whose first parent was the local side, and the stage tags at commits that it merged."""

    commit: str
    tags: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(self.tags[:3]) + (f" and {len(self.tags) - 3} more" if len(self.tags) > 3 else "")
        return (
            f"the merge {self.commit[:10]} was made by plain git, and the first parents of the branch no longer lead "
            f"to where {named} {'points' if len(self.tags) == 1 else 'point'}"
        )


def merged_tags(repository: Repository) -> list[Merged]:
    """The merges of the branch that stage tags came in with; `apply` sets these tags again."""

    def question(snapshot: Snapshot) -> list[Merged]:
        found: dict[str, list[str]] = {}
        for model in sorted(snapshot.tags.models()):
            for _, tag in sorted(snapshot.tags.of(model).items()):
                if tag.merged_by:
                    found.setdefault(tag.merged_by, []).append(tag.ref.name)
        return [Merged(commit, tuple(names)) for commit, names in found.items()]

    # without a merge on its chain of first parents a branch is not asked for its tags
    tip = repository.tip()
    return repository.read(question) if tip and has_merge(repository.git, tip) else []


def promote(
    writer: Writer, ref: VersionRef, stage: str, *, reason: str = "", force: bool = False, leave: bool = False
) -> Promotion:
    """Put the version *ref* names into *stage* ("archived" and "none" too), archiving who held it.

    *force* passes rules of the stage that the version fails, needs a *reason* then, and is recorded. *leave* lets a
    version move to an earlier stage, although its later stage becomes empty. Raises NotFound if there is no such
    version, UsageError for an unknown stage, GateRefused for a version that fails a rule, Refused for one of a failed
    run or one that would empty a later stage.
    """

    def plan(snapshot: Snapshot, model: str, number: int) -> Change[Promotion]:
        return gates.plan_gated_promotion(
            snapshot, model, number, in_force.judge, to=stage, reason=reason, force=force, leave=leave
        )

    return change_version(writer, ref, plan)


def demote(writer: Writer, model: str | ModelRef, stage: str, *, reason: str = "") -> Promotion:
    """Leave *stage* of *model* without a version. Raises NotFound if it has none."""

    def plan(snapshot: Snapshot, name: str) -> Change[Promotion]:
        return planning.plan_demotion(snapshot, snapshot.current_name(name), stage, reason=reason)

    return change_model(writer, model, plan)


def rollback(
    writer: Writer,
    repository: Repository,
    model: str | ModelRef,
    stage: str,
    *,
    reason: str = "",
    force: bool = False,
    leave: bool = False,
) -> Promotion:
    """Put the previous holder of *stage* back; a second time returns to where it began.

    It is a promotion, judged by the rules of the stage, unless these let who was there before return.
    Versions that were deleted and left the stage empty are passed over. Raises NotFound if there was no holder before,
    or if another version replaced it and it was deleted since; GateRefused; Refused if it is from a failed run or,
    unless *leave*, if it would have to leave a later stage empty.
    """

    def plan(snapshot: Snapshot, name: str) -> Change[Promotion]:
        return plan_rollback(repository, snapshot, name, stage, reason=reason, force=force, leave=leave)

    return change_model(writer, model, plan)


def plan_rollback(
    repository: Repository,
    snapshot: Snapshot,
    model: str,
    stage: str,
    *,
    reason: str = "",
    force: bool = False,
    leave: bool = False,
) -> Change[Promotion]:
    """Plan to put the previous holder of *stage* back. Raises as `rollback` does.

    If the last change of the stage does not count, the plan undoes that change instead.
    """
    name = snapshot.current_name(model)
    undone = _plan_undoing(repository, snapshot, name, stage, reason)
    if undone is not None:
        return undone
    old = _previous_holder(repository, snapshot, name, stage)
    record = StageRecord(version=old, artifacts=links_digest(planning.promotable(snapshot, name, old).artifacts))
    verb = "Roll back"
    if in_force.may_return(repository, snapshot.committed or snapshot, StageRef(name, stage), record):
        change = planning.plan_promotion(snapshot, name, old, to=stage, reason=reason, leave=leave, verb=verb)
        return gates.admit(change)
    return gates.plan_gated_promotion(
        snapshot, name, old, in_force.judge, to=stage, reason=reason, force=force, leave=leave, verb=verb
    )


def _plan_undoing(
    repository: Repository, snapshot: Snapshot, name: str, stage: str, reason: str
) -> Change[Promotion] | None:
    """Return what takes back the recorded changes of a stage that do not count, such as direct ones; None without any.

    Of what these commits did to the places of the model, that goes back which nobody changed since.
    """
    ref, base = StageRef(name, stage), snapshot.committed or snapshot
    if not base.commit or not in_force.is_guarded(snapshot):
        return None
    _, later = in_force.newest_counting(repository, base.commit, ref)
    later = [change for change in later if change.ref == ref]
    parents = repository.tags.commit(later[-1].commit).parents if later else ()
    if not parents:
        return None
    before, files = repository.files(parents[0]), {}
    for change in reversed(later):
        after = repository.files(change.commit)
        for path in changed_paths(repository, repository.tags.commit(change.commit).parents[0], change.commit):
            what = paths.parse_path(path)
            if what is not None and what.model == name and what.kind in ("stage", "archived"):
                same = snapshot.files.read(path) == after.read(path)
                files[path] = before.read(path) if same else snapshot.files.read(path)
    own = paths.stage_file(name, stage)
    files[own] = before.read(own)
    restored = replace(snapshot, files=Overlay(snapshot.files, files))
    for path in planning.leftovers(restored, name):
        if path != own:
            files.pop(path, None)
    record, held = restored.recorded(name, stage), snapshot.recorded(name, stage)
    if record is not None:
        planning.promotable(snapshot, name, record.version)
    places = (what for what in map(paths.parse_path, files) if what is not None and what.kind == "stage")
    number = record.version if record else None
    trailers = (("Model", name), ("Version", str(number or "")), ("Stage", stage), ("Previous-Version", _number(held)))
    return Change(
        Promotion(name, number, stage, held.version if held else None),
        subject=f"Take back what {later[0].commit[:10]} did to {name} {stage}",
        reason=reason,
        files=files,
        trailers=trailers,
        admitted=frozenset(StageRef(name, what.key) for what in places),
        may_empty=frozenset(StageRef(name, other) for other in snapshot.registry().stage_names),
    )


def _number(record: StageRecord | None) -> str:
    return str(record.version) if record else ""


def _previous_holder(repository: Repository, snapshot: Snapshot, name: str, stage: str) -> int:
    """Return the newest version that was in *stage* before the current holder, or before the stage became empty.

    A deleted version is passed over if it left the stage empty or the stage is empty now. Otherwise another version
    replaced it and a version is in the stage: then the deleted one is returned, to be refused by name.
    """
    from gitmodel.branch.stage_history import stage_events  # imported here: only `rollback` needs it

    snapshot.model(name)
    check_stage(stage, snapshot.registry())
    held = planning.recorded_places(snapshot, name).get(stage)
    passed: list[int] = [] if held is None else [held]
    newer: int | None = held  # what the stage held after the event that is looked at
    for known_as in chain((name,), snapshot.former_names(name)):
        for event in stage_events(repository, snapshot.commit, StageRef(known_as, stage)):
            if event.version is not None and event.version not in passed:
                if in_force.change_fault(repository, event.commit, StageRef(event.model, stage)):
                    continue
                if None not in (held, newer) or planning.is_present(snapshot, name, event.version):
                    return event.version
                passed.append(event.version)
            newer = event.version
    deleted = ", ".join(str(number) for number in passed if number != held)
    that = f" that still exists (deleted: {deleted})" if deleted else ""
    verb = "was" if deleted else "was ever"
    raise NotFound(
        f"no other version of {name}{that} {verb} in {stage}", hint=f"run `git model history {name} {stage}`"
    )


def set_alias(writer: Writer, ref: VersionRef, alias: str, *, reason: str = "") -> Promotion:
    """Make *alias* name the version of *ref*. Raises NotFound, UsageError or Conflict for a name that cannot be one."""

    def plan(snapshot: Snapshot, model: str, number: int) -> Change[Promotion]:
        return planning.plan_alias(snapshot, model, number, alias, reason=reason)

    return change_version(writer, ref, plan)


def remove_alias(writer: Writer, model: str | ModelRef, alias: str, *, reason: str = "") -> Promotion:
    """Take *alias* from *model*. Raises NotFound if it has none of this name."""

    def plan(snapshot: Snapshot, name: str) -> Change[Promotion]:
        name = snapshot.current_name(name)
        snapshot.model(name)
        return planning.plan_alias_removal(snapshot, name, alias, reason=reason)

    return change_model(writer, model, plan)


def list_stages(writer: Writer, model: str | ModelRef) -> list[StageState]:
    """Every stage and alias of *model*: recorded, in force, pending."""

    def question(snapshot: Snapshot) -> list[StageState]:
        name = snapshot.model_to_read(model)
        snapshot.model(name)
        return planning.stage_states(snapshot, name)

    return writer.read(question)


def apply(
    repository: Repository,
    models: tuple[str, ...] = (),
    *,
    reviewed: Collection[str] = (),
    doubt: Callable[[Snapshot, StageRef], str] | None = None,
    rewound: bool = False,
) -> Applied:
    """Put in force what the branch records: every pending stage tag that may move does, all in one transaction.

    Each is judged at the commit that changed the stage, by the rules before it and those that were in force then.
    *reviewed* are commits of which the caller knows that they came through review, though history does not show it;
    *doubt* says why one may not be put in force all the same. Of all models, the rules of the branch come into force
    too, for what is recorded after. Raises NotFound if there is no registry or one of *models* is not there, Refused
    with nothing moved if it is not known which rules are in force, and if the branch does not descend from what a tag
    was applied from, unless *rewound* says that it may.
    """
    fetch = repository.tips.lacks_tags()
    if fetch:
        raise NotFound("this clone has no stage tags, and they say what is in force", hint=f"fetch them with `{fetch}`")
    if not rewound:  # `doctor`, which says so itself
        repository.existing_tip()
    refused: list[tuple[StageRef, str]] = []
    entering: dict[StageRef, int | None] = {}
    states_of: dict[StageRef, StageState] = {}

    former: set[StageRef] = set()

    def choose(snapshot: Snapshot) -> list[TagAim]:
        refused.clear()
        tagged = snapshot.tags.models()
        names = tuple(map(snapshot.model_to_read, models))
        for name in names:
            if name not in tagged:
                snapshot.model(name)
        names = tuple(chain.from_iterable((name, *snapshot.former_names(name)) for name in names))
        names = names or tuple(sorted({*snapshot.model_names(), *tagged}))
        current = partial(snapshot.current_name, tolerant=True)
        # The tag of a former name goes only where the model's own tag is set.
        names = tuple(sorted(names, key=lambda name: (current(name) != name, name)))
        ready = []
        for name in names:
            try:
                states = planning.stage_states(snapshot, name)
            except Invalid as error:
                if models:
                    raise
                refused.append((StageRef(name, ""), error.message))
                continue
            for tag in planning.stray_tags(snapshot, name) if rewound else ():
                states_of[tag.ref] = StageState(tag.ref.stage, None, None, tag.forged, alias=True)
                ready.append(TagAim(tag.ref))
            for state in states:
                if not state.pending and not state.forged and not state.merged_by and not state.former:
                    continue
                ref = StageRef(name, state.name)
                if _stands_in(snapshot, ref, ready):
                    continue
                states_of[ref] = state
                entering[ref] = state.recorded
                if current(name) != name:
                    former.add(ref)
                if not rewound:
                    _check_descent(repository, snapshot, ref)
                why = _why_not(snapshot, ref, state)
                if not why and state.alias:
                    why = in_force.alias_fault(repository, snapshot, ref)
                if not why and not state.alias:
                    why = doubt(snapshot, ref) if doubt else ""
                    why = why or in_force.why_not(repository, snapshot, ref, reviewed)
                if not why:
                    vouched = in_force.vouched_for(repository, snapshot, ref, reviewed) if not state.alias else ""
                    ready.append(TagAim(ref, vouched=vouched))
                    continue
                refused.append((ref, why))
                counting = None if doubt or state.alias else _counting(repository, snapshot, ref, state, reviewed)
                if counting is not None:
                    entering[ref] = counting.record.version if counting.record else None
                    ready.append(TagAim(ref, counting.commit if counting.record else ""))
        return ready

    before = "" if rewound else _rules_seen(repository)
    from gitmodel.registry.put_in_force import put_in_force  # imported here because only `apply` needs it

    moved, unsigned = put_in_force(repository, choose, rules=not models)
    changes = tuple(InForce(ref, entering.get(ref), states_of[ref].in_force) for ref in moved if ref not in former)
    rules = repository.rules.id()
    guarded = not before and not repository.head().registry().is_open
    return Applied(changes, (*refused, *unsigned), rules if before not in ("", rules) else "", guarded)


def _rules_seen(repository: Repository) -> str:
    """The tag of the rules in force, "" if this clone never saw one. Raises Refused if it is not what it was."""
    repository.rules.check()
    return repository.rules.id()


def _stands_in(snapshot: Snapshot, ref: StageRef, ready: Collection[TagAim]) -> bool:
    """Return True if the tag *ref* is of a former name, and the model's own tag is not set and will not be."""
    own = StageRef(snapshot.current_name(ref.model, tolerant=True), ref.stage)
    if own == ref or snapshot.tags.get(own) is not None or any(aim.ref == own for aim in ready):
        return False
    return (
        snapshot.recorded(own.model, own.stage) is not None or snapshot.recorded_alias(own.model, own.stage) is not None
    )


def _counting(
    repository: Repository, snapshot: Snapshot, ref: StageRef, state: StageState, reviewed: Collection[str]
) -> StageChange | None:
    """Return the change of a stage that its tag must be set to where the newest change does not count, or None.

    It is the newest one that counts, if the tag does not count either, or is older than it; where none counts, a tag
    that does not count goes.
    """
    try:
        found, later = in_force.newest_counting(repository, snapshot.commit, ref, reviewed)
    except GitModelError:
        return None
    if not later:
        return None  # the newest one counts by its rules, and something else is against it
    tag = snapshot.tags.get(ref)
    if found is None or found.ref != ref:
        return StageChange(ref, "", None) if state.forged and state.forged != TOO_SHALLOW else None
    if tag is not None and not tag.forged and tag.record == found.record:
        return None
    if found.record is not None and _unusable(snapshot, ref, found.record):
        return None
    return found if tag is not None or found.record is not None else None


def _unusable(snapshot: Snapshot, ref: StageRef, record: StageRecord) -> str:
    """Return why the version of *record* must not be in force, or ""."""
    try:
        version = planning.promotable(snapshot, ref.model, record.version)
    except GitModelError as error:
        return error.message
    if record.artifacts != links_digest(version.artifacts):
        return f"the artifacts of {ref.model} {record.version} are not those that were promoted"
    return ""


def _check_descent(repository: Repository, snapshot: Snapshot, ref: StageRef) -> None:
    """Refuse a branch that lacks the commit that a stage's tag was applied from. A tag that none set is forged."""
    tag = snapshot.tags.get(ref)
    if tag is None or tag.record is None or tag.merged_by:
        return
    if not repository.tags.is_on_chain(snapshot.commit, tag.target):
        raise Refused(
            f"the metadata branch does not descend from {tag.target[:10]}, from which {ref.name} was applied",
            hint="somebody rewound the branch, or set the tag by hand: find out which; "
            "`git model doctor --fix` sets every tag to what the branch says now",
        )


def _why_not(snapshot: Snapshot, ref: StageRef, state: StageState) -> str:
    """Return the reason why the tag of a pending stage must not be set, or ""."""
    if state.recorded is None:
        leftover = snapshot.recorded(ref.model, ref.stage)
        return f"{ref.model} {leftover.version} is in another stage too" if leftover and state.in_force is None else ""
    record = snapshot.recorded_alias(ref.model, ref.stage) if state.alias else snapshot.recorded(ref.model, ref.stage)
    return _unusable(snapshot, ref, record) if record is not None else ""
