"""The verbs of runs: list and get, from the branch and from this machine's journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from gitmodel.domain import paths, records
from gitmodel.domain.records import RunRecord
from gitmodel.domain.runs import find_run
from gitmodel.domain.snapshot import Snapshot
from gitmodel.errors import Invalid, NotFound
from gitmodel.registry.models import parse_filter
from gitmodel.storage.journal import Journal
from gitmodel.storage.repository import Repository


@dataclass(frozen=True)
class RunView:
    """A run as readers see it: recorded on the branch (*record*), or only in this machine's journal.

    *status* is "succeeded", "failed", "cancelled", or of a run that is not recorded "running" or "lost".
    *traceback* is the failing step's, where this machine has it.
    """

    id: str
    pipeline: str
    status: str
    started: datetime
    record: RunRecord | None = None
    traceback: str = ""

    def fields(self) -> dict[str, Any]:
        """The run as filters and JSON show it; `docs/reference/json.md` describes each field."""
        record = self.record
        shown: dict[str, Any] = {
            "id": self.id,
            "pipeline": self.pipeline,
            "status": self.status,
            "started": self.started,
            "recorded": record is not None,
        }
        if record is None:
            return shown
        code = record.code
        return {
            **shown,
            "finished": record.finished,
            "executor": record.executor,
            "python": record.python,
            "packages": record.packages,
            "failed_step": record.failed_step,
            "error": record.error,
            "versions": list(record.versions),
            "code": {"commit": code.commit, "dirty": code.dirty, "repository": code.repository} if code else None,
            "parameters": dict(record.parameters),
            "steps": [
                {
                    "name": step.name,
                    "status": step.status,
                    "seconds": step.seconds,
                    "parameters": dict(step.parameters),
                    "inputs": dict(step.inputs),
                    "outputs": dict(step.outputs),
                }
                for step in record.steps
            ],
        }


def list_runs(
    repository: Repository, *, filter: str = "", limit: int | None = None, offset: int = 0
) -> tuple[list[RunView], list[Invalid]]:
    """The runs that match *filter* (CEL), newest first, with those of this machine's journal; and the damaged."""
    matching = parse_filter(filter)
    wanted = None if limit is None else offset + limit

    def question(snapshot: Snapshot) -> tuple[list[RunView], list[Invalid]]:
        views: list[RunView] = []
        damaged: list[Invalid] = []
        for found in _merged(snapshot, Journal(repository.common_dir).runs()):
            if isinstance(found, Invalid):
                damaged.append(found)
            elif matching is None or matching.matches({k: v for k, v in found.fields().items() if v is not None}):
                views.append(found)
                if wanted is not None and len(views) == wanted:
                    break
        return views[offset:wanted], damaged

    return repository.read(question)


def get_run(repository: Repository, id: str) -> RunView:
    """The run *id*, with the traceback of a failing step where this machine has it. Raises NotFound."""
    noted = Journal(repository.common_dir).runs().get(id)
    try:
        record = repository.read(lambda snapshot: find_run(snapshot, id))
    except NotFound:
        if noted is None:
            raise
        return _of_journal(id, noted)
    traceback = str((noted or {}).get("error", {}).get("traceback", "")) or record.traceback
    return RunView(id, record.pipeline, record.status, record.started, record, traceback)


def _merged(snapshot: Snapshot, journal: dict[str, dict[str, Any]]) -> Iterator[RunView | Invalid]:
    """Recorded runs and those only in the journal, newest first: ids begin with the time."""
    left = sorted((id for id in journal if journal[id].get("status") in ("running", "lost")), reverse=True)
    for path in _run_paths(snapshot):
        id = path.rpartition("/")[2].removesuffix(".toml")
        while left and left[0] > id:
            yield _of_journal(left[0], journal[left.pop(0)])
        if id in left:
            left.remove(id)
        try:
            record = snapshot.load(path, records.RUN)
        except Invalid as error:
            yield error
            continue
        if record is not None:
            yield RunView(id, record.pipeline, record.status, record.started, record)
    for id in left:
        yield _of_journal(id, journal[id])


def _run_paths(snapshot: Snapshot) -> Iterator[str]:
    folders = [paths.RUNS]
    for _ in ("year", "month", "day"):
        folders = [
            f"{folder}/{name}" for folder in folders for name in sorted(snapshot.files.names(folder), reverse=True)
        ]
    for folder in folders:
        for name in sorted(snapshot.files.names(folder), reverse=True):
            if name.endswith(".toml"):
                yield f"{folder}/{name}"


def _of_journal(id: str, noted: dict[str, Any]) -> RunView:
    try:
        started = datetime.fromisoformat(str(noted.get("started")))
    except ValueError:
        started = datetime.fromtimestamp(0, timezone.utc)
    error = noted.get("error")
    traceback = str(error.get("traceback", "")) if isinstance(error, dict) else ""
    return RunView(id, str(noted.get("pipeline", "")), str(noted.get("status", "lost")), started, None, traceback)
