"""Pipelines: `@pipeline`, `@step`, their configuration, and runs.

Functions and classes:

    step                      makes a step of a function
    Step                      the type of a step
    pipeline                  makes a pipeline of a function that calls steps
    Pipeline                  the type of a pipeline
    Run                       a finished run: its id, versions, steps and outputs
    RunFailed                 the error of a run in which a step failed
    get_step_context          returns the context of the running step
    StepContext               the type of the context: the run, the step and its model version
    log_model_metadata        sets metadata of a version, from a script or a step
    log_artifact_metadata     sets metadata of an artifact, from a script or a step
    ModelConfig               the model and version that a pipeline or step works on
    ArtifactConfig            the name, kind and format of an output
    ModelArtifactConfig       an ArtifactConfig for an output that is a model object
    DeploymentArtifactConfig  an ArtifactConfig for an output that is a deployment
    ExternalArtifact          an artifact of an existing version as an input
    Secret                    a parameter that is never recorded
    Materializer              saves and loads the values of one type
    register_materializer     adds a materializer in this process
"""

from gitmodel.client.handles.run_handle import Run
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.formats.catalogue.format import Materializer
from gitmodel.formats.catalogue.plugins import register_materializer
from gitmodel.pipelines.declarations.config import (
    ArtifactConfig,
    DeploymentArtifactConfig,
    ExternalArtifact,
    ModelArtifactConfig,
    ModelConfig,
)
from gitmodel.pipelines.declarations.steps import Step, step
from gitmodel.pipelines.definition import Pipeline, pipeline
from gitmodel.pipelines.execution.running import RunFailed
from gitmodel.pipelines.step_context.context import StepContext
from gitmodel.pipelines.step_context.current_step import get_step_context, log_artifact_metadata, log_model_metadata

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


def __dir__() -> list[str]:
    return __all__
