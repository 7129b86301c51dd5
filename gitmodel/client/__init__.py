"""Client and the handles it gives out: the registry as Python objects that read again when the branch has moved."""

from gitmodel.client.artifact import Artifact
from gitmodel.client.client import Client
from gitmodel.client.model import Model, Models, ModelStages
from gitmodel.client.version import ModelVersion, Versions

__all__ = ["Artifact", "Client", "Model", "ModelStages", "ModelVersion", "Models", "Versions"]
