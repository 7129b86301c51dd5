"""The interfaces Format and Materializer, which gitmodel and other packages implement."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.errors import UsageError, message_of


class Format(NamedTuple):
    """A way to save a value in a file and to load it.

    *load* gets the path of the file, and True if the caller trusts the file. *save* gets the value and the path of a
    new file, which ends in the first of *extensions*. Both may raise any exception; gitmodel reports an exception of
    *load* as a damaged file, and one of *save* as an unsuitable value. *magic* has byte strings with which files in
    this format start. gitmodel detects the format by *extensions* (such as `.json`) if no format has the first bytes of
    the file. *unsafe* means that loading can run code from the file; gitmodel then calls *load* only for trusted files.

    After saving, gitmodel calls *difference* with the saved and the loaded value. *difference* returns a description of
    the first difference, or "" if the values are equal. For a format of folders, *is_folder* returns True for a folder
    in the format; *save* then creates a folder.

    *load_content* loads a verified file from memory, so that it is not read again. It gets the content, the path for
    messages, and True if the caller trusts the file.

    `gitmodel.formats.register_format` adds a format in this process. Packages add formats as entry points of the group
    `gitmodel.formats`, and the name of the entry point is the name of the format. A format cannot have the name of a
    built-in format.
    """

    name: str
    load: Callable[[Path, bool], Any]
    save: Callable[[Any, Path], None]
    extensions: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    unsafe: bool = False
    difference: Callable[[Any, Any], str] | None = None
    is_folder: Callable[[Path], bool] | None = None
    load_content: Callable[[io.BytesIO, Path, bool], Any] | None = None

    @property
    def suffix(self) -> str:
        """The usual end of a file's name, such as `.json`; "" if the format has no extensions."""
        return self.extensions[0] if self.extensions else ""


class UnusableFormat(UsageError):
    """A format or materializer cannot be used, because a package is missing or damaged."""


class NotImportable(UsageError):
    """A value uses a class or function that no other process can import.

    Only the format cloudpickle can save this value.
    """


class TooLarge(UsageError):
    """A value is too large for its format. gitmodel then tries no other format."""


def library(module: str, *, install: str) -> Any:
    """Import and return the optional *module*. *install* is what the hint of the error says to install with pip.

    Raises UnusableFormat if the module is missing.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UnusableFormat(
            f"this format needs the package {error.name}, which is not installed",
            hint=f"pip install '{install}'",
        ) from None


def is_subclass_of(kind: type, module: str, name: str) -> bool:
    """Return True if *kind* is the class *name* of *module* or a subclass of this class. Imports nothing."""
    return any(base.__module__ == module and base.__qualname__ == name for base in kind.__mro__)


def is_of_library(kind: type, *libraries: str) -> bool:
    """Return True if *kind*, or one of its bases, is from one of *libraries*. Imports nothing."""
    return any(base.__module__.split(".")[0] in libraries for base in kind.__mro__)


def type_name(value: Any) -> str:
    """Return the full name of the type of *value*."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def first_line(error: Exception) -> str:
    """Return the first line of the message of *error*, an error of another library.

    Shortens it, and escapes hidden characters.
    """
    text = (message_of(error).strip() or type(error).__name__).splitlines()[0]
    text = text if len(text) <= 300 else text[:297] + "..."
    return text if text.isprintable() else ascii(text)


class Materializer(NamedTuple):
    """A way to save and load the values of one type.

    *handles* gets a value, and returns True if the materializer can save it. gitmodel records *format* (see
    `gitmodel.formats`) as the format of the artifact, and *kind* as its kind: "data", "model" or "deployment". *save*
    writes a value to a new file, and *load* reads the file. If one of the two is None, the format *format* does it.
    *library* is the package that defines the type of the values. If the parameter of a step is annotated with a type of
    this package, this materializer loads the input. *unsafe* means that loading can run code from the file.

    The path that *save* gets ends in *suffix*. If *suffix* is "", it ends in the suffix of the format.

    `gitmodel.pipelines.register_materializer` adds a materializer in this process. Packages add materializers as entry
    points of the group `gitmodel.materializers`. If *format* is not the name of a `Format`, `.load()` of an artifact in
    this format uses the materializer.
    """

    name: str
    handles: Callable[[Any], bool]
    format: str
    kind: str = "data"
    save: Callable[[Any, Path], None] | None = None
    load: Callable[[Path], Any] | None = None
    library: str = ""
    unsafe: bool = False
    suffix: str = ""
