"""The formats hdf5, gguf and svg: gitmodel recognizes their files and stores them, and other programs read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gitmodel.errors import UsageError
from gitmodel.formats.catalogue.format import Format


def _files_only(name: str, reader: str, extensions: tuple[str, ...], *magic: bytes) -> Format:
    def load(path: Path, trusted: bool) -> Any:
        raise UsageError(f"gitmodel does not load {name} files", hint=f"open artifact.path() with {reader}")

    def save(value: Any, path: Path) -> None:
        raise UsageError(f"gitmodel does not write {name} files", hint="write the file yourself, and link its path")

    return Format(name, load, save, extensions, magic)


GGUF = _files_only("gguf", "llama.cpp or the package gguf", (".gguf",), b"GGUF")
HDF5 = _files_only("hdf5", "h5py, or with keras if you trust it", (".h5", ".hdf5"), b"\x89HDF\r\n\x1a\n")
SVG = _files_only("svg", "a browser", (".svg",))
