"""A plan as text for a terminal, and the parts of this text that the Markdown of a plan has, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gitmodel.domain.rules.gates import Outcome
from gitmodel.domain.views.comparison import Compared
from gitmodel.teams.plans.gate_limits import worse_numbers
from gitmodel.teams.plans.planning import CodeRange, Plan, PlannedChange


def text(plan: Plan) -> str:
    """Return the plan as lines of text, in which the caller must escape control characters for a terminal."""
    blocks = []
    for change in plan.changes:
        facts = (
            f"{change.place} becomes empty" if change.new is None and not change.alias else "",
            f"by {change.who}" if change.who else "",
            f"reason: {change.reason}" if change.reason else "",
            f"version {change.new} by {change.maker}" if change.maker else "",
            f"owners: {', '.join(change.owners)}" if change.owners else "",
            worse_text(change),
            signature_text(change),
            approval_text(change),
        )
        block = [place_text(change, "->"), *(f"  {fact}" for fact in facts if fact), *_code_text(change.code)]
        block += [f"  {row.name}: {' -> '.join(pair(row))}{difference(row)}" for row in change.metadata]
        digests = (*change.artifacts, *change.datasets)
        block += [f"  {row.kind} {row.name}: {short_digest(row.old)} -> {short_digest(row.new)}" for row in digests]
        block += [f"  package {row.name}: {row.old or '-'} -> {row.new or '-'}" for row in change.packages]
        block += [f"  {mark(outcome)} {outcome}" for outcome in change.outcomes]
        blocks.append("\n".join(block))
    blocks[:0] = [f"{old} is renamed to {new}; its stages do not change" for old, new in plan.renamed]
    blocks += [f"new versions: {', '.join(plan.versions)}"] if plan.versions else []
    blocks += [f"rule of a stage: {said}" for said in plan.rule_changes]
    blocks += [f"controls permissions: {path}" for path in plan.rules]
    blocks += [f"wrong: {problem}" for problem in plan.problems]
    blocks += [f"page: {plan.page}"] if plan.page else []
    return "\n".join(blocks or ["no stage and no alias changes"])


def place_text(change: PlannedChange, arrow: str) -> str:
    """Return a line such as "iris: production 1 -> 2" for the stage or alias that changes.

    *arrow* is the text between the two versions.
    """
    kind = "alias " if change.alias else ""
    return f"{change.model}: {kind}{change.place} {change.old or '(empty)'} {arrow} {change.new or '(empty)'}"


def worse_text(change: PlannedChange) -> str:
    """Return a text with the metadata numbers that are worse for a gate than in the replaced version; "" if none is."""
    worse = worse_numbers(change.outcomes, change.metadata)
    return f"worse than version {change.old}: {', '.join(worse)}" if worse else ""


def signature_text(change: PlannedChange) -> str:
    """Return a text with the signer of the change; "" if it has no valid signature.

    If the stage requires signatures, the text instead says that the signature is missing, or why it is not valid.
    """
    if change.signature is None:
        return f"not signed: {change.place} accepts only signed changes" if change.signed else ""
    if change.signature.fault:
        return f"no valid signature: {change.signature.fault}" if change.signed else ""
    return f"signed by {change.signature.by}"


def approval_text(change: PlannedChange, shown: Callable[[str], str] = str) -> str:
    """Return a text that has the accounts in CODEOWNERS, and says if the stage requires their approval.

    Returns "" if CODEOWNERS names nobody and the stage requires no review. *shown* escapes each name.
    """
    names = " or ".join(filter(None, map(shown, change.approvers)))
    if change.reviewed:
        return f"must be approved by {names}" if names else "must be reviewed"
    return f"code owners: {names}" if names else ""


def effect_text(change: PlannedChange) -> str:
    """Return the effect of the merge on the stage or alias, such as "iris@2 enters staging"."""
    place = f"the alias {change.place}" if change.alias else change.place
    if change.new is None:
        return f"{place} becomes empty"
    new = f"{change.model}@{change.new}"
    return f"{new} enters {place}" if change.old is None else f"{new} replaces {change.model}@{change.old} in {place}"


def mark(outcome: Outcome) -> str:
    """Return the result of a rule: "passed", "forced" or "FAILED"."""
    return "passed" if outcome.passed else "forced" if outcome.forced else "FAILED"


def _code_text(code: CodeRange) -> Iterator[str]:
    if code.old or code.new:
        between = f" ({count_of_commits(code)})" if code.count is not None else ""
        address = f"  {code.comparison}" if code.comparison else ""
        yield f"  code: {code_range(code, '-', '->')}{between}{address}"
        yield from (f"    {line}" for line in (*code.commits, *left_out(code)))


def code_range(code: CodeRange, none: str, arrow: str) -> str:
    """Return the first digits of both commit ids, with *arrow* between them. *none* is shown for a missing id."""
    same = f"{code.new[:10]}, as before"
    return same if code.old == code.new else f"{code.old[:10] or none} {arrow} {code.new[:10] or none}"


def left_out(code: CodeRange) -> list[str]:
    """Return a line with the number of commits that `code.commits` leaves out; an empty list if it has all commits."""
    left = (code.count or 0) - len(code.commits)
    return [f"and {left} more"] if left > 0 else []


def count_of_commits(code: CodeRange) -> str:
    """Return the number of commits between the code of the two versions as a text, such as "2 commits"."""
    if not code.count:  # the two commits differ, and the new one is in the history of the old one
        return "back to an earlier commit"
    return "1 commit" if code.count == 1 else f"{code.count} commits"


def difference(row: Compared) -> str:
    """Return a space and the change of the number in parentheses; "" if the row is no number or did not change."""
    return f" ({row.shown_change})" if row.change else ""


def pair(row: Compared) -> tuple[str, str]:
    """Return the old and the new value of *row* as text.

    If both are numbers, rounds fractions to six digits, unless two different values would then have the same text.
    """
    exact = _shown(row.old), _shown(row.new)
    if row.change is None:
        return exact
    old, new = (f"{value:.6g}" if isinstance(value, float) else str(value) for value in (row.old, row.new))
    return (old, new) if old != new or row.same else exact


def short_digest(digest: str | None) -> str:
    """Return the first digits of *digest*; "-" if it is None."""
    return digest.removeprefix("sha256:")[:12] if digest else "-"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
