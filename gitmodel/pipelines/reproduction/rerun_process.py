"""The process that runs a recorded pipeline again, in a work tree of its code.

This is a separate process, because it imports the recorded code instead of the current code, and works in the folder of
the recorded code.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pickle
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gitmodel.client import Client
from gitmodel.domain.schema.records import RunRecord
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.errors import GitModelError, NotFound
from gitmodel.frozen import Frozen
from gitmodel.pipelines.active_runs.run_records import find_source
from gitmodel.pipelines.declarations.config import ModelConfig
from gitmodel.pipelines.definition import Pipeline
from gitmodel.pipelines.execution.running import run_job
from gitmodel.pipelines.parameters.annotated_parameters import as_annotated
from gitmodel.pipelines.user_errors import naming_lines
from gitmodel.pipelines.workers.step_modules import import_script


class RerunRequest(Frozen):
    """A request to repeat *run* in the work tree *code*, with the repository *registry*.

    *secrets* has the values of the parameters that the record does not have. *model* is the model of the version to
    reproduce, and *name* is the version's own name, if it has one.
    """

    run: RunRecord
    code: str
    registry: str
    secrets: dict[str, Any]
    executor: str
    model: str
    name: str | None


def main() -> None:
    """Read a request from stdin, run its pipeline, and write the answer to the descriptor in the first argument."""
    request = pickle.load(sys.stdin.buffer)  # safe to unpickle, because the parent process wrote it
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as out:
        sys.argv = [request.run.script]
        # Output of steps goes to stderr, because the parent process reads the answer from a pipe.
        os.dup2(2, 1)
        json.dump(answer(request), out)


def answer(request: RerunRequest) -> dict[str, str]:
    """Run the pipeline of *request*. Return the id of the run as `run`, or the fields of an ErrorText."""
    try:
        return {"run": _run(request)}
    except GitModelError as error:
        return asdict(ErrorText.of(error))
    except (Exception, SystemExit) as error:
        return asdict(ErrorText.with_frames(error, error.__traceback__))


def _run(request: RerunRequest) -> str:
    os.chdir(request.code)
    run = request.run
    pipeline = find_pipeline(Path(request.code, run.script or ""), run.module, run.pipeline)
    recorded = {name: value for name, value in run.parameters.items() if name not in request.secrets}
    # Secrets are given as plain values, because the function may itself make Secrets of its parameters. `job` below
    # hides the values in the record.
    given = {**as_annotated(pipeline.function, recorded), **request.secrets}
    # The record omits parameters that were None.
    missing = [name for name in inspect.signature(pipeline.function).parameters if name not in given]
    secrets = {name: Secret(value) for name, value in request.secrets.items()}
    with naming_lines(secrets):
        job = pipeline.job({**dict.fromkeys(missing), **given}, secrets=secrets.values())
    configs = [job.model_config, *(node.step.model_config for node in job.graph.nodes.values())]
    if not any(config and config.create_new_model_version and config.name == request.model for config in configs):
        # No configuration creates a version of the model: the recorded run had one that was given by `with_options`.
        config = ModelConfig(name=request.model, version=request.name, create_new_model_version=True)
        job = replace(job, model_config=config)
    with Client(request.code, repo=request.registry) as client:
        script, module = find_source(pipeline.function, client)
        inputs = {(step.name, name): digest for step in run.steps for name, digest in step.inputs.items()}
        job = replace(job, script=script, module=module, enable_cache=False, recorded_inputs=inputs, temporary=True)
        return run_job(client, job, request.executor).id


def find_pipeline(file: Path, module: str | None, name: str) -> Pipeline:
    """Import *file* as *module*, or as a script if *module* is None. Return the pipeline *name* in it.

    Raises NotFound if there is no such pipeline.
    """
    if not file.is_file():
        raise NotFound(
            f"{file.name}, which has the pipeline, is not in the recorded commit",
            hint="it was not committed when the run began; commit it, and run the pipeline again",
        )
    if module is None:
        found = import_script(os.path.realpath(file))
    else:
        parts = len(module.split(".")) + (file.name == "__init__.py")
        sys.path.insert(0, str(file.parents[parts - 1]))
        found = importlib.import_module(module)
        if Path(found.__file__ or "").resolve() != file.resolve():
            raise NotFound(
                f"{module} is imported from {found.__file__}, not from the code of the run",
                hint="uninstall that package, or run in an environment without it",
            )
    for value in vars(found).values():
        if isinstance(value, Pipeline) and value.name == name:
            return value
    raise NotFound(f"{file.name} has no pipeline {name!a}", hint="it may be created by a call that is not recorded")


if __name__ == "__main__":
    main()
