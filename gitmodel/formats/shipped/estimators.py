"""The format skops: trained scikit-learn models that are loaded without running code, from types known to be safe.

skops is described at https://skops.readthedocs.io/en/stable/persistence.html.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from gitmodel.errors import Invalid
from gitmodel.formats import trust
from gitmodel.formats.catalogue.format import Format, library
from gitmodel.formats.encoding.numpy_files import clear_padding
from gitmodel.formats.shipped import tree_arrays

_SCHEMA = "schema.json"


def _load_skops(path: Path, trusted: bool) -> Any:
    """Build the model from types that are trusted by name; with *trusted*, from every type that the file names.

    Raises Refused for other types, Invalid for a tree whose indices lead out of its arrays.
    """
    skops = library("skops.io", install="gitmodel[skops]")
    named = skops.get_untrusted_types(data=_without_arrays(path))
    trust.note(named)
    unknown = [] if trusted else sorted(set(named) - set(trust.trusted(named)))
    if unknown:
        raise trust.refused(unknown)
    # skops requires a list of trusted types (CVE-2024-37065), and compares it with the whole file
    model = skops.load(path, trusted=named)
    if not trusted and (wrong := tree_arrays.fault(model)):
        raise Invalid(f"{path} cannot be used: {wrong}", hint="store the model again from where it was trained")
    return model


def _without_arrays(path: Path) -> bytes:
    """Return the skops file *path* with empty arrays: skops would read them to tell the types, which takes long."""
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"" if name.endswith(".npy") else old.read(name))
    return content.getvalue()


def _save_skops(value: Any, path: Path) -> None:
    """Write *value* without times and memory addresses, so that equal models give equal files."""
    dumped = io.BytesIO()
    library("skops.io", install="gitmodel[skops]").dump(value, dumped)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in _settled(dumped):
            # the default time of ZipInfo is constant; not compressed, because compressors differ in their output
            file.writestr(zipfile.ZipInfo(name), content)


def _settled(dumped: io.BytesIO) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yield the names and contents of the files in a new skops file, whose contents are not compressed.

    skops numbers objects and names array files by memory address. Here they are numbered by the order of the schema.
    """
    with zipfile.ZipFile(dumped) as source:
        held = {info.filename: info for info in source.infolist()}
        schema = json.loads(source.read(held.pop(_SCHEMA)))
    files: dict[str, str] = {}
    _renumber(schema, count(1).__next__, {}, files)
    yield _SCHEMA, json.dumps(schema, separators=(",", ":")).encode()
    whole = dumped.getbuffer()
    for name in sorted(held, key=lambda name: files.get(name, name)):
        # a file begins after its header, whose last two fields are the lengths of its name and of extra data
        start = held[name].header_offset + 30 + sum(struct.unpack_from("<2H", whole, held[name].header_offset + 26))
        content = whole[start : start + held[name].file_size]
        if name.endswith(".npy"):
            _clear_padding(content)
        yield files.get(name, name), content


def _clear_padding(content: memoryview) -> None:
    """Write zeros into the padding between the fields of an array of records, such as the nodes of a tree."""
    head = io.BytesIO(content[:4096])
    if b"'|V" in head.getvalue():
        numpy = library("numpy", install="gitmodel[skops]")
        numpy.lib.format.read_magic(head)
        shape, _, dtype = numpy.lib.format.read_array_header_1_0(head)
        clear_padding(numpy, numpy.ndarray(math.prod(shape), dtype, content, head.tell()))


def _renumber(node: Any, fresh: Callable[[], int], ids: dict[int, int], files: dict[str, str]) -> None:
    """Replace the ids of all objects and the names of all files in a schema by *fresh* numbers."""
    if isinstance(node, list):
        for item in node:
            _renumber(item, fresh, ids, files)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("__id__"), int):
        # Python decides if two equal constants are the same object
        constant = node.get("__loader__") == "JsonNode"
        node["__id__"] = fresh() if constant else ids.setdefault(node["__id__"], fresh())
    if isinstance(node.get("file"), str) and "__loader__" in node:
        suffix = Path(node["file"]).suffix
        node["file"] = files.setdefault(node["file"], f"{fresh()}{suffix}")
    for value in node.values():
        _renumber(value, fresh, ids, files)


SKOPS = Format("skops", _load_skops, _save_skops, extensions=(".skops",))
