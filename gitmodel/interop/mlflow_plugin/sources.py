"""Fetching the files of a new version from the location that MLflow names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from gitmodel.errors import UsageError
from gitmodel.interop.mlflow_plugin.server import served_location


def logged_model(model_id: str, tracking_uri: str | None) -> Any:
    """Return the logged model *model_id* of MLflow 3. Raises MlflowException if MLflow does not have it."""
    return MlflowClient(tracking_uri=tracking_uri).get_logged_model(model_id)


@contextmanager
def fetched_files(location: str | None, local: str | None, tracking_uri: str | None) -> Iterator[str | None]:
    """Yield a path on this machine with the files at *location*; None if *location* is None.

    If *local*, the path of a copy of these files, exists, yields *local*. Files that are not on this machine are
    fetched into a temporary folder. Raises UsageError if they cannot be read.
    """
    location = location and served_location(location)
    here = local
    if not here and location and is_local_uri(location):
        here = str(local_file_uri_to_path(location))
    if here and os.path.exists(here):
        yield here
    elif not location:
        yield None
    else:
        with tempfile.TemporaryDirectory(prefix="gitmodel-mlflow-") as folder:
            yield _fetch(location, folder, tracking_uri)


def _fetch(location: str, folder: str, tracking_uri: str | None) -> str:
    try:
        return str(download_artifacts(artifact_uri=location, dst_path=folder, tracking_uri=tracking_uri))
    except (MlflowException, OSError) as error:
        raise UsageError(
            f"the files of the version cannot be read from {location}: {error}",
            hint="log the model first, or let gitmodel record only the location: add ?artifacts=link to the URI of the "
            "registry",
        ) from error
