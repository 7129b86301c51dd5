"""Pictures among the artifacts, each a file named by its digest. Only sites that may show artifacts have them."""

from __future__ import annotations

from gitmodel.errors import NotFound
from gitmodel.web.page import Page
from gitmodel.web.registry_data.registry_data import RegistryData


def read(registry: RegistryData, file: str) -> bytes:
    """Return the bytes of the picture *file*. Raises NotFound."""
    data = registry.picture_bytes(file)
    if data is None:
        raise NotFound(f"no version has the picture {file!a}", hint="pictures are shown with --artifacts")
    return data


PAGE = Page("picture", "/assets/{file}", read, lambda registry: ({"file": file} for file in registry.pictures))
