"""The coordinator of a run: it alone talks to git, gives out numbers and writes; workers only run steps."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import asdict, replace
from graphlib import TopologicalSorter
from typing import Any

from gitmodel.branch.run_journal import Journal, RunJournal
from gitmodel.client import Client
from gitmodel.domain.changes.runs import run_id
from gitmodel.domain.credentials import OVERRIDE, redacted
from gitmodel.domain.schema.references import VersionRef
from gitmodel.errors import GitModelError, Refused, UsageError
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.pipelines.caching import are_there, cache_key, declared_files
from gitmodel.pipelines.config import ExternalArtifact, Secret
from gitmodel.pipelines.executors import Choice, Place, choose_executor
from gitmodel.pipelines.graph import Graph, Node
from gitmodel.pipelines.pinned_references import pin, release_names, release_numbers, resolve
from gitmodel.pipelines.project_code import ProjectCode, Unknown
from gitmodel.pipelines.recording import Job, Run, Work, keep_packages, order, run_record
from gitmodel.pipelines.run_commit import commit_run
from gitmodel.pipelines.step_modules import location, script_of
from gitmodel.pipelines.step_requests import InputReference, Request
from gitmodel.pipelines.step_results import ErrorText, StepResult, from_json, to_json
from gitmodel.pipelines.steps import Output
from gitmodel.pipelines.worker import has_read_version, refuse_secrets_in_plans, run_step
from gitmodel.registry.store_access import open_urls

log = logging.getLogger("gitmodel.pipelines")

# A step whose worker died is run once more: the death may have been another step's.
_TRIES = 2


class RunFailed(GitModelError):
    """A step failed; nothing but the failed run was recorded. *run* is its id, *traceback* the step's own."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", run: str = "", step: str = "", traceback: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run
        self.step = step
        self.traceback = traceback


@cleaning_up_when_terminated()
def run_job(client: Client, job: Job, executor: Any = None) -> Run:
    """Run the steps of a pipeline, and commit what they made and planned in one transaction.

    Raises UsageError before anything runs, RunFailed if a step fails, Conflict and the like if the outcome cannot be
    committed, KeyboardInterrupt if it was interrupted. SIGTERM interrupts it, and ends the process after that.
    """
    needs = job.graph.needs()
    choice = choose_executor(executor)
    if not choice.shares:
        _check_reachable(job.graph, choice.name)
    client.repository.identity.now()  # whoever is to commit the outcome is known before hours of training, not after
    client.repository.snapshot().registry().require("runs")  # as is which runs are recorded
    moment = client.writer.moment()
    found = resolve(client, job.pipeline, job.graph, job.model_config)
    code = client.record_code()
    packages = keep_packages(client)
    client.repository.share()
    journal = Journal(client.repository.common_dir)
    facts = {"pipeline": job.pipeline, "started": moment.isoformat(), "pid": os.getpid(), "executor": choice.name}
    with journal.open_run(lambda: run_id(job.pipeline, moment, _unique()), facts) as notes:
        try:
            pinned = pin(client, found, journal, notes.id).with_inputs(job.recorded_inputs)
        except BaseException:
            notes.discard()  # it never began
            raise
        notes.note(reserved=sorted({target.reference for target in pinned.targets.values() if target.new}))
        work = Work(notes.id, job, moment, code, packages, pinned, order(needs))
        try:
            return _run(client, work, choice, journal, notes, needs)
        finally:
            with suppress(GitModelError):  # the name is free in any case, once the run is over
                release_names(client, pinned.targets.values(), notes.id)
                if work.status != "succeeded":
                    _release_unread_numbers(client, work, choice)


def _run(
    client: Client, work: Work, choice: Choice, journal: Journal, notes: RunJournal, needs: dict[str, set[str]]
) -> Run:
    try:
        with tempfile.TemporaryDirectory(prefix="gitmodel-run-") as scratch, choice.start() as place:
            # Workers elsewhere have temporary folders of their own.
            local = scratch if choice.name in ("in-order", "threads", "processes") else ""
            _Coordinator(client, work, place, choice, journal, notes, local).run(needs)
    except BaseException as error:
        work.status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
        # Ctrl-C has reached the git that reads for us, too.
        client.repository.reader.close()
        _record_failure(client, work, choice, notes, _hidden(error, work))
        raise
    if work.failed:
        work.status = "failed"
        text = work.results[work.failed].error
        assert text is not None
        _record_failure(client, work, choice, notes, text)
        raise _failure(work, text)
    done = _commit(client, work, choice, notes)
    with suppress(GitModelError):  # the next run of the model does it as well
        release_numbers(client, work.targets.values(), journal)
    return done


