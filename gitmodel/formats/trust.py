"""The names of classes and functions that a file may use when it is loaded.

A name is the full one, such as `sklearn.tree._tree.Tree`. It counts only for the object that has it as its own
`__module__` and `__qualname__`: `sklearn.utils._testing.check_output` is `subprocess.check_output`, so no prefix and no
other name of an object is ever trusted. gitmodel ships the names of classes; a person can trust more on a machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

_trusted_here: ContextVar[Callable[[], Iterable[str]]] = ContextVar("gitmodel_trusted_names", default=tuple)


@lru_cache(maxsize=1)
def shipped() -> frozenset[str]:
    """Return the names of classes that gitmodel trusts: estimators of scikit-learn and the classes that they keep."""
    lines = Path(__file__).with_name("trusted_names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


@contextmanager
def trusting(read: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Trust the names that *read* returns as well, inside the `with` block. It is called if a file needs more names."""
    token = _trusted_here.set(read)
    try:
        yield
    finally:
        _trusted_here.reset(token)


def trusted(names: Sequence[str]) -> list[str]:
    """Return the *names* that a loader may use. Imports the modules of names that are trusted, and no others.

    A name that gitmodel ships counts for a class alone; one that this machine trusts, for a class or a function.

    >>> trusted(["sklearn.tree._tree.Tree", "sklearn.utils._testing.check_output", "subprocess.Popen"])
    ['sklearn.tree._tree.Tree']
    """
    found = [name for name in names if _is_shipped_class(name)]
    rest = [name for name in names if name not in found]
    here = frozenset(_trusted_here.get()()) if rest else frozenset()
    return found + [name for name in rest if name in here and find(name) is not None]


def find(name: str) -> Any:
    """Return the class or function whose own full name is *name*, imported; None if there is none.

    >>> find("decimal.Decimal"), find("subprocess.os"), find("shutil.sys.exit")
    (<class 'decimal.Decimal'>, None, None)
    """
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        return None
    own = f"{getattr(found, '__module__', None)}.{getattr(found, '__qualname__', None)}"
    return found if own == name and callable(found) else None


def _is_shipped_class(name: str) -> bool:
    return name in shipped() and isinstance(find(name), type)
