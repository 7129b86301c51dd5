"""PyTorch: state dicts (format safetensors), whole modules (format torch) and files of `torch.save` (torch-pickle).

A module becomes a safetensors file with its tensors. The metadata of the file describes the tree of modules: class,
plain attributes and the names of parameters and buffers. Loading builds the objects from classes that are trusted by
name, without calling their `__init__`.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitmodel.domain.schema.names import with_article
from gitmodel.errors import UsageError
from gitmodel.formats import trust
from gitmodel.formats.catalogue.format import Format, is_of_library, library, type_name
from gitmodel.formats.encoding import own_types, values

_KEY = "gitmodel.module"
# The metadata that marks a file as a state dict of torch. Tensors in a file without it are loaded as NumPy arrays.
OF_TORCH = {"gitmodel.tensors": "torch"}
_INSTALL = "torch"
_CHUNK = 1 << 20  # the number of bytes of a tensor that are compared at a time
# the last two are left out of the description, because they repeat the parameters of a recurrent layer
_OWN = ("_parameters", "_buffers", "_modules", "_flat_weights", "_flat_weight_refs")


def is_state_dict(value: Any) -> bool:
    """Return True if *value* is a dict of tensors that is not empty. Imports nothing."""
    return (
        isinstance(value, dict) and bool(value) and all(is_of_library(type(item), "torch") for item in value.values())
    )


def save_state_dict(value: Mapping[str, Any], path: Path, metadata: Mapping[str, str] = OF_TORCH) -> None:
    """Write *value*, tensors by name, to the safetensors file *path* with *metadata*."""
    save_file = library("safetensors.torch", install="gitmodel[safetensors]").save_file
    tensors: dict[str, Any] = {}
    held: set[int] = set()
    for name, tensor in value.items():
        fault = _fault_of_tensor(name, tensor)
        if fault:
            raise UsageError(f"{fault}, which safetensors cannot hold", hint="convert it, or leave it out")
        plain = _plain(tensor)
        place = plain.untyped_storage().data_ptr()
        # cloned, because safetensors refuses tensors that share memory, such as tied weights
        tensors[name] = plain.clone() if place in held else plain
        held.add(place)
    save_file(tensors, path, dict(metadata))


def load_state_dict(path: Path) -> Any:
    """Return the tensors in the safetensors file *path*, by name."""
    return library("safetensors.torch", install="gitmodel[safetensors]").load_file(path)


def _fault_of_tensor(name: Any, tensor: Any) -> str:
    if type(name) is not str:
        return f"the key {name!a} is no text"
    if not hasattr(tensor, "layout"):
        return f"{name!a} is {with_article(type_name(tensor))}"
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.is_meta:
        return f"the tensor {name!a} is sparse, quantized or without data"
    return ""


def _save_module(value: Any, path: Path) -> None:
    torch = library("torch", install=_INSTALL)
    if not isinstance(value, torch.nn.Module):
        raise UsageError(f"torch holds a torch.nn.Module, not this {type_name(value)}", hint="save its state_dict()")
    tensors: dict[str, Any] = {}
    told = _described(torch, value, type(value).__name__, {}, tensors)
    save_state_dict(dict(sorted(tensors.items())), path, {_KEY: json.dumps(told, sort_keys=True)})


def _described(torch: Any, module: Any, where: str, known: dict[int, int], tensors: dict[str, Any]) -> Any:
    """Return *module* and its inner modules as JSON, and add their tensors to *tensors* by name.

    The names of the tensors start with *where*. *known* has the modules described so far: if a module is in two places
    of the tree, the second place refers to the first.
    """
    if id(module) in known:
        return {"same": known[id(module)]}
    known[id(module)] = len(known)
    fresh = vars(torch.nn.Module())
    attributes = {}
    for name, item in vars(module).items():
        if name in _OWN:
            continue
        if name in fresh and name not in ("training", "_non_persistent_buffers_set"):
            if item != fresh[name]:
                raise UsageError(f"{where} has hooks ({name}), which its file cannot hold", hint="remove them first")
            continue
        attributes[name] = _attribute(torch, item, f"{where}.{name}")
    return {
        "class": type_name(module),
        "attributes": attributes,
        "parameters": {
            name: None if item is None else [_tensor(item, f"{where}.{name}", tensors), item.requires_grad]
            for name, item in module._parameters.items()
        },
        "buffers": {
            name: None if item is None else _tensor(item, f"{where}.{name}", tensors)
            for name, item in module._buffers.items()
        },
        "modules": [
            [name, None if item is None else _described(torch, item, f"{where}.{name}", known, tensors)]
            for name, item in module._modules.items()
        ],
    }


def _tensor(tensor: Any, name: str, tensors: dict[str, Any]) -> str:
    """Add *tensor* to *tensors* as *name*, and return *name*.

    If the same tensor is there already, returns its name instead.
    """
    for known, held in tensors.items():
        if held is tensor:
            return known
    tensors[name] = tensor
    return name


def _attribute(torch: Any, item: Any, where: str) -> dict[str, Any]:
    if isinstance(item, (torch.dtype, torch.layout)):
        return {"torch": str(item).removeprefix("torch.")}
    if isinstance(item, torch.device):
        return {"device": str(item)}
    if isinstance(item, torch.Size):
        return {"size": list(item)}
    if callable(item) and (isinstance(item, type) or not hasattr(item, "__dict__") or hasattr(item, "__qualname__")):
        name = f"{getattr(item, '__module__', None)}.{getattr(item, '__qualname__', None)}"
        if trust.find(name) is item:
            return {"named": name}
        raise UsageError(f"{where} is a function without a name that can be imported", hint="define it in a module")
    if said := values.misfit(item, where):
        raise UsageError(f"{said}, which its file cannot hold", hint="keep plain values, or save its state_dict()")
    return {"value": values.encode(item)}


def _load_module(path: Path, trusted: bool) -> Any:
    torch = library("torch", install=_INSTALL)
    safetensors = library("safetensors", install="gitmodel[safetensors]")
    with safetensors.safe_open(path, framework="pt") as file:
        told = (file.metadata() or {}).get(_KEY)
        if told is None:
            raise ValueError("it holds tensors without a module; load it in the format safetensors")
        unknown = [name for name in names(path) if not trusted and not trust.trusted([name])]
        if unknown:
            raise trust.refused(unknown)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return _built(torch, json.loads(told), tensors, {}, [])


def names(path: Path) -> list[str]:
    """Return the full names of the classes and functions that *path*, the file of a module, names."""
    with library("safetensors", install="gitmodel[safetensors]").safe_open(path, framework="np") as file:
        told = (file.metadata() or {}).get(_KEY)
    return [] if told is None else sorted(set(_names(json.loads(told))))


def _names(told: Mapping[str, Any]) -> list[str]:
    found = [] if "same" in told else [told["class"]]
    for item in told.get("attributes", {}).values():
        found += [item["named"]] if "named" in item else own_types.names(item.get("value"))
    return found + [name for _, inner in told.get("modules", ()) if inner is not None for name in _names(inner)]


def _built(torch: Any, told: Any, tensors: dict[str, Any], parameters: dict[str, Any], known: list[Any]) -> Any:
    if "same" in told:
        return known[told["same"]]
    kind = trust.require(told["class"])
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise ValueError(f"{told['class']!a} is not a torch.nn.Module")
    module: Any = object.__new__(kind)
    torch.nn.Module.__init__(module)
    known.append(module)
    for name, item in told["attributes"].items():
        vars(module)[name] = _restored(torch, item)
    for name, item in told["parameters"].items():
        if item is not None and item[0] not in parameters:
            parameters[item[0]] = torch.nn.Parameter(tensors[item[0]], requires_grad=bool(item[1]))
        module._parameters[name] = None if item is None else parameters[item[0]]
    for name, item in told["buffers"].items():
        module._buffers[name] = None if item is None else tensors[item]
    for name, item in told["modules"]:
        module._modules[name] = None if item is None else _built(torch, item, tensors, parameters, known)
    if isinstance(module, torch.nn.RNNBase):
        module._init_flat_weights()
    return module


def _restored(torch: Any, item: Any) -> Any:
    if "torch" in item:
        found = getattr(torch, item["torch"])
        if not isinstance(found, (torch.dtype, torch.layout)):
            raise ValueError(f"{item['torch']!a} is not a type of torch")
        return found
    if "device" in item:
        return torch.device(item["device"])
    if "size" in item:
        return torch.Size(item["size"])
    return trust.require(item["named"]) if "named" in item else values.decode(item["value"])


def _difference(saved: Any, loaded: Any) -> str:
    if type(saved) is not type(loaded) or repr(saved) != repr(loaded):
        return "it would have other modules"
    one, other = saved.state_dict(), loaded.state_dict()
    changed = [*changed_tensors(one, other), *(name for name in other if name not in one)]
    return f"its tensor {changed[0]}" if changed else ""


def changed_tensors(saved: Mapping[str, Any], loaded: Mapping[str, Any]) -> list[str]:
    """Return the names of the tensors of the state dict *saved* that are missing or different in *loaded*."""
    return [name for name in saved if name not in loaded or not _is_same(saved[name], loaded[name])]


def _is_same(one: Any, other: Any) -> bool:
    """Return True if two tensors have the same type, shape and bytes, or if two extra states of modules are equal.

    Compares bytes, so that NaN is equal to NaN, and because torch cannot compare 8-bit floats. The tensors of some
    subclasses, such as quantized ones, have no memory of their own: compares these by their values.
    """
    if not hasattr(one, "dtype"):
        return bool(one == other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    x, y = (_plain(tensor) for tensor in (one, other))
    size = x.numel() * x.element_size()
    if size and not (x.data_ptr() and y.data_ptr()):
        return bool(library("torch", install=_INSTALL).equal(x, y))
    for start in range(0, size, _CHUNK):
        length = min(_CHUNK, size - start)
        if ctypes.string_at(x.data_ptr() + start, length) != ctypes.string_at(y.data_ptr() + start, length):
            return False
    return True


def _plain(tensor: Any) -> Any:
    """Return *tensor* as a contiguous tensor on the CPU."""
    # resolved, because the memory of a conjugated or negated view does not have the values of the tensor
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()


def _load_pickle(path: Path, trusted: bool) -> Any:
    return library("torch", install=_INSTALL).load(path, map_location="cpu", weights_only=False)


def _save_pickle(value: Any, path: Path) -> None:
    library("torch", install=_INSTALL).save(value, path)


TORCH = Format("torch", _load_module, _save_module, (".safetensors",), difference=_difference)
TORCH_PICKLE = Format("torch-pickle", _load_pickle, _save_pickle, (".pt", ".pth"), unsafe=True)
