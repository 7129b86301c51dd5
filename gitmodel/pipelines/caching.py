"""When a step need not run again: the fingerprint of its code, and the key made of it and what it is given.

The fingerprint covers the compiled code of the step and of every function and class of the project that it names,
directly or through these, and the plain values of the project's globals that they name. What is hashed is what would
run, so a file that was edited after it was imported changes nothing, and neither do comments. Not covered: installed
packages, functions that are reached in other ways than by name, files that a step reads by itself, the time, random
numbers. Turn the cache off for steps that depend on those.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gitmodel.domain.records import FOLDER_FORMAT
from gitmodel.errors import GitModelError
from gitmodel.pipelines.graph import Node
from gitmodel.pipelines.steps import Step
from gitmodel.storage.artifacts import keep_artifact, manifest_of
from gitmodel.storage.stores import ArtifactStore

_PLAIN = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset, list, dict, set)


def cache_key(node: Node, inputs: Mapping[str, str], model: str) -> str:
    """The key of a step with its parameters, *inputs* (digests by name) and *model*."""
    outputs = [(name, spec.kind, spec.format) for name, spec in zip(node.outputs, node.step.outputs, strict=True)]
    parameters = sorted(node.parameters.items())
    told = [fingerprint(node.step.function), parameters, sorted(inputs.items()), outputs, model]
    return hashlib.sha256(json.dumps(told, default=repr).encode()).hexdigest()


def fingerprint(function: Callable[..., Any], *, values: bool = True) -> str:
    """The hash of *function*'s code and of what it names in its project; without *values* of the code alone."""
    found = _Found(values)
    found.visit(function)
    told = json.dumps([sys.version_info[:2], sorted(found.seen.items())])
    return hashlib.sha256(told.encode()).hexdigest()


def is_there(store: ArtifactStore, output: Mapping[str, Any]) -> bool:
    """Whether the store has what a step returned earlier, of a folder every file; for a run that is to name it."""
    try:
        digests = [output["digest"]]
        if output["format"] == FOLDER_FORMAT:
            digests = [*(entry.digest for entry in manifest_of(store, output["digest"])), *digests]
        return all(keep_artifact(store, digest, folder=False) for digest in digests)
    except GitModelError:
        return False


class _Found:
    """What a function names in its project: the code or the value of each."""

    def __init__(self, values: bool) -> None:
        self.values = values
        self.seen: dict[str, str] = {}

    def visit(self, found: Any) -> None:
        """Look at a function, class or step, and at everything it names."""
        found = found.function if isinstance(found, Step) else found
        name = f"{'class' if inspect.isclass(found) else 'def'} {found.__qualname__}"
        # Two of one name are told apart by their code.
        code = getattr(found, "__code__", None)
        key = name if code is None else f"{name} {_hash_of(code)}"
        if key in self.seen:
            return
        self.seen[key] = ""
        if inspect.isclass(found):
            for base in found.__bases__:
                self.visit_value(f"{name}.<base>", base)
            for member, value in sorted(vars(found).items()):
                if not member.startswith("__") or callable(value):
                    self.visit_member(f"{name}.{member}", value)
            return
        if not isinstance(found, types.FunctionType):
            return
        self.seen[key] = _hash_of(found.__code__)
        self.visit_names(found.__code__, found.__globals__)
        defaults = [*enumerate(found.__defaults__ or ()), *(found.__kwdefaults__ or {}).items()]
        for where, value in defaults:
            self.visit_value(f"{name}({where})", value)
        for where, cell in zip(found.__code__.co_freevars, found.__closure__ or (), strict=False):
            try:
                self.visit_value(f"{name}.<{where}>", cell.cell_contents)
            except ValueError:  # a name that is still to be bound
                continue
        if hasattr(found, "__wrapped__"):
            self.visit_value(f"{name}.<wrapped>", found.__wrapped__)

    def visit_member(self, name: str, value: Any) -> None:
        """Look at what a class holds."""
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        for part in (value.fget, value.fset) if isinstance(value, property) else (value,):
            self.visit_value(name, part)

    def visit_names(self, code: types.CodeType, names: Mapping[str, Any]) -> None:
        """Look at every global that *code* names, and at what it may take from the project's modules."""
        for name in code.co_names:
            if name not in names or name.startswith("__"):
                continue
            value = names[name]
            self.visit_value(name, value)
            if isinstance(value, types.ModuleType) and is_project(value):
                for member in code.co_names:
                    if member in vars(value) and not member.startswith("__"):
                        self.visit_value(f"{name}.{member}", vars(value)[member])
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self.visit_names(constant, names)

    def visit_value(self, name: str, value: Any) -> None:
        """Look at something that has a name: code of the project, or a plain value."""
        value = getattr(value, "func", value) if type(value).__name__ == "partial" else value
        if isinstance(value, (Step, types.FunctionType)) or inspect.isclass(value):
            if is_project(sys.modules.get(value.__module__)):
                self.visit(value)
        elif self.values and isinstance(value, _PLAIN):
            self.seen.setdefault(f"{name} =", _shown(value))


def _hash_of(code: types.CodeType) -> str:
    """The hash of everything in *code* that has an effect; not of file names and line numbers."""
    constants = [_hash_of(part) if isinstance(part, types.CodeType) else _shown(part) for part in code.co_consts]
    told = [code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_kwonlyargcount, code.co_flags, getattr(code, "co_exceptiontable", b"").hex()]
    return hashlib.sha256(json.dumps([told, counts]).encode()).hexdigest()


def _shown(value: Any) -> str:
    # The order of a set differs between processes, and an object's address too.
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}{sorted(map(_shown, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}{list(map(_shown, value))}"
    if isinstance(value, dict):
        return f"dict{[(_shown(key), _shown(item)) for key, item in value.items()]}"
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__


@lru_cache(maxsize=4096)
def is_installed(file: str) -> bool:
    """Whether *file* belongs to Python, to gitmodel or to an installed package."""
    path = os.path.join(os.path.realpath(file), "")
    if {"site-packages", "dist-packages"} & set(path.split(os.sep)):
        return True
    folders = [sysconfig.get_paths()[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders.append(str(Path(__file__).parents[1]))
    return any(path.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


def is_project(module: types.ModuleType | None) -> bool:
    """Whether *module* belongs to those who wrote the step: a script, a notebook, a module that is not installed."""
    file = getattr(module, "__file__", None)
    if module is None or not file:
        return module is not None and module.__name__ == "__main__"
    return not is_installed(str(file))
