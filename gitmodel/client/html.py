"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def html_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    from html import escape  # imported here: only notebooks need it

    def cells(tag: str, row: Sequence[Any]) -> str:
        return "".join(f"<{tag}>{escape('' if cell is None else str(cell))}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}</tbody></table>"
