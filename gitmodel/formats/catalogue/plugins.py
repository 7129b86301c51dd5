"""The available formats and materializers: built-in, registered, and from installed packages."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, Materializer, UnusableFormat, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FORMATS = "gitmodel.formats"
MATERIALIZERS = "gitmodel.materializers"

# For each built-in format: the `module:NAME` of its `Format` below `formats.shipped`, and the packages that the module
# requires. The module is imported when the format is first used.
_BUILT_IN = {
    "bytes": ("plain:BYTES",),
    "cloudpickle": ("pickles:CLOUDPICKLE", "cloudpickle"),
    "csv": ("tables:CSV", "pandas", "pyarrow"),
    "gguf": ("files_only:GGUF",),
    "gif": ("pictures:GIF",),
    "hdf5": ("files_only:HDF5",),
    "joblib": ("pickles:JOBLIB", "joblib"),
    "jpeg": ("pictures:JPEG",),
    "json": ("plain:JSON",),
    "keras": ("keras_models:KERAS", "keras"),
    "lightgbm": ("boosting:LIGHTGBM", "lightgbm"),
    "numpy": ("arrays:NUMPY", "numpy"),
    "onnx": ("onnx_models:ONNX", "onnx"),
    "parquet": ("tables:PARQUET", "pyarrow"),
    "pickle": ("pickles:PICKLE",),
    "png": ("pictures:PNG", "PIL"),
    "polars": ("polars_tables:POLARS", "polars"),
    "safetensors": ("arrays:SAFETENSORS", "numpy", "safetensors"),
    "skops": ("estimators:SKOPS", "skops"),
    "sparse": ("sparse:SPARSE", "scipy"),
    "svg": ("files_only:SVG",),
    "text": ("plain:TEXT",),
    "torch": ("torch_files:TORCH", "torch", "safetensors"),
    "torch-pickle": ("torch_files:TORCH_PICKLE", "torch"),
    "transformers": ("transformers_folders:TRANSFORMERS", "transformers"),
    "webp": ("pictures:WEBP",),
    "xgboost": ("boosting:XGBOOST", "xgboost"),
}
_ON_PYPI = {"PIL": "pillow"}

# In the list of materializers, an entry point that cannot be imported gets this as its format.
_UNUSABLE = ""

_registered: dict[str, Format] = {}
_registered_materializers: dict[str, Materializer] = {}


def register_format(format: Format) -> None:
    """Add *format* in this process, or replace a registered format of the same name.

    Call this in the module that defines the steps: the process of each step imports this module, and so registers the
    format, too. Raises UsageError if gitmodel or an installed package already has a format of this name.

    >>> register_format(Format("hex", lambda path, trusted: bytes.fromhex(path.read_text()),
    ...     lambda value, path: path.write_text(value.hex()), extensions=(".hex",)))
    """
    if format.name in _BUILT_IN or any(point.name == format.name for point in _entry_points(FORMATS)):
        raise UsageError(f"there is already a format {format.name}", hint="give yours another name")
    _registered[format.name] = format


def register_materializer(materializer: Materializer) -> None:
    """Add *materializer* in this process, or replace a registered materializer of the same name.

    Call this in the module that defines the steps: the process of each step imports this module, and so registers the
    materializer, too. In a notebook, call it in a cell.

    >>> register_materializer(Materializer("board", is_board, "json", save=save, load=load))      # doctest: +SKIP
    """
    _registered_materializers[materializer.name] = materializer


def format_names() -> list[str]:
    """Return the names of all formats: built-in, registered, and from installed packages.

    >>> {"json", "skops"} <= set(format_names())
    True
    """
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in _entry_points(FORMATS))})


class DescribedFormat(NamedTuple):
    """A format as `git model formats list` shows it.

    *package* is "" for a format of gitmodel. *error* is the reason why the format of a package cannot be used, or "".
    """

    name: str
    extensions: tuple[str, ...]
    package: str
    unsafe: bool
    error: str = ""


def describe_formats() -> list[DescribedFormat]:
    """Return all formats in the order of their names. Formats that cannot be imported have an `error`."""
    found = [_described(find_format(name), "") for name in _BUILT_IN]
    for point in _entry_points(FORMATS):
        package = _provider(point)
        try:
            found.append(_described(_loaded(point), package))
        except UsageError as error:
            found.append(DescribedFormat(point.name, (), package, False, error.message))
    return sorted(found)


def _described(format: Format, package: str) -> DescribedFormat:
    return DescribedFormat(format.name, format.extensions, package, format.unsafe)


def find_format(name: str) -> Format:
    """Return the format *name*: a built-in or registered one, or one of an installed package or of a materializer.

    Raises UsageError if there is no such format.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name][0].partition(":")
        return cast(Format, getattr(import_module(f"gitmodel.formats.shipped.{module}"), attribute))
    if name in _registered:
        return _registered[name]
    for point in _entry_points(FORMATS):
        if point.name == name:
            return _loaded(point)
    brought = _format_of_materializer(name)
    if brought is not None:
        return brought
    names = format_names()
    near = ", ".join(difflib.get_close_matches(name.lower(), names))
    hint = "install the package that provides it, or download the file with `git model get`"
    raise UsageError(
        f"there is no format {name!a}; there are {', '.join(names)}",
        hint=f"did you mean {near}? {hint}" if near else hint,
    )


