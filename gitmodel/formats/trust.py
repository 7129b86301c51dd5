"""The names of classes and functions that a file may use when it is loaded.

A name is a full name, such as `sklearn.tree._tree.Tree`. Trust in a name applies only to the object whose `__module__`
and `__qualname__` form this name. So trust in a package does not include its members, and an object cannot be used by
another name: `sklearn.utils._testing.check_output` is `subprocess.check_output`. gitmodel ships names of classes, and
the user of a machine can trust more names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from gitmodel.errors import Refused

_trusted_here: ContextVar[Callable[[], Iterable[str]]] = ContextVar("gitmodel_trusted_names", default=tuple)
_suggested: ContextVar[Callable[[], Iterable[str]]] = ContextVar("gitmodel_suggested_names", default=tuple)
_all: ContextVar[bool] = ContextVar("gitmodel_all_names", default=False)

_file: ContextVar[str] = ContextVar("gitmodel_file_with_names", default="the file")
_noted: ContextVar[set[str] | None] = ContextVar("gitmodel_noted_names", default=None)


@lru_cache(maxsize=1)
def shipped() -> frozenset[str]:
    """Return the names of classes that gitmodel trusts: scikit-learn's estimators and their parts."""
    lines = Path(__file__).with_name("trusted_names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@contextmanager
def setting(*values: tuple[ContextVar[Any], Any]) -> Iterator[None]:
    """Inside the `with` block, each of the context variables in *values* has the value in its pair."""
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def trusting(
    read: Callable[[], Iterable[str]], read_suggested: Callable[[], Iterable[str]] = tuple
) -> AbstractContextManager[None]:
    """Inside the `with` block, also trust the names that *read* returns.

    *read* is called only if a file needs names that gitmodel does not ship. *read_suggested* returns the names that the
    registry suggests to trust. It is called only for the message of a refusal, which marks these names.
    """
    return setting((_trusted_here, read), (_suggested, read_suggested))


def trusting_all() -> AbstractContextManager[None]:
    """Inside the `with` block, trust every name. Only for loading a file that this process just saved."""
    return setting((_all, True))


def loading(file: str, trusted: bool) -> AbstractContextManager[None]:
    """Inside the `with` block, refusals name *file*. If *trusted* is True, every name is trusted."""
    return setting((_file, file), (_all, trusted))


@contextmanager
def noting() -> Iterator[Callable[[], list[str]]]:
    """Collect the names that files need if they are saved or loaded inside the `with` block.

    Yields a function that returns those of the names that gitmodel does not ship, sorted.
    """
    noted: set[str] = set()
    with setting((_noted, noted)):
        yield lambda: sorted(name for name in noted if not _is_shipped_class(name))


def note(names: Iterable[str]) -> None:
    """Add *names*, which a file needs, to the names that the block of `noting` collects, if there is one."""
    if (noted := _noted.get()) is not None:
        noted.update(names)


def require(name: str) -> Any:
    """Return the class or function *name*. Raises Refused if *name* is not trusted, ValueError if it does not exist."""
    note([name])
    if not _all.get() and not trusted([name]):
        raise refused([name])
    found = find(name)
    if found is None:
        raise ValueError(f"there is no class or function {name!a} here")
    return found


def refused(names: Sequence[str]) -> Refused:
    """Return the error for *names*, which the file needs and this machine does not trust."""
    shown = ", ".join(ascii(name)[1:-1] for name in names[:10])
    more = "" if len(names) <= 10 else f" and {len(names) - 10} more"
    suggested = sorted(set(_suggested.get()()) & set(names))
    told = f"; the registry suggests to trust {', '.join(suggested)}" if suggested else ""
    return Refused(
        f"{_file.get()} uses classes or functions that are not trusted here: {shown}{more}{told}",
        hint=f"if you trust them, run `git model formats trust {' '.join(names)}`, or load it with trusted=True"
        if all(re.fullmatch(r"[\w.]+", name) for name in names)
        else "load it with trusted=True if you know where it comes from",
    )


def trusted(names: Sequence[str]) -> list[str]:
    """Return those of *names* that a loader may use. Imports no module of a name that is not trusted.

    A name that gitmodel ships must be that of a class. A name that this machine trusts may also be that of a function.

    >>> trusted(["sklearn.tree._tree.Tree", "sklearn.utils._testing.check_output", "subprocess.Popen"])
    ['sklearn.tree._tree.Tree']
    """
    found = [name for name in names if _is_shipped_class(name)]
    rest = [name for name in names if name not in found]
    here = frozenset(_trusted_here.get()()) if rest else frozenset()
    return found + [name for name in rest if name in here and find(name) is not None]


def find(name: str) -> Any:
    """Import and return the class or function that is defined under the full name *name*; None if there is none.

    >>> find("decimal.Decimal"), find("subprocess.os"), find("shutil.sys.exit")
    (<class 'decimal.Decimal'>, None, None)
    """
    found = _member(*name.rpartition(".")[::2])
    module, path = str(getattr(found, "__module__", None)), str(getattr(found, "__qualname__", None))
    if module == "__main__" and sys.modules.get(name.removesuffix(f".{path}")) is sys.modules["__main__"]:
        # a class of the running script, whose file is imported by this name but whose `__module__` is `__main__`
        return found
    return found if f"{module}.{path}" == name and callable(found) else None


def _member(module: str, path: str) -> Any:
    """Import *module* and return its member *path*, such as `Outer.Inner`; None if there is no such member."""
    try:
        return attrgetter(path)(import_module(module))
    except ModuleNotFoundError:
        outer, _, name = module.rpartition(".")
        return _member(outer, f"{name}.{path}") if outer else None
    except (ImportError, AttributeError, ValueError):
        return None


def _is_shipped_class(name: str) -> bool:
    return name in shipped() and isinstance(find(name), type)
