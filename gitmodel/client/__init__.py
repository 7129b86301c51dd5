"""Client and the handles it gives out: the registry as Python objects that read again when the branch has moved."""

from gitmodel.client.client import Client
from gitmodel.client.handles import Artifact, Model, Models, ModelVersion, Versions
from gitmodel.client.model_stages import ModelStages

__all__ = ["Artifact", "Client", "Model", "ModelStages", "ModelVersion", "Models", "Versions"]
