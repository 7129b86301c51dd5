"""The local journal: runs under way and past on this machine, and the outputs of steps that need not run again."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitmodel.errors import Unreachable


class Journal:
    """Files below the common git directory that may be deleted at any time; nothing of the record depends on them."""

    def __init__(self, common_dir: Path) -> None:
        self._runs = common_dir / "gitmodel" / "runs"
        self._steps = common_dir / "gitmodel" / "steps"

    @contextmanager
    def open_run(self, id: str, facts: Mapping[str, Any]) -> Iterator[RunJournal]:
        """Keep a journal of the run *id* while the block runs; the file stays afterwards.

        The lock on the file (`man 2 flock`) is let go of when the process ends, however it ends.
        """
        try:
            self._runs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._runs / f"{id}.json", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise Unreachable(
                f"{self._runs} cannot be written: {error.strerror}", hint="free or mend the disk"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            journal = RunJournal(descriptor, dict(facts))
            journal.note(status="running")
            yield journal
        finally:
            os.close(descriptor)

    def runs(self) -> dict[str, dict[str, Any]]:
        """What the journal says of each run, by id; one that was killed has the status "lost"."""
        found = {}
        for path in sorted(self._runs.glob("*.json")) if self._runs.is_dir() else []:
            try:
                facts = json.loads(path.read_bytes())
            except (OSError, ValueError):
                continue
            if isinstance(facts, dict):
                if facts.get("status") == "running" and not _is_locked(path):
                    facts["status"] = "lost"
                found[path.stem] = facts
        return found

    def find_step(self, key: str) -> dict[str, Any] | None:
        """What the step with the cache key *key* returned, if it ever ran here."""
        try:
            found = json.loads((self._steps / key[:2] / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def keep_step(self, key: str, result: Mapping[str, Any]) -> None:
        """Remember what a step returned; a full disk only means that it will run again."""
        folder = self._steps / key[:2]
        temporary = folder / f"{key}.{secrets.token_hex(4)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(result))
            os.replace(temporary, folder / f"{key}.json")
        except OSError:
            temporary.unlink(missing_ok=True)


class RunJournal:
    """The journal of one run that is under way."""

    def __init__(self, descriptor: int, facts: dict[str, Any]) -> None:
        self._descriptor = descriptor
        self._facts = facts

    def note(self, **facts: Any) -> None:
        """Write down *facts*."""
        self._facts.update(facts)
        data = json.dumps(self._facts, default=str).encode()
        try:
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))
        except OSError as error:
            raise Unreachable(
                f"the journal cannot be written: {error.strerror}", hint="free or mend the disk"
            ) from error


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
