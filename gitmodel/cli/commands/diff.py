"""The command that compares two versions: diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from gitmodel.cli import cell_text, options, shapes
from gitmodel.cli.invocation import Invocation, command

if TYPE_CHECKING:
    from gitmodel.client.values import CodeRange, VersionDiff
    from gitmodel.domain.views.comparison import Compared

_SHORT_DIGEST = len("sha256:") + 12
_SHORT_COMMIT = 10


@command(example="git model diff iris@1 iris@2")
@click.argument("old", metavar="OLD", shell_complete=options.complete_model)
@click.argument("new", metavar="NEW", shell_complete=options.complete_model)
def diff(invocation: Invocation, old: str, new: str) -> None:
    """Compare two versions.

    It shows their metadata and the change, the parameters of their runs, the artifacts that were added, removed,
    changed or are identical, the packages that differ, and the commits between them as `git log OLD..NEW` prints them.
    """
    found = invocation.client.diff(old, new)
    said = "\n".join(_lines(found))
    invocation.output.outcome(said, shapes.DIFF, fields(found), name=f"{found.old} {found.new}")
    for message, hint in found.gaps:
        invocation.output.warn(message, hint)


def fields(found: VersionDiff) -> dict[str, Any]:
    code = found.code
    return {
        "old": found.old,
        "new": found.new,
        "metadata": row_fields(found.metadata),
        "parameters": row_fields(found.parameters),
        "artifacts": [
            {"name": row.name, "kind": row.kind, "old": row.old, "new": row.new, "same": row.same}
            for row in found.artifacts
        ],
        "packages": row_fields(found.packages),
        "code": {
            "old": code.old or None,
            "new": code.new or None,
            "changed": list(code.changed),
            "commits": [dict(vars(commit)) for commit in code.commits],
            "left": [dict(vars(commit)) for commit in code.left],
        },
        "gaps": [message for message, _ in found.gaps],
    }


def row_fields(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    return [{"key": row.name, "old": row.old, "new": row.new, "change": row.change} for row in rows]


def _lines(found: VersionDiff) -> Iterator[str]:
    yield f"{found.old} -> {found.new}"
    for title, rows in (("metadata", found.metadata), ("parameters", found.parameters), ("packages", found.packages)):
        if rows:
            yield from ("", f"{title}:", *_aligned([(row.name, beside(row)) for row in rows]))
    if found.artifacts:
        rows_ = [(f"{row.kind} {row.name}", _artifact(row)) for row in found.artifacts]
        yield from ("", "artifacts:", *_aligned(rows_))
    yield from _code(found.code)


def beside(row: Compared) -> str:
    if row.same:
        return f"{cell_text.tsv_cell(row.old)}  (same)"
    if row.old is None or row.new is None:
        only, word = (row.new, "added") if row.old is None else (row.old, "removed")
        return f"{cell_text.tsv_cell(only)}  ({word})"
    change = f"  ({row.change:+.6g})" if row.change else ""
    return f"{cell_text.tsv_cell(row.old)} -> {cell_text.tsv_cell(row.new)}{change}"


def _artifact(row: Compared) -> str:
    if row.same:
        return f"{row.old[:_SHORT_DIGEST]}  (same bytes)"
    if row.old is None or row.new is None:
        return f"{(row.old or row.new)[:_SHORT_DIGEST]}  ({'added' if row.old is None else 'removed'})"
    return f"{row.old[:_SHORT_DIGEST]} -> {row.new[:_SHORT_DIGEST]}"


def _code(code: CodeRange) -> Iterator[str]:
    old, new = (
        (commit[:_SHORT_COMMIT] or "no commit") + (" with changes" if changed else "")
        for commit, changed in zip((code.old, code.new), code.changed, strict=True)
    )
    yield from ("", "code:")
    yield f"  {old}  (same commit)" if code.old == code.new else f"  {old} -> {new}"
    if code.left:
        yield f"  {len(code.left)} of the first are not in the second: git log {code.new}..{code.old}"
    if code.log:
        yield from ("", *code.log.rstrip("\n").split("\n"))


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    room = max(cell_text.width(name) for name, _ in rows)
    return [f"  {name}{' ' * (room - cell_text.width(name))}  {text}" for name, text in rows]
