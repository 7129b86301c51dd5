"""Printing lists of versions: the columns of their tables, and notes about pending changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Any

from gitmodel.cli.invocation import Invocation
from gitmodel.cli.list_columns import RowKind, print_rows
from gitmodel.cli.options import TableOptions
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.cli.version_view import note_pending
from gitmodel.domain.changes.stages import StageState
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.authorship import AUTHORSHIP_NAMES, Authorship
from gitmodel.domain.views.record_views import CODE_NAMES, VersionView
from gitmodel.domain.views.version_summaries import VersionRow
from gitmodel.errors import Invalid


def _fields(view: VersionView | VersionRow, wanted: Set[str]) -> Mapping[str, Any]:
    few = {"model": view.model, "number": view.record.number, "metadata": view.record.metadata}
    if wanted <= few.keys():
        return few
    assert isinstance(view, VersionView)  # tables with chosen columns have no `VersionRow`
    return view.fields()


VERSIONS_OF_MODEL: RowKind[VersionView | VersionRow] = RowKind(
    shapes.VERSION,
    name=lambda view: f"{view.model}@{view.record.number}",
    keys=("model", "number"),
    first=(("VERSION", lambda view: cell_text.number(view.record.number, view.local)),),
    others=(
        ("NAME", lambda view: view.record.name or ""),
        ("STAGE", lambda view: cell_text.stage_of_version(view)),
        ("ALIASES", lambda view: cell_text.aliases_of_version(view)),
        ("CREATED (UTC)", lambda view: cell_text.utc_time(view.record.created)),
        ("TAGS", lambda view: cell_text.commas(view.record.tags)),
        ("DESCRIPTION", lambda view: view.record.description + (" (from a failed run)" if view.record.failed else "")),
    ),
    before="CREATED (UTC)",
    measured=lambda view: view.record.metadata,
    fields=_fields,
    tables={"code": CODE_NAMES},
)
VERSIONS = replace(VERSIONS_OF_MODEL, first=(("MODEL", lambda view: view.model), *VERSIONS_OF_MODEL.first))


def _with_authors(
    kind: RowKind[VersionView | VersionRow], found: Mapping[str, Authorship]
) -> RowKind[VersionView | VersionRow]:
    """Return *kind* with the fields of the authorship in *found*, which has it by references such as iris@3."""

    def fields(view: VersionView | VersionRow, wanted: Set[str]) -> Mapping[str, Any]:
        one = found.get(f"{view.model}@{view.record.number}")
        return {
            **_fields(view, wanted - AUTHORSHIP_NAMES.keys()),
            **{n: getattr(one, n, None) for n in AUTHORSHIP_NAMES},
        }

    shape = replace(kind.shape, fields={**kind.shape.fields, **dict.fromkeys(AUTHORSHIP_NAMES, "")})
    return replace(kind, shape=shape, fields=fields)


def print_versions(
    invocation: Invocation,
    kind: RowKind[VersionView | VersionRow],
    found: Iterable[VersionView | VersionRow | Invalid],
    asked: TableOptions,
    *,
    otherwise: str,
) -> None:
    """Print the versions *found*, notes about pending changes, and a warning for each unreadable version.

    *otherwise* is the line for an empty list. *found* may contain a `VersionRow` only if *asked* names no columns.
    """
    if not AUTHORSHIP_NAMES.keys().isdisjoint(name.strip() for name in asked.columns.split(",")):
        kind = _with_authors(kind, invocation.client.authorships())
    pending: dict[tuple[str, StageState], None] = {}

    def noted() -> Iterator[VersionView | VersionRow | Invalid]:
        for view in found:
            if not isinstance(view, Invalid) and view.pending:
                pending.update(dict.fromkeys((view.model, state) for state in view.pending))
            yield view

    print_rows(invocation.output, kind, noted(), asked, otherwise=otherwise)
    note_pending(invocation, pending)
