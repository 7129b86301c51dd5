"""Pictures among the artifacts, each as a file named by its digest.

Only sites that may show artifacts have these files.
"""

from __future__ import annotations

from collections.abc import Iterable

from gitmodel.errors import NotFound
from gitmodel.web.page import Page, Parameters
from gitmodel.web.registry_data.registry_data import RegistryData


def read(registry: RegistryData, file: str) -> bytes:
    """Return the bytes of the picture *file*. Raises NotFound."""
    data = registry.picture_bytes(file)
    if data is None:
        raise NotFound(f"no version has the picture {file!a}", hint="pictures are shown with --artifacts")
    return data


def list_pictures(registry: RegistryData) -> Iterable[Parameters]:
    """Yield the parameters of each picture of a version that has a page."""
    return ({"file": file} for file in registry.pictures)


PAGE = Page("picture", "/assets/{file}", read, list_pictures)
