"""Conversion of pandas tables to Arrow tables and back, with equal types, index, labels and cells.

Each column is an Arrow column that every reader of Parquet understands. The metadata key `gitmodel` of the file
describes how to create the pandas column from the Arrow column; docs/reference/format.md specifies it.
"""

from __future__ import annotations

import base64
import json
import warnings
from itertools import chain, pairwise
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import library, type_name
from gitmodel.formats.encoding import values

KEY = b"gitmodel"
_UNNAMED = "__unnamed_series__"

Spec = dict[str, Any]


def is_table(value: Any) -> bool:
    """Return True if *value* is a DataFrame, Series, Index or array of pandas (not of a subclass). Imports nothing."""
    return is_table_type(type(value))


def is_table_type(kind: type) -> bool:
    """Return True if values of *kind* are tables as `is_table` says."""
    bases = [base for base in kind.__mro__ if base.__module__.split(".")[0] == "pandas"]
    if not bases or bases[0] is not kind:
        return False
    names = {base.__name__ for base in bases}
    return bool(names & {"Index", "ExtensionArray"}) or bases[0].__name__ in ("DataFrame", "Series")


def numpy_dtype(dtype: Any) -> Any:
    """Return the NumPy dtype in a pandas array, or any other dtype unchanged."""
    return dtype.numpy_dtype if type(dtype).__name__ in ("NumpyEADtype", "PandasDtype") else dtype


def to_arrow(value: Any) -> Any:
    """Return a DataFrame, Series, Index or pandas array as an Arrow table. Raises UsageError that names the column."""
    arrow, pandas = _libraries()
    told: Spec = {"gitmodel": 1, "type": _type_of(pandas, value)}
    names: dict[str, None] = {}
    columns: list[Any] = []

    def add(wanted: str, part: Any, where: str) -> Spec:
        column, spec = _encode(part, where)
        columns.append(column)
        names[_fresh(wanted, names)] = None
        return spec

    if told["type"] in ("DataFrame", "Series") and value.attrs:
        misfit = values.CELLS.misfit(value.attrs, "attrs")
        if misfit:  # checked first, because accessing a column makes a deep copy of attrs
            raise _refused(misfit, "take it out of attrs")
        told["attrs"] = values.encode(value.attrs)
    if told["type"] == "DataFrame":
        told["labels"] = _encode_labels(value.columns)
        told["columns"] = [
            add(str(label), value.iloc[:, place], f"column {label!a}") for place, label in enumerate(value.columns)
        ]
        index = value.index
    elif told["type"] == "Series":
        told["name"] = _encode_name(value.name, "the name")
        told["columns"] = [add(_UNNAMED if value.name is None else str(value.name), value, "the series")]
        index = value.index
    else:
        index = value if told["type"] == "Index" else None
        told["columns"] = [] if told["type"] == "Index" else [add("value", value, "the array")]
    told["index"] = None if index is None else _encode_index(pandas, index, add)
    if told["type"] in ("DataFrame", "Series") and not value.flags.allows_duplicate_labels:
        told["unique"] = True
    if not columns:
        told["rows"] = len(value)
    metadata = {KEY: json.dumps(told), b"pandas": json.dumps(_for_pandas(pandas, told, list(names)))}
    return arrow.Table.from_arrays(columns, names=list(names)).replace_schema_metadata(metadata)


