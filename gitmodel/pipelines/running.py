"""The coordinator of a run: it alone talks to git, gives out numbers and writes; workers only run steps."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gitmodel.client import Client
from gitmodel.domain.records import RunRecord, RunRules, StepRecord
from gitmodel.domain.runs import run_id
from gitmodel.errors import GitModelError, UsageError
from gitmodel.pipelines.caching import cache_key
from gitmodel.pipelines.config import ExternalArtifact, ModelConfig, Secret
from gitmodel.pipelines.executors import Place, open_executor
from gitmodel.pipelines.graph import Graph, Node, Output
from gitmodel.pipelines.outcome import Target, commit_run, find_targets
from gitmodel.pipelines.worker import Request, Result, run_step
from gitmodel.registry import versions as registry_versions
from gitmodel.storage.journal import Journal, RunJournal

log = logging.getLogger("gitmodel.pipelines")

# A step whose worker died is run once more: the death may have been another step's.
_TRIES = 2
Listener = Callable[[str, str, float], None]


class RunFailed(GitModelError):
    """A step failed; nothing but the failed run was recorded. *run* is its id, *traceback* the step's own."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", run: str = "", step: str = "", traceback: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run
        self.step = step
        self.traceback = traceback


@dataclass(frozen=True)
class Run:
    """A run that is over: its *id*, the *versions* it made or worked on (`demo@1`), and the record of each step."""

    id: str
    status: str
    versions: tuple[str, ...]
    steps: tuple[StepRecord, ...]

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status!r})"


@dataclass
class Work:
    """Everything about a run that is under way."""

    id: str
    pipeline: str
    started: datetime
    graph: Graph
    parameters: dict[str, Any]
    targets: dict[str, Target]
    results: dict[str, Result] = field(default_factory=dict)
    failed: str = ""
    status: str = "running"


def run_graph(
    client: Client,
    pipeline: str,
    graph: Graph,
    *,
    parameters: dict[str, Any],
    model_config: ModelConfig | None,
    enable_cache: bool,
    executor: str | Executor | None,
    listener: Listener | None = None,
) -> Run:
    """Run the steps of *graph*, and commit what they made and planned in one transaction.

    Raises UsageError before anything runs, RunFailed if a step fails, KeyboardInterrupt if it was interrupted.
    """
    needs = graph.needs()
    for node in graph.nodes.values():
        node.step.specs()
    moment = client.writer.moment()
    id = run_id(pipeline, moment, secrets.token_hex(2))
    _resolve_inputs(client, graph)
    with open_executor(executor or os.environ.get("GITMODEL_EXECUTOR")) as place:
        if not place.shares:
            _check_reachable(graph, place.name)
        targets = find_targets(client, graph, model_config)
        work = Work(id, pipeline, moment, graph, parameters, targets)
        journal = Journal(client.repository.common_dir)
        with journal.open_run(id, {"pipeline": pipeline, "started": moment.isoformat(), "pid": os.getpid()}) as notes:
            coordinator = _Coordinator(client, work, place, journal, enable_cache, listener or _quiet)
            try:
                coordinator.run(needs)
                return _finish(client, work, place, notes)
            except BaseException as error:
                if work.status == "running":
                    work.status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
                    _finish(client, work, place, notes)
                raise


