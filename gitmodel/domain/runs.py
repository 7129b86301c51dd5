"""Runs: what is recorded of one execution of a pipeline, and what that record writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gitmodel.domain import codec, paths, records
from gitmodel.domain.records import RunRecord
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.errors import NotFound, Refused

# Shapes of well-known secrets, from the token formats that their issuers publish.
_SECRETS = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50})")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20}")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30}")),
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{20}")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@")),
)


def secret_in(value: Any) -> str:
    """What secret *value* looks like, or "".

    >>> secret_in({"url": "https://ada:pw@example.com"}), secret_in("0.97")
    ('a password in a URL', '')
    """
    if isinstance(value, Mapping):
        return next((found for item in value.items() if (found := secret_in(list(item)))), "")
    if isinstance(value, (list, tuple)):
        return next((found for item in value if (found := secret_in(item))), "")
    if isinstance(value, str):
        return next((what for what, pattern in _SECRETS if pattern.search(value)), "")
    return ""


def refuse_secrets(values: Mapping[str, Any], where: str) -> None:
    """Raises Refused, naming the parameter, if one of *values* looks like a secret: history is for ever."""
    for name, value in values.items():
        what = secret_in(value)
        if what:
            raise Refused(
                f"{name} of {where} looks like {what}",
                hint="pass it as gitmodel.pipelines.Secret, which is never written",
            )


def run_id(pipeline: str, started: datetime, unique: str) -> str:
    """The id of a run: when it started, the pipeline, and what tells it from others of that second.

    >>> from datetime import timezone
    >>> run_id("train", datetime(2026, 11, 23, 10, 11, 12, tzinfo=timezone.utc), "7f3a")
    '20261123T101112Z-train-7f3a'
    """
    return f"{started:%Y%m%dT%H%M%SZ}-{pipeline}-{unique}"


def plan_run(snapshot: Snapshot, record: RunRecord) -> Change[str]:
    """Write the record of a run."""
    files: dict[str, bytes | None] = {paths.run_file(record.id): codec.encode(records.RUN, record)}
    subject = f"Run {record.pipeline}" + ("" if record.status == "succeeded" else f" ({record.status})")
    return Change(record.id, subject=subject, files=files, trailers=(("Run", record.id),))


def find_run(snapshot: Snapshot, id: str) -> RunRecord:
    """The record of the run *id*. Raises NotFound."""
    path = paths.run_file(id)
    record = snapshot.load(path, records.RUN) if path else None
    if record is None:
        raise NotFound(f"there is no run {id!a}", hint="run `git model runs list` to see what there is")
    return record
