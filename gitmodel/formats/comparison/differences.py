"""Comparing a value with the content of its file (types, dtypes, labels and cells), and describing the difference."""

from __future__ import annotations

import filecmp
import mmap
from array import array
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import type_name
from gitmodel.formats.comparison import object_state
from gitmodel.formats.encoding import columns, frames, numpy_files, own_types, values
from gitmodel.formats.shipped import arrays, tables, torch_files

# The number of elements of an array that are compared at a time.
_CHUNK = 1 << 20
_QUICK = frozenset({int, str, bool, float, bytes, type(None)})


def prove(value: Any, path: Path, load: Callable[[Path], Any], format: str) -> None:
    """Read the file *path* and compare its content with *value*, which was saved there.

    Raises UsageError for a difference. The error names the part of the value that loading would change. Parquet is read
    in groups of rows, and NumPy's files are mapped into memory, so that a large value is not in memory twice.
    """
    found = _difference_in_file(value, path, load, format)
    if found:
        raise UsageError(
            f"this {type(value).__name__} would change in {format}: {found}",
            hint="convert that part, or choose another format with ArtifactConfig(format=...)",
        )


def prove_again(value: Any, path: Path, load: Callable[[Path], Any], save: Callable[[Any, Path], None]) -> None:
    """Load the file *path* and compare the result with *value*, which was saved there.

    If their states are not certainly equal, saves both again with *save* and compares the files. Raises UsageError if
    the types or the files differ, or if *value* changed while it was saved.
    """
    found = load(path)
    said = "" if type(found) is type(value) else f"as {with_article(type_name(found))}"
    if not said and not object_state.is_same(value, found):
        if not _has_file_of(found, path, save):
            said = "with other contents, as its digest says"
        elif not _has_file_of(value, path, save):
            raise UsageError(
                f"this {type_name(value)} changed while it was saved",
                hint="save it when nothing else works on it, or save a copy",
            )
    if said:
        raise UsageError(
            f"this {type_name(value)} would be loaded {said}",
            hint="save it with ArtifactConfig(format='pickle'), or write a materializer",
        )


def _has_file_of(value: Any, path: Path, save: Callable[[Any, Path], None]) -> bool:
    """Return True if *save* writes the same bytes for *value* as the file *path* has."""
    again = path.with_name(f"{path.name}.again")
    try:
        save(value, again)
        return filecmp.cmp(path, again, shallow=False)
    finally:
        again.unlink(missing_ok=True)


def is_comparable(value: Any) -> bool:
    """Return True if `difference` can compare *value*: a table, an array, plain data or a state dict of torch."""
    return (
        frames.is_table(value)
        or tables.is_arrow_table(value)
        or numpy_files.is_type(type(value))
        or numpy_files.is_dict_of_arrays(value)
        or torch_files.is_state_dict(value)
        or not values.misfit(value)
    )


def _difference_in_file(value: Any, path: Path, load: Callable[[Path], Any], format: str) -> str:
    if format == "bytes":
        return _difference_of_bytes(memoryview(value).cast("B"), path)
    if format == "text":
        return _difference_of_bytes(memoryview(value.encode()), path)
    if format == "parquet":
        stop = 0
        for start, stop, part in tables.parts_of_parquet(path):
            said = difference(_rows(value, start, stop), part)
            if said:
                return f"{said} (counted from row {start})" if start else said
        return "" if stop == len(value) else f"{len(value)} rows would be {stop}"
    if format == "numpy":
        return difference(value, arrays.map_numpy(path), "")
    return difference(value, load(path), "")


def _rows(value: Any, start: int, stop: int) -> Any:
    if start == 0 and stop == len(value):
        return value
    if tables.is_arrow_table(value):
        return value.slice(start, stop - start)
    return value.iloc[start:stop] if hasattr(value, "iloc") else value[start:stop]


def _difference_of_bytes(value: memoryview, path: Path) -> str:
    place = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            if value[place : place + len(chunk)] != chunk:
                return f"the bytes from {place} on"
            place += len(chunk)
    return "" if place == len(value) else f"{len(value)} bytes would be {place}"


