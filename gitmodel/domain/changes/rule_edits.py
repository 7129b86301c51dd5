"""Changes of the rules of stages: adding, updating and removing stages and gates, and describing changes. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from gitmodel.domain.arguments.checking import checked_arguments
from gitmodel.domain.changes.planned_change import Change, registry_file
from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import ARCHIVED, NONE, STAGE_WORDS, check_name, did_you_mean, fold
from gitmodel.domain.schema.registry_rules import signers
from gitmodel.domain.schema.registry_rules.registry_file import AFTER, decode_registry
from gitmodel.domain.schema.registry_rules.registry_record import GateRule, RegistryRecord, StageRule
from gitmodel.domain.snapshots.commit_records import check_stage
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Conflict, NotFound, Refused, UsageError
from gitmodel.frozen import Frozen


class ChangedRules(Frozen):
    """The rules of *stage* after a change (*rule* is None: it was removed), and *changes* in words, a line each."""

    stage: str
    rule: StageRule | None
    changes: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """True if the change changed the rules."""
        return bool(self.changes)


class RulesEdit(ABC):
    """A change of the rules of one stage."""

    stage: str
    _subject: ClassVar[str]

    @property
    def subject(self) -> str:
        """The subject of the commit."""
        return self._subject.format_map(vars(self))

    @abstractmethod
    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        """Return the stages of *registry* after the change.

        Raises UsageError for an invalid name, an unknown stage or an unknown place; NotFound for an unknown gate;
        Conflict if a new name is taken; Refused if a stage to remove must stay.
        """


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a stage to change; None keeps a setting.

    *after* are the stages, or "archived" or "none", from which a version may enter the stage; () allows all of them.
    *proposal_only* and *signed* are keys of `gitmodel.toml`. If *direct_rollback* is True, the key `rollback` becomes
    "direct"; if it is False, the key is removed. The stage moves directly before the stage *before*.
    """

    after: Iterable[str] | None = None
    proposal_only: bool | None = None
    signed: bool | None = None
    direct_rollback: bool | None = None
    before: str | None = None

    def of(self, rule: StageRule) -> StageRule:
        """Return *rule* with these settings."""
        back = {None: rule.rollback, True: "direct", False: ""}[self.direct_rollback]
        return replace(
            rule,
            after=rule.after if self.after is None else tuple(sorted(set(self.after))),
            proposal_only=rule.proposal_only if self.proposal_only is None else self.proposal_only,
            signed=rule.signed if self.signed is None else self.signed,
            rollback=back,
        )

    def place(self, rule: StageRule, others: tuple[StageRule, ...], at: int) -> tuple[StageRule, ...]:
        """Return *others* with *rule* inserted before the stage *before*, or at position *at* if *before* is None."""
        if self.before is not None:
            names = [other.name for other in others]
            if self.before not in names:
                raise UsageError(f"{rule.name} cannot be before itself", hint=f"name another stage: {', '.join(names)}")
            at = names.index(self.before)
        return (*others[:at], rule, *others[at:])

    def check(self, registry: RegistryRecord, stage: str) -> None:
        """Raise UsageError if *before* is no stage of *registry*, or if *after* names a place that does not exist.

        The places are the stages of *registry*, the stage *stage* that gets the settings, "archived" and "none".
        """
        if self.before is not None:
            check_stage(self.before, registry)
        places = (*registry.stage_names, stage, ARCHIVED, NONE)
        for place in self.after or ():
            if place not in places:
                raise UsageError(
                    f"there is no place {place!a} from which a version could enter {stage}",
                    hint=did_you_mean(place, places, f"the places are {', '.join(dict.fromkeys(places))}"),
                )


