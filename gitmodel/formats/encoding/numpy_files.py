"""Reading and writing NumPy's files: an array, or a dict of arrays by name.

Values that a `.npy` file cannot describe are scalars, `np.matrix`, record and masked arrays, bfloat16 and Python
objects. They are stored in a `.npz` file with a description in the member `gitmodel.json`; docs/reference/format.md
specifies it. NumPy's formats are specified at https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import library, type_name

DESCRIPTION = "gitmodel.json"

# The greatest number of bytes to which one byte of deflated data can expand (https://www.zlib.net/zlib_tech.html).
_MOST_DEFLATED = 1_032
_TYPES = ("ndarray", "matrix", "recarray", "chararray")


class Cells(NamedTuple):
    """The functions for Python objects in the cells of an array: they check an object, write it as JSON, and read it.

    *misfit* returns the place and type of the first inner object that cannot be written, or "".
    """

    misfit: Callable[[Any, str], str]
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def is_type(kind: type) -> bool:
    """Return True if files support *kind*: a type of arrays of NumPy, or of scalars of NumPy or ml_dtypes.

    Imports nothing.
    """
    bases = [f"{base.__module__}.{base.__name__}" for base in kind.__mro__]
    is_scalar_type = "numpy.generic" in bases and bases[0].split(".")[0] in ("numpy", "ml_dtypes")
    return is_scalar_type or _name_in_numpy(kind) in (*_TYPES, "MaskedArray")


def is_array(value: Any) -> bool:
    """Return True if *value* is a NumPy array of a type that files support."""
    return _name_in_numpy(type(value)) in (*_TYPES, "MaskedArray")


def is_scalar(value: Any) -> bool:
    """Return True if *value* is a scalar of NumPy or ml_dtypes."""
    return is_type(type(value)) and not is_array(value)


def is_dict_of_arrays(value: Any) -> bool:
    """Return True if *value* is a dict that is not empty, with text as keys and arrays as values."""
    return type(value) is dict and bool(value) and all(type(key) is str and is_array(value[key]) for key in value)


def misfit(value: Any, cells: Cells) -> str:
    """Return the place and type of the first Python object in the array *value* that files cannot contain, or ""."""
    if value.dtype.kind != "O":
        return f"value has the dtype {value.dtype}" if value.dtype.hasobject and value.dtype.kind != "T" else ""
    return cells.misfit(value.tolist() if value.ndim else value[()], "value")


def write(value: Any, file: IO[bytes], cells: Cells) -> None:
    """Write *value*, an array, a scalar, or a dict of arrays, to *file*. *cells* writes Python objects."""
    numpy = library("numpy", install="gitmodel[numpy]")
    for array in value.values() if isinstance(value, dict) else [value]:
        _check_fields(array.dtype)
    if _name_in_numpy(type(value)) == "ndarray" and value.ndim and _is_plain(value):
        numpy.save(file, without_padding(numpy, value), allow_pickle=False)
        return
    with zipfile.ZipFile(file, "w") as archive:
        if isinstance(value, dict) and all(
            _name_in_numpy(type(item)) == "ndarray" and _is_plain(item) and name.isprintable()
            for name, item in value.items()
        ):
            for name, array in value.items():
                _write_array(numpy, archive, f"{name}.npy", array)
            return
        members = _Members(numpy, archive, cells)
        node = {"dict": {name: members.write(value[name]) for name in value}} if isinstance(value, dict) else (
            members.write(value)
        )  # fmt: skip
        archive.writestr(zipfile.ZipInfo(DESCRIPTION), json.dumps({"gitmodel": 1, "value": node}))


def read(file: IO[bytes], cells: Cells, *, mapped: Path | None = None) -> Any:
    """Return the value in *file*, which `write` or NumPy wrote.

    If *mapped*, its path, is given, maps arrays into memory.
    """
    numpy = library("numpy", install="gitmodel[numpy]")
    magic = file.read(6)
    file.seek(0)
    if not magic.startswith(b"PK\x03\x04"):
        if mapped is not None:
            return _map(numpy, file, mapped)
        if magic == numpy.lib.format.MAGIC_PREFIX:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            _check_claim(numpy, file, size)
            file.seek(0)
        return numpy.load(file, allow_pickle=False)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        members = _Members(numpy, archive, cells, mapped)
        if DESCRIPTION not in names:
            return {
                name.removesuffix(".npy"): members.array(name) if name.endswith(".npy") else archive.read(name)
                for name in names
            }
        described = json.loads(archive.read(DESCRIPTION))
        if described["gitmodel"] != 1:
            raise ValueError("a newer version of gitmodel wrote it")
        node = described["value"]
        if "dict" in node:
            return {name: members.read(item) for name, item in node["dict"].items()}
        return members.read(node)


def _name_in_numpy(kind: type) -> str:
    """Return the name of *kind* if it is a type of arrays or scalars of NumPy, else ""."""
    return kind.__name__ if kind.__module__.split(".")[0] == "numpy" and hasattr(kind, "dtype") else ""


def _is_plain(array: Any) -> bool:
    """Return True if a `.npy` file describes *array* completely."""
    dtype = array.dtype
    return not dtype.hasobject and dtype.type.__name__ != "record" and not _of_ml_dtypes(dtype) and dtype.kind != "T"


def _of_ml_dtypes(dtype: Any) -> bool:
    return str(dtype.type.__module__).split(".")[0] == "ml_dtypes"


def without_padding(numpy: Any, array: Any) -> Any:
    """Return *array*, or a copy with zeros instead of random bytes in the padding between fields."""
    dtype = array.dtype
    if not dtype.names or all(field[0] for field in _described(dtype)):
        return array
    clean = numpy.zeros(array.shape, dtype)
    for name in dtype.names:
        clean[name] = array[name]
    return clean


def clear_padding(numpy: Any, array: Any) -> None:
    """Write zeros into the padding between fields of *array*, which has one dimension and is contiguous."""
    size = array.dtype.itemsize
    fields = without_padding(numpy, numpy.frombuffer(b"\xff" * size, array.dtype)).view("u1")
    padding = (fields == 0).nonzero()[0]
    for start in range(0, len(array), 1 << 12):  # the steps are parts of the array that fit into the processor's cache
        part = array[start : start + (1 << 12)].view("u1").reshape(-1, size)
        for column in padding:
            part[:, column] = 0


def _check_fields(dtype: Any) -> None:
    """Raise UsageError if *dtype* has a field that a file cannot represent. The error names the field."""
    if not dtype.names:
        return
    end = 0
    for name in dtype.names:
        inner, start = dtype.fields[name][:2]
        if inner.hasobject:
            raise UsageError(f"field {name!a} holds Python objects, which numpy cannot hold", hint="leave it out")
        if start < end:
            raise UsageError(
                f"field {name!a} begins before the end of the field before it, which numpy cannot hold",
                hint="copy the array with numpy.lib.recfunctions.repack_fields",
            )
        end = start + inner.itemsize
        _check_fields(inner.base)


def _described(dtype: Any) -> list[Any]:
    """Return the description of the fields of *dtype*, including nested ones.

    Padding is described as a field with the name "".
    """
    found = list(dtype.descr)
    for name in dtype.names:
        inner = dtype[name].base
        found += _described(inner) if inner.names else []
    return found


def _write_array(numpy: Any, archive: zipfile.ZipFile, name: str, array: Any) -> None:
    # not numpy.savez, which writes the time of day, so that equal arrays would give different artifacts
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
        numpy.lib.format.write_array(member, without_padding(numpy, array), allow_pickle=False)


def _map(numpy: Any, file: IO[bytes], path: Path) -> Any:
    """Return the array that begins at the current position of *file*, mapped into memory from its path *path*."""
    start = file.tell()
    version = numpy.lib.format.read_magic(file)
    if version in ((1, 0), (2, 0)):
        shape, fortran, dtype = _read_header(numpy, file, version)
        if 0 not in shape and dtype.itemsize and not dtype.hasobject:
            order = "F" if fortran else "C"
            found = numpy.memmap(path, dtype, "r", file.tell(), shape, order)
            return found.view(numpy.ndarray)
    file.seek(start)
    return numpy.lib.format.read_array(file, allow_pickle=False)


def _read_header(numpy: Any, file: IO[bytes], version: tuple[int, int]) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, True for Fortran order, and dtype of an array.

    *file* is positioned after the version of the header. Version 3.0 differs from 2.0 only in the encoding of the names
    of fields, so for version 3.0 the names of fields in the result may be wrong.
    """
    formats = numpy.lib.format
    read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, Any] = read(file)
    return found


