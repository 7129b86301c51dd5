"""Running a pipeline: finding the versions that it names, running its steps, and committing the results or the failure.

Only the process of the run reads and writes the registry. Workers only run steps.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from typing import Any

from gitmodel.branch.runs.run_journal import Journal, RunJournal
from gitmodel.branch.runs.step_logs import rewrite_logs
from gitmodel.client import Client
from gitmodel.client.handles.run_handle import Run
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.errors import GitModelError, UsageError
from gitmodel.files.termination import cleaning_up_when_terminated
from gitmodel.pipelines.active_runs.resolved_references import Resolved
from gitmodel.pipelines.active_runs.run_records import ActiveRun, Job, order, run_record
from gitmodel.pipelines.active_runs.target_versions import release_names, release_numbers, reserve_targets
from gitmodel.pipelines.declarations.graph import Graph
from gitmodel.pipelines.execution.checks_before_a_run import check_before_the_run, check_workers
from gitmodel.pipelines.execution.run_commit import commit_run
from gitmodel.pipelines.execution.scheduling import Scheduler
from gitmodel.pipelines.step_context.step_results import refuse_secrets_in_plans
from gitmodel.pipelines.workers.executors import ExecutorChoice, RunningExecutor, choose_executor
from gitmodel.pipelines.workers.step_modules import script_of
from gitmodel.registry.recorded_runs.new_runs import keep_packages, new_run_id, told_stored
from gitmodel.registry.recorded_runs.runs import RunView

log = logging.getLogger("gitmodel.pipelines")


class RunFailed(GitModelError):
    """A step failed. gitmodel recorded the failed run, and made no planned change. *run* is the id of the run."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", run: str = "", step: str = "", traceback: str = "") -> None:
        super().__init__(message, hint=hint)
        self.run = run
        self.step = step
        self.traceback = traceback


@cleaning_up_when_terminated()
def run_job(client: Client, job: Job, executor: Any = None) -> Run:
    """Run the steps of a pipeline, and commit their results and promotions in one transaction.

    *executor* is a value for `choose_executor`. Raises UsageError before the first step for a pipeline that cannot run,
    RunFailed if a step fails, Conflict and other errors if the results cannot be committed, and KeyboardInterrupt if
    the user interrupted the run. SIGTERM interrupts the run, and then ends the process.
    """
    needs = job.graph.needs()
    choice = choose_executor(executor)
    if not choice.shares:
        _check_reachable(job.graph, choice.name)
    elif not job.temporary:  # `git model reproduce` ignores timeouts
        _refuse_timeouts(job.graph, choice.name)
    job, found = check_before_the_run(client, job, choice)
    with ExitStack() as started:
        running = started.enter_context(choice.start())
        check_workers(job.graph, found, running)
        return _begin(client, job, found, choice, running, started, needs)


def _begin(
    client: Client,
    job: Job,
    resolved: Resolved,
    choice: ExecutorChoice,
    executor: RunningExecutor,
    started: ExitStack,
    needs: dict[str, set[str]],
) -> Run:
    """Write the start of the run to the journal, reserve its versions, and run its steps on *executor*.

    *needs* has, for each step, the steps that must run before it. Closing *started* ends the executor.
    """
    moment = client.repository.identity.moment()
    code = client.record_code()
    packages = keep_packages(client.store)
    client.repository.share()
    journal = Journal(client.repository.common_dir)
    facts = {"pipeline": job.pipeline, "started": moment.isoformat(), "pid": os.getpid(), "executor": choice.name}
    with journal.open_run(lambda: new_run_id(job.pipeline, moment), facts) as run_journal:
        try:
            targets = reserve_targets(client, resolved, journal, run_journal.id)
        except BaseException:
            run_journal.discard()  # no step has run, so there is nothing to show about this run
            raise
        run_journal.note(reserved=sorted({target.reference for target in targets.values() if target.new}))
        run_journal.note_stored([(packages, "text")])
        inputs = dict(resolved.inputs)
        for place, digest in job.recorded_inputs.items():
            if place in inputs and inputs[place].digest != digest:  # no record has the size of this input
                inputs[place] = replace(inputs[place], digest=digest, size=None)
        active = ActiveRun(run_journal.id, job, choice.name, moment, code, packages, targets, inputs, order(needs))
        try:
            return _run(client, active, choice, executor, started, journal, run_journal, needs)
        finally:
            # rewritten at the end, because a step may have printed a text from which a later step makes a Secret
            if active.job.graph.known.secrets:
                rewrite_logs(journal.logs(run_journal.id), active.job.graph.known.values().hide)
            # An error is harmless here, because gitmodel ignores the reservations of a run that has ended.
            with suppress(GitModelError):
                release_names(client, targets.values(), run_journal.id)
                if active.status != "succeeded":
                    _release_unread_numbers(client, active)


