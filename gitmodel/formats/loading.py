"""Loading and saving files by the name of their format."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, UsageError
from gitmodel.formats import script_names, trust
from gitmodel.formats.catalogue.detection import folder_format, is_pickle
from gitmodel.formats.catalogue.format import UnusableFormat, first_line, type_name
from gitmodel.formats.catalogue.plugins import find_format

_loading = ContextVar("gitmodel_loading", default=False)
_WITHOUT_NAMES = frozenset({"bytes", "csv", "numpy", "parquet", "safetensors", "text"})
_HINTS: dict[type[GitModelError], str] = {
    Invalid: "check in which format the file is; its bytes are those that were stored",
    UsageError: "choose another format, or convert the value",
}


def load(path: Path, format_name: str, *, trusted: bool = False) -> Any:
    """Return the value in the file *path* of the format *format_name*.

    If *trusted* is True, loading may run code from the file: use it only for files of authors whom you trust. Raises
    Refused if the file needs trust and *trusted* is False, Invalid if the file is not in the format, UsageError if a
    library is missing.

    >>> load(Path("train.parquet"), "parquet")["sepal_length"].mean()      # doctest: +SKIP
    5.84
    """
    if format_name == FOLDER_FORMAT and path.is_dir():
        format_name = folder_format(path)
    found = find_format(format_name)
    if not (found.is_folder and path.is_dir()):
        _require_file(path)
    return load_with(path, found.name, lambda place: found.load(place, trusted), unsafe=found.unsafe, trusted=trusted)


def load_content(content: io.BytesIO, path: Path, format_name: str, *, trusted: bool) -> Any:
    """Return the value in *content*, the verified bytes of a file. Errors name the file by *path*.

    Works as `load`, but does not read the file. Only for a format whose `Format` has `load_content`.
    """
    found = find_format(format_name)
    load = found.load_content
    assert load is not None
    return load_with(
        path,
        found.name,
        lambda path: load(content, path, trusted),
        unsafe=found.unsafe,
        trusted=trusted,
        content=content,
    )


def load_with(
    path: Path,
    format_name: str,
    loader: Callable[[Path], Any],
    *,
    unsafe: bool,
    trusted: bool,
    content: io.BytesIO | None = None,
) -> Any:
    """Load the file *path* with *loader*, with the checks that all formats and materializers need.

    *content* has the bytes of the file; None if they were not read yet. Raises Refused if *unsafe* is True and
    *trusted* is False. If *unsafe* is False but the file is a pickle, raises Refused or, if *trusted* is True, Invalid;
    only the format bytes accepts any content. Raises Invalid if *loader* fails.
    """
    if unsafe and not trusted:
        raise _unsafe(path, format_name)
    # Checked here because a loader that is not unsafe would fail for a pickle, with an error that does not name the
    # reason.
    if not unsafe and format_name != "bytes" and is_pickle(path, content):
        if not trusted:
            raise _unsafe(path, "pickle")
        raise Invalid(f"{path} is recorded as {format_name}, but it is a pickle", hint='load it in the format "pickle"')
    with (
        trust.setting((_loading, True)),
        _named(script_names.loading(), format_name),
        trust.loading(str(path), trusted),
        explaining(Invalid, f"{path} cannot be loaded as {format_name}"),
    ):
        return loader(path)


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Replace *path*, a temporary file that users do not know, by *name* in errors raised in the `with` block."""
    try:
        yield
    except GitModelError as error:
        error.message = error.message.replace(str(path), name)
        error.args = (error.message,)
        raise


def is_loading() -> bool:
    """Return True while this thread loads a file.

    Loading can import the script that defines a class, and this import must not start the runs of the script.
    """
    return _loading.get()


def save(value: Any, path: Path, format_name: str) -> None:
    """Save *value* to the file or folder *path* in the format *format_name*, atomically.

    Loads the file again and compares the result with *value*. If the format cannot represent the value, raises
    UsageError, which names the part that would change.

    >>> save({"classes": ["setosa", "virginica"]}, Path("classes.json"), "json")      # doctest: +SKIP
    """
    found = find_format(format_name)

    def save_checked(value: Any, place: Path) -> None:
        found.save(value, place)
        if found.difference is not None and (said := found.difference(value, found.load(place, True))):
            raise UsageError(
                f"this {type_name(value)} would change in {found.name}: {said}",
                hint="convert that part, or choose another format",
            )

    def load_written(place: Path) -> Any:
        if found.load_content is None:
            return found.load(place, True)
        return found.load_content(io.BytesIO(place.read_bytes()), place, True)

    save_with(value, path, found.name, save_checked, load_written, suffix=found.suffix)


def save_with(
    value: Any,
    path: Path,
    format_name: str,
    saver: Callable[[Any, Path], None],
    loader: Callable[[Path], Any] | None,
    *,
    suffix: str = "",
) -> None:
    """Save *value* as `save` does, but with the function *saver*.

    Loads the file again with *loader* and compares the result, unless *loader* is None. *saver* gets a path that ends
    in *suffix*.
    """
    temporary = path.absolute().parent / f".gitmodel-{os.urandom(8).hex()}{suffix}"
    try:
        with explaining(UsageError, f"{type(value).__name__} cannot be saved as {format_name}"):
            names = script_names.saving(temporary, by_value=format_name == "cloudpickle")
            with _named(names, format_name), trust.trusting_all():
                saver(value, temporary)
                if loader is not None:
                    _prove(value, temporary, format_name, saver, loader)
            os.replace(temporary, path)  # `os.replace` raises an error if the saver wrote no file
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else os.unlink(temporary)
        raise


def _named(names: AbstractContextManager[None], format_name: str) -> AbstractContextManager[None]:
    """Return the context *names* of `script_names.saving`, or one without effect if the format saves no class names."""
    return nullcontext() if format_name in _WITHOUT_NAMES else names


def _prove(
    value: Any, path: Path, format_name: str, saver: Callable[[Any, Path], None], loader: Callable[[Path], Any]
) -> None:
    """Raise UsageError if *loader* returns another value than *value* for *path*.

    Compares only values in the formats skops and json, and values that `is_comparable` accepts.
    """
    # imported here because the import takes 8 ms, and only saving a value needs it
    from gitmodel.formats.comparison import differences as comparison

    if format_name == "skops":
        comparison.prove_again(value, path, loader, saver)
    elif format_name == "json" or comparison.is_comparable(value):
        comparison.prove(value, path, loader, format_name)


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise UsageError(
            f"{path} is a folder, which is not a single value", hint="use its path and open the files in it"
        )
    if not path.exists():
        raise NotFound(f"there is no file {path}", hint="check the path")


def _unsafe(path: Path, name: str) -> Refused:
    return Refused(
        f"{path} is a {name} file: loading it can run any code that its authors put into it",
        hint="if you trust them, load it with trusted=True; to avoid this, save it as skops or safetensors",
    )


@contextmanager
def explaining(kind: type[GitModelError], what: str) -> Iterator[None]:
    """Convert exceptions in the `with` block to an error *kind* with one line about *what*, a file or a value."""
    try:
        yield
    except (GitModelError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise UnusableFormat(
            f"{what}: it needs the package {error.name}, which is not installed",
            hint=f"pip install {error.name}",
        ) from error
    except Exception as error:
        raise kind(f"{what}: {first_line(error)}", hint=_HINTS.get(kind, "")) from error