def from_arrow(table: Any, *, start: int = 0) -> Any:
    """Return the pandas value of an Arrow table from `to_arrow`. For a part of a table, *start* is its first row."""
    _, pandas = _libraries()
    told = json.loads(table.schema.metadata[KEY])
    if told["gitmodel"] != 1:
        raise ValueError("a newer version of gitmodel wrote it")
    rows = told.get("rows", table.num_rows)
    columns = [_decode(table.column(place), spec) for place, spec in enumerate(told["columns"])]
    index = None
    if told["index"] is not None:
        index = _decode_index(pandas, told["index"], table, len(columns), start, rows)
    if told["type"] == "Index":
        return index
    if told["type"] == "array":
        return pandas.array(columns[0], dtype=columns[0].dtype, copy=False)
    if told["type"] == "Series":
        name = values.decode(told["name"])
        found = pandas.Series(columns[0], dtype=columns[0].dtype, index=index, name=name, copy=False)
    else:
        # With dtype: otherwise pandas converts a column of Python objects to text if all objects are text.
        series = [pandas.Series(column, dtype=column.dtype, index=index, copy=False) for column in columns]
        found = pandas.DataFrame(dict(enumerate(series)), index=index, copy=False)
        found.columns = _decode_labels(pandas, told["labels"])
    if "attrs" in told:
        found.attrs = values.decode(told["attrs"])
    return found.set_flags(allows_duplicate_labels=False) if told.get("unique") else found


def dictionary_of(column: Any) -> Spec:
    """Return the dictionary of an Arrow column, unless Parquet keeps it: it keeps dictionaries of text and bytes."""
    arrow, _ = _libraries()
    if not arrow.types.is_dictionary(column.type):
        return {}
    kept = (arrow.string(), arrow.large_string(), arrow.binary(), arrow.large_binary())
    if column.type.value_type in kept:
        return {}
    chunks = column.unify_dictionaries().chunks if isinstance(column, arrow.ChunkedArray) else [column]
    return {"dictionary": _in_base64(arrow, chunks[0].dictionary)} if chunks else {}


def as_type(column: Any, wanted: Any, spec: Spec) -> Any:
    """Return a column from a Parquet file with its original type and dictionary."""
    arrow, _ = _libraries()
    if column.type.equals(wanted, check_metadata=True):
        return column
    if arrow.types.is_dictionary(wanted) and not arrow.types.is_dictionary(column.type):
        column = column.cast(wanted.value_type)
        if "dictionary" not in spec:
            return column.dictionary_encode().cast(wanted)
        dictionary = _from_base64(arrow, spec["dictionary"])
        codes = [
            arrow.compute.index_in(chunk, value_set=dictionary).cast(wanted.index_type)
            for chunk in (column.chunks if isinstance(column, arrow.ChunkedArray) else [column])
        ]
        parts = [arrow.DictionaryArray.from_arrays(part, dictionary, ordered=wanted.ordered) for part in codes]
        return arrow.chunked_array(parts, wanted)
    return column.cast(wanted)


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
    """Return *wanted*, with a number if an earlier column has this name."""
    name, count = wanted.encode(errors="replace").decode(), 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _encode_name(name: Any, where: str) -> Any:
    misfit = values.CELLS.misfit(name, where)
    if misfit:
        raise _refused(misfit, "give it a plain name")
    return values.encode(name)


