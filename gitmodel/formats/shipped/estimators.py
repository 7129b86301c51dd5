"""The format skops: trained scikit-learn models, loaded from trusted types without running code from the file.

skops is described at https://skops.readthedocs.io/en/stable/persistence.html.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Collection, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from gitmodel.errors import Invalid
from gitmodel.formats import trust
from gitmodel.formats.catalogue.format import Format, library
from gitmodel.formats.encoding.numpy_files import clear_padding
from gitmodel.formats.shipped import boosting, forest_files, tree_arrays
from gitmodel.formats.shipped.forest_files import SCHEMA


def _load_skops(path: Path, trusted: bool) -> Any:
    """Verify the checksums in the archive *path*, and load the model in it."""
    _skops()
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"{damaged} in it is damaged")
    return _load_content(content, path, trusted)


def _load_content(content: io.BytesIO, path: Path, trusted: bool) -> Any:
    """Create the model in *content*. Allows only trusted types or, if *trusted* is True, all types that the file names.

    Raises Refused if a type is not allowed, Invalid if a tree has indices outside of its arrays.
    """
    skops = _skops()
    light = forest_files.light_file(content)
    named = skops.get_untrusted_types(data=_without_arrays(light.content))
    needed = sorted(set(named) - _restored_boosters(light.content, named))
    trust.note(needed)
    unknown = [] if trusted else sorted(set(needed) - set(trust.trusted(needed)))
    if unknown:
        raise trust.refused(unknown)
    # gets all names in the file, which were checked above: skops refuses a file with a type outside of this list
    model = skops.load(light.content, trusted=named)
    if not forest_files.fill(model, light):
        model = skops.load(content, trusted=named)
    if not trusted and (wrong := tree_arrays.fault(model)):
        raise Invalid(f"{path} cannot be used: {wrong}", hint="store the model again from where it was trained")
    return model


def _skops() -> Any:
    return library("skops.io", install="gitmodel[skops]")


def _restored_boosters(file: io.BytesIO, named: Iterable[str]) -> set[str]:
    """Return those booster classes in *named* that *file* uses only as the class of an object with a stored state.

    Loading gives such an object its state and does not call the class. Names that the file uses in another way, as a
    value or as a class to call, are not in the result.
    """
    found = boosting.NAMES.intersection(named)
    if found:
        found -= set(_skops().get_untrusted_types(data=_without_arrays(file, restored=found)))
    return {name for name in found if isinstance(trust.find(name), type)}


def _without_arrays(file: io.BytesIO, *, restored: Collection[str] = ()) -> bytes:
    """Return the skops *file* with empty arrays, because skops would read all arrays to find the types.

    Where an object with a stored state has a class in *restored*, the result has the class `object` instead.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(content, "w") as new:
        for name in old.namelist():
            part = b"" if name.endswith(".npy") else old.read(name)
            if restored and name == SCHEMA:
                part = json.dumps(_with_other_classes(json.loads(part), restored)).encode()
            new.writestr(name, part)
    return content.getvalue()


def _with_other_classes(node: Any, names: Collection[str]) -> Any:
    if isinstance(node, list):
        return [_with_other_classes(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _with_other_classes(item, names) for key, item in node.items()}
    if node.get("__loader__") == "ObjectNode" and f"{node['__module__']}.{node['__class__']}" in names:
        node |= {"__module__": "builtins", "__class__": "object"}
    return node


def _save_skops(value: Any, path: Path) -> None:
    """Write *value* without times and memory addresses, so that equal models give equal files.

    skops numbers objects and names array files by memory address. Here they are numbered by the order of the schema.
    """
    schema, held = _dumped(value)
    files: dict[str, str] = {}
    _renumber(schema, count(1).__next__, {}, files)
    with zipfile.ZipFile(path, "w") as archive:
        # With ZipInfo, the time in the archive is constant. Nothing is compressed, because versions of zlib compress
        # differently.
        archive.writestr(zipfile.ZipInfo(SCHEMA), json.dumps(schema, separators=(",", ":")).encode())
        for name in sorted(held, key=lambda name: files.get(name, name)):
            content = held[name]
            if isinstance(content, memoryview):
                archive.writestr(zipfile.ZipInfo(files.get(name, name)), content)
            else:
                forest_files.write_array(archive, files.get(name, name), content)


def _dumped(value: Any) -> tuple[Any, dict[str, Any]]:
    """Return the schema that skops writes for *value*, and the content of each other file of its archive, by name.

    The content is an array for a file with an array of a decision tree, and bytes for all others.
    """
    for model, trees in (forest_files.light_copy(value), (value, [])):
        dumped = io.BytesIO()
        _skops().dump(model, dumped)
        with zipfile.ZipFile(dumped) as archive:
            schema = json.loads(archive.read(SCHEMA))
            arrays = forest_files.add_trees(schema, trees)
            if arrays is None:
                continue
            held = {info.filename: forest_files.stored(dumped, info) for info in archive.infolist()}
        del held[SCHEMA]
        for name in held.keys() - arrays.keys():
            if name.endswith(".npy"):
                _clear_padding(held[name])
        return schema, {**held, **arrays}
    raise AssertionError("without trees, none is missing")


def _clear_padding(content: memoryview) -> None:
    """Write zeros into the padding between the fields of an array of records, such as the nodes of a tree."""
    head = io.BytesIO(content[:4096])
    if b"'|V" in head.getvalue():
        numpy = library("numpy", install="gitmodel[skops]")
        numpy.lib.format.read_magic(head)
        shape, _, dtype = numpy.lib.format.read_array_header_1_0(head)
        clear_padding(numpy, numpy.ndarray(math.prod(shape), dtype, content, head.tell()))


def _renumber(node: Any, fresh: Callable[[], int], ids: dict[int, int], files: dict[str, str]) -> None:
    """Replace the ids of objects and the names of files in the schema *node* by numbers that *fresh* returns.

    Adds each id to *ids* and each name to *files*, with its replacement.
    """
    if isinstance(node, list):
        for item in node:
            _renumber(item, fresh, ids, files)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("__id__"), int):
        # each constant gets its own number, because Python may or may not use one object for equal constants
        constant = node.get("__loader__") == "JsonNode"
        node["__id__"] = fresh() if constant else ids.setdefault(node["__id__"], fresh())
    if isinstance(node.get("file"), str) and "__loader__" in node:
        suffix = Path(node["file"]).suffix
        node["file"] = files.setdefault(node["file"], f"{fresh()}{suffix}")
    for value in node.values():
        _renumber(value, fresh, ids, files)


SKOPS = Format("skops", _load_skops, _save_skops, (".skops",), load_content=_load_content)
