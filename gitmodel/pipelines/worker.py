"""What runs a step, in this process or in another: plain data in, plain data out, and never an exception."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from gitmodel.errors import GitModelError, UsageError
from gitmodel.pipelines import materializers
from gitmodel.pipelines.config import ModelConfig, Secret
from gitmodel.pipelines.context import StepContext, within
from gitmodel.pipelines.steps import OutputSpec, Step
from gitmodel.storage import artifacts
from gitmodel.storage.artifacts import ArtifactStore, open_store

# The name under which a worker imports the script that was run as `__main__`.
SCRIPT = "__gitmodel_main__"

Request = dict[str, Any]
Result = dict[str, Any]


def run_step(request: Request, step: Step[..., Any] | None = None) -> Result:
    """Run one step: load its inputs, call it, keep its outputs in the store.

    *step* is given where the worker shares memory with the coordinator; elsewhere it is imported by its name.
    """
    started = time.time()
    clock = time.perf_counter()
    done: Result = {"started": started, "plans": [], "outputs": []}
    try:
        found = step or _find_step(request["step"])
        config = ModelConfig(**request["config"]) if request["config"] else None
        context = StepContext(request["facts"], [spec.name for spec in found.specs()], config)
        with tempfile.TemporaryDirectory(prefix="gitmodel-step-") as folder:
            store = open_store(request["store"]["url"], default_root=Path(request["store"]["root"]))
            arguments = _load_inputs(request, found, store, Path(folder))
            with within(context):
                value = found.function(**arguments)
            done["outputs"] = [
                _keep(store, Path(folder) / f"output-{index}", spec, item)
                for index, (spec, item) in enumerate(_matched(found, value))
            ]
        done.update(status="succeeded", plans=context.plans)
    except Exception as error:
        done.update(status="failed", error=_described(error))
    done["seconds"] = time.perf_counter() - clock
    return done


def _find_step(where: dict[str, str]) -> Step[..., Any]:
    module = (
        _import_script(where["file"]) if where["module"] == "__main__" else importlib.import_module(where["module"])
    )
    found: Any = module
    for part in where["qualname"].split("."):
        found = getattr(found, part)
    if not isinstance(found, Step):
        raise UsageError(f"{where['module']}.{where['qualname']} is no step", hint="keep the @step decorator on it")
    return found


def _import_script(file: str) -> Any:
    # A spawned process has imported the script already, under a name of its own.
    for name in (SCRIPT, "__mp_main__"):
        loaded = sys.modules.get(name)
        if loaded is not None and os.path.realpath(getattr(loaded, "__file__", "") or "") == file:
            return loaded
    spec = importlib.util.spec_from_file_location(SCRIPT, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} cannot be imported by a worker", hint="every worker must see the script's folder")
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT] = module
    if str(Path(file).parent) not in sys.path:
        sys.path.insert(0, str(Path(file).parent))
    spec.loader.exec_module(module)
    return module


def _load_inputs(request: Request, step: Step[..., Any], store: ArtifactStore, folder: Path) -> dict[str, Any]:
    arguments = {name: value.value if isinstance(value, Secret) else value for name, value in request["values"].items()}
    types = step.input_types()
    for index, (name, ref) in enumerate(request["inputs"].items()):
        target = folder / f"input-{index}"
        if ref["format"] == "folder":
            artifacts.get_folder(store, ref["digest"], target)
        else:
            artifacts.get_file(store, ref["digest"], target)
        as_path = types.get(name) is Path or ref["format"] == "folder" or ref["materializer"] == "path"
        arguments[name] = target if as_path else materializers.load(
            target, ref["format"], ref["materializer"], trusted=ref["trusted"]
        )  # fmt: skip
    return arguments


def _matched(step: Step[..., Any], value: Any) -> list[tuple[OutputSpec, Any]]:
    specs = step.specs()
    if not specs:
        if value is not None:
            raise UsageError(
                f"step {step.name} says it returns nothing, but returned a {type(value).__name__}", hint="annotate it"
            )
        return []
    if not step.many:
        annotated = "return" in getattr(step.function, "__annotations__", {})
        return [] if value is None and not annotated else [(specs[0], value)]
    if not isinstance(value, tuple) or len(value) != len(specs):
        got = f"{len(value)} outputs" if isinstance(value, tuple) else f"a {type(value).__name__}"
        raise UsageError(
            f"step {step.name} declares {len(specs)} outputs, but returned {got}",
            hint="return a tuple of that many values",
        )
    return list(zip(specs, value, strict=True))


def _keep(store: ArtifactStore, path: Path, spec: OutputSpec, value: Any) -> dict[str, Any]:
    if isinstance(value, Path):
        from gitmodel import formats

        format, kind, materializer, path = spec.format or formats.detect_format(value), "data", "path", value
    else:
        format, kind, materializer = materializers.save(value, path, spec.name, spec.format)
    stored = artifacts.put_path(store, path)
    return {
        "name": spec.name,
        "kind": spec.kind or kind,
        "digest": stored.digest,
        "size": stored.size,
        "format": "folder" if stored.folder else format,
        "materializer": materializer,
    }


def _described(error: Exception) -> dict[str, str]:
    message = error.message if isinstance(error, GitModelError) else str(error)
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # an error whose own words cannot be made must not hide that there was one
        text = ""
    return {"type": type(error).__name__, "message": message.strip()[:1000], "traceback": text}
