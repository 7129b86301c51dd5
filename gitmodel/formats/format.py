"""The definitions of a format and of a materializer, for those that come with gitmodel and those of others."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.errors import UsageError


class Format(NamedTuple):
    """One way to keep a value in a file.

    *load* takes the path and whether the caller trusts the file; *save* the value and the path of a new file.
    Both may raise anything: it is reported as a file that is damaged or a value that does not fit.
    *magic* are beginnings of files that are in this format, *extensions* (`.json`) count where none is known.
    *unsafe* says that loading can run code from the file: then *load* is only ever called with trust.

    Others add theirs as entry points of the group `gitmodel.formats`, each the name of a Format; they cannot
    take the name of a format that comes with gitmodel.
    """

    name: str
    load: Callable[[Path, bool], Any]
    save: Callable[[Any, Path], None]
    extensions: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    unsafe: bool = False


def library(module: str, *, install: str) -> Any:
    """The *module* of an optional library, imported now; *install* is what to give pip for it.

    Raises UsageError with that command if it is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this format needs the package {error.name}, which is not installed",
            hint=f"pip install '{install}'",
        ) from None


def type_name(value: Any) -> str:
    """The full name of the type of *value*."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def first_line(error: Exception) -> str:
    """The first line of an error that is another's, printable and short."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    text = text if len(text) <= 300 else text[:297] + "..."
    return text if text.isprintable() else ascii(text)


class Materializer(NamedTuple):
    """One way to keep values of a type.

    *handles* says whether it takes a value; *format* is recorded (see `gitmodel.formats`), *kind* "data", "model" or
    "deployment". *save* writes a value to a new file and *load* reads it (None: as the format does). *library* is the
    package whose types it makes: a step that asks for one of them gets it. *unsafe* says that loading can run code from
    the file. Others add theirs as entry points of the group `gitmodel.materializers`; a format of its own that one
    brings is a format like any other, for `.load()` too.
    """

    name: str
    handles: Callable[[Any], bool]
    format: str
    kind: str = "data"
    save: Callable[[Any, Path], None] | None = None
    load: Callable[[Path], Any] | None = None
    library: str = ""
    unsafe: bool = False
