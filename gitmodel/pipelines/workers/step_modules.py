"""The modules of steps: the name by which another process imports the module of a step, and the import there."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.script_names import UNNAMED, adopt, importable_name
from gitmodel.pipelines.declarations.steps import Step
from gitmodel.pipelines.project.installed import is_library, is_of_project
from gitmodel.pipelines.project.project_code import ProjectCode
from gitmodel.pipelines.project.project_modules import UnknownCode
from gitmodel.pipelines.step_context.step_requests import Location

# The environment variable by which processes that a step starts get the id of the step's process.
_RUNS_STEP = "GITMODEL_STEP_PROCESS"
_steps_here = 0
_counting = threading.Lock()
# The files of scripts that this process imported, by the names of their modules.
_scripts: dict[str, str] = {}

_importing = threading.local()


def is_importing(module: str) -> bool:
    """Return True if this process imports *module* only to get its functions: calls of pipelines in it must do nothing.

    Workers import modules for this reason, and so do the processes of a pool that a step has started.
    """
    spawned = getattr(multiprocessing.current_process(), "_inheriting", False)
    return bool(spawned) or getattr(_importing, "script", False) or _is_imported_for_step(module)


def _is_imported_for_step(module: str) -> bool:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    is_initializing = module != "__main__" and getattr(spec, "_initializing", False)
    return is_initializing and os.environ.get(_RUNS_STEP, str(os.getpid())) != str(os.getpid())


@contextmanager
def running_step() -> Iterator[None]:
    """Mark the child processes that start during the block as processes that a step started."""
    global _steps_here
    with _counting:
        _steps_here += 1
        os.environ[_RUNS_STEP] = str(os.getpid())
    try:
        yield
    finally:
        with _counting:
            _steps_here -= 1
            if not _steps_here:
                os.environ.pop(_RUNS_STEP, None)


def script_of(module: str) -> tuple[str, str]:
    """Return the name by which another process imports *module*, and its file if it is a script, else ""."""
    if module in _scripts:
        return module, _scripts[module]
    if module != "__main__":
        return module, ""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and getattr(main, "__package__", None):  # `python -m` runs the module
        return spec.name, ""
    return UNNAMED, os.path.realpath(getattr(main, "__file__", None) or "")


def location(step: Step[..., Any], project: ProjectCode) -> Location:
    """Return the place from which another process imports *step*, with the digest of its code.

    Raises UsageError if the code was edited after this process had loaded it, because another process would load the
    new code.
    """
    module, file = script_of(step.function.__module__)
    try:
        code = project.source_digest(step)
    except UnknownCode as error:
        raise UsageError(
            f"step {step.name} cannot run in another process: {error}", hint="start the pipeline again"
        ) from None
    path = tuple(os.path.abspath(folder or ".") for folder in sys.path if not is_library(os.path.join(folder, "")))
    return Location(module, step.function.__qualname__, file, path, code)


def unnamed_script() -> str:
    """Return the file of the script that other processes cannot import by its file name; "" if there is none."""
    return _scripts.get(UNNAMED, "")


def import_script(file: str) -> ModuleType:
    """Import the script at *file* by the name that other processes use. The script's calls of pipelines run nothing."""
    spawned = sys.modules.get("__mp_main__")
    if spawned is not None and os.path.realpath(getattr(spawned, "__file__", None) or "") == file:
        adopt(spawned)  # a spawned process has already imported the script as `__mp_main__`
        return spawned
    for name, known in list(_scripts.items()):
        if known == file and name in sys.modules:
            return sys.modules[name]
        sys.modules.pop(name, None)
    if not os.path.isfile(file):
        raise UsageError(f"{file} cannot be imported", hint="give the path of a Python file that every worker can read")
    if str(Path(file).parent) not in sys.path:
        sys.path.insert(0, str(Path(file).parent))
    name = importable_name(file) or UNNAMED
    with _only_importing():
        module = importlib.import_module(name) if "." in name else _import_file(name, file)
    _scripts.clear()
    _scripts[name] = file
    return module


def import_module(name: str) -> ModuleType:
    """Import the module *name* as `python -m` does. The module's calls of pipelines run nothing.

    Adds the current folder at the start of `sys.path`.
    """
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with _only_importing():
        return importlib.import_module(name)


def _import_file(name: str, file: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{file} cannot be imported", hint="give the path of a Python file that every worker can read")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextmanager
def _only_importing() -> Iterator[None]:
    _importing.script = True
    try:
        yield
    finally:
        _importing.script = False


def find_step(where: Location | None) -> Step[..., Any]:
    """Import the step at *where*. Raises UsageError if its code differs from the code in the process of the run."""
    assert where is not None
    sys.path += [folder for folder in where.path if folder not in sys.path and os.path.isdir(folder)]
    found = _imported(where)
    if not _has_code(found, where.code):
        # A worker that outlives a run may still have the code of an earlier run.
        _forget_project()
        found = _imported(where)
        if not _has_code(found, where.code):
            raise UsageError(
                f"the worker has different code for {where.qualname} than the process that started the pipeline",
                hint="give every worker the same files and the same Python",
            )
    return found


def _has_code(step: Step[..., Any], digest: str) -> bool:
    try:
        return ProjectCode().source_digest(step) == digest
    except UnknownCode:
        return False


def _imported(where: Location) -> Step[..., Any]:
    with _only_importing():
        module = import_script(where.file) if where.file else importlib.import_module(where.module)
    found: Any = module
    for part in where.qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, Step):
        raise UsageError(f"{where.module}.{where.qualname} is not a step", hint="keep the @step decorator on it")
    return found


def _forget_project() -> None:
    for name in sys.modules.copy():  # a copy, because the garbage collector can import modules
        if name != "__main__" and is_of_project(name):
            del sys.modules[name]
    importlib.invalidate_caches()
