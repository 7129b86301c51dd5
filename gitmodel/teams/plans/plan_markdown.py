"""A plan as Markdown, for the text of a pull request or a comment on it. All text from records is escaped."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from gitmodel.domain.views import cell_text
from gitmodel.domain.views.comparison import Compared
from gitmodel.domain.views.lineage_drawing import mermaid, mermaid_label
from gitmodel.teams.plans.holder_trends import Trend, gate_keys
from gitmodel.teams.plans.plan_texts import (
    approval_text,
    code_range,
    count_of_commits,
    difference,
    effect_text,
    left_out,
    mark,
    pair,
    place_text,
    short_digest,
    signature_text,
    worse_text,
)
from gitmodel.teams.plans.planning import CodeRange, Plan, PlannedChange
from gitmodel.teams.plans.stored_contents import TextChange

# The first, invisible line of a comment with a plan.
MARKER = "<!-- gitmodel plan -->"
_LONGEST = 200
# The limit of characters for the text of one change. Hosts allow about 65,000 for a comment. Most changes need a few
# thousand, and so does the text outside of changes.
_LONGEST_TEXT = 20_000
_MOST_ROWS = 50
_FEWER_ROWS = (_MOST_ROWS, 10, 2)  # limits of rows for each table, tried in this order until the text is short enough
_MOST_METRICS = 12  # the most metrics above the folded sections; the other metrics are in a folded section
_MOST_NODES = 20
# `_decimal` writes these numbers without an exponent, which Mermaid cannot read. Smaller and larger ones get no chart.
_LEAST, _LARGEST = 1e-9, 1e15
# In Mermaid's default style, the line of the chart is hardly visible, and the chart fills the screen.
_CHART_STYLE = (
    '%%{init: {"xyChart": {"width": 720, "height": 300}, '
    '"themeVariables": {"xyChart": {"plotColorPalette": "#2f7ed8"}}}}%%'
)
_NONE = "–"  # noqa: RUF001


def markdown(plan: Plan, *, brief: bool = False) -> str:
    """Return the plan as Markdown. It begins with `MARKER`, by which a CI job finds its earlier comment.

    If *brief*, the text has only the verdicts and tables, for a host that neither draws Mermaid nor folds sections.
    """
    parts = [MARKER]
    if plan.problems:
        found = [f"- {escape(str(problem))}" for problem in plan.problems[:_MOST_ROWS]]
        parts.append("\n".join(["## ❌ Not to be merged", "", *found]))
    for number, change in enumerate(plan.changes):
        parts.append(_bounded(change, brief=brief))
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
        parts.append("\n".join(["## Rules of stages", "", *said]))
    if plan.rules:
        parts.append("⚠️ **Controls permissions:** " + ", ".join(map(escape, plan.rules)))
    if plan.page:
        parts.append(f"[The page of this proposal](<{plan.page}>) has its charts and details.")
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape *text* so that Markdown shows it literally on one line, without markup, links, or mentions of accounts.

    >>> escape("<b>@ada</b> | see #7")
    '\\<b\\>\\@\u200bada\\<\\/b\\> \\| see \\#\u200b7'
    """
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    line = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in line)
    return re.sub(r"""[!-/:-@\[-`{-~]""", lambda found: f"\\{found[0]}" + "\u200b" * (found[0] in "@#!:"), line)


def _bounded(change: PlannedChange, *, brief: bool) -> str:
    """Return *change* as Markdown, with fewer rows in its tables if the text would be too long."""
    text = ""
    for most in _FEWER_ROWS:
        text = "\n".join(_first_screen(change, most, brief=brief))
        if not brief:
            text = "\n".join([text, *_details(change, most)])
        if len(text) <= _LONGEST_TEXT:
            break
    return text


def _first_screen(change: PlannedChange, most: int, *, brief: bool) -> Iterator[str]:
    """Yield the lines that are not folded: verdict, metrics with at most *most* rows, their chart, people and code."""
    yield f"## {escape(place_text(change, '→'))}"
    empty = ", which is empty now" if change.old is None and change.new is not None else ""
    effect = f"After the merge and `git model apply`, **{escape(effect_text(change))}**{empty}."
    yield from ("", _verdict(change), "", effect)
    if brief or any(not outcome.passed for outcome in change.outcomes):
        yield from _rules_table(change, most)
    yield from _metadata_table(change, _first_metrics(change, most, brief=brief), most)
    if not brief and change.trend is not None:
        yield from _chart(change, change.trend)
    yield ""
    if change.who:
        yield f"- proposed by {escape(change.who)}{f': {escape(change.reason)}' if change.reason else ''}"
    if change.maker:
        yield f"- version {change.new} created by {escape(change.maker)}"
    if change.owners:
        yield f"- owners: {', '.join(map(escape, change.owners))}"
    yield from _code_line(change.code)


