"""The formats parquet (all types of pandas and Arrow) and csv (numbers and text, without an index)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library
from gitmodel.formats.encoding import arrow_arrays, frames

# The size in bytes of a group of rows in a Parquet file. A new file is read group by group when it is compared with the
# saved value.
_GROUP = 64 << 20
_UNNAMED = "__unnamed_series__"


def is_arrow_table(value: Any) -> bool:
    """Return True if *value* is an Arrow table. Imports nothing."""
    return is_arrow_table_type(type(value))


def is_arrow_table_type(kind: type) -> bool:
    """Return True if values of *kind* are Arrow tables. Imports nothing."""
    return kind.__name__ == "Table" and kind.__module__.split(".")[0] == "pyarrow"


def _load_parquet(path: Path, trusted: bool) -> Any:
    parquet = _parquet()
    with open(path, "rb") as file:  # an open file, because pyarrow could interpret a path as a URL
        with parquet.ParquetFile(file) as source:
            metadata = source.schema_arrow.metadata or {}
            if frames.KEY in metadata:
                return _value_of(source.read(), _arrow_schema(source), 0)
        file.seek(0)
        found = _pandas().read_parquet(file, engine="pyarrow")
    # earlier releases saved a Series without gitmodel's metadata, as a table with one column of this name
    return found[_UNNAMED].rename(None) if list(found.columns) == [_UNNAMED] else found


def _value_of(table: Any, schema: Any, start: int) -> Any:
    """Return the value of *table*, which has gitmodel's metadata. It can be the part of a table from row *start*."""
    told = json.loads(table.schema.metadata[frames.KEY])
    if told.get("type") != "Table":
        return frames.from_arrow(table, start=start)
    metadata = {key: value for key, value in (schema.metadata or {}).items() if key != frames.KEY}
    specs = told.get("columns") or [{}] * table.num_columns
    parts = zip(table.columns, schema.types, specs, strict=True)
    columns = [arrow_arrays.as_type(column, kind, spec) for column, kind, spec in parts]
    wanted = schema.with_metadata(metadata or None)
    arrow, _ = arrow_arrays.libraries()
    return arrow.Table.from_arrays(columns, schema=wanted)


def _arrow_schema(source: Any) -> Any:
    """Return the schema of the Arrow table that was written. The table that Parquet reads can have another schema."""
    held = (source.metadata.metadata or {}).get(b"ARROW:schema")
    if held is None:
        return source.schema_arrow
    arrow, _ = arrow_arrays.libraries()
    return arrow.ipc.read_schema(arrow.py_buffer(base64.b64decode(held)))


def load_arrow(path: Path) -> Any:
    """Return the Arrow table in the Parquet file *path*. A pandas frame is converted."""
    with open(path, "rb") as file, _parquet().ParquetFile(file) as source:
        schema, table = _arrow_schema(source), source.read()
    if frames.KEY not in (table.schema.metadata or {}):
        return table
    found = _value_of(table, schema, 0)
    if is_arrow_table(found):
        return found
    arrow, pandas = arrow_arrays.libraries()
    return arrow.Table.from_pandas(found if isinstance(found, pandas.DataFrame) else pandas.DataFrame(found))


def load_pandas(path: Path) -> Any:
    """Return the pandas value in the Parquet file *path*. An Arrow table is converted to a frame."""
    found = _load_parquet(path, False)
    return found.to_pandas() if is_arrow_table(found) else found