def difference(saved: Any, loaded: Any, where: str = "") -> str:
    """Return the place and kind of the first difference between *saved* and *loaded*; "" if they are equal.

    *where* is the text for the place of *saved* in the value that contains it; "" if *saved* is the whole value.
    """
    if type(saved) is type(loaded):
        if type(saved) in _QUICK:
            same = saved == loaded or (saved != saved and loaded != loaded)
            return "" if same else _said(where, ascii(saved)[:80], ascii(loaded)[:80])
        if type(saved) in (list, tuple):
            return _difference_of_sequences(saved, loaded, where)
        if type(saved) is dict and _is_equal([saved], [loaded]):
            return ""
    elif not torch_files.is_state_dict(saved):
        return _said(where, type_name(saved), type_name(loaded))
    if own_types.tag_of(saved):
        return difference(own_types.state_of(saved), own_types.state_of(loaded), where)
    if frames.is_table(saved):
        return _difference_of_tables(saved, loaded, where)
    if tables.is_arrow_table(saved):
        return _difference_of_arrow(saved, loaded)
    if numpy_files.is_type(type(saved)):
        return _difference_of_arrays(saved, loaded, where)
    if torch_files.is_state_dict(saved):
        if set(saved) != set(loaded):
            return "the names of the tensors"
        changed = torch_files.changed_tensors(saved, loaded)
        return f"the tensor {changed[0]!a}" if changed else ""
    if isinstance(saved, dict):
        return _difference_of_dicts(saved, loaded, where)
    if isinstance(saved, set | frozenset):
        return _difference_of_sets(saved, loaded, where)
    if _same(saved, loaded):
        return ""
    return _said(where, ascii(saved)[:80], ascii(loaded)[:80])


def _difference_of_sequences(saved: Any, loaded: Any, where: str) -> str:
    if len(saved) != len(loaded):
        return _said(where, f"{len(saved)} items", f"{len(loaded)}")
    return "" if _is_equal(saved, loaded) else _difference_of_items(saved, loaded, lambda at: f"{where}[{at}]")


def _difference_of_items(saved: Any, loaded: Any, where: Callable[[int], str]) -> str:
    # The loops here and for dicts do not use `_first`: its generator would add frames to the stack for each level of a
    # nested value, and Python limits the number of frames.
    for place, (x, y) in enumerate(zip(saved, loaded, strict=True)):
        if type(x) is not type(y) or type(x) not in _QUICK or x != y:
            said = difference(x, y, where(place))
            if said:
                return said
    return ""


def _first(differences: Iterable[str]) -> str:
    """Return the first text that is not empty, or "". Does not compute the items after it, if *differences* is lazy."""
    return next(filter(None, differences), "")


def _is_equal(saved: Any, loaded: Any) -> bool:
    """Return True only if two sequences of the same length are certainly equal. Fast, because C code compares them."""
    kinds = set(map(type, saved))
    if kinds != set(map(type, loaded)) or not kinds <= _QUICK | {list, tuple, dict}:
        return False
    if len(kinds) > 1:
        parts = ([[item for item in items if type(item) is kind] for kind in kinds] for items in (saved, loaded))
        return list(map(type, saved)) == list(map(type, loaded)) and all(map(_is_equal, *parts))
    if kinds == {float}:
        # compares the bytes, so that NaN is equal to NaN
        return array("d", saved).tobytes() == array("d", loaded).tobytes()
    if kinds <= _QUICK:
        return bool(saved == loaded)
    if list(map(len, saved)) != list(map(len, loaded)):
        return False
    held = (_chained(item.values() for item in items) for items in (saved, loaded) if kinds == {dict})
    return _is_equal(_chained(saved), _chained(loaded)) and (kinds != {dict} or _is_equal(*held))


def _chained(parts: Any) -> list[Any]:
    return list(chain.from_iterable(parts))


def _said(where: str, saved: str, loaded: str) -> str:
    return f"{where + ': ' if where else ''}{saved} would be {loaded}"


def _same(one: Any, other: Any) -> bool:
    """Return True if two values of the same type are equal, also in what `==` ignores, such as time zones."""
    kind = type(one).__name__
    if kind in _PARTS:
        return not difference(_PARTS[kind](one), _PARTS[kind](other))
    if kind == "Timestamp" and (one.unit, str(one.tz)) != (other.unit, str(other.tz)):
        return False
    if kind in ("datetime", "time") and (one.fold, repr(one.tzinfo)) != (other.fold, repr(other.tzinfo)):
        return False
    return bool(one == other)


# By the name of a type, the function that returns the parts that are compared instead of the whole value.
_PARTS: dict[str, Callable[[Any], list[Any]]] = {
    "complex": lambda value: [value.real, value.imag],
    "Decimal": lambda value: [str(value)],
    "Interval": lambda value: [value.closed, value.left, value.right],
    "NAType": lambda value: [],
    "NaTType": lambda value: [],
    "slice": lambda value: [value.start, value.stop, value.step],
}


def _difference_of_dicts(saved: dict[Any, Any], loaded: dict[Any, Any], where: str) -> str:
    keys = difference({*saved}, {*loaded}, f"the keys of {where or 'the dict'}")
    if keys:
        return keys
    for key in saved:
        said = difference(saved[key], loaded[key], f"{where}[{key!a}]"[:200])
        if said:
            return said
    return ""


