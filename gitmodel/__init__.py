"""A model registry that lives in git.

>>> from gitmodel import Client, ModelConfig, pipeline, step

The registry:

    Client                    opens a registry, and leads to its models, versions, stages and runs
    Model                     describes a model to register, or is the handle of a registered one
    ModelVersion              the handle of a version
    Artifact                  the handle of an artifact: loads it, gives its file and metadata
    ModelStages               the names of the stages
    log_model_metadata        sets metadata of a version, from a script or a step
    log_artifact_metadata     sets metadata of an artifact, from a script or a step

Changes of the rules of stages, for `client.propose(rules=[...])`:

    AddStage                  adds a stage
    UpdateStage               changes the settings of a stage
    RemoveStage               removes a stage
    AddGate                   adds a gate to a stage
    RemoveGate                removes a gate from a stage

Pipelines:

    step                      makes a step of a function
    pipeline                  makes a pipeline of a function that calls steps
    ModelConfig               the model and version that a pipeline or step works on
    get_step_context          returns the context of the running step: its version, its run
    ArtifactConfig            the name, kind and format of an output
    ModelArtifactConfig       like ArtifactConfig, for an output that is a model object
    DeploymentArtifactConfig  like ArtifactConfig, for an output that is a deployment
    ExternalArtifact          an artifact of an existing version as an input
    Secret                    a parameter that is never recorded
    reproduce                 runs the pipeline of a version again and compares the results

Types of pipelines, in `gitmodel.pipelines`: `Pipeline` (`run`, `with_options`, `read_parameters`),
`Step` (`with_options`), `Run` (`outputs`, `steps`, `versions`), `StepContext` (`model_version`,
`link_artifact`).

Errors, each with a message, a hint and an exit code:

    GitModelError             the base class of all others
    UsageError                the request is wrong
    NotFound                  the named object does not exist
    Conflict                  another writer was faster, or a name is taken
    Invalid                   a record or an artifact is damaged
    Refused                   a rule of the registry refuses the change
    GateRefused               a version does not meet the rules of the stage
    Unreachable               the store or the remote cannot be reached
    RunFailed                 a step of a run failed
    RenumberedWarning         warns that a pull gave a number to another version

Modules: `gitmodel.formats` for artifact files, `gitmodel.pipelines` for materializers and types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitmodel.version import __version__ as __version__

if TYPE_CHECKING:
    from gitmodel.client import Artifact, Client, Model, ModelStages, ModelVersion
    from gitmodel.domain.changes.rule_edits import AddGate, AddStage, RemoveGate, RemoveStage, UpdateStage
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
    from gitmodel.pipelines.reproduction.reproducing import reproduce

# The modules in which a public name is searched, in this order. Modules that take long to import are last.
_HOMES = ("errors", "client", "domain.changes.rule_edits", "pipelines", "pipelines.reproduction.reproducing")

__all__ = [
    "AddGate",
    "AddStage",
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
    "RemoveGate",
    "RemoveStage",
    "RenumberedWarning",
    "RunFailed",
    "Secret",
    "Unreachable",
    "UpdateStage",
    "UsageError",
    "get_step_context",
    "log_artifact_metadata",
    "log_model_metadata",
    "pipeline",
    "reproduce",
    "step",
]

_MODULES = ("formats", "pipelines")

# Names of ZenML and MLflow that gitmodel does not have, each with the code to write in gitmodel. Errors show this code.
_OTHER_NAMES = {
    **dict.fromkeys(("DataArtifactConfig", "ArtifactType"), 'write ArtifactConfig(name="train", kind="data")'),
    "EndpointArtifactConfig": 'write DeploymentArtifactConfig(name="api")',
    "get_pipeline_context": "use get_step_context() in a step",
    "load_artifact": 'write Client().get_version("demo@3").get_artifact("NAME").load()',
    "log_metadata": "use log_model_metadata or log_artifact_metadata",
    **dict.fromkeys(
        ("log_metric", "log_metrics", "start_run"),
        'write `with Client().start_run("train") as run:`, and in it run.log_metadata(accuracy=0.9)',
    ),
    **dict.fromkeys(
        ("log_param", "log_params"),
        'write `with Client().start_run("train") as run:`, and in it run.log_parameters(depth=3)',
    ),
    "log_step_metadata": "use log_model_metadata: metadata belongs to a version or an artifact",
    **dict.fromkeys(
        ("link_artifact_to_model", "register_artifact", "save_artifact"),
        'return the value from a step, or write Client().get_version("demo@3").link_artifact("NAME", VALUE)',
    ),
}


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])


def __getattr__(name: str) -> Any:
    # Imported here, so that importing this package is fast: `git model --version` needs none of the modules below.
    import importlib
    import sys

    if name in _MODULES:
        return importlib.import_module(f"gitmodel.{name}")
    for home in _HOMES if name in __all__ else ():
        module = importlib.import_module(f"gitmodel.{home}")
        if hasattr(module, name):  # False while the module is only partly imported, in a circular import
            return getattr(module, name)
    if name not in _OTHER_NAMES:
        raise AttributeError(f"module 'gitmodel' has no attribute {name!r}")
    said = f"gitmodel has no {name}: {_OTHER_NAMES[name]}"
    # Python replaces an AttributeError in `from gitmodel import NAME` by an ImportError without the message above.
    if sys._getframe(1).f_code.co_name == "_handle_fromlist":
        raise ImportError(said, name="gitmodel")
    raise AttributeError(said)
