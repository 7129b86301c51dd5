"""Conversion of the columns and labels of pandas tables to Arrow arrays and back, with equal types."""

from __future__ import annotations

import warnings
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import library
from gitmodel.formats.encoding import values
from gitmodel.formats.encoding.arrow_arrays import (
    Spec,
    as_type,
    copying,
    dictionary_of,
    from_base64,
    in_base64,
    libraries,
    one_array,
    refused,
)
from gitmodel.formats.encoding.object_columns import decode_objects, encode_objects


def numpy_dtype(dtype: Any) -> Any:
    """Return *dtype*, or the NumPy dtype in it if *dtype* is that of a NumPy array in a wrapper of pandas."""
    return dtype.numpy_dtype if type(dtype).__name__ in ("NumpyEADtype", "PandasDtype") else dtype


def encode_column(part: Any, where: str) -> tuple[Any, Spec]:
    """Return a column, Index or pandas array as an Arrow array, and the `Spec` by which `decode_column` decodes it.

    Raises UsageError, which names the column *where*, for a dtype that gitmodel cannot save.
    """
    arrow, pandas = libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    array = pandas.Series(part, dtype=part.dtype, copy=False).array
    dtype = numpy_dtype(array.dtype)
    if isinstance(dtype, pandas.CategoricalDtype):
        return _encode_categories(array, where)
    found = None
    if isinstance(dtype, numpy.dtype):
        found = _encode_numpy(arrow, array.to_numpy(), dtype, where)
    elif type(dtype).__name__.removesuffix("Dtype") in _MASKED:
        found = _encode_masked(arrow, array)
    elif type(dtype).__name__ in _ENCODERS:
        found = _ENCODERS[type(dtype).__name__](array, where)
    if found is None:
        raise refused(f"{where} has the dtype {dtype}", "convert the column with astype()")
    return found


def _encode_numpy(arrow: Any, array: Any, dtype: Any, where: str) -> tuple[Any, Spec] | None:
    """Return a NumPy array as an Arrow array; None for a dtype that gitmodel cannot save."""
    if dtype.kind == "O":
        return encode_objects(arrow, array, where)
    if dtype.kind in "biuf" and dtype.itemsize <= 8:
        native = array.astype(dtype.newbyteorder("="), copy=False)
        return arrow.array(native, from_pandas=dtype.kind == "f"), {"numpy": dtype.str}
    if dtype.kind in "mM":
        return arrow.array(array), {"numpy": dtype.str}
    if dtype.kind == "c":
        column, _ = encode_objects(arrow, array.astype(object), where)
        return column, {"json": dtype.str}
    return None


_MASKED = {f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)} | {"Float32", "Float64", "Boolean"}


def _encode_masked(arrow: Any, array: Any) -> tuple[Any, Spec]:
    """Return a nullable pandas array of numbers or truth values as an Arrow array."""
    dtype = array.dtype
    # a nullable column can have both NaN and missing values, which must stay different
    if dtype.name.startswith("Float"):
        numbers = array.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        return arrow.array(numbers, mask=array.isna(), from_pandas=False), {"masked": dtype.name}
    return arrow.array(array), {"masked": dtype.name}


