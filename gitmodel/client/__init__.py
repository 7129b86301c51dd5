"""`Client`, and the handles that it returns. A handle reads the metadata branch again if the branch has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitmodel.client.client import Client
    from gitmodel.client.handles.models_and_versions import Artifact, Model, Models, ModelVersion, Versions
    from gitmodel.client.model_stages import ModelStages

_HOMES = {"Client": "client", "ModelStages": "model_stages"}

__all__ = ["Artifact", "Client", "Model", "ModelStages", "ModelVersion", "Models", "Versions"]


def __getattr__(name: str) -> Any:
    # Imported on first use: importing the module of the handles takes 5 ms, and many commands need no handle.
    if name not in __all__:
        raise AttributeError(f"module 'gitmodel.client' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"gitmodel.client.{_HOMES.get(name, 'handles.models_and_versions')}"), name)