def _check_claim(numpy: Any, file: IO[bytes], size: int) -> None:
    """Raise ValueError if the header in *file* claims an array that is longer than the file, which has *size* bytes.

    NumPy would allocate memory for all of it.
    """
    shape, _, dtype = _read_header(numpy, file, numpy.lib.format.read_magic(file))
    needed, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if needed > there and not dtype.hasobject:
        raise ValueError(
            f"its header says that {dtype} of the shape {shape} follows, which is {needed} bytes, but there are {there}"
        )


class _Members:
    """Reads and writes the members of a `.npz` archive that contain arrays, and the descriptions of these arrays."""

    def __init__(self, numpy: Any, archive: zipfile.ZipFile, cells: Cells, mapped: Path | None = None) -> None:
        self._numpy = numpy
        self._archive = archive
        self._objects = cells
        self._mapped = mapped
        self._count = 0

    def array(self, name: str) -> Any:
        info = self._archive.getinfo(name)
        if self._mapped is not None and info.compress_type == zipfile.ZIP_STORED:
            with open(self._mapped, "rb") as file:
                file.seek(info.header_offset)
                header = file.read(30)
                file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
                return _map(self._numpy, file, self._mapped)
        with self._archive.open(name) as member:
            _check_claim(self._numpy, member, self._most_bytes(info))
        with self._archive.open(name) as member:
            return self._numpy.lib.format.read_array(member, allow_pickle=False)

    def _most_bytes(self, info: zipfile.ZipInfo) -> int:
        """Return the greatest length in bytes that the content of a member can have, whatever the archive claims."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return info.file_size
        return min(info.file_size, min(info.compress_size, self._archive.start_dir) * _MOST_DEFLATED)

    def write(self, value: Any) -> dict[str, Any]:
        """Write *value* to new members of the archive, and return its description for `read`."""
        if _name_in_numpy(type(value)) == "MaskedArray":
            parts = {"masked": value.data, "mask": self._numpy.ma.getmaskarray(value), "fill": value.fill_value}
            node: dict[str, Any] = {name: self.write(part) for name, part in parts.items()}
            return {**node, "hard": bool(value.hardmask), "no_mask": value.mask is self._numpy.ma.nomask}
        if is_scalar(value):
            kind, array = "scalar", self._numpy.asarray(value)
        elif _name_in_numpy(type(value)) in _TYPES:
            kind, array = _name_in_numpy(type(value)), self._numpy.asarray(value)
        else:
            raise UsageError(f"numpy cannot hold this {type_name(value)}", hint="convert it with numpy.array(value)")
        dtype, node = array.dtype, {"type": kind}
        name = f"{self._count}.npy"
        self._count += 1
        if dtype.kind == "O" or dtype.kind == "T":
            found = misfit(array, self._objects)
            if found:
                raise UsageError(f"{found}, which numpy cannot hold", hint="convert it with numpy.array(value)")
            cells = [self._objects.encode(item) for item in array.reshape(-1).tolist()] if dtype.kind == "O" else (
                [item if isinstance(item, str) else None for item in array.reshape(-1)]
            )  # fmt: skip
            name = name.replace(".npy", ".json")
            self._archive.writestr(zipfile.ZipInfo(name), json.dumps(cells))
            node.update(shape=list(array.shape), cells=name)
            if dtype.kind == "T":
                node["text"] = {"coerce": dtype.coerce}
                if hasattr(dtype, "na_object"):
                    node["text"]["na_object"] = self._objects.encode(dtype.na_object)
            return node
        if _of_ml_dtypes(dtype):
            node["ml_dtype"] = dtype.name
            array = array.view(f"u{dtype.itemsize}")
        elif dtype.type.__name__ == "record":
            node["record"] = True
        if kind == "scalar" and dtype.kind in "SUV" and dtype.itemsize == 0:
            raise UsageError("numpy cannot hold an empty scalar", hint="return it as str or bytes")
        _write_array(self._numpy, self._archive, name, array)
        return {**node, "array": name}

    def read(self, node: dict[str, Any]) -> Any:
        """Return the value that *node*, a description from `write`, describes."""
        numpy = self._numpy
        if "masked" in node:
            mask = numpy.ma.nomask if node["no_mask"] else self.read(node["mask"])
            fill = self.read(node["fill"])
            return numpy.ma.MaskedArray(self.read(node["masked"]), mask=mask, fill_value=fill, hard_mask=node["hard"])
        array = self._cells(node) if "cells" in node else self.array(node["array"])
        if "ml_dtype" in node:
            array = array.view(getattr(library("ml_dtypes", install="ml_dtypes"), node["ml_dtype"]))
        if node.get("record"):
            array = array.view(numpy.dtype((numpy.record, array.dtype)))
        kind = node["type"]
        if kind not in (*_TYPES, "scalar"):
            raise ValueError(f"it holds a {str(kind)[:40]!a}, which this version of gitmodel does not know")
        if kind == "scalar":
            return array[()]
        return array if kind == "ndarray" else array.view(getattr(numpy.char if kind == "chararray" else numpy, kind))

    def _cells(self, node: dict[str, Any]) -> Any:
        numpy = self._numpy
        cells = json.loads(self._archive.read(node["cells"]))
        if "text" in node:
            options = {"coerce": node["text"]["coerce"]}
            if "na_object" in node["text"]:
                options["na_object"] = self._objects.decode(node["text"]["na_object"])
            dtype = numpy.dtypes.StringDType(**options)
            filled = [options.get("na_object") if cell is None else cell for cell in cells]
            return numpy.array(filled, dtype=dtype).reshape(node["shape"])
        array = numpy.empty(len(cells), dtype=object)
        for index, cell in enumerate(cells):
            array[index] = self._objects.decode(cell)
        return array.reshape(node["shape"])