def _encode_intervals(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, _ = libraries()
    left, left_spec = encode_column(array.left, where)
    right, right_spec = encode_column(array.right, where)
    both = arrow.StructArray.from_arrays([one_array(left), one_array(right)], names=["left", "right"])
    return both, {"interval": [left_spec, right_spec], "closed": array.closed}


def _encode_sparse(array: Any, where: str) -> tuple[Any, Spec]:
    numpy = library("numpy", install="gitmodel[parquet]")
    dense, spec = encode_column(numpy.asarray(array, dtype=array.dtype.subtype), where)
    told = {"sparse": spec, "fill": values.encode(array.dtype.fill_value)}
    return dense, told if array.kind == "integer" else {**told, "kind": array.kind}


def _encode_zoned(array: Any, where: str) -> tuple[Any, Spec]:
    """Return times with a time zone as an Arrow array of times in UTC. Raises UsageError for an unknown time zone."""
    arrow, _ = libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    dtype = array.dtype
    try:
        zone = values.encode_zone(dtype.tz)
    except UsageError as error:
        raise UsageError(f"{where}: {error.message}", hint=error.hint) from None
    naive = numpy.asarray(array.astype("int64")).astype(f"datetime64[{dtype.unit}]")
    return arrow.array(naive, arrow.timestamp(dtype.unit, tz="UTC")), {"zone": zone, "unit": dtype.unit}


def _encode_periods(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, _ = libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    counts = array.asi8 if hasattr(array, "asi8") else array.astype("int64")
    unit = array.dtype.name.removeprefix("period[").removesuffix("]")
    return arrow.array(counts, mask=numpy.asarray(array.isna())), {"period": unit}


def _encode_text(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, pandas = libraries()
    text = {"storage": array.dtype.storage, "na": "NA" if array.dtype.na_value is pandas.NA else "nan"}
    return arrow.array(array, arrow.large_string()), {"text": text}


def _encode_arrow(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, _ = libraries()
    found = array.__arrow_array__()
    return found, {"arrow": in_base64(arrow, arrow.nulls(0, found.type)), **dictionary_of(found)}


# The function for each class of dtypes. The keys are names, because importing this module must not import pandas.
_ENCODERS = {
    "IntervalDtype": _encode_intervals,
    "SparseDtype": _encode_sparse,
    "DatetimeTZDtype": _encode_zoned,
    "PeriodDtype": _encode_periods,
    "StringDtype": _encode_text,
    "ArrowDtype": _encode_arrow,
}


def _encode_categories(array: Any, where: str) -> tuple[Any, Spec]:
    arrow, _ = libraries()
    categories, spec = encode_column(array.categories, f"the categories of {where}")
    categories = one_array(categories)
    codes = arrow.array(array.codes, mask=array.codes == -1)
    told = {"ordered": bool(array.ordered), "categories": encode_labels(array.categories)}
    if "objects" in spec or "text" in spec:
        text = arrow.DictionaryArray.from_arrays(codes.cast(arrow.int32()), categories)
        return text, {"categorical": told, "values": True}
    if set(spec) <= {"numpy", "zone", "unit", "masked"}:
        return categories.take(codes), {"categorical": told, "values": True}
    return codes, {"categorical": told, "values": False}


def encode_labels(index: Any) -> Spec:
    """Return *index*, the labels of columns or the categories of a column, as a `Spec`: an Arrow array in base64."""
    arrow, pandas = libraries()
    if isinstance(index, pandas.MultiIndex):
        told = [encode_labels(level.rename(name)) for level, name in zip(index.levels, index.names, strict=True)]
        return {"levels": told, "codes": [codes.tolist() for codes in index.codes]}
    if isinstance(index, pandas.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "name": encode_name(index.name, "the columns' name")}
    column, spec = encode_column(index, "the labels of the columns")
    plain = "objects" in spec or "text" in spec
    held = {"text": column.to_pylist()} if plain and spec.get("objects", "str") == "str" else (
        {"arrow": in_base64(arrow, one_array(column))}
    )  # fmt: skip
    return {"spec": spec, **held, **about_index(index)}


def encode_name(name: Any, where: str) -> Any:
    """Return the label *name* as JSON. If that is not possible, raises UsageError, which calls the label *where*."""
    misfit = values.CELLS.misfit(name, where)
    if misfit:
        raise refused(misfit, "give it a plain name")
    return values.encode(name)


def about_index(index: Any) -> Spec:
    """Return the name of *index*, and its frequency if it has one, for `index_of`."""
    told: Spec = {"name": encode_name(index.name, "the name of the index")}
    freq = getattr(index, "freq", None)
    if freq is not None and not type(index).__name__.startswith("Period"):
        told["freq"] = freq.freqstr
    return told


def decode_column(column: Any, spec: Spec) -> Any:
    """Return the pandas or NumPy array that `encode_column` encoded as *column* and *spec*."""
    arrow, pandas = libraries()
    if "categorical" in spec:
        return _decode_categories(column, spec)
    if "interval" in spec:
        whole = one_array(column)
        left, right = (decode_column(whole.field(place), part) for place, part in enumerate(spec["interval"]))
        return pandas.arrays.IntervalArray.from_arrays(left, right, closed=spec["closed"])
    if "sparse" in spec:
        dense, fill = decode_column(column, spec["sparse"]), values.decode(spec["fill"])
        dtype = pandas.SparseDtype(dense.dtype, fill)
        return pandas.arrays.SparseArray(dense, dtype=dtype, kind=spec.get("kind", "integer"))
    if "zone" in spec or "period" in spec:
        return _decode_times(column, spec)
    if "text" in spec:
        return _decode_text(pandas, column, **spec["text"])
    if "arrow" in spec:
        wanted = from_base64(arrow, spec["arrow"]).type
        return pandas.ArrowDtype(wanted).__from_arrow__(as_type(column, wanted, spec))
    if "masked" in spec:
        return _decode_masked(column, spec["masked"])
    if "numpy" in spec:
        numpy = library("numpy", install="gitmodel[parquet]")
        found = column.to_numpy(**copying(column)).astype(numpy.dtype(spec["numpy"]), copy=False)
        return found if found.flags.writeable else found.copy()
    return decode_objects(column, spec)


def _decode_categories(column: Any, spec: Spec) -> Any:
    arrow, pandas = libraries()
    told = spec["categorical"]
    categories = decode_labels(pandas, told["categories"])
    if spec["values"]:
        known, _ = encode_column(categories, "")
        if arrow.types.is_dictionary(column.type):
            column = column.cast(known.type)
        codes = one_array(arrow.compute.index_in(column, value_set=one_array(known)))
    else:
        codes = one_array(column)
    filled = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype("int64")
    return pandas.Categorical.from_codes(filled, categories=categories, ordered=told["ordered"])


def _decode_times(column: Any, spec: Spec) -> Any:
    """Return the times with a time zone, or the periods, of a column."""
    arrow, pandas = libraries()
    if "zone" in spec:
        naive = column.cast(arrow.timestamp(spec["unit"])).to_numpy(**copying(column))
        moments = pandas.DatetimeIndex(naive.astype(f"datetime64[{spec['unit']}]"))
        return moments.tz_localize("UTC").tz_convert(values.decode_zone(spec["zone"])).array
    numpy = library("numpy", install="gitmodel[parquet]")
    counts = column.fill_null(numpy.iinfo("int64").min).to_numpy(**copying(column))
    return pandas.arrays.PeriodArray(counts.copy(), dtype=pandas.PeriodDtype(spec["period"]))


def _decode_masked(column: Any, name: str) -> Any:
    """Return the nullable pandas array with the dtype *name*."""
    _, pandas = libraries()
    if name in ("Float32", "Float64"):
        missing = column.is_null().to_numpy(**copying(column))
        numbers = column.fill_null(0).to_numpy(**copying(column))
        return pandas.arrays.FloatingArray(numbers.copy(), missing.copy())
    return pandas.api.types.pandas_dtype(name).__from_arrow__(column)


def _decode_text(pandas: Any, column: Any, *, storage: str, na: str) -> Any:
    """Return a text column, with the dtype that has the *storage* and, if *na* is not "NA", NaN for missing values.

    If this version of pandas has no dtype with NaN for missing text, the result has Python objects.
    """
    arrow, _ = libraries()
    numpy = library("numpy", install="gitmodel[parquet]")
    if na == "NA":
        dtype = pandas.StringDtype(storage)
    else:
        try:
            dtype = pandas.StringDtype(storage, na_value=numpy.nan)
        except TypeError:
            return column.to_numpy(**copying(column)).copy()
    if tuple(map(int, pandas.__version__.split(".")[:2])) < (2, 2):
        column = column.cast(arrow.string())
    return dtype.__from_arrow__(column)


def decode_labels(pandas: Any, told: Spec) -> Any:
    """Return the Index that `encode_labels` encoded as *told*."""
    arrow, _ = libraries()
    if "levels" in told:
        levels = [decode_labels(pandas, level) for level in told["levels"]]
        return pandas.MultiIndex(levels, told["codes"], names=[level.name for level in levels])
    if "range" in told:
        return pandas.RangeIndex(*told["range"], name=values.decode(told["name"]))
    if "text" in told:
        column = arrow.chunked_array([arrow.array(told["text"], arrow.large_string())])
    else:
        column = arrow.chunked_array([from_base64(arrow, told["arrow"])])
    return index_of(pandas, decode_column(column, told["spec"]), told)


def index_of(pandas: Any, array: Any, told: Spec) -> Any:
    """Return the Index of the values *array* with the name and the frequency in *told*, from `about_index`."""
    found = pandas.Index(array, dtype=array.dtype, name=values.decode(told["name"]), tupleize_cols=False)
    if "freq" in told:
        try:
            found.freq = told["freq"]
        # the pandas that wrote the file can know other names: pandas 2.2 renamed frequencies, such as "M" to "ME"
        except ValueError:
            warnings.warn(f"this version of pandas does not know the frequency {told['freq']!a}", stacklevel=2)
    return found
