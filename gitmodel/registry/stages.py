"""The verbs of stages and aliases: promote, demote, roll back, alias, apply."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import chain

from gitmodel.domain import gates
from gitmodel.domain import stages as planning
from gitmodel.domain.names import check_name
from gitmodel.domain.records import StageRecord, links_digest
from gitmodel.domain.references import VersionRef
from gitmodel.domain.refs import StageRef
from gitmodel.domain.snapshot import Change, Snapshot, check_stage
from gitmodel.domain.stages import Promotion, StageState
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused
from gitmodel.registry import admission
from gitmodel.registry.writer import Writer
from gitmodel.storage.repository import Repository


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
    """What `apply` did: *changes* are the tags that follow the branch now, *refused* ones come with the reason."""

    changes: tuple[InForce, ...] = ()
    refused: tuple[tuple[StageRef, str], ...] = ()

    @property
    def moved(self) -> tuple[StageRef, ...]:
        """The stages and aliases whose tags moved."""
        return tuple(change.ref for change in self.changes)


def promote(
    writer: Writer, ref: VersionRef, stage: str, *, reason: str = "", force: bool = False, leave: bool = False
) -> Promotion:
    """Put the version *ref* names into *stage* ("archived" and "none" too), archiving who held it.

    *force* passes rules of the stage that the version fails, needs a *reason* then, and is recorded. *leave* lets a
    version move to an earlier stage, although its later stage becomes empty. Raises NotFound if there is no such
    version, UsageError for an unknown stage, GateRefused for a version that fails a rule, Refused for one of a failed
    run or one that would empty a later stage.
    """

    def plan(snapshot: Snapshot) -> Change[Promotion]:
        model, number = snapshot.resolve(ref)
        return gates.plan_gated_promotion(
            snapshot, model, number, admission.judge, to=stage, reason=reason, force=force, leave=leave
        )

    return writer.transact(plan)


def demote(writer: Writer, model: str, stage: str, *, reason: str = "") -> Promotion:
    """Leave *stage* of *model* without a version. Raises NotFound if it has none."""
    check_name(model, "model")

    def plan(snapshot: Snapshot) -> Change[Promotion]:
        return planning.plan_demotion(snapshot, snapshot.current_name(model), stage, reason=reason)

    return writer.transact(plan)


def rollback(
    writer: Writer,
    repository: Repository,
    model: str,
    stage: str,
    *,
    reason: str = "",
    force: bool = False,
    leave: bool = False,
) -> Promotion:
    """Put the previous holder of *stage* back; a second time returns to where it began.

    It is a promotion, judged by the rules of the stage, unless these let who was there before return.
    Raises NotFound if there was none before, or if it was deleted; GateRefused; Refused if it is from a failed run or,
    unless *leave*, if it would have to leave a later stage empty.
    """
    check_name(model, "model")

    def plan(snapshot: Snapshot) -> Change[Promotion]:
        return plan_rollback(repository, snapshot, model, stage, reason=reason, force=force, leave=leave)

    return writer.transact(plan)


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
    """What putting the previous holder of *stage* back writes. Raises as `rollback` does."""
    name = snapshot.current_name(model)
    old = _previous_holder(repository, snapshot, name, stage)
    record = StageRecord(old, links_digest(planning.promotable(snapshot, name, old).artifacts))
    verb = "Roll back"
    if admission.may_return(repository, snapshot.committed or snapshot, StageRef(name, stage), record):
        change = planning.plan_promotion(snapshot, name, old, to=stage, reason=reason, leave=leave, verb=verb)
        return gates.admit(change)
    return gates.plan_gated_promotion(
        snapshot, name, old, admission.judge, to=stage, reason=reason, force=force, leave=leave, verb=verb
    )


def _previous_holder(repository: Repository, snapshot: Snapshot, name: str, stage: str) -> int:
    from gitmodel.storage.log import stage_events  # who goes back to nobody does not pay for it

    snapshot.model(name)
    check_stage(stage, snapshot.registry())
    held = planning.recorded_places(snapshot, name).get(stage)
    for known_as in chain((name,), snapshot.former_names(name)):
        for event in stage_events(repository, snapshot.commit, StageRef(known_as, stage)):
            if event.version is not None and event.version != held:
                return event.version
    raise NotFound(f"no other version of {name} was ever in {stage}", hint=f"run `git model history {name} {stage}`")


def set_alias(writer: Writer, ref: VersionRef, alias: str, *, reason: str = "") -> Promotion:
    """Make *alias* name the version of *ref*. Raises NotFound, UsageError or Conflict for a name that cannot be one."""

    def plan(snapshot: Snapshot) -> Change[Promotion]:
        model, number = snapshot.resolve(ref)
        return planning.plan_alias(snapshot, model, number, alias, reason=reason)

    return writer.transact(plan)


def remove_alias(writer: Writer, model: str, alias: str, *, reason: str = "") -> Promotion:
    """Take *alias* from *model*. Raises NotFound if it has none of this name."""
    check_name(model, "model")

    def plan(snapshot: Snapshot) -> Change[Promotion]:
        name = snapshot.current_name(model)
        snapshot.model(name)
        return planning.plan_alias_removal(snapshot, name, alias, reason=reason)

    return writer.transact(plan)


def list_stages(writer: Writer, model: str) -> list[StageState]:
    """Every stage and alias of *model*: recorded, in force, pending."""
    check_name(model, "model")

    def question(snapshot: Snapshot) -> list[StageState]:
        name = snapshot.current_name(model)
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

    Each is judged at the commit that changed the stage, by the rules before it. *reviewed* are commits of which the
    caller knows that they came through review, though history does not show it; *doubt* says why one may not be put in
    force all the same. Raises NotFound if one of *models* is not there, Refused with nothing moved if the branch does
    not descend from what a tag was applied from, unless *rewound* says that it may.
    """
    refused: list[tuple[StageRef, str]] = []
    states_of: dict[StageRef, StageState] = {}

    def choose(snapshot: Snapshot) -> list[StageRef]:
        refused.clear()
        tagged = snapshot.tags.models()
        names = tuple(snapshot.current_name(check_name(name, "model")) for name in models)
        for name in names:
            if name not in tagged:
                snapshot.model(name)
        names = names or tuple(sorted({*snapshot.model_names(), *tagged}))
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
                ready.append(tag.ref)
            for state in states:
                if not state.pending and not state.forged:
                    continue
                ref = StageRef(name, state.name)
                states_of[ref] = state
                if not rewound:
                    _check_descent(repository, snapshot, ref)
                why = _why_not(snapshot, ref, state)
                if not why and not state.alias:
                    why = doubt(snapshot, ref) if doubt else ""
                    why = why or admission.why_not(repository, snapshot, ref, reviewed)
                if why:
                    refused.append((ref, why))
                else:
                    ready.append(ref)
        return ready

    moved, unsigned = repository.put_in_force(choose)
    changes = (InForce(ref, states_of[ref].recorded, states_of[ref].in_force) for ref in moved)
    return Applied(tuple(changes), (*refused, *unsigned))


