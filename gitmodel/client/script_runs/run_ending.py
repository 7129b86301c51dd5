"""The end of a run of a script: writing one commit with the run and its version or, if it failed, with its error."""

from __future__ import annotations

import logging
import platform
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Literal

from gitmodel.client.handles.models_and_versions import ModelVersion
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.client.opening.url_settings import in_ci
from gitmodel.client.script_runs.executed_cells import store_cells
from gitmodel.client.script_runs.run_recording import NewVersion, RunRecording
from gitmodel.domain.changes.runs import plan_run
from gitmodel.domain.schema.records import RunRecord, StepRecord
from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.errors import Conflict, GitModelError, Refused
from gitmodel.formats.kept_values import told_kept
from gitmodel.registry.recorded_runs.new_runs import is_recorded, keep_packages, told_stored
from gitmodel.registry.recorded_runs.run_details import store_details
from gitmodel.registry.records import models, versions
from gitmodel.registry.writing.batch import Batch
from gitmodel.registry.writing.transacting import transact
from gitmodel.stores.artifacts.copying import keep_artifact

log = logging.getLogger("gitmodel.runs")

# The maximum number of attempts to commit a run, if others change the branch at the same time.
_TRIES = 5
Status = Literal["succeeded", "failed", "cancelled"]


def read_rules(opened: OpenRegistry) -> RunRules:
    """Return the rules of the registry about recording runs. Raises Invalid if `gitmodel.toml` cannot be read."""
    return opened.repository.read(lambda snapshot: snapshot.registry().require("runs").runs) or RunRules()


def succeed(run: RunRecording) -> None:
    """Commit *run*, which succeeded, with its version, and set its status. Raises the errors of creating the version.

    If a change of stages or aliases is refused, logs a warning and commits the run and version without these changes.
    """
    rules = read_rules(run.opened)
    _refuse_removed(run)
    leave_out = ""
    for attempt in range(_TRIES):
        try:
            written = _commit(run, rules, with_stages=not leave_out)
            break
        except Refused as error:  # raised, for example, if a stage needs a signature and it cannot be made
            if leave_out or run.version is None or not run.version.changes:
                raise
            leave_out = f"{error.message}; {error.hint}"
        except Conflict:
            if attempt == _TRIES - 1:
                raise
    if leave_out:
        log.warning("%s; the run is recorded without it", leave_out)
    run.status = "succeeded"
    run.journal.note(status="succeeded")
    if written:
        run.journal.discard()


def fail(run: RunRecording, error: BaseException) -> None:
    """Record *run* as failed because of *error*, or as cancelled if *error* is a KeyboardInterrupt. Raise no error.

    If the run cannot be recorded, logs the reason, so that the caller can raise *error* again.
    """
    status: Status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
    repository = run.opened.repository
    repository.reader.close()  # Ctrl-C also ends the git process that reads objects; the next read starts another
    frames = error.__traceback__.tb_next if error.__traceback__ is not None else None
    text = ErrorText.with_frames(error, frames).hidden(run.secrets.values())
    run.status = status
    try:
        run.journal.note(error=asdict(text))
        rules = read_rules(run.opened)
        record = _record(run, status, rules, error=text)
        if _is_recorded(run, rules, record):
            transact(repository, lambda snapshot: plan_run(snapshot, record))
        run.journal.note(status=status)
        log.warning("run %s %s; `git model runs show %s` shows it", run.start.id, status, run.start.id)
    except Exception as second:
        files = run.stored_files()
        told, hint = told_kept(files)
        there = {file.name for file in files}
        told += told_stored((name, link.digest) for name, link in run.links.items() if name not in there)
        said = "; ".join(filter(None, (f"{second}{told}", hint)))
        log.error("run %s, which %s, could not be recorded: %s", run.start.id, status, said)
        with suppress(GitModelError):
            run.journal.note(status=status)


