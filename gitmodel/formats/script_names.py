"""Saves the classes and functions of a script under a name by which other processes can import the script.

Python gives the script that it runs the name `__main__`. If pickle wrote this name into a file, no other program could
load the file. `git model run` imports the script under another name, so the file of the same value would also have
another digest.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gitmodel.formats.catalogue.format import NotImportable

# The module name that gitmodel's workers give a script whose file name is not a valid module name.
UNNAMED = "__gitmodel_main__"
# The names under which the module of a script can be loaded: by `python script.py`, by a process that multiprocessing
# spawned, and by a worker of gitmodel.
SCRIPTS = ("__main__", "__mp_main__", UNNAMED)
_KINDS = (type, FunctionType, type(lru_cache(len)))

# While a value is saved, gitmodel sets the `__module__` of each class or function that no other process can import to
# this name with a number. If the saved file contains the name, the value uses the definition, and gitmodel refuses it.
_NOWHERE = "__gitmodel_nowhere_{}__"
_FOUND = re.compile(rb"__gitmodel_nowhere_(\d+)__")

_saving = threading.RLock()


def importable_name(file: str) -> str | None:
    """Return the name by which a process that has the script's folder on its path can import *file*, or None."""
    path = Path(file)
    if path.suffix != ".py" or "." in path.stem or path.stem.startswith("__"):
        return None
    name = _name_in_package(path) or path.stem
    top = name.partition(".")[0]
    loaded = sys.modules.get(name)
    is_taken = loaded is not None and os.path.realpath(getattr(loaded, "__file__", None) or "") != file
    return None if is_taken or top in sys.stdlib_module_names or top in sys.builtin_module_names else name


def _name_in_package(path: Path) -> str | None:
    """Return the dotted name of the file *path* if it is in a package that this process can import, or None."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    try:
        spec = importlib.util.find_spec(parts[0]) if len(parts) > 1 else None
    except (ImportError, ValueError):
        return None
    places = (spec.submodule_search_locations or []) if spec is not None else []
    return ".".join(parts) if os.path.realpath(folder / parts[0]) in map(os.path.realpath, places) else None


def adopt(module: ModuleType) -> None:
    """Give the script *module*, which a spawned process imported, and its members the importable name permanently."""
    name = _name_of(module)
    if name is not None:
        sys.modules[name] = module
        for member in _members(module):
            _rename(member, name)


def module_of(member: Any) -> str:
    """Return the name of the module of a class or function; `__main__` for one of the script, even inside `saving`."""
    name = str(member.__module__)
    is_of_script = sys.modules.get(name) is sys.modules.get("__main__")
    return "__main__" if is_of_script or name.startswith(_NOWHERE.partition("{")[0]) else name


@contextmanager
def loading() -> Iterator[None]:
    """Inside the `with` block, let files that name the script by its importable name use the running script."""
    main = sys.modules.get("__main__")
    name = None if main is None else _name_of(main)
    if main is None or name is None or not _members(main):
        yield
        return
    with _saving, _modules({name: main}):
        yield


@contextmanager
def saving(path: Path, *, by_value: bool = False) -> Iterator[None]:
    """Inside the `with` block, save classes and functions of the script to *path* under the script's importable name.

    *by_value* must be True for a format that writes the code of definitions in `__main__` to the file. Raises
    NotImportable if the file names a class or function that no other process can import.
    """
    scripts = {id(module): module for module in map(sys.modules.get, SCRIPTS) if module is not None}
    members = {module: _members(module) for module in scripts.values()}
    if not any(members.values()):
        yield
        return
    with _saving:
        names: dict[str, ModuleType] = {}
        nowhere: list[Any] = []
        renamed: list[tuple[Any, str]] = []
        for module, found in members.items():
            name = _name_of(module)
            for member in found:
                renamed.append((member, member.__module__))
                own = name or ("__main__" if by_value else _NOWHERE.format(len(nowhere)))
                if name is None and not by_value:
                    nowhere.append(member)
                if own != "__main__":
                    names[own] = module
                _rename(member, own)
        try:
            with _modules(names):
                yield
        finally:
            for member, before in renamed:
                _rename(member, before)
        _refuse(path, nowhere)


def _refuse(path: Path, nowhere: list[Any]) -> None:
    """Raise NotImportable if the file *path* names one of *nowhere*, classes and functions that cannot be imported."""
    if not nowhere:
        return
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file() or not file.stat().st_size:
            continue
        with open(file, "rb") as held, mmap.mmap(held.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _FOUND.search(content)
            number = None if found is None else int(found[1])
        if number is not None:
            member = nowhere[number]
            kind = "class" if isinstance(member, type) else "function"
            raise NotImportable(
                f"the {kind} {member.__qualname__} is defined in {_place(member)}, which no other process can import "
                "to load the file",
                hint="move it to a file in the repository, such as models.py, "
                f"and write `from models import {member.__qualname__.partition('.')[0]}`; "
                f"or save the value in the format 'cloudpickle', which contains the {kind} itself",
            )


def _place(member: Any) -> str:
    file = getattr(sys.modules.get(str(member.__module__)), "__file__", None)
    return os.path.basename(file) if file else "a notebook or at a prompt"


def _name_of(module: ModuleType) -> str | None:
    """Return the name by which other processes import the script *module*."""
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.name not in SCRIPTS:  # a module that was started by `python -m` has its real name here
        return str(spec.name)
    file = getattr(module, "__file__", None)
    return importable_name(os.path.realpath(file)) if file and module.__name__ != UNNAMED else None


def _members(holder: Any) -> list[Any]:
    """Return the classes and functions that a script defines, including those in its classes."""
    found: dict[int, Any] = {}
    holders = [holder]
    while holders:
        for value in list(vars(holders.pop()).values()):
            member = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if (
                isinstance(member, _KINDS)
                and getattr(member, "__module__", None) in SCRIPTS
                and id(member) not in found
            ):
                found[id(member)] = member
                if isinstance(member, type):
                    holders.append(member)
    return list(found.values())


def _rename(member: Any, module: str) -> None:
    with suppress(AttributeError, TypeError):
        member.__module__ = module


@contextmanager
def _modules(names: dict[str, ModuleType]) -> Iterator[None]:
    """Inside the `with` block, make the import of each name in *names* return the module that *names* has for it."""
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
