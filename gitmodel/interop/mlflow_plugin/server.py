"""Facts about a process of `mlflow server`, which runs in its own folder and serves users of other machines."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_SET_BY_THE_SERVER = ("_MLFLOW_SERVER_FILE_STORE", "_MLFLOW_SERVER_REGISTRY_STORE")
_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"


def is_server() -> bool:
    """Return True in a process of `mlflow server`."""
    return any(os.environ.get(name) for name in _SET_BY_THE_SERVER)


def served_location(location: str) -> str:
    """Return the place behind a location that the server serves; other locations as they are.

    Clients read `mlflow-artifacts:/1/model` from the server. The server itself reads it from its destination.
    """
    parts, destination = urlsplit(location), os.environ.get(_DESTINATION)
    if not is_server() or parts.scheme != "mlflow-artifacts" or not destination:
        return location
    return f"{destination.rstrip('/')}/{parts.path.lstrip('/')}"