def missing_packages(name: str) -> list[str]:
    """Return the packages that the built-in format *name* needs and that are not installed, by their names for pip.

    Does not import any package.

    >>> missing_packages("json")
    []
    """
    return [_ON_PYPI.get(one, one) for one in _BUILT_IN.get(name, ())[1:] if find_spec(one) is None]


def missing_packages_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the missing packages of each of the formats *names*. Workers of other machines call this."""
    return {name: missing_packages(name) for name in names}


def refuse_missing(needed: Mapping[str, str], *, where: str = "") -> None:
    """Raise UnusableFormat, which names the missing packages *needed*, unless there are none.

    *needed* maps each missing package to the output or artifact that needs it. If they are missing on another machine,
    *where* names it, such as " on the worker tcp://node:8786".

    >>> refuse_missing({"skops": "artifact clf"})
    Traceback (most recent call last):
    gitmodel.formats.catalogue.format.UnusableFormat: packages are not installed: skops for artifact clf
    hint: pip install skops
    """
    if needed:
        raise UnusableFormat(
            f"packages are not installed{where}: "
            + ", ".join(f"{package} for {name}" for package, name in needed.items()),
            hint=f"pip install {' '.join(needed)}{where}",
        )


def suffix_of(name: str) -> str:
    """Return the usual suffix of files in the format *name*; "" if the format has no suffix or does not exist."""
    try:
        return find_format(name).suffix
    except UsageError:
        return ""


def other_formats() -> list[Format]:
    """Return the formats that are not built in: registered ones, and those of installed packages.

    Skips formats that cannot be imported. Only `find_format` with the name of such a format raises the error.
    """
    found = list(_registered.values())
    for point in _entry_points(FORMATS):
        with suppress(UsageError):
            found.append(_loaded(point))
    return found


def folder_formats() -> list[Format]:
    """Return the formats whose values are folders: those of gitmodel, registered ones, and those of packages."""
    return [find_format("transformers"), *(found for found in other_formats() if found.is_folder is not None)]


def other_materializers() -> tuple[Materializer, ...]:
    """Return the registered materializers, then those of installed packages in the order of their names.

    For an entry point that cannot be imported or is no materializer, there is a materializer at the end of the list.
    Its `handles` raises UsageError for every value.
    """
    return (*_registered_materializers.values(), *_installed_materializers())


def has_other_materializers() -> bool:
    """Return True if a materializer is registered, or an installed package has one.

    Raises UsageError if packages have materializers and none can be imported.
    """
    found = other_materializers()
    if found and found[0].format == _UNUSABLE:
        found[0].handles(None)
    return bool(found)


@cache
def _installed_materializers() -> tuple[Materializer, ...]:
    found, unusable = [], []
    for point in _entry_points(MATERIALIZERS):
        message = f"{point.value} is not a gitmodel.pipelines.Materializer"
        refused = UsageError(message, hint="report this to the authors of the package")
        try:
            loaded = point.load()
        except Exception as error:
            loaded = None
            message = f"the materializer {point.name} cannot be imported from {point.value}: {first_line(error)}"
            refused = UnusableFormat(message, hint="repair or remove the package that provides it")
        if isinstance(loaded, Materializer):
            found.append(loaded)
        else:
            refuse = _raising(refused)
            unusable.append(Materializer(point.name, refuse, _UNUSABLE, load=refuse))
    return (*found, *unusable)


def _raising(error: UsageError) -> Callable[[Any], Any]:
    def refuse(_: Any) -> Any:
        raise type(error)(error.message, hint=error.hint)

    return refuse


@cache
def _entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of installed packages in *group*, by name. A process searches them only once."""
    # imported here: the import is slow, and only formats and materializers of packages need it
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def _format_of_materializer(name: str) -> Format | None:
    """Return the format *name* of a materializer that is registered or of an installed package, or None."""
    for found in other_materializers():
        if found.format == name and found.load is not None and found.save is not None:
            extensions = (found.suffix,) if found.suffix else ()
            return Format(name, _ignoring_trust(found.load), found.save, extensions, unsafe=found.unsafe)
        # the format of this materializer is unknown, so it may be *name*: raise the error of its import
        if found.format == _UNUSABLE:
            found.handles(None)
    return None


def _ignoring_trust(load: Callable[[Path], Any]) -> Callable[[Path, bool], Any]:
    return lambda path, trusted: load(path)


def _provider(point: EntryPoint) -> str:
    """Return the name of the installed package that has the entry point *point*."""
    return point.dist.name if point.dist else point.value


def _loaded(point: EntryPoint) -> Format:
    provider = _provider(point)
    same = [_provider(one) for one in _entry_points(FORMATS) if one.name == point.name and one.value != point.value]
    if same:
        raise UnusableFormat(
            f"the packages {' and '.join(sorted([provider, *same]))} provide different formats {point.name}",
            hint=f"pip uninstall {same[0]}, or {provider}",
        )
    try:
        found = point.load()
    except Exception as error:
        raise UnusableFormat(
            f"the format {point.name} of the package {provider} cannot be imported: {first_line(error)}",
            hint=f"pip install --upgrade {provider}",
        ) from error
    if not isinstance(found, Format) or found.name != point.name:
        raise UsageError(
            f"the format {point.name} of the package {provider} is not a gitmodel.formats.Format with that name",
            hint="report this to the authors of the package",
        )
    return found
