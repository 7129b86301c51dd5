"""A plan as text for a terminal and as Markdown for a pull request. All text from records is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gitmodel.domain.views.comparison import Compared
from gitmodel.teams.holder_trends import Trend, gate_keys
from gitmodel.teams.planning import CodeRange, Plan, PlannedChange

# A job finds its own comment by this line, to edit it.
MARKER = "<!-- gitmodel plan -->"
_LONGEST = 200
# The limit for one change. Hosts allow about 65,000 characters. A change takes a few thousand, as does the other text.
_LONGEST_TEXT = 20_000
_MOST_ROWS = 50
_FEWER_ROWS = (_MOST_ROWS, 10, 2)  # the limits to try for a table, until the change is short enough
# Smaller and larger numbers need an exponent, which Mermaid cannot read.
_LEAST, _LARGEST = 1e-9, 1e15
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
        block += [f"  {row.name}: {' -> '.join(_pair(row))}{_difference(row)}" for row in change.metadata]
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


def markdown(plan: Plan, *, charts: bool = True) -> str:
    """Return the plan as Markdown, with the hidden line that identifies its comment.

    Without *charts* it has tables only, for a host that does not draw Mermaid.
    """
    parts = [MARKER, "## What this changes"]
    for number, change in enumerate(plan.changes):
        parts.append(_bounded(change, charts=charts))
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


def _bounded(change: PlannedChange, *, charts: bool) -> str:
    """Return *change* as Markdown, with fewer rows in its tables if it is too long."""
    text = ""
    for most in _FEWER_ROWS:
        text = "\n".join(_markdown_of(change, most, charts=charts))
        if len(text) <= _LONGEST_TEXT:
            break
    return text


def _markdown_of(change: PlannedChange, most: int, *, charts: bool) -> Iterator[str]:
    yield f"### {escape(_what(change))}"
    yield from ("", f"{_verdict(change)}{_effect(change)}", "")
    if change.who:
        yield f"- proposed by {escape(change.who)}{f': {escape(change.reason)}' if change.reason else ''}"
    if change.maker:
        yield f"- version {change.new} created by {escape(change.maker)}"
    if change.owners:
        yield f"- owners: {', '.join(map(escape, change.owners))}"
    yield from _code_markdown(change.code)
    if change.outcomes:
        yield from ("", "| rule | | expression | found | message |", "|---|---|---|---|---|")
        for outcome in change.outcomes[:most]:
            yield _row(outcome.gate, _mark(outcome), outcome.expression, outcome.explained, outcome.message)
        yield from _and_more(len(change.outcomes), most)
    yield from _metadata_markdown(change, most)
    if charts and change.trend is not None:
        yield from _chart(change, change.trend)
    for title, rows in (("artifact", change.artifacts), ("dataset", change.datasets)):
        if rows:
            yield from _folded(_counted(len(rows), f"{title} differs", f"{title}s differ"))
            yield from (f"| {title} | kind | before | after |", "|---|---|---|---|")
            yield from (_row(row.name, row.kind, _short(row.old), _short(row.new)) for row in rows[:most])
            yield from (*_and_more(len(rows), most), "", "</details>")


def _metadata_markdown(change: PlannedChange, most: int) -> Iterator[str]:
    """Yield the table of the metadata that differs or that a gate reads. Numbers come first."""
    read = gate_keys(change.outcomes)
    rows = [row for row in change.metadata if row.name in read or not row.same]
    rows.sort(key=lambda row: (row.name not in read, row.change is None))
    if rows:
        yield from (
            "",
            f"| metadata | {change.old or _NONE} | {change.new or _NONE} | change |",
            "|---|---:|---:|---:|",
        )
        for row in rows[:most]:
            yield _row(row.name, *_pair(row), _difference(row).strip(" ()"))
        yield from _and_more(len(rows), most)
    same = len(change.metadata) - len(rows)
    if same:
        yield from (
            "",
            f"{_counted(same, 'other key of the metadata is', 'other keys of the metadata are')} as before.",
        )


def _chart(change: PlannedChange, trend: Trend) -> Iterator[str]:
    """Yield the chart of *trend*, in the part of Mermaid's `xychart-beta` that versions 10.7 to 12 draw.

    See <https://mermaid.js.org/syntax/xyChart.html>: a number has no exponent, and a title no markup. There is no chart
    for numbers that are too large or too small to be written without an exponent.
    """
    values = [value for _, value in trend.points]
    if not all(value == 0 or _LEAST <= abs(value) < _LARGEST for value in values):
        return
    versions = ", ".join(f'"{number}"' for number, _ in trend.points)
    title = re.sub(r"[^A-Za-z0-9 ._@:/-]", "_", f"{change.place}: {trend.metric} by version")[:_LONGEST]
    yield from ("", "```mermaid", "xychart-beta", f'    title "{title}"', f"    x-axis [{versions}]")
    if min(values) < max(values):
        yield f"    y-axis {_decimal(min(values))} --> {_decimal(max(values))}"
    yield from (f"    line [{', '.join(map(_decimal, values))}]", "```")


def _decimal(value: float) -> str:
    """Return *value*, rounded to six digits, without an exponent.

    >>> _decimal(1e-07), _decimal(0.9400000000000001), _decimal(1234567)
    ('0.0000001', '0.94', '1234570')
    """
    return f"{Decimal(f'{value:.6g}'):f}"


def _code_markdown(code: CodeRange) -> Iterator[str]:
    if code.old or code.new:
        range = _range(code, _NONE, "→")
        between = f", {_count(code)}" if code.count is not None else ""
        yield f"- code: [{range}](<{code.comparison}>){between}" if code.comparison else f"- code: {range}{between}"
    if code.commits:
        yield from _folded("Commits of the code")
        yield from (f"- {line}" for line in (*map(escape, code.commits), *_left_out(code)))
        yield from ("", "</details>")


def _folded(title: str) -> tuple[str, ...]:
    return "", f"<details><summary>{title}</summary>", ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _and_more(count: int, most: int) -> list[str]:
    return [f"| and {count - most} more |"] if count > most else []


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _verdict(change: PlannedChange) -> str:
    """Return the results of the rules in a sentence of Markdown; "" if the stage has none."""
    failed = [escape(outcome.gate) for outcome in change.outcomes if outcome.stops]
    forced = [escape(outcome.gate) for outcome in change.outcomes if outcome.forced and not outcome.passed]
    count = len(change.outcomes)
    said = [f"Rules of {escape(change.place)}: {count - len(failed) - len(forced)} of {count} passed"]
    said += [f"failed: {', '.join(failed)}"] if failed else []
    said += [f"forced: {', '.join(forced)}"] if forced else []
    return f"**{'; '.join(said)}.** " if count else ""


def _effect(change: PlannedChange) -> str:
    """Return the effect of the merge and its requirements, in sentences of Markdown."""
    place = escape(f"the alias {change.place}" if change.alias else change.place)
    old, new = (escape(f"{change.model}@{number}") for number in (change.old, change.new))
    if change.new is None:
        effect = f"**{place} becomes empty** after the merge and `git model apply`."
    elif change.old is None:
        effect = f"After the merge and `git model apply`, {new} enters {place}, which is empty now."
    else:
        effect = f"After the merge and `git model apply`, {new} replaces {old} in {place}."
    needs = [word for word, needed in (("a review", change.reviewed), ("a valid signature", change.signed)) if needed]
    return f"{effect} The stage requires {' and '.join(needs)}." if needs else effect


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


def _pair(row: Compared) -> tuple[str, str]:
    """Return both values as text. Fractions are rounded to six digits, unless different values would become equal."""
    exact = _shown(row.old), _shown(row.new)
    if row.change is None:
        return exact
    old, new = (f"{value:.6g}" if isinstance(value, float) else str(value) for value in (row.old, row.new))
    return (old, new) if old != new or row.same else exact


def _short(digest: str | None) -> str:
    return digest.removeprefix("sha256:")[:12] if digest else "-"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