def _encode(part: Any, where: str) -> tuple[Any, Spec]:
    """Return a column, Index or pandas array as an Arrow array, and how to decode it. Raises UsageError."""
    arrow, pandas = _libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    array = pandas.Series(part, dtype=part.dtype, copy=False).array
    dtype, kind = array.dtype, type(array.dtype).__name__
    dtype = numpy_dtype(dtype)
    if isinstance(dtype, pandas.CategoricalDtype):
        return _encode_categories(array, where)
    if kind == "IntervalDtype":
        left, left_spec = _encode(array.left, where)
        right, right_spec = _encode(array.right, where)
        both = arrow.StructArray.from_arrays([_one(left), _one(right)], names=["left", "right"])
        return both, {"interval": [left_spec, right_spec], "closed": array.closed}
    if kind == "SparseDtype":
        dense, spec = _encode(numpy.asarray(array, dtype=dtype.subtype), where)
        told = {"sparse": spec, "fill": values.encode(dtype.fill_value)}
        return dense, told if array.kind == "integer" else {**told, "kind": array.kind}
    if kind == "DatetimeTZDtype":
        try:
            zone = values.encode_zone(dtype.tz)
        except UsageError as error:
            raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
        naive = numpy.asarray(array.astype("int64")).astype(f"datetime64[{dtype.unit}]")
        return arrow.array(naive, arrow.timestamp(dtype.unit, tz="UTC")), {"zone": zone, "unit": dtype.unit}
    if kind == "PeriodDtype":
        counts = array.asi8 if hasattr(array, "asi8") else array.astype("int64")
        return arrow.array(counts, mask=numpy.asarray(array.isna())), {
            "period": dtype.name.removeprefix("period[").removesuffix("]")
        }
    if kind == "StringDtype":
        text = {"storage": dtype.storage, "na": "NA" if dtype.na_value is pandas.NA else "nan"}
        return arrow.array(array, arrow.large_string()), {"text": text}
    if kind == "ArrowDtype":
        found = array.__arrow_array__()
        return found, {"arrow": _in_base64(arrow, arrow.nulls(0, found.type)), **dictionary_of(found)}
    if kind.removesuffix("Dtype") in _MASKED:
        if kind.startswith("Float"):  # in a nullable column, a NaN stays different from a missing value
            numbers = array.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
            return arrow.array(numbers, mask=array.isna(), from_pandas=False), {"masked": dtype.name}
        return arrow.array(array), {"masked": dtype.name}
    if isinstance(dtype, numpy.dtype):
        plain = array.to_numpy()
        if dtype.kind == "O":
            return _encode_objects(arrow, plain, where)
        if dtype.kind in "biuf" and dtype.itemsize <= 8:
            native = plain.astype(dtype.newbyteorder("="), copy=False)
            return arrow.array(native, from_pandas=dtype.kind == "f"), {"numpy": dtype.str}
        if dtype.kind in "mM":
            return arrow.array(plain), {"numpy": dtype.str}
        if dtype.kind == "c":
            column, _ = _encode_objects(arrow, plain.astype(object), where)
            return column, {"json": dtype.str}
    raise _refused(f"{where} has the dtype {dtype}", "convert the column with astype()")


_MASKED = {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)} | {"Float32", "Float64", "Boolean"}


def _encode_objects(arrow: Any, cells: Any, where: str) -> tuple[Any, Spec]:
    """Return Python objects as an Arrow array: of their type if all have the same plain type, else of JSON text."""
    kinds = set(map(type, cells))
    kind = next(iter(kinds - {type(None)}), type(None)) if len(kinds - {type(None)}) <= 1 else object
    native = {str: arrow.large_string(), bool: arrow.bool_(), int: arrow.int64(), bytes: arrow.large_binary()}
    native[float] = arrow.float64()
    if kind in native:
        try:
            return arrow.array(cells, native[kind], from_pandas=False), {"objects": kind.__name__}
        except (arrow.ArrowInvalid, OverflowError, UnicodeEncodeError, TypeError):
            pass  # write JSON text for integers of more than 64 bits, and invalid Unicode
    if kind is type(None):
        return arrow.nulls(len(cells)), {"objects": "None"}
    uniform = None
    if kind in (list, tuple):
        uniform = _encode_sequences(arrow, cells, kind.__name__)
    elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        uniform = _encode_vectors(arrow, cells)
    if uniform is not None:
        return uniform
    written: list[str | None] = []
    for row, cell in enumerate(cells):
        misfit = "" if cell is None else values.CELLS.misfit(cell, f"row {row} of {where}")
        if misfit:
            raise _refused(misfit, "convert the cells, or keep them in columns of their own")
        written.append(None if cell is None else json.dumps(values.encode(cell)))
    return arrow.array(written, arrow.large_string()), {"json": "object"}


def _encode_sequences(arrow: Any, cells: Any, kind: str) -> tuple[Any, Spec] | None:
    """Return lists or tuples as a list column if all items have the same plain type."""
    numpy = library("numpy", install="gitmodel[parquet]")
    items = list(chain.from_iterable(cell for cell in cells if cell is not None))
    flat = numpy.empty(len(items), dtype=object)
    flat[:] = items
    kinds = set(map(type, items)) - {type(None)}
    if len(kinds) > 1 or not kinds <= {str, bool, int, float, bytes}:
        return None
    column, spec = _encode_objects(arrow, flat, "")
    return (_in_lists(arrow, cells, column), {"sequences": kind, "items": spec}) if "objects" in spec else None


