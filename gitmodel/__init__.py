"""gitmodel: a model registry that lives in git.

>>> from gitmodel import Client, Model, ModelStages
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gitmodel.client import Artifact, Client, Model, ModelStages, ModelVersion
    from gitmodel.errors import (
        Conflict,
        GitModelError,
        Invalid,
        NotFound,
        Refused,
        Unreachable,
        UsageError,
    )

_HOMES = {
    "gitmodel.client": ("Artifact", "Client", "Model", "ModelStages", "ModelVersion"),
    "gitmodel.errors": ("Conflict", "GitModelError", "Invalid", "NotFound", "Refused", "Unreachable", "UsageError"),
}

__all__ = [
    "Artifact",
    "Client",
    "Conflict",
    "GitModelError",
    "Invalid",
    "Model",
    "ModelStages",
    "ModelVersion",
    "NotFound",
    "Refused",
    "Unreachable",
    "UsageError",
]


def __getattr__(name: str) -> Any:
    # `git model --version` imports this package and nothing else of it.
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'gitmodel' has no attribute {name!r}")
