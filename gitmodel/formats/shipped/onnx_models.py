"""The format onnx: models of the package onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format, library, type_name


def _load(path: Path, trusted: bool) -> Any:
    model = library("onnx", install="onnx").load_model(path, load_external_data=False)
    _check_whole(model)
    return model


def _save(value: Any, path: Path) -> None:
    if type(value).__name__ != "ModelProto":
        raise UsageError(f"onnx holds a ModelProto, not this {type_name(value)}", hint="convert it to ONNX")
    _check_whole(value)
    path.write_bytes(value.SerializeToString(deterministic=True))


def _check_whole(model: Any) -> None:
    """Raise UsageError if weights of *model* are in other files, because *model* could name any file of the machine."""
    if b"location" in model.SerializeToString():
        helper = library("onnx.external_data_helper", install="onnx")
        for tensor in helper._get_all_tensors(model):
            if helper.uses_external_data(tensor):
                raise UsageError(
                    f"the weights {tensor.name} of the model are in another file",
                    hint="write the model into one file, or link the folder and use artifact.path()",
                )


def _difference(saved: Any, loaded: Any) -> str:
    return "" if saved == loaded else "its content would differ"


ONNX = Format("onnx", _load, _save, (".onnx",), difference=_difference)
