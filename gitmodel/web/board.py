"""The first page of a site with several registries: the models of all, and which versions are in their stages."""

from __future__ import annotations

from collections.abc import Mapping

from gitmodel.frozen import Frozen
from gitmodel.web.options import SiteOptions
from gitmodel.web.pages import models
from gitmodel.web.pages.models import ModelsPage
from gitmodel.web.rendering import Renderer, layout_variables, render_template, twin


class BoardPart(Frozen):
    """A registry of the board: the folder of its pages, and the value of its page of models."""

    name: str
    page: ModelsPage


class Board(Frozen):
    """The registries of the board, in the order in which they were given."""

    registries: tuple[BoardPart, ...]


def render_board(renderers: Mapping[str, Renderer], options: SiteOptions) -> dict[str, bytes]:
    """Return the files of the board. *renderers* has the renderer of each folder, by the name of the folder."""
    parts = []
    for name, renderer in renderers.items():
        parts.append(BoardPart(name, renderer.registry.rules_of_text.value(models.read(renderer.registry))))
    board = Board(tuple(parts))

    def address(registry: str, page: str, **to: object) -> str:
        found = renderers[registry].address(page, to)
        return f"{registry}/{found}" if found else ""

    variables = layout_variables(options, "board", "index.html")
    html = render_template("board.html", {**variables, "page": board, "address": address})
    return {"index.html": html, "index.json": twin(board)}
