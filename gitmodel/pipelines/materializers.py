"""How the values that steps return become artifact files, and files become the values that steps take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel import formats
from gitmodel.errors import UsageError

GROUP = "gitmodel.materializers"


class Materializer(NamedTuple):
    """One way to keep values of a type.

    *handles* says whether it takes a value; *format* is recorded (see `gitmodel.formats`), *kind* "data", "model" or
    "deployment". *save* writes a value to a new file and *load* reads it (None: as the format does). Others add theirs
    as entry points of the group `gitmodel.materializers`.
    """

    name: str
    handles: Callable[[Any], bool]
    format: str
    kind: str = "data"
    save: Callable[[Any, Path], None] | None = None
    load: Callable[[Path], Any] | None = None


def _of_library(value: Any, library: str) -> bool:
    """Whether the type of *value*, or one it is made from, comes from *library*; imports nothing."""
    return any(base.__module__.split(".")[0] == library for base in type(value).__mro__)


def _is_json(value: Any) -> bool:
    if value is None or type(value) in (bool, int, float, str):
        return True
    if type(value) in (list, tuple):
        return all(_is_json(item) for item in value)
    return type(value) is dict and all(type(key) is str and _is_json(item) for key, item in value.items())


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(_of_library(item, "torch") for item in value.values())


def _save_state_dict(value: Any, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.detach().contiguous() for name, tensor in value.items()}, path)


def _load_state_dict(path: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(path)


def _save_arrow(value: Any, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(value, path)


def _load_arrow(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.read_table(path)


def _is_arrow(value: Any) -> bool:
    return _of_library(value, "pyarrow") and type(value).__name__ == "Table"


def _is_frame(value: Any) -> bool:
    return _of_library(value, "pandas") and type(value).__name__ == "DataFrame"


# The first that handles a value is taken.
_BUILT_IN = (
    Materializer("text", lambda value: type(value) is str, "text"),
    Materializer("bytes", lambda value: type(value) is bytes, "bytes"),
    Materializer("json", _is_json, "json"),
    Materializer("state-dict", _is_state_dict, "safetensors", "model", _save_state_dict, _load_state_dict),
    Materializer("numpy", lambda value: _of_library(value, "numpy"), "numpy"),
    Materializer("pandas", _is_frame, "parquet"),
    Materializer("arrow", _is_arrow, "parquet", "data", _save_arrow, _load_arrow),
    Materializer("scikit-learn", lambda value: _of_library(value, "sklearn"), "skops", "model"),
)


def find_materializer(value: Any, output: str) -> Materializer:
    """The materializer for *value*. Raises UsageError that shows how to keep such a value."""
    for candidate in (*_BUILT_IN, *_others()):
        if candidate.handles(value):
            return candidate
    raise UsageError(
        f"output {output} is a {type(value).__module__}.{type(value).__qualname__}, which gitmodel cannot keep",
        hint=f"annotate it Annotated[..., ArtifactConfig(name={output!r}, format='pickle')] to allow pickle for it, "
        "or write a materializer (docs/how-to/write-a-materializer.md)",
    )


def save(value: Any, path: Path, output: str, format: str) -> tuple[str, str, str]:
    """Write *value* to *path*; returns the format, the kind, and the materializer's name ("": the format's own way)."""
    if format:
        formats.save(value, path, format)
        return format, "model" if _of_library(value, "sklearn") else "data", ""
    found = find_materializer(value, output)
    if found.save is not None:
        found.save(value, path)
    else:
        formats.save(value, path, found.format)
    return found.format, found.kind, found.name


def load(path: Path, format: str, materializer: str, *, trusted: bool) -> Any:
    """The value that *path* holds; *trusted* for files that this very run wrote."""
    for candidate in (*_BUILT_IN, *(_others() if materializer else ())):
        if candidate.name == materializer and candidate.load is not None:
            return candidate.load(path)
    return formats.load(path, format, trusted=trusted)


def _others() -> list[Materializer]:
    from importlib.metadata import entry_points

    found = [point.load() for point in entry_points(group=GROUP)]
    return [candidate for candidate in found if isinstance(candidate, Materializer)]
