"""MLflow's server: it runs in a folder of its own, for users on other machines."""

from __future__ import annotations

import os

_SET_BY_THE_SERVER = ("_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_REGISTRY_STORE")


def is_server() -> bool:
    """Return True in a process of `mlflow server`."""
    return any(os.environ.get(name) for name in _SET_BY_THE_SERVER)
