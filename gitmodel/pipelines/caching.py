"""When a step need not run again: the fingerprint of its code, and the key made of it and what it is given.

The fingerprint covers the step's source and that of every function and class of the project it names, directly or
through these, and the plain values of the project's globals they name. It does not cover installed packages, files
that a step reads by itself, the time, or random numbers: turn the cache off for steps that depend on those.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sysconfig
import types
from collections.abc import Callable, Mapping
from typing import Any

from gitmodel.pipelines.steps import Step

_PLAIN = (str, bytes, int, float, bool, type(None), tuple, frozenset, list, dict, set)


def cache_key(step: Step[..., Any], parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of a step with these *parameters* and *inputs* (digests by name); "" if its source cannot be read."""
    code = fingerprint(step.function)
    if not code:
        return ""
    outputs = [(spec.name, spec.kind, spec.format) for spec in step.specs()]
    told = [code, sorted(parameters.items()), sorted(inputs.items()), outputs]
    return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()


def fingerprint(function: Callable[..., Any]) -> str:
    """The hash of *function*'s source and of what it names in its project; "" if the source cannot be read."""
    seen: dict[str, str] = {}
    try:
        _visit(function, seen)
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()


def _visit(found: Any, seen: dict[str, str]) -> None:
    function = inspect.unwrap(found.function if isinstance(found, Step) else found)
    name = f"{function.__module__}.{function.__qualname__}"
    if name in seen:
        return
    seen[name] = inspect.getsource(function)
    if inspect.isclass(function):
        for member in vars(function).values():
            if isinstance(member, types.FunctionType):
                _visit_names(member.__code__, member.__globals__, seen)
        return
    _visit_names(function.__code__, function.__globals__, seen)
    for cell in function.__closure__ or ():
        _visit_value(f"{name}.<closure>", cell.cell_contents, seen)


def _visit_names(code: types.CodeType, names: Mapping[str, Any], seen: dict[str, str]) -> None:
    for name in code.co_names:
        if name in names:
            _visit_value(name, names[name], seen)
            if isinstance(names[name], types.ModuleType) and _is_project(names[name]):
                for member in code.co_names:
                    if hasattr(names[name], member):
                        _visit_value(f"{name}.{member}", getattr(names[name], member), seen)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _visit_names(constant, names, seen)


def _visit_value(name: str, value: Any, seen: dict[str, str]) -> None:
    if isinstance(value, (Step, types.FunctionType)) or inspect.isclass(value):
        if _is_project(inspect.getmodule(value.function if isinstance(value, Step) else value)):
            _visit(value, seen)
    elif isinstance(value, _PLAIN):
        # The order of a set differs between processes.
        seen.setdefault(f"{name} =", repr(sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value))


def _is_project(module: types.ModuleType | None) -> bool:
    file = getattr(module, "__file__", None)
    if not file:
        return module is not None and module.__name__ == "__main__"
    installed = [sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = __file__.rpartition("/pipeline/")[0]
    return not any(file.startswith(folder) for folder in (*installed, own))