@checked_arguments
@dataclass(frozen=True)
class AddStage(Settings, RulesEdit):
    """Add a stage, before the stage *before* or as the last stage.

    >>> client.propose(rules=[AddStage("canary", before="production")])                  # doctest: +SKIP
    """

    stage: str
    _subject = "Add the stage {stage}"

    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        name = check_name(self.stage, "stage")
        if fold(name) in STAGE_WORDS or name.isdigit():
            raise UsageError(
                f"{name} cannot be the name of a stage",
                hint="choose another word: numbers are versions, and "
                f"{', '.join(sorted(STAGE_WORDS))} have a meaning of their own",
            )
        self.check(registry, name)
        rule = self.of(StageRule(name=name))
        known = next((other for other in registry.stages if fold(other.name) == fold(name)), None)
        if known is None:
            return self.place(rule, registry.stages, len(registry.stages))
        others = tuple(other for other in registry.stages if other is not known)
        if known == rule and self.place(rule, others, registry.stages.index(known)) == registry.stages:
            return registry.stages
        raise Conflict(
            f"there is a stage {known.name} already",
            hint=f"`git model stage update {known.name}` changes it, `git model stage list` shows its rules",
        )


@checked_arguments
@dataclass(frozen=True)
class UpdateStage(Settings, RulesEdit):
    """Change the given settings of a stage.

    >>> client.propose(rules=[UpdateStage("production", proposal_only=True)])            # doctest: +SKIP
    """

    stage: str
    _subject = "Change the rules of {stage}"

    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        check_stage(self.stage, registry)
        self.check(registry, self.stage)
        at = registry.stage_names.index(self.stage)
        others = (*registry.stages[:at], *registry.stages[at + 1 :])
        return self.place(self.of(registry.stages[at]), others, at)


@checked_arguments
@dataclass(frozen=True)
class RemoveStage(RulesEdit):
    """Remove an empty stage.

    >>> client.propose(rules=[RemoveStage("canary")])                                    # doctest: +SKIP
    """

    stage: str
    _subject = "Remove the stage {stage}"

    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        check_stage(self.stage, registry)
        left = tuple(rule for rule in registry.stages if rule.name != self.stage)
        if not left:
            raise Refused(
                f"{self.stage} is the only stage, and a registry needs one",
                hint="add another one first: git model stage add NAME",
            )
        for rule in left:
            if self.stage in rule.after:
                others = [place for place in rule.after if place != self.stage]
                words = " ".join(f"--after {place}" for place in others) or "--after ''"
                raise Refused(
                    f"a version enters {rule.name} only from {' or '.join(rule.after)}",
                    hint=f"change this first: git model stage update {rule.name} {words}",
                )
        return left


@checked_arguments
@dataclass(frozen=True)
class AddGate(RulesEdit):
    """Add a gate to a stage: an *expression* that a version must satisfy, and the *message* if it does not.

    If *again* is True, the new gate replaces an existing gate of this name.

    >>> client.propose(rules=[AddGate("production", "accuracy", "metadata.accuracy >= 0.9")])      # doctest: +SKIP
    """

    stage: str
    gate: str
    expression: str
    message: str = ""
    again: bool = False
    _subject = "Add the gate {gate} of {stage}"

    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        check_stage(self.stage, registry)
        if fold(check_name(self.gate, "gate")) == AFTER:
            raise UsageError("after is a rule of its own, and cannot be a gate", hint="choose another name")
        gate = GateRule(name=self.gate, expression=self.expression, message=self.message)
        gates = registry.rule(self.stage).gates
        known = next((other for other in gates if fold(other.name) == fold(self.gate)), None)
        if known is None:
            return _with_gates(registry, self.stage, (*gates, gate))
        if known != gate and not self.again:
            raise Conflict(
                f"{self.stage} has a gate {known.name} already: {known.expression}",
                hint="add --replace (in Python: replace=True) to replace it, or choose another name",
            )
        return _with_gates(registry, self.stage, tuple(gate if other is known else other for other in gates))


