"""Parsing source files into statements: the names that each top-level statement defines, uses and imports. Pure.

The hash of a statement is that of its syntax tree, so that changes of comments and formatting have no effect.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from gitmodel.frozen import Frozen

# Functions of Python by which a program can import modules, or run code, that its text does not name.
_DYNAMIC = frozenset(
    {"__import__", "entry_points", "eval", "exec", "import_module", "iter_modules", "run_module", "run_path"}
    | {"spec_from_file_location", "walk_packages"}
)


class Statement(Frozen):
    """A statement at the top level of a file.

    *names* has the names that the statement reads, *binds* the names that it assigns or defines, and *imports* the
    level, module and names of its imports. *dynamic* is True if the statement imports or runs code that its text does
    not name, such as by `import_module(name)`. *definition* is the name of the function that the statement defines, or
    "".
    """

    digest: str
    lines: range
    names: frozenset[str]
    binds: frozenset[str]
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    dynamic: bool
    definition: str


class SourceFile(Frozen):
    """A parsed file. *used* has the names and attributes that the file uses; for `from x import a as b`, it has `a`."""

    statements: tuple[Statement, ...]
    used: frozenset[str]

    @cached_property
    def digest(self) -> str:
        """The hash of all statements of the file."""
        return hash_json([statement.digest for statement in self.statements])


def parse(text: str | bytes) -> SourceFile:
    """Parse the Python source *text*. Raises SyntaxError or ValueError if the source is invalid."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    aliases = {alias.asname or alias.name: alias.name for node in imports for alias in node.names}
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used = frozenset(aliases.get(name, name) for name in read) | attributes
    return SourceFile(tuple(map(_statement, tree.body)), used)


def _statement(node: ast.stmt) -> Statement:
    names: set[str] = set()
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    dynamic = False
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
            names.add(one.id)
        elif isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value.isidentifier():
            names.add(one.value)  # as in globals()["name"]
        elif isinstance(one, ast.Import):
            imports += [(0, alias.name, ()) for alias in one.names]
        elif isinstance(one, ast.ImportFrom):
            imports.append((one.level, one.module or "", tuple(alias.name for alias in one.names)))
        if isinstance(one, ast.Call):
            called = getattr(one.func, "id", getattr(one.func, "attr", ""))
            if called in _DYNAMIC:
                module = one.args[0] if called in ("import_module", "__import__") and one.args else None
                if isinstance(module, ast.Constant) and isinstance(module.value, str) and len(one.args) == 1:
                    imports.append((0, module.value, ()))
                else:
                    dynamic = True
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    definition = node.name if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else ""
    digest = hashlib.sha256(ast.dump(node).encode("utf-8", "surrogatepass")).hexdigest()
    lines = range(first, (node.end_lineno or first) + 1)
    return Statement(digest, lines, frozenset(names), frozenset(_bound(node)), tuple(imports), dynamic, definition)


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that *node* assigns or defines in its module. A function also assigns its `global` names."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        if not isinstance(node, ast.Lambda):
            yield node.name
        for one in ast.walk(node):
            if isinstance(one, ast.Global):
                yield from one.names
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0]
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def hash_json(value: Any) -> str:
    """Return the SHA-256 of *value* as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
