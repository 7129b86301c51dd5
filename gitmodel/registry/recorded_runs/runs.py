"""Reading one run or many, from the branch and from the journal of this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timezone
from itertools import chain
from typing import Any

from gitmodel.branch.repository import Repository
from gitmodel.branch.runs.cache_outcomes import read_outcomes
from gitmodel.branch.runs.run_journal import Journal
from gitmodel.domain.changes.runs import find_run, named_run
from gitmodel.domain.schema import paths, record_values, records
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.records import RunRecord
from gitmodel.domain.secrets.notebook_cells import LONGEST_CELLS, Cell, from_notebook
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.domain.views.filter_names import RECORDED, VALUE, Names, Words
from gitmodel.domain.views.record_views import CODE_NAMES, code_fields
from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.frozen import Frozen
from gitmodel.registry.lists.selecting import Selection
from gitmodel.registry.recorded_runs.run_details import step_fields, with_details
from gitmodel.stores.artifacts.manifests import read_object
from gitmodel.stores.interface import ArtifactStore

_STEP_NAMES: dict[str, Names] = {
    **dict.fromkeys(("name", "version", "seconds"), VALUE),
    "status": Words(record_values.STEP_STATUSES),
    "failed_attempts": [VALUE],
    **dict.fromkeys(("parameters", "inputs", "outputs", "kinds", "sizes", "formats", "files"), RECORDED),
}
# The fields of a run that a filter can use.
RUN_NAMES: dict[str, Names] = {
    **dict.fromkeys(("id", "pipeline", "started", "finished", "seconds", "since", "recorded", "failed_step"), VALUE),
    "status": Words(record_values.ALL_RUN_STATUSES),
    **dict.fromkeys(("error", "executor", "python", "packages", "cells", "script", "module"), VALUE),
    "versions": [VALUE],
    "code": CODE_NAMES,
    "parameters": RECORDED,
    "metadata": RECORDED,
    "steps": [_STEP_NAMES],
}
_CELLS_LIMIT = 16 * LONGEST_CELLS  # bytes: JSON can need several bytes for a character


class RunView(Frozen):
    """A run, recorded on the branch (*record*) or only in the journal of this machine.

    *status* is "succeeded", "failed" or "cancelled"; for a run that is not recorded, "running" or "lost" (its process
    was killed). *since* is the time of the last event of a lost run. *error* and *traceback* are those of the failing
    step, if known. *cache* has a text for each step: why it ran, or which run and step made its outputs. It is empty,
    except in the result of `get_run` on the machine that ran the steps.
    """

    id: str
    pipeline: str
    status: str
    started: datetime
    record: RunRecord | None = None
    since: datetime | None = None
    error: str = ""
    traceback: str = ""
    cache: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def seconds(self) -> float | None:
        """The duration of the run; None if it is not recorded."""
        return (self.record.finished - self.record.started).total_seconds() if self.record else None

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions that the run made or changed, as `MODEL@NUMBER`."""
        return self.record.versions if self.record else ()

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The arguments of the pipeline, or the parameters that a script logged."""
        return self.record.parameters if self.record else {}

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The metadata that a script logged."""
        return self.record.metadata if self.record else {}

    def fields(self) -> dict[str, Any]:
        """The fields of the run in filters and JSON; `docs/reference/json.md` describes them."""
        record = self.record
        return {
            "id": self.id,
            "pipeline": self.pipeline,
            "status": self.status,
            "started": self.started,
            "finished": record.finished if record else None,
            "seconds": self.seconds,
            "since": self.since,
            "recorded": record is not None,
            "versions": list(self.versions),
            "failed_step": (record.failed_step if record else None) or None,
            "error": self.error,
            "executor": record.executor if record else "",
            "python": record.python if record else "",
            "packages": record.packages if record else None,
            "cells": record.cells if record else None,
            "code": code_fields(record.code) if record else None,
            "script": record.script if record else None,
            "module": record.module if record else None,
            "parameters": dict(self.parameters),
            "metadata": dict(self.metadata),
            "steps": [step_fields(step) for step in record.steps] if record else [],
            "cache": dict(self.cache),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, {self.status!r})"


def list_runs(
    repository: Repository, *, filter: str = "", sort: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[RunView], list[Invalid]]:
    """Return the runs that match *filter* (CEL), and an error for each damaged run.

    The runs are those on the branch and in the journal of this machine. *sort* is a field such as "seconds", a
    parameter such as "parameters.lr" or a key of the metadata, after "-" for descending order. Runs without a value
    come last. Runs with equal values, and all runs if *sort* is "", are sorted by time, newest first. Raises UsageError
    for a parameter or key that no matching run has.
    """
    selection = Selection(RUN_NAMES, filter=filter, sort=sort, limit=limit, offset=offset)

    def question(snapshot: Snapshot) -> tuple[list[RunView], list[Invalid]]:
        rows = _merged(snapshot, Journal(repository.common_dir).runs())
        return selection.of(rows, RunView.fields, nothing="no run")

    try:
        return repository.read(question)
    except UsageError as error:
        if "metadata." in error.message:
            asked = (f"--filter {shlex.quote(filter)}" if filter else "", f"--sort={shlex.quote(sort)}" if sort else "")
            versions = " ".join(["git model version list MODEL", *(option for option in asked if option)])
            error.hint += f"; the metadata that a pipeline logs is on its versions: {versions}"
        raise


