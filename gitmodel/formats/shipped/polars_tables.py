"""The format polars: data frames and series of polars in Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name

# The key of a Parquet file's metadata that marks a series, which is stored as a table of one column.
_SERIES = "gitmodel.series"


def load_polars(path: Path) -> Any:
    """Return the frame or the series in a Parquet file."""
    polars = library("polars", install="polars")
    with open(path, "rb") as file:  # an open file, because polars could interpret a path as a pattern or a URL
        frame = polars.read_parquet(file)
        file.seek(0)
        is_series = hasattr(polars, "read_parquet_metadata") and _SERIES in polars.read_parquet_metadata(file)
    return frame.to_series() if is_series and frame.width == 1 else frame


def _save(value: Any, path: Path) -> None:
    polars = library("polars", install="polars")
    if not isinstance(value, (polars.DataFrame, polars.Series)):
        hint = "call .collect() first" if isinstance(value, polars.LazyFrame) else "convert it to a DataFrame"
        raise UsageError(f"polars holds a DataFrame or a Series, not this {type_name(value)}", hint=hint)
    with open(path, "wb") as file:
        if isinstance(value, polars.Series):
            value.to_frame().write_parquet(file, metadata={_SERIES: "1"})
        else:
            value.write_parquet(file)


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded):
        return f"it would be {with_article(type(loaded).__name__)}"
    if not hasattr(saved, "schema"):
        return "" if saved.equals(loaded, check_dtypes=True, check_names=True) else "its values, type or name"
    if saved.schema != loaded.schema:
        changed = [name for name in saved.schema if saved.schema[name] != loaded.schema.get(name)]
        return f"the type of the column {changed[0]!a}" if changed else "the order of its columns"
    return "" if saved.equals(loaded) else "its values"


POLARS = Format("polars", lambda path, trusted: load_polars(path), _save, (".parquet",), difference=_difference)
