"""New runs: their ids, their list of installed packages, and the rules that decide if they are recorded."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache

from gitmodel.domain.changes.runs import run_id
from gitmodel.domain.schema.records import RunRecord
from gitmodel.domain.schema.registry_rules.registry_record import RunRules
from gitmodel.errors import UsageError
from gitmodel.stores.interface import ArtifactStore


def new_run_id(name: str, started: datetime) -> str:
    """Return a new id for a run of *name*, which is sorted after the ids of earlier runs."""
    return run_id(name, started, _unique())


def _unique() -> str:
    """Return the last part of a run id. Tests replace this function, so that their ids are always the same."""
    # Milliseconds come first, so that sorted ids of the same second are in the order of their runs.
    return f"{int(time.time() * 1000) % 1000:03x}{os.urandom(2).hex()[:3]}"


_inside: ContextVar[str] = ContextVar("gitmodel_inside_run", default="")


@contextmanager
def inside_run(shown: str) -> Iterator[None]:
    """Record during the block that this thread is in the run or step *shown*. `refuse_inside_run` reads this."""
    token = _inside.set(shown)
    try:
        yield
    finally:
        _inside.reset(token)


def refuse_inside_run(what: str) -> None:
    """Raise UsageError if this thread is in a run or step. *what* is the run or pipeline that must not start there."""
    if outer := _inside.get():
        raise UsageError(
            f"{what} is started inside {outer}", hint="end the first one before, or record both in one run"
        )


def is_recorded(rules: RunRules, record: RunRecord, *, changes: bool, has_journal: bool) -> bool:
    """Return True if *rules* say that the run *record* is recorded. If *changes*, the run also changes other records.

    If *has_journal* is False, this is a temporary machine, whose journal of runs will be lost. Then failed runs are
    recorded, too.
    """
    if rules.record == "versioned":
        return bool(record.versions) or changes
    return rules.record != "succeeded" or record.status == "succeeded" or bool(record.versions) or not has_journal


def keep_packages(store: ArtifactStore) -> str:
    """Store the list of installed packages, one `name==version` per line, and return its digest."""
    known = _kept_packages.get(store.url)
    if known is None or not store.holds(known):
        known = _kept_packages[store.url] = store.put_stream(io.BytesIO(_installed_packages()))[0]
    return known


# The digest of the stored list of packages, by the URL of the store.
_kept_packages: dict[str, str] = {}


@cache
def _installed_packages() -> bytes:
    from importlib.metadata import distributions

    found = {f"{item.metadata['Name']}=={item.version}\n" for item in distributions() if item.metadata["Name"]}
    return "".join(sorted(found, key=str.casefold)).encode()


def told_stored(outputs: Iterable[tuple[str, str]]) -> str:
    """Return the end of a message about stored *outputs* that no commit names; "" if there are none.

    >>> told_stored([("clf", "sha256:0d83a2")])
    '; what it stored stays in the artifact store until `git model store gc`: clf sha256:0d83a2'
    """
    said = ", ".join(f"{name} {digest}" for name, digest in outputs)
    return f"; what it stored stays in the artifact store until `git model store gc`: {said}" if said else ""
