"""gitmodel: a model registry that lives in git.

>>> from gitmodel import Client, Model, ModelStages
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitmodel.version import __version__ as __version__

if TYPE_CHECKING:
    from gitmodel.client import Artifact, Client, Model, ModelStages, ModelVersion
    from gitmodel.errors import (
        Conflict,
        GateRefused,
        GitModelError,
        Invalid,
        NotFound,
        Refused,
        RenumberedWarning,
        Unreachable,
        UsageError,
    )
    from gitmodel.pipelines import (
        ArtifactConfig,
        DeploymentArtifactConfig,
        ExternalArtifact,
        ModelArtifactConfig,
        ModelConfig,
        RunFailed,
        Secret,
        get_step_context,
        log_artifact_metadata,
        log_model_metadata,
        pipeline,
        step,
    )
    from gitmodel.pipelines.reproducing import reproduce

_HOMES = {
    "gitmodel.client": ("Artifact", "Client", "Model", "ModelStages", "ModelVersion"),
    "gitmodel.pipelines": (
        "ArtifactConfig",
        "DeploymentArtifactConfig",
        "ExternalArtifact",
        "ModelArtifactConfig",
        "ModelConfig",
        "RunFailed",
        "Secret",
        "get_step_context",
        "log_artifact_metadata",
        "log_model_metadata",
        "pipeline",
        "step",
    ),
    "gitmodel.pipelines.reproducing": ("reproduce",),
    "gitmodel.errors": (
        "Conflict",
        "GateRefused",
        "GitModelError",
        "Invalid",
        "NotFound",
        "Refused",
        "RenumberedWarning",
        "Unreachable",
        "UsageError",
    ),
}

__all__ = [
    "Artifact",
    "ArtifactConfig",
    "Client",
    "Conflict",
    "DeploymentArtifactConfig",
    "ExternalArtifact",
    "GateRefused",
    "GitModelError",
    "Invalid",
    "Model",
    "ModelArtifactConfig",
    "ModelConfig",
    "ModelStages",
    "ModelVersion",
    "NotFound",
    "Refused",
    "RenumberedWarning",
    "RunFailed",
    "Secret",
    "Unreachable",
    "UsageError",
    "get_step_context",
    "log_artifact_metadata",
    "log_model_metadata",
    "pipeline",
    "reproduce",
    "step",
]


def __getattr__(name: str) -> Any:
    # `git model --version` imports this package and nothing else of it.
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'gitmodel' has no attribute {name!r}")
