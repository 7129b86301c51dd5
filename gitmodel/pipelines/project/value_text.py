"""Texts of plain values and configuration objects, by which gitmodel compares them between processes.

Making a text runs no code of the value's class.
"""

from __future__ import annotations

import datetime
import enum
import functools
import hashlib
import inspect
import types
import uuid
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any, NamedTuple

from gitmodel.domain.arguments.plain_values import is_configuration
from gitmodel.pipelines.project.installed import is_library, is_of_project

_PLAIN = (str, bytes, int, float, complex, bool, type(None))
_PRINTED = (Decimal, Fraction, PurePath, datetime.date, datetime.time, datetime.timedelta, range, slice, uuid.UUID)
_DEEPEST = 20
_LONGEST_DECIMAL = 2_000  # bits
_LONGEST_TEXT = 1_000  # characters or bytes


def spell_value(value: Any) -> str | None:
    """Return the text of *value*; None if *value* is neither a plain value nor a configuration of plain values.

    A configuration is a namespace, a dataclass, a pydantic model or an enumeration. The result has the hash of a long
    text instead of the text.

    >>> spell_value({"lr": 0.1, "layers": [64, 32]})
    "dict{'lr': 0.1, 'layers': list[64, 32]}"
    >>> spell_value(object()) is None
    True
    """
    try:
        return _Speller(strict=True).spell(value, 0)
    except _NotPlain:
        return None


class Description(NamedTuple):
    """The text of a value, and the names of the project *modules* that define its classes and functions."""

    text: str
    modules: frozenset[str]


def describe_value(value: Any) -> Description:
    """Return the text of *value*, with the name of the type in place of each part that is not plain.

    In contrast to `spell_value`, the text includes the attributes of the project's own classes and of their instances,
    and the defaults, closures and arguments of functions. It does not include the code of these classes and functions:
    *modules* of the result names the modules that define them.

    >>> describe_value([1, object()])
    Description(text='list[1, <object>]', modules=frozenset())
    """
    speller = _Speller(strict=False)
    return Description(speller.spell(value, 0), frozenset(speller.modules))


class _NotPlain(Exception):
    """A part of a value is not plain, so that it has no text."""


