"""The available formats and materializers: built-in ones, registered ones, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gitmodel.errors import UsageError
from gitmodel.formats.format import Format, Materializer, UnusableFormat, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FORMATS = "gitmodel.formats"
MATERIALIZERS = "gitmodel.materializers"

# the module of each, so that only the ones in use are imported
_BUILT_IN = {
    "bytes": "gitmodel.formats.plain:BYTES",
    "cloudpickle": "gitmodel.formats.pickles:CLOUDPICKLE",
    "csv": "gitmodel.formats.tables:CSV",
    "gguf": "gitmodel.formats.files_only:GGUF",
    "hdf5": "gitmodel.formats.files_only:HDF5",
    "joblib": "gitmodel.formats.pickles:JOBLIB",
    "json": "gitmodel.formats.plain:JSON",
    "keras": "gitmodel.formats.keras_models:KERAS",
    "lightgbm": "gitmodel.formats.boosting:LIGHTGBM",
    "numpy": "gitmodel.formats.arrays:NUMPY",
    "onnx": "gitmodel.formats.onnx_models:ONNX",
    "parquet": "gitmodel.formats.tables:PARQUET",
    "pickle": "gitmodel.formats.pickles:PICKLE",
    "png": "gitmodel.formats.pictures:PNG",
    "polars": "gitmodel.formats.polars_tables:POLARS",
    "safetensors": "gitmodel.formats.arrays:SAFETENSORS",
    "skops": "gitmodel.formats.estimators:SKOPS",
    "sparse": "gitmodel.formats.sparse:SPARSE",
    "text": "gitmodel.formats.plain:TEXT",
    "torch": "gitmodel.formats.torch_files:TORCH",
    "torch-pickle": "gitmodel.formats.torch_files:TORCH_PICKLE",
    "transformers": "gitmodel.formats.transformers_folders:TRANSFORMERS",
    "xgboost": "gitmodel.formats.boosting:XGBOOST",
}

# The packages that each format imports, beside those of formats that need none.
_PACKAGES = {
    "cloudpickle": ("cloudpickle",),
    "csv": ("pandas", "pyarrow"),
    "joblib": ("joblib",),
    "keras": ("keras",),
    "lightgbm": ("lightgbm",),
    "numpy": ("numpy",),
    "onnx": ("onnx",),
    "parquet": ("pyarrow",),
    "png": ("PIL",),
    "polars": ("polars",),
    "safetensors": ("numpy", "safetensors"),
    "skops": ("skops",),
    "sparse": ("scipy",),
    "torch": ("torch", "safetensors"),
    "torch-pickle": ("torch",),
    "transformers": ("transformers",),
    "xgboost": ("xgboost",),
}
_ON_PYPI = {"PIL": "pillow"}

_registered: dict[str, Format] = {}
_registered_materializers: dict[str, Materializer] = {}


def register_format(format: Format) -> None:
    """Add *format* in this process, or replace a registered one of the same name. Steps need it where they are defined.

    Raises UsageError for the name of a format of gitmodel or of an installed package.

    >>> register_format(Format("hex", lambda path, trusted: bytes.fromhex(path.read_text()),
    ...     lambda value, path: path.write_text(value.hex()), extensions=(".hex",)))
    """
    if format.name in _BUILT_IN or any(point.name == format.name for point in _entry_points(FORMATS)):
        raise UsageError(f"there is already a format {format.name}", hint="give yours another name")
    _registered[format.name] = format


def register_materializer(materializer: Materializer) -> None:
    """Add *materializer* in this process, or replace a registered one of the same name.

    Register it in the module that defines the steps, so that their processes do so, too. A notebook registers it in a
    cell.

    >>> register_materializer(Materializer("board", is_board, "json", save=save, load=load))      # doctest: +SKIP
    """
    _registered_materializers[materializer.name] = materializer


def format_names() -> list[str]:
    """Return the names of all formats: built-in ones, registered ones, and those of installed packages.

    >>> {"json", "skops"} <= set(format_names())
    True
    """
    return sorted({*_BUILT_IN, *_registered, *(point.name for point in _entry_points(FORMATS))})


class DescribedFormat(NamedTuple):
    """A format as `git model formats list` shows it. *package* is "" for a format of gitmodel. *error* says why the
    format of a package cannot be used.
    """

    name: str
    extensions: tuple[str, ...]
    package: str
    unsafe: bool
    error: str = ""


def describe_formats() -> list[DescribedFormat]:
    """Return all formats by name, with those of packages that cannot be imported."""
    found = [_described(find_format(name), "") for name in _BUILT_IN]
    for point in _entry_points(FORMATS):
        package = point.dist.name if point.dist else point.value
        try:
            found.append(_described(_loaded(point), package))
        except UsageError as error:
            found.append(DescribedFormat(point.name, (), package, False, error.message))
    return sorted(found)


def _described(format: Format, package: str) -> DescribedFormat:
    return DescribedFormat(format.name, format.extensions, package, format.unsafe)


def find_format(name: str) -> Format:
    """Return the format *name*: built-in, registered, of a package, or of a materializer.

    Raises UsageError if there is none.
    """
    if place := _BUILT_IN.get(name):
        module, _, attribute = place.partition(":")
        return cast(Format, getattr(import_module(module), attribute))
    if name in _registered:
        return _registered[name]
    for point in _entry_points(FORMATS):
        if point.name == name:
            return _loaded(point)
    brought = _format_of_materializer(name)
    if brought is not None:
        return brought
    raise UsageError(
        f"there is no format {name!a}; there are {', '.join(format_names())}",
        hint="install the package that provides it, or download the file with `git model get`",
    )


def missing_packages(name: str) -> list[str]:
    """Return the packages that the built-in format *name* needs and that are not installed, by their names for pip.

    Imports none of them.

    >>> missing_packages("json")
    []
    """
    return [_ON_PYPI.get(one, one) for one in _PACKAGES.get(name, ()) if find_spec(one) is None]


def suffix_of(name: str) -> str:
    """Return the usual suffix of files in the format *name*; "" if there is none, or no such format."""
    try:
        return find_format(name).suffix
    except UsageError:
        return ""


def other_formats() -> list[Format]:
    """Return the formats that are registered, and those of installed packages.

    Skips one that cannot be imported; using it raises the error.
    """
    found = list(_registered.values())
    for point in _entry_points(FORMATS):
        with suppress(UsageError):
            found.append(_loaded(point))
    return found


def folder_formats() -> list[Format]:
    """Return the formats of folders: gitmodel's own and others."""
    return [find_format("transformers"), *(found for found in other_formats() if found.is_folder is not None)]


