"""Describing the differences between old and new rules of stages in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitmodel.domain.schema.registry_rules.registry_record import GateRule, StageRule


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
            yield f"{new.name}: {word} {_flag(getattr(old, word))} -> {_flag(getattr(new, word))}"
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


def _flag(value: bool) -> str:
    return str(value).lower()