def _difference_of_sets(saved: Any, loaded: Any, where: str) -> str:
    if len(saved) == len(loaded):
        known = {(type(item), repr(item)) for item in saved}
        if known == {(type(item), repr(item)) for item in loaded} or saved == loaded:
            return ""
    return _said(where, ascii(saved)[:80], ascii(loaded)[:80])


def _difference_of_arrays(saved: Any, loaded: Any, where: str) -> str:
    import numpy

    where = where or ("value" if saved.ndim == 0 else "the array")
    # for integers, compare only the dtypes: NumPy has two types for the same integers (long and long long), and a file
    # has only one of them
    if saved.dtype != loaded.dtype or (saved.dtype.kind not in "iu" and saved.dtype.type is not loaded.dtype.type):
        return _said(where, f"dtype {saved.dtype}", f"{loaded.dtype}")
    if saved.shape != loaded.shape:
        return _said(where, f"shape {saved.shape}", f"{loaded.shape}")
    if isinstance(saved, numpy.ma.MaskedArray):
        mask = numpy.ma.getmaskarray
        return (
            _difference_of_arrays(mask(saved), mask(loaded), f"the mask of {where}")
            or _difference_of_arrays(saved.data, loaded.data, where)
            or difference(saved.fill_value, loaded.fill_value, f"the fill value of {where}")
        )
    saved, loaded = numpy.asarray(saved), numpy.asarray(loaded)
    if saved.dtype.names:
        return _first(
            _difference_of_arrays(saved[name], loaded[name], f"field {name!a} of {where}") for name in saved.dtype.names
        )
    if saved.dtype.kind in "OT":
        return _difference_of_cells(saved.reshape(-1), loaded.reshape(-1), f"{where}: element")
    if saved.flags.f_contiguous and not saved.flags.c_contiguous:
        saved, loaded = saved.T, loaded.T
    if saved.ndim == 0 or saved.flags.c_contiguous:
        return _difference_of_flat(saved.reshape(-1), loaded.reshape(-1), where)
    rows = max(1, _CHUNK * len(saved) // max(1, saved.size))
    return _first(
        _difference_of_flat(saved[start : start + rows].reshape(-1), loaded[start : start + rows].reshape(-1), where)
        for start in range(0, len(saved), rows)
    )


def _difference_of_flat(saved: Any, loaded: Any, where: str) -> str:
    for start in range(0, len(saved), _CHUNK):
        x, y = saved[start : start + _CHUNK], loaded[start : start + _CHUNK]
        if x.dtype.kind in "mM":
            x, y = x.view("i8"), y.view("i8")
        same = x == y
        if x.dtype.kind in "fcV" and not same.all():
            same |= (x != x) & (y != y)
        if not same.all():
            at = int(same.argmin())
            return _said(f"element {start + at} of {where}", repr(saved[start + at]), repr(loaded[start + at]))
        _release(loaded)
    return ""


def _release(array: Any) -> None:
    """Release the memory pages of a mapped array after the comparison, so that a large file does not stay in memory."""
    found = array
    while found is not None and not isinstance(found, mmap.mmap):
        found = getattr(found, "base", None) if not isinstance(found, memoryview) else found.obj
    if found is not None and hasattr(mmap, "MADV_DONTNEED"):
        found.madvise(mmap.MADV_DONTNEED)


def _difference_of_cells(saved: Any, loaded: Any, where: str) -> str:
    x, y = saved.tolist(), loaded.tolist()
    return "" if _is_equal(x, y) else _difference_of_items(x, y, lambda row: f"{where} {row}")


def _difference_of_tables(saved: Any, loaded: Any, where: str) -> str:
    if hasattr(saved, "iloc"):
        said = difference(saved.attrs, loaded.attrs, "attrs")
        if said or saved.flags.allows_duplicate_labels != loaded.flags.allows_duplicate_labels:
            return said or "the flag allows_duplicate_labels"
        said = _difference_of_indexes(saved.index, loaded.index, "the index")
        if said:
            return said
    if hasattr(saved, "columns"):
        return _difference_of_indexes(saved.columns, loaded.columns, "the labels of the columns") or _first(
            _difference_of_columns(saved.iloc[:, place], loaded.iloc[:, place], f"column {label!a}")
            for place, label in enumerate(saved.columns)
        )
    if hasattr(saved, "get_level_values"):
        return _difference_of_indexes(saved, loaded, where or "the index")
    said = difference(saved.name, loaded.name, "the name") if hasattr(saved, "name") else ""
    return said or _difference_of_columns(saved, loaded, where or "the series")


def _difference_of_indexes(saved: Any, loaded: Any, where: str) -> str:
    if type(saved) is not type(loaded):
        return _said(where, type(saved).__name__, type(loaded).__name__)
    said = difference(list(saved.names), list(loaded.names), f"the name of {where}")
    if said:
        return said
    if hasattr(saved, "levels"):
        # without names, because pandas would take a number as a name for the position of a level
        one, other = (index.set_names([None] * index.nlevels) for index in (saved, loaded))
        levels = ((one.get_level_values(level), other.get_level_values(level)) for level in range(saved.nlevels))
        return _first(_difference_of_columns(x, y, f"level {at} of {where}") for at, (x, y) in enumerate(levels))
    if type(saved).__name__ == "RangeIndex":
        x, y = ((index.start, index.stop, index.step) for index in (saved, loaded))
        return (
            "" if x == y or (len(saved) == len(loaded) == 0) or saved.equals(loaded) else _said(where, f"{x}", f"{y}")
        )
    if getattr(saved, "freq", None) != getattr(loaded, "freq", None):
        return _said(f"the freq of {where}", f"{saved.freq}", f"{loaded.freq}")
    return _difference_of_columns(saved, loaded, where)


def _difference_of_columns(saved: Any, loaded: Any, where: str) -> str:
    """Return the first difference between two Series, Index objects or pandas arrays, or ""."""
    same_type = type(saved.dtype) is type(loaded.dtype) or getattr(saved.dtype, "kind", "") in ("i", "u")
    if saved.dtype != loaded.dtype or not same_type:
        return _said(where, f"dtype {saved.dtype}", f"{loaded.dtype}")
    if len(saved) != len(loaded):
        return _said(where, f"{len(saved)} rows", f"{len(loaded)}")
    kind = type(saved.dtype).__name__
    if kind == "CategoricalDtype":
        said = _difference_of_columns(saved.dtype.categories, loaded.dtype.categories, f"the categories of {where}")
        if said or saved.dtype.ordered != loaded.dtype.ordered:
            return said or f"the order of the categories of {where}"
        codes = [(part.cat if hasattr(part, "cat") else part).codes for part in (saved, loaded)]
        return "" if (codes[0] == codes[1]).all() else f"the values of {where}"
    if kind == "StringDtype" and saved.dtype.storage != loaded.dtype.storage:
        return _said(where, repr(saved.dtype), repr(loaded.dtype))
    if kind == "DatetimeTZDtype" and type(saved.dtype.tz) is not type(loaded.dtype.tz):
        return _said(where, f"time zone {saved.dtype.tz!r}", f"{loaded.dtype.tz!r}")
    x, y = (part.array if hasattr(part, "array") else part for part in (saved, loaded))
    plain = columns.numpy_dtype(saved.dtype)
    if hasattr(plain, "isbuiltin"):
        compare = _difference_of_cells if plain.kind == "O" else _difference_of_arrays
        return compare(x.to_numpy(), y.to_numpy(), f"{where}: row" if plain.kind == "O" else where)
    if kind == "SparseDtype" and x.kind != y.kind:
        return _said(f"the kind of {where}", x.kind, y.kind)
    if kind == "SparseDtype":
        return _difference_of_arrays(x.to_dense(), y.to_dense(), where)
    if kind == "ArrowDtype" and _dictionary(x.__arrow_array__()) != _dictionary(y.__arrow_array__()):
        return f"the order of the dictionary of {where}"
    if x.equals(y):
        return ""
    if kind == "ArrowDtype":  # compared as Python values, because for pyarrow's own comparison NaN differs from NaN
        return difference(x.__arrow_array__().to_pylist(), y.__arrow_array__().to_pylist(), f"{where}: row ")
    return f"the values of {where}"


def _difference_of_arrow(saved: Any, loaded: Any) -> str:
    if not saved.schema.equals(loaded.schema, check_metadata=True):
        for field, other in zip(saved.schema, loaded.schema, strict=False):
            if not field.equals(other, check_metadata=True):
                return _said(f"column {field.name!a}", str(field.type), str(other.type))
        return "the metadata of the schema"
    for name, x, y in zip(saved.column_names, saved.columns, loaded.columns, strict=True):
        if _dictionary(x) != _dictionary(y):
            return f"the order of the dictionary of column {name!a}"
        if not x.equals(y):
            said = difference(x.to_pylist(), y.to_pylist(), f"column {name!a}: row")
            if said:
                return said
    return "" if saved.num_rows == loaded.num_rows else "the number of rows"


def _dictionary(column: Any) -> list[Any]:
    """Return the values in the dictionary of an Arrow column, in its order; [] if it has no ordered dictionary."""
    if not getattr(column.type, "ordered", False):
        return []
    chunks = column.unify_dictionaries().chunks if hasattr(column, "chunks") else [column]
    return list(chunks[0].dictionary.to_pylist()) if chunks else []