def other_materializers() -> tuple[Materializer, ...]:
    """Return the registered materializers, then those of installed packages by name.

    Raises UsageError for an entry point that cannot be imported or is of another type.
    """
    return (*_registered_materializers.values(), *_installed_materializers())


@lru_cache(maxsize=1)
def _installed_materializers() -> tuple[Materializer, ...]:
    found = []
    for point in _entry_points(MATERIALIZERS):
        try:
            loaded = point.load()
        except Exception as error:
            raise UnusableFormat(
                f"the materializer {point.name} cannot be imported from {point.value}: {first_line(error)}",
                hint="repair or remove the package that provides it",
            ) from error
        if not isinstance(loaded, Materializer):
            raise UsageError(
                f"{point.value} is not a gitmodel.pipelines.Materializer",
                hint="report this to the authors of the package",
            )
        found.append(loaded)
    return tuple(found)


def _entry_points(group: str) -> list[EntryPoint]:
    """Return the entry points of installed packages in *group*, by name."""
    from importlib.metadata import entry_points  # imported here: it is slow, and only formats of packages need it

    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


def _format_of_materializer(name: str) -> Format | None:
    """Return the format *name* of a materializer that is registered or of an installed package, or None."""
    for found in other_materializers():
        if found.format == name and found.load is not None and found.save is not None:
            extensions = (found.suffix,) if found.suffix else ()
            return Format(name, _ignoring_trust(found.load), found.save, extensions, unsafe=found.unsafe)
    return None


def _ignoring_trust(load: Callable[[Path], Any]) -> Callable[[Path, bool], Any]:
    return lambda path, trusted: load(path)


def _loaded(point: EntryPoint) -> Format:
    provider = point.dist.name if point.dist else point.value
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
