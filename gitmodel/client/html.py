"""Tables for notebooks, from views of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from gitmodel.domain.views.record_views import ModelView, VersionView


def fields_table(fields: Iterable[tuple[str, Any]]) -> str:
    """Return a table of *fields* and their values, without empty ones."""
    return table(("field", "value"), [row for row in fields if row[1] not in ("", [], {}, None)])


def models_table(views: Iterable[ModelView]) -> str:
    """Return a table of models."""
    rows = [(v.name, v.count, v.latest, ", ".join(f"{s.name}: {s.in_force}" for s in v.stages)) for v in views]
    return table(("model", "versions", "latest", "stages"), rows)


def versions_table(views: Sequence[VersionView], total: int | None) -> str:
    """Return a table of versions. If the model has more, the table says so; *total* is their number."""
    rows = [
        (v.record.number, v.record.name, v.stage, ", ".join(v.aliases), v.record.created, v.record.description)
        for v in views
    ]
    found = table(("version", "name", "stage", "aliases", "created", "description"), rows)
    if total is None or total <= len(views):
        return found
    return f"{found}<p>{len(views)} of {total} versions; list_versions() has all</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table with the names *head* of its columns."""

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{escape('' if cell is None else str(cell))}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
