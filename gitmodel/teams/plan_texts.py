"""A plan as text for a terminal and as Markdown for a pull request. All text from records is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gitmodel.domain.views.comparison import Compared
from gitmodel.teams.planning import CodeRange, Plan, PlannedChange

# A job finds its own comment by this line, to edit it.
MARKER = "<!-- gitmodel plan -->"
_LONGEST = 200
# Hosts allow about 65,000 characters. A change needs a few thousand, and so does the text after the changes.
_LONGEST_TEXT = 30_000
_MOST_ROWS = 50
_NONE = "–"  # noqa: RUF001


def text(plan: Plan) -> str:
    """Return the plan in lines that are not escaped for a terminal; the printer does that."""
    blocks = []
    for change in plan.changes:
        block = [
            _what(change),
            f"  {_becomes_empty(change)}" if _becomes_empty(change) else "",
            f"  by {change.who}" if change.who else "",
            f"  reason: {change.reason}" if change.reason else "",
            f"  version {change.new} by {change.maker}" if change.maker else "",
            f"  owners: {', '.join(change.owners)}" if change.owners else "",
            *_code_text(change.code),
        ]
        block += [f"  {row.name}: {_shown(row.old)} -> {_shown(row.new)}{_difference(row)}" for row in change.metadata]
        digests = (*change.artifacts, *change.datasets)
        block += [f"  {row.kind} {row.name}: {_short(row.old)} -> {_short(row.new)}" for row in digests]
        block += [f"  {_mark(outcome)} {outcome}" for outcome in change.outcomes]
        blocks.append("\n".join(line for line in block if line))
    blocks[:0] = [f"{old} is renamed to {new}; its stages do not change" for old, new in plan.renamed]
    blocks += [f"new versions: {', '.join(plan.versions)}"] if plan.versions else []
    blocks += [f"rule of a stage: {said}" for said in plan.rule_changes]
    blocks += [f"controls permissions: {path}" for path in plan.rules]
    blocks += [f"wrong: {problem}" for problem in plan.problems]
    return "\n".join(blocks or ["no stage and no alias changes"])


def markdown(plan: Plan) -> str:
    """Return the plan as Markdown, with the hidden line that identifies its comment."""
    parts = [MARKER, "## What this changes"]
    for number, change in enumerate(plan.changes):
        parts.append("\n".join(_markdown_of(change)))
        left = len(plan.changes) - number - 1
        if left and sum(map(len, parts)) > _LONGEST_TEXT:
            parts.append(f"And {left} more: `git model plan {plan.base[:10]}..{plan.head[:10]}` shows them.")
            break
    if plan.renamed:
        said = (f"- {escape(old)} is renamed to {escape(new)}; its stages do not change" for old, new in plan.renamed)
        parts.append("\n".join(said))
    if not plan.changes:
        parts.append("No stage and no alias changes.")
    if plan.versions:
        parts.append("New versions: " + ", ".join(map(escape, plan.versions[:_MOST_ROWS])))
    if plan.rule_changes:
        said = (f"- {escape(change)}" for change in plan.rule_changes[:_MOST_ROWS])
        parts.append("\n".join(["### Rules of stages", "", *said]))
    if plan.rules:
        parts.append("**Controls permissions:** " + ", ".join(map(escape, plan.rules)))
    if plan.problems:
        found = [f"- {escape(str(problem))}" for problem in plan.problems[:_MOST_ROWS]]
        parts.append("\n".join(["### Wrong", "", *found]))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape *text* so that Markdown shows it literally, on one line: no markup, no link, no mention.

    >>> escape("<b>@ada</b> | see #7")
    '\\<b\\>\\@\u200bada\\<\\/b\\> \\| see \\#\u200b7'
    """
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    line = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in line)
    return re.sub(r"""[!-/:-@\[-`{-~]""", lambda found: f"\\{found[0]}" + "\u200b" * (found[0] in "@#!:"), line)


def _markdown_of(change: PlannedChange) -> Iterator[str]:
    yield f"### {escape(_what(change))}"
    yield ""
    if _becomes_empty(change):
        yield f"- **{escape(_becomes_empty(change))}**"
    if change.who:
        yield f"- by {escape(change.who)}"
    if change.reason:
        yield f"- reason: {escape(change.reason)}"
    if change.owners:
        yield f"- owners: {', '.join(map(escape, change.owners))}"
    if change.maker:
        yield f"- version {change.new} by {escape(change.maker)}"
    yield from _code_markdown(change.code)
    if change.outcomes:
        yield from ("", "| rule | | expression | found | message |", "|---|---|---|---|---|")
        for outcome in change.outcomes:
            judged = (outcome.gate, _mark(outcome), outcome.expression, outcome.explained, outcome.message)
            yield "| " + " | ".join(map(escape, judged)) + " |"
    if change.metadata:
        yield from ("", f"| metadata | {change.old or _NONE} | {change.new or _NONE} | change |", "|---|---|---|---|")
        for row in change.metadata[:_MOST_ROWS]:
            cells = (row.name, _shown(row.old), _shown(row.new), _difference(row).strip(" ()"))
            yield "| " + " | ".join(map(escape, cells)) + " |"
    for title, rows in (("artifact", change.artifacts), ("dataset", change.datasets)):
        if rows:
            yield from ("", f"| {title} | kind | before | after |", "|---|---|---|---|")
        for row in rows[:_MOST_ROWS]:
            cells = (row.name, row.kind, _short(row.old), _short(row.new))
            yield "| " + " | ".join(map(escape, cells)) + " |"


def _code_markdown(code: CodeRange) -> Iterator[str]:
    if code.old or code.new:
        range = _range(code, _NONE, "→")
        between = f", {_count(code)}" if code.count is not None else ""
        yield f"- code: [{range}](<{code.comparison}>){between}" if code.comparison else f"- code: {range}{between}"
        yield from (f"  - {line}" for line in (*map(escape, code.commits), *_left_out(code)))


def _what(change: PlannedChange) -> str:
    kind = "alias " if change.alias else ""
    return f"{change.model}: {kind}{change.place} {change.old or '(empty)'} -> {change.new or '(empty)'}"


def _becomes_empty(change: PlannedChange) -> str:
    return f"{change.place} becomes empty" if change.new is None and not change.alias else ""


def _mark(outcome: Any) -> str:
    return "passed" if outcome.passed else "forced" if outcome.forced else "FAILED"


def _code_text(code: CodeRange) -> Iterator[str]:
    if code.old or code.new:
        between = f" ({_count(code)})" if code.count is not None else ""
        address = f"  {code.comparison}" if code.comparison else ""
        yield f"  code: {_range(code, '-', '->')}{between}{address}"
        yield from (f"    {line}" for line in (*code.commits, *_left_out(code)))


def _range(code: CodeRange, none: str, arrow: str) -> str:
    same = f"{code.new[:10]}, as before"
    return same if code.old == code.new else f"{code.old[:10] or none} {arrow} {code.new[:10] or none}"


def _left_out(code: CodeRange) -> list[str]:
    left = (code.count or 0) - len(code.commits)
    return [f"and {left} more"] if left > 0 else []


def _count(code: CodeRange) -> str:
    if not code.count:
        return "back to an earlier commit"
    return "1 commit" if code.count == 1 else f"{code.count} commits"


def _difference(row: Compared) -> str:
    return f" ({row.shown_change})" if row.change else ""


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:12] if digest else "-"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