def _verdict(change: PlannedChange) -> str:
    """Return sentences in Markdown: the results of rules, worse numbers, the signature and the required approval."""
    worse, signature, approval = worse_text(change), signature_text(change), approval_text(change, escape)
    is_signed = change.signature is not None and not change.signature.fault
    sentences = [
        _rules_verdict(change),
        f"⚠️ **{escape(_capitalized(worse))}.**" if worse else "",
        f"❌ **{escape(_capitalized(signature))}.**" if signature and not is_signed else "",
        f"{escape(_capitalized(signature))}." if signature and is_signed else "",
        f"{_capitalized(approval)}." if approval else "",
    ]
    return " ".join(filter(None, sentences))


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rules_verdict(change: PlannedChange) -> str:
    failed = [escape(outcome.gate) for outcome in change.outcomes if outcome.stops]
    forced = [escape(outcome.gate) for outcome in change.outcomes if outcome.forced and not outcome.passed]
    count = len(change.outcomes)
    if not count:
        return ""
    icon = "❌" if failed else "⚠️" if forced else "✅"
    rules = "rule" if count == 1 else "rules"
    said = [f"{icon} {count - len(failed) - len(forced)} of {count} {rules} of {escape(change.place)} passed"]
    said += [f"failed: {', '.join(failed)}"] if failed else []
    said += [f"forced: {', '.join(forced)}"] if forced else []
    return f"**{'; '.join(said)}.**"


def _rules_table(change: PlannedChange, most: int) -> Iterator[str]:
    if change.outcomes:
        yield from ("", "| rule | | expression | found | message |", "|---|---|---|---|---|")
        for outcome in change.outcomes[:most]:
            yield _row(outcome.gate, mark(outcome), outcome.expression, outcome.explained, outcome.message)
        yield from _and_more(len(change.outcomes), most)


def _differing_metadata(change: PlannedChange) -> list[Compared]:
    """Return the metadata that differs or that a gate reads: first keys that a gate reads, then other numbers."""
    read = gate_keys(change.outcomes)
    rows = [row for row in change.metadata if row.name in read or not row.same]
    return sorted(rows, key=lambda row: (row.name not in read, row.change is None))


def _first_metrics(change: PlannedChange, most: int, *, brief: bool) -> list[Compared]:
    """Return the rows of the table of metrics, at most *most*: keys that gates read, the headline, and changed numbers.

    If *brief*, returns all metadata that differs or that a gate reads, because the text has no folded sections.
    """
    rows = _differing_metadata(change)
    if brief:
        return rows[:most]
    read = {*gate_keys(change.outcomes), *([change.trend.metric] if change.trend else [])}
    return [row for row in rows if row.name in read or row.change is not None][: min(most, _MOST_METRICS)]


def _metadata_table(change: PlannedChange, rows: Sequence[Compared], most: int) -> Iterator[str]:
    if rows:
        heads = (escape(f"{change.model}@{number}") if number else _NONE for number in (change.old, change.new))
        yield from ("", f"| metric | {' | '.join(heads)} | change |", "|---|---:|---:|---:|")
        for row in rows[:most]:
            yield _row(row.name, *pair(row), difference(row).strip(" ()"))
        yield from _and_more(len(rows), most)


def _chart(change: PlannedChange, trend: Trend) -> Iterator[str]:
    """Yield the chart of *trend* for Mermaid 10.7 to 12; nothing if a number can only be written with an exponent.

    See <https://mermaid.js.org/syntax/xyChart.html>: a number has no exponent, and a title has no markup.
    """
    values = [value for _, value in trend.points]
    if len(values) < 2 or not all(value == 0 or _LEAST <= abs(value) < _LARGEST for value in values):
        return
    versions = ", ".join(f'"{label}"' for label in _holder_labels(number for number, _ in trend.points[:-1]))
    title = mermaid_label(f"{change.place}: {trend.metric} by version")[:_LONGEST]
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1) / 20
    yield from ("", "```mermaid", _CHART_STYLE, "xychart-beta", f'    title "{title}"')
    yield f'    x-axis [{versions}, "{change.new} new"]'
    yield f"    y-axis {_decimal(low - room)} --> {_decimal(high + room)}"
    yield from (f"    line [{', '.join(map(_decimal, values))}]", "```")


