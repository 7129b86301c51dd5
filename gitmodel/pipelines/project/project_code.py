"""The code that a step depends on: its file, the project files that it imports, and installed distributions.

Finds this code without importing modules.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import inspect
import linecache
import os
import sys
import types
from collections.abc import Iterable, Mapping
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import resolve_name
from typing import Any, NamedTuple

from gitmodel.domain.schema.names import with_article
from gitmodel.formats.script_names import module_of
from gitmodel.pipelines.declarations.steps import Step
from gitmodel.pipelines.project.installed import is_library, is_of_project, versions_of
from gitmodel.pipelines.project.project_modules import Project, UnknownCode, loaded_modules
from gitmodel.pipelines.project.source_statements import SourceFile, Statement, hash_json, parse
from gitmodel.pipelines.project.value_text import describe_value, spell_value

_BUILTINS = frozenset(dir(builtins))


class StepCode(NamedTuple):
    """The code on which a step depends.

    *parts* has the hash of each dependency, by the name that messages show. *files* has the paths of the project files
    among the dependencies, and *unloaded* those of modules that this process has not imported.
    """

    parts: Mapping[str, str]
    files: frozenset[str]
    unloaded: frozenset[str]


class ProjectCode(Project):
    """The code of a project during one run. Finds the dependencies of each step in this code."""

    def of(self, step: Step[..., Any], modules: Iterable[str] = ()) -> StepCode:
        """Return the code that *step* depends on, including the values of globals and the versions of libraries.

        *modules* has the modules whose classes the inputs of the step use: the methods of a class can change although
        the stored bytes of its objects stay the same.

        Raises UnknownCode if the source of a function is missing, if a file was edited after Python had loaded it, or
        if the step uses a value that cannot be compared.
        """
        found = self._dependencies(step, modules, values=True)
        parts = {_shown(origin): hash_json(text) for origin, text in found.texts.items()}
        for version in {version for name in found.libraries for version in versions_of(name, self.find(name))}:
            parts[f"package {version.partition(' ')[0]}"] = version
        parts["Python"] = ".".join(map(str, sys.version_info[:2]))
        return StepCode(dict(sorted(parts.items())), frozenset(found.files), frozenset(found.unloaded))

    def source_digest(self, step: Step[..., Any]) -> str:
        """Return the hash of the code that *step* depends on. It is equal in all processes that have the same code.

        It does not include values of globals, which may differ between processes. Raises UnknownCode if the source of a
        function is missing, or if a file was edited after Python had loaded it.
        """
        found = self._dependencies(step, (), values=False)
        return hash_json([sys.version_info[:2], found.texts])

    def _dependencies(self, step: Step[..., Any], modules: Iterable[str], *, values: bool) -> _Dependencies:
        """Collect the dependencies of *step*, with the values of globals if *values* is True.

        Other steps in the file of *step* are dependencies if other project files among the dependencies use them.
        """
        also: frozenset[str] = frozenset()
        while True:
            found = _Dependencies(self, values=values, also=also)
            found.collect(step, modules)
            more = found.used_from_own_files()
            if more <= also:
                return found
            also |= more


class _Dependencies:
    """Collects the dependencies of one step.

    *texts* has the text or hash of each dependency by its origin, such as `train.py fit`. *files* has the paths of
    project files, and *libraries* the names of top-level modules of libraries. *unloaded* has the files of modules that
    this process has not imported. *also* has the names of other steps in the step's file on which the step depends.
    """

    def __init__(self, project: Project, *, values: bool, also: frozenset[str]) -> None:
        self.project = project
        self.values = values
        self.texts: dict[str, Any] = {}
        self.files: set[str] = set()
        self.unloaded: set[str] = set()
        self.libraries: set[str] = set()
        self._own: dict[str, set[str]] = {}
        self._imports: dict[str, set[str]] = {}
        self._seen: set[Any] = set()
        self._added: set[tuple[str, str]] = set()
        self._also = also
        self._is_dynamic = False

    def collect(self, step: Step[..., Any], modules: Iterable[str]) -> None:
        """Add the code on which *step* depends, and the files of *modules*."""
        self._add_function(step.function)
        for name in sorted(modules):
            self._add_module(name, optional=True)
        if self._is_dynamic:  # the code imports or runs modules of the project that its text does not name
            for name, path in loaded_modules().items():
                if path not in self._own:
                    self._add_module(name)

    def _add_function(self, function: Any) -> None:
        """Add the code of *function* and of the function that it wraps, and the values in its closure."""
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        if isinstance(function, Step):
            return self._add_function(function.function)
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self._add_function(wrapped)
        if not isinstance(function, types.FunctionType):
            return None
        path = os.path.realpath(function.__code__.co_filename)
        if os.path.isfile(path):
            if is_library(path):
                self._add_module(function.__module__)
            else:
                self._add_own_file(path, function)
        else:
            self._add_cell(function)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                self._add_value(f"{function.__qualname__}.{name}", cell.cell_contents)
            except ValueError:  # raised if the variable has no value yet
                continue
        return None

    def _add_own_file(self, path: str, function: types.FunctionType) -> None:
        file = self.project.read(path)
        self.files.add(path)
        package = str(function.__globals__.get("__package__") or "")
        counted, names = _relevant(file, function, self._also)
        self.texts[f"{os.path.basename(path)} {function.__qualname__}"] = [one.digest for one in counted]
        steps = {one.definition for one in file.statements if one.definition and one not in counted}
        self._own.setdefault(path, set()).update(steps)
        if self.values:
            for name in sorted(names):
                if name in function.__globals__ and not name.startswith("__"):
                    self.texts[f"{path} {name} ="], modules = describe_value(function.__globals__[name])
                    for module in sorted(modules):
                        self._add_module(module, path)
            self.texts[f"{path} opened"] = self.project.opened_by(path, file, function.__globals__, names)
        self._add_imports(path, counted, package)
        if function.__module__ in sys.modules and package:
            self._add_module(package, path)

    def _add_cell(self, function: types.FunctionType) -> None:
        """Add the notebook cell that defines *function*, and the globals that *function* uses."""
        text = "".join(linecache.getlines(function.__code__.co_filename))
        try:
            file = parse(text)
        except (SyntaxError, ValueError) as error:
            raise UnknownCode(f"the cell of {function.__qualname__} cannot be read") from error
        if not text:
            raise UnknownCode(f"there is no source of {function.__qualname__}")
        counted, _ = _relevant(file, function, frozenset())
        self.texts[f"cell of {function.__qualname__}"] = [one.digest for one in counted]
        self._add_imports("", counted, "")
        for name in sorted(_global_names(function.__code__)):
            if name in function.__globals__:
                self._add_value(name, function.__globals__[name])
            elif name not in _BUILTINS:
                self.texts[f"{name} ="] = "nothing"

    def _add_value(self, name: str, value: Any) -> None:
        """Add the code on which the value *name* depends, or the text of *value*.

        Raises UnknownCode if *value* has neither code nor a text.
        """
        if isinstance(value, partial):
            for index, part in enumerate((value.func, *value.args, *value.keywords.values())):
                self._add_value(f"{name}[{index}]", part)
        elif isinstance(value, (Step, types.FunctionType)) or hasattr(value, "__wrapped__"):
            self._add_function(value)
        elif isinstance(value, types.MethodType):
            self._add_function(value.__func__)
            self._add_value(f"{name}.self", value.__self__)
        elif isinstance(value, types.ModuleType):
            self._add_module(value.__name__)
        elif inspect.isclass(value):
            self._add_class(value)
        elif callable(getattr(value, "function", None)) and type(value).__name__ == "Pipeline":
            self._add_function(value.function)
        elif isinstance(value, types.BuiltinFunctionType) or type(value).__module__ == "typing":
            self._add_module(getattr(value, "__module__", None) or "builtins")
        elif (shown := spell_value(value)) is not None:
            if self.values:
                self.texts[f"{name} ="] = shown
            self._add_class(type(value))
        elif callable(value) and _is_installed(module := getattr(value, "__module__", None) or type(value).__module__):
            self._add_module(module)
        elif self.values:
            raise UnknownCode(f"{name} is {with_article(type(value).__qualname__)}, which cannot be compared")

    def _add_class(self, cls: type) -> None:
        if id(cls) in self._seen:
            return
        self._seen.add(id(cls))
        module = module_of(cls)
        if module != "__main__":
            self._add_module(module)
            return
        members = [_function_of(member) for member in vars(cls).values()]
        members = [member for member in members if isinstance(member, types.FunctionType)]
        in_cells = any(not os.path.isfile(member.__code__.co_filename) for member in members)
        file = getattr(sys.modules["__main__"], "__file__", None)
        if file and os.path.isfile(file) and not in_cells:
            self._add_whole_file(os.path.realpath(file))
            return
        for base in cls.__bases__:
            self._add_class(base)
        for member in members:
            self._add_function(member)
        if not members and self.values:
            plain = {n: spell_value(v) for n, v in vars(cls).items() if not n.startswith("__")}
            hints = {name: str(hint) for name, hint in getattr(cls, "__annotations__", {}).items()}
            self.texts[f"class {cls.__qualname__}"] = [sorted(map(str, plain.items())), str(hints)]

    def _add_imports(self, path: str, counted: list[Statement], package: str) -> None:
        for statement in counted:
            self._is_dynamic |= statement.dynamic
            for level, module, names in statement.imports:
                try:
                    name = resolve_name("." * level + module, package) if level else module
                except ImportError:
                    continue
                self._add_module(name, path)
                if names and self._is_project(name):
                    # In `from a import b`, `b` can be a module of the package `a`, and `*` can stand for all of them.
                    loaded = [one for one in sys.modules.copy() if one.startswith(f"{name}.")] if "*" in names else []
                    for each in (*(f"{name}.{one}" for one in names if one != "*"), *sorted(loaded)):
                        self._add_module(each, path, optional=True)

    def _is_project(self, name: str) -> bool:
        spec = self.project.find(name)
        if spec is None:
            return False
        places = [spec.origin] if spec.has_location else (spec.submodule_search_locations or ())
        return any(place and not is_library(place) for place in places)

    def _add_module(self, name: str, importer: str = "", *, optional: bool = False) -> None:
        """Add the module *name*, which the file *importer* imports, and the packages that contain the module.

        If *optional* is True, *name* may be no module: then adds only the packages.
        """
        if (name, importer) in self._added:
            return
        self._added.add((name, importer))
        top = name.partition(".")[0]
        if not top or top == "__main__" or top in sys.builtin_module_names:
            return
        if top in sys.stdlib_module_names and not self._is_project(top):  # Python's own module, not a project file
            return
        above = name.rpartition(".")[0]
        if above:
            self._add_module(above, importer)
        spec = self.project.find(name)
        if spec is None:
            if not optional and name == top:
                self.texts[f"import {name}"] = "not found"
            return
        origin = self.project.origin_of(name)
        if origin and not is_library(origin):
            self._imports.setdefault(importer, set()).add(origin)
            self._add_whole_file(origin, name, spec)
        elif origin or any(map(is_library, spec.submodule_search_locations or ())):
            self.libraries.add(top)

    def _add_whole_file(self, path: str, name: str = "", spec: ModuleSpec | None = None) -> None:
        if path in self._seen or path in self._own:
            return
        self._seen.add(path)
        self.files.add(path)
        label = name or os.path.basename(path)
        if not path.endswith(".py"):
            with open(path, "rb") as opened:  # an extension module that was built inside the project
                self.texts[label] = hashlib.sha256(opened.read()).hexdigest()
            return
        file = self.project.read(path)
        self.texts[label] = file.digest
        if self.values:
            self.texts[f"{label} ="], modules = self.project.values_of(label, file)
            for each in sorted(modules - {label}):
                self._add_module(each, path)
            module = sys.modules.get(label)
            if module is None:
                self.unloaded.add(path)
            else:
                self.texts[f"{label} opened"] = self.project.opened_by(path, file, vars(module), None)
        is_package = spec is not None and spec.submodule_search_locations is not None
        self._add_imports(path, list(file.statements), name if is_package else name.rpartition(".")[0])

    def used_from_own_files(self) -> frozenset[str]:
        """Return the other steps in the step's file whose names occur in project files that import this file."""
        used: set[str] = set()
        for own, steps in self._own.items():
            reaching, left = {own}, [own]
            while left:
                here = left.pop()
                for importer, imported in self._imports.items():
                    if here in imported and importer and importer not in reaching:
                        reaching.add(importer)
                        left.append(importer)
            for path in reaching - set(self._own):
                used |= self.project.read(path).used & steps
        return frozenset(used)


