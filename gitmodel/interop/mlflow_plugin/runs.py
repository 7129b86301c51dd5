"""The facts of the run that made a new version, which gitmodel records with the version."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from gitmodel.domain.secrets.credentials import without_credentials

# Tables of the metadata, which a metric must not replace.
_RESERVED = ("mlflow", "parameters", "tags")
_COMMIT_TAG = "mlflow.source.git.commit"
_LONGEST_KEY = 128
_LONGEST_VALUES = 32_000
_log = logging.getLogger("gitmodel")


@dataclass(frozen=True)
class RunFacts:
    """The last value of each metric, the parameters, and the git commit of the code, if the run recorded it."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None

    def metadata(self) -> dict[str, Any]:
        """Return the metrics and parameters as metadata of a version, as the importer from MLflow writes them."""
        found: dict[str, Any] = {key: value for key, value in self.metrics.items() if key not in _RESERVED}
        return {**found, "parameters": dict(self.parameters)} if self.parameters else found


def read_run(run_id: str, tracking_uri: str | None) -> RunFacts:
    """Return the facts of a run; empty facts if MLflow does not know the run.

    Logs a warning about values that are left out.
    """
    try:
        data = MlflowClient(tracking_uri=tracking_uri).get_run(run_id).data
    except MlflowException:  # for example a run of another server, or a run that was deleted
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