def _refuse_removed(run: RunRecording) -> None:
    """Raise Conflict if an artifact of *run* is no longer in a store.

    Refreshes old timestamps of the artifacts, so that `store gc` keeps them until the commit is made.
    """
    keep_packages(run.opened.store)
    store = run.opened.access.everywhere()
    for name, link in run.links.items():
        if not keep_artifact(store, link.digest, folder=link.is_folder):
            raise Conflict(
                f"{name} was removed from {store.url} during run {run.start.name}", hint="run the script again"
            )


def _commit(run: RunRecording, rules: RunRules, *, with_stages: bool) -> bool:
    """Write the commit of *run*, which succeeded. If *rules*, of `gitmodel.toml`, exclude it, return False instead.

    If *with_stages* is False, leaves out the changes of stages and aliases that the script asked for.
    """
    version = run.version
    with run.opened.transaction(f"Run {run.start.name}") as inside:
        batch = inside.writer
        assert isinstance(batch, Batch)
        made = None
        if version is not None:
            made = _create(run, inside, version)
            batch.message = f"Run {run.start.name}: add {made.model.name} {made.number}"
            for what, change in version.changes if with_stages else ():
                try:
                    change(made)
                except Refused as error:
                    log.warning("%s: %s (%s); the run is recorded without it", what, error.message, error.hint)
        record = _record(run, "succeeded", rules, made=made)
        if not _is_recorded(run, rules, record):
            return False
        batch.transact(lambda snapshot: plan_run(snapshot, record))
        _refuse_secrets_in(run, batch)
    if version is not None:
        version.made = made
    return True


def _create(run: RunRecording, inside: OpenRegistry, version: NewVersion) -> ModelVersion:
    if version.register is not None:
        models.register_model(inside.writer, version.model.model, version.register, exist_ok=True)
    made = versions.make_version(
        inside.writer,
        version.model,
        version.draft._replace(metadata={**run.metadata, **(version.draft.metadata or {})}),
        artifacts=run.links.values(),
        code=run.start.code,
        runs=(run.start.id,),
    )
    return ModelVersion._of(inside, made.ref, is_new=True)


def _refuse_secrets_in(run: RunRecording, batch: Batch) -> None:
    files = [content for content in batch.planned_files().values() if content]
    if run.secrets.values().are_in_bytes(files):
        raise Refused(
            f"the records of run {run.start.name} hold the value of a Secret",
            hint="leave it out of names, metadata and reasons: the history is permanent",
        )


def _is_recorded(run: RunRecording, rules: RunRules, record: RunRecord) -> bool:
    has_journal = not (run.opened.repository.url or in_ci(run.opened.environ))
    return is_recorded(rules, record, changes=False, has_journal=has_journal)


def _record(
    run: RunRecording,
    status: Status,
    rules: RunRules,
    *,
    made: ModelVersion | None = None,
    error: ErrorText | None = None,
) -> RunRecord:
    start = run.start
    links = dict(sorted(run.links.items()))
    # empty if the run created a version, because the record of that version has the kinds, sizes and formats
    described = links if made is None else {}
    record = RunRecord(
        id=start.id,
        pipeline=start.name,
        status=status,
        started=start.started,
        finished=max(start.started, run.opened.repository.identity.moment()),
        script=start.script,
        module=start.module,
        python=platform.python_version(),
        packages=start.packages,
        cells=store_cells(run.opened.repository.config, rules, run.opened.store, run.secrets.values()),
        error=error.line(rules) if error else "",
        traceback=error.recorded_traceback(rules) if error else "",
        versions=(made.reference,) if made is not None else (),
        code=start.code,
        parameters=run.shown_parameters,
        metadata=run.metadata,
        steps=(
            StepRecord(
                name=start.name,
                status="succeeded" if status == "succeeded" else "failed",
                seconds=round(time.perf_counter() - start.clock, 3),
                inputs=dict(sorted(run.inputs.items())),
                outputs={name: link.digest for name, link in links.items()},
                kinds={name: link.kind for name, link in described.items()},
                sizes={name: link.size for name, link in described.items()},
                formats={name: link.format for name, link in described.items()},
                files={name: link.file for name, link in described.items() if link.file},
            ),
        ),
    )
    return store_details(record, run.opened.store)