def _in_lists(arrow: Any, cells: Any, flat: Any) -> Any:
    """Return a list column with the lengths of *cells* and the items *flat*."""
    numpy = library("numpy", install="gitmodel[parquet]")
    offsets = numpy.cumsum([0, *(0 if cell is None else len(cell) for cell in cells)])
    missing = numpy.array([*(cell is None for cell in cells), False])
    return arrow.LargeListArray.from_arrays(arrow.array(offsets, arrow.int64(), mask=missing), flat)


def _encode_vectors(arrow: Any, cells: Any) -> tuple[Any, Spec] | None:
    """Return one-dimensional arrays of the same number type, such as embeddings, as a list column."""
    numpy = library("numpy", install="gitmodel[parquet]")
    arrays = [cell for cell in cells if cell is not None]
    dtype = arrays[0].dtype
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype.isnative is False or dtype.isbuiltin != 1:
        return None
    if any(array.ndim != 1 or array.dtype != dtype for array in arrays):
        return None
    return _in_lists(arrow, cells, arrow.array(numpy.concatenate(arrays))), {"vectors": dtype.str}


def _encode_categories(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, _ = _libraries()
    categories, spec = _encode(array.categories, f"the categories of {where}")
    categories = _one(categories)
    codes = arrow.array(array.codes, mask=array.codes == -1)
    told = {"ordered": bool(array.ordered), "categories": _encode_labels(array.categories)}
    if "objects" in spec or "text" in spec:
        text = arrow.DictionaryArray.from_arrays(codes.cast(arrow.int32()), categories)
        return text, {"categorical": told, "values": True}
    if set(spec) <= {"numpy", "zone", "unit", "masked"}:
        return categories.take(codes), {"categorical": told, "values": True}
    return codes, {"categorical": told, "values": False}


def _decode(column: Any, spec: Spec) -> Any:
    """Return the pandas or NumPy array of an Arrow column from `_encode`."""
    arrow, pandas = _libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    if "categorical" in spec:
        told = spec["categorical"]
        categories = _decode_labels(pandas, told["categories"])
        if spec["values"]:
            known, _ = _encode(categories, "")
            if arrow.types.is_dictionary(column.type):
                column = column.cast(known.type)
            codes = _one(arrow.compute.index_in(column, value_set=_one(known)))
        else:
            codes = _one(column)
        filled = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")
        return pandas.Categorical.from_codes(filled, categories=categories, ordered=told["ordered"])
    if "interval" in spec:
        whole = _one(column)
        left, right = (_decode(whole.field(place), part) for place, part in enumerate(spec["interval"]))
        return pandas.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])
    if "sparse" in spec:
        dense, fill = _decode(column, spec["sparse"]), values.decode(spec["fill"])
        dtype = pandas.SparseDtype(dense.dtype, fill)
        return pandas.arrays.SparseArray(dense, dtype=dtype, kind=spec.get("kind", "integer"))
    if "zone" in spec:
        naive = column.cast(arrow.timestamp(spec["unit"])).to_numpy(**_copying(column))
        moments = pandas.DatetimeIndex(naive.astype(f"datetime64[{spec['unit']}]"))
        return moments.tz_localize("UTC").tz_convert(values.decode_zone(spec["zone"])).array
    if "period" in spec:
        counts = column.fill_null(numpy.iinfo("int64").min).to_numpy(**_copying(column))
        return pandas.arrays.PeriodArray(counts.copy(), dtype=pandas.PeriodDtype(spec["period"]))
    if "text" in spec:
        return _decode_text(pandas, column, **spec["text"])
    if "arrow" in spec:
        wanted = _from_base64(arrow, spec["arrow"]).type
        return pandas.ArrowDtype(wanted).__from_arrow__(as_type(column, wanted, spec))
    if spec.get("masked") in ("Float32", "Float64"):
        missing = column.is_null().to_numpy(**_copying(column))
        numbers = column.fill_null(0).to_numpy(**_copying(column))
        return pandas.arrays.FloatingArray(numbers.copy(), missing.copy())
    if "masked" in spec:
        return pandas.api.types.pandas_dtype(spec["masked"]).__from_arrow__(column)
    if "numpy" in spec:
        dtype = numpy.dtype(spec["numpy"])
        found = column.to_numpy(**_copying(column)).astype(dtype, copy=False)
        return found if found.flags.writeable else found.copy()
    if spec.get("objects") in ("str", "bytes"):
        found = column.to_numpy(**_copying(column))
        return found if found.flags.writeable else found.copy()
    if "vectors" in spec or "sequences" in spec:
        cells = _decode_lists(column, spec)
    elif "json" in spec:
        cells = [None if cell is None else values.decode(json.loads(cell)) for cell in column.to_pylist()]
    else:
        cells = column.to_numpy(**_copying(column)).tolist() if not column.null_count else column.to_pylist()
    found = numpy.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        found[row] = cell
    return found if spec.get("json", "object") == "object" else found.astype(spec["json"])


