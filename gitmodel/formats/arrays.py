"""Arrays: NumPy's own files (one array, or a dict of them) and safetensors (a dict of them)."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.format import Format, library


def _load_numpy(path: Path, trusted: bool) -> Any:
    """An array of a `.npy` file, or the dict of arrays of a `.npz` file.

    Never one of Python objects, trusted or not: those are pickles, and have a format of that name.
    """
    numpy = library("numpy", install="gitmodel[numpy]")
    with open(path, "rb") as file:
        found = numpy.load(file, allow_pickle=False)
        return {name: found[name] for name in found.files} if hasattr(found, "files") else found


def _save_numpy(value: Any, path: Path) -> None:
    numpy = library("numpy", install="gitmodel[numpy]")
    with open(path, "wb") as file:  # given a path, NumPy would add an extension to it
        if isinstance(value, numpy.ndarray | numpy.generic):
            numpy.save(file, value, allow_pickle=False)
        elif _is_dict_of_arrays(numpy, value):
            with zipfile.ZipFile(file, "w") as archive:
                for name, array in value.items():
                    # numpy.savez writes the time of day, so that equal arrays would be different artifacts
                    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                        numpy.lib.format.write_array(member, numpy.asanyarray(array), allow_pickle=False)
        else:
            raise _unfit(value, "numpy", "an array or a dict of arrays by name")


def _load_safetensors(path: Path, trusted: bool) -> Any:
    library("numpy", install="gitmodel[safetensors]")
    return library("safetensors.numpy", install="gitmodel[safetensors]").load_file(path)


def _save_safetensors(value: Any, path: Path) -> None:
    numpy = library("numpy", install="gitmodel[safetensors]")
    safetensors = library("safetensors.numpy", install="gitmodel[safetensors]")
    if not _is_dict_of_arrays(numpy, value):
        raise _unfit(value, "safetensors", "a dict of arrays by name")
    # the memory is written as it lies, so a transposed or strided array must first be laid out in order
    ordered = {name: numpy.asarray(array, order="C") for name, array in value.items()}
    safetensors.save_file(ordered, path)


def _is_dict_of_arrays(numpy: Any, value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(array, numpy.ndarray | numpy.generic) for name, array in value.items()
    )


def _unfit(value: Any, name: str, wanted: str) -> UsageError:
    return UsageError(f"{name} holds {wanted}, not this {type(value).__name__}", hint="convert it with numpy.asarray")


NUMPY = Format("numpy", _load_numpy, _save_numpy, extensions=(".npy", ".npz"), magic=(b"\x93NUMPY",))
SAFETENSORS = Format("safetensors", _load_safetensors, _save_safetensors, extensions=(".safetensors",))