def _shown(origin: str) -> str:
    """Return the name that messages show for the dependency with the key *origin* in `_Dependencies.texts`.

    >>> list(map(_shown, ["train.py fit", "/code/train.py RATE =", "features =", "features opened"]))
    ['code train.py fit', 'value /code/train.py RATE', 'value features', 'files opened by features']
    """
    if origin.endswith(" ="):
        return f"value {origin.removesuffix(' =')}"
    if origin.endswith(" opened"):
        return f"files opened by {origin.removesuffix(' opened')}"
    return f"code {origin}"


def _relevant(
    file: SourceFile, function: types.FunctionType, also: frozenset[str]
) -> tuple[list[Statement], frozenset[str]]:
    """Return the statements of *file* that *function* depends on, and the names that these statements use.

    These are all statements, except the definitions of those other steps and pipelines that *function* does not use and
    whose names are not in *also*.
    """
    line = function.__code__.co_firstlineno
    spared = {
        number
        for number, one in enumerate(file.statements)
        if one.definition and line not in one.lines and _is_declared(function.__globals__.get(one.definition))
    }
    own = [one for one in file.statements if line in one.lines]
    if not own:
        raise UnknownCode(f"{function.__qualname__} is not found in its file")
    names = set(also).union(*(one.names for one in own))
    counted = {number for number, one in enumerate(file.statements) if line in one.lines}
    grown = True
    while grown:
        grown = False
        for number, one in enumerate(file.statements):
            if number not in counted and one.binds & names:
                counted.add(number)
                names |= one.names
                grown = True
    kept = [one for number, one in enumerate(file.statements) if number in counted or number not in spared]
    return kept, frozenset(names)


def _is_declared(value: Any) -> bool:
    return isinstance(value, Step) or (type(value).__name__ == "Pipeline" and _is_installed(type(value).__module__))


def _is_installed(module: str) -> bool:
    return module in sys.modules and not is_of_project(module)


def _global_names(code: types.CodeType) -> set[str]:
    """Return the names of the globals that *code*, and the functions defined in it, read."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return found.union(*map(_global_names, inner)) if inner else found


def _function_of(member: Any) -> Any:
    if isinstance(member, (staticmethod, classmethod)):
        return member.__func__
    if isinstance(member, property):
        return member.fget
    return getattr(member, "func", member) if type(member).__name__ == "cached_property" else member