@checked_arguments
@dataclass(frozen=True)
class RemoveGate(RulesEdit):
    """Remove a gate from a stage.

    >>> client.propose(rules=[RemoveGate("production", "accuracy")])                     # doctest: +SKIP
    """

    stage: str
    gate: str
    _subject = "Remove the gate {gate} of {stage}"

    def edited(self, registry: RegistryRecord) -> tuple[StageRule, ...]:
        check_stage(self.stage, registry)
        gates = registry.rule(self.stage).gates
        left = tuple(gate for gate in gates if gate.name != self.gate)
        if left == gates:
            names = [gate.name for gate in gates]
            said = f"its gates are {', '.join(names)}" if names else f"{self.stage} has no gates"
            raise NotFound(f"{self.stage} has no gate {self.gate!a}", hint=did_you_mean(self.gate, names, said))
        return _with_gates(registry, self.stage, left)


def plan_rules(
    snapshot: Snapshot, edit: RulesEdit, expression_fault: Callable[[str], str], *, reason: str = ""
) -> Change[ChangedRules]:
    """Plan the change *edit* of the rules. *expression_fault* returns the problem of a gate's expression, or "".

    Raises the errors of `RulesEdit.edited`; UsageError for an invalid expression, or for rules that contradict each
    other; Conflict if a version or alias has the name of a new stage; Refused if a stage to remove is in use, if the
    stage changes only by a proposal, or if a stage becomes `signed` and `allowed_signers` has no key.
    """
    registry = snapshot.registry()
    stages = edit.edited(registry)
    record = replace(registry, stages=stages)
    changes = tuple(describe_rule_changes(registry.stages, stages))
    changed = ChangedRules(edit.stage, next((rule for rule in stages if rule.name == edit.stage), None), changes)
    if not changes:
        return Change(changed)
    before = snapshot.committed or snapshot
    if not snapshot.proposed and any(rule.proposal_only for rule in before.rules(edit.stage)):
        raise Refused(
            f"a change of the rules of {edit.stage} needs a reviewed proposal (proposal_only)",
            hint="add --propose (in Python: `client.propose(rules=[...])`)",
        )
    _check_names(snapshot, registry, record)
    for gate in changed.rule.gates if changed.rule is not None else ():
        fault = "" if gate in registry.rule(edit.stage).gates else expression_fault(gate.expression)
        if fault:
            raise UsageError(f"the gate {gate.name} cannot be read: {fault}", hint="see `git model stage gate add -h`")
    if changed.rule is not None and changed.rule.signed and not registry.rule(edit.stage).signed:
        _check_signers(snapshot, edit.stage)
    files = registry_file(snapshot, record, record)
    for data in files.values():
        known = registry.faults
        new = next((fault for fault in decode_registry(data or b"", paths.REGISTRY).faults if fault not in known), None)
        if new is not None:
            raise UsageError(f"these rules contradict each other: {new}", hint="`git model stage list` shows the rules")
    return Change(changed, subject=edit.subject, reason=reason, files=files)


def _with_gates(registry: RegistryRecord, stage: str, gates: tuple[GateRule, ...]) -> tuple[StageRule, ...]:
    return tuple(replace(rule, gates=gates) if rule.name == stage else rule for rule in registry.stages)


def _check_names(snapshot: Snapshot, before: RegistryRecord, after: RegistryRecord) -> None:
    """Raise Refused if the change removes a stage in use, Conflict if a version or alias has a new stage's name."""
    for stage in before.stage_names:
        if stage not in after.stage_names:
            held = next(_holders(snapshot, stage), None)
            if held is not None:
                raise Refused(f"{stage} is in use: {held[0]}", hint=f"run `{held[1]}` first")
    for stage in after.stage_names:
        if stage not in before.stage_names:
            taken = next(_same_names(snapshot, stage), None)
            if taken is not None:
                raise Conflict(f"{stage} cannot be a stage: {taken}", hint="choose another name")


