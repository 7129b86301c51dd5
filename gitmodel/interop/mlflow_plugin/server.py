"""Functions for a process of `mlflow server`: its files and current folder are not those of the users it serves."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_SET_BY_THE_SERVER = ("_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_REGISTRY_STORE")
_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"


def is_server() -> bool:
    """Return True if this process is one of `mlflow server`."""
    return any(os.environ.get(name) for name in _SET_BY_THE_SERVER)


def served_location(location: str) -> str:
    """Return the URI from which this server itself reads the files at *location*.

    Clients read a location such as `mlflow-artifacts:/1/model` from the server, and the server reads it from the
    destination in its settings. Other locations are returned unchanged.
    """
    parts, destination = urlsplit(location), os.environ.get(_DESTINATION)
    if not is_server() or parts.scheme != "mlflow-artifacts" or not destination:
        return location
    return f"{destination.rstrip('/')}/{parts.path.lstrip('/')}"
