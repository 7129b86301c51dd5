"""The formats numpy (an array or a dict of arrays) and safetensors (a dict of arrays, or of tensors of torch)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library
from gitmodel.formats.encoding import numpy_files
from gitmodel.formats.encoding.values import CELLS
from gitmodel.formats.shipped import torch_files


def _load_numpy(path: Path, trusted: bool) -> Any:
    """Return the array, the scalar or the dict of arrays in a `.npy` or `.npz` file.

    Never unpickles Python objects, not even for a trusted file: pickle is a separate format.
    """
    with open(path, "rb") as file:
        return numpy_files.read(file, CELLS)


def _save_numpy(value: Any, path: Path) -> None:
    library("numpy", install="gitmodel[numpy]")
    if not (numpy_files.is_type(type(value)) or _is_dict_of_arrays(value)):
        raise _unfit(value, "numpy", "an array or a dict of arrays by name")
    with open(path, "wb") as file:  # an open file, because NumPy would add an extension to a path
        numpy_files.write(value, file, CELLS)


def map_numpy(path: Path) -> Any:
    """Return the value in the file *path*, which gitmodel just wrote, with its arrays mapped into memory."""
    with open(path, "rb") as file:
        return numpy_files.read(file, CELLS, mapped=path)


_SCALARS = "gitmodel.scalars"


def _load_safetensors(path: Path, trusted: bool) -> Any:
    library("numpy", install="gitmodel[safetensors]")
    safetensors = library("safetensors", install="gitmodel[safetensors]")
    library("safetensors.numpy", install="gitmodel[safetensors]")
    with safetensors.safe_open(path, framework="np") as file:
        metadata = file.metadata() or {}
        if torch_files.OF_TORCH.items() <= metadata.items():
            return torch_files.load_state_dict(path)
        scalars = json.loads(metadata.get(_SCALARS, "[]"))
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return {name: array[()] if name in scalars else array for name, array in found.items()}


def _save_safetensors(value: Any, path: Path) -> None:
    if torch_files.is_state_dict(value):
        torch_files.save_state_dict(value, path)
    else:
        _save_arrays(value, path)


def _save_arrays(value: Any, path: Path) -> None:
    numpy = library("numpy", install="gitmodel[safetensors]")
    safetensors = library("safetensors.numpy", install="gitmodel[safetensors]")
    if not _is_dict_of_arrays(value):
        raise _unfit(value, "safetensors", "a dict of arrays or tensors by name")
    # Safetensors writes the memory of an array, so a transposed or strided array is copied first.
    ordered = {name: numpy.asarray(array, order="C") for name, array in value.items()}
    scalars = sorted(name for name in value if numpy_files.is_scalar(value[name]))
    safetensors.save_file(ordered, path, {_SCALARS: json.dumps(scalars)} if scalars else None)


def _is_dict_of_arrays(value: Any) -> bool:
    return type(value) is dict and all(
        type(name) is str and numpy_files.is_type(type(array)) for name, array in value.items()
    )


def _unfit(value: Any, name: str, wanted: str) -> UsageError:
    return UsageError(f"{name} holds {wanted}, not this {type(value).__name__}", hint="convert it with numpy.asarray")


NUMPY = Format("numpy", _load_numpy, _save_numpy, extensions=(".npy", ".npz"), magic=(b"\x93NUMPY",))
SAFETENSORS = Format("safetensors", _load_safetensors, _save_safetensors, extensions=(".safetensors",))
