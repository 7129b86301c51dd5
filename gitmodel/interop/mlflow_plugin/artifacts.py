"""Artifacts of gitmodel for MLflow: reading `gitmodel:/srv/models/-/iris@3/model`, verified by digest."""

from __future__ import annotations

import os
import shutil
import weakref
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.utils.file_utils import create_tmp_dir

from gitmodel.client import Artifact, Client
from gitmodel.errors import UsageError
from gitmodel.interop.mlflow_plugin.addresses import ArtifactAddress
from gitmodel.interop.mlflow_plugin.failures import raises_mlflow_errors


class GitmodelArtifacts(ArtifactRepository):  # type: ignore[misc]
    """The artifact of a version that *artifact_uri* names.

    It is read-only, because artifacts of versions do not change.
    """

    def __init__(self, artifact_uri: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(artifact_uri, *args, **kwargs)
        self._uri = artifact_uri
        self._client: Client | None = None

    @raises_mlflow_errors
    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """Return the files and folders that are directly in the folder *path* of the artifact (None: its top)."""
        artifact, inside = self._find(path)
        if not artifact.link.is_folder:
            return []
        found: dict[str, FileInfo] = {}
        for file in artifact.list_files():
            rest = file.path.removeprefix(f"{inside}/") if inside else file.path
            if inside and rest == file.path:
                continue
            name, _, below = rest.partition("/")
            shown = "/".join(part for part in (path, name) if part)
            found[name] = FileInfo(shown, bool(below), None if below else file.size)
        return [found[name] for name in sorted(found)]

    @raises_mlflow_errors
    def download_artifacts(self, artifact_path: str, dst_path: str | None = None, **options: Any) -> str:
        """Download the file or folder *artifact_path* of the artifact into the folder *dst_path*; return its path."""
        artifact, inside = self._find(artifact_path)
        if inside or not artifact.link.is_folder:
            return str(super().download_artifacts(artifact_path, dst_path, **options))
        target = os.path.join(os.path.abspath(dst_path or create_tmp_dir()), artifact_path or "").rstrip("/")
        # `copyfile` does not copy permissions: the files in the artifact store are read-only, but the user may change
        # the copies.
        shutil.copytree(artifact.path(), target, dirs_exist_ok=True, copy_function=shutil.copyfile)
        return target

    @raises_mlflow_errors
    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        artifact, inside = self._find(remote_file_path)
        Path(local_path).unlink(missing_ok=True)
        if artifact.link.is_folder:
            artifact.download_file(inside, local_path)
        else:
            artifact.download(local_path)

    @raises_mlflow_errors
    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Raise MlflowException: the artifacts of a version do not change."""
        raise UsageError(
            f"{self._uri} is a version in gitmodel, whose artifacts do not change",
            hint="log the file to a run, and register a new version",
        )

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Raise MlflowException: the artifacts of a version do not change."""
        self.log_artifact(local_dir, artifact_path)

    def _find(self, path: str | None) -> tuple[Artifact, str]:
        """Return the artifact that this object's URI and *path* name together, and the path inside this artifact."""
        address = ArtifactAddress.parse(self._uri, path or "")
        if not address.artifact:
            raise UsageError(f"{self._uri} names no artifact", hint="write gitmodel:PATH/-/MODEL@NUMBER/ARTIFACT")
        if self._client is None:
            self._client = Client(repo=address.registry)
            weakref.finalize(self, self._client.close)  # MLflow does not close objects of this class
        return self._client.get_version(address.reference).get_artifact(address.artifact), address.inside
