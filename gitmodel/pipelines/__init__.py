"""Pipelines: `@pipeline`, `@step`, their configuration, and runs."""

from gitmodel.domain.secret_values import Secret
from gitmodel.formats.format import Materializer
from gitmodel.formats.plugins import register_materializer
from gitmodel.pipelines.config import (
    ArtifactConfig,
    DeploymentArtifactConfig,
    ExternalArtifact,
    ModelArtifactConfig,
    ModelConfig,
)
from gitmodel.pipelines.context import StepContext, get_step_context, log_artifact_metadata, log_model_metadata
from gitmodel.pipelines.definition import Pipeline, pipeline
from gitmodel.pipelines.run_records import Run
from gitmodel.pipelines.running import RunFailed
from gitmodel.pipelines.steps import Step, step

__all__ = [
    "ArtifactConfig",
    "DeploymentArtifactConfig",
    "ExternalArtifact",
    "Materializer",
    "ModelArtifactConfig",
    "ModelConfig",
    "Pipeline",
    "Run",
    "RunFailed",
    "Secret",
    "Step",
    "StepContext",
    "get_step_context",
    "log_artifact_metadata",
    "log_model_metadata",
    "pipeline",
    "register_materializer",
    "step",
]
