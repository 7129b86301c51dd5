"""Reading MLflow's file store (a folder such as `mlruns`), without MLflow.

Its files are YAML, or have one value each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from gitmodel.errors import Invalid, NotFound, UsageError
from gitmodel.interop.sources import mlflow_values
from gitmodel.interop.sources.source_values import Point, SourceModel, SourceRun, SourceVersion

_MODELS = "models"
_TRASH = ".trash"


class MlflowFolder:
    """Reads the file store in the folder *path*; implements `Reader`."""

    name = "MLflow"

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise NotFound(f"there is no folder {path}", hint="give the folder of the file store, such as mlruns")
        if not any(path.glob("*/meta.yaml")) and not (path / _MODELS).is_dir():
            raise Invalid(
                f"{path} is no file store of MLflow: it has neither a folder {_MODELS} nor an experiment",
                hint="give the folder that holds them, such as mlruns; for a database, write sqlite:///FILE",
            )
        try:
            import yaml
        except ImportError:
            raise UsageError(f"{path} needs PyYAML", hint="pip install 'gitmodel[yaml]'") from None
        self._yaml = yaml
        self._loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._path = path.absolute()
        self.url = self._path.as_uri()

    def models(self) -> Iterator[SourceModel]:
        for folder in _folders(self._path / _MODELS):
            with mlflow_values.converting(folder):
                yield self._model(folder)

    def _model(self, folder: Path) -> SourceModel:
        info = self._meta(folder)
        tags = _values(folder / "tags")
        versions = [self._version(found) for found in _folders(folder) if found.name.startswith("version-")]
        return SourceModel(
            name=str(info.get("name", folder.name)),
            created=mlflow_values.at(info.get("creation_timestamp")),
            description=str(info.get("description") or ""),
            tags=tags,
            aliases={alias: int(value) for alias, value in _values(folder / "aliases").items()},
            versions=tuple(sorted(versions, key=lambda version: version.number)),
            is_prompt=mlflow_values.is_prompt(tags),
        )

    def run(self, id: str) -> SourceRun | None:
        folder = self._runs.get(id)
        if folder is None:
            return None
        with mlflow_values.converting(folder):
            return self._read_run(folder)

    def _read_run(self, folder: Path) -> SourceRun:
        experiment = self._meta(folder.parent) if (folder.parent / "meta.yaml").exists() else {}
        histories = (_points(file, folder / "metrics") for file in _files(folder / "metrics"))
        # Like MLflow, take the largest of the values with the highest step and the latest time.
        last = {found[0].key: max(found, key=_rank).value for found in histories if found}
        return mlflow_values.read_run(
            self._meta(folder),
            experiment=str(experiment.get("name", folder.parent.name)),
            metrics=last,
            parameters=_values(folder / "params"),
            tags=_values(folder / "tags"),
        )

    def points(self, run: SourceRun) -> list[Point]:
        root = self._runs[run.id] / "metrics"
        with mlflow_values.converting(root):
            found = [_points(file, root) for file in _files(root)]
        return sorted(point for history in found if len(history) > 1 for point in history)

    @contextmanager
    def files(self, version: SourceVersion) -> Iterator[Path]:
        yield mlflow_values.path_of(version.location, self._path.parent)

    def close(self) -> None:
        pass

    @cached_property
    def _runs(self) -> Mapping[str, Path]:
        """The folder of each run by its id, also of deleted runs and of runs in deleted experiments."""
        found = {}
        for experiment in (*_folders(self._path), *_folders(self._path / _TRASH)):
            if experiment.name not in (_MODELS, _TRASH):
                found.update({run.name: run for run in _folders(experiment) if (run / "meta.yaml").exists()})
        return found

    def _version(self, folder: Path) -> SourceVersion:
        info = self._meta(folder)
        return mlflow_values.read_version(info, _values(folder / "tags"), created=info.get("creation_timestamp"))

    def _meta(self, folder: Path) -> dict[str, Any]:
        path = folder / "meta.yaml"
        try:
            found = self._yaml.load(path.read_text(encoding="utf-8"), Loader=self._loader)
        except (OSError, UnicodeDecodeError, self._yaml.YAMLError) as error:
            raise Invalid(
                f"{path} cannot be read: {type(error).__name__}", hint="repair or remove its folder"
            ) from None
        if not isinstance(found, dict):
            raise Invalid(f"{path} does not hold a table", hint="repair or remove its folder")
        return found


def _folders(path: Path) -> list[Path]:
    return sorted(found for found in path.iterdir() if found.is_dir()) if path.is_dir() else []


def _files(root: Path) -> list[Path]:
    """Return all files below *root*, the folder of tags or metrics: if a key contains "/", its file is in a folder."""
    return sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []


def _values(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in _files(root)}


def _points(path: Path, root: Path) -> list[Point]:
    key = path.relative_to(root).as_posix()
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if fields := line.split():
            step = int(fields[2]) if len(fields) > 2 else 0
            found.append(Point(key, step, mlflow_values.precisely_at(fields[0]), mlflow_values.number(fields[1])))
    return found


def _rank(point: Point) -> tuple[int, Any, float]:
    return point.step, point.time, point.value