def _commit(client: Client, work: Work, choice: Choice, notes: RunJournal) -> Run:
    """Commit a run of which no step failed."""
    work.status = "succeeded"
    record = run_record(client, work, choice.name)
    try:
        for result in work.results.values():  # a later step may have made a Secret of a text in the plans of this one
            refuse_secrets_in_plans(result.plans, work.job.graph.known.values())
        written = commit_run(client, record, work.targets, work.in_order())
    except KeyboardInterrupt:
        notes.note(status="cancelled")  # unless the branch says otherwise
        raise
    except Exception as error:
        # Another took the version's name meanwhile, or a step planned what cannot be.
        work.status = "failed"
        _record_failure(client, work, choice, notes, _hidden(error, work), keep=False)
        raise
    notes.note(status=work.status)
    if written is not None:
        notes.discard()
    notes.close()
    return Run(work.id, work.status, (written or record).versions, record.steps)


def _hidden(error: BaseException, work: Work) -> ErrorText:
    """Return the text of *error* without secrets."""
    secrets = work.job.graph.known.values()
    return ErrorText.of(error).map(lambda part: redacted(secrets.hide(part)))


class _Coordinator:
    """Submits every step whose inputs are there, until all have run or one failed."""

    def __init__(
        self,
        client: Client,
        work: Work,
        place: Place,
        choice: Choice,
        journal: Journal,
        notes: RunJournal,
        scratch: str,
    ) -> None:
        self._client = client
        self._work = work
        self._place = place
        self._shares = choice.shares
        self._journal = journal
        self._notes = notes
        self._scratch = scratch
        self._root = _root_of(client)
        self._code = ProjectCode()
        self._tries: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._stores = {model: client.access.urls(model) for model in ("", *(t.model for t in work.targets.values()))}
        self._running: dict[Future[Any], str] = {}
        self._replacing: set[str] = set()  # steps that run because their earlier outputs are gone or damaged
        self._suspects: deque[tuple[Node, dict[str, InputReference]]] = deque()

    def run(self, needs: dict[str, set[str]]) -> None:
        """Run all steps; returns when all are done, or after the first failed and those under way have ended."""
        sorter = TopologicalSorter(needs)
        sorter.prepare()
        position = {name: index for index, name in enumerate(self._work.order)}
        ready: deque[str] = deque()
        try:
            while sorter.is_active():
                ready.extend(sorted(sorter.get_ready(), key=position.__getitem__))
                while ready and not self._work.failed and self._has_room():
                    name = ready.popleft()
                    if self._begin(name):
                        sorter.done(name)
                        ready.extend(sorted(sorter.get_ready(), key=position.__getitem__))
                if not self._running and self._suspects and not self._work.failed:
                    self._submit(self._place.submit, *self._suspects[0])
                if not self._running:
                    break
                done, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for future in done:
                    name = self._running.pop(future)
                    self._place.done(future)
                    if self._end(name, future):
                        sorter.done(name)
                        if self._suspects and self._suspects[0][0].name == name:
                            self._suspects.popleft()
                if self._work.failed:
                    for future in self._running:
                        future.cancel()
        except BaseException:
            for future in self._running:
                future.cancel()
            raise

    def _has_room(self) -> bool:
        # While a step runs alone, to see whether it is the one that kills workers, nothing else begins.
        return not self._suspects and (self._place.slots is None or len(self._running) < self._place.slots)

    def _begin(self, name: str) -> bool:
        """Start a step; returns whether it is over already, because it need not run or cannot."""
        node = self._work.job.graph.nodes[name]
        try:
            inputs = {parameter: self._reference(node, parameter) for parameter in node.inputs}
            if self._is_cached(node, inputs):
                return True
            self._notes.note(step=name)
            self._tell("started", name, 0.0)
            self._submit(self._place.submit, node, inputs)
        except UsageError as error:
            self._record(name, StepResult("failed", error=ErrorText.of(error)))
            return True
        return False

    def _submit(
        self, submit: Callable[..., Future[Any] | None], node: Node, inputs: dict[str, InputReference]
    ) -> Future[Any] | None:
        request = self._request(node, inputs)
        self._work.begun[node.name] = request["facts"]
        try:
            future = submit(run_step, request, node.step) if self._shares else submit(run_step, request)
        except BrokenExecutor as error:  # one that is not ours to renew
            future = Future()
            future.set_exception(error)
        if future is not None:
            self._tries[node.name] = request["attempt"]
            self._running[future] = node.name
        return future

    def _end(self, name: str, future: Future[Any]) -> bool:
        """Take the result of a step; returns whether the step is over."""
        node = self._work.job.graph.nodes[name]
        try:
            result: StepResult = future.result()
        except CancelledError:
            return True
        except Exception as error:
            died = isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"
            self._work.readers.add(name)
            if died and self._tries[name] < _TRIES and not self._work.failed:
                inputs = {parameter: self._reference(node, parameter) for parameter in node.inputs}
                self._tell("again", name, 0.0)
                if self._submit(self._place.submit_again, node, inputs) is None:
                    self._suspects.append((node, inputs))
                return False
            what = "its worker died" if died else "it could not be run there"
            self._record(name, StepResult("failed", error=ErrorText(type(error).__name__, f"{what} ({error})")))
            return True
        if result.read_version:
            self._work.readers.add(name)
        if result.status == "cancelled":
            self._work.begun.pop(name)
            raise KeyboardInterrupt
        self._record(name, result)
        return True

    def _record(self, name: str, result: StepResult) -> None:
        # A step may have made Secrets of its inputs. They are kept only in memory.
        self._work.job.graph.known.secrets += map(Secret, result.secrets)
        result = replace(result, secrets=())
        result = self._without_withheld(name, self._without_secrets(result))
        if name in self._replacing and result.status == "succeeded":
            result = self._verified(name, result)
        self._work.results[name] = result
        for field, what in result.left_out:
            log.warning("%s of step %s looks like %s, and is left out; the run goes on without it", field, name, what)
        if result.status == "failed":
            self._work.failed = self._work.failed or name
        elif self._keys.get(name) and result.is_reusable:
            self._journal.keep_step(self._keys[name], to_json(result))
        self._tell(result.status, name, result.seconds)

    def _verified(self, name: str, result: StepResult) -> StepResult:
        """Return *result*, as failed if the store still has a damaged output, which the worker cannot know."""
        target = self._work.targets.get(name)
        store = open_urls(self._stores[target.model if target else ""], self._client.store_root)
        if are_there(store, result.outputs):
            return result
        text = ErrorText(
            "Invalid",
            f"an output of step {name} is damaged in {store.url}, although it was stored again",
            "run `git model verify`, and then the pipeline without an executor of other machines",
        )
        return replace(result, status="failed", plans=(), outputs=(), error=text)

    def _without_secrets(self, result: StepResult) -> StepResult:
        """Return *result* without the values of Secrets of other steps, which its worker does not know."""
        secrets = self._work.job.graph.known.values()
        try:
            refuse_secrets_in_plans(result.plans, secrets)
        except Refused as error:
            return replace(result, status="failed", plans=(), outputs=(), error=ErrorText.of(error))
        return replace(result, error=result.error.map(secrets.hide)) if result.error is not None else result

    def _without_withheld(self, name: str, result: StepResult) -> StepResult:
        """Return *result*, as failed if another step needs a withheld output; warn of each other withheld output."""
        if result.status != "succeeded" or not result.withheld:
            return result
        graph = self._work.job.graph
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
            log.warning("%s; it is left out, and the run goes on without it (%s)", message, OVERRIDE)
        return result

    def _is_cached(self, node: Node, inputs: dict[str, InputReference]) -> bool:
        job = self._work.job
        enabled = job.enable_cache if node.step.enable_cache is None else node.step.enable_cache
        if not enabled or node.has_secrets:
            return False
        target = self._work.targets.get(node.name)
        digests = {name: ref.digest for name, ref in inputs.items()}
        files = declared_files(node.step)
        try:
            code = self._code.of(node.step)
        except Unknown as error:
            log.info("step %s runs: %s", node.name, error)
            return False
        key = cache_key(node, digests, target.model if target else "", code.digest, files)
        self._keys[node.name] = key
        kept = self._journal.find_step(key)
        found = from_json(kept) if kept is not None else None
        if found is None or found.opened is None or not found.opened.is_unchanged(self._root, code.files):
            return False
        if not are_there(self._client.access.everywhere(), found.outputs):
            self._replacing.add(node.name)
            return False
        # What the step planned for its version is planned for the version of this run.
        of = target.numbered if target is not None else None
        plans = (replace(plan, of=of) if of and not isinstance(plan.of, VersionRef) else plan for plan in found.plans)
        self._record(node.name, replace(found, plans=tuple(plans)))
        return True

    def _request(self, node: Node, inputs: dict[str, InputReference]) -> Request:
        target = self._work.targets.get(node.name)
        return {
            "step": {} if self._shares else location(node.step, self._code),
            "root": self._root,
            "store": {
                "urls": self._stores[target.model if target else ""],
                "root": str(self._client.store_root),
                "probe": self._work.packages,
            },
            "allow_credentials": self._client.repository.allows_credentials,
            "scratch": self._scratch,
            "inputs": inputs,
            "outputs": list(node.outputs),
            "values": dict(node.parameters),
            "config": target.config.model_dump(exclude_defaults=True) if target else None,
            "attempt": self._tries.get(node.name, 0) + 1,
            "facts": {
                "run": self._work.id,
                "pipeline": self._work.job.pipeline,
                "step": node.name,
                "version": target.facts() if target else None,
            },
        }

    def _reference(self, node: Node, parameter: str) -> InputReference:
        value = node.inputs[parameter]
        if isinstance(value, ExternalArtifact):
            return self._work.pinned.inputs[node.name, parameter]
        output = self._work.output(value)
        if output is None:
            raise UsageError(f"step {value.node} returned nothing", hint="annotate and return its output")
        return InputReference(output.digest, output.format, output.materializer)

    def _tell(self, event: str, name: str, seconds: float) -> None:
        if self._work.job.listener is not None:
            self._work.job.listener(event, name, seconds)