def get_run(repository: Repository, id: str, *, store: Callable[[], ArtifactStore] | None = None) -> RunView:
    """Return the run *id*, with the traceback of the failing step if this machine has it.

    *id* may be abbreviated to its beginning or end. If *store* is given, reads the steps of a long run from the store
    that it opens. Raises NotFound if there is no such run, UsageError if several runs match *id*.
    """
    journal = Journal(repository.common_dir)
    noted = journal.run(id) if paths.run_file(id) else None
    try:
        record = repository.read(lambda snapshot: find_run(snapshot, id))
    except NotFound:
        if noted is not None:
            return _of_journal(id, noted)
        whole = repository.read(lambda snapshot: named_run(id, chain(run_ids(snapshot), journal.runs())))
        if whole is None or whole == id:
            raise
        return get_run(repository, whole, store=store)
    view = _of_record(record if store is None else with_details(record, store), noted or {})
    return replace(view, cache={step: str(found) for step, found in read_outcomes(journal.logs(id)).items()})


def get_cells(repository: Repository, id: str, store: ArtifactStore) -> tuple[Cell, ...]:
    """Return the cells of the notebook that the run *id* stored. Raises NotFound if the run stored no cells."""
    view = get_run(repository, id)
    digest = view.record.cells if view.record else None
    if digest is None:
        raise NotFound(
            f"run {view.id} has no cells of a notebook",
            hint="runs in a notebook or IPython store them, unless `gitmodel.recordCells` or `record_cells` is false",
        )
    return from_notebook(read_object(store, digest, _CELLS_LIMIT, "the cells of a notebook"))


def _merged(snapshot: Snapshot, journal: dict[str, dict[str, Any]]) -> Iterator[RunView | Invalid]:
    """Yield the runs on the branch and in the *journal*, newest first: their ids begin with the time."""
    left = sorted(journal, reverse=True)
    for path in _run_paths(snapshot):
        id = path.rpartition("/")[2].removesuffix(".toml")
        while left and left[0] > id:
            yield _of_journal(left[0], journal[left.pop(0)])
        if id in left:
            left.remove(id)
        try:
            record = snapshot.load(path, records.RunRecord)
        except Invalid as error:
            yield error
            continue
        if record is not None:
            yield _of_record(record, journal.get(id, {}))
    for id in left:
        yield _of_journal(id, journal[id])


def run_record_ids(repository: Repository) -> dict[str, Oid]:
    """Return the git object id of the record of each run on the branch, newest run first."""

    def question(snapshot: Snapshot) -> dict[str, Oid]:
        files = repository.files(snapshot.commit)
        found = ((run, files.id(paths.run_file(run))) for run in run_ids(snapshot))
        return {run: id for run, id in found if id is not None}

    return repository.read(question)


def run_ids(snapshot: Snapshot) -> Iterator[str]:
    """Yield the ids of the runs on the branch, newest first."""
    return (path.rpartition("/")[2].removesuffix(".toml") for path in _run_paths(snapshot))


def _run_paths(snapshot: Snapshot, folder: str = paths.RUNS, depth: int = 3) -> Iterator[str]:
    """Yield the paths of all runs, newest first. Reads each folder only when the caller asks for its first path."""
    for name in sorted(snapshot.files.names(folder), reverse=True):
        if depth:
            yield from _run_paths(snapshot, f"{folder}/{name}", depth - 1)
        elif name.endswith(".toml"):
            yield f"{folder}/{name}"


def _of_record(record: RunRecord, noted: Mapping[str, Any]) -> RunView:
    error, traceback = _error_of(noted)
    return RunView(
        record.id,
        record.pipeline,
        record.status,
        record.started,
        record,
        error=error or record.error,
        traceback=traceback or record.traceback,
    )


def _of_journal(id: str, noted: Mapping[str, Any]) -> RunView:
    try:
        started = datetime.fromisoformat(str(noted.get("started")))
    except ValueError:
        started = datetime.fromtimestamp(0, timezone.utc)
    since = noted.get("since")
    last = datetime.fromtimestamp(int(since), timezone.utc) if isinstance(since, (int, float)) else None
    error, traceback = _error_of(noted)
    return RunView(
        id,
        str(noted.get("pipeline", "")),
        str(noted.get("status", "lost")),
        started,
        since=last,
        error=error,
        traceback=traceback,
    )


def _error_of(noted: Mapping[str, Any]) -> tuple[str, str]:
    error = noted.get("error")
    if not isinstance(error, dict) or not error:
        return "", ""
    return f"{error.get('type', '')}: {error.get('message', '')}", str(error.get("traceback", ""))
