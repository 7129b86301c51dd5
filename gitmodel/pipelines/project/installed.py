"""Deciding if a file is installed or belongs to the project, and finding the versions of installed distributions."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from gitmodel.version import __version__

_OURS = str(Path(__file__).parents[2])


@lru_cache(maxsize=8192)
def is_library(file: str) -> bool:
    """Return True if *file* belongs to Python, to gitmodel or to an installed distribution.

    A file of an editable install belongs to the project. A file in a virtual environment belongs to a distribution,
    even if the virtual environment is inside the project.
    """
    path = os.path.join(os.path.realpath(file), "")
    if {"site-packages", "dist-packages"} & set(path.split(os.sep)):
        return True
    return path.startswith(library_folders())


def is_of_project(module: str) -> bool:
    """Return True if *module* is the name of a loaded module that is not installed, or `__main__`."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return module == "__main__" or bool(file and not is_library(file))


def is_of_gitmodel(file: str) -> bool:
    """Return True if *file* belongs to gitmodel itself."""
    return os.path.realpath(file).startswith(os.path.realpath(_OURS) + os.sep)


@cache
def library_folders() -> tuple[str, ...]:
    """Return the folders of Python, of its packages and of gitmodel, each with a slash at the end."""
    paths = sysconfig.get_paths()
    folders = (*(paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib")), _OURS)
    return tuple(os.path.realpath(folder) + os.sep for folder in folders)


def versions_of(top: str, spec: ModuleSpec | None) -> Iterator[str]:
    """Yield `name version` of each distribution that installs the top-level module *top*. *spec* has its location."""
    if top == "gitmodel":
        yield f"gitmodel {__version__}"
        return
    places = [] if spec is None else [*(spec.submodule_search_locations or ())] or [spec.origin or ""]
    for folder in sorted({os.path.dirname(place) for place in places}):
        yield from _distributions(folder, top)


@lru_cache(maxsize=1024)
def _distributions(folder: str, top: str) -> tuple[str, ...]:
    """Return the distributions of *folder* that install *top*, as `name version`."""
    try:
        found = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
    except OSError:
        return ()
    named = {name: name.rsplit(".", 1)[0].rsplit("-", 1) for name in sorted(found)}
    told = {name: " ".join(parts) for name, parts in named.items()}
    alike = [name for name, parts in named.items() if _normal(parts[0]) == _normal(top)]
    return tuple(told[name] for name in alike or (name for name in told if _installs(f"{folder}/{name}", top)))


def _installs(info: str, top: str) -> bool:
    for listing, pattern in (("top_level.txt", rf"^{re.escape(top)}\s*$"), ("RECORD", rf"^\"?{re.escape(top)}[./]")):
        try:
            text = Path(info, listing).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if re.search(pattern, text, re.MULTILINE):
            return True
        if listing == "top_level.txt" and text.strip():
            return False
    return False


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()
