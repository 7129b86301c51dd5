"""The page that compares versions of a model.

A script in the browser fills the page from the data file of the model and the JSON twins of the versions.
"""

from __future__ import annotations

from gitmodel.frozen import Frozen
from gitmodel.web.page import Page
from gitmodel.web.pages.of_model.model import list_models
from gitmodel.web.registry_data.registry_data import RegistryData


class ComparePage(Frozen):
    """The model whose versions are compared, and two versions as an example, or () if it has fewer."""

    model: str
    title: str
    example: tuple[int, ...]


def read(registry: RegistryData, model: str) -> ComparePage:
    """Return the value of the page of *model*. Raises NotFound if there is no such model."""
    example = tuple(sorted(registry.existing(model)[:2]))
    return ComparePage(model, registry.title(model), example if len(example) == 2 else ())


PAGE = Page("compare", "/m/{model}/compare", read, list_models, "compare.html", label="Compare")