def _run(
    client: Client,
    active: ActiveRun,
    choice: ExecutorChoice,
    executor: RunningExecutor,
    started: ExitStack,
    journal: Journal,
    run_journal: RunJournal,
    needs: dict[str, set[str]],
) -> Run:
    try:
        with tempfile.TemporaryDirectory(prefix="gitmodel-run-") as scratch, started:
            # Workers on other machines cannot use a folder of this machine.
            local = scratch if choice.is_local else ""
            Scheduler(client, active, executor, choice, journal, run_journal, local).run(needs)
    except BaseException as error:
        active.status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
        # Ctrl-C also ended the git process that reads objects. After this, the next read starts another git process.
        client.repository.reader.close()
        _record_failure(client, active, run_journal, _hidden(error, active))
        raise
    if active.failed:
        active.status = "failed"
        text = active.results[active.failed].error
        assert text is not None
        _record_failure(client, active, run_journal, text)
        raise _failure(active, text)
    done = _commit(client, active, run_journal)
    with suppress(GitModelError):  # an error is harmless, because the next run on the model releases the numbers
        release_numbers(client, active.targets.values(), journal)
    return done


def _commit(client: Client, active: ActiveRun, run_journal: RunJournal) -> Run:
    """Commit a run in which no step failed, and return the handle of the run. If this fails, record the failure."""
    active.status = "succeeded"
    record = run_record(client, active)
    try:
        # Checked again, because a later step may have made a Secret from a text of a planned change.
        for result in active.results.values():
            refuse_secrets_in_plans(result.plans, active.job.graph.known.values())
        written = commit_run(client, record, active)
    except KeyboardInterrupt:
        run_journal.note(status="cancelled")  # if the commit exists nevertheless, gitmodel shows the record in it
        raise
    except Exception as error:
        # For example, another run took the name of the version, or a step planned a change that is impossible.
        active.status = "failed"
        _record_failure(client, active, run_journal, _hidden(error, active), keep=False)
        raise
    run_journal.note(status=active.status)
    if written is not None:
        run_journal.discard()
    run_journal.close()
    record = replace(record, versions=(written or record).versions)
    view = RunView(active.id, record.pipeline, active.status, active.started, record)
    return Run._of(view, client._opened)


def _hidden(error: BaseException, active: ActiveRun) -> ErrorText:
    """Return the text of *error*, in which the values of the Secrets of the run are hidden."""
    return ErrorText.of(error).hidden(active.job.graph.known.values())


def _record_failure(
    client: Client, active: ActiveRun, run_journal: RunJournal, error: ErrorText, *, keep: bool = True
) -> None:
    """Record a run that did not succeed, with its *error*; see `run_record` for *keep*.

    If recording fails, logs why instead of raising, so that the caller gets the error of the run.
    """
    try:
        run_journal.note(error=asdict(error), failed_step=active.failed)
        commit_run(client, run_record(client, active, error, keep=keep), active)
        run_journal.note(status=active.status)
        if active.status == "cancelled":
            log.warning("run %s was interrupted; `git model runs show %s` shows how far it came", active.id, active.id)
    except Exception as second:
        stored = ((output.name, output.digest) for result in active.results.values() for output in result.outputs)
        said = f"{second}{told_stored(stored)}"
        log.error("run %s, which %s, could not be recorded: %s", active.id, active.status, said)
        with suppress(GitModelError):
            run_journal.note(status=active.status)


def _release_unread_numbers(client: Client, active: ActiveRun) -> None:
    """Release the numbers of a failed run, except those that a step may have read and so printed or stored."""
    readers = set(active.readers)
    # A started step without a result may still run on a worker, so it may read the number.
    for name in set(active.begun) - set(active.results):
        if active.executor != "in-order" or active.begun[name].has_read_version:
            readers.add(name)
    known = {active.targets[name].reference for name in readers if name in active.targets}
    for target in {target.reference: target for target in active.targets.values()}.values():
        if target.new and target.reference not in known:
            client.repository.reservations.release(target.model, target.number)


def _failure(active: ActiveRun, error: ErrorText) -> RunFailed:
    traceback = error.traceback.rstrip()
    if traceback:
        log.error("step %s of run %s failed\n%s", active.failed, active.id, traceback)
    shown = f"run `git model runs show {active.id}` to see the run"
    return RunFailed(
        f"step {active.failed} failed: {error.type}: {error.message}",
        hint=f"{error.hint}; {shown}" if error.hint else shown,
        run=active.id,
        step=active.failed,
        traceback=traceback,
    )


def _refuse_timeouts(graph: Graph, executor: str) -> None:
    """Raise UsageError if a step has a timeout: *executor* runs steps in this process, which gitmodel cannot end."""
    for node in graph.nodes.values():
        if node.step.timeout is not None:
            raise UsageError(
                f"step {node.name} has timeout={node.step.timeout:g}, which the executor {executor} cannot enforce, "
                "because it runs steps in this process",
                hint="use the executor 'processes' or 'dask': @pipeline(executor=\"processes\"), or "
                "`git model run --executor processes`",
            )


def _check_reachable(graph: Graph, executor: str) -> None:
    """Raise UsageError for a step that the workers of *executor*, which are other processes, cannot import."""
    for node in graph.nodes.values():
        _, file = script_of(node.step.function.__module__)
        qualname = node.step.function.__qualname__
        if node.step.function.__module__ == "__main__" and file and not os.path.isfile(file):
            raise UsageError(
                f"step {node.name} is defined in a notebook or prompt, where {executor} workers cannot find it",
                hint="write it to a file with `%%writefile steps.py` and import it, or use the executor 'threads'",
            )
        if "<locals>" in qualname or "<lambda>" in qualname:
            raise UsageError(
                f"step {node.name} is defined inside a function, where {executor} workers cannot find it",
                hint="define it at the top of a module, or use the executor 'threads'",
            )
