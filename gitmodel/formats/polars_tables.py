"""The format polars: data frames and series of polars in Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.format import Format, library, type_name


def load_polars(path: Path) -> Any:
    """Return the frame in a Parquet file."""
    with open(path, "rb") as file:  # a path could be interpreted as a pattern or a URL
        return library("polars", install="polars").read_parquet(file)


def _save(value: Any, path: Path) -> None:
    polars = library("polars", install="polars")
    if not isinstance(value, polars.DataFrame):
        hint = "call .collect() first" if isinstance(value, polars.LazyFrame) else "convert it with .to_frame()"
        raise UsageError(f"polars holds a DataFrame, not this {type_name(value)}", hint=hint)
    with open(path, "wb") as file:
        value.write_parquet(file)


def _difference(saved: Any, loaded: Any) -> str:
    if saved.schema != loaded.schema:
        changed = [name for name in saved.schema if saved.schema[name] != loaded.schema.get(name)]
        return f"the type of the column {changed[0]!a}" if changed else "the order of its columns"
    return "" if saved.equals(loaded) else "its values"


POLARS = Format("polars", lambda path, trusted: load_polars(path), _save, (".parquet",), difference=_difference)
