"""`@pipeline`: makes a pipeline of a function that calls steps. Calling the pipeline builds the graph and runs it."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, overload

from gitmodel.client import Client
from gitmodel.client.handles.run_handle import Run
from gitmodel.client.script_runs.result_line import print_result
from gitmodel.domain.arguments.checking import checked
from gitmodel.domain.arguments.names_of_other_tools import shows_our_form
from gitmodel.domain.secrets.credentials import refuse_credentials
from gitmodel.domain.secrets.secret_values import AS_SECRET, HIDDEN, Secret
from gitmodel.errors import GitModelError, UsageError
from gitmodel.formats.loading import is_loading
from gitmodel.pipelines.active_runs.run_records import Job, Listener, find_file, find_source
from gitmodel.pipelines.declarations.config import ModelConfig, check_options
from gitmodel.pipelines.declarations.decorated_functions import check_function, name_of
from gitmodel.pipelines.declarations.graph import building, read_parameter
from gitmodel.pipelines.declarations.steps import is_building
from gitmodel.pipelines.execution.running import run_job
from gitmodel.pipelines.step_context.current_step import current_step
from gitmodel.pipelines.workers.step_modules import is_importing
from gitmodel.registry.recorded_runs.new_runs import refuse_inside_run

log = logging.getLogger("gitmodel.pipelines")

_OPTIONS = frozenset({"client", "executor", "listener"})
_SETTING = "gitmodel.executor"
# The options of a pipeline that `with_options` can change.
_CALL_OPTIONS = ("model_config", "enable_cache", "on_failure", "executor")
# The limit of characters of all parameters together, because the record of a run, which has them, has at most 64 KiB.
_LONGEST_PARAMETERS = 16_000


@shows_our_form
class Pipeline:
    """A pipeline, made of a function that calls steps. Calling the pipeline runs the steps."""

    _other_names: ClassVar[Mapping[str, str]] = {"configure": "write with_options(...), which returns another pipeline"}

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        model_config: ModelConfig | None,
        enable_cache: bool,
        on_failure: Callable[[GitModelError], Any] | None,
        executor: Any,
    ) -> None:
        check_function(function, "pipeline")
        functools.update_wrapper(self, function)
        self.function = function
        self.name = name_of(function, name, "pipeline")
        self.model_config = model_config
        self.enable_cache = enable_cache
        self.on_failure = on_failure
        self.executor = executor
        parameters = inspect.signature(function).parameters
        for parameter in parameters.values():
            if parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
                raise UsageError(
                    f"pipeline {self.name} takes {parameter}, which has no name to record",
                    hint="use only parameters that can be passed by name",
                )
        taken = _OPTIONS & set(parameters)
        if taken:
            raise UsageError(
                f"pipeline {self.name} has a parameter {min(taken)}, which is an option of every pipeline",
                hint="rename it",
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Run | None:
        """Run the pipeline with the arguments as its parameters, as `run` does."""
        return self.run(**self._bind(args, kwargs))

    def with_options(self, **options: Any) -> Pipeline:
        """Return a copy of the pipeline with other *options*: *model_config*, *enable_cache*, *executor*, *on_failure*.

        The name cannot be changed, because `git model reproduce` finds the pipeline by its name. The original pipeline
        keeps its options. Raises UsageError for an unknown option.

        >>> train.with_options(enable_cache=False, executor="threads")(rounds=5)            # doctest: +SKIP
        """
        check_options(
            f"pipeline {self.name}",
            options.get("model_config"),
            {name: value for name, value in options.items() if name not in _CALL_OPTIONS},
            _CALL_OPTIONS,
        )
        now = {name: getattr(self, name) for name in _CALL_OPTIONS}
        made: Pipeline = pipeline(name=self.name, **{**now, **options})(self.function)
        return made

    def run(
        self,
        *,
        client: Client | None = None,
        executor: Any = None,
        listener: Listener | None = None,
        **parameters: Any,
    ) -> Run | None:
        """Call the function to build the graph of steps, check the graph, run the steps, and commit the results.

        *client* has the registry, by default `Client()`. *executor* is "in-order", "threads", "processes", "dask",
        "dask:ADDRESS", any Executor or a Dask client. The default is the first of these that is set: the environment
        variable `GITMODEL_EXECUTOR`, the executor of the pipeline, `git config gitmodel.executor`; otherwise
        "in-order". gitmodel calls *listener* at each event of a step, with the event, the name of the step, and the
        seconds that the step took. The events are "started", "succeeded", "cached", "failed", "retrying" (the step
        failed and has retries left) and "again" (the step runs again, because its worker died). Without a listener,
        gitmodel prints one line on stderr after a run that succeeded: the version, the registry and the code.
        `GITMODEL_QUIET=1` suppresses the line.

        If a worker imports the script to find its steps, and the script calls this method, returns None and runs
        nothing. Does the same, with a warning, if loading an artifact imports the script.

        Raises UsageError before the first step for a pipeline that cannot run, RunFailed if a step fails, and Conflict
        and other errors if the results cannot be committed. If the function of the pipeline raises an error, no step
        runs, and the caller gets this error.
        """
        if self._is_only_imported():
            return None
        job = self.job(parameters, listener=listener)
        with nullcontext(client) if client else Client() as opened:
            script, module = find_source(self.function, opened)
            job = replace(job, script=script, module=module)
            settings = (os.environ.get("GITMODEL_EXECUTOR"), self.executor, opened.repository.config.get(_SETTING))
            chosen = executor if executor is not None else next(filter(None, settings), None)
            try:
                done = run_job(opened, job, chosen)
            except GitModelError as error:
                self._call_on_failure(error)
                raise
            if listener is None and done.code is not None:
                used = sorted({one.version for one in done.steps if one.version})
                made = [version for version in done.versions if version not in used]
                print_result(opened.repository, os.environ, done.id, made=made, used=used, code=done.code)
        if done.versions and find_file(self.function) is None:
            log.warning(
                "`git model reproduce` will not be able to repeat %s, because pipeline %s is not in a file "
                "(in a notebook, write it to one in the repository with %%%%writefile, and import it)",
                done.versions[0],
                self.name,
            )
        return done

    def read_parameters(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the parameters in a TOML or YAML file, converted to the annotated types of the pipeline's parameters.

        A parameter that is annotated `Secret` becomes a Secret. Raises UsageError for a parameter that the pipeline
        does not have, or whose value does not fit its annotation. Raises NotFound for a missing file, and Invalid for a
        file that cannot be read.

        >>> train.run(**train.read_parameters("params.toml"))                # doctest: +SKIP
        """
        # imported here, because only files of parameters need it
        from gitmodel.pipelines.parameters.annotated_parameters import from_file

        return from_file(self.function, Path(path))

    def job(
        self, parameters: Mapping[str, Any], *, listener: Listener | None = None, secrets: Iterable[Secret] = ()
    ) -> Job:
        """Call the function of the pipeline with *parameters*, check the graph of its steps, and return the job to run.

        gitmodel never records the values of *secrets*, even if they occur in other parameters. The run calls *listener*
        as `run` describes. Raises UsageError for wrong *parameters*, Refused for a parameter that looks like a
        credential and is no Secret, and the errors that the function raises.
        """
        if is_building() or current_step() is not None:
            raise UsageError(
                f"pipeline {self.name} is called inside a pipeline", hint="call its steps, or run it separately"
            )
        refuse_inside_run(f"pipeline {self.name}")
        with building() as graph:
            graph.known.secrets += [value for value in (*parameters.values(), *secrets) if isinstance(value, Secret)]
            read = self._read_parameters(parameters)
            graph.known.given += [value for value in read.values() if not isinstance(value, Secret)]
            self.function(**parameters)
        # Checked after the call: a parameter from which the function has made a Secret is hidden, and so it is allowed.
        refuse_credentials(graph.known.values().hide_parameters(read), f"pipeline {self.name}", AS_SECRET)
        graph.refuse_credentials()
        if not graph.nodes:
            raise UsageError(f"pipeline {self.name} calls no step", hint="decorate the functions it calls with @step")
        return Job(self.name, graph, read, self.model_config, self.enable_cache, listener)

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r})"

    def _is_only_imported(self) -> bool:
        """Return True while a worker imports the script, or, with a warning, while loading an artifact imports it."""
        if is_importing(self.function.__module__):
            return True
        if is_loading():
            log.warning(
                "pipeline %s is not run: it was called while an artifact was loaded, which imports %s "
                "(call it below `if __name__ == '__main__':`)",
                self.name,
                self.function.__module__,
            )
            return True
        return False

    def _call_on_failure(self, failure: GitModelError) -> None:
        """Call *on_failure* with *failure*. If it raises a GitModelError, the caller gets this error instead.

        Other errors of *on_failure* are only logged, so that the caller gets *failure*.
        """
        if self.on_failure is None:
            return
        try:
            self.on_failure(failure)
        except GitModelError:
            raise
        except Exception:
            log.exception("on_failure of pipeline %s failed", self.name)

    def _bind(self, args: Any, kwargs: Any) -> dict[str, Any]:
        signature = inspect.signature(self.function)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            hint = f"its parameters are {signature}" if signature.parameters else "it has no parameters"
            raise UsageError(f"pipeline {self.name} was called with wrong arguments: {error}", hint=hint) from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def _read_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        read = {
            name: HIDDEN if isinstance(value, Secret) else read_parameter(f"pipeline {self.name}", name, value)
            for name, value in self._bind((), parameters).items()
        }
        read = {name: value for name, value in read.items() if value is not None}
        try:
            json.dumps(read, ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"a parameter of pipeline {self.name} holds an incomplete character (a lone surrogate)",
                hint="remove it",
            ) from None
        if len(repr(read)) > _LONGEST_PARAMETERS:
            raise UsageError(
                f"the parameters of pipeline {self.name} are too long to be recorded",
                hint="put long values into a file that a step reads",
            )
        return read


