"""The scheduler of a run: submits steps to an executor, skips steps with a cached result, and records the results."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import replace
from graphlib import TopologicalSorter
from typing import Any

from gitmodel.branch.runs.run_journal import Journal, RunJournal
from gitmodel.branch.runs.step_logs import keep_files
from gitmodel.client import Client
from gitmodel.domain.schema.names import fold
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.domain.secrets.credentials import OVERRIDE
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import Secret
from gitmodel.errors import Refused, UsageError
from gitmodel.pipelines.active_runs.run_records import ActiveRun
from gitmodel.pipelines.active_runs.target_versions import Target
from gitmodel.pipelines.caching.dependencies import are_stored
from gitmodel.pipelines.caching.step_cache import StepCache
from gitmodel.pipelines.declarations.config import ExternalArtifact
from gitmodel.pipelines.declarations.graph import Node
from gitmodel.pipelines.declarations.steps import Output
from gitmodel.pipelines.project.project_code import ProjectCode
from gitmodel.pipelines.step_context.step_requests import Facts, InputReference, Request, StoreRequest, VersionFacts
from gitmodel.pipelines.step_context.step_results import StepResult, refuse_secrets_in_plans
from gitmodel.pipelines.workers.executors import ExecutorChoice, RunningExecutor
from gitmodel.pipelines.workers.step_modules import location
from gitmodel.pipelines.workers.step_timeouts import run_limited_step
from gitmodel.pipelines.workers.worker import run_step
from gitmodel.registry.named_stores.store_access import open_urls

log = logging.getLogger("gitmodel.pipelines")


class Scheduler:
    """Submits each step to the executor as soon as its inputs exist, until all steps have run or a step failed."""

    def __init__(
        self,
        client: Client,
        active: ActiveRun,
        executor: RunningExecutor,
        choice: ExecutorChoice,
        journal: Journal,
        run_journal: RunJournal,
        scratch: str,
    ) -> None:
        self._client = client
        self._active = active
        self._executor = executor
        self._shares = choice.shares
        self._runs_alone = choice.name in ("in-order", "processes")
        self._journal = journal
        self._run_journal = run_journal
        self._scratch = scratch
        self._keeps_values = (self._shares or bool(scratch)) and not active.job.temporary
        code = client.find_code()
        # The top of the work tree; if there is none, the current folder. The cache compares only files below it.
        self._root = str(code.git.top) if code is not None and code.worktree else os.getcwd()
        self._code = ProjectCode(self._root)
        self._died: set[str] = set()
        self._attempts: Counter[str] = Counter()
        self._logs = journal.logs(run_journal.id)
        self._cache = StepCache(client, active, journal, self._code, self._root)
        models = dict.fromkeys(target.model for target in active.targets.values())
        self._stores = {model: client.access.urls(model) for model in ("", *models)}
        self._running: dict[Future[Any], str] = {}
        # The names of the artifacts that steps linked to each new version. The keys of the inner dicts are these names
        # in one case, because names of artifacts ignore case.
        self._linked: dict[Numbered, dict[str, str]] = {}
        self._suspects: deque[tuple[Node, dict[str, InputReference]]] = deque()

    def run(self, needs: dict[str, set[str]]) -> None:
        """Run all steps. *needs* has, for each step, the steps that must run before it.

        After the first failure, starts no other step, and returns when the running steps have ended.
        """
        sorter = TopologicalSorter(needs)
        sorter.prepare()
        position = {name: index for index, name in enumerate(self._active.order)}
        ready: deque[str] = deque()
        try:
            while sorter.is_active():
                ready.extend(sorted(sorter.get_ready(), key=position.__getitem__))
                while ready and not self._active.failed and self._has_room():
                    name = ready.popleft()
                    if self._begin(name):
                        sorter.done(name)
                        ready.extend(sorted(sorter.get_ready(), key=position.__getitem__))
                if not self._running and self._suspects and not self._active.failed:
                    self._submit(self._executor.submit, *self._suspects[0])
                if not self._running:
                    break
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = self._running.pop(future)
                    self._executor.done(future)
                    if self._end(name, future):
                        sorter.done(name)
                        if self._suspects and self._suspects[0][0].name == name:
                            self._suspects.popleft()
                if self._active.failed:
                    self._cancel_all()
        except BaseException:
            for future in self._running:
                future.cancel()
            raise
        finally:
            self._cache.end()

    def _cancel_all(self) -> None:
        """Cancel the submitted steps that have not started.

        `run` does not wait for them: if a step of Dask ends in the moment of its cancellation, `wait` never returns.
        """
        for future in list(self._running):
            if future.cancel():
                del self._running[future]
                self._executor.done(future)

    def _has_room(self) -> bool:
        # A step in `_suspects` may kill its worker. It runs alone, so no other step starts before it has run.
        return not self._suspects and (self._executor.slots is None or len(self._running) < self._executor.slots)

    def _begin(self, name: str) -> bool:
        """Start the step *name*. Return True if it needs no worker: its result is cached, or it cannot run."""
        node = self._active.job.graph.nodes[name]
        try:
            inputs = {parameter: self._reference(node, parameter) for parameter in node.inputs}
            cached = self._cache.find(node, inputs)
            if cached is not None:
                self._record(name, cached)
                return True
            self._run_journal.note(step=name)
            self._tell("started", name, 0.0)
            self._submit(self._executor.submit, node, inputs)
        except UsageError as error:
            self._record(name, StepResult("failed", error=ErrorText.of(error)))
            return True
        return False

    def _submit(
        self, submit: Callable[..., Future[Any] | None], node: Node, inputs: dict[str, InputReference]
    ) -> Future[Any] | None:
        self._attempts[node.name] += 1
        request = self._request(node, inputs)
        self._active.begun[node.name] = request.facts
        try:
            if self._shares:
                future = submit(run_step, request, node.step)
            else:
                future = submit(run_step if request.timeout is None else run_limited_step, request)
        except Exception as error:  # the executor is broken: the step fails, because the run has no other executor
            future = Future()
            future.set_exception(error)
        if future is not None:
            self._running[future] = node.name
        return future

    def _end(self, name: str, future: Future[Any]) -> bool:
        """Record the result of the step *name*, from *future*, and return True.

        If the step must run again, because its worker died or it failed and has retries left, submits it and
        returns False.
        """
        node = self._active.job.graph.nodes[name]
        try:
            result: StepResult = future.result()
        except CancelledError:
            return True
        except Exception as error:
            died = isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
            self._active.readers.add(name)
            if died and name not in self._died and not self._active.failed:
                self._died.add(name)  # tried once more with another worker: another step may have killed this worker
                self._tell("again", name, 0.0)
                self._submit_again(node, apart=True)
                return False
            what = "its worker died" if died else "the executor could not run it"
            text = ErrorText.of(error)
            text = replace(text, message=f"{what} ({text.message})")
            result = StepResult("failed", error=text, may_pass_later=died)
        if result.read_version:
            self._active.readers.add(name)
        if result.output:
            keep_files(self._logs / name, result.output)
            result = replace(result, output=())
        if result.status == "cancelled":
            self._active.begun.pop(name)
            raise KeyboardInterrupt(result.error.message if result.error is not None else "")
        if self._is_repeated(node, result):
            self._submit_again(node, apart=name in self._died)
            return False
        self._record(name, result)
        return True

    def _is_repeated(self, node: Node, result: StepResult) -> bool:
        """If the step *node* failed and has retries left, record the failed attempt and return True."""
        failed = self._active.failed_attempts.get(node.name, [])
        if result.error is None or not result.may_pass_later or self._active.failed or len(failed) >= node.step.retries:
            return False
        known = self._active.job.graph.known
        known.secrets += map(Secret, result.secrets)
        error = result.error.map(known.values().hide)
        self._active.failed_attempts[node.name] = [*failed, error]
        attempt = f"attempt {len(failed) + 2} of {node.step.retries + 1}"
        log.warning("step %s failed (%s: %s) and runs again: %s", node.name, error.type, error.message, attempt)
        self._tell("retrying", node.name, result.seconds)
        return True

    def _submit_again(self, node: Node, *, apart: bool) -> None:
        """Submit the step *node* again. If *apart* is True, separate it from other steps: it may kill its worker."""
        if self._suspects and self._suspects[0][0] is node:
            return  # the step waits in `_suspects`, and `run` submits it when the running steps have ended
        inputs = {parameter: self._reference(node, parameter) for parameter in node.inputs}
        if not apart:
            self._submit(self._executor.submit, node, inputs)
        elif self._submit(self._executor.submit_again, node, inputs) is None:
            self._suspects.append((node, inputs))

    def _record(self, name: str, result: StepResult) -> None:
        # A step may have made Secrets of its inputs. gitmodel keeps their values only in memory, to hide them in texts.
        self._active.job.graph.known.secrets += map(Secret, result.secrets)
        result = replace(result, secrets=())
        result = self._without_taken(name, self._without_withheld(name, self._without_secrets(result)))
        if name in self._cache.replaced and result.status == "succeeded":
            result = self._verified(name, result)
        self._active.results[name] = result
        for field, what in result.left_out:
            log.warning("%s of step %s looks like %s and is left out; the run continues without it", field, name, what)
        is_kept = self._cache.keep(name, result)
        if result.status == "failed":
            self._active.failed = self._active.failed or name
        elif result.outputs and not is_kept:
            self._run_journal.note_stored([(output.digest, output.format) for output in result.outputs])
        self._tell(result.status, name, result.seconds)

    def _verified(self, name: str, result: StepResult) -> StepResult:
        """Read the outputs of the step *name* in the store. If one is damaged, return a failed result, else *result*.

        Called for a step that ran because a cached output was missing or damaged. A worker on another machine does not
        know that an object in the store is damaged, so it may not have replaced the object.
        """
        target = self._active.targets.get(name)
        store = open_urls(self._stores[target.model if target else ""], self._client.store_root)
        if are_stored(store, result.outputs):
            return result
        text = ErrorText(
            "Invalid",
            f"an output of step {name} is damaged in {store.url}, although it was stored again",
            "run `git model verify`, and then the pipeline with an executor on this machine",
        )
        return replace(result, status="failed", plans=(), outputs=(), error=text)

    def _without_secrets(self, result: StepResult) -> StepResult:
        """Return *result* with the values of all Secrets of the run hidden in its error.

        The worker hid only the Secrets that it knew, not those that other steps made. If a planned change holds the
        value of a Secret, returns a failed result.
        """
        secrets = self._active.job.graph.known.values()
        try:
            refuse_secrets_in_plans(result.plans, secrets)
        except Refused as error:
            return replace(result, status="failed", plans=(), outputs=(), error=ErrorText.of(error))
        return replace(result, error=result.error.map(secrets.hide)) if result.error is not None else result

    def _without_withheld(self, name: str, result: StepResult) -> StepResult:
        """Warn of outputs that seem to hold credentials. Return *result*, failed if another step needs one of them."""
        if result.status != "succeeded" or not result.withheld:
            return result
        graph = self._active.job.graph
        needed = {
            graph.output_name(value): node.name
            for node in graph.nodes.values()
            for value in node.inputs.values()
            if isinstance(value, Output) and value.node == name
        }
        for output, message in result.withheld.items():
            if output in needed:
                message += f"; it was not stored, and step {needed[output]} needs it"
                text = ErrorText("Refused", message, f"return a copy without them; {OVERRIDE}")
                return replace(result, status="failed", plans=(), error=text)
        for message in result.withheld.values():
            log.warning("%s; it is left out, and the run continues without it (%s)", message, OVERRIDE)
        return result

    def _request(self, node: Node, inputs: dict[str, InputReference]) -> Request:
        target = self._active.targets.get(node.name)
        code = self._cache.codes.get(node.name)
        return Request(
            step=None if self._shares else location(node.step, self._code),
            root=self._root,
            code=sorted(code.files) if code is not None else [],
            unloaded=sorted(code.unloaded) if code is not None else [],
            store=StoreRequest(
                self._stores[target.model if target else ""], str(self._client.store_root), self._active.packages
            ),
            allow_credentials=self._client.repository.allows_credentials,
            pickle=self._active.job.allows_pickle(node.step),
            scratch=self._scratch,
            log=self._logs / node.name,
            attempt=0 if self._active.job.temporary else self._attempts[node.name],
            alone=self._runs_alone,
            keep=str(self._run_journal.kept_values) if self._keeps_values else "",
            inputs=inputs,
            outputs=list(node.outputs),
            values=dict(node.values),
            shapes=dict(node.shapes),
            parameters={name: value for name, value in node.parameters.items() if not isinstance(value, Secret)},
            config=target.config.model_dump(exclude_defaults=True) if target else None,
            timeout=node.step.timeout,
            facts=Facts(self._active.id, self._active.job.pipeline, node.name, self._version_facts(target)),
        )

    def _version_facts(self, target: Target | None) -> VersionFacts | None:
        """Return the facts about *target* for a step, including artifacts that other steps of the run have linked."""
        facts = target.facts() if target is not None else None
        if facts is not None and target is not None and (linked := self._linked.get(target.numbered)):
            facts.artifacts = (*facts.artifacts, *linked.values())
        return facts

    def _without_taken(self, name: str, result: StepResult) -> StepResult:
        """Remember the artifacts that the step *name* linked, and return *result*.

        If another artifact of the version has the name of a linked one, returns a failed result without the linked one.
        """
        target, declared = self._active.targets.get(name), self._active.job.graph.nodes[name].outputs
        linked = [output for output in result.outputs if output.name not in declared]
        if not linked or target is None or not target.new:
            return result
        known = self._linked.setdefault(target.numbered, {})
        there = {*known, *map(fold, target.artifacts)}
        taken = [output for output in linked if fold(output.name) in there]
        known.update({fold(output.name): output.name for output in linked if output not in taken})
        if not taken:
            return result
        text = ErrorText(
            "Conflict",
            f"two steps have an artifact {taken[0].name} of the same version",
            "give each another name",
        )
        outputs = tuple(output for output in result.outputs if output not in taken)
        return replace(result, status="failed", plans=(), outputs=outputs, error=result.error or text)

    def _reference(self, node: Node, parameter: str) -> InputReference:
        value = node.inputs[parameter]
        if isinstance(value, ExternalArtifact):
            return self._active.inputs[node.name, parameter]
        output = self._active.output(value)
        if output is None:
            raise UsageError(f"step {value.node} returned nothing", hint="annotate and return its output")
        return InputReference(
            output.digest, output.format, output.materializer, modules=output.modules, file=output.file
        )

    def _tell(self, event: str, name: str, seconds: float) -> None:
        if self._active.job.listener is not None:
            self._active.job.listener(event, name, seconds)