def _record_failure(
    client: Client, work: Work, choice: Choice, notes: RunJournal, error: ErrorText, *, keep: bool = True
) -> None:
    """Record a run that did not succeed. If that fails too, log it: the error of the run itself is more important."""
    try:
        notes.note(error=asdict(error), failed_step=work.failed)
        record = run_record(client, work, choice.name, error, keep=keep)
        commit_run(client, record, work.targets, work.in_order())
        notes.note(status=work.status)
        if work.status == "cancelled":
            log.warning("run %s was interrupted; `git model runs show %s` shows how far it came", work.id, work.id)
    except Exception as second:
        log.error("run %s, which %s, could not be recorded: %s", work.id, work.status, second)
        try:
            notes.note(status=work.status)
        except GitModelError:
            return


def _release_unread_numbers(client: Client, work: Work, choice: Choice) -> None:
    """Give back the numbers of a run that made no version, unless a step may know them."""
    readers = set(work.readers)
    for name in set(work.begun) - set(work.results):  # interrupted: in order it has ended, elsewhere it may go on
        if choice.name != "in-order" or has_read_version(work.begun[name]):
            readers.add(name)
    known = {work.targets[name].reference for name in readers if name in work.targets}
    for target in {target.reference: target for target in work.targets.values()}.values():
        if target.new and target.reference not in known:
            client.repository.reservations.release(target.model, [target.number], target.number)


