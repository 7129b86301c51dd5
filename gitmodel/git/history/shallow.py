"""The edge of a shallow clone, as git keeps it in the file `shallow`: commits whose parents git hides."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from gitmodel.domain.schema.object_ids import Oid


def read_edge(common_dir: Path) -> frozenset[Oid]:
    """Return the commits at which the history of the clone was cut off, even if their parents exist."""
    try:
        text = (common_dir / "shallow").read_text(encoding="ascii")
    except OSError:
        return frozenset()
    return frozenset(cast("list[Oid]", text.split()))
