"""Writing and reading the arrays of decision trees in skops files without the copies that skops makes of them.

skops itself writes and reads a *light* model, in which each decision tree is replaced by an empty tree whose
`n_features` is minus the number of the tree. The file has the same bytes as a file that skops alone would write.
"""

from __future__ import annotations

import copy
import io
import json
import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gitmodel.formats.catalogue.format import library
from gitmodel.formats.encoding.numpy_files import clear_padding
from gitmodel.formats.shipped import tree_arrays

SCHEMA = "schema.json"
_STATE = {"max_depth": "JsonNode", "node_count": "JsonNode", "nodes": "NdArrayNode", "values": "NdArrayNode"}
_ROWS = 1 << 12  # the number of rows that are written at a time: they fit into the cache of the processor


class LightFile(NamedTuple):
    """A skops file of a light model, and what was taken out of it: the number of features and the state of each tree.

    *objects* is the number of different trees: *trees* can have the same tree several times.
    """

    content: io.BytesIO
    trees: Sequence[tuple[int, dict[str, Any]]] = ()
    objects: int = 0


def light_copy(model: Any) -> tuple[Any, list[Any]]:
    """Return a copy of *model* with light trees, and the original trees in the order of their numbers.

    The copy shares arrays with *model*. If *model* has no trees or cannot be copied, returns *model* and no trees.
    """
    trees: list[Any] = []
    copies: dict[int, Any] = {}
    for part in tree_arrays.parts(model):
        if tree_arrays.is_decision_tree(part) and part.__getstate__().keys() == _STATE.keys():
            trees.append(part)
            copies[id(part)] = type(part)(-len(trees), *part.__reduce__()[1][1:])
        elif hasattr(part, "__array__") and not getattr(getattr(part, "dtype", None), "hasobject", False):
            copies[id(part)] = part
    try:
        return (copy.deepcopy(model, copies), trees) if trees else (model, [])
    except Exception:  # copying an object can run code of its class, which may raise any error
        return model, []


def add_trees(schema: Any, trees: Sequence[Any]) -> dict[str, Any] | None:
    """Write *trees* into *schema*, the schema of the light copy, and return the arrays of the trees by file name.

    Returns None if a tree has no place in the schema.
    """
    arrays, missing = {}, set(range(1, len(trees) + 1))
    for node in _tree_nodes(schema) if trees else ():
        features, state = node["__reduce__"]["args"]["content"][0], node["content"]["content"]
        number = -int(features["content"])
        if number > 0:
            missing.discard(number)
            features["content"] = str(trees[number - 1].n_features)
            for key, item in trees[number - 1].__getstate__().items():
                if _STATE[key] == "JsonNode":
                    state[key]["content"] = str(item)
                else:
                    arrays[state[key]["file"]] = item
    return None if missing else arrays


def write_array(archive: zipfile.ZipFile, name: str, array: Any) -> None:
    """Write the contiguous *array* to a new file *name* in *archive*, in NumPy's format and with zeros as padding."""
    numpy = library("numpy", install="gitmodel[skops]")
    head = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(head, numpy.lib.format.header_data_from_array_1_0(array))
    info = zipfile.ZipInfo(name)
    info.file_size = head.tell() + array.nbytes
    with archive.open(info, "w") as file:
        file.write(head.getvalue())
        rows = array.view(numpy.dtype((numpy.void, array.dtype.itemsize))) if array.dtype.names else array.reshape(-1)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            if array.dtype.names:
                part = part.copy()  # a copy of the raw bytes, because a copy of records would omit their padding
                clear_padding(numpy, part.view(array.dtype))
            file.write(part.view("u1").data)


def light_file(content: io.BytesIO) -> LightFile:
    """Return the light file of the skops file *content*.

    If there are no trees, or if their arrays are compressed, returns *content* without a change and no trees.
    """
    with zipfile.ZipFile(content) as archive:
        schema = json.loads(archive.read(SCHEMA))
        trees, arrays, objects = [], set(), set()
        for node in _tree_nodes(schema):
            arguments, state = node["__reduce__"]["args"]["content"], node["content"]["content"]
            files = [item["file"] for item in state.values() if "file" in item]
            if any(archive.getinfo(name).compress_type != zipfile.ZIP_STORED for name in files):
                return LightFile(content)
            found = {
                key: _array(stored(content, archive.getinfo(item["file"]))) if "file" in item else int(item["content"])
                for key, item in state.items()
            }
            trees.append((int(arguments[0]["content"]), found))
            objects.add(node.get("__id__", -len(trees)))
            arrays |= set(files)
            # The id is removed because skops would load the first node with an id for all nodes that have this id.
            arguments[0] = {**arguments[0], "__id__": None, "content": str(-len(trees))}
            keys = {**node["content"]["key_types"], "__id__": None, "content": []}
            node["content"] = {**node["content"], "__id__": None, "key_types": keys, "content": {}}
        if not trees:
            return LightFile(content)
        light = io.BytesIO()
        with zipfile.ZipFile(light, "w") as copied:
            for name in [name for name in archive.namelist() if name not in arrays]:
                copied.writestr(name, json.dumps(schema) if name == SCHEMA else archive.read(name))
    return LightFile(light, trees, len(objects))


def fill(model: Any, light: LightFile) -> bool:
    """Fill the empty trees of *model*, which was loaded from *light*.

    Returns False if *model* lacks some of these trees.
    """
    found = [part for part in tree_arrays.parts(model) if tree_arrays.is_decision_tree(part) and part.n_features < 0]
    for tree in found:
        # gitmodel writes empty trees without capacity, so another program wrote this tree. __setstate__ would write
        # outside of the memory of this tree.
        if tree.capacity:
            return False
        tree.n_features, state = light.trees[-1 - tree.n_features]
        tree.__setstate__(state)
    return len(found) == light.objects


def stored(content: io.BytesIO, info: zipfile.ZipInfo) -> memoryview:
    """Return the bytes of the file *info*, which is not compressed, in the archive *content*, without a copy."""
    whole = content.getbuffer()
    # A file begins after its header, whose last two fields are the lengths of the name and of extra data.
    start = info.header_offset + 30 + sum(struct.unpack_from("<2H", whole, info.header_offset + 26))
    return whole[start : start + info.file_size]


def _tree_nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield each node in a schema of skops that is a decision tree with exactly the attributes in `_STATE`."""
    if isinstance(node, list):
        for item in node:
            yield from _tree_nodes(item)
    if isinstance(node, dict):
        if node.get("__loader__") == "TreeNode" and _has_usual_state(node["content"]):
            yield node
        for item in node.values():
            yield from _tree_nodes(item)


def _has_usual_state(state: Any) -> bool:
    return (
        state["__loader__"] == "DictNode"
        and {key: item["__loader__"] for key, item in state["content"].items()} == _STATE
        and all(
            (item["__module__"], item["__class__"], item["type"]) == ("numpy", "ndarray", "numpy")
            for item in state["content"].values()
            if item["__loader__"] == "NdArrayNode"
        )
    )


def _array(file: memoryview) -> Any:
    """Return the array in *file*, the content of a `.npy` file. The array shares the memory of *file*."""
    numpy = library("numpy", install="gitmodel[skops]")
    head = io.BytesIO(file[:4096])
    if numpy.lib.format.read_magic(head) != (1, 0):
        return numpy.load(io.BytesIO(file), allow_pickle=False)
    shape, fortran, dtype = numpy.lib.format.read_array_header_1_0(head)
    return numpy.frombuffer(file, dtype, math.prod(shape), head.tell()).reshape(shape, order="F" if fortran else "C")