def _holder_labels(numbers: Iterable[int]) -> Iterator[str]:
    """Yield a unique label for each of the version *numbers*, because Mermaid draws equal labels at one place.

    >>> list(_holder_labels([6, 8, 6, 8, 6]))
    ['6', '8', '6 again', '8 again', '6 again 3']
    """
    seen: Counter[int] = Counter()
    for number in numbers:
        seen[number] += 1
        yield f"{number}{' again' if seen[number] > 1 else ''}{f' {seen[number]}' if seen[number] > 2 else ''}"


def _decimal(value: float) -> str:
    """Return *value*, rounded to six digits, without an exponent.

    >>> _decimal(1e-07), _decimal(0.9400000000000001), _decimal(1234567)
    ('0.0000001', '0.94', '1234570')
    """
    return f"{Decimal(f'{value:.6g}'):f}"


def _code_line(code: CodeRange) -> Iterator[str]:
    if code.old or code.new:
        range = code_range(code, _NONE, "→")
        between = f", {count_of_commits(code)}" if code.count is not None else ""
        yield f"- code: [{range}](<{code.comparison}>){between}" if code.comparison else f"- code: {range}{between}"


def _details(change: PlannedChange, most: int) -> Iterator[str]:
    """Yield the folded parts: rules, lineage, commits, metadata, data, artifacts, packages and texts that differ."""
    if change.outcomes and all(outcome.passed for outcome in change.outcomes):
        yield from _folded(cell_text.count(len(change.outcomes), "rule") + " passed", _rules_table(change, most))
    if change.sources is not None:
        drawn = ("", "```mermaid", mermaid(change.sources, _MOST_NODES).rstrip("\n"), "```")
        yield from _folded(f"Lineage of {change.model}@{change.new}", drawn)
    if change.code.commits:
        lines = (f"- {line}" for line in (*map(escape, change.code.commits), *left_out(change.code)))
        yield from _folded("Commits of the code", ["", *lines])
    first = {row.name for row in _first_metrics(change, most, brief=False)}
    others = [row for row in _differing_metadata(change) if row.name not in first]
    if others:
        title = cell_text.count(len(others), "other value") + " of the metadata"
        yield from _folded(f"{title} {_differs(others)}", _metadata_table(change, others, most))
    for noun, rows in (("dataset", change.datasets), ("artifact", change.artifacts), ("package", change.packages)):
        if rows:
            yield from _folded(f"{cell_text.count(len(rows), noun)} {_differs(rows)}", _differences(noun, rows, most))
    for text in change.texts[:most]:
        yield from _folded(f"{text.name} differs", _diff(text, most))
    if len(change.texts) > most:
        yield from ("", f"And {len(change.texts) - most} more texts differ.")


def _differences(noun: str, rows: Sequence[Compared], most: int) -> Iterator[str]:
    """Yield the table of the differing *rows*, at most *most*. *noun* is "dataset", "artifact" or "package"."""
    is_package = noun == "package"
    kind = "" if is_package else " kind |"
    yield from ("", f"| {noun} |{kind} before | after |", "|---|---|---|" + ("" if is_package else "---|"))
    for row in rows[:most]:
        values = (row.old, row.new)
        cells = [str(value or _NONE) if is_package else short_digest(value) for value in values]
        yield _row(row.name, *([] if is_package else [row.kind]), *cells)
    yield from _and_more(len(rows), most)


def _diff(text: TextChange, most: int) -> Iterator[str]:
    """Yield the diff of *text*, between fences with more backticks than any line of the diff has in a row."""
    lines = [_plain(line) for line in text.diff[: 2 * most]]
    left = len(text.diff) - len(lines)
    lines += [f"... and {left} more"] if left > 0 else []
    fence = "`" * max(3, *(len(run) + 1 for line in lines for run in re.findall("`+", line)), 3)
    yield from ("", f"{fence}diff", *lines, fence)


def _plain(line: str) -> str:
    """Return the *line* of a diff, shortened if it is long. Control characters and direction marks become escapes."""
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return "".join(c if c.isprintable() or c == "\t" else cell_text.escape(c) for c in line)


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from ("", f"<details><summary>{html.escape(title)}</summary>")
    yield from (*lines, "", "</details>")


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(escape, cells))} |"


def _and_more(count: int, most: int) -> list[str]:
    return [f"| and {count - most} more |"] if count > most else []


def _differs(rows: Sequence[Compared]) -> str:
    return "differs" if len(rows) == 1 else "differ"
