"""Runs: what is recorded of one execution of a pipeline, and what that record writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gitmodel.domain import codec, paths, records
from gitmodel.domain.records import RunRecord
from gitmodel.domain.snapshot import Change, Snapshot
from gitmodel.domain.upgrading import raised_format
from gitmodel.errors import Conflict, NotFound, Refused

# Shapes of well-known secrets, from the token formats that their issuers publish.
_SECRETS = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50})")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20}")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30}")),
    ("a Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("a Stripe key", re.compile(r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16}")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}")),
    ("a PyPI token", re.compile(r"\bpypi-[A-Za-z0-9_-]{50}")),
    ("an API key", re.compile(r"\bsk-[A-Za-z0-9_-]{20}")),
    ("an Azure key", re.compile(r"\bAccountKey=[A-Za-z0-9+/=]{40}")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.")),
    ("a bearer token", re.compile(r"\b[Bb]earer [A-Za-z0-9._~+/-]{20}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")),
)
# An AWS secret key has no mark of its own: 40 characters drawn at random.
_RANDOM = re.compile(r"[A-Za-z0-9+/]{40}")
_RANDOM_KINDS = (re.compile("[A-Z]"), re.compile("[a-z]"), re.compile("[0-9]"))
_RANDOM_LETTERS = 24
_NAMES_OF_SECRETS = re.compile(
    "password|passwd|passphrase|secret|api_?key|(access|secret|private)_key|(access|auth)_token|client_secret"
)


def secret_in(value: Any) -> str:
    """What secret *value* looks like, or "".

    >>> secret_in({"url": "https://ada:pw@example.com"}), secret_in("0.97"), secret_in({"password": "pw"})
    ('a password in a URL', '', 'a password, by its name')
    """
    if isinstance(value, Mapping):
        return next((found for name, item in value.items() if (found := secret_in(name) or _secret_of(name, item))), "")
    if isinstance(value, (list, tuple)):
        return next((found for item in value if (found := secret_in(item))), "")
    if isinstance(value, str):
        found = next((what for what, pattern in _SECRETS if pattern.search(value)), "")
        return found or ("a secret key" if _is_random(value) else "")
    return ""


def refuse_secrets(values: Mapping[str, Any], where: str) -> None:
    """Raises Refused, naming the parameter, if one of *values* looks like a secret: history is for ever."""
    for name, value in values.items():
        what = secret_in({name: value})
        if what:
            raise Refused(
                f"{name if not secret_in(name) else 'a name'} of {where} looks like {what}",
                hint="pass it as gitmodel.Secret, which is never written",
            )


def without_secrets(text: str) -> str:
    """*text* with what looks like a secret taken out.

    >>> without_secrets("cannot reach https://ada:pw@example.com")
    'cannot reach (a password in a URL)example.com'
    """
    for what, pattern in _SECRETS:
        text = pattern.sub(f"({what})", text)
    return text


def _secret_of(name: Any, value: Any) -> str:
    """What secret *value* is, by itself or by its *name*."""
    plain = str(name).casefold().replace("-", "_")
    if _NAMES_OF_SECRETS.fullmatch(plain) and isinstance(value, str) and value:
        return f"a {plain.replace('_', ' ')}, by its name"
    return secret_in(value)


def _is_random(text: str) -> bool:
    return (
        _RANDOM.fullmatch(text) is not None
        and all(kind.search(text) for kind in _RANDOM_KINDS)
        and len(set(text)) >= _RANDOM_LETTERS
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
    path = paths.run_file(record.id)
    if snapshot.load(path, records.RUN) not in (None, record):
        raise Conflict(f"there is a run {record.id} already", hint="run the pipeline again")
    files: dict[str, bytes | None] = {path: codec.encode(records.RUN, record), **raised_format(snapshot, record)}
    subject = f"Run {record.pipeline}" + ("" if record.status == "succeeded" else f" ({record.status})")
    return Change(record.id, subject=subject, files=files, trailers=(("Run", record.id),))


def find_run(snapshot: Snapshot, id: str) -> RunRecord:
    """The record of the run *id*. Raises NotFound."""
    path = paths.run_file(id)
    record = snapshot.load(path, records.RUN) if path else None
    if record is None:
        raise NotFound(f"there is no run {id!a}", hint="run `git model runs list` to see what there is")
    return record
