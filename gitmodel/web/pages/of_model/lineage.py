"""The lineage of the versions of a model that are in use: as a drawing, and as a tree of text lines."""

from __future__ import annotations

from gitmodel.domain.views.lineage import Lineage, depth, nearest
from gitmodel.domain.views.lineage_drawing import in_stages, tree
from gitmodel.errors import GitModelError
from gitmodel.frozen import Frozen
from gitmodel.svg.lineage_graph import MOST_NODES
from gitmodel.web.page import Page
from gitmodel.web.pages.of_model.model import list_models
from gitmodel.web.pages.parts.stage_pills import stage_pills
from gitmodel.web.registry_data.registry_data import MOST_SHARED, RegistryData

# The greatest number of versions with a section on the page; `git model lineage` shows the lineage of any version.
MOST_VERSIONS = 10
# The greatest number of depths that a reader of the page can choose from.
MOST_DEPTHS = 5
# The greatest number of versions in a stage or with an alias that a section lists as made from its version (`in_use`).
_MOST_IN_USE = 50


class VersionLineage(Frozen):
    """The lineage of the version *number*, which is in the stages and aliases *places*.

    *lineage* has only the nodes nearest to the version; *more_nodes* is the number of nodes that it leaves out.
    *in_use* are other versions that were made from this version or have one of its artifacts, if they are in a stage or
    have an alias. *fault* is the reason why *lineage* is None. A reader of the page can limit the drawing to a number
    of runs in each direction; *depths* are these numbers. If an artifact of the version is in more than 1,000 versions,
    *shared* is the number of these versions, and *lineage* has only what the version was made from.
    """

    number: int
    places: tuple[str, ...]
    lineage: Lineage | None
    more_nodes: int
    in_use: tuple[str, ...]
    tree: tuple[str, ...]
    fault: str
    shared: int = 0
    depths: tuple[int, ...] = ()


class LineagePage(Frozen):
    """The lineage of the versions of *model* that are in a stage, have an alias or are the latest."""

    model: str
    title: str
    versions: tuple[VersionLineage, ...]
    others: int


def read(registry: RegistryData, model: str) -> LineagePage:
    """Return the value of the page of *model*. Raises NotFound."""
    view = registry.model(model)
    places: dict[int, list[str]] = {}
    for pill in stage_pills(registry, model):
        if pill.version is not None:
            places.setdefault(pill.version, []).append(pill.name)
    if view.latest is not None:
        places.setdefault(view.latest, []).append("latest")
    found = tuple(
        _lineage(registry, model, number, tuple(held)) for number, held in list(places.items())[:MOST_VERSIONS]
    )
    return LineagePage(model, view.record.title, found, len(registry.existing(model)) - len(found))


def _lineage(registry: RegistryData, model: str, number: int, places: tuple[str, ...]) -> VersionLineage:
    view = registry.versions(model).get(number)  # None for a damaged record
    links = view.record.artifacts if view is not None else ()
    shared = max((registry.count_holders(link.digest) for link in links), default=0)
    try:
        # If an artifact is in thousands of versions, finding what was made from each takes a second, and a drawing
        # cannot show so many.
        lineage = registry.lineage(model, number, shared <= MOST_SHARED)
    except GitModelError as error:
        return VersionLineage(number, places, None, 0, (), (), error.message)
    part = nearest(lineage, MOST_NODES)
    left = len(lineage.nodes) - len(part.nodes)
    others = [held for held in in_stages(lineage) if held.partition(" ")[0] != lineage.root]
    return VersionLineage(
        number,
        places,
        part,
        left,
        tuple(others[:_MOST_IN_USE]),
        tuple(tree(part)),
        "",
        shared if lineage.down is None else 0,
        tuple(range(1, min(depth(part), MOST_DEPTHS + 1))),
    )


PAGE = Page("lineage", "/m/{model}/lineage", read, list_models, "lineage.html", label="Lineage")