def _save_parquet(value: Any, path: Path) -> None:
    parquet = _parquet()
    if is_arrow_table(value):
        told: dict[str, Any] = {"gitmodel": 1, "type": "Table"}
        specs = [arrow_arrays.dictionary_of(column) for column in value.columns]
        if any(specs):
            told["columns"] = specs
        table = value.replace_schema_metadata({**(value.schema.metadata or {}), frames.KEY: json.dumps(told)})
    else:
        table = frames.to_arrow(value)
    rows = max(1, min(1 << 20, _GROUP * max(1, table.num_rows) // max(1, table.nbytes)))
    arrow, _ = arrow_arrays.libraries()
    with open(path, "wb") as file:
        try:
            parquet.write_table(table, file, row_group_size=rows)
        except (arrow.ArrowNotImplementedError, arrow.ArrowInvalid):
            _check_types(arrow, parquet, table.schema)
            raise


def _check_types(arrow: Any, parquet: Any, schema: Any) -> None:
    """Raise UsageError if Parquet does not support the type of a column. The error names the first such column."""
    for field in schema:
        try:
            parquet.ParquetWriter(arrow.BufferOutputStream(), arrow.schema([field])).close()
        except (arrow.ArrowNotImplementedError, arrow.ArrowInvalid):
            raise UsageError(
                f"column {field.name!a} has the Arrow type {field.type}, which Parquet cannot hold",
                hint="cast the column, or leave it out",
            ) from None


def parts_of_parquet(path: Path) -> Iterator[tuple[int, int, Any]]:
    """Yield each group of rows in *path*: the index of its first row, the index after its last row, and its value."""
    with open(path, "rb") as file, _parquet().ParquetFile(file) as source:
        schema, start = _arrow_schema(source), 0
        # without columns, Parquet has no groups of rows, so the whole table is read at once
        groups = range(source.num_row_groups) if source.metadata.num_columns and source.num_row_groups else [None]
        for group in groups:
            table = source.read() if group is None else source.read_row_group(group)
            found = _value_of(table, schema, start)
            yield start, start + len(found), found
            start += len(found)


# Matches identifiers such as 007, which would lose digits as numbers.
_IDENTIFIER = r"^\s*[+-]?0\d"
_LONG = r"^\s*[+-]?\d{16,}\s*$"


def _load_csv(path: Path, trusted: bool) -> Any:
    """Return a frame of numbers and text. A column with a number that would lose digits stays text."""
    pandas = _pandas()
    text: set[Any] = set()
    with open(path, "rb") as file:
        for part in pandas.read_csv(file, dtype=str, chunksize=1 << 16):
            for place, label in enumerate(part.columns):
                column = part.iloc[:, place]
                filled = column.dropna().astype(str)
                has_gap = len(filled) < len(column)
                if filled.str.contains(_IDENTIFIER).any() or (
                    filled.str.contains(_LONG).any() and (has_gap or not _fits(filled))
                ):
                    text.add(label)
        file.seek(0)
        # the option is passed only before pandas 3.1, which deprecates it and reads all digits without it
        exact = tuple(map(int, pandas.__version__.split(".")[:2])) >= (3, 1)
        options = {} if exact else {"float_precision": "round_trip"}
        return pandas.read_csv(file, dtype=dict.fromkeys(text, str), **options)


def _fits(column: Any) -> bool:
    """Return True if all of *column* are 64-bit integers."""
    try:
        return all(-(1 << 63) <= int(cell) < 1 << 64 for cell in column)
    except ValueError:
        return False


def _save_csv(value: Any, path: Path) -> None:
    pandas = _pandas()
    if not isinstance(value, pandas.DataFrame):
        raise UsageError(
            f"csv holds a pandas DataFrame, not {type(value).__name__}", hint="convert it with pandas.DataFrame"
        )
    if not value.index.equals(pandas.RangeIndex(len(value))):
        raise UsageError("csv would lose the index of this DataFrame", hint="call reset_index(), or save it as parquet")
    with open(path, "wb") as file:
        value.to_csv(file, index=False, lineterminator="\n")


def _parquet() -> Any:
    arrow_arrays.libraries()
    return library("pyarrow.parquet", install="gitmodel[parquet]")


def _pandas() -> Any:
    return library("pandas", install="gitmodel[parquet]")


PARQUET = Format("parquet", _load_parquet, _save_parquet, extensions=(".parquet",), magic=(b"PAR1",))
CSV = Format("csv", _load_csv, _save_csv, extensions=(".csv",))