def _failure(work: Work, error: ErrorText) -> RunFailed:
    traceback = error.traceback.rstrip()
    if traceback:
        log.error("step %s of run %s failed\n%s", work.failed, work.id, traceback)
    shown = f"run `git model runs show {work.id}` to see the run"
    return RunFailed(
        f"step {work.failed} failed: {error.type}: {error.message}",
        hint=f"{error.hint}; {shown}" if error.hint else shown,
        run=work.id,
        step=work.failed,
        traceback=traceback,
    )


def _root_of(client: Client) -> str:
    """Return the top of the work tree, below which the files that steps open count; else the current folder."""
    code = client.find_code()
    return str(code.git.top) if code is not None and code.worktree else os.getcwd()


def _unique() -> str:
    # The part of the second comes first, so that ids of one second are in the order of their runs.
    return f"{int(time.time() * 1000) % 1000:03x}{os.urandom(2).hex()[:3]}"


def _check_reachable(graph: Graph, executor: str) -> None:
    """Raises UsageError for steps that another process could not find by name."""
    for node in graph.nodes.values():
        _, file = script_of(node.step)
        qualname = node.step.function.__qualname__
        if node.step.function.__module__ == "__main__" and file and not os.path.isfile(file):
            raise UsageError(
                f"step {node.name} lives in a notebook or prompt, where {executor} workers cannot find it",
                hint="write it to a file with `%%writefile steps.py` and import it, or use the executor 'threads'",
            )
        if "<locals>" in qualname or "<lambda>" in qualname:
            raise UsageError(
                f"step {node.name} is defined inside a function, where {executor} workers cannot find it",
                hint="define it at the top of a module, or use the executor 'threads'",
            )
