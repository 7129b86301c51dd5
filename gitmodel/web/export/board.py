"""The first page of a site with several registries: the models of all registries, and the versions in their stages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gitmodel.client.client import Client
from gitmodel.frozen import Frozen
from gitmodel.web.options import SiteOptions
from gitmodel.web.pages.of_registry import models
from gitmodel.web.pages.of_registry.models import ModelsPage
from gitmodel.web.rendering.renderer import Renderer, layout_variables, render_template, twin
from gitmodel.web.shown_text import TextRules


class BoardPart(Frozen):
    """A registry on the board: the folder of its pages, and the value of the page that lists its models."""

    name: str
    page: ModelsPage


class Board(Frozen):
    """The registries of the board, in the order in which they were given."""

    registries: tuple[BoardPart, ...]


# The names of the board's own files and folders. The folder of a registry cannot have one of these names.
_OWN_NAMES = ("assets", "index.html", "index.json")


def by_folder(clients: Sequence[Client]) -> dict[str, Client]:
    """Return each of *clients* by the name of the folder of the site in which the pages of its registry are.

    The name is the last part of the registry's path or URL. It gets a number if another registry or the board has that
    name.
    """
    found: dict[str, Client] = {}
    for client in clients:
        taken = {*_OWN_NAMES, *(name.casefold() for name in found)}
        name = _last_part(client)
        names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 2)))
        found[next(each for each in names if each.casefold() not in taken)] = client
    return found


def _last_part(client: Client) -> str:
    """Return the last part of the URL or path of the registry, without characters that a folder name cannot have."""
    folder = client.repository.common_dir
    place = client.repository.url or str(folder.parent if folder.name == ".git" else folder)
    last = place.rstrip("/").removesuffix(".git").rpartition("/")[2]
    return re.sub(r"[^\w.-]", "-", last).strip(".") or "registry"


def render_board(renderers: Mapping[str, Renderer], options: SiteOptions) -> dict[str, bytes]:
    """Return the bytes of the board's files by path. *renderers* has those of the registries by folder."""
    board = Board(tuple(BoardPart(name, renderer.value(models.PAGE)) for name, renderer in renderers.items()))

    def address(registry: str, page: str, **to: object) -> str:
        found = renderers[registry].address(page, to)
        return f"{registry}/{found}" if found else ""

    shown = TextRules(public=options.public).value(options)
    variables = layout_variables(shown, "board", "index.html")
    html = render_template("board.html", {**variables, "page": board, "address": address})
    return {"index.html": html, "index.json": twin(board)}
