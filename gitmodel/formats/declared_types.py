"""Finding the format of an output from its annotation, before it has a value. Imports no library."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from gitmodel.formats.encoding.own_types import tag_of_type
from gitmodel.formats.encoding.values import is_type
from gitmodel.formats.materializers import format_of_type

_CONTAINERS = (list, tuple, set, frozenset, dict)


def formats_of(hint: Any) -> Iterator[str]:
    """Yield the format of each type in *hint*, which may be a union; "" for a type whose values can have several.

    >>> list(formats_of(dict[str, int] | bytes | None)), list(formats_of(Any))
    (['json', 'bytes'], [''])
    """
    for one in _alternatives(hint):
        kind = get_origin(one) or one
        yield format_of_type(kind) if isinstance(kind, type) else ""


def is_path(hint: Any) -> bool:
    """Return True if values of the type *hint* are paths of files, which are stored as they are, without a format."""
    return isinstance(hint, type) and issubclass(hint, Path)


def without_format(hint: Any) -> str:
    """Return the name of the type in *hint* whose values no format can store; "" if a format may be able to.

    Also checks all existing subclasses, because a value can be of a subclass. Returns "" for abstract classes and
    protocols.

    >>> class Net: ...
    >>> without_format(list[Net]).rpartition(".")[2], without_format(dict[str, int] | None), without_format(object)
    ('Net', '', '')
    """
    found = list(map(_without_format, _alternatives(hint)))
    return found[0] if found and all(found) else ""


def _alternatives(hint: Any) -> Iterator[Any]:
    """Yield the types of the union *hint* except None, or *hint* if it is no union. `Annotated` is removed."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (typing.Union, types.UnionType):
        for one in get_args(hint):
            if one is not types.NoneType:
                yield from _alternatives(one)
    else:
        yield hint


def _without_format(hint: Any) -> str:
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return ""
    if kind in _CONTAINERS:
        inside = get_args(hint)[-1:] if kind is dict else get_args(hint)
        return next((name for one in inside if (name := _misfit_inside(one, in_dict=kind is dict))), "")
    kinds = _with_subclasses(kind)
    return "" if any(_is_open(one) or is_path(one) or format_of_type(one) for one in kinds) else _name_of(kind)


def _misfit_inside(hint: Any, *, in_dict: bool) -> str:
    """Return the name of *hint* if no format stores lists (dicts, if *in_dict*) with values of this type, else ""."""
    found = []
    for one in _alternatives(hint):
        kind = get_origin(one) or one
        if not isinstance(kind, type):
            return ""
        if kind in _CONTAINERS:
            found.append(_without_format(one))
        elif in_dict and kind.__module__.split(".")[0] == "torch":  # a state dict
            return ""
        else:
            fits = any(_is_open(each) or is_type(each) for each in _with_subclasses(kind))
            found.append("" if fits else _name_of(kind))
    return found[0] if found and all(found) else ""


def _is_open(kind: type) -> bool:
    """Return True if values of *kind* can be of classes that gitmodel cannot list, as for `object` or a protocol."""
    says_nothing = kind is object or kind is Any or typing.is_typeddict(kind)
    return says_nothing or inspect.isabstract(kind) or getattr(kind, "_is_protocol", False)


def _with_subclasses(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = type.__subclasses__(kind)
    for one in subclasses:
        yield from _with_subclasses(one)


def _name_of(kind: type) -> str:
    where = ", which is defined inside a function" if "<locals>" in kind.__qualname__ and tag_of_type(kind) else ""
    return f"{kind.__module__}.{kind.__qualname__}{where}"
