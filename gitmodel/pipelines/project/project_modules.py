"""The loaded modules of the project, their files, and the files that they opened.

Finds them without importing modules.
"""

from __future__ import annotations

import inspect
import mmap
import os
import sys
import types
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from gitmodel.pipelines.project.installed import is_library
from gitmodel.pipelines.project.opened_files import opened_by_module
from gitmodel.pipelines.project.source_statements import SourceFile, hash_json, parse
from gitmodel.pipelines.project.value_text import Description, describe_value, spell_value

_LoadedStamp = tuple[int, int, int]

# For each loaded module of the project, by name: its spec, which is another object after a reload, its file, and the
# state of the file when gitmodel first saw the loaded module.
_loaded: dict[str, tuple[object, str, _LoadedStamp | None]] = {}


class UnknownCode(Exception):
    """gitmodel cannot find out on which code a step depends, so the step must run. The text of the error says why."""


def note_loaded_modules() -> None:
    """Remember the state of the files of all loaded project modules, so that gitmodel notices later edits."""
    # A copy, because code that the garbage collector runs can import modules during the loop.
    for name, module in sys.modules.copy().items():
        load = getattr(module, "__spec__", None) or module
        known = _loaded.get(name)
        if known is not None and known[0] is load:
            continue
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and not is_library(file):
            _loaded[name] = (load, os.path.realpath(file), _loaded_stamp(file))
        else:
            _loaded[name] = (load, "", None)


class Project:
    """The modules and files of a project during one run, and the files below *root* that its modules opened."""

    def __init__(self, root: str = "") -> None:
        note_loaded_modules()
        self._root = os.path.realpath(root) if root else ""
        self._specs: dict[str, ModuleSpec | None] = {}
        self._values: dict[str, Description] = {}
        self._stamps = {
            path: stamp
            for name, (load, path, stamp) in _loaded.items()
            if path and (getattr(sys.modules.get(name), "__spec__", None) or sys.modules.get(name)) is load
        }

    def read(self, path: str) -> SourceFile:
        """Return the parsed file *path*. Raises UnknownCode if it is unreadable, or edited after Python loaded it."""
        stamp = _loaded_stamp(path)
        if stamp is None or self._stamps.get(path, stamp) != stamp:
            raise UnknownCode(f"{path} was edited after it was loaded")
        return _read_file(path, stamp)

    def find(self, name: str) -> ModuleSpec | None:
        """Return the spec by which Python has loaded or would load the module *name*; None for a missing module."""
        if name not in self._specs:
            self._specs[name] = self._find(name)
        return self._specs[name]

    def origin_of(self, name: str) -> str:
        """Return the real path of the file of the module *name*; "" for a missing module or a module without a file."""
        spec = self.find(name)
        return os.path.realpath(spec.origin) if spec is not None and spec.has_location and spec.origin else ""

    def values_of(self, name: str, file: SourceFile) -> Description:
        """Return the hash of the global values in the module *name*, and the modules that define the values' classes.

        *file* is the parsed file of the module. The values matter because the module may have read them from a file or
        the environment during its import. Both results are empty if the module is not loaded.
        """
        module = sys.modules.get(name)
        if module is None:
            return Description("", frozenset())
        if name not in self._values:
            bound = sorted({one for statement in file.statements for one in statement.binds})
            shown = {one: describe_value(vars(module)[one]) for one in bound if one in vars(module)}
            modules = frozenset[str]().union(*(one.modules for one in shown.values()))
            self._values[name] = Description(hash_json({one: text for one, (text, _) in shown.items()}), modules)
        return self._values[name]

    def opened_by(
        self, path: str, file: SourceFile, globals_: Mapping[str, Any], used: frozenset[str] | None
    ) -> dict[str, str]:
        """Return the path and SHA-256 of each file that a module opened to create a global that cannot be compared.

        gitmodel compares these files instead of the global. *path* is the file of the module, *file* the parsed file,
        and *globals_* has the module's globals. If *used* is not None, only globals with these names matter. Raises
        UnknownCode if a file changed after the module had opened it.
        """
        found: dict[str, str] = {}
        try:
            for one in opened_by_module(path) if self._root else ():
                if _is_kept(file, one.line, globals_, used) and (digest := one.digest_below(self._root)) is not None:
                    found[os.path.relpath(one.path, self._root)] = digest
        except ValueError as error:
            raise UnknownCode(str(error)) from error
        return found

    def _find(self, name: str) -> ModuleSpec | None:
        loaded = getattr(sys.modules.get(name), "__spec__", None)
        if loaded is not None:
            return loaded  # type: ignore[no-any-return]
        above = name.rpartition(".")[0]
        path = None
        if above:
            parent = self.find(above)
            if parent is None or parent.submodule_search_locations is None:
                return None
            path = list(parent.submodule_search_locations)
        for finder in sys.meta_path:
            try:
                found = finder.find_spec(name, path)
            except (AttributeError, ImportError, ValueError):
                continue
            except KeyError:  # raised if the parent, a namespace package, is not loaded
                found = ModuleSpec(name, None, is_package=True)
                places = (os.path.join(folder, name.rpartition(".")[2]) for folder in path or ())
                found.submodule_search_locations = [place for place in places if os.path.isdir(place)]
            if found is not None:
                return found
        return None


def loaded_modules() -> dict[str, str]:
    """Return the loaded modules of the project with their files, without `__main__` and `__mp_main__`."""
    return {
        name: path for name, (_, path, _) in list(_loaded.items()) if path and name in sys.modules and name[:2] != "__"
    }


def project_modules_of(names: Iterable[str], pickled: Path | None) -> tuple[str, ...]:
    """Return the loaded modules of the project that a stored value uses.

    These are the modules of the classes and functions in *names*, and modules whose names occur in the bytes of the
    file *pickled*. Returning a module too many does little harm: if this module changes, a step runs again needlessly.
    """
    note_loaded_modules()
    loaded = loaded_modules()
    found = {module for module in loaded for name in names if name.startswith(f"{module}.")}
    if pickled is not None and pickled.is_file() and pickled.stat().st_size:
        with open(pickled, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found |= {name for name in loaded if name not in found and data.find(name.encode()) >= 0}
    return tuple(sorted(found))


def _is_kept(file: SourceFile, line: int, globals_: Mapping[str, Any], used: frozenset[str] | None) -> bool:
    """Return True if the statement at *line* of *file* may have created or changed a global that cannot be compared.

    *globals_* has the globals of the module. If *used* is not None, only globals with these names matter.
    """
    statement = next((one for one in file.statements if line in one.lines), None)
    if statement is None:
        return False
    called = [one for one in file.statements if one.definition in statement.names and one.definition]
    made = statement.binds.union(*(one.binds - {one.definition} for one in called))
    for name in made | statement.names:
        if name not in globals_ or (used is not None and name not in used):
            continue
        value = globals_[name]
        is_object = not isinstance(value, types.ModuleType) and spell_value(value) is None
        if is_object and (name in made or not (inspect.isroutine(value) or inspect.isclass(value))):
            return True
    return False


@lru_cache(maxsize=1024)
def _read_file(path: str, stamp: _LoadedStamp) -> SourceFile:
    try:
        with open(path, "rb") as opened:
            return parse(opened.read())
    except (OSError, SyntaxError, ValueError) as error:
        raise UnknownCode(f"{path} cannot be parsed") from error


def _loaded_stamp(path: str) -> _LoadedStamp | None:
    """Return the time, size and inode of *path*, which stay the same if a link to the file is made; None if missing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