def _check_descent(repository: Repository, snapshot: Snapshot, ref: StageRef) -> None:
    """Refuse a branch that lacks the commit that a stage's tag was applied from. A tag that none set is forged."""
    tag = snapshot.tags.get(ref)
    if tag is not None and tag.record is not None and not repository.tags.is_on_chain(snapshot.commit, tag.target):
        raise Refused(
            f"the metadata branch does not descend from {tag.target[:10]}, from which {ref.name} was applied",
            hint="somebody rewound the branch, or set the tag by hand: find out which; "
            "`git model doctor --fix` sets every tag to what the branch says now",
        )


def _why_not(snapshot: Snapshot, ref: StageRef, state: StageState) -> str:
    """Why the tag of a pending stage must not be set, or ""."""
    if state.recorded is None:
        leftover = snapshot.recorded(ref.model, ref.stage)
        return f"{ref.model} {leftover.version} is in another stage too" if leftover and state.in_force is None else ""
    try:
        version = planning.promotable(snapshot, ref.model, state.recorded)
    except GitModelError as error:
        return error.message
    record = snapshot.recorded_alias(ref.model, ref.stage) if state.alias else snapshot.recorded(ref.model, ref.stage)
    if record is not None and record.artifacts != links_digest(version.artifacts):
        return f"the artifacts of {ref.model} {state.recorded} are not those that were promoted"
    return ""