def _decode_lists(column: Any, spec: Spec) -> list[Any]:
    """Return the arrays, lists or tuples of a list column."""
    numpy = library("numpy", install="gitmodel[parquet]")
    whole = _one(column)
    ends = whole.offsets.to_numpy().tolist()
    if "vectors" in spec:
        flat, make = whole.values.to_numpy(zero_copy_only=False).astype(spec["vectors"]), numpy.array
    else:
        flat, make = _decode(whole.values, spec["items"]).tolist(), {"list": list, "tuple": tuple}[spec["sequences"]]
    cells = [make(flat[start:stop]) for start, stop in pairwise(ends)]
    for row in numpy.flatnonzero(whole.is_null().to_numpy(zero_copy_only=False)).tolist():
        cells[row] = None
    return cells


def _decode_text(pandas: Any, column: Any, *, storage: str, na: str) -> Any:
    """Return a text column. pandas 2 lacks the text type of pandas 3; there the result has Python objects."""
    arrow, _ = _libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    if na == "NA":
        dtype = pandas.StringDtype(storage)
    else:
        try:
            dtype = pandas.StringDtype(storage, na_value=numpy.nan)
        except TypeError:
            return column.to_numpy(**_copying(column)).copy()
    if tuple(map(int, pandas.__version__.split(".")[:2])) < (2, 2):
        column = column.cast(arrow.string())
    return dtype.__from_arrow__(column)


