"""A lineage that notebooks show as a drawing."""

from __future__ import annotations

from gitmodel.domain.views.lineage import Lineage


class DrawnLineage(Lineage):
    """A lineage that a notebook shows as a graph and as a text tree."""

    def _repr_html_(self) -> str:
        from gitmodel.client import html  # imported here: only notebooks need it

        return html.lineage_drawing(self)
