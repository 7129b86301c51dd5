"""Facts about the run that made a new version, which gitmodel records in the version."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from gitmodel.domain.secrets.credentials import without_credentials

# Tables of the metadata. A metric with one of these names must not replace the table.
_RESERVED = ("mlflow", "parameters", "tags")
_COMMIT_TAG = "mlflow.source.git.commit"
_LONGEST_KEY = 128
_LONGEST_VALUES = 32_000
_log = logging.getLogger("gitmodel")


@dataclass(frozen=True)
class RunFacts:
    """The last value of each metric of a run, its parameters, and its git commit (None: not recorded)."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None

    def metadata(self) -> dict[str, Any]:
        """Return the metrics and parameters as metadata of a version, in the same form as an import from MLflow."""
        found: dict[str, Any] = {key: value for key, value in self.metrics.items() if key not in _RESERVED}
        return {**found, "parameters": dict(self.parameters)} if self.parameters else found


def read_run(run_id: str, tracking_uri: str | None) -> RunFacts:
    """Return the facts about the run *run_id* of MLflow's server at *tracking_uri*; empty facts if it is not there.

    Logs a warning about parameters that are left out, because they are too long or look like credentials.
    """
    try:
        data = MlflowClient(tracking_uri=tracking_uri).get_run(run_id).data
    except MlflowException:  # for example because the run is on another server, or was deleted
        return RunFacts()
    parameters, secrets = without_credentials(data.params)
    left_out = [f"{key} looks like {kind}" for key, kind in secrets]
    size = 0
    for key in sorted(parameters, key=lambda key: len(str(parameters[key]))):
        size += len(key) + len(str(parameters[key]))
        if len(key) > _LONGEST_KEY or size > _LONGEST_VALUES:
            del parameters[key]
            left_out.append(f"{key} is too long")
    if left_out:
        _log.warning("parameters of run %s are not recorded: %s", run_id, "; ".join(left_out))
    metrics = {key: value for key, value in data.metrics.items() if len(key) <= _LONGEST_KEY}
    commit = data.tags.get(_COMMIT_TAG, "")
    return RunFacts(metrics, parameters, commit if re.fullmatch(r"[0-9a-f]{40}", commit) else None)
