"""The format sparse: SciPy's sparse matrices and arrays, as `scipy.sparse.save_npz` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name

_INSTALL = "scipy"
_KINDS = ("bsr", "coo", "csc", "csr", "dia")
_PARTS = ("data", "indices", "indptr", "coords", "row", "col", "offsets")


def _load(path: Path, trusted: bool) -> Any:
    found = library("scipy.sparse", install=_INSTALL).load_npz(path)
    # checked here, because SciPy's compiled code uses the indices without a check
    if found.format in ("bsr", "csc", "csr"):
        found.check_format(full_check=True)
    elif found.format == "coo":
        axes = getattr(found, "coords", None) or (found.row, found.col)
        if len(axes) != len(found.shape) or any(
            len(axis) != len(found.data) or (len(axis) and not 0 <= axis.min() <= axis.max() < size)
            for axis, size in zip(axes, found.shape, strict=False)
        ):
            raise ValueError("its indices lead out of its shape")
    elif found.data.ndim != 2 or len(found.offsets) != len(found.data):
        raise ValueError("its diagonals do not match their offsets")
    return found


def _save(value: Any, path: Path) -> None:
    if getattr(value, "format", "") not in _KINDS:
        raise UsageError(f"sparse holds {', '.join(_KINDS)}, not this {type_name(value)}", hint="convert it: .tocsr()")
    if value.dtype.hasobject:
        raise UsageError("sparse holds numbers, not Python objects", hint="convert it with .astype(float)")
    with open(path, "wb") as file:  # an open file, because SciPy would add an extension to a path
        library("scipy.sparse", install=_INSTALL).save_npz(file, value, compressed=False)


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded):
        return f"it would be {with_article(type_name(loaded))}"
    if (saved.shape, saved.dtype) != (loaded.shape, loaded.dtype):
        return f"{saved.shape} {saved.dtype} would be {loaded.shape} {loaded.dtype}"
    for name in _PARTS:
        one, other = (_arrays(getattr(matrix, name, ())) for matrix in (saved, loaded))
        if [(array.dtype, array.tobytes()) for array in one] != [(array.dtype, array.tobytes()) for array in other]:
            return f"its {name} would differ"
    return ""


def _arrays(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


SPARSE = Format("sparse", _load, _save, (".npz",), difference=_difference)