class _Coordinator:
    """Submits every step whose inputs are there, until all have run or one failed."""

    def __init__(
        self, client: Client, work: Work, place: Place, journal: Journal, enable_cache: bool, listener: Listener
    ) -> None:
        self._client = client
        self._work = work
        self._place = place
        self._journal = journal
        self._enable_cache = enable_cache
        self._listener = listener
        self._tries: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._store = {"url": client.store_url, "root": str(client.store_root)}

    def run(self, needs: dict[str, set[str]]) -> None:
        """Run all steps; returns when all are done, or after the first failed and those under way have ended."""
        waiting = dict(needs)
        running: dict[Future[Any], str] = {}
        results = self._work.results
        while (waiting and not self._work.failed) or running:
            ready = [name for name, before in waiting.items() if before <= set(results)]
            for name in ready if not self._work.failed else []:
                del waiting[name]
                self._begin(name, running)
                if self._work.failed:
                    break
            if not running:
                continue
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                self._end(running.pop(future), future, running)

    def _begin(self, name: str, running: dict[Future[Any], str]) -> None:
        node = self._work.graph.nodes[name]
        request = self._request(node)
        if self._cached(node, request):
            return
        self._listener("started", name, 0.0)
        self._submit(name, request, running)

    def _submit(self, name: str, request: Request, running: dict[Future[Any], str]) -> None:
        node = self._work.graph.nodes[name]
        self._tries[name] = self._tries.get(name, 0) + 1
        shared = (node.step,) if self._place.shares else ()
        try:
            running[self._place.executor.submit(run_step, request, *shared)] = name
        except (BrokenExecutor, RuntimeError):
            if not self._place.renewed():
                raise
            running[self._place.executor.submit(run_step, request, *shared)] = name

    def _end(self, name: str, future: Future[Any], running: dict[Future[Any], str]) -> None:
        try:
            result: Result = future.result()
        except KeyboardInterrupt:
            raise
        except (Exception, CancelledError) as error:
            if self._tries[name] < _TRIES and not self._work.failed:
                self._submit(name, self._request(self._work.graph.nodes[name]), running)
                return
            described = {"type": type(error).__name__, "message": f"its worker died ({error})", "traceback": ""}
            result = {"status": "failed", "plans": [], "outputs": [], "seconds": 0.0, "error": described}
        self._record(name, result)

    def _record(self, name: str, result: Result) -> None:
        self._work.results[name] = result
        if result["status"] == "failed":
            self._work.failed = self._work.failed or name
        elif result["status"] == "succeeded" and self._keys.get(name):
            self._journal.keep_step(self._keys[name], result)
        self._listener(result["status"], name, result["seconds"])

    def _cached(self, node: Node, request: Request) -> bool:
        enabled = self._enable_cache if node.step.enable_cache is None else node.step.enable_cache
        if not enabled or any(isinstance(value, Secret) for value in node.parameters.values()):
            return False
        digests = {name: ref["digest"] for name, ref in request["inputs"].items()}
        key = cache_key(node.step, node.parameters, digests)
        self._keys[node.name] = key
        found = self._journal.find_step(key) if key else None
        if found is None or not all(self._client.store.holds(output["digest"]) for output in found["outputs"]):
            return False
        version = request["facts"].get("version")
        plans = [{**plan, "model": version["model"], "number": version["number"]} for plan in found["plans"] if version]
        if len(plans) < len(found["plans"]):
            return False
        self._record(node.name, {**found, "plans": plans, "status": "cached", "seconds": 0.0})
        return True

    def _request(self, node: Node) -> Request:
        target = self._work.targets.get(node.name)
        config = target.config if target else None
        return {
            "step": _location(node),
            "store": self._store,
            "inputs": {name: self._reference(value) for name, value in node.inputs.items()},
            "values": dict(node.parameters),
            "config": config.model_dump(exclude_defaults=True) if config else None,
            "facts": {
                "run": self._work.id,
                "pipeline": self._work.pipeline,
                "step": node.name,
                "version": target.facts() if target else None,
            },
        }

    def _reference(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Output):
            outputs = self._work.results[value.node]["outputs"]
            if value.index < 0 or value.index >= len(outputs):
                raise UsageError(
                    f"step {value.node} returned nothing to pass on", hint="annotate and return its output"
                )
            output = outputs[value.index]
            return {**{key: output[key] for key in ("digest", "format", "materializer")}, "trusted": True}
        return dict(value)


def _finish(client: Client, work: Work, place: Place, notes: RunJournal) -> Run:
    """Commit the run, write it down in the journal, and raise RunFailed if a step failed."""
    if work.status == "running":
        work.status = "failed" if work.failed else "succeeded"
    error = work.results[work.failed]["error"] if work.failed else {}
    record = _run_record(client, work, place, error)
    notes.note(steps=[{"name": step.name, "status": step.status} for step in record.steps], error=error)
    commit_run(client, record, work.targets, work.results)
    notes.note(status=work.status)
    if work.status == "failed" and work.failed:
        log.error("step %s of run %s failed\n%s", work.failed, work.id, error.get("traceback", "").rstrip())
        raise RunFailed(
            f"step {work.failed} failed: {error['type']}: {error['message']}",
            hint=f"run `git model runs show {work.id}` to see the run",
            run=work.id,
            step=work.failed,
            traceback=error.get("traceback", ""),
        )
    return Run(work.id, work.status, record.versions, record.steps)


