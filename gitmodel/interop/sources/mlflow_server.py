"""Reading an MLflow tracking server over REST: https://mlflow.org/docs/latest/api_reference/rest-api.html"""

from __future__ import annotations

import base64
import http.client
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import Request

from gitmodel.errors import Invalid, NotFound, Refused, Unreachable, UsageError
from gitmodel.hosts.requests import open_without_redirects
from gitmodel.interop.sources import mlflow_values
from gitmodel.interop.sources.source_values import FilesUnavailable, Point, SourceModel, SourceRun, SourceVersion
from gitmodel.stores.requests.server_attempts import PASSING, attempts

_API = "/api/2.0/mlflow/"
_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_MODEL_URI = "models:/"
_PAGE = 1000
_TIMEOUT = 60.0
_ATTEMPTS = 6
_PIECE = 1 << 20
# The filter that finds prompts: a server leaves them out of a search, unless the filter names their tag.
_PROMPTS = f"tags.`{mlflow_values.PROMPT_TAG}` = 'true'"


class MlflowServer:
    """Reads the tracking server at *url*; implements `Reader`.

    As for MLflow's clients, the login is in the variables MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, of *environ*. It is sent to this server only.
    """

    name = "MLflow"

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        if "@" in parts.netloc:
            raise UsageError(
                "the address of the server contains a login",
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, instead",
            )
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        self._headers = {"Accept": "application/json", **_login(environ)}
        self._experiments: dict[str, str] = {}

    def models(self) -> Iterator[SourceModel]:
        found = {item["name"]: item for item in self._pages("registered-models/search", "registered_models")}
        found.update((item["name"], item) for item in self._prompts())
        versions: dict[str, dict[int, SourceVersion]] = {name: {} for name in found}
        for name, model in found.items():
            is_prompt = mlflow_values.is_prompt(_pairs(model, "tags"))
            wanted = f"name={_quoted(name)}" + (f" AND {_PROMPTS}" if is_prompt else "")
            for item in self._pages("model-versions/search", "model_versions", {"filter": wanted}):
                version = mlflow_values.read_version(item, _pairs(item, "tags"), created=item.get("creation_timestamp"))
                # The version is of a logged model of MLflow 3: `files` asks the server for the location of its files.
                if version.location.startswith(_MODEL_URI):
                    version = replace(version, location=f"{_MODEL_URI}{name}/{version.number}")
                versions[name][version.number] = version
        for name, item in sorted(found.items()):
            tags = _pairs(item, "tags")
            yield SourceModel(
                name=name,
                created=mlflow_values.at(item.get("creation_timestamp")),
                description=item.get("description") or "",
                tags=tags,
                aliases=self._aliases(name, item),
                versions=tuple(version for _, version in sorted(versions[name].items())),
                is_prompt=mlflow_values.is_prompt(tags),
            )

    def run(self, id: str) -> SourceRun | None:
        try:
            found = self._get("runs/get", {"run_id": id})["run"]
        except NotFound:
            return None
        data = found.get("data", {})
        return mlflow_values.read_run(
            found["info"],
            experiment=self._experiment(str(found["info"].get("experiment_id", ""))),
            metrics={item["key"]: mlflow_values.number(item.get("value", 0)) for item in data.get("metrics", ())},
            parameters=_pairs(data, "params"),
            tags=_pairs(data, "tags"),
        )

    def points(self, run: SourceRun) -> list[Point]:
        found = []
        for key in run.metrics:
            options = {"run_id": run.id, "metric_key": key}
            history = [
                Point(
                    key,
                    int(item.get("step", 0)),
                    mlflow_values.precisely_at(item.get("timestamp")),
                    mlflow_values.number(item.get("value", 0)),
                )
                for item in self._pages("metrics/get-history", "metrics", options)
            ]
            found += history if len(history) > 1 else []
        return sorted(found)

    @contextmanager
    def files(self, version: SourceVersion) -> Iterator[Path]:
        location = version.location
        if location.startswith(_MODEL_URI):
            name, _, number = location.removeprefix(_MODEL_URI).rpartition("/")
            answer = self._get("model-versions/get-download-uri", {"name": name, "version": number})
            location = str(answer["artifact_uri"])
        here = mlflow_values.local_path(location)
        if here is not None and here.exists():  # the files are on this machine, as those of a local server
            yield here
            return
        with tempfile.TemporaryDirectory(prefix="gitmodel-") as temporary:
            target = Path(temporary) / (PurePosixPath(urlsplit(location).path).name or "model")
            try:
                self._download(location, version.run, target)
            except NotFound as error:
                raise FilesUnavailable(f"the server does not have its files at {location}: {error.message}") from None
            if not target.exists():
                raise FilesUnavailable(f"its files are missing: the server has none at {location}")
            yield target

    def close(self) -> None:
        pass

    def _download(self, location: str, run: str | None, target: Path) -> None:
        """Download the files at *location* to the path *target*.

        If *location* begins with `mlflow-artifacts:`, the server reads them from its artifact store. Otherwise they
        must be among the artifacts of the run *run*; raises FilesUnavailable if they are not.
        """
        if urlsplit(location).scheme == "mlflow-artifacts":
            root = unquote(urlsplit(location).path).strip("/")
            for path in self._tree(lambda at: self._read(_PROXY, {"path": at}), root, _join):
                self._save(f"{_PROXY}/{quote(path)}", {}, target / path[len(root) :].strip("/"))
            return
        found = self.run(run) if run else None
        base = found.artifacts.rstrip("/") if found else ""
        if run is None or not base or not location.startswith(base + "/"):
            raise FilesUnavailable(f"its files are at {location}, from which the server serves no files")
        root = location[len(base) :].strip("/")
        for path in self._tree(
            lambda at: self._get("artifacts/list", {"run_id": run, "path": at}), root, lambda _, name: name
        ):
            self._save("/get-artifact", {"run_id": run, "path": path}, target / path[len(root) :].strip("/"))

    def _tree(self, listing: Any, root: str, joined: Any) -> Iterator[str]:
        """Yield the paths of the files below the folder *root*.

        *listing* asks the server for the content of a folder. *joined* returns the path of a file from the path of this
        folder and the path that the answer has for the file.
        """
        folders = [root]
        while folders:
            folder = folders.pop()
            for item in listing(folder).get("files", ()):
                path = joined(folder, str(item["path"]))
                if ".." in PurePosixPath(path).parts or not path.startswith(root):
                    raise Invalid(
                        f"the server lists a file outside of its folder: {path!a}", hint="do not trust this server"
                    )
                if item.get("is_dir"):
                    folders.append(path)
                else:
                    yield path

    def _save(self, path: str, options: Mapping[str, str], target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        for last in attempts(_ATTEMPTS):
            with self._open(path, options) as answer, open(target, "wb") as file:
                expected = answer.headers.get("Content-Length")
                try:
                    while piece := answer.read(_PIECE):
                        file.write(piece)
                except (OSError, http.client.HTTPException) as error:
                    if last:
                        raise self._unreachable(error) from error
                    continue
                if expected is None or file.tell() == int(expected):
                    return
                if last:
                    raise self._unreachable("a file ended early")

    def _aliases(self, name: str, item: Mapping[str, Any]) -> dict[str, int]:
        """Return the aliases of the model *name* with their version numbers.

        *item* is the model in the answer to a search. Older servers leave out the aliases there, so the model is then
        requested alone.
        """
        if "aliases" not in item:
            item = self._get("registered-models/get", {"name": name})["registered_model"]
        return {alias["alias"]: int(alias["version"]) for alias in sorted(item.get("aliases", ()), key=str)}

    def _prompts(self) -> list[Mapping[str, Any]]:
        try:
            return list(self._pages("registered-models/search", "registered_models", {"filter": _PROMPTS}))
        except UsageError:  # the server is older than prompts and refuses this filter
            return []

    def _experiment(self, id: str) -> str:
        if id not in self._experiments:
            try:
                self._experiments[id] = str(self._get("experiments/get", {"experiment_id": id})["experiment"]["name"])
            except NotFound:
                self._experiments[id] = id
        return self._experiments[id]

    def _pages(self, what: str, key: str, options: Mapping[str, str] | None = None) -> Iterator[Mapping[str, Any]]:
        token = ""
        while True:
            answer = self._get(
                what, {"max_results": str(_PAGE), **(options or {}), **({"page_token": token} if token else {})}
            )
            yield from answer.get(key, ())
            token = answer.get("next_page_token", "")
            if not token:
                return

    def _get(self, what: str, options: Mapping[str, str]) -> dict[str, Any]:
        return self._read(_API + what, options)

    def _read(self, path: str, options: Mapping[str, str]) -> dict[str, Any]:
        for last in attempts(_ATTEMPTS):
            try:
                with self._open(path, options) as answer:
                    found = json.loads(answer.read())
            except (OSError, http.client.HTTPException) as error:
                if last:
                    raise self._unreachable(error) from error
                continue
            except ValueError:
                found = None
            if not isinstance(found, dict):
                raise Invalid(
                    f"{self.url} does not answer as an MLflow server does", hint="check that the address is right"
                )
            return found
        raise AssertionError("the loop returns or raises")

    def _open(self, path: str, options: Mapping[str, str]) -> Any:
        """Send a GET request for *path*, and return the response. If the server fails temporarily, try again.

        Raises an error of gitmodel for other failures, and after too many attempts.
        """
        url = f"{self.url}{path}" + (f"?{urlencode(options)}" if options else "")
        for last in attempts(_ATTEMPTS):
            try:
                return open_without_redirects(Request(url, headers=self._headers), timeout=_TIMEOUT)
            except HTTPError as error:
                with error:
                    if error.code in PASSING and not last:
                        continue
                    raise self._failure(error) from None
            except (URLError, http.client.HTTPException, OSError) as error:
                if last:
                    raise self._unreachable(getattr(error, "reason", error)) from None
        raise AssertionError("the loop returns or raises")

    def _failure(self, error: HTTPError) -> Exception:
        try:
            said = json.loads(error.read(4096)).get("message", "")
        except (ValueError, AttributeError, OSError):
            said = ""
        if error.code in (401, 403):
            return Refused(
                f"{self.url} refuses the request: {error.code} {error.reason}",
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
            )
        if error.code == 404:
            return NotFound(
                said or f"{self.url} has no such page: 404", hint="check that the address is that of an MLflow server"
            )
        if error.code == 400:
            return UsageError(f"{self.url} refuses the request: {said[:200] or error.reason}")
        return self._unreachable(f"{error.code} {error.reason}")

    def _unreachable(self, reason: object) -> Unreachable:
        return Unreachable(
            f"the MLflow server {self.url} cannot be reached: {reason}",
            hint="run the same command again: what was imported is not imported again",
        )


def _login(environ: Mapping[str, str]) -> dict[str, str]:
    if token := environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := environ.get("MLFLOW_TRACKING_USERNAME"):
        pair = f"{user}:{environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _pairs(item: Mapping[str, Any], key: str) -> dict[str, str]:
    found: Sequence[Mapping[str, str]] = item.get(key, ())
    return {pair["key"]: pair.get("value", "") for pair in sorted(found, key=lambda pair: pair["key"])}


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}".strip("/")


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'" if "'" not in name else f'"{name}"'
