"""The available formats and materializers: built-in ones and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gitmodel.errors import UsageError
from gitmodel.formats.format import Format, Materializer, first_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FORMATS = "gitmodel.formats"
MATERIALIZERS = "gitmodel.materializers"

# the module of each, so that only the ones in use are imported
_BUILT_IN = {
    "bytes": "gitmodel.formats.plain:BYTES",
    "cloudpickle": "gitmodel.formats.pickles:CLOUDPICKLE",
    "csv": "gitmodel.formats.tables:CSV",
    "joblib": "gitmodel.formats.pickles:JOBLIB",
    "json": "gitmodel.formats.plain:JSON",
    "numpy": "gitmodel.formats.arrays:NUMPY",
    "parquet": "gitmodel.formats.tables:PARQUET",
    "pickle": "gitmodel.formats.pickles:PICKLE",
    "safetensors": "gitmodel.formats.arrays:SAFETENSORS",
    "skops": "gitmodel.formats.estimators:SKOPS",
    "text": "gitmodel.formats.plain:TEXT",
}


def format_names() -> list[str]:
    """Return the names of all formats: built-in ones and those of installed packages.

    >>> {"json", "skops"} <= set(format_names())
    True
    """
    return sorted({*_BUILT_IN, *(point.name for point in _entry_points(FORMATS))})


class DescribedFormat(NamedTuple):
    """A format as `git model formats list` shows it; *package* is "" for one of gitmodel."""

    name: str
    extensions: tuple[str, ...]
    package: str
    unsafe: bool


def describe_formats() -> list[DescribedFormat]:
    """Return all formats by name. A package whose format cannot be imported is left out."""
    ours = [(find_format(name), "") for name in _BUILT_IN]
    others = []
    for point in _entry_points(FORMATS):
        with suppress(UsageError):
            others.append((_loaded(point), point.dist.name if point.dist else point.value))
    return sorted(
        DescribedFormat(found.name, found.extensions, source, found.unsafe) for found, source in ours + others
    )


def find_format(name: str) -> Format:
    """Return the format *name*: built-in, of a package, or of a materializer. Raises UsageError if there is none."""
    if place := _BUILT_IN.get(name):
        module, _, attribute = place.partition(":")
        return cast(Format, getattr(import_module(module), attribute))
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


def other_formats() -> list[Format]:
    """Return the formats of installed packages. Skips one that cannot be imported; using it raises the error."""
    found = []
    for point in _entry_points(FORMATS):
        with suppress(UsageError):
            found.append(_loaded(point))
    return found


@lru_cache(maxsize=1)
def other_materializers() -> tuple[Materializer, ...]:
    """Return the materializers of installed packages by name. Raises UsageError for an entry point of another type."""
    found = []
    for point in _entry_points(MATERIALIZERS):
        try:
            loaded = point.load()
        except Exception as error:
            raise UsageError(
                f"the materializer {point.name} cannot be imported from {point.value}: {error}",
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
    """Return the format *name* of a materializer of an installed package, or None."""
    for found in other_materializers():
        if found.format == name and found.load is not None and found.save is not None:
            return Format(name, _ignoring_trust(found.load), found.save, unsafe=found.unsafe)
    return None


def _ignoring_trust(load: Callable[[Path], Any]) -> Callable[[Path, bool], Any]:
    return lambda path, trusted: load(path)


def _loaded(point: EntryPoint) -> Format:
    provider = point.dist.name if point.dist else point.value
    try:
        found = point.load()
    except Exception as error:
        raise UsageError(
            f"the format {point.name} of the package {provider} cannot be imported: {first_line(error)}",
            hint=f"pip install --upgrade {provider}",
        ) from error
    if not isinstance(found, Format) or found.name != point.name:
        raise UsageError(
            f"the format {point.name} of the package {provider} is not a gitmodel.formats.Format with that name",
            hint="report this to the authors of the package",
        )
    return found