def _holders(snapshot: Snapshot, stage: str) -> Iterator[tuple[str, str]]:
    """Yield a text for each use of *stage* by a model, and the command that ends this use."""
    for model in snapshot.model_names():
        record = snapshot.recorded(model, stage)
        if record is not None:
            yield f"{model}@{record.version} is in it", f"git model demote {model} {stage}"
    for model in sorted(snapshot.tags.models()):
        if stage in snapshot.tags.of(model):
            yield f"a change of {model} is not in force yet", f"git model apply {model}"


def _same_names(snapshot: Snapshot, stage: str) -> Iterator[str]:
    """Yield a sentence for each alias and version with the name of the new *stage*."""
    for model in snapshot.model_names():
        for alias in snapshot.recorded_aliases(model):
            if fold(alias) == fold(stage):
                yield f"{model} has an alias {alias}"
        for file in snapshot.files.names(paths.name_folder(model, stage)):
            if fold(file.removesuffix(".toml")) == fold(stage):
                yield f"a version of {model} has the name {file.removesuffix('.toml')}"


def _check_signers(snapshot: Snapshot, stage: str) -> None:
    """Raise Refused if nobody could sign a change of *stage*, because `allowed_signers` lists no key."""
    text = (snapshot.files.read(paths.SIGNERS) or b"").decode("utf-8", "replace")
    if next(signers.read_signers(text), None) is None:
        raise Refused(
            f"nobody could sign a change of {stage}: {paths.SIGNERS} lists no key",
            hint=f"commit {paths.SIGNERS} to the metadata branch first, as the how-to page on signing shows",
        )


def describe_rule_changes(old: Sequence[StageRule], new: Sequence[StageRule]) -> Iterator[str]:
    """Yield a line for each difference between the stages *old* and *new*.

    >>> list(describe_rule_changes([StageRule(name="qa")], [StageRule(name="qa", signed=True), StageRule(name="live")]))
    ['qa: signed false -> true', 'live: stage added']
    """
    before, after = ({rule.name: rule for rule in side} for side in (old, new))
    for name in before:
        if name not in after:
            yield f"{name}: stage removed"
    for name, rule in after.items():
        if name not in before:
            yield f"{name}: stage added"
        yield from _differences(before.get(name, StageRule(name=name)), rule)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before] or list(after)[: len(kept)] != kept:
        yield f"order of the stages: {', '.join(after)}"


def _differences(old: StageRule, new: StageRule) -> Iterator[str]:
    if old.after != new.after:
        was, now = (", ".join(side) or "any place" for side in (old.after, new.after))
        yield f"{new.name}: after {was} -> {now}"
    for word in ("proposal_only", "signed"):
        if getattr(old, word) != getattr(new, word):
            yield f"{new.name}: {word} {str(getattr(old, word)).lower()} -> {str(getattr(new, word)).lower()}"
    if old.rollback != new.rollback:
        yield f"{new.name}: rollback {old.rollback or 'by the rules'} -> {new.rollback or 'by the rules'}"
    gates, others = ({gate.name: gate for gate in side.gates} for side in (old, new))
    for name, gate in gates.items():
        if name not in others:
            yield f"{new.name}: gate {name} removed: {gate.expression}"
    for name, gate in others.items():
        yield from _gate_differences(new.name, gates.get(name), gate)


def _gate_differences(stage: str, old: GateRule | None, new: GateRule) -> Iterator[str]:
    if old is None:
        yield f"{stage}: gate {new.name} added: {new.expression}" + (
            f" ({_quoted(new.message)})" if new.message else ""
        )
        return
    if old.expression != new.expression:
        yield f"{stage}: gate {new.name}: {old.expression} -> {new.expression}"
    if old.message != new.message:
        yield f"{stage}: message of gate {new.name}: {_quoted(old.message)} -> {_quoted(new.message)}"


def _quoted(message: str) -> str:
    return f'"{message}"' if message else "(none)"
