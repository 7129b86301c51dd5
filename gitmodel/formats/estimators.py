"""The format skops: trained scikit-learn models that are loaded without running code, from types known to be safe.

skops is described at https://skops.readthedocs.io/en/stable/persistence.html.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import IO, Any

from gitmodel.errors import Invalid
from gitmodel.formats import tree_arrays, trust
from gitmodel.formats.format import Format, library
from gitmodel.formats.numpy_files import without_padding

_SCHEMA = "schema.json"


def _load_skops(path: Path, trusted: bool) -> Any:
    """Build the model from types that are trusted by name; with *trusted*, from every type that the file names.

    Raises Refused for other types, Invalid for a tree whose indices lead out of its arrays.
    """
    skops = library("skops.io", install="gitmodel[skops]")
    named = skops.get_untrusted_types(file=path)
    trust.note(named)
    unknown = [] if trusted else sorted(set(named) - set(trust.trusted(named)))
    if unknown:
        raise trust.refused(unknown, str(path))
    # skops requires a list of trusted types (CVE-2024-37065)
    model = skops.load(path, trusted=named)
    if not trusted and (wrong := tree_arrays.fault(model)):
        raise Invalid(f"{path} cannot be used: {wrong}", hint="store the model again from where it was trained")
    return model


def _save_skops(value: Any, path: Path) -> None:
    library("skops.io", install="gitmodel[skops]").dump(value, path)
    settled = path.with_name(f"{path.name}.settled")
    try:
        _settle(path, settled)
        settled.replace(path)
    finally:
        settled.unlink(missing_ok=True)


def _settle(path: Path, target: Path) -> None:
    """Copy the skops file *path* to *target* without times and memory addresses, so that equal models give equal files.

    skops numbers objects and names array files by memory address. The copy numbers them by the order of the schema.
    """
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        schema = json.loads(old.read(_SCHEMA))
        files: dict[str, str] = {}
        _renumber(schema, count(1).__next__, {}, files)
        # the default time of ZipInfo is constant; not compressed, because compressors differ in their output
        new.writestr(zipfile.ZipInfo(_SCHEMA), json.dumps(schema, separators=(",", ":")))
        for name in sorted(set(old.namelist()) - {_SCHEMA}, key=lambda name: files.get(name, name)):
            with (
                old.open(name) as source,
                new.open(zipfile.ZipInfo(files.get(name, name)), "w", force_zip64=True) as to,
            ):
                head = source.read(1 << 20)
                if name.endswith(".npy") and b"'|V" in head[:4096]:
                    _copy_records(io.BytesIO(head + source.read()), to)
                    continue
                while head:
                    to.write(head)
                    head = source.read(1 << 20)


def _copy_records(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy an array of records, such as the nodes of a tree, with zeros in the padding between their fields."""
    numpy = library("numpy", install="gitmodel[skops]")
    array = numpy.lib.format.read_array(source, allow_pickle=False)
    numpy.lib.format.write_array(target, without_padding(numpy, array), allow_pickle=False)


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