def _run_record(client: Client, work: Work, place: Place, error: dict[str, str]) -> RunRecord:
    rules = client.repository.snapshot().registry().runs or RunRules()
    steps = tuple(_step_record(node, work) for node in work.graph.nodes.values())
    made = {target.reference for target in work.targets.values()} if work.status == "succeeded" else set()
    kept = {target.reference for target in work.targets.values() if target.new and target.keeps_failed}
    return RunRecord(
        id=work.id,
        pipeline=work.pipeline,
        status=work.status,
        started=work.started,
        finished=max(work.started, client.writer.moment()),
        executor=place.name,
        python=platform.python_version(),
        packages=_keep_packages(client),
        failed_step=work.failed or None,
        error=_error_text(error, rules),
        traceback=error.get("traceback", "")[-8000:] if rules.record_traceback else "",
        versions=tuple(sorted(made or kept)),
        code=client.read_code(),
        parameters={name: value for name, value in work.parameters.items() if value is not None},
        steps=steps,
    )


def _error_text(error: dict[str, str], rules: RunRules) -> str:
    # A message can hold paths, host names and secrets; history is for ever.
    return f"{error['type']}: {error['message']}" if error and rules.record_traceback else error.get("type", "")


def _step_record(node: Node, work: Work) -> StepRecord:
    result = work.results.get(node.name)
    inputs = {}
    for name, value in node.inputs.items():
        if isinstance(value, Output):
            outputs = work.results.get(value.node, {}).get("outputs", [])
            if 0 <= value.index < len(outputs):
                inputs[name] = outputs[value.index]["digest"]
        else:
            inputs[name] = dict(value)["digest"]  # type: ignore[call-overload]
    parameters = {name: value for name, value in node.recorded_parameters().items() if value is not None}
    return StepRecord(
        name=node.name,
        status=result["status"] if result else "skipped",
        seconds=round(result["seconds"], 3) if result else 0.0,
        parameters=parameters,
        inputs=inputs,
        outputs={output["name"]: output["digest"] for output in result["outputs"]} if result else {},
    )


_packages: dict[str, str] = {}


def _keep_packages(client: Client) -> str | None:
    """The digest of the list of installed packages, `name==version` a line, in the store."""
    import io
    from importlib.metadata import distributions

    if client.store.url not in _packages:
        found = {f"{item.metadata['Name']}=={item.version}" for item in distributions() if item.metadata["Name"]}
        text = "".join(f"{line}\n" for line in sorted(found, key=str.casefold))
        _packages[client.store.url] = client.store.put_stream(io.BytesIO(text.encode()))[0]
    return _packages[client.store.url]


def _resolve_inputs(client: Client, graph: Graph) -> None:
    """Pin every artifact of an existing version that a step takes to its digest."""
    for node in graph.nodes.values():
        for name, value in node.inputs.items():
            if isinstance(value, ExternalArtifact):
                model, record = registry_versions.resolve(client.writer, value.ref)
                link = registry_versions.find_artifact(record, model, value.name)
                pinned: Any = {"digest": link.digest, "format": link.format, "materializer": "", "trusted": False}
                node.inputs[name] = pinned


def _location(node: Node) -> dict[str, str]:
    function = node.step.function
    main = sys.modules.get("__main__")
    file = os.path.realpath(getattr(main, "__file__", "") or "") if function.__module__ == "__main__" else ""
    return {"module": function.__module__, "qualname": function.__qualname__, "file": file}


def _check_reachable(graph: Graph, executor: str) -> None:
    """Raises UsageError for steps that another process could not find by name."""
    for node in graph.nodes.values():
        where = _location(node)
        if where["module"] == "__main__" and not os.path.isfile(where["file"]):
            raise UsageError(
                f"step {node.name} lives in a notebook or prompt, where {executor} workers cannot find it",
                hint="write it to a file with `%%writefile steps.py` and import it, or use the executor 'threads'",
            )
        if "<locals>" in where["qualname"] or "<lambda>" in where["qualname"]:
            raise UsageError(
                f"step {node.name} is defined inside a function, where {executor} workers cannot find it",
                hint="define it at the top of a module, or use the executor 'threads'",
            )


def _quiet(event: str, step: str, seconds: float) -> None:
    """Nobody listens."""
