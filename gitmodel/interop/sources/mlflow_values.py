"""Converting the fields of MLflow's stores. Files, databases and servers use the same names for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gitmodel.errors import Invalid
from gitmodel.interop.sources.source_values import FilesUnavailable, SourceRun, SourceVersion

COMMIT_TAG = "mlflow.source.git.commit"
USER_TAG = "mlflow.user"
RUN_NAME_TAG = "mlflow.runName"
PROMPT_TAG = "mlflow.prompt.is_prompt"
DELETED_STAGE = "Deleted_Internal"
# The file store has statuses as numbers: https://mlflow.org/docs/latest/api_reference/rest-api.html#mlflowrunstatus
_STATUSES = {"3": "succeeded", "FINISHED": "succeeded", "4": "failed", "FAILED": "failed"}


@contextmanager
def converting(place: Path) -> Iterator[None]:
    """Raise Invalid, which names the file or folder *place*, if the block fails to convert a value in it."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, IndexError) as error:
        raise Invalid(
            f"{place} has a value that MLflow does not write: {error}",
            hint="correct the value in a copy of the store, and import the copy",
        ) from error


def at(milliseconds: Any) -> datetime:
    """Return the time for a timestamp in milliseconds, in UTC, without fractions of a second.

    >>> at(1795963301261).isoformat()
    '2026-11-29T14:41:41+00:00'
    """
    return datetime.fromtimestamp(int(milliseconds or 0) // 1000, timezone.utc)


def precisely_at(milliseconds: Any) -> datetime:
    """Return the time for a timestamp in milliseconds, in UTC, with the milliseconds.

    >>> precisely_at(1795963301261).isoformat()
    '2026-11-29T14:41:41.261000+00:00'
    """
    return at(milliseconds) + timedelta(milliseconds=int(milliseconds or 0) % 1000)


def number(value: Any) -> float:
    """Return the value of a metric as a number. In JSON, infinite values and NaN are texts.

    >>> number("NaN"), number("-Infinity"), number("0.5")
    (nan, -inf, 0.5)
    """
    return float(value)


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Return True if a registered model with these tags is a prompt."""
    return tags.get(PROMPT_TAG, "").lower() == "true"


def read_run(
    info: Mapping[str, Any],
    *,
    experiment: str,
    metrics: Mapping[str, float],
    parameters: Mapping[str, str],
    tags: Mapping[str, str],
) -> SourceRun:
    """Return the run with the fields *info*, which are those of a run in any of MLflow's stores."""
    started, ended, commit = at(info["start_time"]), info.get("end_time"), tags.get(COMMIT_TAG, "")
    return SourceRun(
        id=str(info.get("run_id") or info.get("run_uuid")),
        name=str(tags.get(RUN_NAME_TAG) or info.get("run_name") or info.get("name") or ""),
        experiment=experiment,
        author=str(info.get("user_id") or tags.get(USER_TAG) or ""),
        status=_STATUSES.get(str(info.get("status")), "cancelled"),
        started=started,
        finished=max(at(ended), started) if ended else None,
        metrics=dict(sorted(metrics.items())),
        parameters=dict(sorted(parameters.items())),
        tags=dict(sorted(tags.items())),
        artifacts=str(info.get("artifact_uri") or ""),
        commit=commit if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) else None,
        is_deleted=info.get("lifecycle_stage") == "deleted",
    )


def read_version(info: Mapping[str, Any], tags: Mapping[str, str], *, created: Any) -> SourceVersion:
    """Return the version with the fields *info*, which are those of a version in any of MLflow's stores."""
    number, stage = int(info["version"]), info.get("current_stage")
    if stage == DELETED_STAGE:
        return SourceVersion(number, is_deleted=True)
    source = str(info.get("source") or "")
    kept = {key: info.get(key) for key in ("run_id", "run_link", "status_message", "model_id")}
    kept["source"] = source
    if info.get("status") not in (None, "", "READY", 1):
        kept["status"] = info["status"]
    return SourceVersion(
        number,
        created=at(created),
        author=str(info.get("user_id") or ""),
        description=str(info.get("description") or ""),
        tags=dict(sorted(tags.items())),
        facts={key: str(value) for key, value in kept.items() if value},
        stages=() if stage in (None, "", "None") else (str(stage),),
        location=str(info.get("storage_location") or source),
        run=str(info["run_id"]) if info.get("run_id") else None,
    )


def local_path(location: str, base: Path | None = None) -> Path | None:
    """Return the path of *location* (a path or URI) if it is on this machine, else None.

    A relative path starts at the folder *base*.

    >>> local_path("file:///data/my%20model"), local_path("s3://models/1"), local_path("./mlruns/0", Path("/srv"))
    (PosixPath('/data/my model'), None, PosixPath('/srv/mlruns/0'))
    """
    parts = urlsplit(location)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme:
        return None
    return Path(os.path.normpath((base or Path()) / location)) if location else None


def path_of(location: str, base: Path) -> Path:
    """Return the path of *location*, the files of a version. Raises FilesUnavailable if it is not on this machine.

    A relative path starts at the folder *base*.
    """
    path = local_path(location, base)
    if path is None:
        raise FilesUnavailable(f"its files are at {location}, which only an MLflow server can read for you")
    if not path.exists():
        raise FilesUnavailable(f"its files are missing: there is no {path}")
    return path