def _encode_index(pandas: Any, index: Any, add: Any) -> Spec:
    """Return the description of a row index: the ends of a range, or a column for each level."""
    if isinstance(index, pandas.MultiIndex):
        levels = []
        nameless = index.set_names([None] * index.nlevels)  # pandas would take a numeric name for a position
        for place, name in enumerate(index.names):
            level = nameless.get_level_values(place).rename(name)
            wanted = f"__index_level_{place}__" if name is None else str(name)
            where = f"level {place} of the index"
            if level.dtype == index.levels[place].dtype:
                levels.append({"spec": add(wanted, level, where), **_about(level)})
            else:  # integers with missing values: as a column, they would become floats
                codes = add(wanted, index.codes[place], where)
                levels.append({"spec": codes, "level": _encode_labels(index.levels[place]), **_about(level)})
        return {"levels": levels}
    if isinstance(index, pandas.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": _encode_name(index.name, "the index name")}
    wanted = "__index_level_0__" if index.name is None else str(index.name)
    return {"spec": add(wanted, index, "the index"), **_about(index)}


def _about(index: Any) -> Spec:
    told: Spec = {"name": _encode_name(index.name, "the name of the index")}
    freq = getattr(index, "freq", None)
    if freq is not None and not type(index).__name__.startswith("Period"):
        told["freq"] = freq.freqstr
    return told


def _decode_index(pandas: Any, told: Spec, table: Any, first: int, start: int, rows: int) -> Any:
    if "range" in told:
        begin, stop, step = told["range"]
        if rows == len(range(begin, stop, step)):
            return pandas.RangeIndex(begin, stop, step, name=values.decode(told["name"]))
        begin += start * step
        return pandas.RangeIndex(begin, begin + rows * step, step, name=values.decode(told["name"]))
    if "levels" in told:
        levels = [
            _index_of(pandas, _decode(table.column(first + place), level["spec"]), level)
            for place, level in enumerate(told["levels"])
        ]
        found = pandas.MultiIndex.from_arrays(levels, names=[None] * len(levels))
        for place, level in enumerate(told["levels"]):
            if "level" in level:
                codes = levels[place].to_numpy()
                empty = found.set_codes([-1] * len(codes), level=place)
                found = empty.set_levels(_decode_labels(pandas, level["level"]), level=place)
                found = found.set_codes(codes, level=place)
        return found.set_names([level.name for level in levels])
    return _index_of(pandas, _decode(table.column(first), told["spec"]), told)


def _index_of(pandas: Any, array: Any, told: Spec) -> Any:
    found = pandas.Index(array, dtype=array.dtype, name=values.decode(told["name"]), tupleize_cols=False)
    if "freq" in told:
        try:
            found.freq = told["freq"]
        except ValueError:  # pandas 2.2 renamed frequencies, such as "M" to "ME"
            warnings.warn(f"this version of pandas does not know the frequency {told['freq']!a}", stacklevel=2)
    return found


def _encode_labels(index: Any) -> Spec:
    """Return labels of columns, or categories, as JSON: an Arrow array in base64."""
    arrow, pandas = _libraries()
    if isinstance(index, pandas.MultiIndex):
        told = [_encode_labels(level.rename(name)) for level, name in zip(index.levels, index.names, strict=True)]
        return {"levels": told, "codes": [codes.tolist() for codes in index.codes]}
    if isinstance(index, pandas.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": _encode_name(index.name, "the columns' name")}
    column, spec = _encode(index, "the labels of the columns")
    plain = "objects" in spec or "text" in spec
    held = {"text": column.to_pylist()} if plain and spec.get("objects", "str") == "str" else (
        {"arrow": _in_base64(arrow, _one(column))}
    )  # fmt: skip
    return {"spec": spec, **held, **_about(index)}


def _decode_labels(pandas: Any, told: Spec) -> Any:
    arrow, _ = _libraries()
    if "levels" in told:
        levels = [_decode_labels(pandas, level) for level in told["levels"]]
        return pandas.MultiIndex(levels, told["codes"], names=[level.name for level in levels])
    if "range" in told:
        return pandas.RangeIndex(*told["range"], name=values.decode(told["name"]))
    if "text" in told:
        column = arrow.chunked_array([arrow.array(told["text"], arrow.large_string())])
    else:
        column = arrow.chunked_array([_from_base64(arrow, told["arrow"])])
    return _index_of(pandas, _decode(column, told["spec"]), told)


def _in_base64(arrow: Any, array: Any) -> str:
    sink = arrow.BufferOutputStream()
    batch = arrow.RecordBatch.from_arrays([array], names=["values"])
    with arrow.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def _from_base64(arrow: Any, text: str) -> Any:
    with arrow.ipc.open_stream(base64.b64decode(text)) as stream:
        return _one(stream.read_all().column(0))


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


def _one(column: Any) -> Any:
    """Return a chunked array as a single array."""
    arrow, _ = _libraries()
    if not isinstance(column, arrow.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return arrow.concat_arrays(column.chunks) if column.num_chunks else arrow.nulls(0, column.type)


def _copying(column: Any) -> dict[str, bool]:
    return {} if hasattr(column, "num_chunks") else {"zero_copy_only": False}


def _refused(misfit: str, hint: str) -> UsageError:
    return UsageError(f"{misfit}, which gitmodel cannot save", hint=hint)


def _libraries() -> tuple[Any, Any]:
    arrow = library("pyarrow", install="gitmodel[parquet]")
    library("pyarrow.compute", install="gitmodel[parquet]")
    return arrow, library("pandas", install="gitmodel[parquet]")
