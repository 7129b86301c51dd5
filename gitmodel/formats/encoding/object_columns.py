"""Conversion of columns of Python objects, such as text, lists and embeddings, to Arrow arrays and back."""

from __future__ import annotations

import json
from itertools import chain, pairwise
from typing import Any

from gitmodel.formats.catalogue.format import library
from gitmodel.formats.encoding import values
from gitmodel.formats.encoding.arrow_arrays import Spec, copying, one_array, refused


def encode_objects(arrow: Any, cells: Any, where: str) -> tuple[Any, Spec]:
    """Return *cells*, the Python objects of a column, as an Arrow array, and the `Spec` for `decode_objects`.

    If all objects have the same plain type, the array has that type; otherwise it has JSON text.
    """
    kinds = set(map(type, cells))
    kind = next(iter(kinds - {type(None)}), type(None)) if len(kinds - {type(None)}) <= 1 else object
    native = {str: arrow.large_string(), bool: arrow.bool_(), int: arrow.int64(), bytes: arrow.large_binary()}
    native[float] = arrow.float64()
    if kind in native:
        try:
            return arrow.array(cells, native[kind], from_pandas=False), {"objects": kind.__name__}
        except (arrow.ArrowInvalid, OverflowError, UnicodeEncodeError, TypeError):
            # the cells become JSON text below: Arrow cannot represent invalid Unicode, and integers of more than 64
            # bits
            pass
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
            raise refused(misfit, "convert the cells, or keep them in columns of their own")
        written.append(None if cell is None else json.dumps(values.encode(cell)))
    return arrow.array(written, arrow.large_string()), {"json": "object"}


def _encode_sequences(arrow: Any, cells: Any, kind: str) -> tuple[Any, Spec] | None:
    """Return *cells*, all lists or all tuples, as a list column; None if the types of items differ or are not plain."""
    numpy = library("numpy", install="gitmodel[parquet]")
    items = list(chain.from_iterable(cell for cell in cells if cell is not None))
    flat = numpy.empty(len(items), dtype=object)
    flat[:] = items
    kinds = set(map(type, items)) - {type(None)}
    if len(kinds) > 1 or not kinds <= {str, bool, int, float, bytes}:
        return None
    column, spec = encode_objects(arrow, flat, "")
    return (_in_lists(arrow, cells, column), {"sequences": kind, "items": spec}) if "objects" in spec else None


def _in_lists(arrow: Any, cells: Any, flat: Any) -> Any:
    """Return a list column. Its lists have the lengths of *cells*, and *flat* has the items of all lists."""
    numpy = library("numpy", install="gitmodel[parquet]")
    offsets = numpy.cumsum([0, *(0 if cell is None else len(cell) for cell in cells)])
    missing = numpy.array([*(cell is None for cell in cells), False])
    return arrow.LargeListArray.from_arrays(arrow.array(offsets, arrow.int64(), mask=missing), flat)


def _encode_vectors(arrow: Any, cells: Any) -> tuple[Any, Spec] | None:
    """Return one-dimensional arrays of the same number type, such as embeddings, as a list column.

    Returns None for other arrays.
    """
    numpy = library("numpy", install="gitmodel[parquet]")
    arrays = [cell for cell in cells if cell is not None]
    dtype = arrays[0].dtype
    if dtype.kind not in "iuf" or dtype.itemsize > 8 or dtype.isnative is False or dtype.isbuiltin != 1:
        return None
    if any(array.ndim != 1 or array.dtype != dtype for array in arrays):
        return None
    return _in_lists(arrow, cells, arrow.array(numpy.concatenate(arrays))), {"vectors": dtype.str}


def decode_objects(column: Any, spec: Spec) -> Any:
    """Return the NumPy array of Python objects that `encode_objects` encoded as *column* and *spec*."""
    numpy = library("numpy", install="gitmodel[parquet]")
    if spec.get("objects") in ("str", "bytes"):
        found = column.to_numpy(**copying(column))
        return found if found.flags.writeable else found.copy()
    if "vectors" in spec or "sequences" in spec:
        cells = _decode_lists(column, spec)
    elif "json" in spec:
        cells = [None if cell is None else values.decode(json.loads(cell)) for cell in column.to_pylist()]
    else:
        cells = column.to_numpy(**copying(column)).tolist() if not column.null_count else column.to_pylist()
    found = numpy.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        found[row] = cell
    return found if spec.get("json", "object") == "object" else found.astype(spec["json"])


def _decode_lists(column: Any, spec: Spec) -> list[Any]:
    """Return the arrays, lists or tuples of a list column."""
    numpy = library("numpy", install="gitmodel[parquet]")
    whole = one_array(column)
    ends = whole.offsets.to_numpy().tolist()
    if "vectors" in spec:
        flat, make = whole.values.to_numpy(zero_copy_only=False).astype(spec["vectors"]), numpy.array
    else:
        flat, make = (
            decode_objects(whole.values, spec["items"]).tolist(),
            {"list": list, "tuple": tuple}[spec["sequences"]],
        )
    cells = [make(flat[start:stop]) for start, stop in pairwise(ends)]
    for row in numpy.flatnonzero(whole.is_null().to_numpy(zero_copy_only=False)).tolist():
        cells[row] = None
    return cells
