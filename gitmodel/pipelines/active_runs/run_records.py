"""The call of a pipeline as a value, the state of an active run, and the record of a run that has ended."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from gitmodel.client import Client
from gitmodel.client.script_runs.executed_cells import store_cells
from gitmodel.domain.schema.records import Code, RunRecord, StepRecord
from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.domain.secrets.credentials import redacted
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.formats.script_names import SCRIPTS
from gitmodel.frozen import Frozen
from gitmodel.pipelines.active_runs.target_versions import Target
from gitmodel.pipelines.declarations.config import ExternalArtifact, ModelConfig
from gitmodel.pipelines.declarations.graph import Graph, Node
from gitmodel.pipelines.declarations.steps import Output, Step
from gitmodel.pipelines.step_context.step_requests import Facts, InputReference
from gitmodel.pipelines.step_context.step_results import StepResult, StoredOutput
from gitmodel.pipelines.workers.step_modules import script_of

Listener = Callable[[str, str, float], None]


class Job(Frozen):
    """The call of a pipeline: its graph, parameters and options.

    *script* and *module* are the results of `find_source`, by which `git model reproduce` finds the pipeline.
    *recorded_inputs* is for reproducing a recorded run. It maps a step and its parameter to the digest that the input
    had in the recorded run. The new run uses the input with this digest instead of the current artifact. *temporary* is
    True if the registry is deleted after the run. *pickle* is the registry's rule `[formats] pickle`.
    """

    pipeline: str
    graph: Graph
    parameters: Mapping[str, Any]
    model_config: ModelConfig | None
    enable_cache: bool
    listener: Listener | None = None
    script: str | None = None
    module: str | None = None
    recorded_inputs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    temporary: bool = False
    pickle: bool = False

    def allows_pickle(self, step: Step[..., Any]) -> bool:
        """Return True if gitmodel may pickle outputs of *step* that no other format can store."""
        return self.pickle if step.pickle is None else step.pickle


def find_source(function: Callable[..., Any], client: Client) -> tuple[str | None, str | None]:
    """Return the path of the file of *function* in the code repository, and its module if that was imported by name.

    Both are None if *function* was defined outside of the code repository, for example in a notebook.
    """
    code, file = client.find_code(), find_file(function)
    if file is None or code is None or not code.worktree or not file.is_relative_to(code.git.top):
        return None, None
    module, script = script_of(inspect.unwrap(function).__module__)
    return file.relative_to(code.git.top).as_posix(), None if script or module in SCRIPTS else module


def find_file(function: Callable[..., Any]) -> Path | None:
    """Return the file that defines *function*; None if *function* was defined at a prompt or in a notebook."""
    file = Path(inspect.unwrap(function).__code__.co_filename)
    return file.resolve() if file.is_file() else None


@dataclass
class ActiveRun:
    """The state of an active run.

    *executor* is the name of the executor. *targets* has the version that each step works on, and *inputs* has the
    inputs that are an `ExternalArtifact`, by step and parameter. *order* has the names of all steps, as the function
    `order` sorts them. *failed* is the step that failed first, or "". *begun* has the `Facts` that the run sent to each
    started step.
    *readers* has the steps that may have read the number of their version. *failed_attempts* has, for each step that
    ran again, the errors of its failed attempts.
    """

    id: str
    job: Job
    executor: str
    started: datetime
    code: Code
    packages: str
    targets: dict[str, Target]
    inputs: dict[tuple[str, str], InputReference]
    order: list[str]
    results: dict[str, StepResult] = field(default_factory=dict)
    failed: str = ""
    status: str = "running"
    begun: dict[str, Facts] = field(default_factory=dict)
    readers: set[str] = field(default_factory=set)
    failed_attempts: dict[str, list[ErrorText]] = field(default_factory=dict)

    def output(self, wanted: Output) -> StoredOutput | None:
        """Return the stored output for *wanted*, an output in the graph; None if the step has not stored it."""
        name, result = self.job.graph.output_name(wanted), self.results.get(wanted.node)
        return next((output for output in (result.outputs if result else ()) if output.name == name), None)


def run_record(client: Client, active: ActiveRun, error: ErrorText | None = None, *, keep: bool = True) -> RunRecord:
    """Return the record of the run *active*, which has ended. *error* is the error of a run that failed.

    If *keep* is False, the record names no failed version, so that gitmodel creates none. Writes the executed cells of
    a notebook to the store.
    """
    rules = client.repository.snapshot().registry().require("runs").runs or RunRules()
    succeeded = active.status == "succeeded"
    versions = {
        target.reference
        for target in active.targets.values()
        if succeeded or (keep and target.new and target.keeps_failed)
    }
    return RunRecord(
        id=active.id,
        pipeline=active.job.pipeline,
        status=active.status,
        started=active.started,
        finished=max(active.started, client.repository.identity.moment()),
        script=active.job.script,
        module=active.job.module,
        executor=redacted(active.executor),
        python=platform.python_version(),
        packages=active.packages,
        cells=store_cells(client.repository.config, rules, client.store, active.job.graph.known.values()),
        failed_step=active.failed or None,
        error=error.line(rules) if error else "",
        traceback=error.recorded_traceback(rules) if error else "",
        versions=tuple(sorted(versions)),
        code=active.code,
        parameters=active.job.graph.known.values().hide_parameters(active.job.parameters),
        steps=tuple(_step_record(active, active.job.graph.nodes[name], rules, versions) for name in active.order),
    )


def _step_record(active: ActiveRun, node: Node, rules: RunRules, versions: Set[str]) -> StepRecord:
    result = active.results.get(node.name)
    inputs = {}
    for name, value in node.inputs.items():
        if isinstance(value, ExternalArtifact):
            inputs[name] = active.inputs[node.name, name].digest
        elif (output := active.output(value)) is not None:
            inputs[name] = output.digest
    for name, digest in (result.read if result else {}).items():  # artifacts that the step loaded from its version
        inputs[name if inputs.get(name, digest) == digest else f"version-{name}"] = digest
    made = result.outputs if result else ()
    target = active.targets.get(node.name)
    # The record of the step omits the kind, size and format of outputs that are linked to a new version: the links of
    # the version have them.
    is_linked = target is not None and target.new and target.reference in versions
    described = () if is_linked else made
    return StepRecord(
        name=node.name,
        status=result.status if result else "skipped",
        version=target.reference if target is not None and not target.new else None,
        seconds=round(result.seconds, 3) if result else 0.0,
        failed_attempts=tuple(
            error.map(active.job.graph.known.values().hide).line(rules)
            for error in active.failed_attempts.get(node.name, ())
        ),
        parameters=node.recorded_parameters(),
        inputs=inputs,
        outputs={output.name: output.digest for output in made},
        kinds={output.name: output.kind for output in described},
        sizes={output.name: output.size for output in described},
        formats={output.name: output.format for output in described},
        files={output.name: output.file for output in described if output.file},
    )


def order(needs: Mapping[str, set[str]]) -> list[str]:
    """Return the steps in the order in which an executor that runs one step at a time runs them.

    *needs* has, for each step, the steps that must run before it. Of the steps that can run, the step that the pipeline
    called first is the next one.
    """
    called = {name: index for index, name in enumerate(needs)}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ordered: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=called.__getitem__)
        ordered.append(ready.pop(0))
        sorter.done(ordered[-1])
    return ordered