class _Speller:
    """Makes the text of one value. If an object occurs again, writes a number instead, so that the text stays short."""

    def __init__(self, *, strict: bool, above: Iterable[int] = ()) -> None:
        self._strict = strict
        self._above = frozenset(above)
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # keeps each object alive, so that Python gives its id to no other object
        self.modules: set[str] = set()

    def spell(self, value: Any, depth: int) -> str:
        if isinstance(value, enum.Enum):
            return f"{type(value).__qualname__}.{value.name}={self.spell(value.value, depth + 1)}"
        if isinstance(value, int) and value.bit_length() > _LONGEST_DECIMAL:
            return hex(value)  # not decimal, which Python refuses for such long numbers
        if isinstance(value, (str, bytes)) and len(value) > _LONGEST_TEXT:
            data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
            return f"{type(value).__name__} {hashlib.sha256(data).hexdigest()}"
        if isinstance(value, _PLAIN):
            return repr(value)
        if type(value).__module__.partition(".")[0] in _PRINTED_MODULES and isinstance(value, _PRINTED):
            return f"{type(value).__name__} {value!r}"
        if depth > _DEEPEST:
            return self._other(value)
        if id(value) in self._above:
            return "^"
        if id(value) in self._seen:
            return f"^{self._seen[id(value)]}"
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return self._spell_object(value, depth)

    def _spell_object(self, value: Any, depth: int) -> str:
        kind = type(value)
        if isinstance(value, (set, frozenset)):
            # sorted, because the order of a set differs between processes
            each = sorted(self._apart(item, depth + 1) for item in list(value))
            return f"{kind.__name__}[{', '.join(each)}]"
        if isinstance(value, (list, tuple)):
            return f"{kind.__name__}[{', '.join(self.spell(item, depth + 1) for item in list(value))}]"
        if isinstance(value, (dict, types.MappingProxyType)):
            return self._pairs("dict", value, depth)
        if is_configuration(value):
            if not self._strict and is_of_project(kind.__module__):
                self.modules.add(kind.__module__)
            return self._pairs(kind.__qualname__, _attributes(value), depth)
        if kind.__module__ == "numpy" and hasattr(value, "dtype") and kind.__name__ not in ("memmap", "dtype"):
            return self._array(value)
        if self._strict:
            raise _NotPlain
        if isinstance(value, functools.partial):
            parts = [value.func, *value.args, *value.keywords.values()]
            return f"partial[{', '.join(self.spell(part, depth + 1) for part in parts)}]"
        if isinstance(value, types.MethodType):
            return f"{self.spell(value.__self__, depth + 1)}.{value.__func__.__qualname__}"
        if isinstance(value, types.FunctionType):
            return self._function(value, depth)
        if inspect.isclass(value):
            return self._class(value, depth)
        if isinstance(value, (staticmethod, classmethod, functools._lru_cache_wrapper)):
            return self.spell(value.__wrapped__, depth + 1)
        if is_of_project(kind.__module__):
            self.modules.add(kind.__module__)
            return self._pairs(kind.__qualname__, _attributes(value), depth)
        return self._other(value)

    def _function(self, value: types.FunctionType, depth: int) -> str:
        if is_library(value.__code__.co_filename):
            return self._other(value)
        self.modules.add(value.__module__)
        held = [value.__defaults__, value.__kwdefaults__]
        for cell in value.__closure__ or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:  # raised if the variable has no value yet
                held.append(None)
        return f"{value.__qualname__}({', '.join(self.spell(one, depth + 1) for one in held)})"

    def _class(self, value: type, depth: int) -> str:
        if not is_of_project(value.__module__):
            return self._other(value)
        self.modules.add(value.__module__)
        held = {name: one for name, one in list(vars(value).items()) if not name.startswith("__")}
        bases = "".join(self.spell(base, depth + 1) for base in value.__bases__ if is_of_project(base.__module__))
        return self._pairs(value.__qualname__, held, depth) + bases

    def _array(self, value: Any) -> str:
        if value.dtype.hasobject:
            return self._other(value)
        flat = value.reshape(-1)
        held = flat.view("uint8") if flat.nbytes and flat.flags.c_contiguous else value.tobytes()
        return f"{value.dtype.descr} {value.shape} {hashlib.sha256(held).hexdigest()}"

    def _other(self, value: Any) -> str:
        if self._strict:
            raise _NotPlain
        return f"<{value.__qualname__ if inspect.isclass(value) else type(value).__qualname__}>"

    def _pairs(self, name: str, pairs: Any, depth: int) -> str:
        # a copy, because a step in another thread may change the dict during the loop
        each = ((self.spell(key, depth + 1), self.spell(item, depth + 1)) for key, item in list(pairs.items()))
        return f"{name}{{{', '.join(f'{key}: {item}' for key, item in each)}}}"

    def _apart(self, value: Any, depth: int) -> str:
        """Return the text of *value*, an item of a set, as if the set had no other items.

        In each process the items have another order, so that numbers of objects in other items would differ.
        """
        speller = _Speller(strict=self._strict, above=self._above | self._seen.keys())
        text = speller.spell(value, depth)
        self.modules |= speller.modules
        return text


_PRINTED_MODULES = frozenset({"datetime", "decimal", "fractions", "pathlib", "builtins", "uuid"})


def _attributes(value: Any) -> dict[str, Any]:
    """Return the attributes in the `__dict__` and the slots of *value*, without running a property."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, types.MemberDescriptorType) and not name.startswith("__"):
                try:
                    found[name] = member.__get__(value)
                except AttributeError:  # not set
                    continue
    return found
