"""Conversion of pandas tables to Arrow tables and back, with equal types, index, labels and cells.

Each column is an Arrow column that every reader of Parquet understands. The metadata key `gitmodel` of the file
describes how to create the pandas column from the Arrow column; docs/reference/format.md specifies it.
"""

from __future__ import annotations

import json
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import type_name
from gitmodel.formats.encoding import values
from gitmodel.formats.encoding.arrow_arrays import Spec, libraries, refused
from gitmodel.formats.encoding.columns import decode_column, decode_labels, encode_column, encode_labels, encode_name
from gitmodel.formats.encoding.row_indexes import decode_index, encode_index

KEY = b"gitmodel"
_UNNAMED = "__unnamed_series__"


def is_table(value: Any) -> bool:
    """Return True if *value* is a DataFrame, Series, Index or array of pandas (not of a subclass). Imports nothing."""
    return is_table_type(type(value))


def is_table_type(kind: type) -> bool:
    """Return True if `is_table` returns True for values of the type *kind*."""
    bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "pandas"]
    if not bases or bases[0] is not kind:
        return False
    names = {base.__name__ for base in bases}
    return bool(names & {"Index", "ExtensionArray"}) or bases[0].__name__ in ("DataFrame", "Series")


def to_arrow(value: Any) -> Any:
    """Return a DataFrame, Series, Index or pandas array as an Arrow table.

    Raises UsageError, which names the column, if a column cannot be saved.
    """
    arrow, pandas = libraries()
    told: Spec = {"gitmodel": 1, "type": _type_of(pandas, value)}
    names: dict[str, None] = {}
    columns: list[Any] = []

    def add(wanted: str, part: Any, where: str) -> Spec:
        column, spec = encode_column(part, where)
        columns.append(column)
        names[_fresh(wanted, names)] = None
        return spec

    if told["type"] in ("DataFrame", "Series") and value.attrs:
        misfit = values.CELLS.misfit(value.attrs, "attrs")
        if misfit:  # checked before the columns, because accessing a column makes a deep copy of attrs
            raise refused(misfit, "take it out of attrs")
        told["attrs"] = values.encode(value.attrs)
    if told["type"] == "DataFrame":
        told["labels"] = encode_labels(value.columns)
        told["columns"] = [
            add(str(label), value.iloc[:, place], f"column {label!a}") for place, label in enumerate(value.columns)
        ]
        index = value.index
    elif told["type"] == "Series":
        told["name"] = encode_name(value.name, "the name")
        told["columns"] = [add(_UNNAMED if value.name is None else str(value.name), value, "the series")]
        index = value.index
    else:
        index = value if told["type"] == "Index" else None
        told["columns"] = [] if told["type"] == "Index" else [add("value", value, "the array")]
    told["index"] = None if index is None else encode_index(pandas, index, add)
    if told["type"] in ("DataFrame", "Series") and not value.flags.allows_duplicate_labels:
        told["unique"] = True
    if not columns:
        told["rows"] = len(value)
    metadata = {KEY: json.dumps(told), b"pandas": json.dumps(_for_pandas(pandas, told, list(names)))}
    return arrow.Table.from_arrays(columns, names=list(names)).replace_schema_metadata(metadata)


def from_arrow(table: Any, *, start: int = 0) -> Any:
    """Return the pandas value of an Arrow table from `to_arrow`.

    If *table* is a part of that table, *start* is the number of its first row.
    """
    _, pandas = libraries()
    told = json.loads(table.schema.metadata[KEY])
    if told["gitmodel"] != 1:
        raise ValueError("a newer version of gitmodel wrote it")
    rows = told.get("rows", table.num_rows)
    columns = [decode_column(table.column(place), spec) for place, spec in enumerate(told["columns"])]
    index = None
    if told["index"] is not None:
        index = decode_index(pandas, told["index"], table, len(columns), start, rows)
    if told["type"] == "Index":
        return index
    if told["type"] == "array":
        return pandas.array(columns[0], dtype=columns[0].dtype, copy=False)
    if told["type"] == "Series":
        name = values.decode(told["name"])
        found = pandas.Series(columns[0], dtype=columns[0].dtype, index=index, name=name, copy=False)
    else:
        # The dtype is given because pandas otherwise converts a column of Python objects to its text type if all
        # objects are text.
        series = [pandas.Series(column, dtype=column.dtype, index=index, copy=False) for column in columns]
        found = pandas.DataFrame(dict(enumerate(series)), index=index, copy=False)
        found.columns = decode_labels(pandas, told["labels"])
    if "attrs" in told:
        found.attrs = values.decode(told["attrs"])
    return found.set_flags(allows_duplicate_labels=False) if told.get("unique") else found


def _type_of(pandas: Any, value: Any) -> str:
    if not is_table(value):
        raise UsageError(
            f"parquet holds tables of pandas and Arrow, not {type_name(value)}",
            hint="convert it with pandas.DataFrame, or write a materializer",
        )
    if isinstance(value, pandas.Index):
        return "Index"
    return type(value).__name__ if isinstance(value, pandas.DataFrame | pandas.Series) else "array"


def _fresh(wanted: str, taken: dict[str, None]) -> str:
    """Return the name *wanted*, with a number added if it is in *taken*, the names of earlier columns."""
    name, count = wanted.encode(errors="replace").decode(), 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _for_pandas(pandas: Any, told: Spec, names: list[str]) -> Spec:
    """Return the metadata by which `pandas.read_parquet` finds the index, in pandas' own format.

    The format is specified at https://pandas.pydata.org/docs/development/developer.html.
    """
    count = len(told["columns"])
    index: list[Any] = list(names[count:])
    if told["index"] is not None and "range" in told["index"]:
        start, stop, step = told["index"]["range"]
        name = told["index"]["name"] if isinstance(told["index"]["name"], str) else None
        index = [{"kind": "range", "name": name, "start": start, "stop": stop, "step": step}]
    levels = [] if told["index"] is None else told["index"].get("levels", [told["index"]])
    columns = [
        {
            "name": level["name"] if isinstance(level["name"], str) else None,
            "field_name": field,
            "pandas_type": "object",
            "numpy_type": "object",
            "metadata": None,
        }
        for field, level in zip(names[count:], levels, strict=False)
    ]
    return {"index_columns": index, "column_indexes": [], "columns": columns, "pandas_version": pandas.__version__}
