"""Pipelines: `@pipeline`, `@step`, what they may be told, and the run that is recorded of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, overload

from gitmodel.client import Client
from gitmodel.domain import codec
from gitmodel.domain.names import check_name
from gitmodel.domain.runs import refuse_secrets
from gitmodel.errors import UsageError
from gitmodel.pipelines.config import (
    ArtifactConfig,
    DeploymentArtifactConfig,
    ExternalArtifact,
    ModelArtifactConfig,
    ModelConfig,
    Secret,
)
from gitmodel.pipelines.context import (
    StepContext,
    get_step_context,
    log_artifact_metadata,
    log_model_metadata,
)
from gitmodel.pipelines.graph import building, current_graph
from gitmodel.pipelines.materializers import Materializer
from gitmodel.pipelines.running import Listener, Run, RunFailed, run_graph
from gitmodel.pipelines.steps import Step, step
from gitmodel.pipelines.worker import SCRIPT

# A worker that imports the script must not run the pipeline that is called at the script's end.
_WORKER_MODULES = (SCRIPT, "__mp_main__")


class Pipeline:
    """A function that calls steps; calling it runs them."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        model_config: ModelConfig | None,
        enable_cache: bool,
        on_failure: Callable[[RunFailed], Any] | None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.name = check_name(name or function.__name__.strip("_"), "pipeline")
        self.model_config = model_config
        self.enable_cache = enable_cache
        self.on_failure = on_failure

    def __call__(self, *args: Any, **kwargs: Any) -> Run | None:
        """Run the pipeline with these parameters; see `run`."""
        bound = self._bind(args, kwargs)
        return self.run(**bound)

    def run(
        self,
        *,
        client: Client | None = None,
        executor: str | Executor | None = None,
        listener: Listener | None = None,
        **parameters: Any,
    ) -> Run | None:
        """Build the graph by calling the function, check it, run its steps, and commit what they made.

        *executor* is "in-order", "threads", "processes", "dask:ADDRESS" or any Executor; left out, the variable
        `GITMODEL_EXECUTOR` says, else steps run in order. Returns None in a worker that only imports the script.

        Raises UsageError before anything runs, RunFailed if a step fails.
        """
        if self.function.__module__ in _WORKER_MODULES:
            return None
        if current_graph() is not None:
            raise UsageError(
                f"pipeline {self.name} is called inside a pipeline", hint="call its steps, or run it by itself"
            )
        recorded = self._recorded(parameters)
        with building() as graph:
            self.function(**parameters)
        if not graph.nodes:
            raise UsageError(f"pipeline {self.name} calls no step", hint="decorate the functions it calls with @step")
        opened = client or Client()
        try:
            return run_graph(
                opened,
                self.name,
                graph,
                parameters=recorded,
                model_config=self.model_config,
                enable_cache=self.enable_cache,
                executor=executor,
                listener=listener,
            )
        except RunFailed as error:
            if self.on_failure is not None:
                self.on_failure(error)
            raise
        finally:
            if client is None:
                opened.close()

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r})"

    def _bind(self, args: Any, kwargs: Any) -> dict[str, Any]:
        try:
            bound = inspect.signature(self.function).bind(*args, **kwargs)
        except TypeError as error:
            raise UsageError(f"pipeline {self.name} cannot be called so: {error}", hint="see its parameters") from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _recorded(self, parameters: dict[str, Any]) -> dict[str, Any]:
        plain = {
            name: "(secret)" if isinstance(value, Secret) else value
            for name, value in self._bind((), parameters).items()
            if value is not None
        }
        refuse_secrets(plain, f"pipeline {self.name}")
        try:
            return codec.metadata(plain)
        except codec.Wrong as wrong:
            raise UsageError(f"a parameter of pipeline {self.name} {wrong}", hint="pass plain values") from None


@overload
def pipeline(function: Callable[..., Any]) -> Pipeline: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool = True,
    on_failure: Callable[[RunFailed], Any] | None = None,
) -> Callable[[Callable[..., Any]], Pipeline]: ...
def pipeline(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool = True,
    on_failure: Callable[[RunFailed], Any] | None = None,
) -> Any:
    """Make a pipeline of a function that calls steps.

    *model_config* says which version the steps work on; *enable_cache* whether steps that ran before with the same
    code and inputs are not run again; *on_failure* is called with the error of a failed run.

    >>> @pipeline(enable_cache=False)
    ... def train() -> None: ...
    >>> train
    Pipeline('train')
    """

    def made(of: Callable[..., Any]) -> Pipeline:
        return Pipeline(of, name=name, model_config=model_config, enable_cache=enable_cache, on_failure=on_failure)

    return made if function is None else made(function)


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
    "step",
]
