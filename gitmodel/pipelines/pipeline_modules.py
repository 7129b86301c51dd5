"""Finding a pipeline in a script or module. During the import, calls of pipelines in the module run nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from gitmodel.errors import NotFound, UsageError, message_of
from gitmodel.pipelines.definition import Pipeline
from gitmodel.pipelines.workers.step_modules import import_module, import_script


def pipeline_of_script(script: str) -> Pipeline:
    """Import the file that *script* names, and return the pipeline.

    *script* is `FILE:PIPELINE`, or `FILE` for the only pipeline of the file. Raises NotFound for a missing file or
    pipeline. Raises UsageError if the file cannot be imported, or if *script* is `FILE` and the file has several
    pipelines.
    """
    file, _, name = script.rpartition(":") if not os.path.isfile(script) else (script, "", "")
    file, name = (file, name) if file else (name, "")
    path = os.path.realpath(file)
    if not os.path.isfile(path):
        raise NotFound(f"there is no script {file}", hint="name a Python file, as in `git model run train.py`")
    with _naming_problems(file, f"run `python3 {file}` to see the error"):
        return _find(_imported(file, lambda: import_script(path)), file, name)


def pipeline_of_module(module: str) -> Pipeline:
    """Import the module that *module* names, and return the pipeline.

    *module* is `package.module:PIPELINE`, or `package.module` for the only pipeline of the module. Searches the current
    folder and `sys.path` for the module. Raises UsageError if *module* is not the name of a module, and the errors of
    `pipeline_of_script`.
    """
    module, _, name = module.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(
            f"{module!a} is not the name of a module",
            hint="write -m package.module; for a file, leave out -m",
        )
    with _naming_problems(module, f"run `python3 -m {module}` to see the error"):
        try:
            found = _imported(module, lambda: import_module(module))
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the module that *module* names exists, but imports a module that does not exist
            raise NotFound(
                f"there is no module {error.name}",
                hint=f"the current folder is {os.getcwd()}; write the name that `python3 -m` takes",
            ) from None
        return _find(found, module, name)


def _imported(program: str, load: Callable[[], ModuleType]) -> ModuleType:
    """Call *load*, which imports a module, and return the module. During the import, `sys.argv` has only *program*."""
    before, sys.argv = sys.argv, [program]
    try:
        return load()
    finally:
        sys.argv = before


@contextmanager
def _naming_problems(name: str, hint: str) -> Iterator[None]:
    """Raise UsageError with *hint* if importing *name* in the block fails. NotFound and UsageError pass unchanged."""
    try:
        yield
    except (NotFound, UsageError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ImportError) and "attempted relative import" in str(error):
            folders = os.path.splitext(os.path.relpath(name))[0].split(os.sep)
            module = ".".join(folders) if all(map(str.isidentifier, folders)) else "PACKAGE.MODULE"
            hint = f"it uses relative imports, so run it as a module: `git model run -m {module}`"
        raise UsageError(
            f"{name} cannot be imported: {type(error).__name__}: {message_of(error)}", hint=hint
        ) from error


def _find(module: ModuleType, shown: str, name: str) -> Pipeline:
    there = {key: value for key, value in vars(module).items() if isinstance(value, Pipeline)}
    found = {key: value for key, value in there.items() if not name or name in (key, value.name)}
    if len(set(map(id, found.values()))) == 1:
        return next(iter(found.values()))
    if not there:
        raise NotFound(f"{shown} has no pipeline", hint="decorate the function that calls its steps with @pipeline")
    if not found:
        raise NotFound(f"{shown} has no pipeline {name!a}", hint=f"its pipelines: {', '.join(sorted(there))}")
    raise UsageError(f"{shown} has several pipelines", hint=f"name one: {shown}:{min(there)}")
