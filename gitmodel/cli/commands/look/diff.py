"""The command that compares versions: diff."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.list_columns import measurement
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.shapes.shape import Shape
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.comparison import same_value

if TYPE_CHECKING:
    from gitmodel.client.values import CodeRange, VersionDiff
    from gitmodel.domain.views.comparison import Compared

_SHORT_DIGEST = len("sha256:") + 12
_SHORT_COMMIT = 10
_UNKNOWN = "?"


@command(example="git model diff iris@1 iris@2 iris@production")
@click.argument("refs", nargs=-1, required=True, metavar="REF REF [REF]...", shell_complete=options.complete_model)
@click.option("--all", "all_fields", is_flag=True, help="Also show the fields that are equal.")
@options.at
def diff(invocation: Invocation, refs: tuple[str, ...], all_fields: bool) -> None:
    """Compare two or more versions.

    The versions can belong to several models. REF is MODEL@VERSION, or MODEL@VERSION@{WHEN} for a version in a past
    state, such as iris@production@{2026-10-01}. WHEN has the form of --at, which applies to every REF without @{WHEN}.

    The table has the fields that differ: description, stage, tags, metadata, parameters and packages of the runs,
    artifacts and code. For two versions, the output also has the change of each number, and the code commits between
    the versions as `git log OLD..NEW` prints them. The table has rounded numbers. JSON and TSV have exact values, and
    also the equal fields.
    """
    found = invocation.client.diff(*refs)
    output = invocation.output
    for version in found.versions:
        if version.state is not None:
            invocation.note_past(version.asked, version.state, f"{version.model}@{version.number}@{{COMMIT}}")
    if output.format == "json":
        output.single(shapes.DIFF, _fields(found), name="", lines=[])
    elif output.is_table:
        _print_table(invocation, found, all_fields=all_fields)
    else:
        rows = [(row.name, fields) for row, fields in zip(found, found.rows(), strict=True)
                if not (output.quiet and row.same and not all_fields)]  # fmt: skip
        shape = Shape("field", "", dict.fromkeys(("key", "same", "change", *found.heads), ""))
        output.listing(rows, shape, fields=lambda row: row[1], name=lambda row: row[0], columns=(), empty="")
    for message, hint in found.gaps:
        output.warn(message, hint)


def _fields(found: VersionDiff) -> dict[str, Any]:
    versions = [
        {
            "ref": version.asked,
            "reference": version.reference,
            "model": version.model,
            "number": version.number,
            "at": version.state.commit if version.state is not None else None,
            "unknown": version.unknown,
        }
        for version in found.versions
    ]
    fields = [{"key": row.name, "same": row.same, "change": row.change, "values": row.values} for row in found]
    code = [
        {
            "old": code.old or None,
            "new": code.new or None,
            "changed": code.changed,
            "commits": code.commits,
            "left": code.left,
        }
        for code in found.code
    ]
    gaps = [message for message, _ in found.gaps]
    return {"versions": versions, "fields": fields, "code": code, "gaps": gaps}


def _print_table(invocation: Invocation, found: VersionDiff, *, all_fields: bool) -> None:
    output, differing = invocation.output, found.differing
    two = len(found.versions) == 2
    columns = [[row.name for row in differing], *_columns(differing, len(found.versions))]
    columns += [[row.shown_change for row in differing]] if two else []
    output.wide_table(["FIELD", *found.heads, *(["CHANGE"] if two else [])], columns, empty="no field differs")
    equal = [row for row in found if row.same]
    if all_fields and equal:
        if differing:
            output.text("")
        columns = [
            [row.name for row in equal],
            [next(cell for cell in _cells(row) if cell != _UNKNOWN) for row in equal],
        ]
        output.table(["FIELD", "THE SAME IN ALL"], columns, "")
    elif equal:
        output.note(f"{cell_text.count(len(equal), 'equal field')} left out: add --all to see them")
    lines = [*_code_of_two(found.code[0])] if two else [*_code_of_many(found)]
    output.outcome("\n".join(["", "code:", *lines]), shapes.DIFF, {}, name="")


def _columns(rows: Sequence[Compared], count: int) -> list[list[str]]:
    cells = [_cells(row) for row in rows]
    return [[of_row[place] for of_row in cells] for place in range(count)]


def _cells(row: Compared) -> list[str]:
    """Return the values of *row* for people. Rounds and shortens them, unless different values would look the same."""
    distinct: list[Any] = []
    for value in row.known:
        if not any(same_value(value, other) for other in distinct):
            distinct.append(value)
    short = _short_commit if row.name == "code.commit" else _short
    shown = next(
        (show for show in (short, cell_text.tsv_cell) if len({show(value) for value in distinct}) == len(distinct)),
        _quoted,
    )
    return [
        _UNKNOWN if place in row.unknown else "-" if value is None else shown(value)
        for place, value in enumerate(row.values)
    ]


def _short(value: Any) -> str:
    if isinstance(value, str) and value.startswith("sha256:"):
        return value[:_SHORT_DIGEST]
    return measurement(value)


def _short_commit(value: Any) -> str:
    return str(value)[:_SHORT_COMMIT]


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else cell_text.tsv_cell(value)


def row_fields(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return each field in *rows* with its values in two versions, for JSON."""
    return [{"key": row.name, "old": row.old, "new": row.new, "change": row.change} for row in rows]


def beside(row: Compared) -> str:
    """Return the values of the field *row* in two versions as one line of text, such as "0.8 -> 0.9  (+0.1)"."""
    if row.same:
        return f"{cell_text.tsv_cell(row.old)}  (same)"
    if row.old is None or row.new is None:
        only, word = (row.new, "added") if row.old is None else (row.old, "removed")
        return f"{cell_text.tsv_cell(only)}  ({word})"
    change = f"  ({row.shown_change})" if row.change else ""
    return f"{cell_text.tsv_cell(row.old)} -> {cell_text.tsv_cell(row.new)}{change}"


def _code_of_two(code: CodeRange) -> Iterator[str]:
    yield f"  {_range(code)}"
    if code.left:
        yield f"  {cell_text.count(len(code.left), 'commit')} only in the first version: git log {code.new}..{code.old}"
    if code.log:
        yield from ("", *code.log.rstrip("\n").split("\n"))


def _code_of_many(found: VersionDiff) -> Iterator[str]:
    for (old, new), code in zip(pairwise(found.heads), found.code, strict=True):
        yield f"  {old} -> {new}: {_range(code)}"
        if code.commits:
            yield f"    {cell_text.count(len(code.commits), 'commit')}: git log {code.old}..{code.new}"
        if code.left:
            yield f"    {len(code.left)} only in {old}: git log {code.new}..{code.old}"


def _range(code: CodeRange) -> str:
    old, new = (
        (commit[:_SHORT_COMMIT] or "no commit") + (" with changes" if changed else "")
        for commit, changed in zip((code.old, code.new), code.changed, strict=True)
    )
    return f"{old}  (same commit)" if code.old == code.new else f"{old} -> {new}"
