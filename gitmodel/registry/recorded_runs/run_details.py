"""The inputs and outputs of the steps of a long run: the record of the run has the digest of an object with them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.portable_paths import file_name_fault
from gitmodel.domain.schema.records import RunRecord, StepRecord
from gitmodel.errors import Invalid, UsageError
from gitmodel.stores.artifacts.manifests import read_object
from gitmodel.stores.interface import ArtifactStore

STEP_KEYS = tuple(one.name for one in fields(StepRecord) if one.name != "extra")
_DETAILS_LIMIT = 256 << 20  # bytes, enough for some hundred thousand steps


def store_details(record: RunRecord, store: ArtifactStore) -> RunRecord:
    """Return *record*; if it is too long for a file on the branch, move the inputs and outputs of steps to *store*."""
    if _fits(record):
        return record
    steps = json.dumps([step_fields(step) for step in record.steps], default=str, ensure_ascii=False, indent=1)
    details, _ = store.put_stream(io.BytesIO(steps.encode()))
    brief = tuple(
        StepRecord(name=step.name, status=step.status, version=step.version, seconds=step.seconds)
        for step in record.steps
    )
    record = replace(record, details=details, steps=brief)
    if not _fits(record):
        record = replace(record, steps=tuple(step for step in brief if step.status == "failed"))
    return record


def load_details(record: RunRecord, store: ArtifactStore) -> RunRecord:
    """Return *record* with the inputs and outputs of its steps, which for a long run are read from *store*.

    Raises NotFound if *store* lacks the object with them, Invalid if this object is not a list of steps.
    """
    if record.details is None:
        return record
    try:
        content = read_object(store, record.details, _DETAILS_LIMIT, "a list of steps")
        steps = [StepRecord(**{key: step[key] for key in STEP_KEYS if key in step}) for step in json.loads(content)]
        if any(file_name_fault(file) for step in steps for file in step.files.values()):
            raise ValueError("the name of a file")
    except (AttributeError, TypeError, ValueError):
        raise Invalid(f"{record.details} is not a list of steps", hint="run `git model verify`") from None
    # A pull may have renumbered a version after the list was stored, so the record has the current numbers.
    now = {step.name: step.version for step in record.steps}
    return replace(record, steps=tuple(replace(step, version=now.get(step.name, step.version)) for step in steps))


def with_details(record: RunRecord, store: Callable[[], ArtifactStore]) -> RunRecord:
    """Return *record* with the inputs and outputs of its steps; if nothing has them, return it unchanged."""
    if record.details is None or any(step.inputs or step.outputs for step in record.steps):
        return record
    return load_details(record, store()) if store().holds(record.details) else record


def _fits(record: RunRecord) -> bool:
    try:
        codec.canonical(record)
    except UsageError:
        return False
    return True


def step_fields(step: StepRecord) -> dict[str, Any]:
    return {key: getattr(step, key) for key in STEP_KEYS}