@overload
def pipeline(function: Callable[..., Any]) -> Pipeline: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool = True,
    on_failure: Callable[[GitModelError], Any] | None = None,
    executor: Any = None,
) -> Callable[[Callable[..., Any]], Pipeline]: ...
@checked
def pipeline(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    model_config: ModelConfig | None = None,
    enable_cache: bool = True,
    on_failure: Callable[[GitModelError], Any] | None = None,
    executor: Any = None,
    **unknown: Any,
) -> Any:
    """Create a pipeline from a function that calls steps.

    *model_config* selects the version that the steps work on. If *enable_cache* is True, gitmodel skips steps that ran
    before with the same code and inputs. gitmodel calls *on_failure* with the error of a failed run. *executor* is the
    default executor (see `Pipeline.run`).

    Call the pipeline with its parameters to run it: `train(rounds=5)`, or `train.run(rounds=5, executor="threads")`.
    Both return the `Run`, with its `outputs`, `steps` and `versions`. `train.with_options(...)` returns a copy with
    other options, and `train.read_parameters("params.toml")` returns the parameters in a file.
    `help(gitmodel.pipelines.Pipeline)` describes these methods, and `help(gitmodel.pipelines.Run)` the run.

    Raises UsageError for an unknown option, for a parameter without a name, and for a function that is async, a
    generator, a method or a partial.

    >>> @pipeline(enable_cache=False)
    ... def train() -> None: ...
    >>> train
    Pipeline('train')
    """
    check_options(f"pipeline {name}" if name else "@pipeline", model_config, unknown, ("name", *_CALL_OPTIONS))

    make = functools.partial(
        Pipeline,
        name=name,
        model_config=model_config,
        enable_cache=enable_cache,
        on_failure=on_failure,
        executor=executor,
    )
    return make if function is None else make(function)
