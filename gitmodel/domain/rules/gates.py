"""Judging if a version passes the rules of a stage, such as its gates, with the reasons. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from datetime import date
from functools import partial
from typing import Any, Protocol

from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.refused_stage_changes import refuse_direct
from gitmodel.domain.changes.stages import Promotion, RecordedPlaces, plan_promotion, recorded_places
from gitmodel.domain.schema.names import ARCHIVED, NONE
from gitmodel.domain.schema.records import DESCRIPTIVE, ModelRecord, StageRecord, VersionRecord
from gitmodel.domain.schema.refs import StageRef
from gitmodel.domain.schema.registry_rules.registry_file import AFTER, check_rules, unreadable_gate
from gitmodel.domain.schema.registry_rules.registry_record import GateRule, StageRule
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.filter_names import RECORDED, VALUE, Names
from gitmodel.domain.views.record_views import VERSION_NAMES, VersionView
from gitmodel.errors import FailedGate, GateRefused, GitModelError, UsageError
from gitmodel.frozen import Frozen


class Answer(Protocol):
    """The result of evaluating an expression on a record; `expressions.Verdict` implements it."""

    @property
    def passed(self) -> bool:
        """True if the expression holds."""

    @property
    def reason(self) -> str:
        """The reason why the expression fails."""

    @property
    def unreadable(self) -> bool:
        """True if the expression cannot be parsed. Then no version enters the stage, even by force."""

    @property
    def values(self) -> Mapping[str, object]:
        """The values that the expression reads, by name (None: not set)."""


# The names of fields that a gate may read. Fields that depend on the clone or on tags are excluded, so that a gate has
# the same result in each clone.
_SEEN = {name: value for name, value in VERSION_NAMES.items() if name not in ("model", "pending", "local")}
_SAID: dict[str, Names] = {
    **dict.fromkeys(("name", *DESCRIPTIVE), VALUE),
    "tags": [VALUE],
    "owners": [VALUE],
    "metadata": RECORDED,
}
GATE_NAMES: dict[str, Names] = {**_SEEN, "holder": _SEEN, "model": _SAID}

Judge = Callable[[str, Mapping[str, object]], Answer]


class Outcome(Frozen):
    """The result of one rule for a version.

    *finding* is the reason if the version fails the rule. *message* is the text that the gate has for this case.
    *forced* is True if the user overrode the rule. *values* are the values that the gate's *expression* reads, by name
    (None: not set). *waits* is True if the branch has a looser rule that is not in force yet.
    """

    gate: str
    passed: bool
    finding: str = ""
    message: str = ""
    forced: bool = False
    expression: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    waits: bool = False

    @property
    def stops(self) -> bool:
        """True if the rule prevents the version from entering the stage."""
        return not self.passed and not self.forced

    @property
    def found(self) -> tuple[str, ...]:
        """The values that the expression reads, each as "metadata.accuracy is 0.85"."""
        return tuple(f"{name} is {_said(value)}" for name, value in self.values.items())

    @property
    def explained(self) -> str:
        """The text of `found`, and of `finding` if it says more than the values do."""
        says_more = self.finding not in self.found and not self.finding.endswith(_NOT_SET)
        parts = (", ".join(self.found), self.finding if says_more else "", _RULE_IN_FORCE if self.waits else "")
        return "; ".join(filter(None, parts))

    def __str__(self) -> str:
        if self.passed:
            return self.gate
        details = "; ".join(filter(None, (self.expression, self.explained)))
        return f"{self.gate}: {self.message} ({details})" if self.message else f"{self.gate}: {details}"


_NOT_SET = " is not set"
_LONGEST_VALUE = 80
_RULE_IN_FORCE = "this rule is in force; the looser one on the branch counts for promotions after `git model apply`"


def _said(value: object) -> str:
    """Return *value* in at most 80 characters; "not set" for None."""
    if value is None:
        return "not set"
    said = value.isoformat() if isinstance(value, date) else repr(value)
    return said if len(said) <= _LONGEST_VALUE else f"{said[: _LONGEST_VALUE - 3]}..."


def judge_entry(
    before: Snapshot,
    after: Snapshot,
    ref: StageRef,
    number: int,
    judge: Judge,
    *,
    forced: tuple[str, ...] = (),
) -> tuple[Outcome, ...]:
    """Judge each rule of the stage *ref* for the entry of version *number*, and return the outcomes.

    *after* is the commit that changes the stage, *before* its first parent. The records of the version and its model
    are those in *after*; the rules, the version that is in the stage and the version's previous stage are those in
    *before*. *judge* evaluates the expression of a gate. *forced* are the names of the rules that the user overrides.
    Raises NotFound if the version does not exist, Invalid for a damaged record, GateRefused if the rules cannot be
    judged.
    """
    for registry in before.registries:
        check_rules(registry, ref.stage)
    own, *others = before.rules(ref.stage)
    outcomes = [*_judge_rule(own, before, after, ref, number, judge, forced)]
    for rule in others:
        asked = replace(
            rule,
            after=() if rule.after == own.after else rule.after,
            gates=tuple(gate for gate in rule.gates if gate not in own.gates),
        )
        found = _judge_rule(asked, before, after, ref, number, judge, forced)
        new = (replace(outcome, waits=True) for outcome in found if not outcome.passed)
        outcomes += [outcome for outcome in new if outcome not in outcomes]
    return tuple(outcomes)


def judge_recorded(
    before: Snapshot, after: Snapshot, ref: StageRef, record: StageRecord, judge: Judge
) -> tuple[Outcome, ...]:
    """Judge the entry into the stage *ref* that the stage's *record* describes, with `judge_entry`.

    The gates that *record* lists as overridden count as overridden only if *record* has a reason.
    """
    forced = record.forced if record.reason.strip() else ()
    return judge_entry(before, after, ref, record.version, judge, forced=forced)


def _judge_rule(
    rule: StageRule,
    before: Snapshot,
    after: Snapshot,
    ref: StageRef,
    number: int,
    judge: Judge,
    forced: tuple[str, ...],
) -> Iterator[Outcome]:
    """Yield the outcomes of *rule* for the entry of version *number* into the stage *ref*; see `judge_entry`."""
    if rule.after:
        place = _place(before, ref.model, number)
        fits = place in rule.after or place == ref.stage
        wanted = " or ".join(rule.after)
        is_where = {ARCHIVED: ARCHIVED, NONE: "in no stage"}.get(place, f"in {place}")
        finding = "" if fits else f"version {number} is {is_where}, but may enter {ref.stage} only from {wanted}"
        yield Outcome(AFTER, fits, finding, forced=AFTER in forced)
    if rule.gates:
        record = candidate_fields(before, after, ref, number)
        for gate in rule.gates:
            answer = judge(gate.expression, record)
            if answer.unreadable:
                raise unreadable_gate(before.registry(), ref.stage, gate, answer.reason)
            yield _outcome(gate, answer, forced)


def judge_again(
    rule: StageRule, version: VersionView, replaced: VersionView | None, model: ModelRecord, judge: Judge
) -> tuple[Outcome, ...]:
    """Judge the gates of *rule* for a *version* that is in the stage, as if it entered now.

    *replaced* is the version that was in the stage before, which expressions call `holder`. Leaves out gates that read
    `stage`, because the version entered from another stage, and, if *replaced* is None, gates that read `holder`.
    """
    holder = {} if replaced is None else _seen(replaced)
    record = {**_seen(version), "holder": holder, "model": _model_fields(version.model, model)}
    unknown = {"stage"} if replaced is not None else {"stage", "holder"}
    judged = ((gate, judge(gate.expression, record)) for gate in rule.gates)
    return tuple(
        _outcome(gate, answer, ())
        for gate, answer in judged
        if unknown.isdisjoint(name.partition(".")[0] for name in answer.values)
    )


def _outcome(gate: GateRule, answer: Answer, forced: tuple[str, ...]) -> Outcome:
    finding = "" if answer.passed else answer.reason
    return Outcome(gate.name, answer.passed, finding, gate.message, gate.name in forced, gate.expression, answer.values)


def candidate_fields(before: Snapshot, after: Snapshot, ref: StageRef, number: int) -> dict[str, object]:
    """Return the fields that the expressions of gates of *ref* can read about version *number*.

    These are fields of the version, of the `holder` of the stage in *before*, and of the `model`. Reads only records
    and no tags, so that a gate has the same result in each clone. If the stage is empty, `holder` is an empty table.
    """
    fields = _fields(before, after.version(ref.model, number), ref.model)
    held = recorded_places(before, ref.model).get(ref.stage)
    try:
        holder = {} if held is None else _fields(before, before.version(ref.model, held), ref.model)
    except GitModelError:
        holder = {}
    return {**fields, "holder": holder, "model": _model_fields(ref.model, after.model(ref.model))}


def _model_fields(name: str, model: ModelRecord) -> dict[str, object]:
    said = {field: getattr(model, field) for field in DESCRIPTIVE}
    return {"name": name, **{field: value for field, value in said.items() if value not in ("", (), {})}}


def plan_gated_promotion(
    snapshot: Snapshot,
    model: str,
    number: int,
    judge: Judge,
    *,
    to: str,
    why: Justification = Justification(),
    leave: bool = False,
    again: bool = False,
    verb: str = "Promote",
) -> Change[Promotion]:
    """Put version *number* into the stage *to*, if it passes the rules of the stage or *why* overrides them.

    *leave* allows a later stage to become empty. If the branch already records the version for the stage, but a rule
    can have kept it from coming into force, records the version again, so that the current rules judge the new record.
    A proposal does not know the version in force: it records the version again only if *again* is True. Raises
    GateRefused, which names every failed gate; UsageError for force without a reason; and the errors of
    `plan_promotion`.
    """
    before = snapshot.committed or snapshot
    for registry in before.registries if to not in (ARCHIVED, NONE) else ():
        check_rules(registry, to)
    plan = partial(plan_promotion, snapshot, model, number, to=to, reason=why.reason, leave=leave, verb=verb)
    planned = plan()
    refuse_direct(before, planned)
    if to in (ARCHIVED, NONE) or not (planned.files or planned.apply):
        return planned
    # A current or earlier rule can keep the recorded version from coming into force.
    can_refuse = bool(before.other_rules()) or not all(rule.is_open for rule in before.rules(to))
    if planned.apply and not (again if snapshot.proposed else can_refuse):
        return planned
    outcomes = judge_entry(before, snapshot, StageRef(model, to), number, judge)
    failed = tuple(outcome.gate for outcome in outcomes if outcome.stops)
    if failed and not why.force:
        reviewed = any(rule.proposal_only for rule in before.rules(to))
        raise refusal(f"{model}@{number}", to, outcomes, recorded=bool(planned.apply), reviewed=reviewed)
    if failed and not why.reason.strip():
        raise UsageError(
            f"{model}@{number} fails {', '.join(failed)}; force needs a reason",
            hint='add --reason "why"; it is recorded',
        )
    if not failed and not planned.apply:
        return planned
    return plan(forced=failed, again=bool(planned.apply))


def refusal(
    version: str, stage: str, outcomes: tuple[Outcome, ...], *, recorded: bool = False, reviewed: bool = False
) -> GateRefused:
    """Return the error for *version* (such as `iris@4`), with every gate that it fails and the reason.

    *recorded* is True if the branch records the version for the stage, but the version is not in force; *reviewed* is
    True if only a proposal can change the stage.
    """
    failed = [outcome for outcome in outcomes if outcome.stops]
    said = "; ".join(map(str, failed))
    what = f"is already recorded in {stage}, but not in force" if recorded else f"cannot enter {stage}"
    return GateRefused(
        f"{version} {what}: {said}",
        hint=f"fix the problem, or override it with `git model {'propose' if reviewed else 'promote'} {version} "
        f'{stage} --force --reason "why"`, which is recorded',
        gates=tuple(FailedGate(one.gate, one.expression, one.message, one.values, one.finding) for one in failed),
    )


def admit(change: Change[Promotion]) -> Change[Promotion]:
    """Return *change* with the permission to change its stage without a proposal, although it is `proposal_only`."""
    return replace(change, admitted=change.admitted | {StageRef(change.result.model, change.result.stage)})


def _fields(before: Snapshot, record: VersionRecord, model: str) -> dict[str, Any]:
    place = _place(before, model, record.number)
    held = RecordedPlaces.read(before, model).aliases
    aliases = tuple(alias for alias, number in held.items() if number == record.number)
    return _seen(VersionView(model, record, None if place == NONE else place, aliases, ()))


def _seen(version: VersionView) -> dict[str, Any]:
    """Return the fields of *version* that a gate may read and that have a value."""
    return {name: value for name, value in version.filtered_fields(_SEEN).items() if value is not None}


def _place(snapshot: Snapshot, model: str, number: int) -> str:
    for stage, holder in recorded_places(snapshot, model).items():
        if holder == number:
            return stage
    return ARCHIVED if snapshot.is_archived(model, number) else NONE
