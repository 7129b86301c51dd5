"""The local journal: current and past runs on this machine, and cached outputs of steps."""

from __future__ import annotations

import json
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gitmodel.files.failures import writing
from gitmodel.files.locks import NoLocks, create_locked, try_lock
from gitmodel.files.permissions import make_folder, open_to_lock, replace_file

# The number of journals that are kept. Those of ended runs only show tracebacks and kept values.
_KEPT = 500
# gitmodel keeps the output of steps for fewer runs, because the output of each attempt takes up to 1 MiB.
_KEPT_LOGS = 200


class Journal:
    """The journals of runs and the results of cached steps, in files below the common git directory.

    No record depends on these files. Each run has a file with a line of JSON for each event. If a crash cuts the last
    line off, the others stay readable.
    """

    def __init__(self, common_dir: Path) -> None:
        self._runs = common_dir / "gitmodel" / "runs"
        self._steps = common_dir / "gitmodel" / "steps"
        self._logs = common_dir / "gitmodel" / "logs"

    @contextmanager
    def open_run(self, name: Callable[[], str], facts: Mapping[str, Any]) -> Iterator[RunJournal]:
        """Create the journal of a new run, write *facts* as its first entry, and keep it locked during the block.

        *name* is called until it returns a new id. The lock ends with the process, so other processes see that a run
        was killed.
        """
        self._remove_oldest()
        path, descriptor = create_locked(self._runs, lambda: f"{name()}.jsonl", os.O_APPEND | os.O_WRONLY)
        journal = RunJournal(path.name.removesuffix(".jsonl"), path, descriptor)
        with suppress(OSError):
            make_folder(self.logs(journal.id))
        try:
            journal.note(**facts, status="running")
            yield journal
        finally:
            journal.close()

    def runs(self) -> dict[str, dict[str, Any]]:
        """Return, for each run with a journal, the result of `run`, by id."""
        found = {path.stem: self._read(path) for path in self._paths()}
        return {id: facts for id, facts in found.items() if facts is not None}

    def run(self, id: str) -> dict[str, Any] | None:
        """Return the facts in the journal of the run *id*; None if there is no such journal.

        A killed run has the status "lost" and `since`, the time of the last change of its journal in seconds since
        1970.
        """
        return self._read(self._runs / f"{id}.jsonl") if "/" not in id else None

    def running(self) -> list[dict[str, Any]]:
        """Return the facts in the journals of the runs that are running on this machine."""
        return [facts for facts in self.runs().values() if facts.get("status") == "running"]

    def is_running(self, id: str) -> bool:
        """Return True if the run *id* is running on this machine, and False if it has ended or was killed."""
        return (self.run(id) or {}).get("status") == "running"

    def logs(self, id: str) -> Path:
        """Return the folder for the output of the run *id*, which has a folder for each step."""
        return self._logs / id

    def find_step(self, key: str) -> dict[str, Any] | None:
        """Return the result that `keep_step` wrote under the cache key *key*; None if there is none."""
        try:
            found = json.loads((self._steps / key[:2] / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def keep_step(self, key: str, result: Mapping[str, Any]) -> None:
        """Write the *result* of a step under its cache key *key*. If that fails, the step runs again next time."""
        with suppress(OSError, TypeError):
            replace_file(self._steps / key[:2] / f"{key}.json", json.dumps(result).encode())

    def outputs(self) -> Iterator[dict[str, Any]]:
        """Yield each output of cached steps and of active runs, as a mapping with its digest and format."""
        current = [path for path in self._paths() if _is_locked(path)]
        for path in [*current, *(sorted(self._steps.glob("*/*.json")) if os.path.isdir(self._steps) else ())]:
            with suppress(OSError):
                for found in _json_lines(path):
                    if isinstance(found.get("outputs"), list):
                        yield from (output for output in found["outputs"] if isinstance(output, dict))

    def _paths(self) -> list[Path]:
        return sorted(self._runs.glob("*.jsonl")) if os.path.isdir(self._runs) else []

    def _read(self, path: Path) -> dict[str, Any] | None:
        facts: dict[str, Any] = {}
        try:
            changed = path.stat().st_mtime
            lines = list(_json_lines(path))
            locked = _is_locked(path)
        except OSError:
            return None
        for line in lines:
            facts.update(line)
        if facts.get("status") == "running" and not locked:
            facts.update(status="lost", since=changed)
        return facts or None

    def _remove_oldest(self) -> None:
        for path in self._paths()[:-_KEPT]:
            with suppress(OSError):
                if not _is_locked(path):
                    shutil.rmtree(_kept_values(path), ignore_errors=True)
                    path.unlink()
        ids = sorted(os.listdir(self._logs)) if self._logs.is_dir() else []
        for id in ids[: 1 - _KEPT_LOGS]:  # the new run will be one of those that are kept
            if not self.is_running(id):
                shutil.rmtree(self.logs(id), ignore_errors=True)


class RunJournal:
    """The journal of one active run."""

    def __init__(self, id: str, path: Path, descriptor: int) -> None:
        self.id = id
        self._path = path
        self._descriptor = descriptor
        _open_journals.add(self)

    @property
    def kept_values(self) -> Path:
        """The folder for the values of the run that cannot be stored as artifacts. Deleted with this journal."""
        return _kept_values(self._path)

    def note(self, **facts: Any) -> None:
        """Append a line with *facts* and the time to the journal. Raises Unreachable if it cannot be written."""
        line = json.dumps({"at": round(time.time(), 3), **facts}, default=str).encode() + b"\n"
        with writing(self._path):
            while line:
                line = line[os.write(self._descriptor, line) :]

    def note_stored(self, outputs: Iterable[tuple[str, str]]) -> None:
        """Note digest and format of each of *outputs*. `store gc` keeps these artifacts while the run is active."""
        self.note(outputs=[{"digest": digest, "format": format} for digest, format in outputs])

    def discard(self) -> None:
        """Delete the journal. Called when the branch has the record of the run."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file of the journal, which releases its lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


# A forked child process closes these journals. Otherwise the child would keep the locks, and other processes would not
# see that the parent with its runs was killed.
_open_journals: weakref.WeakSet[RunJournal] = weakref.WeakSet()


def _close_in_child() -> None:
    for journal in list(_open_journals):
        journal.close()


if hasattr(os, "register_at_fork"):  # Windows cannot fork
    os.register_at_fork(after_in_child=_close_in_child)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the file *path*, one in each line. Skips lines that are incomplete. Raises OSError."""
    for line in path.read_bytes().splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _is_locked(path: Path) -> bool:
    descriptor = open_to_lock(path)
    try:
        return not try_lock(descriptor)
    except NoLocks:
        return True
    finally:
        os.close(descriptor)


def _kept_values(path: Path) -> Path:
    return path.with_suffix(".kept")
