"""Reading MLflow's SQLite database, without MLflow. Supports MLflow 1.0 to 3: newer columns may be missing."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gitmodel.errors import GitModelError, Invalid, NotFound, Unreachable
from gitmodel.interop.sources import mlflow_values
from gitmodel.interop.sources.source_values import Point, SourceModel, SourceRun, SourceVersion

_WORKSPACE = "default"
_TABLES = ("registered_models", "model_versions", "runs", "latest_metrics", "params", "tags")


class MlflowDatabase:
    """Reads the SQLite database at *path*, which it opens read-only; implements `Reader`."""

    name = "MLflow"

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"there is no database {path}", hint="write sqlite:///FILE, or sqlite:////absolute/FILE")
        self._path = path.absolute()
        self.url = f"sqlite:///{self._path}"
        self._rows = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)
        self._rows.row_factory = sqlite3.Row
        try:
            self._tables = self._read_tables()
        except GitModelError:
            self.close()
            raise

    def _read_tables(self) -> frozenset[str]:
        with _reading(self._path):
            rows = self._rows.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            found = frozenset(row[0] for row in rows)
        missing = [table for table in _TABLES if table not in found]
        if missing:
            raise Invalid(
                f"{self._path} is no database of MLflow: it has no table {missing[0]}",
                hint="give the file that `mlflow server --backend-store-uri sqlite:///FILE` uses; MLflow 1.0 and newer "
                "are supported",
            )
        return found

    def models(self) -> Iterator[SourceModel]:
        with _reading(self._path):
            yield from self._read_models()

    def _read_models(self) -> Iterator[SourceModel]:
        tags = self._tags("registered_model_tags", ("name",))
        version_tags = self._tags("model_version_tags", ("name", "version"))
        aliases: dict[Any, dict[str, int]] = defaultdict(dict)
        for row in self._all("registered_model_aliases"):
            aliases[_key(row, "name")][row["alias"]] = int(row["version"])
        versions: dict[Any, list[SourceVersion]] = defaultdict(list)
        for row in self._all("model_versions", "ORDER BY name, version"):
            fields = dict(row)
            found = mlflow_values.read_version(
                fields, version_tags.get(_key(row, "name", "version"), {}), created=fields["creation_time"]
            )
            versions[_key(row, "name")].append(found)
        for row in self._all("registered_models", "ORDER BY name"):
            fields, key = dict(row), _key(row, "name")
            workspace = fields.get("workspace") or _WORKSPACE
            yield SourceModel(
                name=fields["name"] if workspace == _WORKSPACE else f"{workspace}/{fields['name']}",
                created=mlflow_values.at(fields["creation_time"]),
                description=fields.get("description") or "",
                tags=tags.get(key, {}),
                aliases=dict(sorted(aliases[key].items())),
                versions=tuple(versions[key]),
                is_prompt=mlflow_values.is_prompt(tags.get(key, {})),
            )

    def run(self, id: str) -> SourceRun | None:
        with _reading(self._path):
            return self._read_run(id)

    def _read_run(self, id: str) -> SourceRun | None:
        row = self._rows.execute("SELECT * FROM runs WHERE run_uuid = ?", (id,)).fetchone()
        if row is None:
            return None
        info = dict(row)
        experiment = self._rows.execute(
            "SELECT name FROM experiments WHERE experiment_id = ?", (info["experiment_id"],)
        ).fetchone()
        return mlflow_values.read_run(
            info,
            experiment=experiment["name"] if experiment else str(info["experiment_id"]),
            metrics={row["key"]: _value(row) for row in self._of_run("latest_metrics", id)},
            parameters={row["key"]: row["value"] for row in self._of_run("params", id)},
            tags={row["key"]: row["value"] for row in self._of_run("tags", id)},
        )

    def points(self, run: SourceRun) -> list[Point]:
        repeated = "SELECT key FROM metrics WHERE run_uuid = ? GROUP BY key HAVING COUNT(*) > 1"
        wanted = f"SELECT key, step, timestamp, value, is_nan FROM metrics WHERE run_uuid = ? AND key IN ({repeated})"
        with _reading(self._path):
            return [
                Point(row["key"], row["step"], mlflow_values.precisely_at(row["timestamp"]), _value(row))
                for row in self._rows.execute(f"{wanted} ORDER BY key, step, timestamp", (run.id, run.id))
            ]

    @contextmanager
    def files(self, version: SourceVersion) -> Iterator[Path]:
        yield mlflow_values.path_of(version.location, self._path.parent)

    def close(self) -> None:
        self._rows.close()

    def _all(self, table: str, order: str = "") -> Iterator[sqlite3.Row]:
        return self._rows.execute(f"SELECT * FROM {table} {order}") if table in self._tables else iter(())

    def _of_run(self, table: str, id: str) -> sqlite3.Cursor:
        return self._rows.execute(f"SELECT * FROM {table} WHERE run_uuid = ?", (id,))

    def _tags(self, table: str, columns: tuple[str, ...]) -> Mapping[Any, dict[str, str]]:
        found: dict[Any, dict[str, str]] = defaultdict(dict)
        for row in self._all(table, "ORDER BY key"):
            found[_key(row, *columns)][row["key"]] = row["value"] or ""
        return found


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert errors of SQLite in the block: to Unreachable if the database *path* is locked, else to Invalid.

    Also raises Invalid if the block fails to convert a value that it read.
    """
    try:
        with mlflow_values.converting(path):
            yield
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise Unreachable(f"another program is writing to {path}", hint="run the same command again") from None
        raise Invalid(
            f"{path} cannot be read as an SQLite database: {error}", hint="check that the file was copied completely"
        ) from None


def _key(row: sqlite3.Row, *columns: str) -> tuple[Any, ...]:
    """Return the values that identify the model or version in *row*.

    These are the workspace, which MLflow 3.10 or newer records, and the values of *columns*.
    """
    workspace = row["workspace"] if "workspace" in row.keys() else _WORKSPACE  # noqa: SIM118 (a Row has no `in`)
    return (workspace, *(row[column] for column in columns))


def _value(row: sqlite3.Row) -> float:
    return float("nan") if row["is_nan"] else float(row["value"])
